//! Reading one page: from a place in the feed onwards, or by id.

use std::{collections::HashMap, sync::Arc};

use mithaq_core::id::ContentId;
use mithaq_store::StoreError;

use super::{filter::Header, query::Query};
use crate::{
    feed::{Feed, Place, Visibility, place_after},
    node::Node,
};

/// The most bytes of a page's objects; one object is always taken.
pub(super) const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most objects that are looked at for a page, whatever the filter lets through: more than
/// [`super::query::LIMIT_MAX`], so that a full page can tell whether another follows.
const EXAMINED_MAX: usize = 20_000;

/// The most objects that are read from the store at a time.
const CHUNK_MAX: usize = 1_000;

/// An object of a page.
pub(super) struct Entry {
    /// Its `date_added`, in microseconds since the Unix epoch.
    pub(super) added_micros: i64,
    pub(super) content: ContentId,
    pub(super) body: Vec<u8>,
}

/// A page: objects in ascending order of `date_added`.
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// Whether there may be another page.
    pub(super) more: bool,
    /// The time up to which the query is answered: the next page goes on after it.
    pub(super) answered_to: i64,
    bytes: usize,
}

impl Page {
    fn is_full_for(&self, body: &[u8], limit: usize) -> bool {
        let too_large = self.bytes + body.len() > PAGE_BYTES_MAX && !self.entries.is_empty();
        self.entries.len() == limit || too_large
    }
}

/// Reads a page for one query. Blocks.
pub(super) struct Reader<'a> {
    node: Arc<Node>,
    feed: Feed,
    query: &'a Query,
    /// The versions to show of ids that have several, as far as they had to be looked up.
    chosen: HashMap<String, Vec<ContentId>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(node: Arc<Node>, visibility: Visibility, query: &'a Query) -> Self {
        let feed = Feed::new(Arc::clone(&node), visibility);
        Self { node, feed, query, chosen: HashMap::new() }
    }

    /// Whether the collection shows any version of this id.
    pub(super) fn holds(&mut self, stix_id: &str) -> Result<bool, StoreError> {
        for version in self.node.store.versions(stix_id)? {
            if self.feed.shows(version.content)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the page.
    pub(super) fn read(&mut self) -> Result<Page, StoreError> {
        let answered_to = self.query.after.unwrap_or(0);
        let mut page = Page { entries: Vec::new(), more: false, answered_to, bytes: 0 };
        page.more = match self.query.filter.ids() {
            Some(ids) => self.look_up(ids, &mut page)?,
            None => self.scan(&mut page)?,
        };
        Ok(page)
    }

    /// Goes along the feed; says whether the page ended before it did.
    fn scan(&mut self, page: &mut Page) -> Result<bool, StoreError> {
        let mut place = match self.query.after {
            Some(after) => place_after(&*self.node.store, after)?,
            None => Place::START,
        };
        // One more than fits, to see whether anything follows; more each time, when a filter leaves out much.
        let mut chunk = (self.query.limit + 1).min(CHUNK_MAX);
        let mut examined = 0;
        loop {
            let (items, next) = self.feed.read(place, chunk)?;
            if items.is_empty() {
                return Ok(false);
            }
            for item in items {
                let (added_micros, content) = (item.added_micros, item.content);
                // TAXII has no way to say that an object is withdrawn: it is in the collection no more.
                let Some(body) = item.into_body() else { continue };
                let entry = Entry { added_micros, content, body };
                if examined == EXAMINED_MAX || !self.offer(entry, page)? {
                    return Ok(true);
                }
                examined += 1;
            }
            place = next;
            chunk = (2 * chunk).min(CHUNK_MAX);
        }
    }

    /// Takes objects by their ids; says whether the page ended before they did.
    fn look_up(&mut self, ids: &[String], page: &mut Page) -> Result<bool, StoreError> {
        let mut found = Vec::new();
        for id in ids {
            for content in self.versions_of(id)? {
                let added = self.feed.added_micros(content)?;
                found.extend(
                    added.filter(|added| self.query.after.is_none_or(|after| *added > after)).zip(Some(content)),
                );
            }
        }
        found.sort_unstable();
        // An id that was asked for twice.
        found.dedup();
        for (added_micros, content) in found {
            let body = self.node.store.bodies(&[content])?.pop().flatten();
            let body = body.ok_or_else(|| StoreError::Corrupt { what: format!("object {}", content.fmt_short()) })?;
            if !self.offer(Entry { added_micros, content, body }, page)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the object into the page if it is asked for; says no, and takes nothing, if there is no room for it.
    fn offer(&mut self, entry: Entry, page: &mut Page) -> Result<bool, StoreError> {
        let added_micros = entry.added_micros;
        if self.is_asked_for(&entry)? {
            if page.is_full_for(&entry.body, self.query.limit) {
                return Ok(false);
            }
            page.bytes += entry.body.len();
            page.entries.push(entry);
        }
        page.answered_to = added_micros;
        Ok(true)
    }

    fn is_asked_for(&mut self, entry: &Entry) -> Result<bool, StoreError> {
        let header = Header::read(entry.content, &entry.body)?;
        if !self.query.filter.admits(&header) {
            return Ok(false);
        }
        if !self.query.filter.may_admit_version(&header) {
            return Ok(false);
        }
        let stix_id = header.stix_id();
        if let Some(chosen) = self.chosen.get(&*stix_id) {
            return Ok(chosen.contains(&entry.content));
        }
        // An only version is both first and last; few objects have others, which cost a read each.
        Ok(self.node.store.has_one_version(&stix_id)? || self.versions_of(&stix_id)?.contains(&entry.content))
    }

    /// The versions of an id that are asked for, of those that the reader is shown.
    fn versions_of(&mut self, stix_id: &str) -> Result<Vec<ContentId>, StoreError> {
        let versions = self.node.store.versions(stix_id)?;
        let feed = &mut self.feed;
        let chosen = self.query.filter.choose(&versions, |versions| feed.served_of(versions))?;
        if versions.len() > 1 {
            self.chosen.insert(stix_id.to_owned(), chosen.clone());
        }
        Ok(chosen)
    }
}

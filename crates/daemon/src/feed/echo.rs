//! Rows that speak again of contents that other rows have brought: enough CERTs have seen them by now, or the time until
//! which they are valid is over.

use std::sync::Arc;

use mithaq_core::{
    id::{CertId, ContentId},
    release::{Kind, Manifest, SignedRelease},
    stix::object::Object,
};
use mithaq_store::{LogRow, StoreError};

use super::{Feed, Item, Place, RowKind, Source, What, is_covered};
use crate::{clock, expiry};

impl Feed {
    /// Reads a row that shows contents to the readers of one collection, or tells readers that contents are over.
    pub(super) fn read_echo(
        &mut self,
        row: &LogRow,
        release: &SignedRelease,
        manifest: &Manifest,
        start: Place,
        limit: usize,
    ) -> Result<(Vec<Item>, Place), StoreError> {
        if manifest.kind == Kind::Corroborate && !self.is_corroborated_by(manifest) {
            return Ok((Vec::new(), Place::behind(row)));
        }
        let (mut items, mut source) = (Vec::new(), None);
        for (position, content) in release.contents.iter().enumerate().skip(start.position) {
            if items.len() >= limit {
                return Ok((items, Place::at(row.seq, position)));
            }
            let what = match manifest.kind {
                Kind::Corroborate => self.put_again(row, *content)?,
                _ => self.expiry_of(row, *content)?,
            };
            if let Some((shown_by, what)) = what {
                let source = self.source_of(&mut source, row, shown_by)?;
                let covers = !matches!(&what, What::Put(body) if !is_covered(&source, *content, body));
                if covers {
                    self.put(Item::new(source, position, *content, what), start, &mut items)?;
                }
            }
        }
        Ok((items, Place::behind(row)))
    }

    /// Adds an item to those of a row that are read from `start` on, and behind it that its object is over, if it was so
    /// when the row came: of that no row of its own is written.
    pub(super) fn put(&mut self, mut item: Item, start: Place, items: &mut Vec<Item>) -> Result<(), StoreError> {
        let expiry = self
            .over_on_arrival(&item)?
            .map(|stix_id| Item::new(Arc::clone(&item.release), item.position, item.content, What::Expire { stix_id }));
        item.was_over = expiry.is_some();
        if !start.was_put || item.position > start.position {
            items.push(item);
        }
        items.extend(expiry);
        Ok(())
    }

    /// The STIX id of an object that is put, if the time until which it is valid was over when its row was added.
    fn over_on_arrival(&mut self, item: &Item) -> Result<Option<String>, StoreError> {
        let What::Put(body) = &item.what else { return Ok(None) };
        // A clock that was ahead once leaves rows that are: what is still valid by now is not over.
        let came = item.release.row.added_at.min(clock::wall());
        match expiry::over(body, came) {
            Some(object) => self.unless_replaced(&object, item.content),
            None => Ok(None),
        }
    }

    /// The STIX id of an object, unless it is revoked or the reader is shown a newer version of it.
    fn unless_replaced(&mut self, object: &Object<'_>, content: ContentId) -> Result<Option<String>, StoreError> {
        let stix_id = object.id().as_str().to_owned();
        let is_replaced = object.revoked() || self.is_outdated(&stix_id, content)?;
        Ok((!is_replaced).then_some(stix_id))
    }

    /// Whether a row shows its contents to readers of this rule.
    pub(super) fn is_corroborated_by(&self, manifest: &Manifest) -> bool {
        self.visibility.corroboration().is_some_and(|rule| manifest.recipients.contains(&rule.key))
    }

    /// The row that shows the reader a content because enough CERTs have seen it. One from before all of them took it back
    /// counts no more: what is published again is counted anew. `source` is the first row that brings it now.
    pub(super) fn corroborated_at(&mut self, content: ContentId, source: u64) -> Result<Option<u64>, StoreError> {
        let rows = self.node.store.rows_of(content)?;
        let mut corroborating = Vec::new();
        for row in &rows {
            if self.row_kind(*row)? == RowKind::Corroborates {
                corroborating.push(*row);
            }
        }
        if corroborating.first().is_none_or(|row| *row > source) {
            return Ok(corroborating.first().copied());
        }
        let since = self.shown_since(content, &rows, source)?;
        Ok(corroborating.into_iter().find(|row| *row > since))
    }

    /// The row since which a content was always brought to the reader by one row or another, the last of which is `source`.
    fn shown_since(&mut self, content: ContentId, rows: &[u64], source: u64) -> Result<u64, StoreError> {
        let mut since = source;
        for row in rows.iter().rev().filter(|row| **row < source) {
            let RowKind::Brings { release, .. } = self.row_kind(*row)? else { continue };
            let hold = self.node.standing.hold(&*self.node.store, release, content)?;
            // What came held was never shown.
            let Some(by) = hold.and_then(|hold| hold.by) else { continue };
            if let Some((taken_at, _)) = self.node.store.release(by)?
                && taken_at > since
            {
                since = *row;
            }
        }
        Ok(since)
    }

    /// The content that the row shows, and the row whose word it is, if it is the first that shows it.
    fn put_again(&mut self, row: &LogRow, content: ContentId) -> Result<Option<(u64, What)>, StoreError> {
        let Some(shown_by) = self.source_row(content)? else { return Ok(None) };
        if self.first_row_of(content)? != Some(row.seq) {
            return Ok(None);
        }
        let body = self.node.sound_bodies(&[content])?.pop().flatten();
        Ok(body.map(|body| (shown_by, What::Put(body))))
    }

    /// That a content which the reader was shown before the row is over, and the row whose word it is. Told once for
    /// each time that it was shown, and not of a version that a newer one has replaced.
    fn expiry_of(&mut self, row: &LogRow, content: ContentId) -> Result<Option<(u64, What)>, StoreError> {
        let Some(first) = self.first_row_of(content)?.filter(|first| *first < row.seq) else { return Ok(None) };
        let Some(shown_by) = self.source_row(content)? else { return Ok(None) };
        for between in self.node.store.rows_of(content)? {
            if (first..row.seq).contains(&between) && self.row_kind(between)? == RowKind::Expires {
                return Ok(None);
            }
        }
        let Some(body) = self.node.sound_bodies(&[content])?.pop().flatten() else { return Ok(None) };
        let Ok(object) = Object::parse(&body) else { return Ok(None) };
        Ok(self.unless_replaced(&object, content)?.map(|stix_id| (shown_by, What::Expire { stix_id })))
    }

    /// Whether readers are told behind an item that the item's content is over.
    pub(crate) fn is_over(&mut self, item: &Item) -> Result<bool, StoreError> {
        if item.was_over {
            return Ok(true);
        }
        for seq in self.node.store.rows_of(item.content)? {
            if seq > item.release.row.seq && self.row_kind(seq)? == RowKind::Expires {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What an item of `row` has as its source: the release of the row `shown_by`, whose word it is.
    fn source_of(
        &mut self,
        last: &mut Option<(u64, Arc<Source>)>,
        row: &LogRow,
        shown_by: u64,
    ) -> Result<Arc<Source>, StoreError> {
        if let Some((_, source)) = last.as_ref().filter(|(seq, _)| *seq == shown_by) {
            return Ok(Arc::clone(source));
        }
        let damaged = || StoreError::Corrupt { what: format!("row {shown_by} of the log") };
        let (named, release, manifest) = self.node.release_at(shown_by)?.ok_or_else(damaged)?;
        let provenance = self.provenance_of(&manifest, &release.contents)?;
        let source = Arc::new(Source { row: row.clone(), release: named.release, manifest, provenance });
        *last = Some((shown_by, Arc::clone(&source)));
        Ok(source)
    }

    /// The CERTs whose word on a content the reader may see and nothing stands against. Blocks.
    pub(crate) fn origins_of(&mut self, content: ContentId) -> Result<Vec<CertId>, StoreError> {
        let mut origins = Vec::new();
        for seq in self.node.store.rows_of(content)? {
            if self.is_shown_at(seq, content)?
                && let Some((_, release, manifest)) = self.node.sound_release_at(seq)?
            {
                origins.push(self.provenance_of(&manifest, &release.contents)?.origin);
            }
        }
        Ok(origins)
    }
}

//! The feed: the log as readers see it, one line for each object that they may see, each object once.
//!
//! A row of the log is a release. An object is shown at the first row that names it and that the reader may see, so
//! it comes once, however many releases name it. What is held (see `standing`) is not shown; a row that takes something
//! back tells readers to drop what no row shows them any more.

mod shown;

use std::{
    collections::HashMap,
    fmt::{self, Write},
    str::FromStr,
    sync::Arc,
};

use mithaq_core::{
    body::Facts,
    id::{CertId, ContentId, ReleaseId, to_hex},
    release::{Kind, Manifest, SignedRelease},
    stix::{marking::Tlp, object::Object},
};
use mithaq_store::{LogRow, StoreError};

use crate::{
    node::Node,
    standing::{self, Hold},
};

/// How many rows of the log are read at a time.
const ROWS: usize = 64;

/// What a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visibility {
    /// The strictest TLP level.
    pub(crate) tlp_max: Tlp,
}

impl Visibility {
    /// Everything: for the CERT's own analysts.
    pub(crate) const ALL: Self = Self { tlp_max: Tlp::Red };

    fn allows(self, manifest: &Manifest) -> bool {
        manifest.label.level() <= self.tlp_max
    }
}

/// A place in the feed: the next object to show. Written `STORE-ROW-POSITION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The row of the log, from 1.
    pub(crate) row: u64,
    /// The position in the row's release.
    pub(crate) position: usize,
}

impl Place {
    /// Before everything.
    pub(crate) const START: Self = Self { row: 1, position: 0 };

    /// Behind a row.
    fn behind(row: &LogRow) -> Self {
        Self { row: row.seq + 1, position: 0 }
    }
}

/// A cursor as readers hold it: a place and the store that it is a place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    store: String,
    place: Place,
}

/// Why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CursorError {
    #[error("the cursor is malformed: take the \"cursor\" of the last line as it stands there")]
    Malformed,
    #[error("the cursor is of another store, or of a later state of this one: start again without one")]
    Foreign,
}

/// The part of a store's id that cursors carry.
fn store_tag(node: &Node) -> String {
    to_hex(&node.store.id().as_bytes()[..8])
}

impl Cursor {
    /// The cursor for a place in our store.
    pub(crate) fn new(node: &Node, place: Place) -> Self {
        Self { store: store_tag(node), place }
    }

    /// The place, if the cursor is of our store.
    pub(crate) fn place(&self, node: &Node) -> Result<Place, CursorError> {
        // A place that our log has not reached is of a store that was restored from an older backup.
        let is_ours = self.store == store_tag(node) && self.place.row <= node.store.head() + 1;
        if is_ours { Ok(self.place) } else { Err(CursorError::Foreign) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.store, self.place.row, self.place.position)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.split('-');
        let (Some(store), Some(row), Some(position), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(CursorError::Malformed);
        };
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if store.len() != 16 || !is_digits(row) || !is_digits(position) {
            return Err(CursorError::Malformed);
        }
        let row = row.parse().ok().filter(|row| *row > 0).ok_or(CursorError::Malformed)?;
        let position = position.parse().map_err(|_| CursorError::Malformed)?;
        Ok(Self { store: store.to_owned(), place: Place { row, position } })
    }
}

/// An object that a reader may see.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The place behind it.
    pub(crate) next: Place,
    /// When it was added, in microseconds since the Unix epoch; strictly increasing over the feed.
    pub(crate) added_micros: i64,
    /// Its release.
    pub(crate) release: Arc<Source>,
    /// Its content id.
    pub(crate) content: ContentId,
    /// What the reader is to do.
    pub(crate) what: What,
}

/// What a reader is to do with an object.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Take it in; its canonical bytes.
    Put(Vec<u8>),
    /// Drop it.
    Withdraw {
        /// Its STIX id.
        stix_id: String,
        /// Why, for people.
        reason: String,
    },
}

impl Item {
    /// The object's canonical bytes, unless it is to be dropped.
    pub(crate) fn into_body(self) -> Option<Vec<u8>> {
        match self.what {
            What::Put(body) => Some(body),
            What::Withdraw { .. } => None,
        }
    }
}

/// The release that an item came with.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) row: LogRow,
    pub(crate) manifest: Manifest,
    /// Whose word it is: the signer's, or that of the CERT whose object an operator accepted.
    pub(crate) origin: CertId,
}

/// Reads the feed for one reader.
pub(crate) struct Feed {
    node: Arc<Node>,
    visibility: Visibility,
    /// The release of each row that shows objects to the reader, as far as it had to be looked up.
    visible_rows: HashMap<u64, Option<ReleaseId>>,
}

/// The most rows whose visibility is remembered.
const VISIBLE_ROWS_MAX: usize = 65_536;

impl Feed {
    /// A reader with these rights.
    pub(crate) fn new(node: Arc<Node>, visibility: Visibility) -> Self {
        Self { node, visibility, visible_rows: HashMap::new() }
    }

    /// Reads at most `limit` items, 1 or more, all of one release, from `place` on: returns them and the place to go on
    /// from. No items mean that the end was reached. Blocks.
    pub(crate) fn read(&mut self, place: Place, limit: usize) -> Result<(Vec<Item>, Place), StoreError> {
        let mut next = place;
        loop {
            let rows = self.node.store.log(next.row - 1, ROWS)?;
            if rows.is_empty() {
                return Ok((Vec::new(), next));
            }
            for row in rows {
                next = next.max(Place { row: row.seq, position: 0 });
                while next.row == row.seq {
                    let (items, behind) = self.read_sound_row(&row, next.position, limit.max(1))?;
                    next = behind;
                    if !items.is_empty() {
                        return Ok((items, next));
                    }
                }
            }
        }
    }

    /// Reads a row; a damaged one is named in the log and shows nothing, and holds up nothing behind it.
    fn read_sound_row(&mut self, row: &LogRow, start: usize, limit: usize) -> Result<(Vec<Item>, Place), StoreError> {
        match self.read_row(row, start, limit) {
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(what, row.seq, "a damaged release is not shown: run `mithaq store check`");
                Ok((Vec::new(), Place::behind(row)))
            }
            read => read,
        }
    }

    /// Reads bodies; a damaged one is named in the log and left out.
    fn sound_bodies(&self, contents: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        match self.node.store.bodies(contents) {
            Err(StoreError::Corrupt { .. }) if contents.len() > 1 => {
                let one_by_one = contents.chunks(1).map(|content| self.sound_bodies(content));
                Ok(one_by_one.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(what, "a damaged object is not shown: run `mithaq store check`");
                Ok(vec![None])
            }
            read => read,
        }
    }

    /// Reads at most `limit` items of a row, and returns the place behind the last object that was looked at.
    fn read_row(&mut self, row: &LogRow, start: usize, limit: usize) -> Result<(Vec<Item>, Place), StoreError> {
        let damaged = || StoreError::Corrupt { what: format!("release {}", row.release.fmt_short()) };
        // One that is not there was purged since.
        let Some((_, release)) = self.node.store.release(row.release)? else {
            return Ok((Vec::new(), Place::behind(row)));
        };
        let manifest = release.stored_manifest().map_err(|_| damaged())?;
        if manifest.kind.has_notice() {
            return self.read_notice(row, &release, manifest, start, limit);
        }
        if !self.visibility.allows(&manifest) {
            return Ok((Vec::new(), Place::behind(row)));
        }
        let holds = self.node.standing.holds(&*self.node.store, row.release)?;
        let mut next = Place::behind(row);
        let mut shown = Vec::new();
        for (position, content) in release.contents.iter().enumerate().skip(start) {
            if shown.len() == limit {
                next = Place { row: row.seq, position };
                break;
            }
            let is_new = row.all_new || !self.was_shown_before(*content, row.seq)?;
            if is_new && !holds.contains_key(content) {
                shown.push((position, *content));
            }
        }
        let contents: Vec<_> = shown.iter().map(|(_, content)| *content).collect();
        let bodies = self.sound_bodies(&contents)?;
        let origin = self.origin_of(&manifest, &contents)?;
        let source = Arc::new(Source { row: row.clone(), manifest, origin });
        let length = release.contents.len();
        let items = shown.into_iter().zip(bodies).filter_map(|((position, content), body)| {
            let body = body.filter(|body| row.all_new || is_covered(&source, content, body))?;
            Some(item(&source, position, length, content, What::Put(body)))
        });
        Ok((items.collect(), next))
    }

    /// Whose word the objects of a release are.
    fn origin_of(&self, manifest: &Manifest, contents: &[ContentId]) -> Result<CertId, StoreError> {
        if let (Kind::Accept, Some(content)) = (manifest.kind, contents.first()) {
            for seq in self.node.store.rows_of(*content)? {
                if let Some((_, _, manifest)) = self.node.release_at(seq)? {
                    return Ok(manifest.origin);
                }
            }
        }
        Ok(manifest.origin)
    }

    /// Reads a row that takes contents back or has readers look again: those that this row had taken from the reader,
    /// and that no other row shows it, are to be dropped.
    fn read_notice(
        &mut self,
        row: &LogRow,
        release: &SignedRelease,
        mut manifest: Manifest,
        start: usize,
        limit: usize,
    ) -> Result<(Vec<Item>, Place), StoreError> {
        // It has the strictest label of all that it takes back, of which this reader was shown a part at most.
        manifest.label.tlp = manifest.label.tlp.min(self.visibility.tlp_max);
        let Some(content) = release.contents.first() else { return Ok((Vec::new(), Place::behind(row))) };
        let Some(notice) = standing::notice_of(&self.node, *content, &[])? else {
            return Ok((Vec::new(), Place::behind(row)));
        };
        let (origin, length) = (manifest.origin, notice.contents.len());
        let source = Arc::new(Source { row: row.clone(), manifest, origin });
        let mut items = Vec::new();
        for (position, content) in notice.contents.iter().enumerate().skip(start) {
            if items.len() == limit {
                return Ok((items, Place { row: row.seq, position }));
            }
            if let Some(hold) = self.taken_by(*content, row.release)? {
                let what = What::Withdraw { stix_id: hold.stix_id, reason: hold.note };
                items.push(item(&source, position, length, *content, what));
            }
        }
        Ok((items, Place::behind(row)))
    }

    /// The hold by which a release took a content from this reader, if nothing shows it the content any more.
    fn taken_by(&mut self, content: ContentId, by: ReleaseId) -> Result<Option<Hold>, StoreError> {
        let mut taken = None;
        for row in self.node.store.rows_of(content)? {
            let Some(release) = self.visible(row)? else { continue };
            match self.node.standing.hold(&*self.node.store, release, content)? {
                None => return Ok(None),
                Some(hold) if hold.by == Some(by) => taken = Some(hold),
                Some(_) => {}
            }
        }
        Ok(taken)
    }

    /// Whether the reader may see this content.
    pub(crate) fn shows(&mut self, content: ContentId) -> Result<bool, StoreError> {
        Ok(self.first_row_of(content)?.is_some())
    }

    /// When this content was added, as [`Item::added_micros`]; `None` if the reader may not see it.
    pub(crate) fn added_micros(&mut self, content: ContentId) -> Result<Option<i64>, StoreError> {
        let Some(seq) = self.first_row_of(content)? else { return Ok(None) };
        let damaged = || StoreError::Corrupt { what: format!("row {seq} of the log") };
        let (row, release, _) = self.node.release_at(seq)?.ok_or_else(damaged)?;
        let position = release.contents.binary_search(&content).map_err(|_| damaged())?;
        Ok(Some(added_micros(&row, position)))
    }

    /// The row at which the reader is shown this content.
    fn first_row_of(&mut self, content: ContentId) -> Result<Option<u64>, StoreError> {
        for row in self.node.store.rows_of(content)? {
            if self.is_shown_at(row, content)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Whether a row before `seq` shows the reader this content.
    fn was_shown_before(&mut self, content: ContentId, seq: u64) -> Result<bool, StoreError> {
        let rows = self.node.store.rows_of(content)?;
        for row in rows.into_iter().take_while(|row| *row < seq) {
            if self.is_shown_at(row, content)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a row that names this content shows it to the reader.
    fn is_shown_at(&mut self, row: u64, content: ContentId) -> Result<bool, StoreError> {
        let Some(release) = self.visible(row)? else { return Ok(false) };
        Ok(self.node.standing.hold(&*self.node.store, release, content)?.is_none())
    }

    /// The release of a row, if the row shows objects to the reader.
    fn visible(&mut self, seq: u64) -> Result<Option<ReleaseId>, StoreError> {
        if let Some(visible) = self.visible_rows.get(&seq) {
            return Ok(*visible);
        }
        // What cannot be read is not shown, so it has shown nothing before either.
        let visible = match self.node.release_at(seq) {
            Ok(release) => release
                .filter(|(_, _, manifest)| !manifest.kind.has_notice() && self.visibility.allows(manifest))
                .map(|(row, ..)| row.release),
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        if self.visible_rows.len() >= VISIBLE_ROWS_MAX {
            self.visible_rows.clear();
        }
        self.visible_rows.insert(seq, visible);
        Ok(visible)
    }
}

/// An item of a row whose release, or notice, names `length` contents.
fn item(source: &Arc<Source>, position: usize, length: usize, content: ContentId, what: What) -> Item {
    let row = &source.row;
    let next = if position + 1 < length { Place { row: row.seq, position: position + 1 } } else { Place::behind(row) };
    Item { next, added_micros: added_micros(row, position), release: Arc::clone(source), content, what }
}

/// When the object at this position of a row's release was added.
fn added_micros(row: &LogRow, position: usize) -> i64 {
    row.added_at.as_micros().saturating_add(i64::try_from(position).unwrap_or(i64::MAX))
}

/// Whether a release's label is as strict as what an object says of itself.
///
/// Bodies that travel are checked on arrival; one that was held already is checked here, or a release could show an
/// object under a looser label than its own.
fn is_covered(source: &Source, content: ContentId, body: &[u8]) -> bool {
    let label = &source.manifest.label;
    let covered = Object::parse(body).is_ok_and(|object| Facts::of(&object).is_covered_by(label));
    if !covered {
        let (object, release) = (content.fmt_short(), source.row.release.fmt_short());
        tracing::warn!(object, release, "an object is marked more strictly than a release that names it: not shown");
    }
    covered
}

/// Writes items as lines of the stream, each with its cursor.
pub(crate) fn write_lines(node: &Node, items: &[Item], out: &mut Vec<u8>) {
    let mut head = String::new();
    for item in items {
        head.clear();
        let Source { row, manifest, origin } = &*item.release;
        // INVARIANT: writing to a string does not fail, and none of these values needs escaping in JSON.
        let _ = write!(
            head,
            r#"{{"cursor":"{}","op":"{}","added":"{}","origin":"{}","release":"{}","tlp":"{}","content":"{}","#,
            Cursor::new(node, item.next),
            operation(&item.what),
            mithaq_core::time::Time::from_micros(item.added_micros),
            origin,
            row.release,
            manifest.label.tlp,
            item.content,
        );
        out.extend_from_slice(head.as_bytes());
        match &item.what {
            What::Put(body) => {
                out.extend_from_slice(b"\"object\":");
                out.extend_from_slice(body);
            }
            What::Withdraw { stix_id, reason } => {
                let (id, reason) = (serde_json::json!(stix_id), serde_json::json!(reason));
                out.extend_from_slice(format!("\"id\":{id},\"reason\":{reason}").as_bytes());
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

/// What the reader is to do, as the stream names it. A revoked object is one that its owner calls so.
fn operation(what: &What) -> &'static str {
    /// Where a canonical object says so; a string that holds the same text has its quotes escaped.
    const REVOKED: &[u8] = b"\"revoked\":true";
    match what {
        What::Withdraw { .. } => "withdraw",
        What::Put(body) => {
            let may_be_revoked = memchr::memmem::find(body, REVOKED).is_some();
            let is_revoked = may_be_revoked && Object::parse(body).is_ok_and(|object| object.revoked());
            if is_revoked { "revoke" } else { "put" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text_and_nonsense_is_refused() {
        let cursor = Cursor { store: "0123456789abcdef".into(), place: Place { row: 7, position: 3 } };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "7-3", "0123456789abcdef-0-0", "0123456789abcdef-+7-3", "0123456789abcdef-7-3-1", "x-7-3"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError::Malformed), "{text}");
        }
    }
}

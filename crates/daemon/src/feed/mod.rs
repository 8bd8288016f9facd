//! The feed: the log as readers see it, one line for each object that they may see, each object once.
//!
//! A row of the log is a release. An object is shown at the first row that names it and that the reader may see, so
//! it comes once, however many releases name it. What is held (see `standing`) is not shown; a row that takes something
//! back tells readers to drop what no row shows them any more.

mod cursor;
mod echo;
mod lines;
mod shown;
mod version;
mod visibility;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mithaq_core::{
    body::Facts,
    id::{ContentId, ReleaseId},
    release::{Kind, Manifest, SignedRelease},
    stix::object::Object,
    time::Time,
};
use mithaq_store::{LogRow, StoreError};

use crate::{
    node::Node,
    standing::{self, Hold},
};
pub(crate) use cursor::{Cursor, CursorError, place_after};
pub(crate) use lines::{is_revoked, operation, write_line, write_lines};
pub(crate) use version::{Provenance, Rank, by_time};
pub(crate) use visibility::{Corroboration, Visibility};

/// How many rows of the log are read at a time.
const ROWS: usize = 64;

/// Of how many contents of a row it is asked together whether they are shown.
const CONTENTS: usize = 256;

/// How many objects are read at a time, and so for a chunk of what a reader is sent: few enough that a hundred readers that
/// stand still hold little memory. Each holds the chunk that it is being sent, and pieces of those before it.
pub(crate) const CHUNK_ITEMS: usize = 64;

/// How many bytes of bodies are read together, and [`CHUNK_ITEMS`] more at most: each of many readers holds as much.
const BYTES_MAX: usize = 256 * 1024;

/// A place in the feed: the next object to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The row of the log, from 1.
    pub(crate) row: u64,
    /// The position in the row's release.
    pub(crate) position: usize,
    /// Whether the object there was put already, and it is to be told only that it is over.
    pub(crate) was_put: bool,
}

impl Place {
    /// Before everything.
    pub(crate) const START: Self = Self::at(1, 0);

    /// Before a position of a row.
    pub(crate) const fn at(row: u64, position: usize) -> Self {
        Self { row, position, was_put: false }
    }

    /// Behind a row.
    fn behind(row: &LogRow) -> Self {
        Self::at(row.seq + 1, 0)
    }
}

/// An object that a reader may see.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its position in its row.
    pub(crate) position: usize,
    /// When it was added, in microseconds since the Unix epoch; strictly increasing over the feed.
    pub(crate) added_micros: i64,
    /// Its release.
    pub(crate) release: Arc<Source>,
    /// Its content id.
    pub(crate) content: ContentId,
    /// What the reader is to do.
    pub(crate) what: What,
    /// Whether the object is put although the time until which it is valid was over when it came; then an item that says
    /// so follows.
    pub(crate) was_over: bool,
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
    /// Act on it no more: the time until which it is valid is over.
    Expire {
        /// Its STIX id.
        stix_id: String,
    },
}

impl Item {
    /// The object's canonical bytes, unless it is to be dropped.
    pub(crate) fn into_body(self) -> Option<Vec<u8>> {
        match self.what {
            What::Put(body) => Some(body),
            What::Withdraw { .. } | What::Expire { .. } => None,
        }
    }

    /// The place right behind it in its row, as its cursor names it.
    pub(crate) fn behind(&self) -> Place {
        let at = Place::at(self.release.row.seq, self.position + 1);
        if self.was_over { Place { position: self.position, was_put: true, ..at } } else { at }
    }

    fn new(source: Arc<Source>, position: usize, content: ContentId, what: What) -> Self {
        let added_micros = added_micros(&source.row, position);
        Self { position, added_micros, release: source, content, what, was_over: false }
    }
}

/// The release that an item came with.
#[derive(Debug)]
pub(crate) struct Source {
    /// The row that shows the item.
    pub(crate) row: LogRow,
    /// The release whose word it is: that of the row, unless the row speaks again of what another brought.
    pub(crate) release: ReleaseId,
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// Whose word it is, and when it was published.
    pub(crate) provenance: Provenance,
}

/// What a row of the log is to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowKind {
    /// Nothing by itself: hidden, damaged, purged, or a notice.
    Hidden,
    /// It brings objects that the reader may see, by this release, which was published then.
    Brings { release: ReleaseId, published_at: Time },
    /// It shows the reader what enough CERTs have seen.
    Corroborates,
    /// It tells that contents are over.
    Expires,
}

/// A release and its manifest, as they were read last.
struct Opened {
    id: ReleaseId,
    release: Arc<SignedRelease>,
    manifest: Manifest,
}

/// Reads the feed for one reader.
pub(crate) struct Feed {
    node: Arc<Node>,
    visibility: Visibility,
    /// What rows are to the reader, as far as it had to be looked up.
    row_kinds: HashMap<u64, RowKind>,
    /// Whether the reader is shown objects of their kind, as far as it had to be looked up.
    admitted: HashMap<ContentId, bool>,
    /// The release that is being read, for readers that take it in small parts.
    opened: Option<Opened>,
}

/// The most rows, and the most contents, of which a reader remembers whether it may see them.
const REMEMBERED_MAX: usize = 16_384;

impl Feed {
    /// A reader with these rights.
    pub(crate) fn new(node: Arc<Node>, visibility: Visibility) -> Self {
        Self { node, visibility, row_kinds: HashMap::new(), admitted: HashMap::new(), opened: None }
    }

    /// Reads the items of at most `limit` objects, 1 or more, all of one release, from `place` on: returns them and the
    /// place to go on from. An object has two items at the most. No items mean that the end was reached. Blocks.
    pub(crate) fn read(&mut self, place: Place, limit: usize) -> Result<(Vec<Item>, Place), StoreError> {
        let mut next = place;
        loop {
            let rows = self.node.store.log(next.row - 1, ROWS)?;
            if rows.is_empty() {
                return Ok((Vec::new(), next));
            }
            for row in rows {
                next = next.max(Place::at(row.seq, 0));
                while next.row == row.seq {
                    let (items, behind) = self.read_sound_row(&row, next, limit.max(1))?;
                    next = behind;
                    if !items.is_empty() {
                        return Ok((items, next));
                    }
                }
            }
        }
    }

    /// Whether a release has counts of our own sightings, which our readers have in full.
    fn is_own_count(&self, manifest: &Manifest) -> bool {
        manifest.kind == Kind::Tally && manifest.origin == self.node.us
    }

    /// Reads a row; a damaged one is named in the log and shows nothing, and holds up nothing behind it.
    fn read_sound_row(&mut self, row: &LogRow, start: Place, limit: usize) -> Result<(Vec<Item>, Place), StoreError> {
        match self.read_row(row, start, limit) {
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(what, row.seq, "a damaged release is not shown: run `mithaq store check`");
                Ok((Vec::new(), Place::behind(row)))
            }
            read => read,
        }
    }

    /// The release of a row; `None` if it was purged since.
    fn open(&mut self, row: &LogRow) -> Result<Option<(Arc<SignedRelease>, Manifest)>, StoreError> {
        if let Some(opened) = self.opened.as_ref().filter(|opened| opened.id == row.release) {
            return Ok(Some((Arc::clone(&opened.release), opened.manifest.clone())));
        }
        let Some((_, release)) = self.node.store.release(row.release)? else { return Ok(None) };
        let damaged = |_| StoreError::Corrupt { what: format!("release {}", row.release.fmt_short()) };
        let manifest = release.stored_manifest().map_err(damaged)?;
        let release = Arc::new(release);
        self.opened = Some(Opened { id: row.release, release: Arc::clone(&release), manifest: manifest.clone() });
        Ok(Some((release, manifest)))
    }

    /// Reads the items of at most `limit` objects of a row, and returns the place behind the last object that was looked at.
    fn read_row(&mut self, row: &LogRow, start: Place, limit: usize) -> Result<(Vec<Item>, Place), StoreError> {
        let Some((release, manifest)) = self.open(row)? else { return Ok((Vec::new(), Place::behind(row))) };
        match manifest.kind {
            kind if kind.is_echo() => self.read_echo(row, &release, &manifest, start, limit),
            kind if kind.has_notice() => self.read_notice(row, &release, manifest, start.position, limit),
            _ => self.read_objects(row, &release, manifest, start, limit),
        }
    }

    /// Reads a row that brings objects.
    fn read_objects(
        &mut self,
        row: &LogRow,
        release: &SignedRelease,
        manifest: Manifest,
        start: Place,
        limit: usize,
    ) -> Result<(Vec<Item>, Place), StoreError> {
        let provenance = self.provenance_of(&manifest, &release.contents)?;
        // Who is shown what several CERTs have seen is shown it by rows of its own.
        let is_elsewhere = self.visibility.corroboration().is_some() || self.is_own_count(&manifest);
        if is_elsewhere || !self.visibility.allows(provenance.origin, &manifest) {
            return Ok((Vec::new(), Place::behind(row)));
        }
        let holds = self.node.standing.holds(&*self.node.store, row.release)?;
        let (shown, next) = self.shown_first(row, release, &holds, start.position, limit.min(CONTENTS))?;
        let source = Arc::new(Source { row: row.clone(), release: row.release, manifest, provenance });
        let (mut items, mut bytes) = (Vec::new(), 0);
        for part in shown.chunks(CHUNK_ITEMS) {
            let first = part.first().map_or(start.position, |(position, _)| *position);
            if bytes >= BYTES_MAX {
                return Ok((items, Place::at(row.seq, first)));
            }
            let contents: Vec<_> = part.iter().map(|(_, content)| *content).collect();
            for ((position, content), body) in part.iter().zip(self.node.sound_bodies(&contents)?) {
                let body = body.filter(|body| row.all_new || is_covered(&source, *content, body));
                if let Some(body) = body.filter(|body| self.visibility.admits(body)) {
                    bytes += body.len();
                    let item = Item::new(Arc::clone(&source), *position, *content, What::Put(body));
                    self.put(item, start, &mut items)?;
                }
            }
        }
        Ok((items, next))
    }

    /// Forgets what it remembers of the log and can look up again: a reader that waits holds no more than its place.
    pub(crate) fn rest(&mut self) {
        self.row_kinds = HashMap::new();
        self.admitted = HashMap::new();
        self.opened = None;
    }

    /// At most `limit` contents that a row is the first to show, with their positions, and the place behind them.
    fn shown_first(
        &mut self,
        row: &LogRow,
        release: &SignedRelease,
        holds: &BTreeMap<ContentId, Hold>,
        start: usize,
        limit: usize,
    ) -> Result<(Vec<(usize, ContentId)>, Place), StoreError> {
        let mut shown = Vec::new();
        for (position, content) in release.contents.iter().enumerate().skip(start) {
            if shown.len() == limit {
                return Ok((shown, Place::at(row.seq, position)));
            }
            let is_new = row.all_new || !self.was_shown_before(*content, row.seq)?;
            if is_new && !holds.contains_key(content) {
                shown.push((position, *content));
            }
        }
        Ok((shown, Place::behind(row)))
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
        manifest.label.tlp = manifest.label.tlp.min(self.visibility.tlp_max());
        let Some(content) = release.contents.first() else { return Ok((Vec::new(), Place::behind(row))) };
        let Some(notice) = standing::notice_of(&self.node, *content, &[])? else {
            return Ok((Vec::new(), Place::behind(row)));
        };
        let provenance = Provenance::of(&manifest);
        let source = Arc::new(Source { row: row.clone(), release: row.release, manifest, provenance });
        let mut items = Vec::new();
        for (position, content) in notice.contents.iter().enumerate().skip(start) {
            if items.len() == limit {
                return Ok((items, Place::at(row.seq, position)));
            }
            if let Some(hold) = self.taken_by(row, *content)? {
                let what = What::Withdraw { stix_id: hold.stix_id, reason: hold.note };
                items.push(Item::new(Arc::clone(&source), position, *content, what));
            }
        }
        Ok((items, Place::behind(row)))
    }

    /// The hold by which a row took a content from this reader, if nothing shows it the content any more.
    fn taken_by(&mut self, by: &LogRow, content: ContentId) -> Result<Option<Hold>, StoreError> {
        let mut taken = None;
        let mut was_shown = self.visibility.corroboration().is_none();
        for row in self.node.store.rows_of(content)? {
            let release = match self.row_kind(row)? {
                RowKind::Brings { release, .. } => release,
                kind => {
                    was_shown |= kind == RowKind::Corroborates && row < by.seq;
                    continue;
                }
            };
            match self.node.standing.hold(&*self.node.store, release, content)? {
                None => return Ok(None),
                Some(hold) if hold.by == Some(by.release) => taken = Some(hold),
                Some(_) => {}
            }
        }
        Ok(taken.filter(|hold| was_shown && self.visibility.admitted(&hold.kinds)))
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
        let Some(row) = self.source_row(content)? else { return Ok(None) };
        if !self.admits(content)? {
            return Ok(None);
        }
        match self.visibility.corroboration() {
            None => Ok(Some(row)),
            Some(_) => self.corroborated_at(content, row),
        }
    }

    /// The first row that brings this content, that the reader may see, and that nothing stands against.
    pub(crate) fn source_row(&mut self, content: ContentId) -> Result<Option<u64>, StoreError> {
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

    /// Whether a row that names this content brings it to the reader.
    pub(crate) fn is_shown_at(&mut self, row: u64, content: ContentId) -> Result<bool, StoreError> {
        let RowKind::Brings { release, .. } = self.row_kind(row)? else { return Ok(false) };
        Ok(self.node.standing.hold(&*self.node.store, release, content)?.is_none())
    }

    /// Whether the reader is shown objects of this one's kind.
    fn admits(&mut self, content: ContentId) -> Result<bool, StoreError> {
        if !self.visibility.picks_objects() {
            return Ok(true);
        }
        if let Some(admitted) = self.admitted.get(&content) {
            return Ok(*admitted);
        }
        let body = self.node.sound_bodies(&[content])?.pop().flatten();
        let admitted = body.is_some_and(|body| self.visibility.admits(&body));
        make_room(&mut self.admitted);
        self.admitted.insert(content, admitted);
        Ok(admitted)
    }

    /// What a row is to the reader.
    fn row_kind(&mut self, seq: u64) -> Result<RowKind, StoreError> {
        if let Some(kind) = self.row_kinds.get(&seq) {
            return Ok(*kind);
        }
        // What cannot be read is not shown, so it has shown nothing before either.
        let kind = match self.node.release_at(seq) {
            Ok(Some((row, release, manifest))) => self.judge_row(&row, &release, &manifest)?,
            Ok(None) | Err(StoreError::Corrupt { .. }) => RowKind::Hidden,
            Err(error) => return Err(error),
        };
        make_room(&mut self.row_kinds);
        self.row_kinds.insert(seq, kind);
        Ok(kind)
    }

    fn judge_row(&self, row: &LogRow, release: &SignedRelease, manifest: &Manifest) -> Result<RowKind, StoreError> {
        Ok(match manifest.kind {
            Kind::Expire => RowKind::Expires,
            Kind::Corroborate if self.is_corroborated_by(manifest) => RowKind::Corroborates,
            Kind::Publish | Kind::Tally | Kind::Accept if !self.is_own_count(manifest) => {
                let Provenance { origin, published_at } = self.provenance_of(manifest, &release.contents)?;
                match self.visibility.allows(origin, manifest) {
                    true => RowKind::Brings { release: row.release, published_at },
                    false => RowKind::Hidden,
                }
            }
            _ => RowKind::Hidden,
        })
    }
}

/// Forgets everything before a table grows over its bound.
fn make_room<K, V>(table: &mut HashMap<K, V>) {
    if table.len() >= REMEMBERED_MAX {
        table.clear();
    }
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

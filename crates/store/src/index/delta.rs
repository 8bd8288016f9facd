//! What one frame adds to the index: made by the committer for a new frame, and by recovery for one read back.

use std::collections::BTreeSet;

use mithaq_core::{
    body::{Body, Facts},
    id::{ContentId, ReleaseId},
};

use super::{
    dense::{Extent, Row},
    ordered::{self, TableKey},
    table::{Key, Table, content_key, reference_key, release_key, version_key},
};
use crate::{
    pack::record::{PurgedRelease, StateRecord},
    query,
};

/// How many postings a body has, mostly.
const POSTINGS_OF_BODY: usize = 3;

/// What the index needs to know of a body.
#[derive(Debug, Clone)]
pub(crate) struct BodyKeys {
    pub(crate) content: ContentId,
    bytes: u64,
    version: Key,
    /// Most bodies have one term, which needs no memory of its own.
    term: Option<TableKey>,
    more_terms: Vec<TableKey>,
}

impl BodyKeys {
    pub(crate) fn of(body: &Body) -> Self {
        Self::new(body.id(), body.bytes().len() as u64, body.facts())
    }

    fn new(content: ContentId, bytes: u64, facts: &Facts) -> Self {
        let keys = query::terms(facts).map(|term| ordered::keys(&term));
        let mut terms = keys.flat_map(|(exact, second)| [Some(exact), second]).flatten();
        let term = terms.next();
        let mut more_terms: Vec<_> = terms.filter(|other| Some(*other) != term).collect();
        more_terms.sort_unstable();
        more_terms.dedup();
        Self { content, bytes, version: version_key(&facts.stix_id), term, more_terms }
    }

    fn terms(&self) -> impl Iterator<Item = &TableKey> {
        self.term.iter().chain(&self.more_terms)
    }
}

/// All copies of a content.
#[derive(Debug)]
pub(crate) struct Copies {
    pub(crate) ordinals: Vec<u64>,
    /// How many of them are counted as objects: staged ones are not.
    pub(crate) shown: u64,
}

/// Everything that one frame adds.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    pub(super) postings: Vec<(Table, Key, u64)>,
    pub(super) rows: Vec<Row>,
    pub(super) bodies: Vec<Extent>,
    pub(super) releases: Vec<Extent>,
    pub(super) state: Vec<StateRecord>,
    pub(super) objects: u64,
    pub(super) body_bytes: u64,
    pub(super) next_ordinal: u64,
    /// Ordinals and rows that are gone from here on.
    pub(super) gone: Vec<u64>,
    pub(super) gone_rows: Vec<u64>,
    /// Ordinals of bodies that no release names yet, and of those that one has taken.
    pub(super) staged: Vec<u64>,
    pub(super) adopted: BTreeSet<u64>,
    /// What the counters lose by it.
    pub(super) lost: Lost,
}

/// What the counters lose.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) tombstones: u64,
    pub(super) objects: u64,
    pub(super) body_bytes: u64,
    pub(super) releases: u64,
    pub(super) references: u64,
}

impl Delta {
    /// Makes room for so many bodies more.
    pub(crate) fn reserve(&mut self, bodies: usize) {
        self.postings.reserve(bodies * POSTINGS_OF_BODY);
    }

    /// A body that the store did not have.
    pub(crate) fn add_body(&mut self, ordinal: u64, keys: &BodyKeys) {
        self.postings.push((Table::Contents, content_key(&keys.content), ordinal));
        self.show_body(ordinal, keys);
    }

    /// A body that was added is counted already: it comes in place of a damaged copy.
    pub(crate) fn replaces_damaged(&mut self, keys: &BodyKeys) {
        self.lost.objects += 1;
        self.lost.body_bytes += keys.bytes;
    }

    /// A body that no release names yet.
    pub(crate) fn stage(&mut self, ordinal: u64, content: &ContentId) {
        self.postings.push((Table::Contents, content_key(content), ordinal));
        self.staged.push(ordinal);
    }

    /// A staged body that a release now names.
    pub(crate) fn adopt(&mut self, ordinal: u64, keys: &BodyKeys) {
        self.adopted.insert(ordinal);
        self.show_body(ordinal, keys);
    }

    /// Whether a release of the frame has taken a staged body.
    pub(crate) fn has_adopted(&self, ordinal: u64) -> bool {
        self.adopted.contains(&ordinal)
    }

    /// Lets a body be found and counted.
    fn show_body(&mut self, ordinal: u64, keys: &BodyKeys) {
        self.postings.push((Table::Versions, keys.version, ordinal));
        self.postings.extend(keys.terms().map(|(table, key)| (*table, *key, ordinal)));
        self.objects += 1;
        self.body_bytes += keys.bytes;
    }

    /// The next row; `others` are the contents that it names and did not bring.
    pub(crate) fn add_row<'a>(&mut self, seq: u64, row: Row, others: impl Iterator<Item = &'a ContentId>) {
        self.postings.push((Table::Releases, release_key(&ReleaseId::from_bytes(row.release)), seq));
        self.postings.extend(others.map(|content| (Table::References, reference_key(content), seq)));
        self.rows.push(row);
    }

    /// A row that was lost to damage: its number stays taken.
    pub(crate) fn add_hole(&mut self, first: u64) {
        self.rows.push(Row::hole(first));
    }

    /// A row that was purged before the packs were written anew.
    pub(crate) fn add_purged_row(&mut self, seq: u64, row: PurgedRelease) {
        let PurgedRelease { added_at, first, stored, objects } = row;
        self.rows.push(Row { release: [0; 32], added_at, first, stored, objects, all_new: false });
        self.gone_rows.push(seq);
    }

    /// A body that is in the packs and will never be read: another copy of it counts.
    pub(crate) fn discard(&mut self, ordinal: u64) {
        self.gone.push(ordinal);
    }

    /// Takes out all copies of a body, which had that many bytes. The tombstone's own ordinal goes on saying that the
    /// content was purged.
    pub(crate) fn purge_content(&mut self, tombstone: u64, content: &ContentId, copies: &Copies, bytes: u64) {
        self.postings.push((Table::Contents, content_key(content), tombstone));
        self.gone.push(tombstone);
        self.drop_copies(copies, bytes);
    }

    /// Takes out all copies of a body, which had that many bytes, and lets nothing tell that it was there.
    pub(crate) fn drop_copies(&mut self, copies: &Copies, bytes: u64) {
        self.gone.extend(&copies.ordinals);
        self.lost.tombstones += 1;
        self.lost.objects += copies.shown;
        self.lost.body_bytes += copies.shown * bytes;
    }

    /// Takes out staged bodies.
    pub(crate) fn drop_staged(&mut self, ordinals: impl Iterator<Item = u64>) {
        self.gone.extend(ordinals);
        self.lost.tombstones += 1;
    }

    /// Takes out a row.
    pub(crate) fn purge_row(&mut self, seq: u64, row: &Row) {
        self.gone_rows.push(seq);
        self.lost.tombstones += 1;
        if !row.is_hole() {
            self.lost.releases += 1;
            self.lost.references += u64::from(row.objects);
        }
    }

    /// A change of state.
    pub(crate) fn add_state(&mut self, record: StateRecord) {
        self.state.push(record);
    }

    /// A group of bodies.
    pub(crate) fn add_body_extent(&mut self, extent: Extent) {
        self.reserve_ordinals(extent.first + u64::from(extent.count));
        self.bodies.push(extent);
    }

    /// Bodies below `next` are numbered, even if they are damaged.
    pub(crate) fn reserve_ordinals(&mut self, next: u64) {
        self.next_ordinal = self.next_ordinal.max(next);
    }

    /// A group of releases.
    pub(crate) fn add_release_extent(&mut self, extent: Extent) {
        self.releases.push(extent);
    }
}

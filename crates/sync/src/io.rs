//! What goes into a session and what comes out of it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    body::Body,
    card::VerifiedCard,
    id::{CertId, ContentId, ContentPrefix, ReleaseId},
    receipt::{Status, VerifiedReceipt},
    release::{SignedRelease, VerifiedRelease},
    time::Time,
};

use crate::{
    brief::{Brief, BriefKey},
    fault::Fault,
    journal::{Chain, Cursor},
    sketch::{Cell, Compared, Digest, SketchKey},
    tail::Prompt,
    trees::{Branch, Late},
    wire::{Frame, Kind},
};

/// The streams of a session, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Bidirectional: hello, offers, wants, acknowledgements.
    Control,
    /// One each way: fresh releases that take something back.
    Urgent,
    /// One each way: fresh releases that travel with their bodies.
    Live,
    /// One each way: what was missed, and what is large.
    Backfill,
}

/// The time, by argument.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The wall clock, for dates.
    pub wall: Time,
    /// A clock that only grows, since any start, for timeouts.
    pub monotonic: Duration,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A frame arrived; its length was taken off.
    Received(Bytes),
    /// Answer to [`Output::OpenJournal`].
    JournalOpened {
        /// The entry after which the journal goes on for this peer: its cursor's, if the journal has that entry and
        /// its chain up to there is the cursor's; else 0.
        after: u64,
        /// The number of its last entry.
        head: u64,
    },
    /// Our journal towards the peer has grown.
    JournalGrew {
        /// The number of its last entry.
        head: u64,
    },
    /// Answer to [`Output::ReadJournal`].
    JournalRead {
        /// The entries after the one asked for, in order: at least one, and no more than were asked for.
        ids: Vec<ReleaseId>,
    },
    /// Answer to [`Output::ReadTail`].
    TailRead {
        /// The last entry that was looked at.
        through: u64,
        /// Those of them that are urgent, or small and no part of a bulk, in order.
        entries: Vec<Prompt>,
    },
    /// Answer to [`Output::LoadRelease`].
    ReleaseLoaded {
        /// The entry.
        index: u64,
        /// The release, if the rule still lets it go.
        release: Option<SignedRelease>,
        /// The card of its origin, if that is not ourselves.
        card: Option<Arc<VerifiedCard>>,
        /// All of its bodies, if they were asked for inline, are small and are no part of a bulk.
        inline: Option<Vec<Vec<u8>>>,
    },
    /// Answer to [`Output::LoadBodies`].
    BodiesLoaded {
        /// The entry.
        index: u64,
        /// The first of the bodies asked for, in order, as many as [`group_bytes`](crate::group_bytes) lets go at a
        /// time, at least one; none if the rule lets them go no longer or they cannot be read.
        bodies: Vec<Vec<u8>>,
    },
    /// Answer to [`Output::CheckReleases`].
    ReleasesKnown {
        /// The number of the first entry.
        first: u64,
        /// Which of the releases we hold.
        known: Vec<bool>,
    },
    /// Answer to [`Output::FindReleases`].
    ReleasesFound {
        /// Each entry, and its release if we hold it and may say so.
        found: Vec<(u64, Option<ReleaseId>)>,
    },
    /// Answer to [`Output::ClaimRelease`].
    ReleaseClaimed {
        /// The entry.
        index: u64,
        /// Whether to ask for it.
        late: Late,
    },
    /// What the releases of a third origin that this session has brought tell of its place in that origin's tree.
    Placed {
        /// The origin.
        origin: CertId,
        /// What to tell the peer, or to make of it.
        branch: Branch,
    },
    /// Answer to [`Output::CheckBodies`].
    BodiesHeld {
        /// The entry.
        index: u64,
        /// The contents that we hold and may say so of, in the order asked for; `None` where there is none, or are
        /// more.
        held: Vec<Option<ContentId>>,
    },
    /// Answer to [`Output::CheckBodies`]: bodies are on their way from elsewhere, or enough was asked for.
    /// [`Input::BodiesHeld`] follows.
    BodiesElsewhere {
        /// The entry.
        index: u64,
    },
    /// These releases of [`Output::Store`] are durable.
    Stored {
        /// The entries, and what became of each release.
        entries: Vec<(u64, Status)>,
    },
    /// What [`Output::Stage`] gave is durable; another may come.
    Staged,
    /// Send the peer a document.
    SendDocument {
        /// What it is.
        kind: u32,
        /// It, at most [`DOCUMENT_BYTES_MAX`](crate::DOCUMENT_BYTES_MAX).
        body: Bytes,
    },
    /// A document of [`Output::Document`] was dealt with, and another may come.
    DocumentTaken,
    /// Answer to [`Output::SettleJournal`].
    JournalSettled {
        /// The number of our journal's last entry.
        head: u64,
    },
    /// Answer to [`Output::OpenSketch`].
    SketchOpened {
        /// The last entry that the sketch has.
        through: u64,
        /// The chain up to it.
        chain: Chain,
        /// The digest of the sketch.
        digest: Digest,
        /// Its first cells, as many as were asked for; none if there can be no sketch of this journal.
        cells: Vec<Cell>,
    },
    /// Answer to [`Output::ReadCells`].
    CellsRead {
        /// As many as were asked for.
        cells: Vec<Cell>,
    },
    /// Answer to [`Output::FindMarks`].
    MarksFound {
        /// The number of each entry, in the order asked for; `None` if the sketch has no such release.
        indexes: Vec<Option<u64>>,
    },
    /// Answer to [`Output::ReadEntries`].
    EntriesRead {
        /// The release of each entry, in the order asked for.
        ids: Vec<ReleaseId>,
    },
    /// Answer to [`Output::CompareSketch`].
    SketchCompared(Compared),
    /// The time has come that [`Session::wakes_at`](crate::Session::wakes_at) tells.
    Wake,
    /// Time has passed; to be given every second or so.
    Tick,
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// Send a frame.
    Send {
        /// On which stream.
        channel: Channel,
        /// The frame with its length.
        frame: Bytes,
    },
    /// The peer has said hello and where its journal goes on: its live and backfill streams may be read from here on.
    Established,
    /// The peer has said hello; what it holds of ours.
    Greeted(Greeting),
    /// The peer sent a document. It is to be answered with [`Input::DocumentTaken`].
    Document {
        /// What it is.
        kind: u32,
        /// It, unchecked.
        body: Bytes,
    },
    /// The peer has acknowledged releases with a receipt that verifies.
    Receipt(Box<VerifiedReceipt>),
    /// Find out where our journal goes on for a peer with this cursor.
    OpenJournal {
        /// The peer's cursor into it, if it has one.
        cursor: Option<Cursor>,
    },
    /// Read entries of our journal.
    ReadJournal {
        /// After this entry.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// Look for what need not wait among entries of our journal.
    ReadTail {
        /// After this entry.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// Wait, but not for ever, until the rule was asked of all that our log has now; then say how long the journal is.
    SettleJournal,
    /// Open the sketch of our journal up to this entry, and no further, with the number of its entry for each release:
    /// what comes behind may go ahead meanwhile.
    OpenSketch {
        /// The last entry of the sketch.
        through: u64,
        /// What short ids are made with.
        key: SketchKey,
        /// How many cells are needed first.
        cells: usize,
    },
    /// Read more of the cells of that sketch.
    ReadCells {
        /// The number of the first, from 0.
        from: usize,
        /// How many.
        count: usize,
    },
    /// Find the entries of that sketch with these short ids.
    FindMarks {
        /// The short ids.
        shorts: Vec<u64>,
    },
    /// Read these entries of our journal.
    ReadEntries {
        /// Their numbers, ascending.
        indexes: Vec<u64>,
    },
    /// Compare the peer's sketch with one of what we may say to the peer that we have: what
    /// [`Output::CheckReleases`] would say of each.
    CompareSketch {
        /// What short ids are made with.
        key: SketchKey,
        /// The first cells of the peer's sketch.
        cells: Vec<Cell>,
    },
    /// Load one of our releases, after asking the rule again.
    LoadRelease {
        /// The entry.
        index: u64,
        /// The release.
        id: ReleaseId,
        /// Whether to load its bodies too if it need not wait.
        inline: bool,
    },
    /// Load bodies of one of our releases, after asking the rule again.
    LoadBodies {
        /// The entry.
        index: u64,
        /// The release.
        release: ReleaseId,
        /// Which bodies.
        contents: Vec<ContentId>,
    },
    /// Find out which of these releases we hold. Only the peer's own count, as releases of others would let it find
    /// out what they gave us.
    CheckReleases {
        /// The number of the first entry.
        first: u64,
        /// The releases.
        ids: Vec<ReleaseId>,
    },
    /// Find among what [`Output::CheckReleases`] would say that we hold what was offered lazily.
    FindReleases {
        /// What briefs are made with.
        key: BriefKey,
        /// Each entry, and what stands for its release.
        offered: Vec<(u64, Brief)>,
    },
    /// Find out once more whether we hold a release and may say so, as [`Output::FindReleases`] does; if not, claim it
    /// in [`Trees`](crate::Trees).
    ClaimRelease {
        /// The entry.
        index: u64,
        /// What briefs are made with.
        key: BriefKey,
        /// What stands for the release.
        brief: Brief,
    },
    /// Find out which bodies we hold and may say so to this peer.
    CheckBodies {
        /// The entry.
        index: u64,
        /// The release that names them.
        release: ReleaseId,
        /// How their content ids begin.
        prefixes: Vec<ContentPrefix>,
    },
    /// Bodies of an entry came, and more of them are to come.
    BodiesCame {
        /// The entry.
        index: u64,
        /// How many.
        bodies: usize,
    },
    /// The peer has taken an entry back whose bodies were asked for.
    BodiesGone {
        /// The entry.
        index: u64,
    },
    /// Store a release, in the order of these outputs, durably.
    Store {
        /// The entry.
        index: u64,
        /// The release.
        release: Box<VerifiedRelease>,
        /// Those of its bodies that came.
        bodies: Vec<Body>,
        /// The card of its origin, if that is not the peer.
        card: Option<Arc<VerifiedCard>>,
        /// The cursor that holds once this and all before it are durable.
        cursor: Cursor,
        /// How it came.
        manner: Manner,
        /// Whether its bodies came with its manifest.
        inline: bool,
    },
    /// Keep bodies of releases that are not complete, so that they need not come again after a cut. Until all of a
    /// release is here nothing else may show them, only its peer may be told that they are held, and they may be
    /// dropped at any time: the [`Output::Store`] of their release brings them again. Answered with [`Input::Staged`].
    Stage(Vec<Part>),
    /// Store a cursor that moved without a release, in the order of these outputs. It may wait for the next release:
    /// a cursor that is lost costs one more offer, no more. It may go back, when the peer's journal has started anew.
    SaveCursor(Cursor),
    /// Close the connection.
    Close(Fault),
}

/// How a release came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It was asked for as soon as it was offered.
    Asked,
    /// It was offered lazily, and asked for since it did not come from elsewhere in time.
    AskedLate,
    /// Nobody asked for it.
    Unasked,
}

/// Bodies of a release that is not complete, all of them verified.
#[derive(Debug)]
pub struct Part {
    /// The release.
    pub release: ReleaseId,
    /// Those of its bodies that came since the last part.
    pub bodies: Vec<Body>,
}

/// What a peer's hello tells of what it holds of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The peer's store.
    pub store: [u8; 16],
    /// The serial of the peer's own card.
    pub card_serial: u64,
    /// The serial of our card that it holds.
    pub held_card_serial: u64,
    /// How many entries its ledger towards us has, by its own word.
    pub ledger_size: u64,
    /// The last checkpoint of our ledger towards it that it has accepted.
    pub seen: Option<Seen>,
}

/// The last checkpoint of a ledger that its reader has accepted, as a hello tells it: size (8, big-endian), store (4),
/// root (8). What is told of store and root is enough to tell an honest mistake; proofs are for checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its size.
    pub size: u64,
    /// The first bytes of the id of the store that the ledger lies in.
    pub store: [u8; 4],
    /// The first bytes of its root.
    pub root: [u8; 8],
}

impl Seen {
    /// What is told of a checkpoint.
    #[must_use]
    pub fn of(size: u64, store: &[u8; 16], root: &[u8; 32]) -> Self {
        let mut seen = Self { size, store: [0; 4], root: [0; 8] };
        seen.store.copy_from_slice(&store[..4]);
        seen.root.copy_from_slice(&root[..8]);
        seen
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [&self.size.to_be_bytes()[..], &self.store, &self.root].concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let (store, root) = rest.split_first_chunk::<4>()?;
        Some(Self { size: u64::from_be_bytes(*size), store: *store, root: root.try_into().ok()? })
    }
}

/// A queue of outputs that the halves of a session write to.
#[derive(Debug, Default)]
pub(crate) struct Outputs(VecDeque<Output>);

impl Outputs {
    /// Takes the first.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.0.pop_front()
    }

    /// Drops all that a session which is about to close does no longer do: only what was verified is still stored.
    pub(crate) fn retain_stores(&mut self) {
        self.0.retain(|output| {
            matches!(output, Output::Store { .. } | Output::Stage(_) | Output::SaveCursor(_) | Output::Receipt(_))
        });
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.0.push_back(output);
    }

    /// Queues a frame and says how many bytes it has on the wire.
    pub(crate) fn send(&mut self, channel: Channel, kind: Kind) -> usize {
        let frame = Frame::encode_with_length(kind);
        let bytes = frame.len();
        self.push(Output::Send { channel, frame });
        bytes
    }
}

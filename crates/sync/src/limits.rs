//! Every limit of the protocol. Those that bind the other side are told in the hello and enforced on both sides.

use std::time::Duration;

use mithaq_core::{body::BODY_BYTES_MAX, dsse::ENVELOPE_BYTES_MAX, release::RELEASE_OBJECTS_MAX};

/// The version of the protocol; ALPN `mithaq/1` carries the same number.
pub const PROTOCOL: u32 = 1;

/// The ALPN name.
pub const ALPN: &[u8] = b"mithaq/1";

/// The most bytes of one frame.
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The most bytes of a frame that carries neither a manifest nor bodies: reading it takes many times its size.
pub const CONTROL_FRAME_BYTES_MAX: usize = 64 * 1024;

/// The most bytes of a document: a card of the largest size, in its envelope.
pub const DOCUMENT_BYTES_MAX: usize = ENVELOPE_BYTES_MAX;

/// The most bytes of a frame with a document.
pub const DOCUMENT_FRAME_BYTES_MAX: usize = DOCUMENT_BYTES_MAX + 64;

/// The most documents that wait to be dealt with; more break the protocol.
pub const DOCUMENTS_OPEN_MAX: usize = 64;

/// The most third CERTs whose cards one session shows.
pub const ORIGINS_MAX: usize = 1_024;

/// The largest number of a journal's entry: whatever a peer says, what is added to a number does not overflow.
pub const INDEX_MAX: u64 = 1 << 63;

/// The most release ids in one offer.
pub const OFFER_IDS_MAX: usize = 1024;

/// The most entries of a journal between the oldest that the sink is not done with and the newest that it was told.
pub const OFFERS_OPEN_MAX: u64 = 4096;

/// The most entries that the sink takes beyond its window, so that what is urgent need not wait for what is old.
pub const AHEAD_MAX: u64 = 4096;

/// The most releases whose manifest was sent and which are not yet acknowledged.
pub const RELEASES_OPEN_MAX: usize = 256;

/// The most bytes of a backlog's manifests that go ahead of their bodies, but for those that are being loaded: on a slow link
/// the first body would wait for all of them.
pub const MANIFESTS_BYTES_MAX: usize = 1024 * 1024;

/// How many releases are loaded at a time before another of a backlog is: how large its manifest is shows only then.
pub const LOADING_MAX: usize = 32;

/// The most canonical bytes of bodies sent and not yet acknowledged.
pub const WINDOW_BYTES: usize = 16 * 1024 * 1024;

/// What of the window, where it is larger than the smallest, backfill leaves to releases that travel with their bodies.
pub const PROMPT_WINDOW_BYTES: usize = 2 * 1024 * 1024;

/// The smallest window that a peer may tell: a release of the largest size must fit, and beside it the group that
/// completes it, whatever that turns out to weigh.
pub const WINDOW_BYTES_MIN: usize = RELEASE_BYTES_MAX + GROUP_BYTES_MAX;

/// The most canonical bytes of all bodies of one release. Whoever signs a release must keep to it: a larger one can
/// be shared with nobody.
pub const RELEASE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many canonical bytes of bodies one group aims at where the link is fast or unknown; a larger body goes alone.
pub const GROUP_BYTES: usize = 256 * 1024;

/// How long one group may take on its way at the most, but for one of a single body: a cut wastes what came of a group that
/// is not whole.
pub const GROUP_TIME: Duration = Duration::from_secs(1);

/// The most unpacked bytes of one group: all but reached [`GROUP_BYTES`], then one body of the largest size, and the
/// lengths of as many bodies as a release may have.
pub const GROUP_BYTES_MAX: usize = GROUP_BYTES + BODY_BYTES_MAX + 4 * RELEASE_OBJECTS_MAX;

/// How many of the bytes before it each byte of a run may be told by. Both sides keep as many while a run lasts, and the side
/// that packs two megabytes beside them to search in.
pub const RUN_WINDOW_BYTES: usize = 512 * 1024;

/// How many canonical bytes of bodies are handed over for staging at a time; the body that reaches it is the last.
pub const STAGE_BYTES: usize = 1024 * 1024;

/// Up to this many canonical bytes the bodies of a fresh release travel with its manifest.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// The most entries on the way for which releases go out unasked; with more, they are offered first.
pub const EAGER_OPEN_MAX: usize = 64;

/// How long the other side may take to say hello and where its journal goes on.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other side may leave everything that it was asked for unanswered, beside the time that the link needs.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// What even the slowest link carries: 64 kbit/s.
pub const LINK_BYTES_PER_SECOND_MIN: u64 = 8 * 1024;

/// A journal of no more entries is offered whole: that costs less than finding out what of it is missing.
pub const RECONCILE_ENTRIES_MIN: u64 = 64;

/// The cells of the first frame of a sketch where both sides hold as many releases, which are most likely the same.
pub const CELLS_FIRST_EQUAL: usize = 8;

/// The fewest cells of the first frame of a sketch where one side holds more.
pub const CELLS_FIRST_MIN: usize = 32;

/// The most cells in one frame.
pub const CELLS_FRAME_MAX: usize = 4_096;

/// The most cells that a sink may ask for at a time.
pub const CELLS_WANT_MAX: usize = 32 * 1024;

/// The most short ids in one frame.
pub const SHORTS_FRAME_MAX: usize = 4_096;

/// How often a sink compares sketches before it asks for a list.
pub const COMPARISONS_MAX: usize = 16;

/// The most cells of a sketch: enough for 190,000 releases that differ. A larger difference is cheaper as a list.
pub const CELLS_MAX: usize = 256 * 1024;

/// For how long what one peer was asked for keeps others from being asked while nothing comes of that peer.
pub const CLAIM_TTL: Duration = Duration::from_secs(20);

/// For how long a release waits at the most for bodies that are on their way from another peer, however slowly they come.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often a sink that waits for bodies from elsewhere says so: well within [`STALL_TIMEOUT`].
pub const LATER_INTERVAL: Duration = Duration::from_secs(15);

/// How many bytes stand for a release in a lazy offer.
pub const BRIEF_BYTES: usize = 8;

/// How many of them are the first of its id.
pub const BRIEF_PREFIX_BYTES: usize = 4;

/// How many releases that begin alike a sink looks at to find the one that is offered. By chance there is hardly ever a second,
/// and each that someone makes costs them four billion hashes; of more the sink asks for what it may hold.
pub const BRIEF_ROWS_MAX: usize = 1_024;

/// For how long what is offered lazily rests with that of two sources whose CERT has the smaller id, so that one frame offers
/// what came in that time.
pub const LAZY_REST: Duration = Duration::from_millis(250);

/// For how long it rests with the other one, which most often hears meanwhile that its sink has it, and then offers nothing.
pub const LAZY_REST_LONG: Duration = Duration::from_millis(500);

/// How much less than that what goes along in the same frame may have rested.
pub const LAZY_SPAN: Duration = Duration::from_millis(125);

/// For how long a sink keeps its answer that it holds what was offered lazily, so that one frame tells of several.
pub const TWINS_WAIT: Duration = Duration::from_secs(1);

/// With so many such answers it waits no longer.
pub const TWINS_MAX: usize = 64;

/// How long what is offered lazily has to come from elsewhere at first, counted from when the source could have sent it: the
/// copy that comes unasked is most often on its way. Enough for a retransmission on a link of 300 ms.
pub const LAZY_WAIT: Duration = Duration::from_millis(500);

// What has rested for long is not waited for longer.
const _: () =
    assert!(LAZY_REST_LONG.as_millis() <= LAZY_WAIT.as_millis() && LAZY_REST.as_millis() < LAZY_REST_LONG.as_millis());

/// How long it waits at the most, once what it had asked for has come from elsewhere meanwhile again and again.
pub const LAZY_WAIT_MAX: Duration = Duration::from_secs(8);

/// For how long a release that one peer was asked for after such a wait is not asked of another.
pub const LAZY_CLAIM_TTL: Duration = Duration::from_secs(2);

/// How long a lazy offer waits at the most while others are asked; then it is answered whoever was asked.
pub const LAZY_ANSWER_MAX: Duration = Duration::from_secs(20);

/// The most releases that are claimed after such a wait, over all sessions; of more each session asks for itself.
pub const LAZY_CLAIMS_MAX: usize = 4_096;

/// How many needless copies in a row are put up with, at the most, from a peer that had to be asked again.
pub const COPIES_MAX: u32 = 8;

/// How many bodies one peer may owe while it has not shown how fast it is.
pub const CREDIT_BODIES_MIN: usize = 1024;

/// How many releases a session fetches at once while another waits for what it fetches: half of the releases that are
/// open, so that two peers with the same journal share the work.
pub const CONTESTED_OPEN_MAX: usize = RELEASES_OPEN_MAX / 2;

/// How many bytes name a dictionary: the first of its SHA-256.
pub const DICTIONARY_NAME_BYTES: usize = 8;

/// The most dictionaries that a hello lists.
pub const DICTIONARIES_MAX: usize = 16;

/// The most bytes of bodies that are packed with the dictionary. Beyond that a group teaches the compressor more than the
/// dictionary does, which would only cost time.
pub const DICTIONARY_GROUP_BYTES_MAX: usize = 32 * 1024;

//! The vectors of the protocol's document: one frame of each kind, and the signed formats, from fixed keys.
//!
//! `MITHAQ_VECTORS=write cargo test -p mithaq-sync` writes them anew; a change breaks every other implementation.

use std::{fmt::Write, path::Path, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    agreement::termination::{Termination, VerifiedTermination},
    canonical,
    dsse::pre_authentication_encoding,
    id::{AgreementId, ContentId, ReleaseId, StoreId, sha256, to_hex},
    notice::Notice,
    pairing::{GROUPS, PairingCode},
    receipt::{Journal, Receipt, ReceiptEntry, Status},
    release::{Kind as ReleaseKind, RELEASE_TYPE, ReleaseDraft, SignedRelease, VerifiedRelease},
};
use mithaq_sync::{
    Brief, Chain, Cursor, DICTIONARY, Input, Output, Seen, Session, Setup,
    sketch::{Cell, Sketch, SketchKey, compare},
    wire::{
        Ack, Bodies, Cells, Document, Frame, Gone, Kind, LazyOffer, Manifest, Missing, Offer, Reconcile, Rest, Start,
        Tree, Twins, Want, WantBodies, WantCells,
    },
};

use crate::{
    fixtures::{AGREEMENT, BRIEFS, Parcel, SECRET, at, cert, decode, green, object, parcel, setup, wall},
    lone::{bare, group, hello as hello_of_two, manifest, receipt, whole},
    runs::Pieces,
};

/// The release of the vectors: two objects of CERT 1.
fn example() -> Parcel {
    parcel(&cert(1), vec![object(1, 0), object(2, 0)])
}

fn cursor() -> Cursor {
    Cursor { store: [2; 16], index: 1, chain: Chain::START.after(example().id()) }
}

/// A release of CERT 3 that CERT 1 passes on: one object.
fn relayed() -> Parcel {
    parcel(&cert(3), vec![object(3, 0)])
}

/// The release by which CERT 1 takes back the first object of the example.
fn withdrawal() -> Parcel {
    let one = cert(1);
    let contents = example().release.contents()[..1].iter().copied().collect();
    let notice = Notice { contents, reason: "false positive".to_owned() }.to_body(wall()).unwrap();
    let draft = ReleaseDraft {
        kind: ReleaseKind::Withdraw,
        ..ReleaseDraft::publish(notice.facts().own_label(green().tlp), vec![notice.id()], wall())
    };
    let release = VerifiedRelease::sign(one.card.cert_id(), &one.signing, draft).unwrap();
    Parcel { release, bodies: vec![notice.bytes().to_vec()] }
}

/// The word of CERT 1 that it ends the agreement, in its envelope.
fn termination() -> Vec<u8> {
    let one = cert(1);
    let statement = Termination::new(AGREEMENT, one.card.cert_id(), wall(), "by mutual consent");
    VerifiedTermination::sign(statement, &one.signing).unwrap().envelope().to_json()
}

/// Our first frame as CERT 1, which has entries in its ledger and has accepted some of the peer's, from the session
/// itself.
fn hello() -> Bytes {
    let seen = Some(Seen::of(5, &[2; 16], &[0x55; 32]));
    let setup = Setup { held: 2, ledger_size: 3, seen, ..setup(1, &cert(2), Some(cursor())) };
    let mut session = Session::new(setup, at(Duration::ZERO));
    match session.poll_output() {
        Some(Output::Send { frame, .. }) => frame,
        other => panic!("no hello but {other:?}"),
    }
}

fn bodies(group: Bytes, dictionary: &[u8]) -> Bodies {
    Bodies { index: 1, group, dictionary: Bytes::copy_from_slice(dictionary), size: 0 }
}

/// The bodies of the example, packed with the dictionary.
fn group_with_dictionary() -> Bytes {
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, DICTIONARY).unwrap();
    compressor.include_dictid(false).unwrap();
    let member = |body: &Vec<u8>| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
    let members: Vec<_> = example().bodies.iter().map(member).collect();
    compressor.compress(&members.concat()).unwrap().into()
}

/// What CERT 1 offers lazily: the release of CERT 3, and two more.
fn lazy_offer() -> LazyOffer {
    let brief = |byte| BRIEFS.brief(ReleaseId::from_bytes([byte; 32]));
    LazyOffer::of(&[(2, BRIEFS.brief(relayed().id())), (3, brief(0x11)), (300, brief(0x22))])
}

/// CERT 2 holds the first and the last, and has the last as entry 70 of its own.
fn twins() -> Twins {
    Twins::of(&[(2, None), (300, Some(70))])
}

/// How CERT 2 takes what CERT 1 passes on of CERT 3.
fn tree(eager: bool) -> Tree {
    Tree { origin: Bytes::copy_from_slice(cert(3).card.cert_id().as_bytes()), eager }
}

fn frames() -> Vec<(&'static str, Bytes)> {
    let id = Bytes::copy_from_slice(example().id().as_bytes());
    let plain = manifest(1, &example());
    let inlined = whole(1, &example());
    let card = cert(3).card.envelope().to_json().into();
    let passed_on = Manifest { card, ..whole(2, &relayed()) };
    let (mut pieces, dictionary) = (Pieces::with_dictionary(), Bytes::copy_from_slice(&sha256(DICTIONARY)[..8]));
    let piece = Manifest { dictionary: dictionary.clone(), ..pieces.manifest(plain.clone()) };
    let encode = Frame::encode_with_length;
    vec![
        ("hello", hello()),
        ("start", encode(Kind::Start(Start { after: 0 }))),
        ("offer", encode(Kind::Offer(Offer { first: 1, ids: id.clone() }))),
        ("lazy-offer", encode(Kind::LazyOffer(lazy_offer()))),
        ("twins", encode(Kind::Twins(twins()))),
        ("want", encode(Kind::Want(Want { first: 1, bitmap: Bytes::from_static(&[0b1]), count: 1 }))),
        ("manifest", encode(Kind::Manifest(plain))),
        ("manifest-run", encode(Kind::Manifest(piece))),
        ("manifest-inline", encode(Kind::Manifest(inlined))),
        ("manifest-card", encode(Kind::Manifest(passed_on))),
        ("gone", encode(Kind::Gone(Gone { index: 1, id }))),
        ("want-bodies", encode(Kind::WantBodies(WantBodies { index: 1, bitmap: Bytes::from_static(&[0b11]) }))),
        ("want-later", encode(Kind::WantBodies(WantBodies { index: 1, bitmap: Bytes::from_static(&[0]) }))),
        ("bodies", encode(Kind::Bodies(bodies(group(&example().bodies), b"")))),
        ("bodies-dict", encode(Kind::Bodies(bodies(group_with_dictionary(), &dictionary)))),
        ("bodies-run", encode(Kind::Bodies(pieces.bodies(1, &example().bodies)))),
        ("rest", encode(Kind::Rest(Rest {}))),
        ("ack", encode(Kind::Ack(Ack { indexes: vec![1, 300], ..Ack::default() }))),
        ("receipt", encode(Kind::Ack(receipt(&[(1, example().id())])))),
        ("document", encode(Kind::Document(Document { kind: 4, body: termination().into() }))),
        ("reconcile", encode(Kind::Reconcile(reconcile()))),
        ("cells", encode(Kind::Cells(Cells { from: 4, cells: cells(4..6) }))),
        ("want-cells", encode(Kind::WantCells(WantCells { from: 4, count: 2 }))),
        ("missing", encode(Kind::Missing(missing()))),
        ("prune", encode(Kind::Tree(tree(false)))),
        ("graft", encode(Kind::Tree(tree(true)))),
        ("give-up", encode(Kind::Missing(Missing { give_up: true, ..Missing::default() }))),
    ]
}

/// The journal of which the vectors have a sketch: the example, and two releases whose ids are all that is known.
fn sketched_journal() -> [ReleaseId; 3] {
    [example().id(), ReleaseId::from_bytes([0x11; 32]), ReleaseId::from_bytes([0x22; 32])]
}

/// The key of what CERT 1 releases to CERT 2.
fn sketch_key() -> SketchKey {
    SketchKey::new(AGREEMENT, [0xf1; 16], [0xf2; 16])
}

fn sketch_of(releases: &[ReleaseId]) -> Sketch<()> {
    let mut sketch = Sketch::new();
    releases.iter().for_each(|release| assert!(sketch.insert(sketch_key().mark(*release), ())));
    sketch
}

fn cells(range: std::ops::Range<usize>) -> Bytes {
    Cell::write_all(sketch_of(&sketched_journal()).cells(range)).into()
}

fn reconcile() -> Reconcile {
    let journal = sketched_journal();
    let chain = journal.iter().fold(Chain::START, |chain, release| chain.after(*release));
    Reconcile {
        through: 3,
        chain: Bytes::copy_from_slice(chain.as_bytes()),
        digest: Bytes::copy_from_slice(&sketch_of(&journal).digest().to_bytes()),
        cells: cells(0..4),
    }
}

/// The answer of a sink that has all but the example.
fn missing() -> Missing {
    let shorts = Bytes::copy_from_slice(&sketch_key().mark(example().id()).short.to_be_bytes());
    Missing { shorts, last: true, give_up: false }
}

/// What the protocol's document shows of sketches.
fn sketches() -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name}: {value}").unwrap();
    let key = [b"mithaq-sketch/1\0", &AGREEMENT.as_bytes()[..], &[0xf1; 16], &[0xf2; 16]].concat();
    line("key of sketches", to_hex(&sha256(&key)));
    for release in sketched_journal() {
        let mark = sketch_key().mark(release);
        line("release", release.to_string());
        line("its short id and weight", format!("{:016x} {:016x}", mark.short, mark.digest));
        let mut alone = sketch_of(&[release]);
        let cells = alone.cells(0..200).iter().enumerate().filter(|(_, cell)| **cell != Cell::default());
        let cells: Vec<_> = cells.map(|(number, _)| number.to_string()).collect();
        line("its cells below 200", cells.join(" "));
        line("a cell of it alone", to_hex(&Cell::write_all(alone.cells(0..1))));
    }
    line("digest of all three", to_hex(&sketch_of(&sketched_journal()).digest().to_bytes()));
    text
}

/// What the protocol's document shows of the signed formats.
fn formats() -> String {
    let (one, two) = (cert(1), cert(2));
    let release = example();
    let signed: &SignedRelease = release.release.signed();
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name}: {value}").unwrap();
    line("root key of CERT 1", one.card.card().root.to_string());
    line("CertId of CERT 1", one.card.cert_id().to_string());
    line("CertId of CERT 2", two.card.cert_id().to_string());
    line("signing key of CERT 1", one.signing.public().to_string());
    line("KeyId of that key", one.signing.public().id().to_string());
    line("that key as SPKI", to_hex(&one.signing.public().to_spki_der()));
    for (id, body) in release.release.contents().iter().zip(&release.bodies) {
        line("body", String::from_utf8(body.clone()).unwrap());
        line("ContentId", id.to_string());
    }
    line("tree hash", release.release.manifest().tree.to_string());
    line("manifest", String::from_utf8(signed.manifest.clone()).unwrap());
    line("ReleaseId", release.id().to_string());
    let encoded = pre_authentication_encoding(RELEASE_TYPE, &signed.manifest);
    line("what is signed, its first 70 bytes", String::from_utf8(encoded[..70].to_vec()).unwrap());
    line("signature", to_hex(signed.signature.as_bytes()));
    let taken_back = withdrawal();
    line("notice that takes back the first", String::from_utf8(taken_back.bodies[0].clone()).unwrap());
    line("manifest of the withdrawal", String::from_utf8(taken_back.release.signed().manifest.clone()).unwrap());
    line("secret of the connection", to_hex(&SECRET));
    line("brief id of the release of CERT 3", to_hex(BRIEFS.brief(relayed().id()).as_bytes()));
    line("chain after it", to_hex(cursor().chain.as_bytes()));
    line("cursor at it, store 02...02", to_hex(&cursor().to_bytes()));
    let code = PairingCode::new(one.card.cert_id(), two.card.cert_id(), AGREEMENT);
    let groups: Vec<_> = (1..=GROUPS).map(|number| code.group(number).unwrap()).collect();
    line("agreement", AgreementId::to_string(&AGREEMENT));
    line("pairing code", groups.join(" "));
    line("receipt of CERT 2", receipt_document());
    let card = one.card.envelope().to_json();
    line("card of CERT 1", String::from_utf8(card).unwrap().trim_end().into());
    text
}

/// The receipt of the frame `receipt` as it rests in the ledger of CERT 1.
fn receipt_document() -> String {
    let (one, two) = (cert(1), cert(2));
    let journal = Journal { owner: one.card.cert_id(), store: StoreId::from_bytes([1; 16]), agreement: AGREEMENT };
    let entry = ReceiptEntry::from((1, example().id(), Status::Received));
    let receipt = Receipt::new(two.card.cert_id(), journal, vec![entry], wall()).unwrap();
    let signed = receipt.sign(&two.signing).unwrap().into_signed();
    String::from_utf8(canonical::to_vec(&signed).unwrap()).unwrap()
}

fn check(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    if std::env::var_os("MITHAQ_VECTORS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, kept, "{name} is not what it was");
}

#[test]
fn frames_are_what_they_were() {
    for (name, frame) in frames() {
        check(&format!("{name}.hex"), &format!("{}\n", to_hex(&frame)));
    }
}

#[test]
fn sketches_are_what_they_were() {
    check("sketches.txt", &sketches());
}

#[test]
fn signed_formats_are_what_they_were() {
    check("formats.txt", &formats());
}

/// The document's text, with its line ends.
fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/PROTOCOL.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_document_shows_the_vectors() {
    let document = document();
    for line in formats().lines().chain(sketches().lines()).filter(|line| !line.starts_with("card")) {
        assert!(document.contains(line), "it lacks {line:?}");
    }
    for (name, frame) in frames().into_iter().filter(|(_, frame)| frame.len() < 180) {
        let line = format!("{:13}{}\n", format!("{name}:"), to_hex(&frame));
        assert!(document.contains(&line), "it lacks {line:?}");
    }
}

#[test]
fn the_document_tells_the_limits() {
    let document = document();
    let row = |name: &str, value: u64| {
        let digits = value.to_string();
        let groups: Vec<_> =
            digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
        let start = format!("| {name} | {}", groups.join(","));
        assert!(document.contains(&start), "it lacks {start:?}");
    };
    let size = |value: usize| u64::try_from(value).unwrap();
    assert!(document.contains(&to_hex(&sha256(DICTIONARY)[..8])), "it lacks the dictionary's name");
    row("dictionaries in a hello", size(mithaq_sync::DICTIONARIES_MAX));
    row("frame", size(mithaq_sync::FRAME_BYTES_MAX));
    row("frame other than `Manifest`, `Bodies`, `Document`", size(mithaq_sync::CONTROL_FRAME_BYTES_MAX));
    row("frame with a `Document`", size(mithaq_sync::DOCUMENT_FRAME_BYTES_MAX));
    row("document", size(mithaq_sync::DOCUMENT_BYTES_MAX));
    row("documents that were not dealt with", size(mithaq_sync::DOCUMENTS_OPEN_MAX));
    row("third CERTs whose card one session shows", size(mithaq_sync::ORIGINS_MAX));
    row("recipients of one release", size(mithaq_core::release::RECIPIENTS_MAX));
    row("contents that one notice names", size(mithaq_core::notice::NOTICE_CONTENTS_MAX));
    row("reason of a notice", size(mithaq_core::notice::NOTICE_REASON_BYTES_MAX));
    row("ids in an offer", size(mithaq_sync::OFFER_IDS_MAX));
    row("entries in a lazy offer, and in `Twins`", size(mithaq_sync::OFFER_IDS_MAX));
    row("entries from the oldest unsettled to the newest named", mithaq_sync::OFFERS_OPEN_MAX);
    row("cells in one frame", size(mithaq_sync::CELLS_FRAME_MAX));
    row("cells that are asked for at a time", size(mithaq_sync::CELLS_WANT_MAX));
    row("cells of a sketch", size(mithaq_sync::CELLS_MAX));
    row("short ids in one frame", size(mithaq_sync::SHORTS_FRAME_MAX));
    row("comparisons before a sink gives up", size(mithaq_sync::COMPARISONS_MAX));
    row("entries named beyond those", mithaq_sync::AHEAD_MAX);
    row("releases whose manifest went and that are not acknowledged", size(mithaq_sync::RELEASES_OPEN_MAX));
    row("window: canonical bytes of bodies sent and not acknowledged", size(mithaq_sync::WINDOW_BYTES));
    row("smallest window that may be told", size(mithaq_sync::WINDOW_BYTES_MIN));
    row("bodies of one release", size(mithaq_sync::RELEASE_BYTES_MAX));
    row("objects of one release", size(mithaq_core::release::RELEASE_OBJECTS_MAX));
    row("manifest", size(mithaq_core::release::MANIFEST_BYTES_MAX));
    row("body", size(mithaq_core::body::BODY_BYTES_MAX));
    row("bodies inline", size(mithaq_sync::INLINE_BYTES_MAX));
    row("group, aimed at", size(mithaq_sync::GROUP_BYTES));
    row("group, unpacked, with lengths", size(mithaq_sync::GROUP_BYTES_MAX));
    row("window of a run", size(mithaq_sync::RUN_WINDOW_BYTES));
    row("date of a release ahead of the sink's clock", mithaq_core::release::CLOCK_SKEW_MAX.as_secs());
    row("hello and start", mithaq_sync::HELLO_TIMEOUT.as_secs());
    row("silence while an answer is due", mithaq_sync::STALL_TIMEOUT.as_secs());
}

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let text = std::fs::read_to_string(path.join(name)).unwrap();
    let digits = text.trim().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
}

/// Gives a session something and takes what comes of it.
fn give(session: &mut Session, input: Input) -> Vec<Output> {
    session.handle(input, at(Duration::ZERO));
    let outputs: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
    let closed = outputs.iter().find(|output| matches!(output, Output::Close(_)));
    assert!(closed.is_none(), "{closed:?}");
    outputs
}

fn hear(session: &mut Session, name: &str) -> Vec<Output> {
    give(session, Input::Received(bare(decode(&read(name)))))
}

/// Groups are compressed, and another version of zstd may compress otherwise: what counts is that they are read.
#[test]
fn the_vectors_are_understood() {
    // A session of CERT 2 that hears CERT 1.
    let setup = Setup { third_party: true, ..setup(2, &cert(1), None) };
    let mut session = Session::new(setup, at(Duration::ZERO));
    let mut stored = Vec::new();
    for name in ["hello.hex", "start.hex", "manifest-inline.hex", "manifest-card.hex"] {
        for output in hear(&mut session, name) {
            if let Output::Store { bodies, .. } = output {
                stored.push(bodies.iter().map(mithaq_core::body::Body::id).collect::<Vec<ContentId>>());
            }
        }
    }
    assert_eq!(stored, [example().release.contents(), relayed().release.contents()]);
    let documents = hear(&mut session, "document.hex");
    assert!(matches!(&documents[..], [Output::Document { kind: 4, body }] if body == &termination()));
}

/// A session of CERT 2, which has two of three, finds out by the sketch which it lacks.
#[test]
fn the_sketch_is_understood() {
    let setup = Setup { held: 2, ..setup(2, &cert(1), None) };
    let mut session = Session::new(setup, at(Duration::ZERO));
    for name in ["hello.hex", "start.hex"] {
        hear(&mut session, name);
    }
    let outputs = hear(&mut session, "reconcile.hex");
    let [Output::CompareSketch { key, cells }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(*key, sketch_key());
    let compared = compare(cells, &mut sketch_of(&sketched_journal()[1..]));
    let outputs = give(&mut session, Input::SketchCompared(compared));
    let [Output::Send { frame, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(**frame, read("missing.hex"));
}

#[test]
fn bodies_are_understood_with_the_dictionary_and_without() {
    for name in ["bodies.hex", "bodies-dict.hex"] {
        let mut session = Session::new(setup(2, &cert(1), None), at(Duration::ZERO));
        ["hello.hex", "start.hex", "manifest.hex"].iter().for_each(|name| drop(hear(&mut session, name)));
        give(&mut session, Input::BodiesHeld { index: 1, held: vec![None; 2] });
        assert!(matches!(&hear(&mut session, name)[..], [Output::Store { bodies, .. }] if bodies.len() == 2));
    }
}

/// A session of CERT 2 that is offered a release lazily, and asks for it once it has not come; another one holds it.
#[test]
fn the_lazy_offer_is_understood() {
    let mut session = Session::new(setup(2, &cert(1), None), at(Duration::ZERO));
    ["hello.hex", "start.hex"].iter().for_each(|name| drop(hear(&mut session, name)));
    let outputs = hear(&mut session, "lazy-offer.hex");
    let [Output::FindReleases { key, offered }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(*key, BRIEFS);
    assert_eq!(offered[0], (2, Brief::from_bytes(*BRIEFS.brief(relayed().id()).as_bytes())));
    assert_eq!(offered.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2, 3, 300]);
    assert_eq!(twins().read().unwrap(), [(300, Some(70)), (2, None)]);
}

#[test]
fn the_run_is_understood() {
    let mut session = Session::new(setup(2, &cert(1), None), at(Duration::ZERO));
    ["hello.hex", "start.hex", "manifest-run.hex"].iter().for_each(|name| drop(hear(&mut session, name)));
    give(&mut session, Input::BodiesHeld { index: 1, held: vec![None; 2] });
    let outputs = hear(&mut session, "bodies-run.hex");
    assert!(matches!(&outputs[..], [Output::Store { bodies, .. }] if bodies.len() == 2));
    assert!(hear(&mut session, "rest.hex").is_empty());
}

#[test]
fn the_receipt_is_understood() {
    // A session of CERT 1 that has sent CERT 2 the example.
    let mut session = Session::new(setup(1, &cert(2), None), at(Duration::ZERO));
    give(&mut session, Input::Received(bare(Kind::Hello(hello_of_two()))));
    hear(&mut session, "start.hex");
    give(&mut session, Input::JournalOpened { after: 0, head: 0 });
    give(&mut session, Input::JournalGrew { head: 1 });
    give(&mut session, Input::JournalRead { ids: vec![example().id()] });
    let Parcel { release, bodies } = example();
    let release = Some(release.signed().clone());
    give(&mut session, Input::ReleaseLoaded { index: 1, release, card: None, inline: Some(bodies) });
    let outputs = hear(&mut session, "receipt.hex");
    let [Output::Receipt(receipt)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(canonical::to_vec(receipt.signed()).unwrap(), receipt_document().into_bytes());
}

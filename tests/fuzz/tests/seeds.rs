//! The seeds of the signed formats: documents that verify, so that a fuzzer begins with what is accepted.
//!
//! `MITHAQ_CORPUS=write cargo test -p mithaq-fuzz --test seeds` writes them anew after a format has changed.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use mithaq_api::http::{LEDGER_PROOF_SCHEMA, LedgerProof};
use mithaq_core::{
    agreement::{
        Agreement, AgreementTerms, AtEnd, Flow, Group, IepTerm, Onward, Party, Permission, PersonalData, Scope,
        SightingTerm, SignedAgreement, ThirdParty, attestation::Attestation, termination::Termination,
    },
    body::Body,
    canonical,
    card::VerifiedCard,
    consent::{Answer, Consent, ConsentRequest, ConsentScope},
    dsse::Envelope,
    evidence::{Evidence, Noticed},
    id::{AgreementId, ContentId, ReleaseId, StoreId, TreeHash},
    label::{Category, Confidence, Label},
    ledger::{Checkpoint, Entry, EntryProof, LocalLedger, Origin, PairHead, SignedCheckpoint, VerifiedCheckpoint},
    merkle::Frontier,
    notice::Notice,
    receipt::{Journal, Receipt, ReceiptEntry, SignedReceipt, Status, VerifiedReceipt},
    release::{Kind as ReleaseKind, ReleaseDraft, SignedRelease, VerifiedRelease},
    statement::{Statement, Verified},
    stix::{Tlp, marking::Pap},
};
use mithaq_fuzz::cast::{Cert, ONE, THREE, TWO, details, now, time};
use mithaq_sync::{
    Brief, BriefKey, Input, Now, Output, Session, Setup,
    wire::{Ack, Bodies, Document, Frame, Gone, Hello, Kind, LazyOffer, Manifest, Offer, Rest, Start, Tree, Twins},
};

/// A seed: its target, its name, and itself.
type Seed = (&'static str, &'static str, Vec<u8>);

const AGREEMENT: AgreementId = mithaq_fuzz::FRAME_AGREEMENT;

const BRIEFS: BriefKey = mithaq_fuzz::FRAME_BRIEFS;

fn store() -> StoreId {
    StoreId::from_bytes([1; 16])
}

#[test]
fn the_seeds_are_what_they_were() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, name, seed) in seeds() {
        let path = corpora.join(target).join(name);
        if std::env::var_os("MITHAQ_CORPUS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &seed).unwrap();
        }
        assert!(fs::read(&path).unwrap() == seed, "{} is not what it was", path.display());
    }
}

fn seeds() -> Vec<Seed> {
    [
        cards(),
        agreements(),
        statements(),
        releases(),
        notices(),
        entries(),
        receipts(),
        checkpoints(),
        proofs(),
        evidence(),
        frames(),
        sketches(),
    ]
    .concat()
}

/// A signed document and its payload, both of which a target takes.
fn both(target: &'static str, names: [&'static str; 2], envelope: &Envelope, payload_type: &'static str) -> [Seed; 2] {
    let (payload, _) = envelope.open(payload_type).unwrap();
    [(target, names[0], envelope.to_json()), (target, names[1], payload)]
}

fn cards() -> Vec<Seed> {
    let card = &ONE.card;
    assert!(VerifiedCard::from_json(&card.envelope().to_json()).is_ok());
    let mut revoking = details(1, 2);
    revoking.revoked_keys =
        vec![mithaq_core::card::RevokedKey { key: ONE.signing.public().id(), since: time("2026-06-01T00:00:00Z") }];
    let revoking = VerifiedCard::sign(&ONE.root, revoking).unwrap();
    let card_type = mithaq_core::card::CARD_TYPE;
    let mut seeds = both("card", ["valid-envelope", "valid-payload"], card.envelope(), card_type).to_vec();
    seeds.extend(both("card", ["valid-revoking", "valid-revoking-payload"], revoking.envelope(), card_type));
    seeds.push(("card", "hostile-cut", card.envelope().to_json()[..200].to_vec()));
    seeds
}

fn terms(onward: Onward) -> AgreementTerms {
    let flow = Flow {
        from: None,
        tlp_max: Tlp::Amber,
        categories: [Category::Threat, Category::Observable].into(),
        sectors: Scope::Only(["banking".to_owned()].into()),
        markings: ["marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168".to_owned()].into(),
        statements: Permission::Allow,
        pap_max: Pap::Amber,
        age_days_max: Some(30),
        confidence_min: Confidence::Low,
        personal_data: PersonalData::Pseudonymise,
        sightings: SightingTerm::Count,
        iep: IepTerm::Honour,
        onward,
    };
    AgreementTerms {
        community: Some("APCERT".to_owned()),
        purposes: ["incident-response".to_owned()].into(),
        valid_from: time("2026-01-01T00:00:00Z"),
        valid_until: time("2027-01-01T00:00:00Z"),
        notice_days: 30,
        flow,
        third_party: ThirdParty::Accept,
        tlp_default: Tlp::Amber,
        retention_days: Some(365),
        at_end: AtEnd::Purge,
        supersedes: None,
    }
}

fn agreements() -> Vec<Seed> {
    let id = |cert: &Cert| cert.card.cert_id();
    let sign = |agreement: Agreement, by: &[&Cert]| {
        let mut signed = SignedAgreement::draft(agreement).unwrap();
        by.iter().for_each(|cert| signed.sign(&cert.signing));
        signed
    };
    let listed = Onward::Listed([id(&THREE)].into());
    let pact = sign(Agreement::new(id(&ONE), id(&TWO), terms(listed)).unwrap(), &[&ONE, &TWO]);
    assert!(pact.clone().verify(&ONE.card, &TWO.card).is_ok());
    let members = [&ONE, &TWO, &THREE].map(|cert| Party::new(id(cert)));
    let group = Group { name: "three".to_owned(), threshold: 2 };
    let group = Agreement::of_group(members.into(), group, terms(Onward::Ask)).unwrap();
    let group = sign(group, &[&ONE, &TWO, &THREE]);
    assert!(group.clone().verify_group(&[&ONE.card, &TWO.card, &THREE.card], None).is_ok());
    let agreement_type = mithaq_core::agreement::AGREEMENT_TYPE;
    let mut seeds = both("agreement", ["valid-pact", "valid-pact-payload"], &pact.envelope(), agreement_type).to_vec();
    seeds.extend(both("agreement", ["valid-group", "valid-group-payload"], &group.envelope(), agreement_type));
    seeds.push((
        "agreement",
        "hostile-signatures",
        pact.envelope().to_json().replace_once("\"signatures\":[", "\"signatures\":[[],"),
    ));
    seeds
}

/// Changing a text in bytes.
trait Change {
    fn replace_once(&self, from: &str, to: &str) -> Vec<u8>;
}

impl Change for Vec<u8> {
    fn replace_once(&self, from: &str, to: &str) -> Vec<u8> {
        let text = std::str::from_utf8(self).unwrap();
        assert!(text.contains(from), "{text} lacks {from}");
        text.replacen(from, to, 1).into_bytes()
    }
}

fn statements() -> Vec<Seed> {
    let (one, two, three) = (ONE.card.cert_id(), TWO.card.cert_id(), THREE.card.cert_id());
    let what = ConsentScope::Releases([ReleaseId::from_bytes([7; 32])].into());
    let asked = ConsentRequest::new(one, two, three, ConsentScope::All, now(), "for the exercise");
    let theirs = ConsentRequest::new(two, one, three, what.clone(), now(), "");
    let until = time("2027-01-01T00:00:00Z");
    let granted = Consent::answer(&theirs, Answer::Grant, what, now(), until);
    let mut seeds = Vec::new();
    seeds.extend(statement(
        ["valid-termination", "valid-termination-payload"],
        Termination::new(AGREEMENT, one, now(), "war"),
    ));
    seeds.extend(statement(
        ["valid-attestation", "valid-attestation-payload"],
        Attestation::new(AGREEMENT, one, now(), 3, 40),
    ));
    seeds.extend(statement(["valid-request", "valid-request-payload"], asked));
    seeds.extend(statement(["valid-consent", "valid-consent-payload"], granted));
    seeds
}

fn statement<S: Statement>(names: [&'static str; 2], statement: S) -> [Seed; 2] {
    let signed = Verified::sign(statement, &ONE.signing).unwrap();
    assert!(Verified::<S>::verify(signed.envelope().clone(), &ONE.card).is_ok());
    both("statement", names, signed.envelope(), S::TYPE)
}

fn notice() -> Body {
    let contents = [ContentId::from_bytes([1; 32]), ContentId::from_bytes([2; 32])].into();
    Notice { contents, reason: "false positive".to_owned() }.to_body(now()).unwrap()
}

fn notices() -> Vec<Seed> {
    let bytes = notice().bytes().to_vec();
    let none = bytes.replace_once("false positive", "\\u202e");
    let empty = r#"{"contents":[],"created":"2026-11-21T12:00:00.000000Z"}"#;
    vec![("notice", "valid-two", bytes), ("notice", "hostile-bidi", none), ("notice", "hostile-empty", empty.into())]
}

fn release_of(cert: &Cert, kind: ReleaseKind, body: &Body) -> VerifiedRelease {
    let label = body.facts().own_label(Tlp::Green);
    let draft = ReleaseDraft { kind, ..ReleaseDraft::publish(label, vec![body.id()], now()) };
    VerifiedRelease::sign(cert.card.cert_id(), &cert.signing, draft).unwrap()
}

fn release_seed(release: &SignedRelease) -> Vec<u8> {
    let count = u16::try_from(release.contents.len()).unwrap().to_be_bytes();
    let contents: Vec<u8> = release.contents.iter().flat_map(ContentId::as_bytes).copied().collect();
    [release.signature.as_bytes(), &count[..], &contents, &release.manifest].concat()
}

fn releases() -> Vec<Seed> {
    let mut label = Label::new(Tlp::Red, Category::Threat);
    label.sectors.insert("energy".to_owned());
    label.pap = Some(Pap::Green);
    let contents = vec![ContentId::from_bytes([1; 32]), ContentId::from_bytes([2; 32])];
    let recipients = [TWO.card.cert_id()].into();
    let draft = ReleaseDraft { recipients, ..ReleaseDraft::publish(label, contents, now()) };
    let red = VerifiedRelease::sign(ONE.card.cert_id(), &ONE.signing, draft).unwrap();
    let withdrawal = release_of(&ONE, ReleaseKind::Withdraw, &notice());
    for release in [&red, &withdrawal] {
        assert!(release.signed().clone().verify(&ONE.card, now()).is_ok());
    }
    let strange = release_of(&TWO, ReleaseKind::Review, &notice());
    vec![
        ("release", "valid-red", release_seed(red.signed())),
        ("release", "valid-withdrawal", release_seed(withdrawal.signed())),
        ("release", "hostile-of-another", release_seed(strange.signed())),
    ]
}

fn receipt() -> VerifiedReceipt {
    let journal = Journal { owner: ONE.card.cert_id(), store: store(), agreement: AGREEMENT };
    let entry = |(index, status)| ReceiptEntry::from((index, ReleaseId::from_bytes([7; 32]), status));
    let entries = [(1, Status::Received), (2, Status::Applied), (300, Status::Held)].map(entry).into();
    Receipt::new(TWO.card.cert_id(), journal, entries, now()).unwrap().sign(&TWO.signing).unwrap()
}

fn receipts() -> Vec<Seed> {
    let whole = canonical::to_vec(receipt().signed()).unwrap();
    let read: SignedReceipt = canonical::from_slice(&whole).unwrap();
    assert!(read.verify(&TWO.card, now()).is_ok());
    let text = std::str::from_utf8(&whole).unwrap();
    let signed = text.strip_prefix("{\"receipt\":").and_then(|text| text.split_once(",\"signature\"")).unwrap().0;
    let twice = whole.replace_once("[2,", "[1,");
    vec![
        ("receipt", "valid-whole", whole.clone()),
        ("receipt", "valid-signed", signed.into()),
        ("receipt", "hostile-twice", twice),
    ]
}

fn leaves() -> Vec<Vec<u8>> {
    let disclosure = |number: u8| Entry::disclosure(ReleaseId::from_bytes([number; 32]), AGREEMENT, now());
    let entries = [disclosure(7), disclosure(8), Entry::receipt(receipt())];
    entries.iter().map(|entry| entry.to_bytes().unwrap()).collect()
}

fn entries() -> Vec<Seed> {
    let mut leaves = leaves();
    assert!(leaves.iter().all(|leaf| Entry::from_bytes(leaf).is_ok()));
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| drop(frontier.push(leaf)));
    let mut local = LocalLedger::new(ONE.card.cert_id(), store());
    let head = PairHead { peer: TWO.card.cert_id(), store: store(), size: 3, root: frontier.root() };
    local.set(head).unwrap();
    vec![
        ("ledger_entry", "valid-receipt", leaves.pop().unwrap()),
        ("ledger_entry", "valid-disclosure", leaves.pop().unwrap()),
        ("ledger_entry", "valid-frontier", frontier.to_bytes()),
        ("ledger_entry", "valid-local", local.to_bytes().unwrap()),
        ("ledger_entry", "hostile-size", [&[0xff; 8][..], &[0; 64]].concat()),
    ]
}

fn checkpoint(size: u64, root: TreeHash, at: &str) -> VerifiedCheckpoint {
    let origin = Origin::pair(ONE.card.cert_id(), TWO.card.cert_id(), store());
    Checkpoint::new(origin, size, root, time(at)).sign(&ONE.signing)
}

/// The head of the ledger of [`leaves`], which CERT 2 has cosigned.
fn cosigned() -> VerifiedCheckpoint {
    let mut frontier = Frontier::new();
    leaves().iter().for_each(|leaf| drop(frontier.push(leaf)));
    let mut checkpoint = checkpoint(3, frontier.root(), "2026-11-21T11:59:00Z");
    let line = checkpoint.cosign(TWO.card.cert_id(), &TWO.signing, now()).unwrap();
    checkpoint.add_cosignature(&line, &TWO.card, now()).unwrap();
    checkpoint
}

fn checkpoints() -> Vec<Seed> {
    let note = cosigned().to_string();
    let read = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    let line = read.cosignatures().next().unwrap().to_string();
    assert!(read.verify(&ONE.card, now()).is_ok());
    let size = note.clone().into_bytes().replace_once("\n3\n", "\n03\n");
    vec![
        ("checkpoint", "valid-cosigned", note.into_bytes()),
        ("checkpoint", "valid-line", line.into_bytes()),
        ("checkpoint", "hostile-size", size),
    ]
}

fn proofs() -> Vec<Seed> {
    let leaves = leaves();
    let hash = |leaf: &Vec<u8>| {
        let mut frontier = Frontier::new();
        let _ = frontier.push(leaf);
        frontier.root()
    };
    let head = cosigned();
    let path = vec![hash(&leaves[1]), hash(&leaves[2])];
    let proof = LedgerProof {
        schema: LEDGER_PROOF_SCHEMA.to_owned(),
        peer: "two".to_owned(),
        index: 0,
        entry: String::from_utf8(leaves[0].clone()).unwrap(),
        size: head.checkpoint().size,
        root: head.checkpoint().root,
        path: path.clone(),
        checkpoint: head.to_string(),
    };
    let proven = EntryProof {
        index: 0,
        leaf: leaves[0].clone(),
        path: path.iter().map(|hash| *hash.as_bytes()).collect(),
        checkpoint: SignedCheckpoint::parse(head.to_string().as_bytes()).unwrap(),
    };
    assert!(proven.verify(&ONE.card, now()).is_ok());
    let text = serde_json::to_vec(&proof).unwrap();
    let index = text.replace_once("\"index\":0", "\"index\":18446744073709551615");
    let path = text.replace_once("\"path\":[", "\"path\":[[");
    vec![("proof", "valid-first", text), ("proof", "hostile-index", index), ("proof", "hostile-path", path)]
}

fn evidence() -> Vec<Seed> {
    let noticed = Noticed { by: TWO.card.cert_id(), at: now() };
    let renamed = mithaq_core::card::CardDetails { name: "another".to_owned(), ..details(1, 1) };
    let renamed = VerifiedCard::sign(&ONE.root, renamed).unwrap();
    let of_cards = Evidence::of_cards(&ONE.card, &renamed, noticed).unwrap();
    let fork = [[1; 32], [2; 32]].map(|root| checkpoint(3, TreeHash::from_bytes(root), "2026-11-21T11:00:00Z"));
    let of_fork = Evidence::of_checkpoints(&ONE.card, &fork[0], &fork[1], noticed).unwrap();
    let shorter = checkpoint(2, TreeHash::from_bytes([1; 32]), "2026-11-21T11:30:00Z");
    let of_rollback = Evidence::of_checkpoints(&ONE.card, &fork[0], &shorter, noticed).unwrap();
    let texts = [of_cards, of_fork, of_rollback].map(|evidence| {
        let text = evidence.to_json().unwrap();
        assert!(Evidence::from_json(&text).unwrap().verify(&ONE.card).is_ok());
        text
    });
    let hostile = texts[1].replace_once("checkpoint-fork", "ledger-rollback");
    let [cards, fork, rollback] = texts;
    vec![
        ("evidence", "valid-cards", cards),
        ("evidence", "valid-fork", fork),
        ("evidence", "valid-rollback", rollback),
        ("evidence", "hostile-kind", hostile),
    ]
}

/// The hello of CERT 2, from a session of its own.
fn hello() -> Bytes {
    let setup = Setup {
        us: TWO.card.cert_id(),
        key: TWO.signing.clone(),
        agreement: AGREEMENT,
        store: [2; 16],
        instance: [0x22; 16],
        card_serial: 1,
        peer: ONE.card.clone(),
        cursor: None,
        held: 0,
        ledger_size: 0,
        seen: None,
        third_party: true,
        briefs: BRIEFS,
    };
    let mut session = Session::new(setup, Now { wall: now(), monotonic: Duration::ZERO });
    match session.poll_output() {
        Some(Output::Send { frame, .. }) => frame,
        _ => Bytes::new(),
    }
}

fn manifest(index: u64, cert: &Cert, kind: ReleaseKind) -> Manifest {
    let body = notice();
    let release = release_of(cert, kind, &body);
    let signed = release.signed();
    Manifest {
        index,
        manifest: signed.manifest.clone().into(),
        signature: Bytes::copy_from_slice(signed.signature.as_bytes()),
        contents: Bytes::new(),
        bodies: group(&body),
        card: Bytes::new(),
        dictionary: Bytes::new(),
        size: 0,
    }
}

/// The same without its body.
fn alone(own: &Manifest) -> Manifest {
    let contents = Bytes::copy_from_slice(notice().id().prefix().as_bytes());
    Manifest { contents, bodies: Bytes::new(), ..own.clone() }
}

/// A release of one body, as the first two pieces of a run. They are raw blocks, as [`group`] has one.
fn run_of(own: &Manifest) -> [Kind; 2] {
    let block = |raw: &[u8]| [&(u32::try_from(raw.len()).unwrap() << 3).to_le_bytes()[..3], raw].concat();
    let bytes = notice().bytes().to_vec();
    let raw = [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat();
    let first = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x48][..], &block(&own.manifest)].concat();
    let size = |raw: &[u8]| u32::try_from(raw.len()).unwrap();
    let manifest = Manifest { manifest: first.into(), size: size(&own.manifest), ..alone(own) };
    let bodies = Bodies { index: own.index, group: block(&raw).into(), size: size(&raw), ..Bodies::default() };
    [Kind::Manifest(manifest), Kind::Bodies(bodies)]
}

/// One body as a zstd frame with a raw block, whose header states its size: what a compressor gave would change with
/// it.
fn group(body: &Body) -> Bytes {
    let length = u32::try_from(body.bytes().len()).unwrap();
    let content = [&length.to_be_bytes()[..], body.bytes()].concat();
    let size = u32::try_from(content.len()).unwrap();
    let header = [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &size.to_le_bytes()].concat();
    let block = &(size << 3 | 1).to_le_bytes()[..3];
    [&header[..], block, &content].concat().into()
}

fn stream(frames: Vec<Kind>) -> Vec<u8> {
    let mut bytes = hello().to_vec();
    frames.into_iter().for_each(|frame| bytes.extend(Frame::encode_with_length(frame)));
    bytes
}

fn frames() -> Vec<Seed> {
    let card: Bytes = THREE.card.envelope().to_json().into();
    let document = Kind::Document(Document { kind: 1, body: TWO.card.envelope().to_json().into() });
    let start = Kind::Start(Start { after: 0 });
    let id = Bytes::copy_from_slice(release_of(&TWO, ReleaseKind::Publish, &notice()).id().as_bytes());
    let own = manifest(1, &TWO, ReleaseKind::Publish);
    let passed_on = Manifest { card, ..manifest(2, &THREE, ReleaseKind::Withdraw) };
    let offered = Offer { first: 1, ids: id.clone() };
    let brief = BRIEFS.brief(release_of(&TWO, ReleaseKind::Publish, &notice()).id());
    let held = Brief::from_bytes([1; 8]);
    let lazy = Kind::LazyOffer(LazyOffer::of(&[(1, brief), (2, held), (9, brief)]));
    let twins = |offered, own| Kind::Twins(Twins::of(&[(offered, Some(own))]));
    let prune = Kind::Tree(Tree { origin: Bytes::copy_from_slice(THREE.card.cert_id().as_bytes()), eager: false });
    let inline = own.clone();
    let [first, second] = run_of(&own);
    let rest = || Kind::Rest(Rest {});
    let receipt = Ack {
        indexes: vec![1],
        statuses: vec![2].into(),
        at: 1,
        key: vec![7; 32].into(),
        signature: vec![8; 64].into(),
    };
    let seeds = vec![
        (
            "frame",
            "valid-live",
            stream(vec![document.clone(), start.clone(), Kind::Manifest(own.clone()), Kind::Manifest(passed_on)]),
        ),
        ("frame", "valid-offered", stream(vec![start.clone(), Kind::Offer(offered), Kind::Manifest(alone(&own))])),
        ("frame", "valid-run", stream(vec![start.clone(), first.clone(), second.clone(), rest()])),
        ("frame", "hostile-run", stream(vec![start.clone(), first, rest(), second])),
        ("frame", "valid-lazy", stream(vec![start.clone(), prune, lazy.clone(), Kind::Manifest(inline)])),
        ("frame", "hostile-lazy", stream(vec![start.clone(), lazy.clone(), lazy])),
        ("frame", "hostile-twins", stream(vec![start.clone(), twins(1, 1)])),
        ("frame", "valid-gone", stream(vec![start.clone(), Kind::Gone(Gone { index: 1, id })])),
        ("frame", "hostile-hellos", [hello(), hello()].concat()),
        ("frame", "hostile-receipt", stream(vec![start.clone(), Kind::Ack(receipt)])),
        ("frame", "hostile-documents", stream(vec![document; 3])),
        ("frame", "hostile-hello", Frame::encode_with_length(Kind::Hello(Hello::default())).to_vec()),
    ];
    assert_eq!(stored(&seeds[0].2), 2, "the seed does not reach the store");
    seeds
}

fn sketches() -> Vec<Seed> {
    let cells = mithaq_fuzz::sketch_cells;
    let mut other_cells = cells(24, [0..40, 8..48]);
    other_cells.rotate_left(mithaq_sync::sketch::CELL_BYTES);
    vec![
        ("sketch", "valid-equal", cells(2, [0..9, 0..9])),
        ("sketch", "valid-differs", cells(40, [0..200, 8..208])),
        ("sketch", "hostile-too-few", cells(10, [0..50, 0..0])),
        ("sketch", "hostile-other-cells", other_cells),
        ("sketch", "hostile-one-cell", cells(1, [7..8, 0..0]).repeat(40)),
    ]
}

/// How many releases of a stream a session of CERT 1 hands to its store.
fn stored(mut bytes: &[u8]) -> usize {
    let mut session = mithaq_fuzz::session();
    let mut count = 0;
    while let Ok(Some((skip, length))) = mithaq_sync::wire::frame_length(bytes) {
        let frame = Bytes::copy_from_slice(&bytes[skip..skip + length]);
        session.handle(Input::Received(frame), Now { wall: now(), monotonic: Duration::ZERO });
        bytes = &bytes[skip + length..];
        while let Some(output) = session.poll_output() {
            assert!(!matches!(output, Output::Close(_)), "{output:?}");
            count += usize::from(matches!(output, Output::Store { .. }));
        }
    }
    count
}

//! What pacts cost on one core, without a daemon: decisions of the release rule, releases verified, ledger entries
//! appended, receipts checked; beside bare Ed25519 of the same run.

use std::{collections::BTreeSet, hint::black_box, time::Instant};

use mithaq_core::{
    agreement::{
        Agreement, AgreementTerms, AtEnd, Flow, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm,
        SignedAgreement, ThirdParty, VerifiedAgreement,
    },
    card::{CardDetails, DatedKey, VerifiedCard},
    consent::ConsentState,
    id::{ContentId, ReleaseId, StoreId, sha256},
    keys::{SecretKey, Suite},
    label::{Category, Confidence, Label},
    ledger::Entry,
    merkle::Frontier,
    policy::{self, LocalPolicy, Question, Subject},
    receipt::{Journal, Receipt, ReceiptEntry, SignedReceipt, Status},
    release::{ReleaseDraft, SignedRelease, VerifiedRelease},
    stix::{Tlp, marking::Pap},
    time::Time,
};
use serde_json::{Value, json};

/// How many decisions, entries and signatures are timed.
const REPEATS: u32 = 100_000;

/// How many releases are verified.
const RELEASES: usize = 10_000;

/// How many receipts are checked.
const RECEIPTS: u32 = 10_000;

/// A CERT as far as pacts need it.
struct Cert {
    signing: SecretKey,
    card: VerifiedCard,
}

fn cert(number: u8, now: Time) -> anyhow::Result<Cert> {
    let [root, signing, tls] = [0, 64, 128].map(|salt| SecretKey::from_seed(&[number + salt; 32]));
    let signing = signing?;
    let dated = |key: &SecretKey| DatedKey {
        suite: Suite::Ed25519,
        public: key.public(),
        not_before: Time::from_micros(0),
        not_after: Time::from_micros(i64::MAX),
    };
    let details = CardDetails {
        name: format!("CERT {number}"),
        country: "QQ".into(),
        contacts: Vec::new(),
        serial: 1,
        issued_at: now,
        signing_keys: vec![dated(&signing)],
        tls_keys: vec![dated(&tls?)],
        revoked_keys: Vec::new(),
        identities: BTreeSet::new(),
        endpoints: Vec::new(),
    };
    Ok(Cert { card: VerifiedCard::sign(&root?, details)?, signing })
}

fn agree(a: &Cert, b: &Cert) -> anyhow::Result<VerifiedAgreement> {
    let flow = Flow {
        from: None,
        tlp_max: Tlp::Amber,
        categories: [Category::Threat, Category::Observable].into(),
        sectors: Scope::Any,
        markings: BTreeSet::new(),
        statements: Permission::Allow,
        pap_max: Pap::Red,
        age_days_max: None,
        confidence_min: Confidence::Unspecified,
        personal_data: PersonalData::Deny,
        sightings: SightingTerm::Full,
        iep: IepTerm::Honour,
        onward: Onward::Never,
    };
    let terms = AgreementTerms {
        community: Some("bench".into()),
        purposes: BTreeSet::new(),
        valid_from: Time::from_micros(0),
        valid_until: Time::from_micros(i64::MAX),
        notice_days: 0,
        flow,
        third_party: ThirdParty::Refuse,
        tlp_default: Tlp::Amber,
        retention_days: None,
        at_end: AtEnd::Keep,
        supersedes: None,
    };
    let agreement = Agreement::new(a.card.cert_id(), b.card.cert_id(), terms)?;
    let mut signed = SignedAgreement::draft(agreement)?;
    signed.sign(&a.signing);
    signed.sign(&b.signing);
    Ok(signed.verify(&a.card, &b.card)?)
}

/// Repeats `work` and says how often it was done in a second.
fn per_second<E>(repeats: u32, mut work: impl FnMut(u32) -> Result<(), E>) -> Result<f64, E> {
    let started = Instant::now();
    (0..repeats).try_for_each(&mut work)?;
    Ok(f64::from(repeats) / started.elapsed().as_secs_f64())
}

fn content(number: usize) -> ContentId {
    ContentId::from_bytes(sha256(&number.to_be_bytes()))
}

/// Measures.
pub(crate) fn measure() -> anyhow::Result<Value> {
    let now: Time = "2026-11-22T00:00:00.000000Z".parse()?;
    let (us, peer) = (cert(1, now)?, cert(2, now)?);
    let agreement = agree(&us, &peer)?;
    let label = Label::new(Tlp::Amber, Category::Threat);
    let release = VerifiedRelease::sign(us.card.cert_id(), &us.signing, draft(&label, 0, 1, now))?;
    let local = LocalPolicy::default();
    let question = Question {
        subject: Subject::of(release.manifest()),
        us: us.card.cert_id(),
        peer: peer.card.cert_id(),
        agreement: Some(&agreement),
        ended: None,
        with_origin: None,
        consent: ConsentState::None,
        local: &local,
        now,
    };
    anyhow::ensure!(policy::release(&question).released, "the release that is timed is withheld");
    let decisions = per_second(REPEATS, |_| {
        black_box(policy::release(black_box(&question)));
        anyhow::Ok(())
    })?;
    let verify = per_second(REPEATS / 10, |_| ed25519(&us))?;
    Ok(json!({
        "rule_decisions_per_s": decisions.round(),
        "verify_10000_releases_of_1_s": verify_releases(&us, &label, 1, now)?,
        "verify_10000_releases_of_100_s": verify_releases(&us, &label, 100, now)?,
        "ledger_appends_per_s": appends(&agreement, now)?.round(),
        "receipts_verified_per_s": receipts(&us, &peer, &agreement, now)?.round(),
        "ed25519_verify_per_s": verify.round(),
    }))
}

fn draft(label: &Label, first: usize, objects: usize, now: Time) -> ReleaseDraft {
    ReleaseDraft::publish(label.clone(), (first..first + objects).map(content).collect(), now)
}

/// The yardstick: a signature over as many bytes as a manifest has.
fn ed25519(us: &Cert) -> anyhow::Result<()> {
    thread_local! {
        static SIGNED: std::cell::OnceCell<mithaq_core::keys::Signature> = const { std::cell::OnceCell::new() };
    }
    let payload = [7; 600];
    let signature = SIGNED.with(|signed| *signed.get_or_init(|| us.signing.sign("bench", &payload)));
    let _valid = us.signing.public().verify("bench", &payload, &signature)?;
    Ok(())
}

fn verify_releases(us: &Cert, label: &Label, objects: usize, now: Time) -> anyhow::Result<f64> {
    let sign = |number| {
        let draft = draft(label, number * objects, objects, now);
        VerifiedRelease::sign(us.card.cert_id(), &us.signing, draft).map(|release| release.signed().clone())
    };
    let releases = (0..RELEASES).map(sign).collect::<Result<Vec<SignedRelease>, _>>()?;
    let started = Instant::now();
    for release in releases {
        black_box(release.verify(&us.card, now)?);
    }
    Ok(started.elapsed().as_secs_f64())
}

fn appends(agreement: &VerifiedAgreement, now: Time) -> anyhow::Result<f64> {
    let mut frontier = Frontier::new();
    per_second(REPEATS, |number| {
        let release = ReleaseId::from_bytes(sha256(&number.to_be_bytes()));
        let leaf = Entry::disclosure(release, agreement.id(), now).to_bytes()?;
        black_box(frontier.push(&leaf));
        anyhow::Ok(())
    })
}

fn receipts(us: &Cert, peer: &Cert, agreement: &VerifiedAgreement, now: Time) -> anyhow::Result<f64> {
    let store = StoreId::from_bytes([1; 16]);
    let journal = Journal { owner: us.card.cert_id(), store, agreement: agreement.id() };
    let entry = ReceiptEntry::from((1, ReleaseId::from_bytes([7; 32]), Status::Received));
    let receipt = Receipt::new(peer.card.cert_id(), journal, vec![entry], now)?;
    let signed: SignedReceipt = receipt.sign(&peer.signing)?.into_signed();
    per_second(RECEIPTS, |_| {
        black_box(signed.clone().verify(&peer.card, now)?);
        anyhow::Ok(())
    })
}

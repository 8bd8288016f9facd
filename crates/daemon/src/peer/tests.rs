//! Peers over real connections: cards and keys that change while daemons run, and what sessions ask, store and send.

mod guesses;
mod metering;
mod passed;
mod staging;

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use mithaq_api::{
    config::Config,
    home::{CardRefusal, Home, HomeError, KeyName, PeerFile, PeerState, create_file, create_private_dir},
};
use mithaq_core::{
    agreement::{
        Agreement, AgreementTerms, AtEnd, Flow, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm,
        SignedAgreement, ThirdParty,
    },
    card::{CardDetails, DatedKey, RevokedKey, Succession, SuccessionError, VerifiedCard},
    code::Code,
    id::CertId,
    keys::{PublicKey, SecretKey, Suite},
    label::{Category, Confidence},
    stix::{Tlp, marking::Pap},
    time::Time,
};
use mithaq_store::{MemoryStore, StoreId};
use quinn::{Connection, ConnectionError, Endpoint};

use super::{cards::take_card, congestion::PaceOfPeer, endpoint, tls};
use crate::{clock, node::Node, standing::Standing, start};

mod sketches;

const HOUR: Duration = Duration::from_secs(3600);

/// A CERT whose daemon's parts are there and whose tasks the tests run as they need them.
pub(crate) struct Cert {
    seed: u8,
    pub(crate) node: Arc<Node>,
    pub(super) endpoint: Endpoint,
    _dir: tempfile::TempDir,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

fn hours(from_now: i64) -> Time {
    Time::from_micros(clock::wall().as_micros() + from_now * 3_600_000_000)
}

fn dated(key: &SecretKey, from: i64, until: i64) -> DatedKey {
    DatedKey { suite: Suite::Ed25519, public: key.public(), not_before: hours(from), not_after: hours(until) }
}

impl Cert {
    /// A CERT with keys of seeds that follow its own.
    pub(crate) fn new(seed: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let details = CardDetails {
            name: format!("CERT {seed}"),
            country: "QQ".into(),
            contacts: Vec::new(),
            serial: 1,
            issued_at: hours(-1),
            signing_keys: vec![dated(&key(seed + 1), -1, 1000)],
            tls_keys: vec![dated(&key(seed + 2), -1, 1000)],
            revoked_keys: Vec::new(),
            identities: [].into(),
            endpoints: Vec::new(),
        };
        let card = VerifiedCard::sign(&key(seed), details).unwrap();
        create_private_dir(&home.keys_dir()).unwrap();
        create_private_dir(&home.peers_dir()).unwrap();
        create_file(&home.config_path(), b"", 0o600).unwrap();
        create_file(&home.card_path(), &card.envelope().to_json(), 0o600).unwrap();
        home.create_key(KeyName::Signing, &key(seed + 1)).unwrap();
        home.create_key(KeyName::Tls, &key(seed + 2)).unwrap();
        let store = Arc::new(MemoryStore::new(StoreId::from_bytes([seed; 16])));
        let node = Arc::new(Node::new(home, Config::default(), store, Standing::default(), [seed; 16]).unwrap());
        let endpoint = endpoint::bind(&node, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { seed, node, endpoint, _dir: dir }
    }

    fn home(&self) -> &Home {
        &self.node.home
    }

    pub(super) fn card(&self) -> VerifiedCard {
        self.home().card().unwrap()
    }

    fn id(&self) -> CertId {
        self.node.us
    }

    /// The card that follows ours; nothing is written.
    fn next_card(&self, change: impl FnOnce(&mut CardDetails)) -> VerifiedCard {
        let mut details = CardDetails::from(self.card().card().clone());
        details.serial += 1;
        change(&mut details);
        VerifiedCard::sign(&key(self.seed), details).unwrap()
    }

    /// Puts a new TLS key beside the old one, which ends in an hour, and lets the daemon take it up.
    fn rotate_tls(&self, seed: u8, from: i64) {
        let next = self.next_card(|details| {
            details.tls_keys[0].not_after = hours(1);
            details.tls_keys.push(dated(&key(seed), from, 1000));
        });
        self.home().add_key(KeyName::Tls, &key(seed)).unwrap();
        self.home().replace_card(&next, clock::wall()).unwrap();
        self.reload().unwrap();
    }

    fn reload(&self) -> Result<usize, HomeError> {
        start::reload(&self.node, &self.endpoint)
    }

    /// Makes `other` an active peer.
    fn pair(&self, other: &Self) {
        let terms = AgreementTerms {
            community: Some("CERTs".to_owned()),
            purposes: [].into(),
            valid_from: Time::from_micros(0),
            valid_until: Time::from_micros(i64::MAX),
            notice_days: 0,
            flow: Flow {
                from: None,
                tlp_max: Tlp::Amber,
                categories: [Category::Threat].into(),
                sectors: Scope::Any,
                markings: [].into(),
                statements: Permission::Deny,
                pap_max: Pap::Clear,
                age_days_max: None,
                confidence_min: Confidence::Unspecified,
                personal_data: PersonalData::Deny,
                sightings: SightingTerm::None,
                iep: IepTerm::Deny,
                onward: Onward::Never,
            },
            third_party: ThirdParty::Refuse,
            tlp_default: Tlp::Amber,
            retention_days: None,
            at_end: AtEnd::Keep,
            supersedes: None,
        };
        let mut signed = SignedAgreement::draft(Agreement::new(self.id(), other.id(), terms).unwrap()).unwrap();
        signed.sign(&key(self.seed + 1));
        signed.sign(&key(other.seed + 1));
        let file = PeerFile {
            name: format!("cert-{}", other.seed),
            card: other.card().envelope().clone(),
            endpoints: Vec::new(),
            verified: Some(signed.id()),
            agreement: Some(signed.envelope()),
            superseded: Vec::new(),
            termination: None,
            state: PeerState::Active,
            reason: None,
        };
        self.home().write_peer(&file).unwrap();
        self.reload().unwrap();
    }

    fn set_state(&self, other: &Self, state: PeerState) {
        let change = |file: &mut PeerFile| {
            file.state = state;
            Ok::<_, HomeError>(())
        };
        self.home().change_peer(&format!("cert-{}", other.seed), change).unwrap();
        self.reload().unwrap();
    }

    /// Dials `server`, of which we hold `card`; both sides must let the other in. Says which key the server showed.
    async fn dials(&self, server: &Self, card: &VerifiedCard) -> Result<PublicKey, String> {
        let (ours, theirs) = tokio::join!(self.connect(server, card), async {
            server.endpoint.accept().await.unwrap().accept().unwrap().await
        });
        let (ours, _theirs) = (
            ours.map_err(|error| format!("we refuse: {error}"))?,
            theirs.map_err(|error| format!("they refuse: {error}"))?,
        );
        Ok(tls::peer_key(&ours).unwrap())
    }

    async fn connect(&self, server: &Self, card: &VerifiedCard) -> Result<Connection, ConnectionError> {
        let (config, _) =
            tls::client(&self.node.identity(), card, endpoint::transport(&PaceOfPeer::default())).unwrap();
        self.endpoint.connect_with(config, server.endpoint.local_addr().unwrap(), "mithaq").unwrap().await
    }
}

/// Two CERTs that are active peers of each other.
pub(super) fn pair() -> (Cert, Cert) {
    let (a, b) = (Cert::new(10), Cert::new(20));
    a.pair(&b);
    b.pair(&a);
    (a, b)
}

#[tokio::test]
async fn a_new_tls_key_is_shown_from_its_time_on_and_nothing_is_restarted() {
    let (a, b) = pair();
    let first = a.card();
    assert_eq!(b.dials(&a, &first).await, Ok(key(12).public()));
    a.rotate_tls(13, 2);
    assert_eq!(b.dials(&a, &first).await, Ok(key(12).public()), "the old key stays until the new one's time has come");
    assert_eq!(b.dials(&a, &a.card()).await, Ok(key(12).public()));
    a.rotate_tls(14, -1);
    let second = a.card();
    assert_eq!(b.dials(&a, &second).await, Ok(key(14).public()));
    assert!(
        b.dials(&a, &first).await.is_err_and(|error| error.starts_with("we refuse")),
        "the first card names no such key"
    );
}

#[tokio::test]
async fn old_and_new_tls_keys_of_a_peer_are_let_in_once_its_card_is_taken() {
    let (a, b) = pair();
    b.rotate_tls(23, 2);
    let old_key_with_new_card = take_card(&a.node, &a.endpoint, b.id(), b.card().envelope().clone()).unwrap();
    assert_eq!((old_key_with_new_card.serial, old_key_with_new_card.succession), (2, Succession::Newer));
    assert!(b.dials(&a, &a.card()).await.is_ok(), "the old key counts during the overlap");
    b.rotate_tls(24, -1);
    let before = b.dials(&a, &a.card()).await;
    assert!(before.is_err_and(|error| error.starts_with("they refuse")), "nobody here knows the new key yet");
    take_card(&a.node, &a.endpoint, b.id(), b.card().envelope().clone()).unwrap();
    assert!(b.dials(&a, &a.card()).await.is_ok());
}

#[tokio::test]
async fn a_revoked_tls_key_is_neither_shown_nor_let_in() {
    let (a, b) = pair();
    let stolen = RevokedKey { key: key(12).public().id(), since: hours(-1) };
    let revoking = a.next_card(|details| {
        details.revoked_keys.push(stolen);
        details.tls_keys.push(dated(&key(15), -1, 1000));
    });
    // The thief has the old key, and the old card to show for it.
    take_card(&b.node, &b.endpoint, a.id(), revoking.envelope().clone()).unwrap();
    assert!(a.dials(&b, &b.card()).await.is_err_and(|error| error.starts_with("they refuse")));
    assert!(b.dials(&a, &revoking).await.is_err_and(|error| error.starts_with("we refuse")));
    a.home().add_key(KeyName::Tls, &key(15)).unwrap();
    a.home().replace_card(&revoking, clock::wall()).unwrap();
    a.reload().unwrap();
    assert!(a.dials(&b, &b.card()).await.is_ok());
    assert_eq!(b.dials(&a, &revoking).await, Ok(key(15).public()));
}

#[tokio::test]
async fn a_blocked_peer_is_not_let_in_and_a_suspended_one_is_told() {
    let (a, b) = pair();
    a.set_state(&b, PeerState::Blocked);
    assert!(b.dials(&a, &a.card()).await.is_err_and(|error| error.starts_with("they refuse")));
    assert_eq!(a.node.peer(b.id()).unwrap().peer.state, PeerState::Blocked);
    a.set_state(&b, PeerState::Suspended);
    let accepting = tokio::spawn(endpoint::accept(Arc::clone(&a.node), a.endpoint.clone()));
    let closed = b.connect(&a, &a.card()).await.unwrap().closed().await;
    let ConnectionError::ApplicationClosed(close) = closed else { panic!("{closed}") };
    assert_eq!(close.error_code, u32::from(Code::PEER_SUSPENDED.number()).into());
    a.node.shutdown.cancel();
    accepting.await.unwrap();
    a.set_state(&b, PeerState::Active);
    assert!(b.dials(&a, &a.card()).await.is_ok());
}

#[tokio::test]
async fn a_peers_card_is_taken_if_it_follows_the_one_that_is_held() {
    let (a, b) = pair();
    let held = || a.home().peer("cert-20").unwrap();
    let take = |card: &VerifiedCard| take_card(&a.node, &a.endpoint, b.id(), card.envelope().clone());
    let entry = a.node.peer(b.id()).unwrap();
    let first = b.card();
    assert_eq!(take(&first).unwrap().succession, Succession::Same);
    assert!(!entry.cancel.is_cancelled(), "what is known already disturbs nobody");

    let second = b.next_card(|details| details.name = "renamed".into());
    assert_eq!(take(&second).unwrap().state, PeerState::Active);
    assert_eq!(held().card, second);
    assert!(entry.cancel.is_cancelled());
    let entry = a.node.peer(b.id()).unwrap();
    assert_eq!(entry.peer.card, second);
    assert!(entry.peer.agreement.is_some());

    let rollback = take(&first).unwrap_err();
    assert_eq!(rollback.code(), Code::CARD_ROLLBACK);
    let other_root = take(&a.card()).unwrap_err();
    assert_eq!(other_root.code(), Code::OTHER_CERT);
    let stranger = Cert::new(30);
    let unknown = take_card(&a.node, &a.endpoint, stranger.id(), stranger.card().envelope().clone()).unwrap_err();
    assert_eq!(unknown.code(), Code::NO_SUCH_PEER);
    assert_eq!((held().card, held().state), (second.clone(), PeerState::Active));
    assert!(!entry.cancel.is_cancelled());

    let twin = b.next_card(|details| details.name = "renamed otherwise".into());
    let refusal = take(&twin).unwrap_err();
    let CardRefusal::Equivocation { evidence, source } = &refusal else { panic!("{refusal}") };
    assert_eq!(*source, SuccessionError::Equivocation { serial: 2 });
    let kept = fs::read_to_string(evidence).unwrap();
    for card in [&second, &twin] {
        let payload: serde_json::Value = serde_json::to_value(card.envelope()).unwrap();
        assert!(kept.contains(payload["payload"].as_str().unwrap()), "{kept}");
    }
    assert!(entry.cancel.is_cancelled(), "its session ends");
    assert_eq!(a.node.peer(b.id()).unwrap().peer.state, PeerState::Blocked);
    assert_eq!((held().card, held().state), (second, PeerState::Blocked));
}

#[tokio::test]
async fn a_card_of_ours_that_is_damaged_or_older_changes_nothing() {
    let (a, _b) = pair();
    let first = fs::read(a.home().card_path()).unwrap();
    a.rotate_tls(13, -1);
    let second = a.card();
    let check = |text: &[u8], code: Code| {
        fs::write(a.home().card_path(), text).unwrap();
        assert_eq!(a.reload().unwrap_err().code(), code);
        assert_eq!(a.node.identity().card, second);
        assert_eq!(a.node.identity().tls_key(clock::wall()).unwrap().public(), key(13).public());
        assert_eq!(a.node.peers().len(), 1);
    };
    check(&first, Code::CARD_ROLLBACK);
    check(b"{}", Code::CARD);
    check(&Cert::new(30).card().envelope().to_json(), Code::OTHER_CERT);
    fs::write(a.home().card_path(), second.envelope().to_json()).unwrap();
    assert_eq!(a.reload().unwrap(), 1);
}

#[tokio::test]
async fn signatures_are_of_the_key_of_their_time() {
    let a = Cert::new(10);
    let next = a.next_card(|details| {
        details.signing_keys[0].not_after = hours(4);
        details.signing_keys.push(dated(&key(13), 2, 1000));
        details.revoked_keys.push(RevokedKey { key: key(13).public().id(), since: hours(6) });
    });
    a.home().add_key(KeyName::Signing, &key(13)).unwrap();
    a.home().replace_card(&next, clock::wall()).unwrap();
    a.reload().unwrap();
    let identity = a.node.identity();
    let signs = |at: Time| identity.signing_key(at).ok().map(|key| key.public());
    assert_eq!(signs(clock::wall()), Some(key(11).public()));
    assert_eq!(signs(clock::wall().plus(3 * HOUR)), Some(key(13).public()));
    assert_eq!(signs(clock::wall().plus(5 * HOUR)), Some(key(13).public()));
    assert_eq!(signs(clock::wall().plus(7 * HOUR)), None, "a revoked key signs nothing, and the old one is over");
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "{what}");
}

fn is_connected(a: &Cert, b: &Cert) -> bool {
    a.node.peer(b.id()).unwrap().status.lock().unwrap().connected
}

#[tokio::test(flavor = "multi_thread")]
async fn the_side_that_alone_can_dial_does_so_again_when_the_card_of_the_other_changes() {
    let (a, b) = pair();
    let accepting = tokio::spawn(endpoint::accept(Arc::clone(&b.node), b.endpoint.clone()));
    let endpoints = |file: &mut PeerFile| {
        file.endpoints = vec![b.endpoint.local_addr().unwrap().to_string()];
        Ok::<_, HomeError>(())
    };
    a.home().change_peer("cert-20", endpoints).unwrap();
    a.reload().unwrap();
    until("a session came about", || is_connected(&a, &b)).await;
    for serial in 2..5 {
        let before = a.node.peer(b.id()).unwrap();
        let next = b.next_card(|details| details.serial = serial);
        take_card(&a.node, &a.endpoint, b.id(), next.envelope().clone()).unwrap();
        until("another session came about", || is_connected(&a, &b)).await;
        let ended = || before.status.lock().unwrap().problem.clone().map(|problem| problem.code);
        until("the old session ended in order", || ended() == Some(Code::GOING_AWAY.to_string())).await;
    }
    for cert in [&a, &b] {
        cert.node.shutdown.cancel();
        cert.node.tasks.close();
        cert.node.tasks.wait().await;
    }
    accepting.await.unwrap();
}

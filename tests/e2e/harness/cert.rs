//! CERTs: their homes, and what two operators do to pair them.

use std::{
    collections::BTreeSet,
    fs,
    net::UdpSocket,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Mutex,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Output, bundle, get, indicator, mithaq, mithaq_with_input, until};

/// Ports that were given out: the system may offer one again as soon as it is free.
static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A folder for the CERTs of one scenario, with a path short enough for sockets.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("mq").tempdir_in("/tmp").unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file of the scenario's own; its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        text(&path)
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A UDP port of this machine that nobody listens at.
pub(crate) fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        if PORTS.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// A CERT.
#[derive(Debug, Clone)]
pub(crate) struct Cert {
    /// What its peers call it.
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
    /// The STIX identity that it publishes under.
    pub(crate) identity: String,
}

impl Cert {
    /// Makes a CERT; `name` has two letters, which stand for its country too.
    #[track_caller]
    pub(crate) fn init(place: &Place, name: &str) -> Self {
        let port = free_port();
        Self::init_at(place, name, port, Some(&format!("127.0.0.1:{port}")))
    }

    /// Makes a CERT that listens at a port and that its peers dial elsewhere, or do not dial at all.
    #[track_caller]
    pub(crate) fn init_at(place: &Place, name: &str, port: u16, endpoint: Option<&str>) -> Self {
        let home = place.path().join(name);
        let address = format!("127.0.0.1:{port}");
        let country = name.to_uppercase();
        let args = ["init", "--json", "--name", name, "--country", &country, "--contact", "soc@cert.example"];
        let network = ["--listen", &address].into_iter().chain(endpoint.iter().flat_map(|at| ["--endpoint", at]));
        let made = mithaq(&home, &args.into_iter().chain(network).collect::<Vec<_>>()).exits(0).last();
        let identity = made["identities"][0].as_str().unwrap().to_owned();
        Self { name: name.to_owned(), home, port, identity }
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        mithaq(&self.home, args)
    }

    /// Pushes `input` and takes the answer as JSON.
    #[track_caller]
    pub(crate) fn push(&self, input: impl AsRef<[u8]>, args: &[&str]) -> Output {
        mithaq_with_input(&self.home, &[&["push", "-", "--json"], args].concat(), input.as_ref())
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.home.join("run/control.sock")
    }

    pub(crate) fn siem_socket(&self) -> PathBuf {
        self.home.join("run/siem/default.sock")
    }

    /// The daemon's state; `None` while it does not answer.
    pub(crate) fn try_status(&self) -> Option<Value> {
        let stream = UnixStream::connect(self.control_socket()).ok()?;
        let answer = get(stream, "/v1/status", &[]).ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.try_status().unwrap_or_else(|| panic!("the daemon of {} does not answer", self.name))
    }

    /// How many objects are held; 0 while the daemon does not answer.
    pub(crate) fn objects(&self) -> u64 {
        self.try_status().map_or(0, |status| status["objects"].as_u64().unwrap())
    }

    /// What stands between this CERT and a peer.
    pub(crate) fn peer(&self, peer: &Self) -> Option<Value> {
        let status = self.try_status()?;
        status["peers"].as_array()?.iter().find(|entry| entry["name"] == peer.name.as_str()).cloned()
    }

    /// The code of the problem that `status` shows with a peer.
    pub(crate) fn problem_with(&self, peer: &Self) -> Option<String> {
        Some(self.peer(peer)?["problem"]["code"].as_str()?.to_owned())
    }

    /// The CERT id, by which others name it that are no peers of it.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        let keys = self.run(&["key", "list", "--json"]).exits(0).lines();
        let root = keys.iter().find(|key| key["use"] == "root").unwrap();
        root["key"].as_str().unwrap().to_owned()
    }

    /// What is known here of an object, one entry for each version; nothing while the daemon does not answer.
    pub(crate) fn show(&self, id: &str) -> Vec<Value> {
        let Ok(stream) = UnixStream::connect(self.control_socket()) else { return Vec::new() };
        let Ok(answer) = get(stream, &format!("/v1/show/{id}"), &[]) else { return Vec::new() };
        if answer.status != 200 {
            return Vec::new();
        }
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Whether a release that stands here, or that an operator accepted, names an object.
    pub(crate) fn serves(&self, id: &str) -> bool {
        let releases = |held: Value| held["releases"].as_array().unwrap().clone();
        self.show(id)
            .into_iter()
            .flat_map(releases)
            .any(|release| release["held"].is_null() || release["held"]["code"] == "MQ-3066")
    }

    /// Waits until a release that stands here names an object.
    #[track_caller]
    pub(crate) fn until_serves(&self, id: &str) {
        until(&format!("{} serves {id}", self.name), || self.serves(id).then_some(()));
    }

    /// Waits until no release that stands here names an object.
    #[track_caller]
    pub(crate) fn until_dropped(&self, id: &str) {
        until(&format!("{} serves {id} no more", self.name), || {
            (self.try_status().is_some() && !self.serves(id)).then_some(())
        });
    }

    /// The codes of the steps of the rule that keep an object from a peer; none if it goes.
    #[track_caller]
    pub(crate) fn withheld_by(&self, id: &str, peer: &Self) -> Vec<String> {
        let why = self.run(&["why", id, "--peer", &peer.name, "--json"]).last();
        let failed = why["reasons"].as_array().unwrap().iter().filter(|reason| reason["ok"] == false);
        let codes: Vec<_> = failed.map(|reason| reason["code"].as_str().unwrap().to_owned()).collect();
        assert_eq!(why["released"], codes.is_empty(), "{why}");
        codes
    }

    /// The ledger's audit; fails if it finds anything.
    #[track_caller]
    pub(crate) fn ledger_is_whole(&self) -> Value {
        let check = self.run(&["ledger", "verify", "--json"]).exits(0).last();
        assert_eq!((&check["ok"], &check["problems"]), (&Value::from(true), &Value::from(Vec::<Value>::new())));
        check
    }

    /// Waits until the peer has cosigned our ledger towards it as it stands: its head.
    #[track_caller]
    pub(crate) fn until_cosigned(&self, peer: &Self) -> Value {
        until(&format!("{} has cosigned the ledger of {}", peer.name, self.name), || {
            let head =
                self.ledger_is_whole()["peers"].as_array()?.iter().find(|head| head["peer"] == *peer.name)?.clone();
            (head["cosigned_size"] == head["size"]).then_some(head)
        })
    }

    /// The last word of a peer on a release that was disclosed to it, as our ledger has it.
    #[track_caller]
    pub(crate) fn receipt_of(&self, peer: &Self, release: &str) -> Option<String> {
        let args = ["ledger", "show", "--peer", &peer.name, "--after", "0", "--limit", "10000", "--json"];
        let entries = self.run(&args).exits(0).lines();
        let mut receipts = entries.iter().filter_map(|entry| entry["receipts"].as_array()).flatten();
        let last = receipts.rfind(|receipt| receipt["release"] == release)?;
        Some(last["status"].as_str().unwrap().to_owned())
    }

    /// Waits until our ledger has this word of a peer on a release.
    #[track_caller]
    pub(crate) fn until_receipt(&self, peer: &Self, release: &str, status: &str) {
        let what = format!("{} has {}'s receipt {status:?} of {release}", self.name, peer.name);
        until(&what, || self.receipt_of(peer, release).filter(|word| word == status));
    }

    /// Takes an object back: the release that says so.
    #[track_caller]
    pub(crate) fn withdraw(&self, id: &str) -> String {
        let done = self.run(&["withdraw", id, "--reason", "a false positive", "--json"]).exits(0).last();
        assert_eq!(done["objects"], 1, "{done}");
        done["releases"][0].as_str().unwrap().to_owned()
    }

    /// Appends to the configuration, or replaces a line of it.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.home.join("mithaq.toml");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{from:?} is not in {config}");
        fs::write(path, config.replacen(from, to, 1)).unwrap();
    }

    /// Appends a table to the configuration.
    pub(crate) fn configure_more(&self, table: &str) {
        let path = self.home.join("mithaq.toml");
        let config = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{config}\n{table}\n")).unwrap();
    }

    /// The file in which a peer is kept.
    pub(crate) fn peer_file(&self, peer: &Self) -> PathBuf {
        self.home.join("peers").join(format!("{}.json", peer.name))
    }
}

/// Exchanges cards, unless that was done before.
#[track_caller]
fn introduce(a: &Cert, b: &Cert) {
    for (from, to) in [(a, b), (b, a)] {
        if to.peer_file(from).exists() {
            continue;
        }
        let card = from.home.with_extension(format!("{}.card", to.name));
        from.run(&["peer", "invite", "--out", &text(&card)]).exits(0);
        to.run(&["peer", "add", &from.name, &text(&card)]).exits(0);
    }
}

/// An agreement with these terms that both sides have signed; its file.
#[track_caller]
pub(crate) fn draft(a: &Cert, b: &Cert, terms: &[&str]) -> String {
    introduce(a, b);
    let file = (1..)
        .map(|number| a.home.with_extension(format!("{}-{number}.pact", b.name)))
        .find(|file| !file.exists())
        .unwrap();
    let file = text(&file);
    a.run(&[&["agreement", "new", "--peer", &b.name, "--out", &file], terms].concat()).exits(0);
    for cert in [a, b] {
        cert.run(&["agreement", "sign", &file, "--yes"]).exits(0);
    }
    file
}

/// The last eight groups of the code that a CERT would read out to a peer.
#[track_caller]
fn read_out(cert: &Cert, peer: &Cert, agreement: &str) -> String {
    let shown = cert.run(&["peer", "verify", &peer.name, "--agreement", agreement, "--show", "--json"]);
    let shown = shown.exits(0).last();
    let group = |number: usize| format!("{number}={}", shown["groups"][number - 1].as_str().unwrap());
    (5..=12).map(group).collect::<Vec<_>>().join(" ")
}

/// What one operator does once both have signed: compare the code, activate.
#[track_caller]
pub(crate) fn activate(cert: &Cert, peer: &Cert, agreement: &str) {
    let heard = read_out(peer, cert, agreement);
    cert.run(&["peer", "verify", &peer.name, "--agreement", agreement, "--groups", &heard]).exits(0);
    cert.run(&["peer", "activate", &peer.name, "--agreement", agreement]).exits(0);
}

#[track_caller]
pub(crate) fn activate_both(a: &Cert, b: &Cert, agreement: &str) {
    activate(a, b, agreement);
    activate(b, a, agreement);
}

/// Pairs two CERTs under an agreement with these terms.
#[track_caller]
pub(crate) fn pair(a: &Cert, b: &Cert, terms: &[&str]) {
    activate_both(a, b, &draft(a, b, terms));
}

/// PK and CN, paired and active.
#[track_caller]
pub(crate) fn two_peers(place: &Place) -> [Cert; 2] {
    let certs = ["pk", "cn"].map(|name| Cert::init(place, name));
    pair(&certs[0], &certs[1], &[]);
    certs
}

/// Puts an agreement in force that all of these CERTs have signed as a group, between each two of them.
#[track_caller]
pub(crate) fn pair_group(certs: &[&Cert], terms: &[&str]) {
    let pairs = || certs.iter().flat_map(|a| certs.iter().filter(move |b| b.name != a.name).map(move |b| (*a, *b)));
    pairs().for_each(|(a, b)| introduce(a, b));
    let [first, others @ ..] = certs else { panic!("a group of nobody") };
    let file = text(&first.home.with_extension("group.pact"));
    let members = others.iter().flat_map(|cert| ["--peer", &cert.name]);
    let new = ["agreement", "new", "--group", "gulf", "--out", &file].into_iter().chain(members);
    first.run(&new.chain(terms.iter().copied()).collect::<Vec<_>>()).exits(0);
    for cert in certs {
        cert.run(&["agreement", "sign", &file, "--yes"]).exits(0);
    }
    pairs().for_each(|(a, b)| activate(a, b, &file));
}

/// Shares one more object, the probe `number`, and waits until the peer holds it and has acknowledged all before it:
/// whatever was to arrive has arrived.
#[track_caller]
pub(crate) fn settle(from: &Cert, to: &Cert, number: u32) {
    let probe = indicator(0xfeed, number);
    let path = format!("/v1/show/{}", probe["id"].as_str().unwrap());
    from.push(bundle(&[probe]), &[]).exits(0);
    until(&format!("{} holds the probe of {}", to.name, from.name), || {
        let stream = UnixStream::connect(to.control_socket()).ok()?;
        get(stream, &path, &[]).ok().filter(|answer| answer.status == 200)
    });
    until(&format!("{} has acknowledged all to {}", to.name, from.name), || {
        from.peer(to).filter(|peer| peer["lag"] == 0)
    });
}

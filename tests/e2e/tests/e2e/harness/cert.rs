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

fn free_port() -> u16 {
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
        let (home, port) = (place.path().join(name), free_port());
        let address = format!("127.0.0.1:{port}");
        let country = name.to_uppercase();
        let args = ["init", "--json", "--name", name, "--country", &country, "--contact", "soc@cert.example"];
        let network = ["--listen", &address, "--endpoint", &address];
        let made = mithaq(&home, &[&args[..], &network].concat()).exits(0).last();
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

    /// Appends to the configuration, or replaces a line of it.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.home.join("mithaq.toml");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{from:?} is not in {config}");
        fs::write(path, config.replacen(from, to, 1)).unwrap();
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

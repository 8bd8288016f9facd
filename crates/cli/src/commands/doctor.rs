//! `mithaq doctor`: whether a home and its daemon are as they should be, and what to do where they are not.

use anstyle::Style;
use mithaq_api::{
    client::ClientError,
    config::Config,
    home::{Home, KeyName, Peer, newest_key},
    http::{PeerStatus, Status},
    warning_lists::WarningLists,
};
use mithaq_core::{card::VerifiedCard, time::Time};
use serde::Serialize;

use crate::{
    clock,
    console::{BAD, Console, GOOD, PLAIN, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// How long before its end a key or an agreement is spoken of: time enough to meet and sign another.
const WARNED_BEFORE_DAYS: i64 = 30;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Look whether the home and its daemon are as they should be, and what to do where they are not.
///
/// Looks at the configuration, our card and keys, each peer and how long the agreement with it holds, the warning lists,
/// and, if the daemon runs, at its disk, its peers and its exports. Nothing is changed.
///
/// Ends with status 0 if all is well, 3 if there is something to look at, 1 if something is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq doctor
  mithaq doctor --json | jq 'select(.state != \"well\")'
  mithaq doctor > /dev/null || mail -s 'look at mithaq' operators@cert.example < /dev/null")]
pub(crate) struct Args {}

/// How it stands with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Well,
    Look,
    Wrong,
}

/// What was found of one thing.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    what: String,
    state: State,
    text: String,
}

/// Gathers what is found.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, state: State, what: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { what: what.into(), state, text: text.into() });
    }

    /// Notes what is wrong, with its code, and gives what is there.
    fn there<T>(&mut self, what: &str, result: Result<T, impl Into<Failure>>) -> Option<T> {
        result
            .map_err(|error| {
                let failure = error.into();
                self.add(State::Wrong, what, format!("{}: {}", failure.code(), failure.message()));
            })
            .ok()
    }

    /// Notes when something ends, and what to do before it does.
    fn end(&mut self, what: &str, ends: Time, now: Time, remedy: &str) {
        let at = clock::for_people(ends);
        if ends <= now {
            self.add(State::Wrong, what, format!("ended {at}: {remedy}"));
        } else if clock::seconds_before(ends, WARNED_BEFORE_DAYS * DAY) <= now {
            self.add(State::Look, what, format!("ends {at}: {remedy}"));
        } else {
            self.add(State::Well, what, format!("until {at}"));
        }
    }
}

/// Looks, and tells.
pub(crate) fn run(_: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let (mut findings, now) = (Findings::default(), clock::now());
    let config = findings.there("configuration", home.config());
    if let Some(config) = &config {
        findings.add(State::Well, "configuration", home.config_path().display().to_string());
        warning_lists(config, home, &mut findings);
    }
    if let Some(card) = findings.there("card", home.card()) {
        own(&card, home, now, &mut findings);
    }
    peers(home, now, &mut findings);
    if config.is_some() {
        daemon_of(home, &mut findings)?;
    }
    findings.0.iter().try_for_each(|finding| print(finding, console))?;
    Ok(match findings.0.iter().map(|finding| finding.state).max() {
        None | Some(State::Well) => Exit::Ok,
        Some(State::Look) => Exit::Degraded,
        Some(State::Wrong) => Exit::Failure,
    })
}

fn print(finding: &Finding, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return console.json(finding);
    }
    let (style, word): (Style, _) = match finding.state {
        State::Well => (GOOD, "well "),
        State::Look => (WARN, "look "),
        State::Wrong => (BAD, "WRONG"),
    };
    console.spans(&[(style, word.to_owned()), (PLAIN, format!("  {}  {}", finding.what, finding.text))])
}

fn warning_lists(config: &Config, home: &Home, findings: &mut Findings) {
    let Some(dir) = &config.warning_lists.dir else { return };
    match WarningLists::of_folder(&home.dir().join(dir)) {
        Ok(lists) => {
            let text = format!("{} lists with {} entries", lists.len(), lists.entries());
            findings.add(State::Well, "warning lists", text);
        }
        Err(error) => findings.add(State::Wrong, "warning lists", error.to_string()),
    }
}

/// Our card and the keys that it names.
fn own(card: &VerifiedCard, home: &Home, now: Time, findings: &mut Findings) {
    let issued = clock::for_people(card.card().issued_at);
    if card.card().issued_at > now {
        findings.add(State::Wrong, "clock", format!("our card was signed {issued}, which is to come: set the clock"));
    }
    findings.add(State::Well, "card", format!("serial {}, signed {issued}", card.card().serial));
    for (name, what) in [(KeyName::Signing, "signing key"), (KeyName::Tls, "TLS key")] {
        let Some(keys) = findings.there(what, home.own_keys(card, name)) else { continue };
        match newest_key(card, &keys, now) {
            Some(key) => findings.end(what, key.dated.not_after, now, "make a new one with `mithaq key rotate`"),
            None => {
                findings.there(what, home.current_key(card, name, now));
            }
        }
    }
}

/// Each peer's file, and how long the agreement with it holds.
fn peers(home: &Home, now: Time, findings: &mut Findings) {
    let Some(names) = findings.there("peers", home.peer_names()) else { return };
    if names.is_empty() {
        findings.add(State::Look, "peers", "there are none: `mithaq peer --help` tells how to pair");
    }
    for name in names {
        let what = format!("peer {name}");
        let Some(Peer { agreement, ended, state, .. }) = findings.there(&what, home.peer(&name)) else { continue };
        match (agreement, ended) {
            _ if state.is_stopped() => findings.add(State::Look, what, "was stopped here: see `mithaq peer show`"),
            (_, Some(ending)) => {
                findings.add(State::Look, what, format!("the agreement was ended {}", clock::for_people(ending.at)));
            }
            (Some(agreement), None) => {
                let remedy = "agree anew with `mithaq agreement renew`";
                findings.end(&format!("agreement with {name}"), agreement.agreement().valid_until, now, remedy);
            }
            (None, None) => {
                findings.add(State::Look, what, "is not active: nothing moves until `mithaq peer activate`");
            }
        }
    }
}

/// What the daemon says of itself, if it runs.
fn daemon_of(home: &Home, findings: &mut Findings) -> Result<(), Failure> {
    let client = daemon::client(home)?;
    let asked = daemon::block_on(async { Ok(client.get::<Status>("/v1/status").await?) });
    match asked {
        Ok(status) => running(&status, findings),
        Err(Failure::Client(error @ ClientError::Unreachable { .. })) => {
            findings.add(State::Look, "daemon", error.to_string());
        }
        Err(failure) => findings.add(State::Wrong, "daemon", format!("{}: {}", failure.code(), failure.message())),
    }
    Ok(())
}

fn running(status: &Status, findings: &mut Findings) {
    let ours = env!("CARGO_PKG_VERSION");
    match status.version == ours {
        true => findings.add(State::Well, "daemon", format!("version {ours}, {} objects", status.objects)),
        false => {
            let text = format!("runs version {}, and this is {ours}: restart it", status.version);
            findings.add(State::Look, "daemon", text);
        }
    }
    if status.read_only {
        findings.add(State::Wrong, "disk", "is nearly full: nothing is taken from pushes, and peers wait; make room");
    }
    if status.restored.as_ref().is_some_and(|restored| !restored.serves) {
        findings.add(State::Look, "restored store", "SIEMs wait for peers: see `mithaq status`");
    }
    status.peers.iter().for_each(|peer| link(peer, findings));
    for export in status.exports.iter().filter(|export| export.problem.is_some()) {
        findings.add(State::Look, format!("export {}", export.name), "failed last time: see `mithaq status`");
    }
}

fn link(peer: &PeerStatus, findings: &mut Findings) {
    let what = format!("link to {}", peer.name);
    match (&peer.problem, peer.state.as_str()) {
        (Some(problem), _) => findings.add(State::Look, what, problem.to_string()),
        (None, "connected") => findings.add(State::Well, what, format!("connected, {} releases behind", peer.lag)),
        (None, _) if peer.agreement.is_some() => {
            findings.add(State::Look, what, "is not connected: nobody answers, or the peer does not dial")
        }
        (None, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_time() {
        let now: Time = "2026-06-01T00:00:00Z".parse().unwrap();
        let state = |ends: &str| {
            let mut findings = Findings::default();
            findings.end("it", ends.parse().unwrap(), now, "renew it");
            (findings.0[0].state, findings.0[0].text.contains("renew it"))
        };
        assert_eq!(state("2026-05-31T23:59:59Z"), (State::Wrong, true));
        assert_eq!(state("2026-06-30T00:00:00Z"), (State::Look, true));
        assert_eq!(state("2026-07-02T00:00:00Z"), (State::Well, false));
    }

    #[test]
    fn what_a_daemon_lacks_is_told() {
        let peer = r#"{"name":"cn","cert":"ID","state":"refused","problem":{"code":"MQ-4001","message":"no"},"lag":3,
            "sent":0,"received":0,"objects_sent":0,"objects_received":0,"objects_deduplicated":0,"bytes_sent":0,
            "bytes_received":0,"agreement":"ID"}"#;
        let text = format!(
            r#"{{"cert":"ID","name":"PK","version":"0.0.1","objects":1,"releases":1,"references":1,"store_bytes":1,
            "body_bytes":1,"uptime_seconds":1,"listen":"x","peers":[{peer}],"read_only":true}}"#
        );
        let status: Status = serde_json::from_str(&text.replace("ID", &"ab".repeat(32))).unwrap();
        let mut findings = Findings::default();
        running(&status, &mut findings);
        let told: Vec<_> = findings.0.iter().map(|finding| (finding.what.as_str(), finding.state)).collect();
        assert_eq!(told, [("daemon", State::Look), ("disk", State::Wrong), ("link to cn", State::Look)]);
    }
}

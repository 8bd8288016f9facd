//! `mithaq peer drill`: does everything work that a peer needs, before it is needed?

use std::time::Duration;

use mithaq_api::{
    home::{Home, HomeError, KeyName, PeerFile, PeerState},
    http::{PeerStatus, Status},
};
use mithaq_core::{
    agreement::SignedAgreement,
    card::{Card, DatedKey, VerifiedCard},
    time::Time,
};
use serde_json::json;

use super::{peer_name, show};
use crate::{
    clock,
    console::{BAD, Console, GOOD, PLAIN},
    daemon,
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// What ends within this many days needs somebody's attention now.
const DAYS_MIN: u64 = 14;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Check that everything works for a peer, without sending any data.
///
/// Ends with status 0 if it does, and 3 if something does not or ends within two weeks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer drill cn
  mithaq peer drill cn --json | jq 'select(.ok | not)'")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
}

/// What was looked at and found.
struct Check {
    what: &'static str,
    ok: bool,
    text: String,
}

impl Check {
    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, ok: true, text: text.into() }
    }

    fn bad(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, ok: false, text: text.into() }
    }

    /// Something that ends.
    fn until(what: &'static str, until: Time, now: Time) -> Self {
        let days = until.since(now).as_secs() / DAY.as_secs();
        Self { what, ok: days >= DAYS_MIN, text: format!("{days} days left, until {}", clock::for_people(until)) }
    }
}

/// Looks at everything.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let (ours, peer, now) = (home.card()?, home.peer_file(&args.name)?, clock::now());
    let path = home.peer_path(&args.name);
    let theirs = VerifiedCard::verify(peer.card.clone()).map_err(|source| HomeError::Card { path, source })?;
    let mut checks = vec![state(&peer), agreement(&peer, &ours, &theirs, home, now)];
    checks.extend(their_keys(theirs.card(), now));
    checks.extend(our_keys(&ours, home, now));
    checks.extend(session(&peer, &theirs, home));
    checks.push(our_clock(&[ours.card(), theirs.card()], now));
    report(&args.name, &checks, console)?;
    Ok(if checks.iter().all(|check| check.ok) { Exit::Ok } else { Exit::Degraded })
}

fn state(peer: &PeerFile) -> Check {
    let state = show::state(peer.state);
    match (peer.state, &peer.reason) {
        (PeerState::Active, _) => Check::good("state", state),
        (_, Some(reason)) => Check::bad("state", format!("{state}: {reason}")),
        (_, None) => Check::bad("state", state),
    }
}

fn agreement(peer: &PeerFile, ours: &VerifiedCard, theirs: &VerifiedCard, home: &Home, now: Time) -> Check {
    let what = "agreement";
    let Some(signed) = peer.agreement.as_ref().and_then(|envelope| SignedAgreement::open(envelope).ok()) else {
        return Check::bad(what, "there is none: `mithaq agreement new` drafts one");
    };
    if peer.verified != Some(signed.id()) {
        return Check::bad(what, "the pairing code was compared over another one, or none");
    }
    if let Some(ending) = home.peer(&peer.name).ok().and_then(|peer| peer.ended) {
        let at = clock::for_people(ending.at);
        return Check::bad(what, format!("was ended {at}: `mithaq agreement new` drafts another"));
    }
    match home.verify_agreement(signed, peer, ours, theirs) {
        Err(error) => Check::bad(what, error.to_string()),
        Ok(agreement) if now < agreement.agreement().valid_from => {
            Check::bad(what, format!("begins {}", clock::for_people(agreement.agreement().valid_from)))
        }
        Ok(agreement) => Check::until(what, agreement.agreement().valid_until, now),
    }
}

fn their_keys(card: &Card, now: Time) -> [Check; 2] {
    let check = |what, keys: &[DatedKey]| match lasts_until(card, keys, now) {
        Some(until) => Check::until(what, until, now),
        None => Check::bad(what, "their card names none for now: ask for their newest card"),
    };
    [check("their signing key", &card.signing_keys), check("their TLS key", &card.tls_keys)]
}

fn our_keys(card: &VerifiedCard, home: &Home, now: Time) -> [Check; 2] {
    let check = |what, name| {
        let keys: Vec<DatedKey> = match home.own_keys(card, name) {
            Ok(keys) => keys.into_iter().map(|key| key.dated).collect(),
            Err(error) => return Check::bad(what, error.to_string()),
        };
        match lasts_until(card.card(), &keys, now) {
            Some(until) => Check::until(what, until, now),
            None => Check::bad(what, "none that is here counts now: `mithaq key rotate` makes new ones"),
        }
    };
    [check("our signing key", KeyName::Signing), check("our TLS key", KeyName::Tls)]
}

/// Until when there is always one of these keys that counts; `None` if none does now.
fn lasts_until(card: &Card, keys: &[DatedKey], now: Time) -> Option<Time> {
    let mut until = None;
    let mut at = now;
    // Each round goes on to the end of a key that goes further, so there are no more rounds than keys.
    while let Some(end) = keys.iter().filter(|key| card.is_usable(key, at)).map(|key| end_of(card, key)).max()
        && until.is_none_or(|until| until < end)
    {
        (until, at) = (Some(end), end);
    }
    until
}

fn end_of(card: &Card, key: &DatedKey) -> Time {
    card.revoked_since(key.public.id()).map_or(key.not_after, |since| since.min(key.not_after))
}

/// What the daemon says of the link.
fn session(peer: &PeerFile, theirs: &VerifiedCard, home: &Home) -> Vec<Check> {
    let has_endpoint = !peer.endpoints.is_empty() || !theirs.card().endpoints.is_empty();
    let asked = daemon::client(home)
        .and_then(|client| daemon::block_on(async { Ok(client.get::<Status>("/v1/status").await?) }));
    let status = match asked {
        Ok(status) => status,
        Err(failure) => return vec![Check::bad("daemon", failure.message())],
    };
    let daemon = Check::good("daemon", format!("runs, and listens at {}", status.listen));
    let link = status.peers.into_iter().find(|known| known.name == peer.name);
    vec![
        daemon,
        link.map_or_else(
            || Check::bad("session", "the daemon does not know the peer"),
            |link| session_of(&link, has_endpoint),
        ),
    ]
}

fn session_of(link: &PeerStatus, has_endpoint: bool) -> Check {
    match (&link.problem, link.state.as_str()) {
        (_, "connected") => Check::good("session", "connected"),
        (Some(problem), state) => Check::bad("session", format!("{state}: {}: {}", problem.code, problem.message)),
        (None, state) if has_endpoint => Check::bad("session", state),
        (None, state) => Check::bad("session", format!("{state}; we know no endpoint, so they must dial us")),
    }
}

/// A clock that is behind the cards that lie here is wrong. One that is ahead is not seen from here.
fn our_clock(cards: &[&Card], now: Time) -> Check {
    let latest = cards.iter().map(|card| card.issued_at).max().unwrap_or(now);
    if now < latest {
        let (now, latest) = (clock::for_people(now), clock::for_people(latest));
        return Check::bad("clock", format!("says {now}, before a card that lies here was signed ({latest})"));
    }
    Check::good("clock", clock::for_people(now))
}

fn report(name: &str, checks: &[Check], console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        let line = |check: &Check| json!({ "peer": name, "check": check.what, "ok": check.ok, "text": check.text });
        return checks.iter().try_for_each(|check| console.json(&line(check)));
    }
    let mut table = Table::new(["check", "", "found"]);
    for check in checks {
        let verdict = if check.ok { (GOOD, "ok") } else { (BAD, "NOT OK") };
        table.styled([(PLAIN, check.what.to_owned()), (verdict.0, verdict.1.to_owned()), (PLAIN, check.text.clone())]);
    }
    table.print(console)
}

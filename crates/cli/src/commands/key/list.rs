//! `mithaq key list`: which keys there are, and which are used.

use mithaq_api::home::{Home, KeyFile, KeyName, newest_key};
use mithaq_core::{
    card::{DatedKey, VerifiedCard},
    id::KeyId,
    keys::PublicKey,
    time::Time,
};
use serde_json::json;

use super::plan::Kind;
use crate::{
    clock,
    console::{Console, FAINT, GOOD, PLAIN, WARN},
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// List our keys, their dates and what they are used for now.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq key list
  mithaq key list --json | jq 'select(.state == \"used\") | {use, until}'

States: used now; next, once its time comes; old, still good; over; revoked; waiting for a card that
names it; elsewhere, good but its file is not here.")]
pub(crate) struct Args {}

/// A key of ours.
struct Entry {
    kind: &'static str,
    public: PublicKey,
    dates: Option<(Time, Time)>,
    state: &'static str,
    revoked: Option<Time>,
}

/// Lists our keys.
pub(super) fn run(_: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let (card, now) = (home.card()?, clock::now());
    let entries = entries(&card, home, now)?;
    let root_is_here = home.key_path(KeyName::Root).exists();
    if console.is_json() {
        let root = card.card().root.id();
        console
            .json(&json!({ "use": "root", "key": root, "state": if root_is_here { "here" } else { "elsewhere" } }))?;
        entries.iter().try_for_each(|entry| console.json(&entry.to_json()))?;
    } else {
        table(&entries).print(console)?;
        let place = if root_is_here { "lies in this home" } else { "does not lie in this home" };
        console.line(format_args!("The root key {place}. Our card has serial {}.", card.card().serial))?;
    }
    Ok(Exit::Ok)
}

fn entries(card: &VerifiedCard, home: &Home, now: Time) -> Result<Vec<Entry>, Failure> {
    let files = home.key_files()?;
    let mut entries = Vec::new();
    for kind in Kind::ALL {
        let own = home.own_keys(card, kind.key_name())?;
        let used = newest_key(card, &own, now).map(|key| key.dated.public);
        let keys = if kind == Kind::Signing { &card.card().signing_keys } else { &card.card().tls_keys };
        for dated in keys {
            let is_here = own.iter().any(|key| key.dated.public == dated.public);
            entries.push(Entry {
                kind: kind.name(),
                public: dated.public,
                dates: Some((dated.not_before, dated.not_after)),
                state: state(card, dated, used == Some(dated.public), is_here, now),
                revoked: card.card().revoked_since(dated.public.id()),
            });
        }
        entries.extend(files.iter().filter(|file| is_waiting(file, kind, keys)).map(|file| Entry::waiting(kind, file)));
    }
    Ok(entries)
}

fn is_waiting(file: &KeyFile, kind: Kind, named: &[DatedKey]) -> bool {
    file.name == kind.key_name() && !named.iter().any(|dated| dated.public == file.public)
}

fn state(card: &VerifiedCard, dated: &DatedKey, is_used: bool, is_here: bool, now: Time) -> &'static str {
    let is_revoked = card.card().revoked_since(dated.public.id()).is_some_and(|since| since <= now);
    match () {
        () if is_used => "used",
        () if is_revoked => "revoked",
        () if dated.not_after < now => "over",
        () if !is_here => "elsewhere",
        () if now < dated.not_before => "next",
        () => "old",
    }
}

impl Entry {
    fn waiting(kind: Kind, file: &KeyFile) -> Self {
        Self { kind: kind.name(), public: file.public, dates: None, state: "waiting", revoked: None }
    }

    fn id(&self) -> KeyId {
        self.public.id()
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "use": self.kind,
            "key": self.id(),
            "state": self.state,
            "from": self.dates.map(|(from, _)| from),
            "until": self.dates.map(|(_, until)| until),
            "revoked_since": self.revoked,
        })
    }
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new(["key", "use", "state", "from", "until", "revoked since"]);
    for entry in entries {
        let style = match entry.state {
            "used" | "next" => GOOD,
            "revoked" | "elsewhere" => WARN,
            _ => FAINT,
        };
        let time = |time: Option<Time>| time.map_or_else(|| "-".to_owned(), clock::for_people);
        let id: String = entry.id().to_string().chars().take(16).collect();
        table.styled([
            (PLAIN, id),
            (PLAIN, entry.kind.to_owned()),
            (style, entry.state.to_owned()),
            (PLAIN, time(entry.dates.map(|(from, _)| from))),
            (PLAIN, time(entry.dates.map(|(_, until)| until))),
            (PLAIN, time(entry.revoked)),
        ]);
    }
    table
}

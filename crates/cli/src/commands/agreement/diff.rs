//! `mithaq agreement diff`: what differs between two agreements.

use std::path::PathBuf;

use mithaq_api::home::Home;
use serde_json::json;

use super::{
    compare::{Change, Difference, compare},
    show::find,
};
use crate::{
    console::{Console, GOOD, PLAIN, WARN},
    exit::Exit,
    failure::Failure,
    people::People,
};

/// Compare two agreements, term by term, and say where the second lets more or less go.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq agreement diff cn renewed.json       the one in force with cn, and a draft
  mithaq agreement diff old.json new.json --json")]
pub(crate) struct Args {
    /// An agreement's file, or our name for a peer
    #[arg(value_name = "FILE|PEER")]
    a: PathBuf,
    /// Another one
    #[arg(value_name = "FILE|PEER")]
    b: PathBuf,
}

/// Compares two agreements.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let (a, b) = (find(&args.a, home)?, find(&args.b, home)?);
    let differences = compare(a.agreement(), b.agreement());
    if console.is_json() {
        console.json(&json!({ "a": a.id(), "b": b.id(), "differences": differences }))?;
    } else if differences.is_empty() {
        console.line("The terms are the same.")?;
    } else {
        let people = People::of(home);
        differences.iter().try_for_each(|difference| print(difference, &people, console))?;
    }
    Ok(Exit::Ok)
}

fn print(difference: &Difference, people: &People, console: &mut Console) -> Result<(), Failure> {
    let Difference { from, term, a, b, change } = difference;
    let whose = from.map_or_else(String::new, |cert| format!("from {}: ", people.short(cert)));
    let (style, word) = match change {
        Change::Wider => (WARN, "  wider"),
        Change::Narrower => (GOOD, "  narrower"),
        Change::Other => (PLAIN, ""),
    };
    console.spans(&[(PLAIN, format!("{whose}{term}: {a} -> {b}")), (style, word.to_owned())])
}

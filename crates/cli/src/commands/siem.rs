//! `mithaq siem`: the tokens by which SIEMs read over TCP, and who has read what.

use std::collections::BTreeSet;

use clap::Subcommand;
use mithaq_api::{
    client::ClientError,
    config::{COLLECTION_DEFAULT, Config},
    home::Home,
    http::SiemReader,
    tokens::{Token, Tokens},
};
use mithaq_core::time::Time;
use serde::Serialize;

use crate::{
    clock,
    console::{Console, GOOD, STRONG},
    daemon,
    exit::Exit,
    failure::Failure,
    random,
    table::Table,
};

/// Give SIEMs tokens for the TCP listener, and see who has read what.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq siem token add splunk --collection banks
  mithaq siem token list
  mithaq siem token remove splunk
  mithaq siem readers")]
pub(crate) enum Command {
    #[command(subcommand)]
    Token(TokenCommand),
    Readers(ReadersArgs),
}

/// Make, list and remove tokens. The daemon goes by a change at once.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq siem token add splunk
  mithaq siem token add qradar --collection banks --collection default
  mithaq siem token remove splunk")]
pub(crate) enum TokenCommand {
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Make a token and print it, once: the home keeps its SHA-256 alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq siem token add splunk
  mithaq siem token add qradar --collection banks --collection default
  mithaq siem token add qradar --json | jq -r .token")]
pub(crate) struct AddArgs {
    /// Whom it is for: 1 to 32 of a-z, 0-9 and -, beginning with a letter
    name: String,
    /// A collection that it opens; several times for several
    #[arg(long = "collection", value_name = "NAME", default_value = COLLECTION_DEFAULT)]
    collections: Vec<String>,
}

/// List the tokens that there are, without what nobody can tell any more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq siem token list
  mithaq siem token list --json | jq -r .name")]
pub(crate) struct ListArgs {}

/// Remove a token: whoever has it is let in no more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq siem token remove splunk")]
pub(crate) struct RemoveArgs {
    /// The token's name
    name: String,
}

/// List who has read which collection, how much and up to where.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq siem readers
  mithaq siem readers --json | jq -r 'select(.collection == \"banks\") | .reader'")]
pub(crate) struct ReadersArgs {}

/// A token that was made, as programs are told.
#[derive(Serialize)]
struct Added<'a> {
    name: &'a str,
    collections: &'a BTreeSet<String>,
    token: &'a str,
}

/// A token that there is, as programs are told.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    collections: &'a BTreeSet<String>,
    added: Option<Time>,
}

/// Runs one of the commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Token(TokenCommand::Add(args)) => add(args, home, console),
        Command::Token(TokenCommand::List(_)) => list(home, console),
        Command::Token(TokenCommand::Remove(args)) => remove(args, home, console),
        Command::Readers(_) => readers(home, console),
    }
}

fn add(args: &AddArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let config = home.config()?;
    let collections: BTreeSet<String> = args.collections.iter().cloned().collect();
    let unknown = collections.iter().find(|name| !is_configured(&config, name));
    if let Some(collection) = unknown {
        return Err(Failure::NoCollection { collection: collection.clone() });
    }
    let path = home.siem_tokens(&config);
    let mut tokens = Tokens::load_or_none(&path)?;
    let token = tokens.add(&args.name, collections.clone(), random::bytes()?, clock::now())?;
    tokens.save(&path)?;
    if console.is_json() {
        console.json(&Added { name: &args.name, collections: &collections, token: &token })?;
    } else {
        console.styled(STRONG, format_args!("{token}"))?;
        console.note("this is shown once; clients send it as a Bearer token, or as the password of any user")?;
        if config.siem.tcp.is_none() {
            console.note("there is no [siem.tcp] in mithaq.toml yet, so nobody listens for it")?;
        }
    }
    Ok(Exit::Ok)
}

fn is_configured(config: &Config, collection: &str) -> bool {
    collection == COLLECTION_DEFAULT || config.collection.keys().any(|name| name.as_str() == collection)
}

fn list(home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let tokens = Tokens::load_or_none(&home.siem_tokens(&home.config()?))?;
    if console.is_json() {
        for Token { name, collections, added, .. } in tokens.list() {
            console.json(&Listed { name, collections, added: *added })?;
        }
        return Ok(Exit::Ok);
    }
    if tokens.list().is_empty() {
        console.note("there is no token: `mithaq siem token add NAME` makes one")?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["NAME", "ADDED", "COLLECTIONS"]);
    for token in tokens.list() {
        let added = token.added.map_or_else(|| "-".to_owned(), clock::for_people);
        let collections: Vec<_> = token.collections.iter().map(String::as_str).collect();
        table.row([token.name.clone(), added, collections.join(", ")]);
    }
    table.print(console)?;
    Ok(Exit::Ok)
}

fn remove(args: &RemoveArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let path = home.siem_tokens(&home.config()?);
    let mut tokens = Tokens::load_or_none(&path)?;
    tokens.remove(&args.name)?;
    tokens.save(&path)?;
    if console.is_json() {
        console.json(&serde_json::json!({ "removed": args.name }))?;
    } else {
        console.styled(GOOD, format_args!("Removed: {}", args.name))?;
    }
    Ok(Exit::Ok)
}

fn readers(home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let rows = daemon::block_on(async {
        let (mut lines, mut rows) = (client.lines("/v1/siem/readers").await?, Vec::new());
        while let Some(line) = lines.next().await? {
            let row = serde_json::from_slice(&line).map_err(|error| ClientError::Answer(error.to_string()))?;
            rows.push(row);
        }
        Ok::<Vec<SiemReader>, Failure>(rows)
    })?;
    if console.is_json() {
        rows.iter().try_for_each(|row| console.json(row))?;
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        console.note("nobody has read anything yet")?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["COLLECTION", "READER", "LAST", "ANSWERS", "OBJECTS", "UP TO"]);
    for row in rows {
        let up_to = row.up_to.map_or_else(|| "-".to_owned(), clock::for_people);
        let (last, answers) = (clock::for_people(row.last_at), row.answers.to_string());
        table.row([row.collection, row.reader, last, answers, row.objects.to_string(), up_to]);
    }
    table.print(console)?;
    Ok(Exit::Ok)
}

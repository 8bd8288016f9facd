//! `mithaq quarantine`: what arrived and is not served until somebody decides.

use clap::Subcommand;
use mithaq_api::{
    client::{ClientError, with_query},
    home::Home,
    http::{QuarantineDecided, QuarantineQuery, QuarantineRow},
};
use mithaq_core::id::ContentId;

use crate::{
    clock,
    console::{Console, FAINT, GOOD, PLAIN, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// See what arrived and is not served, and decide on it.
///
/// An object is in quarantine if it names another CERT as its creator, claims the id of another CERT's object, was signed
/// by a revoked key, or is dated in the future. Nobody is served it until it is accepted.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq quarantine list
  mithaq quarantine show CONTENT_ID
  mithaq quarantine accept CONTENT_ID    serve it to our own readers
  mithaq quarantine drop CONTENT_ID      remove it")]
pub(crate) enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Accept(AcceptArgs),
    Drop(DropArgs),
}

/// List what is in quarantine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq quarantine list
  mithaq quarantine list --json | jq -r 'select(.code == \"MQ-3061\") | .content'")]
pub(crate) struct ListArgs {}

/// Show one object that is in quarantine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq quarantine show CONTENT_ID
  mithaq quarantine show CONTENT_ID --json | jq .reason")]
pub(crate) struct ShowArgs {
    /// The object's content id, as `quarantine list` shows it
    content: ContentId,
}

/// Serve one object that is in quarantine to our own readers; it is passed on to nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq quarantine accept CONTENT_ID")]
pub(crate) struct AcceptArgs {
    /// The object's content id, as `quarantine list` shows it
    content: ContentId,
}

/// Drop one object that is in quarantine: its body goes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq quarantine drop CONTENT_ID")]
pub(crate) struct DropArgs {
    /// The object's content id, as `quarantine list` shows it
    content: ContentId,
}

/// Runs one of the quarantine commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::List(_) => list(home, None, console),
        Command::Show(args) => show(args.content, home, console),
        Command::Accept(args) => decide("/v1/quarantine/accept", "Accepted", args.content, home, console),
        Command::Drop(args) => decide("/v1/quarantine/drop", "Dropped", args.content, home, console),
    }
}

fn list(home: &Home, only: Option<ContentId>, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let found = daemon::block_on(async {
        let (mut lines, mut found) = (client.lines("/v1/quarantine").await?, 0_usize);
        while let Some(line) = lines.next().await? {
            let row: QuarantineRow =
                serde_json::from_slice(&line).map_err(|error| ClientError::Answer(error.to_string()))?;
            if only.is_none_or(|content| content == row.content) {
                found += 1;
                print(&row, console)?;
            }
        }
        Ok(found)
    })?;
    if found == 0 {
        console.note(if only.is_some() { "it is not in quarantine" } else { "nothing is in quarantine" })?;
    }
    Ok(if found == 0 && only.is_some() { Exit::NotFound } else { Exit::Ok })
}

fn print(row: &QuarantineRow, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return console.json(row);
    }
    console.spans(&[
        (STRONG, row.id.clone()),
        (PLAIN, "  from ".into()),
        (GOOD, row.from.clone()),
        (PLAIN, format!("  {}  since {}", row.label, clock::for_people(row.since))),
    ])?;
    console.spans(&[(WARN, format!("  {}", row.code)), (PLAIN, format!("  {}", row.reason))])?;
    console.styled(FAINT, format_args!("  content id {}", row.content))
}

/// What is in quarantine is shown with its body, as `mithaq show` does it.
fn show(content: ContentId, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match list(home, Some(content), console)? {
        Exit::Ok => super::show::object(&content.to_string(), home, console),
        other => Ok(other),
    }
}

fn decide(path: &str, done: &str, content: ContentId, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let path = with_query(path, &QuarantineQuery { content })?;
    let client = daemon::client(home)?;
    let decided: QuarantineDecided = daemon::block_on(async { Ok(client.post(&path).await?) })?;
    if console.is_json() {
        console.json(&decided)?;
    } else {
        console.styled(GOOD, format_args!("{done}: {content}"))?;
    }
    Ok(Exit::Ok)
}

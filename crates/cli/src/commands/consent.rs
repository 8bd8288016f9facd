//! `mithaq consent`: whether another CERT may pass on what we released.

use clap::Subcommand;
use mithaq_api::{
    client::{ClientError, Lines, with_query},
    home::Home,
    http::{ConsentQuery, ConsentRow},
};

use super::peer::peer_name;
use crate::{
    clock,
    console::{Console, PLAIN, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// The longest time for which an answer may hold, in days.
const DAYS_MAX: i64 = 3650;

/// See and answer the requests of CERTs that would pass on what we released.
///
/// Where an agreement says that the origin is to be asked, the CERT that would pass something on asks by itself.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq consent list
  mithaq consent grant --via qa --to cn --days 90    qa may pass on to cn what we released to qa
  mithaq consent deny --via qa --to cn")]
pub(crate) enum Command {
    List(ListArgs),
    Grant(GrantArgs),
    Deny(DenyArgs),
}

/// List the requests to us and of ours, with their answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq consent list
  mithaq consent list --json | jq -r 'select(.answer == null)'")]
pub(crate) struct ListArgs {}

/// Consent: what we released to one CERT may go on to another.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq consent grant --via qa --to cn --days 90")]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    answer: AnswerArgs,
}

/// Deny consent, or take it back: the last answer holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq consent deny --via qa --to cn")]
pub(crate) struct DenyArgs {
    #[command(flatten)]
    answer: AnswerArgs,
}

/// Whose request is answered, and for how long.
#[derive(Debug, clap::Args)]
struct AnswerArgs {
    /// The peer that asked
    #[arg(long, value_name = "NAME", value_parser = peer_name)]
    via: String,
    /// The CERT that would receive it: a name, or its id as `consent list` shows it
    #[arg(long, value_name = "NAME|CERT_ID")]
    to: String,
    /// For how many days the answer holds
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    days: u32,
}

/// Runs one of the consent commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    daemon::block_on(async {
        let lines = match command {
            Command::List(_) => client.lines("/v1/consents").await?,
            Command::Grant(args) => client.post_lines(&query(&args.answer, true)?).await?,
            Command::Deny(args) => client.post_lines(&query(&args.answer, false)?).await?,
        };
        print(lines, console).await
    })?;
    Ok(Exit::Ok)
}

fn query(args: &AnswerArgs, grant: bool) -> Result<String, Failure> {
    let query = ConsentQuery { via: args.via.clone(), to: args.to.clone(), grant, days: args.days };
    Ok(with_query("/v1/consents", &query)?)
}

async fn print(mut lines: Lines, console: &mut Console) -> Result<(), Failure> {
    let mut shown = 0;
    while let Some(line) = lines.next().await? {
        shown += 1;
        if console.is_json() {
            console.json_line(&line)?;
            continue;
        }
        let row: ConsentRow = serde_json::from_slice(&line).map_err(|error| ClientError::Answer(error.to_string()))?;
        let answer = match (&row.answer, row.until) {
            (Some(answer), Some(until)) => format!("{answer} until {}", clock::for_people(until)),
            _ => "not answered".to_owned(),
        };
        console.spans(&[
            (STRONG, format!("{} -> {} -> {}", row.origin, row.via, row.to)),
            (WARN, format!("  {answer}")),
            (PLAIN, format!("  asked {}  {}  ({})", clock::for_people(row.asked_at), row.reason, row.to_cert)),
        ])?;
    }
    if shown == 0 {
        console.note("nobody has asked")?;
    }
    Ok(())
}

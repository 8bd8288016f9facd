//! `mithaq tail`: objects as they arrive.

use mithaq_api::{
    client::{Client, ClientError, with_query},
    home::Home,
    http::{StreamLine, StreamOp, StreamQuery},
};
use mithaq_core::stix::marking::Tlp;

use crate::{
    clock,
    console::{Console, FAINT, GOOD, PLAIN, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
    object::Headline,
    people::People,
};

/// Follow the objects that are added here, ours and those of peers.
///
/// It begins with the next object that is added, goes on until it is interrupted, and can be taken up again with the
/// cursor of the last line that was seen.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq tail
  mithaq tail --since-start --lines 10
  mithaq tail --cursor CURSOR --json | jq -r .object.id")]
pub(crate) struct Args {
    /// Go on after the line with this cursor
    #[arg(long, value_name = "CURSOR", conflicts_with = "since_start")]
    cursor: Option<String>,
    /// Begin with the first object that is held
    #[arg(long)]
    since_start: bool,
    /// Stop after this many lines
    #[arg(long, short = 'l', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    lines: Option<u64>,
}

/// Follows the stream.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let people = People::of(home);
    daemon::block_on(async {
        let cursor = match &args.cursor {
            None if !args.since_start => Some("end".to_owned()),
            given => given.clone(),
        };
        follow(&client, cursor, args.lines, &people, console).await
    })
}

async fn follow(
    client: &Client,
    cursor: Option<String>,
    lines_max: Option<u64>,
    people: &People,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let query = StreamQuery { cursor: cursor.clone(), follow: true, ..StreamQuery::default() };
    let mut lines = client.lines(&with_query("/v1/stream", &query)?).await?;
    let mut cursor = cursor.unwrap_or_default();
    let mut taken = 0_u64;
    while let Some(line) = lines.next().await? {
        let parsed = parse(&line)?;
        if console.is_json() {
            console.json_line(&line)?
        } else {
            print(&parsed, people, console)?
        }
        console.flush()?;
        cursor = parsed.cursor;
        taken += 1;
        if lines_max.is_some_and(|max| taken >= max) {
            return Ok(Exit::Ok);
        }
    }
    Err(Failure::StreamEnded { cursor })
}

fn parse(line: &[u8]) -> Result<StreamLine, Failure> {
    serde_json::from_slice(line).map_err(|error| ClientError::Answer(error.to_string()).into())
}

fn print(line: &StreamLine, people: &People, console: &mut Console) -> Result<(), Failure> {
    let what = match (&line.object, line.op) {
        (Some(object), StreamOp::Revoke) => {
            let headline = Headline::of(object.get());
            Headline { text: format!("REVOKED {}", headline.text), ..headline }
        }
        (Some(object), _) => Headline::of(object.get()),
        (None, _) => withdrawn(line),
    };
    let is_strict = line.tlp.parse::<Tlp>().is_ok_and(|tlp| tlp >= Tlp::Amber);
    let tlp = format!("  TLP:{:<12}", line.tlp);
    console.spans(&[
        (FAINT, clock::for_people(line.added)),
        (GOOD, format!("  {:<8}", people.short(line.origin))),
        (if is_strict { WARN } else { PLAIN }, tlp),
        (STRONG, format!("  {:<15}", what.kind)),
        (PLAIN, format!("  {}", what.text)),
    ])
}

/// What stands in the place of an object that is to be dropped.
fn withdrawn(line: &StreamLine) -> Headline {
    let id = line.id.clone().unwrap_or_default();
    let reason = line.reason.as_deref().unwrap_or_default();
    let kind = if line.op == StreamOp::Expire { "expire" } else { "withdraw" };
    Headline { kind: kind.to_owned(), text: format!("{id}  {reason}"), id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_who_how_strict_and_what() {
        let id = "ab".repeat(32);
        let line = format!(
            r#"{{"cursor":"c","op":"put","added":"2026-01-02T03:04:05.000000Z","origin":"{id}","release":"{id}",
            "tlp":"amber","content":"{id}","object":{{"type":"ipv4-addr","value":"192.0.2.1\u001b[2J"}}}}"#
        );
        let (mut console, captured) = Console::captured(None);
        print(&parse(line.as_bytes()).unwrap(), &People::default(), &mut console).unwrap();
        let expect = "2026-01-02 03:04:05Z  abababab  TLP:amber         ipv4-addr        192.0.2.1\\u{1b}[2J\n";
        assert_eq!(captured.out(), expect);
    }
}

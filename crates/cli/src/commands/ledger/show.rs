//! `mithaq ledger show`: the entries, as they were written.

use mithaq_api::{
    client::{ClientError, with_query},
    home::Home,
    http::{LEDGER_LIMIT_MAX, LedgerEntry, LedgerKind, LedgerQuery},
};

use super::status_name;
use crate::{
    clock,
    commands::peer::peer_name,
    console::{Console, FAINT, GOOD, PLAIN, STRONG},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Show what was disclosed, and what the peers said of it.
///
/// Without --after the newest entries are shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq ledger show
  mithaq ledger show --peer cn --limit 20
  mithaq ledger show --peer cn --after 0 --json | jq -r 'select(.kind == \"disclosure\") | .release'")]
pub(crate) struct Args {
    /// Our name for a peer [default: all peers]
    #[arg(long, value_name = "NAME", value_parser = peer_name)]
    peer: Option<String>,
    /// Begin after the entry with this number
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// The most entries for each peer [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LEDGER_LIMIT_MAX as i64))]
    limit: Option<u32>,
}

/// Shows entries.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok());
    let path = with_query("/v1/ledger", &LedgerQuery { peer: args.peer.clone(), after: args.after, limit })?;
    let client = daemon::client(home)?;
    let shown = daemon::block_on(async {
        let (mut lines, mut shown) = (client.lines(&path).await?, 0_usize);
        while let Some(line) = lines.next().await? {
            take(&line, console)?;
            shown += 1;
        }
        Ok(shown)
    })?;
    if shown == 0 {
        console.note("nothing was disclosed")?;
    }
    Ok(Exit::Ok)
}

fn take(line: &[u8], console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return console.json_line(line);
    }
    let entry = serde_json::from_slice(line).map_err(|error| ClientError::Answer(error.to_string()))?;
    print(&entry, console)
}

fn print(entry: &LedgerEntry, console: &mut Console) -> Result<(), Failure> {
    let what = match (entry.kind, entry.release) {
        (LedgerKind::Disclosure, Some(release)) => {
            format!("release {release} by rule {}", entry.rule.unwrap_or_default())
        }
        _ if entry.receipts.len() == 1 => "receipt for 1 release".to_owned(),
        _ => format!("receipt for {} releases", entry.receipts.len()),
    };
    console.spans(&[
        (STRONG, format!("{} {}", entry.peer, entry.index)),
        (PLAIN, format!("  {}  {what}", clock::for_people(entry.at))),
        (FAINT, format!("  agreement {}", entry.agreement.fmt_short())),
    ])?;
    entry.receipts.iter().try_for_each(|receipt| {
        console.spans(&[
            (GOOD, format!("    {:8}", status_name(receipt.status))),
            (PLAIN, format!("  {}", receipt.release)),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disclosures_and_receipts_are_told_apart() {
        let id = "ab".repeat(32);
        let disclosure = format!(
            r#"{{"peer":"cn","index":7,"kind":"disclosure","at":"2026-05-01T10:00:00.000000Z","agreement":"{id}","release":"{id}","rule":1}}"#
        );
        let receipt = format!(
            r#"{{"peer":"cn","index":8,"kind":"receipt","at":"2026-05-01T10:00:01.000000Z","agreement":"{id}",
            "receipts":[{{"release":"{id}","status":"held"}}]}}"#
        );
        let (mut console, captured) = Console::captured(None);
        take(disclosure.as_bytes(), &mut console).unwrap();
        take(receipt.as_bytes(), &mut console).unwrap();
        let expect = format!(
            "cn 7  2026-05-01 10:00:00Z  release {id} by rule 1  agreement abababab\n\
             cn 8  2026-05-01 10:00:01Z  receipt for 1 release  agreement abababab\n    held      {id}\n"
        );
        assert_eq!(captured.out(), expect);
    }
}

//! `mithaq ledger verify`: whether the ledger is the one that was signed and cosigned.

use mithaq_api::{
    home::Home,
    http::{LedgerCheck, LedgerHead},
};

use crate::{
    clock,
    console::{BAD, Console, GOOD},
    daemon,
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// Read and hash the whole ledger, and compare it with what was signed and what the peers cosigned.
///
/// Every entry is hashed, every receipt's signature is checked. Ends with status 5 if something is wrong; the message
/// names the peer and the entry.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq ledger verify
  mithaq ledger verify --json | jq -r '.problems[]'")]
pub(crate) struct Args {}

/// Verifies the ledger.
pub(super) fn run(_: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let check: LedgerCheck = daemon::block_on(async { Ok(client.post("/v1/ledger/verify").await?) })?;
    if console.is_json() {
        console.json(&check)?;
    } else {
        print(&check, console)?;
    }
    Ok(if check.ok { Exit::Ok } else { Exit::Identity })
}

fn print(check: &LedgerCheck, console: &mut Console) -> Result<(), Failure> {
    check.problems.iter().try_for_each(|problem| console.styled(BAD, problem))?;
    if !check.peers.is_empty() {
        let mut table = Table::new(["PEER", "ENTRIES", "COSIGNED", "LAST COSIGNED", "ROOT"]);
        check.peers.iter().for_each(|head| table.row(row(head)));
        table.print(console)?;
        console.line("")?;
    }
    let entries = check.entries;
    if check.ok {
        return console.styled(GOOD, format_args!("{entries} entries read and hashed; nothing is wrong"));
    }
    console.styled(BAD, format_args!("{entries} entries read and hashed; {} problems", check.problems.len()))
}

fn row(head: &LedgerHead) -> [String; 5] {
    [
        head.peer.clone(),
        head.size.to_string(),
        head.cosigned_size.map_or_else(|| "none".to_owned(), |size| size.to_string()),
        head.cosigned_at.map_or_else(|| "never".to_owned(), clock::for_people),
        head.root.fmt_short(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_first_and_are_counted() {
        let (root, store) = ("ab".repeat(32), "cd".repeat(16));
        let check = format!(
            r#"{{"ok":false,"entries":12,"problems":["cn: entry 3 is not what was signed"],"peers":[{{"peer":"cn","cert":"{root}",
            "store":"{store}","size":12,"root":"{root}","cosigned_size":10,"cosigned_at":"2026-05-01T10:00:00.000000Z"}}]}}"#
        );
        let (mut console, captured) = Console::captured(None);
        print(&serde_json::from_str(&check).unwrap(), &mut console).unwrap();
        let expect = "cn: entry 3 is not what was signed\n\
            PEER  ENTRIES  COSIGNED  LAST COSIGNED         ROOT\n\
            cn    12       10        2026-05-01 10:00:00Z  abababab\n\n\
            12 entries read and hashed; 1 problems\n";
        assert_eq!(captured.out(), expect);
    }
}

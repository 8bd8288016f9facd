//! `mithaq ledger report`: what one peer was given in one month, for people, programs and spreadsheets.

use mithaq_api::{
    client::with_query,
    home::Home,
    http::{LedgerReport, LedgerReportQuery, LedgerReportRow},
};

use super::{csv, status_name};
use crate::{
    clock,
    commands::peer::peer_name,
    console::{Console, STRONG},
    daemon,
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// The columns of the CSV form.
const COLUMNS: [&str; 11] = [
    "peer",
    "entry",
    "disclosed_at",
    "release",
    "agreement",
    "rule",
    "label",
    "objects",
    "status",
    "status_at",
    "ledger_root",
];

/// Report what a peer was given in a month.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq ledger report --peer cn --month 2026-05
  mithaq ledger report --peer cn --month 2026-05 --csv > cn-2026-05.csv
  mithaq ledger report --peer cn --month 2026-05 --json | jq '.rows | length'")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(long, value_name = "NAME", value_parser = peer_name)]
    peer: String,
    /// The month, in UTC
    #[arg(long, value_name = "YYYY-MM", value_parser = month)]
    month: String,
    /// Print CSV for spreadsheets (RFC 4180)
    #[arg(long)]
    csv: bool,
}

/// Makes a report.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    if args.csv && console.is_json() {
        return Err(Failure::Argument { what: "--csv", problem: "cannot be used together with --json".to_owned() });
    }
    let query = LedgerReportQuery { peer: args.peer.clone(), month: args.month.clone() };
    let path = with_query("/v1/ledger/report", &query)?;
    let client = daemon::client(home)?;
    let report: LedgerReport = daemon::block_on(async { Ok(client.get(&path).await?) })?;
    match (console.is_json(), args.csv) {
        (true, _) => console.json(&report)?,
        (_, true) => print_csv(&report, console)?,
        _ => print(&report, console)?,
    }
    Ok(Exit::Ok)
}

fn month(text: &str) -> Result<String, String> {
    let is_month = text.len() == 7
        && text.bytes().enumerate().all(|(place, byte)| if place == 4 { byte == b'-' } else { byte.is_ascii_digit() })
        && text.get(5..).and_then(|month| month.parse().ok()).is_some_and(|month: u8| (1..=12).contains(&month));
    if is_month { Ok(text.to_owned()) } else { Err("expected a month such as 2026-05".to_owned()) }
}

fn print(report: &LedgerReport, console: &mut Console) -> Result<(), Failure> {
    let LedgerReport { peer, month, rows, head, .. } = report;
    console.styled(STRONG, format_args!("disclosed to {peer} in {month}: {} releases", rows.len()))?;
    if !rows.is_empty() {
        let mut table = Table::new(["ENTRY", "DISCLOSED", "RELEASE", "OBJECTS", "LABEL", "STATUS", "SINCE"]);
        for row in rows {
            let [objects, label, status] = details(row);
            let since = row.status_at.map_or_else(String::new, clock::for_people);
            let (index, release) = (row.index.to_string(), row.release.fmt_short());
            table.row([index, clock::for_people(row.at), release, objects, label, status, since]);
        }
        table.print(console)?;
    }
    let cosigned = head.cosigned_size.unwrap_or(0);
    console
        .line(format_args!("from a ledger of {} entries, {cosigned} of them cosigned, root {}", head.size, head.root))
}

/// Objects, label and status of a row, as far as they are known.
fn details(row: &LedgerReportRow) -> [String; 3] {
    let objects = row.objects.map_or_else(String::new, |objects| objects.to_string());
    let status = row.status.map_or("sent", status_name).to_owned();
    [objects, row.label.clone().unwrap_or_default(), status]
}

fn print_csv(report: &LedgerReport, console: &mut Console) -> Result<(), Failure> {
    console.csv_line(&csv::record(COLUMNS))?;
    report.rows.iter().try_for_each(|row| {
        let [objects, label, status] = details(row);
        let since = row.status_at.map_or_else(String::new, |at| at.to_string());
        let cells: [String; COLUMNS.len()] = [
            report.peer.clone(),
            row.index.to_string(),
            row.at.to_string(),
            row.release.to_string(),
            row.agreement.to_string(),
            row.rule.to_string(),
            label,
            objects,
            status,
            since,
            report.head.root.to_string(),
        ];
        console.csv_line(&csv::record(cells.iter().map(String::as_str)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> LedgerReport {
        let (id, store) = ("ab".repeat(32), "cd".repeat(16));
        let text = format!(
            r#"{{"peer":"cn","cert":"{id}","month":"2026-05","head":{{"peer":"cn","cert":"{id}","store":"{store}","size":9,
            "root":"{id}","cosigned_size":8}},"rows":[
            {{"index":3,"at":"2026-05-01T10:00:00.000000Z","release":"{id}","agreement":"{id}","rule":1,
              "label":"=amber, threat","objects":12,"status":"applied","status_at":"2026-05-01T10:00:02.000000Z"}},
            {{"index":4,"at":"2026-05-02T10:00:00.000000Z","release":"{id}","agreement":"{id}","rule":1}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn people_read_a_table() {
        let (mut console, captured) = Console::captured(None);
        print(&report(), &mut console).unwrap();
        let expect = "disclosed to cn in 2026-05: 2 releases\n\
            ENTRY  DISCLOSED             RELEASE   OBJECTS  LABEL           STATUS   SINCE\n\
            3      2026-05-01 10:00:00Z  abababab  12       =amber, threat  applied  2026-05-01 10:00:02Z\n\
            4      2026-05-02 10:00:00Z  abababab                           sent     \n\
            from a ledger of 9 entries, 8 of them cosigned, root ";
        assert!(captured.out().starts_with(expect), "{}", captured.out());
    }

    #[test]
    fn spreadsheets_get_a_row_for_each_disclosure_and_no_formula() {
        let (mut console, captured) = Console::captured(None);
        print_csv(&report(), &mut console).unwrap();
        let out = captured.out();
        let lines: Vec<_> = out.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("peer,entry,disclosed_at,release,"));
        assert!(lines[1].contains(",1,\"'=amber, threat\",12,applied,2026-05-01T10:00:02.000000Z,ab"), "{out}");
        assert!(lines[2].contains(",1,,,sent,,ab"), "{out}");
    }

    #[test]
    fn months_are_months() {
        assert_eq!(month("2026-05"), Ok("2026-05".to_owned()));
        for text in ["2026-5", "2026-13", "2026-00", "26-05", "2026/05", "2026-0५", "2026-05-01", ""] {
            assert!(month(text).is_err(), "{text}");
        }
    }
}

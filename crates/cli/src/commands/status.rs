//! `mithaq status`: what the daemon holds, and how it stands with each peer.

use anstyle::Style;
use mithaq_api::{
    export::ExportStatus,
    home::Home,
    http::{LostEntries, PeerStatus, Status},
};

use crate::{
    clock,
    console::{BAD, Console, GOOD, PLAIN, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// Show what the daemon holds and how it stands with each peer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq status
  mithaq status --json | jq '.peers[] | {name, state, lag}'
  mithaq status --check || echo 'somebody should look'")]
pub(crate) struct Args {
    /// End with status 3, and say why, unless every peer with an agreement is connected, no export fails, the disk has
    /// room, and SIEMs are served
    #[arg(long)]
    check: bool,
}

/// Shows the daemon's state.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let status: Status = daemon::block_on(async { Ok(client.get("/v1/status").await?) })?;
    if console.is_json() {
        console.json(&status)?;
    } else {
        print(&status, console)?;
    }
    let reasons = if args.check { status.troubles() } else { Vec::new() };
    reasons.iter().try_for_each(|reason| console.note(reason))?;
    Ok(if reasons.is_empty() { Exit::Ok } else { Exit::Degraded })
}

fn print_room(status: &Status, console: &mut Console) -> Result<(), Failure> {
    if !status.read_only {
        return Ok(());
    }
    let free = status.free_bytes.map_or_else(|| "little".to_owned(), bytes);
    let text = format!("  the disk is nearly full, {free} free: nothing is taken from pushes, and peers wait");
    console.styled(WARN, text)
}

fn print_restored(status: &Status, console: &mut Console) -> Result<(), Failure> {
    let Some(restored) = &status.restored else { return Ok(()) };
    let at = clock::for_people(restored.backup_at);
    for LostEntries { peer, entries } in &restored.lost {
        let text = format!("  {peer} has accepted {entries} entries of our ledger that the backup of {at} lacks");
        console.styled(WARN, text)?;
    }
    if restored.serves {
        return Ok(());
    }
    let peers = match &restored.waits_for[..] {
        [] => String::new(),
        names => format!(" until it has heard from {}", names.join(", ")),
    };
    console.styled(WARN, format_args!("  restored from the backup of {at}: SIEMs wait{peers}"))?;
    restored.blocked_by.iter().try_for_each(|problem| console.styled(WARN, format_args!("  {problem}")))
}

fn print(status: &Status, console: &mut Console) -> Result<(), Failure> {
    let up = duration(status.uptime_seconds);
    console.styled(STRONG, format_args!("{}  {}", status.name, status.cert.fmt_short()))?;
    console.line(format_args!("  mithaq {}, up {up}, peers reach it at {}", status.version, status.listen))?;
    let (store, bodies) = (bytes(status.store_bytes), bytes(status.body_bytes));
    console.line(format_args!("  {} objects in {} releases", status.objects, status.releases))?;
    console.line(format_args!("  {store} on disk for {bodies} of objects, named {} times", status.references))?;
    print_room(status, console)?;
    print_restored(status, console)?;
    print_exports(&status.exports, console)?;
    console.line("")?;
    if status.peers.is_empty() {
        return console.line("No peers yet: `mithaq peer add NAME CARD_FILE` takes one in.");
    }
    table(&status.peers).print(console)?;
    status.peers.iter().try_for_each(|peer| print_problem(peer, console))
}

fn print_exports(exports: &[ExportStatus], console: &mut Console) -> Result<(), Failure> {
    for export in exports {
        let values = export.last.as_ref().map_or_else(String::new, |last| format!(", {} values", last.values));
        let ok_at = export.ok_at.map_or_else(|| "not yet".to_owned(), clock::for_people);
        let style = if export.problem.is_some() { WARN } else { PLAIN };
        let ExportStatus { name, format, state, .. } = export;
        console.styled(style, format_args!("  export {name} ({format}): {state}{values}, last good {ok_at}"))?;
        if let Some(problem) = &export.problem {
            console.styled(WARN, format_args!("    {}: {}", problem.code, problem.message))?;
        }
    }
    Ok(())
}

fn table(peers: &[PeerStatus]) -> Table {
    let titles = [
        "peer",
        "state",
        "lag",
        "sent",
        "received",
        "objects out",
        "in",
        "held already",
        "wire out",
        "in",
        "agreement until",
    ];
    let mut table = Table::new(titles);
    for peer in peers {
        table.styled([
            (PLAIN, peer.name.clone()),
            (state_style(&peer.state), peer.state.clone()),
            (PLAIN, peer.lag.to_string()),
            (PLAIN, peer.sent.to_string()),
            (PLAIN, peer.received.to_string()),
            (PLAIN, peer.objects_sent.to_string()),
            (PLAIN, peer.objects_received.to_string()),
            (PLAIN, peer.objects_deduplicated.to_string()),
            (PLAIN, bytes(peer.bytes_sent)),
            (PLAIN, bytes(peer.bytes_received)),
            agreement_until(peer),
        ]);
    }
    table
}

fn agreement_until(peer: &PeerStatus) -> (Style, String) {
    match (peer.ended, peer.valid_until) {
        (Some(at), _) => (WARN, format!("ended {}", clock::for_people(at))),
        (None, Some(until)) => (PLAIN, clock::for_people(until)),
        (None, None) => (PLAIN, "-".to_owned()),
    }
}

fn state_style(state: &str) -> Style {
    match state {
        "connected" => GOOD,
        "refused" => BAD,
        _ => WARN,
    }
}

fn print_problem(peer: &PeerStatus, console: &mut Console) -> Result<(), Failure> {
    match &peer.problem {
        Some(problem) => console.styled(WARN, format_args!("{}: {}: {}", peer.name, problem.code, problem.message)),
        None => Ok(()),
    }
}

/// `12.3 MB`: a size for people, in powers of ten.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// `3 h 12 min`: a duration for people.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(state: &str) -> PeerStatus {
        let text = format!(
            r#"{{"name":"cn","cert":"{}","state":"{state}","lag":0,"sent":1,"received":2,"objects_sent":3,
            "objects_received":4,"objects_deduplicated":5,"bytes_sent":6000,"bytes_received":7,"agreement":"{}"}}"#,
            "ab".repeat(32),
            "cd".repeat(32)
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn sizes_and_durations_are_for_people() {
        assert_eq!([0, 999, 1000, 12_345_678].map(bytes), ["0 B", "999 B", "1.0 kB", "12.3 MB"]);
        assert_eq!([59, 61, 3_661, 90_000].map(duration), ["59 s", "1 min", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn the_table_has_a_row_for_each_peer() {
        let (mut console, captured) = Console::captured(None);
        table(&[peer("connected")]).print(&mut console).unwrap();
        let out = captured.out();
        assert_eq!(out.lines().count(), 2);
        assert!(
            out.contains("cn    connected  0    1     2         3            4   5             6.0 kB    7 B  -"),
            "{out}"
        );
    }
}

//! `mithaq store`: what the store holds on disk, whether it is still what was stored, and giving space back.

use clap::Subcommand;
use mithaq_api::{
    client::with_query,
    home::Home,
    http::{Check, CompactQuery, Compacted, Share, StoreStats},
};
use mithaq_core::time::Time;

use super::status::bytes;
use crate::{
    clock,
    console::{BAD, Console, GOOD, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// Look after the store.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq store check
  mithaq store stats
  mithaq store compact")]
pub(crate) enum Command {
    Check(CheckArgs),
    Stats(StatsArgs),
    Compact(CompactArgs),
}

/// Read and hash everything that is held, and compare the index with it.
///
/// The daemon does it while it goes on serving. Ends with status 1 if something is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq store check
  mithaq store check --json | jq -r '.problems[]'")]
pub(crate) struct CheckArgs {}

/// Show what lies on the disk, and how much of it could be given back.
///
/// Dead is what was purged, and state that a later change superseded. `mithaq store compact` gives its space back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq store stats
  mithaq store stats --json | jq '.bodies.dead, .compression'")]
pub(crate) struct StatsArgs {}

/// Give back the space of what was purged or superseded.
///
/// Segments with enough that is dead are written anew without it. The daemon does it while it goes on serving; it needs
/// room for one segment at a time. Ends with status 1 if a segment was left as it is since it is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq store compact
  mithaq store compact --dead 1
  mithaq store compact --json | jq '.bytes_before - .bytes_after'")]
pub(crate) struct CompactArgs {
    /// Write a segment anew if at least this percentage of it is dead [default: 20]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    dead: Option<u8>,
}

/// Runs one of the store commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Check(_) => check(home, console),
        Command::Stats(_) => stats(home, console),
        Command::Compact(args) => compact(args, home, console),
    }
}

fn check(home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let check: Check = daemon::block_on(async { Ok(client.post("/v1/check").await?) })?;
    if console.is_json() {
        console.json(&check)?;
    } else {
        print_check(&check, console)?;
    }
    Ok(if check.ok { Exit::Ok } else { Exit::Failure })
}

fn print_check(check: &Check, console: &mut Console) -> Result<(), Failure> {
    check.problems.iter().try_for_each(|problem| console.styled(BAD, problem))?;
    if check.ok {
        return console.styled(GOOD, format_args!("{} objects read and hashed; nothing is wrong", check.objects));
    }
    let problems = check.problems.len();
    console.styled(BAD, format_args!("{} objects read and hashed; {problems} problems", check.objects))
}

fn stats(home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let stats: StoreStats = daemon::block_on(async { Ok(client.get("/v1/store").await?) })?;
    if console.is_json() {
        console.json(&stats)?;
    } else {
        print_stats(&stats, console)?;
    }
    Ok(Exit::Ok)
}

fn print_stats(stats: &StoreStats, console: &mut Console) -> Result<(), Failure> {
    console.styled(STRONG, format_args!("store {}, schema {}", stats.store, stats.schema))?;
    let StoreStats { objects, releases, references, .. } = stats;
    console.line(format_args!("  {objects} objects in {releases} releases, named {references} times"))?;
    let at = |time: Option<Time>| time.map_or_else(|| "never".to_owned(), clock::for_people);
    console.line(format_args!("  added from {} to {}", at(stats.oldest), at(stats.newest)))?;
    let (packs, index) = (bytes(stats.pack_bytes), bytes(stats.index_bytes));
    console.line(format_args!("  {packs} in {} segments, {index} of index", stats.packs))?;
    let (canonical, ratio) = (bytes(stats.body_bytes), stats.compression);
    console.line(format_args!("  {canonical} of objects in canonical form; compressed {ratio:.1} to 1"))?;
    console.line("")?;
    let mut table = Table::new(["IN SEGMENTS", "LIVE", "DEAD"]);
    let overhead = Share { live: stats.overhead_bytes, dead: 0 };
    let kinds = [
        ("objects", stats.bodies),
        ("releases", stats.release_records),
        ("state", stats.state),
        ("overhead", overhead),
    ];
    for (kind, share) in kinds {
        table.row([kind.to_owned(), bytes(share.live), bytes(share.dead)]);
    }
    table.print(console)
}

fn compact(args: &CompactArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let path = with_query("/v1/compact", &CompactQuery { dead: args.dead })?;
    let compacted: Compacted = daemon::block_on(async { Ok(client.post(&path).await?) })?;
    if console.is_json() {
        console.json(&compacted)?;
    } else {
        print_compacted(&compacted, console)?;
    }
    Ok(if compacted.left.is_empty() { Exit::Ok } else { Exit::Failure })
}

fn print_compacted(compacted: &Compacted, console: &mut Console) -> Result<(), Failure> {
    compacted.left.iter().try_for_each(|why| console.styled(WARN, why))?;
    let Compacted { packs, rewritten, bytes_before, bytes_after, .. } = compacted;
    let freed = bytes(bytes_before.saturating_sub(*bytes_after));
    let (before, after) = (bytes(*bytes_before), bytes(*bytes_after));
    console
        .line(format_args!("{rewritten} of {packs} segments written anew: {before} before, {after} now, {freed} freed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_listed_and_counted() {
        let (mut console, captured) = Console::captured(None);
        let check = Check { ok: false, objects: 7, problems: vec!["object 12 is damaged".into()] };
        print_check(&check, &mut console).unwrap();
        assert_eq!(captured.out(), "object 12 is damaged\n7 objects read and hashed; 1 problems\n");
    }

    #[test]
    fn what_was_freed_and_what_was_left_is_told() {
        let (mut console, captured) = Console::captured(None);
        let left = vec!["pack-00000001.seg is damaged".into()];
        let compacted = Compacted { packs: 3, rewritten: 1, bytes_before: 9000, bytes_after: 4000, left };
        print_compacted(&compacted, &mut console).unwrap();
        let expected =
            "pack-00000001.seg is damaged\n1 of 3 segments written anew: 9.0 kB before, 4.0 kB now, 5.0 kB freed\n";
        assert_eq!(captured.out(), expected);
    }
}

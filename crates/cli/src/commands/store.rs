//! `mithaq store`: what the store holds on disk, whether it is still what was stored, and giving space back.

use clap::Subcommand;
use mithaq_api::{
    client::{ClientError, with_query},
    home::Home,
    http::{
        AskStore, Check, CheckQuery, CompactQuery, Compacted, Repair, Share, StagedOfPeer, StoreAnswer, StoreStats,
        StoreTask,
    },
};
use mithaq_core::time::Time;

use super::status::bytes;
use crate::{
    clock,
    console::{BAD, Console, FAINT, GOOD, STRONG, WARN},
    counted::counted,
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
/// The daemon does it while it goes on serving; without a daemon the command opens the store itself. Ends with status 1 if
/// something is damaged. With --repair what is damaged is copied to the folder `damaged` in the store and counts as
/// known from then on, and the releases that would mend it are asked for again of the peers that they came from. Peers do
/// not send our own releases back: those are named, to be pushed again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq store check
  mithaq store check --json | jq -r '.problems[]'
  mithaq store check --repair")]
pub(crate) struct CheckArgs {
    /// Set aside what is damaged, and have it come again
    #[arg(long)]
    repair: bool,
}

/// Show what lies on the disk, and how much of it could be given back.
///
/// Dead is what was purged, and state that a later change superseded. `mithaq store compact` gives its space back.
/// Without a daemon the command opens the store itself.
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

/// Runs one of the store commands; `ask` asks the store while no daemon runs.
pub(crate) fn run(command: &Command, home: &Home, ask: AskStore, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Check(args) => check(args, home, ask, console),
        Command::Stats(_) => stats(home, ask, console),
        Command::Compact(args) => compact(args, home, console),
    }
}

/// The daemon's answer; without a daemon, that of the store itself.
fn answer<T>(
    answered: Result<T, Failure>,
    home: &Home,
    ask: AskStore,
    task: StoreTask,
    read: fn(StoreAnswer) -> Option<T>,
) -> Result<T, Failure> {
    let Err(Failure::Client(ClientError::Unreachable { path, source })) = answered else { return answered };
    let unreachable = || Failure::Client(ClientError::Unreachable { path, source });
    read(ask(home, task).map_err(Failure::Answered)?).ok_or_else(unreachable)
}

fn check(args: &CheckArgs, home: &Home, ask: AskStore, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let repair = args.repair;
    let path = with_query("/v1/check", &CheckQuery { repair })?;
    let checked = daemon::block_on(async { Ok(client.post::<Check>(&path).await?) });
    let check = answer(checked, home, ask, StoreTask::Check { repair }, |answer| match answer {
        StoreAnswer::Check(check) => Some(check),
        StoreAnswer::Stats(_) => None,
    })?;
    if console.is_json() {
        console.json(&check)?;
    } else {
        print_check(&check, console)?;
    }
    Ok(if check.ok { Exit::Ok } else { Exit::Failure })
}

fn print_check(check: &Check, console: &mut Console) -> Result<(), Failure> {
    check.set_aside.iter().try_for_each(|known| console.styled(FAINT, format_args!("{known}; known and set aside")))?;
    check.problems.iter().try_for_each(|problem| console.styled(BAD, problem))?;
    let objects = counted(check.objects, "object");
    if check.ok {
        return console.styled(GOOD, format_args!("{objects} read and hashed; nothing is wrong"));
    }
    let problems = counted(check.problems.len() as u64, "problem");
    console.styled(BAD, format_args!("{objects} read and hashed; {problems}"))?;
    check.repair.as_ref().map_or(Ok(()), |repair| print_repair(repair, console))
}

fn print_repair(repair: &Repair, console: &mut Console) -> Result<(), Failure> {
    console.line("")?;
    repair.files.iter().try_for_each(|file| console.line(format_args!("copied to {file}")))?;
    for asked in &repair.asked {
        let releases = counted(asked.releases, "release");
        console.styled(GOOD, format_args!("{releases} asked for again of {}", asked.peer))?;
    }
    if repair.rows_lost > 0 {
        let rows = counted(repair.rows_lost, "row");
        console
            .styled(WARN, format_args!("{rows} of the log lost: nothing tells which releases of ours were there"))?;
    }
    for release in &repair.unasked {
        console.styled(
            WARN,
            format_args!("no peer sends release {release} again: if it is ours, push its objects again"),
        )?;
    }
    console.line("`mithaq store check` tells what is still lacking once the peers have sent it")
}

fn stats(home: &Home, ask: AskStore, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let asked = daemon::block_on(async { Ok(client.get::<StoreStats>("/v1/store").await?) });
    let stats = answer(asked, home, ask, StoreTask::Stats, |answer| match answer {
        StoreAnswer::Stats(stats) => Some(*stats),
        StoreAnswer::Check(_) => None,
    })?;
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
    console.line(format_args!("  {packs} in {}, {index} of index", counted(stats.packs, "segment")))?;
    let (canonical, ratio) = (bytes(stats.body_bytes), stats.compression);
    console.line(format_args!("  {canonical} of objects in canonical form; compressed {ratio:.1} to 1"))?;
    if stats.staged.objects > 0 {
        let staged = counted(stats.staged.objects, "object");
        console.line(format_args!("  {staged} of releases that have not come whole, {}", bytes(stats.staged.bytes)))?;
        for StagedOfPeer { peer, lots, bytes: held } in &stats.staged.peers {
            console.line(format_args!("    of {peer}: {}, {}", counted(*lots, "lot"), bytes(*held)))?;
        }
    }
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
    use mithaq_api::http::Asked;

    use super::*;

    #[test]
    fn problems_are_listed_and_counted() {
        let (mut console, captured) = Console::captured(None);
        let problems = vec!["object 12 is damaged".into()];
        let repair = Repair {
            files: vec!["damaged/pack-00000000-at-64.bin".into()],
            asked: vec![Asked { peer: "cn".into(), releases: 1 }],
            ..Repair::default()
        };
        let check = Check { objects: 7, problems, repair: Some(repair), ..Check::default() };
        print_check(&check, &mut console).unwrap();
        let expected = "object 12 is damaged\n7 objects read and hashed; 1 problem\n\n\
            copied to damaged/pack-00000000-at-64.bin\n1 release asked for again of cn\n\
            `mithaq store check` tells what is still lacking once the peers have sent it\n";
        assert_eq!(captured.out(), expected);
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

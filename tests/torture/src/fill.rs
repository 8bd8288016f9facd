//! A disk that fills up: on a small ext4, on a small file system in memory, and by a limit on the size of files, which
//! needs no privilege. Nothing that was acknowledged may go, the store must open on the full disk, and it must go on
//! once there is room again.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    child::{Heard, Start, Writer},
    ledger::Ledger,
    probe::{Mode, probe},
    rng::Rng,
    tally::Tally,
    volume::{Volume, why_not},
    writer::Setup,
};

/// How large the file systems are.
const DISK_MB: u64 = 16;

/// What is left free for the store.
const FREE_MB: u64 = 4;

/// How long it may take until the disk is full, and until a commit succeeds once there is room.
const WAIT: Duration = Duration::from_secs(60);

const SETUPS: [Setup; 4] = [Setup::Tiny, Setup::Small, Setup::Lazy, Setup::Watermark];

/// What keeps the store from writing.
enum Limit {
    /// A small file system, partly taken by a file that can be removed.
    Disk { volume: Volume, ballast: PathBuf },
    /// A limit on the size of each file, of so many kilobytes.
    Files { dir: PathBuf, kb: u64 },
}

impl Limit {
    fn create(base: &Path, round: u32, can_mount: bool, rng: &mut Rng) -> anyhow::Result<Self> {
        let mount = base.join(format!("full-{round}"));
        let volume = match round % 3 {
            _ if !can_mount => None,
            0 => Some(Volume::create(&mount.with_extension("img"), &mount, DISK_MB, &["-m", "0"], "")?),
            1 => Some(Volume::in_memory(&mount, DISK_MB)?),
            _ => None,
        };
        let Some(volume) = volume else {
            return Ok(Self::Files { dir: mount, kb: rng.pick(&[16, 48, 100]) });
        };
        let ballast = volume.path().join("ballast");
        let free = rustix::fs::statvfs(volume.path())?;
        let bytes = (free.f_bavail * free.f_frsize).saturating_sub(FREE_MB << 20);
        File::create(&ballast)?.write_all(&vec![1; usize::try_from(bytes)?])?;
        Ok(Self::Disk { volume, ballast })
    }

    fn store(&self) -> PathBuf {
        match self {
            Self::Disk { volume, .. } => volume.path().join("store"),
            Self::Files { dir, .. } => dir.join("store"),
        }
    }

    fn file_kb_max(&self) -> Option<u64> {
        match self {
            Self::Disk { .. } => None,
            Self::Files { kb, .. } => Some(*kb),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Disk { volume, .. } => format!("a disk of {DISK_MB} MB at {}", volume.path().display()),
            Self::Files { kb, .. } => format!("files of at most {kb} KB"),
        }
    }
}

/// Runs `rounds` rounds.
pub(crate) fn torture(base: &Path, seed: u64, rounds: u32, skipped: &mut Vec<String>) -> anyhow::Result<Tally> {
    let cannot = why_not(base);
    skipped.extend(cannot.iter().map(|why| format!("full: only with a limit on the size of files; {why}")));
    let mut tally = Tally::default();
    for round in 0..rounds {
        let mut rng = Rng::of(seed, &[5, round.into()]);
        let limit = Limit::create(base, round, cannot.is_none(), &mut rng)?;
        let setup = rng.pick(&SETUPS);
        let mut found = fill(&limit, setup, seed, &mut rng)?;
        for finding in &mut found.findings {
            *finding = format!("full, round {round}, {setup:?}, {}: {finding}", limit.name());
        }
        tally += found;
        tally.rounds += 1;
    }
    Ok(tally)
}

fn fill(limit: &Limit, setup: Setup, seed: u64, rng: &mut Rng) -> anyhow::Result<Tally> {
    let dir = limit.store();
    fs::create_dir_all(&dir)?;
    let mut ledger = Ledger::new(seed);
    let mut tally = Tally::default();
    let first = Start { file_kb_max: limit.file_kb_max(), ..Start::of(&dir, setup, seed, 0) };
    let mut writer = Writer::start(first, &mut ledger)?;
    // A limit on files may keep even the first opening from its end: that is no fault of the store's.
    let is_refused = |line: &str| line.starts_with("refused ");
    let heard = writer.wait_for(&mut ledger, WAIT, is_refused);
    if heard == Heard::Nothing {
        tally.would_not_open("the disk did not fill up");
    }
    writer.run_for(&mut ledger, Duration::from_millis(rng.below(100)));
    let goes_on = rng.chance(40);
    if let (true, Limit::Disk { ballast, .. }) = (goes_on, limit) {
        fs::remove_file(ballast)?;
        // An engine that met the full disk stays closed to writes, and past what fits in memory the store says so: then
        // it goes on once it is opened again, which comes below.
        let is_settled = |line: &str| line.starts_with("ack ") || line.ends_with(" index");
        if writer.wait_for(&mut ledger, WAIT, is_settled) != Heard::Wanted {
            tally.lost("the writer did not go on when there was room again");
        }
    }
    if rng.chance(40) {
        writer.ask_to_close();
        if writer.wait_for(&mut ledger, WAIT, |line| line == "closed") == Heard::Nothing {
            tally.would_not_open("the store did not close");
        }
    }
    writer.kill(&mut ledger)?;
    if let (false, Limit::Disk { ballast, .. }) = (goes_on, limit)
        && rng.chance(40)
    {
        // The index has to be rebuilt where there is hardly room for one.
        let _there_may_be_none = fs::remove_dir_all(dir.join("index"));
        leave_free(ballast, rng.below(2 << 20))?;
    }
    // On the full disk, if it still is.
    tally += probe(&dir, setup, &mut ledger, Mode::Whole)?;
    if let (false, Limit::Disk { ballast, .. }) = (goes_on, limit) {
        fs::remove_file(ballast)?;
        tally += probe(&dir, setup, &mut ledger, Mode::Whole)?;
    }
    let writer = Writer::start(Start::of(&dir, setup, seed, 1), &mut ledger)?;
    if writer.wait_for(&mut ledger, WAIT, |line| line.starts_with("ack ")) != Heard::Wanted {
        tally.lost("nothing is taken though there is room again");
    }
    writer.kill(&mut ledger)?;
    if let Limit::Disk { volume, .. } = limit {
        // An ext4 that meets an error does so by itself.
        volume.make_read_only()?;
    }
    tally += probe(&dir, setup, &mut ledger, Mode::Whole)?;
    Ok(tally)
}

/// Lets a file take all that is free, and then gives `bytes` of it back.
fn leave_free(ballast: &Path, bytes: u64) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().append(true).open(ballast)?;
    while file.write_all(&[1; 4096]).is_ok() {}
    let taken = file.metadata()?.len();
    file.set_len(taken.saturating_sub(bytes))?;
    Ok(())
}

//! Syncs that fail. In every other round the disk is made to fail behind the store's own seam; in the others the file
//! system is a real one whose device runs out of room beneath it, so that the kernel fails the sync and may call pages
//! clean that it never wrote. Both end in a power cut where the machine allows one, else in a SIGKILL.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::Duration,
};

use crate::{
    child::{Start, Writer},
    ledger::Ledger,
    probe::{Mode, probe},
    rng::Rng,
    tally::Tally,
    volume::{Volume, why_not},
    writer::Setup,
};

/// The file system's size, and how much of it there is beneath.
const IMAGE_MB: u64 = 48;
const DEVICE_MB: u64 = 30;

/// Runs `rounds` rounds.
pub(crate) fn torture(base: &Path, seed: u64, rounds: u32, skipped: &mut Vec<String>) -> anyhow::Result<Tally> {
    let cannot = why_not(base);
    skipped.extend(cannot.iter().map(|why| format!("fsync: without power cuts and failing devices; {why}")));
    let mut tally = Tally::default();
    for round in 0..rounds {
        let mut rng = Rng::of(seed, &[6, round.into()]);
        let setup = rng.pick(&Setup::ALL);
        let mut found = match (cannot.is_none(), round % 2) {
            (false, _) => killed(base, setup, seed, round, &mut rng)?,
            (true, 0) => cut(base, setup, seed, round, &mut rng)?,
            (true, _) => on_failing_device(base, setup, seed, round, &mut rng)?,
        };
        for finding in &mut found.findings {
            *finding = format!("fsync, round {round}, {setup:?}: {finding}");
        }
        tally += found;
        tally.rounds += 1;
    }
    Ok(tally)
}

fn failing(dir: &Path, setup: Setup, seed: u64, round: u32) -> Start<'_> {
    Start { faults: true, ..Start::of(dir, setup, seed, round) }
}

fn killed(base: &Path, setup: Setup, seed: u64, round: u32, rng: &mut Rng) -> anyhow::Result<Tally> {
    let dir = base.join(format!("fsync-{round}"));
    let mut ledger = Ledger::new(seed);
    let writer = Writer::start(failing(&dir, setup, seed, round), &mut ledger)?;
    writer.wait_until_open(&mut ledger);
    writer.run_for(&mut ledger, Duration::from_millis(50 + rng.below(300)));
    writer.kill(&mut ledger)?;
    let tally = probe(&dir, setup, &mut ledger, Mode::Whole)?;
    fs::remove_dir_all(&dir)?;
    Ok(tally)
}

fn cut(base: &Path, setup: Setup, seed: u64, round: u32, rng: &mut Rng) -> anyhow::Result<Tally> {
    let mount = base.join(format!("fsync-{round}"));
    let volume = Volume::create(&mount.with_extension("img"), &mount, IMAGE_MB, &[], "")?;
    let dir = volume.path().join("store");
    let mut ledger = Ledger::new(seed);
    let writer = Writer::start(failing(&dir, setup, seed, round), &mut ledger)?;
    writer.wait_until_open(&mut ledger);
    writer.run_for(&mut ledger, Duration::from_millis(50 + rng.below(300)));
    after_cut(base, volume, writer, setup, &mut ledger)
}

fn on_failing_device(base: &Path, setup: Setup, seed: u64, round: u32, rng: &mut Rng) -> anyhow::Result<Tally> {
    let device = Volume::in_memory(&base.join(format!("fsync-{round}-device")), DEVICE_MB)?;
    let mount = base.join(format!("fsync-{round}"));
    let volume = Volume::create(&device.path().join("disk.img"), &mount, IMAGE_MB, &[], "")?;
    let dir = volume.path().join("store");
    let mut ledger = Ledger::new(seed);
    let writer = Writer::start(Start::of(&dir, setup, seed, round), &mut ledger)?;
    writer.wait_until_open(&mut ledger);
    let ballast = device.path().join("ballast");
    for _ in 0..1 + rng.below(4) {
        writer.run_for(&mut ledger, Duration::from_millis(20 + rng.below(80)));
        let mut file = File::create(&ballast)?;
        while file.write_all(&[1; 4096]).is_ok() {}
        writer.run_for(&mut ledger, Duration::from_millis(20 + rng.below(80)));
        fs::remove_file(&ballast)?;
    }
    writer.run_for(&mut ledger, Duration::from_millis(rng.below(80)));
    let tally = after_cut(base, volume, writer, setup, &mut ledger)?;
    device.unmount();
    Ok(tally)
}

/// Cuts the power and checks what is left.
fn after_cut(base: &Path, volume: Volume, writer: Writer, setup: Setup, ledger: &mut Ledger) -> anyhow::Result<Tally> {
    writer.freeze()?;
    let image = base.join("fsync-after.img");
    volume.copy_as_cut(&image)?;
    writer.kill(ledger)?;
    volume.unmount();
    let volume = Volume::mount(&image, &base.join("fsync-after"), "")?;
    let tally = probe(&volume.path().join("store"), setup, ledger, Mode::Whole)?;
    volume.unmount();
    Ok(tally)
}

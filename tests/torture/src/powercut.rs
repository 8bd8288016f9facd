//! Power cuts: the writer is stopped where it stands, the raw image of its file system is copied, and the store must
//! be whole on the copy. The next writer goes on there, so that one store lives through many cuts.

use std::{fs, path::Path};

use crate::{
    child::{Start, Writer},
    keeper::Upkeep,
    kill::Moment,
    ledger::Ledger,
    probe::{Mode, probe},
    rng::Rng,
    tally::Tally,
    volume::Volume,
    writer::Setup,
};

const ROUNDS_PER_STORE: u32 = 20;

const IMAGE_MB: u64 = 48;

/// What an operator may have mounted: each lets other things reach the disk first.
const MOUNTS: [&str; 4] = ["", "commit=1", "data=writeback", "data=writeback,commit=1"];

/// One store on its file system.
struct Victim {
    volume: Volume,
    mount_options: &'static str,
    setup: Setup,
    ledger: Ledger,
}

/// Runs `rounds` rounds.
pub(crate) fn torture(base: &Path, seed: u64, rounds: u32) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut victim = None;
    for round in 0..rounds {
        let mut rng = Rng::of(seed, &[2, round.into()]);
        let is_last = round + 1 == rounds || (round + 1) % ROUNDS_PER_STORE == 0;
        let before = match victim.take() {
            Some(before) => before,
            None => Victim::create(base, seed, round, &mut rng)?,
        };
        let (found, after) = cut(base, before, round, &mut rng, is_last)?;
        let is_ok = found.is_ok();
        tally += found;
        tally.rounds += 1;
        victim = Some(after).filter(|_| is_ok && !is_last);
    }
    Ok(tally)
}

impl Victim {
    fn create(base: &Path, seed: u64, round: u32, rng: &mut Rng) -> anyhow::Result<Self> {
        let (mount_options, setup) = (rng.pick(&MOUNTS), rng.pick(&Setup::ALL));
        let (image, mount) = (base.join(format!("cut-{round}.img")), base.join(format!("cut-{round}")));
        let volume = Volume::create(&image, &mount, IMAGE_MB, &["-E", "lazy_itable_init=0"], mount_options)?;
        Ok(Self { volume, mount_options, setup, ledger: Ledger::new(seed) })
    }
}

fn cut(base: &Path, victim: Victim, round: u32, rng: &mut Rng, is_last: bool) -> anyhow::Result<(Tally, Victim)> {
    let Victim { volume, mount_options, setup, mut ledger } = victim;
    let dir = volume.path().join("store");
    let moment = Moment::draw(rng);
    let compacts = moment.needs_compaction() || rng.chance(30);
    let upkeep = Upkeep { compacts, repairs: rng.chance(25), backs_up: false };
    let start = Start { upkeep, ..Start::of(&dir, setup, ledger.seed, round) };
    let mut writer = Writer::start(start, &mut ledger)?;
    moment.await_in(&mut writer, &mut ledger, &dir);
    writer.freeze()?;
    let image = base.join(format!("cut-{round}-after.img"));
    volume.copy_as_cut(&image)?;
    let had_ended = writer.kill(&mut ledger)?;
    volume.unmount();
    let volume = Volume::mount(&image, &base.join(format!("cut-{round}-after")), mount_options)?;
    // The one before is of no use any more.
    for entry in fs::read_dir(base)?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "img") && entry.path() != image {
            fs::remove_file(entry.path())?;
        }
    }
    let mut tally = Tally::default();
    if had_ended && !matches!(moment, Moment::Closing(_)) {
        tally.would_not_open("the writer ended by itself");
    }
    if is_last || rng.chance(70) {
        tally += probe(&volume.path().join("store"), setup, &mut ledger, Mode::Whole)?;
    }
    for finding in &mut tally.findings {
        *finding = format!("power cut, round {round}, {setup:?}, {mount_options:?}, {moment:?}: {finding}");
    }
    Ok((tally, Victim { volume, mount_options, setup, ledger }))
}

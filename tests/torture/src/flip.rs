//! A flipped bit in each kind of file of a store, of one that was closed in order and of one that was killed.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;

use crate::{
    child::{Heard, OPEN_WAIT, Start, Writer},
    ledger::Ledger,
    mend,
    probe::{Mode, probe},
    rng::Rng,
    tally::Tally,
    writer::Setup,
};

/// Of how many damaged packs in a hundred repairs are killed before all is looked at.
const REPAIRED_PERCENT: u64 = 50;

/// How many rounds are made of one store.
const ROUNDS_PER_STORE: u32 = 50;

/// Which file is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SealedPack,
    LastPack,
    /// The 64 bytes that a segment begins with.
    PackHeader,
    /// The header and directory of a frame, or the beginning of its first group.
    FrameHeader,
    /// sled's log of pages.
    IndexLog,
    /// sled's configuration and snapshots.
    IndexOther,
    /// The count of attempts to open the index.
    Marker,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::SealedPack,
        Self::LastPack,
        Self::PackHeader,
        Self::FrameHeader,
        Self::IndexLog,
        Self::IndexOther,
        Self::Marker,
    ];

    /// Whether the packs are hit: then something may be gone, if it is named.
    fn is_pack(self) -> bool {
        matches!(self, Self::SealedPack | Self::LastPack | Self::PackHeader | Self::FrameHeader)
    }
}

/// A store to make copies of.
struct Original {
    dir: PathBuf,
    setup: Setup,
    ledger: Ledger,
    was_killed: bool,
}

/// Runs `rounds` rounds.
pub(crate) fn torture(base: &Path, seed: u64, rounds: u32) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut original = None;
    for round in 0..rounds {
        let mut rng = Rng::of(seed, &[3, round.into()]);
        if round.is_multiple_of(ROUNDS_PER_STORE) {
            original = Some(Original::make(base, seed, round, &mut rng)?);
        }
        let Some(original) = &original else { continue };
        let kind = Kind::ALL[round as usize % Kind::ALL.len()];
        tally += flip(base, original, kind, round, &mut rng)?;
        tally.rounds += 1;
    }
    Ok(tally)
}

impl Original {
    /// Writes a store; every other one is killed instead of closed, so that its index is behind its packs.
    fn make(base: &Path, seed: u64, round: u32, rng: &mut Rng) -> anyhow::Result<Self> {
        let was_killed = (round / ROUNDS_PER_STORE) % 2 == 1;
        let (dir, setup) = (base.join(format!("original-{round}")), rng.pick(&Setup::ALL));
        let mut ledger = Ledger::new(seed);
        for run in [round * 2, round * 2 + 1] {
            // Every third store is so small that it has one segment, and its id in one place.
            let batches = Some(if round / ROUNDS_PER_STORE % 3 == 2 { 2 } else { 60 });
            let start = Start { batches, ..Start::of(&dir, setup, seed, run) };
            let mut writer = Writer::start(start, &mut ledger)?;
            if was_killed && run % 2 == 1 {
                writer.wait_until_open(&mut ledger);
                writer.run_for(&mut ledger, Duration::from_millis(40));
            } else {
                let heard = writer.wait_for(&mut ledger, OPEN_WAIT, |line| line == "closed");
                (heard == Heard::Wanted).then_some(()).context("a writer did not come to its end")?;
            }
            writer.ask_to_close();
            writer.kill(&mut ledger)?;
        }
        Ok(Self { dir, setup, ledger, was_killed })
    }
}

fn flip(base: &Path, original: &Original, kind: Kind, round: u32, rng: &mut Rng) -> anyhow::Result<Tally> {
    let dir = base.join(format!("flip-{round}"));
    copy(&original.dir, &dir)?;
    let hit = hit(&dir, kind, rng)?;
    let mut mode = if kind.is_pack() { Mode::Damaged } else { Mode::Whole };
    let mut struck = Tally::default();
    if kind.is_pack() && rng.chance(REPAIRED_PERCENT) {
        let repairs = mend::strike(&dir, original.setup, rng)?;
        struck.repairs = repairs.killed;
        mode = if repairs.named || repairs.killed > 0 { Mode::Named } else { Mode::Repaired };
    }
    let mut ledger = original.ledger.clone();
    // Acknowledgements are counted once for each original, with its first copy.
    if !round.is_multiple_of(ROUNDS_PER_STORE) {
        (ledger.acked, ledger.refused) = (0, 0);
    }
    let mut tally = probe(&dir, original.setup, &mut ledger, mode)?;
    tally += struck;
    if tally.is_ok() {
        // Once more, with what the first opening has made of it.
        tally += probe(&dir, original.setup, &mut ledger, mode)?;
    }
    for finding in &mut tally.findings {
        let killed = original.was_killed;
        let setup = original.setup;
        *finding = format!("flip, round {round}, {kind:?}, {hit}, killed: {killed}, {setup:?}, {mode:?}: {finding}");
    }
    if tally.is_ok() {
        fs::remove_dir_all(&dir)?;
    }
    Ok(tally)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Flips a bit; says of which file and where.
fn hit(dir: &Path, kind: Kind, rng: &mut Rng) -> anyhow::Result<String> {
    let path = target(dir, kind, rng)?;
    let mut bytes = fs::read(&path)?;
    let range = match kind {
        Kind::PackHeader => 0..64.min(bytes.len()),
        Kind::FrameHeader => frame_header(&bytes, rng),
        Kind::SealedPack | Kind::LastPack if bytes.len() > 64 => 64..bytes.len(),
        // Most of sled's file is room that was never written.
        Kind::IndexLog => written_block(&bytes, rng),
        _ => 0..bytes.len(),
    };
    let bit = range.start as u64 * 8 + rng.below(range.len() as u64 * 8);
    let at = usize::try_from(bit / 8)?;
    bytes[at] ^= 1 << (bit % 8);
    fs::write(&path, &bytes)?;
    let name = path.strip_prefix(dir)?.display().to_string();
    Ok(format!("bit {bit} of {name}, which has {} bytes", bytes.len()))
}

/// A block of a file that does not hold zeros only.
fn written_block(bytes: &[u8], rng: &mut Rng) -> Range<usize> {
    const BLOCK: usize = 256;
    let blocks = bytes.chunks(BLOCK).enumerate().filter(|(_, block)| block.iter().any(|byte| *byte != 0));
    let blocks: Vec<usize> = blocks.map(|(number, _)| number * BLOCK).collect();
    if blocks.is_empty() {
        return 0..bytes.len();
    }
    let at = rng.pick(&blocks);
    at..(at + BLOCK).min(bytes.len())
}

/// The first bytes of a frame of a pack.
fn frame_header(bytes: &[u8], rng: &mut Rng) -> Range<usize> {
    let magic = b"MITHAQF1";
    let frames: Vec<usize> =
        bytes.windows(magic.len()).enumerate().filter(|(_, w)| w == magic).map(|(at, _)| at).collect();
    if frames.is_empty() {
        return 0..bytes.len();
    }
    let at = rng.pick(&frames);
    at..(at + 64).min(bytes.len())
}

fn target(dir: &Path, kind: Kind, rng: &mut Rng) -> anyhow::Result<PathBuf> {
    let index = dir.join("index");
    if kind == Kind::Marker {
        fs::write(dir.join("opening"), [0])?;
        return Ok(dir.join("opening"));
    }
    if kind == Kind::IndexLog {
        return Ok(index.join("db"));
    }
    let from = if kind.is_pack() { dir.join("packs") } else { index };
    let mut files: Vec<PathBuf> = fs::read_dir(from)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.is_file() && path.file_name().is_some_and(|name| name != "db"));
    files.retain(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0));
    if kind.is_pack() {
        files.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    }
    files.sort_unstable();
    if kind == Kind::SealedPack && files.len() > 1 {
        files.pop();
    }
    if kind == Kind::LastPack {
        files.drain(..files.len().saturating_sub(1));
    }
    (!files.is_empty()).then_some(()).with_context(|| format!("no file for {kind:?}"))?;
    let file = usize::try_from(rng.below(files.len() as u64))?;
    Ok(files.swap_remove(file))
}

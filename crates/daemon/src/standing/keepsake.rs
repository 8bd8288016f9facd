//! Our own withdrawals, kept beside the store and not in it, so that a store that is put back from a backup learns them.
//!
//! What other CERTs withdrew, they tell again. Nobody tells us what we withdrew ourselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use mithaq_api::{
    home::{create_private_dir, with_sources},
    http::Problem,
};
use mithaq_core::{
    body::Body,
    code::Code,
    id::{ContentId, ReleaseId, from_hex, sha256, to_hex},
    keys::Signature,
    release::{Kind, Manifest, SignedRelease, VerifiedRelease},
};
use mithaq_store::{Arrival, Batch, StoreError};
use serde::{Deserialize, Serialize};

use super::{
    WITHDRAWAL, for_each_row, read_withdrawal,
    retract::{apply_withdrawal, notice_of},
};
use crate::{clock, node::Node};

/// The most bytes of a line: all releases of one withdrawal, which names at most as many contents as fit into a push.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A release as a line keeps it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The manifest's canonical text.
    manifest: String,
    /// The signature, 128 hexadecimal digits.
    signature: String,
    contents: Vec<ContentId>,
    /// The canonical text of the notice, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

impl Kept {
    fn new(signed: &SignedRelease, notice: Option<&[u8]>) -> Self {
        Self {
            manifest: String::from_utf8_lossy(&signed.manifest).into_owned(),
            signature: to_hex(signed.signature.as_bytes()),
            contents: signed.contents.clone(),
            notice: notice.map(|notice| String::from_utf8_lossy(notice).into_owned()),
        }
    }

    fn id(&self) -> ReleaseId {
        ReleaseId::from_bytes(sha256(self.manifest.as_bytes()))
    }
}

fn path(node: &Node) -> PathBuf {
    node.home.dir().join("ledger").join("withdrawals.ndjson")
}

/// One withdrawal as a line: its releases, each once, with their notices.
pub(super) fn line(arrivals: &[Arrival]) -> Vec<u8> {
    let mut seen = BTreeSet::new();
    let fresh = arrivals.iter().filter(|arrival| seen.insert(arrival.release.id()));
    let kept = fresh.map(|arrival| Kept::new(arrival.release.signed(), arrival.bodies.first().map(Body::bytes)));
    line_of(&kept.collect::<Vec<_>>())
}

fn line_of(kept: &[Kept]) -> Vec<u8> {
    // INVARIANT: strings and lists of them always serialise.
    let mut line = serde_json::to_vec(kept).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Keeps a withdrawal that is in the store, durably. Without it nothing is lost as long as the store is not. Blocks.
pub(super) fn keep(node: &Node, line: &[u8]) {
    let path = path(node);
    let written = || {
        if let Some(dir) = path.parent() {
            create_private_dir(dir).map_err(io::Error::other)?;
        }
        append(&path, line)
    };
    if let Err(error) = written() {
        tracing::error!(path = %path.display(), %error, "the withdrawal is in the store, and could not be kept beside it");
    }
}

/// Appends a line durably. A line that was torn before is ended first, so that it costs no other, and one that cannot be
/// written leaves nothing.
fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
    }
    let torn: &[u8] = if last == [b'\n'] { b"" } else { b"\n" };
    let written = file.write_all(&[torn, line].concat()).and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(length)?;
    }
    written
}

/// Visits the lines of the file with their numbers from 1, and what each holds or why it cannot be read.
///
/// # Errors
/// When the file cannot be opened or read, or the visitor fails.
fn for_each_line<E: From<io::Error>>(
    path: &Path,
    mut visit: impl FnMut(u64, Result<Vec<Kept>, String>) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if !line.trim_ascii().is_empty() {
            visit(number, serde_json::from_slice(&line).map_err(|error| error.to_string()))?;
        }
    }
    Ok(())
}

/// Why the file was not gone through.
enum Stop {
    File(io::Error),
    Store(StoreError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Learns the withdrawals that the store does not know; returns what of the file could not be read. Blocks.
///
/// # Errors
/// When the store fails.
pub(crate) fn relearn(node: &Node) -> Result<Vec<Problem>, StoreError> {
    let (path, mut unread) = (path(node), Vec::new());
    let visited = for_each_line(&path, |number, kept| {
        let learnt = match kept {
            Ok(kept) => kept.into_iter().try_fold((), |(), kept| relearn_kept(node, kept)),
            Err(error) => Err(Unlearnt::Unread(error)),
        };
        match learnt {
            Ok(()) => Ok(()),
            Err(Unlearnt::Store(error)) => Err(Stop::Store(error)),
            Err(Unlearnt::Unread(why)) => {
                unread.push(unread_problem(&format!("line {number} of {}", path.display()), &why));
                Ok(())
            }
        }
    });
    match visited {
        Ok(()) => {}
        Err(Stop::Store(error)) => return Err(error),
        Err(Stop::File(error)) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), "withdrawals of ours that are newer than the backup are not known");
        }
        Err(Stop::File(error)) => unread.push(unread_problem(&path.display().to_string(), &error.to_string())),
    }
    for problem in &unread {
        tracing::error!(code = problem.code, reason = problem.message, "SIEMs wait");
    }
    Ok(unread)
}

/// Learns again the withdrawals of ours that damage has taken out of the store; nothing in a store that is whole. Blocks.
///
/// # Errors
/// When the store fails; a file or line that cannot be read is passed over, and named when the file is completed.
pub(crate) fn relearn_lost(node: &Node) -> Result<(), StoreError> {
    let visited = for_each_line(&path(node), |_, kept| {
        for kept in kept.into_iter().flatten() {
            match relearn_kept(node, kept) {
                Err(Unlearnt::Store(error)) => return Err(Stop::Store(error)),
                Err(Unlearnt::Unread(error)) => tracing::warn!(error, "a withdrawal of ours cannot be learnt again"),
                Ok(()) => {}
            }
        }
        Ok(())
    });
    match visited {
        Err(Stop::Store(error)) => Err(error),
        _ => Ok(()),
    }
}

fn unread_problem(place: &str, why: &str) -> Problem {
    let text = format!(
        "{place} cannot be read ({why}): it may hold a withdrawal of ours that this store does not know. Mend it, or take it \
         out, and start the daemon again; `mithaq restore --serve` serves SIEMs without it"
    );
    Problem::new(Code::WITHDRAWALS_UNREAD, text)
}

/// Why a release of a line was not learnt.
enum Unlearnt {
    Unread(String),
    Store(StoreError),
}

impl From<StoreError> for Unlearnt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn relearn_kept(node: &Node, kept: Kept) -> Result<(), Unlearnt> {
    match node.store.release(kept.id()) {
        // What is known has been verified.
        Ok(Some(_)) => return Ok(()),
        // It is new when it comes again.
        Ok(None) | Err(StoreError::Corrupt { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let (release, bodies) = open(node, kept).map_err(Unlearnt::Unread)?;
    Ok(relearn_release(node, release, bodies)?)
}

/// Takes off a line that was begun and not ended: a daemon died over it, and the store knows what it was to say.
fn drop_torn(path: &Path) -> io::Result<()> {
    const BLOCK: u64 = 64 * 1024;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let (mut end, mut block) = (length, Vec::new());
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        Read::by_ref(&mut file).take(end - start).read_to_end(&mut block)?;
        if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
        file.sync_data()?;
    }
    Ok(())
}

/// Adds to the file the withdrawals of ours that the store has and the file lacks: a daemon may have died between the two.
/// Blocks.
///
/// # Errors
/// When the store fails; a file that cannot be read or written is told, and stays as it is.
pub(crate) fn complete(node: &Node) -> Result<(), StoreError> {
    let mut lacking = own_withdrawals(node)?;
    let path = path(node);
    // A restored store may lack what a line that cannot be read was to say: that stays until an operator has seen it.
    let is_whole = !node.gate.is_closed();
    let torn = if is_whole { drop_torn(&path) } else { Ok(()) };
    let visited = torn.and_then(|()| {
        for_each_line(&path, |line, kept| {
            if is_whole && let Err(error) = &kept {
                tracing::warn!(path = %path.display(), line, error, "a line holds no withdrawal: it can be taken out");
            }
            for kept in kept.iter().flatten() {
                lacking.remove(&kept.id());
            }
            Ok(())
        })
    });
    if let Err(error) = visited
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::error!(path = %path.display(), %error, "our withdrawals beside the store cannot be read");
        return Ok(());
    }
    let mut rows = BTreeMap::new();
    for id in lacking {
        if let Some((seq, _)) = node.store.release(id)? {
            rows.insert(seq, id);
        }
    }
    while let Some((seq, id)) = rows.pop_first() {
        let kept = with_what_stands(node, seq, &mut rows)?;
        tracing::warn!(release = id.fmt_short(), "a withdrawal of ours was not kept beside the store: it is now");
        keep(node, &line_of(&kept));
    }
    Ok(())
}

/// The withdrawals of ours by which something is withdrawn.
fn own_withdrawals(node: &Node) -> Result<BTreeSet<ReleaseId>, StoreError> {
    let mut withdrawals = BTreeSet::new();
    for_each_row(&*node.store, &[WITHDRAWAL, node.us.as_bytes()].concat(), |_, value| {
        withdrawals.insert(read_withdrawal(value)?.1);
        Ok(())
    })?;
    Ok(withdrawals)
}

/// The releases of one withdrawal from its first row on: all of them are of one moment, and follow each other in the log.
fn with_what_stands(node: &Node, first: u64, rows: &mut BTreeMap<u64, ReleaseId>) -> Result<Vec<Kept>, StoreError> {
    let (mut kept, mut at) = (Vec::new(), None);
    for seq in first.. {
        let Some((_, release, manifest)) = node.sound_release_at(seq)? else { break };
        let Manifest { origin, published_at, kind, .. } = manifest;
        if origin != node.us || *at.get_or_insert(published_at) != published_at {
            break;
        }
        rows.remove(&seq);
        let notice = release.contents.first().filter(|_| kind == Kind::Withdraw);
        let bodies = node.store.bodies(&notice.copied().into_iter().collect::<Vec<_>>())?;
        kept.push(Kept::new(&release, bodies.iter().flatten().next().map(|body| &body[..])));
    }
    Ok(kept)
}

fn open(node: &Node, kept: Kept) -> Result<(VerifiedRelease, Vec<Body>), String> {
    let signature = from_hex(&kept.signature).map_err(|error| error.to_string())?;
    let signed = SignedRelease {
        manifest: kept.manifest.into_bytes(),
        signature: Signature::from_bytes(signature),
        contents: kept.contents,
    };
    let notice = signed.contents.first().copied().zip(kept.notice);
    let release = signed.verify(&node.identity().card, clock::wall()).map_err(|error| with_sources(&error))?;
    let body = notice.map(|(content, notice)| Body::verify(content, notice.into_bytes())).transpose();
    Ok((release, body.map_err(|error| with_sources(&error))?.into_iter().collect()))
}

fn relearn_release(node: &Node, release: VerifiedRelease, bodies: Vec<Body>) -> Result<(), StoreError> {
    let id = release.id();
    let mut batch = Batch { takes_back: true, ..Batch::default() };
    match (release.manifest().kind, release.contents().first()) {
        (Kind::Withdraw, Some(content)) => {
            let Some(notice) = notice_of(node, *content, &bodies)? else { return Ok(()) };
            // The bodies stay, as they do when a withdrawal of ours is made.
            batch.state = apply_withdrawal(node, &release, &notice)?.0;
            tracing::info!(
                release = id.fmt_short(),
                objects = notice.contents.len(),
                "a withdrawal of ours is known again"
            );
        }
        _ => {
            let held = node.store.has_bodies(release.contents())?;
            if held.contains(&false) {
                tracing::warn!(
                    release = id.fmt_short(),
                    "what a withdrawal of ours left standing is not held: push it again"
                );
                return Ok(());
            }
        }
    }
    batch.arrivals.push(Arrival { release, bodies });
    node.commit(batch).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_taken_off_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let check = |before: &str, after: &str| {
            std::fs::write(&path, before).unwrap();
            drop_torn(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        };
        check("", "");
        check("to", "");
        check("one\n", "one\n");
        check("one\nto", "one\n");
        let long = "x".repeat(200_000);
        check(&format!("one\n{long}"), "one\n");
        check(&format!("{long}\n{long}"), &format!("{long}\n"));
        check(&long, "");
    }

    #[test]
    fn a_torn_line_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        append(&path, b"one\n").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"to").unwrap();
        append(&path, b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nto\nthree\n");
    }
}

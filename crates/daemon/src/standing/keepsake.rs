//! Our own withdrawals, kept beside the store and not in it, so that a store that is put back from a backup learns them.
//!
//! What other CERTs withdrew, they tell again. Nobody tells us what we withdrew ourselves.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use mithaq_api::home::{create_private_dir, with_sources};
use mithaq_core::{
    body::Body,
    id::{ContentId, from_hex, to_hex},
    keys::Signature,
    release::{Kind, SignedRelease, VerifiedRelease},
};
use mithaq_store::{Arrival, Batch, StoreError};
use serde::{Deserialize, Serialize};

use super::retract::{apply_withdrawal, notice_of};
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

fn path(node: &Node) -> PathBuf {
    node.home.dir().join("ledger").join("withdrawals.ndjson")
}

/// One withdrawal as a line: its releases, with their notices.
pub(super) fn line(arrivals: &[Arrival]) -> Vec<u8> {
    let keep = |arrival: &Arrival| {
        let signed = arrival.release.signed();
        let notice = arrival.bodies.first().map(|body| String::from_utf8_lossy(body.bytes()).into_owned());
        Kept {
            manifest: String::from_utf8_lossy(&signed.manifest).into_owned(),
            signature: to_hex(signed.signature.as_bytes()),
            contents: signed.contents.clone(),
            notice,
        }
    };
    // INVARIANT: strings and lists of them always serialise.
    let mut line = serde_json::to_vec(&arrivals.iter().map(keep).collect::<Vec<_>>()).unwrap_or_default();
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

/// Learns the withdrawals that the store does not know. Blocks.
///
/// # Errors
/// When the store fails; a line that cannot be used is told and passed over.
pub(crate) fn relearn(node: &Node) -> Result<(), StoreError> {
    let file = match File::open(path(node)) {
        Ok(file) => file,
        Err(error) => {
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            tracing::warn!(is_missing, %error, "withdrawals of ours that are newer than the backup are not known");
            return Ok(());
        }
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => break,
            Ok(_) => relearn_line(node, &line, number)?,
            Err(error) => {
                tracing::error!(line = number, %error, "withdrawals of ours cannot be read");
                break;
            }
        }
    }
    Ok(())
}

fn relearn_line(node: &Node, line: &[u8], number: u64) -> Result<(), StoreError> {
    let kept: Vec<Kept> = match serde_json::from_slice(line) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::error!(line = number, %error, "a withdrawal of ours cannot be read");
            return Ok(());
        }
    };
    for kept in kept {
        match open(node, kept) {
            Ok((release, bodies)) => relearn_release(node, release, bodies)?,
            Err(problem) => tracing::error!(line = number, problem, "a withdrawal of ours does not verify"),
        }
    }
    Ok(())
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
    if node.store.release(release.id())?.is_some() {
        return Ok(());
    }
    let id = release.id();
    let mut batch = Batch::default();
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
    fn a_torn_line_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        append(&path, b"one\n").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"to").unwrap();
        append(&path, b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nto\nthree\n");
    }
}

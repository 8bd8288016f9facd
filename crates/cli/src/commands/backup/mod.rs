//! `mithaq backup`: a copy of all that a CERT cannot have again, taken while its daemon runs, and the check of such a copy.
//!
//! The packs only grow, and are the truth; the index is built from them. So a backup is the packs up to one moment, which
//! the daemon names, and the small files of the home. The daemon writes nothing: this program copies.

mod check;
pub(crate) mod files;
mod folder;
pub(crate) mod manifest;
mod take;

use std::{io, path::PathBuf};

use mithaq_api::home::Home;
use mithaq_core::{code::Code, id::CertId, time::Time};
use serde::Serialize;

pub(crate) use self::check::check;
use self::manifest::Manifest;
use super::status::bytes;
use crate::{
    clock,
    console::{BAD, Console, FAINT, GOOD, STRONG, WARN},
    counted::counted,
    exit::Exit,
    failure::Failure,
};

/// Take a backup while the daemon runs, or check one.
///
/// The folder holds one backup, which each run brings up to date: only what it lacks is copied, and until a run has come
/// to its end the folder holds the backup from before. It has the store, our card, the peers with their agreements, the
/// configuration, evidence and attestations. Without --keys it has no secret key, and cannot bring a CERT back whose
/// keys are lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq backup /srv/backup/mithaq
  mithaq backup /srv/safe/mithaq --keys
  mithaq backup /srv/backup/mithaq --verify
  mithaq backup /srv/backup/mithaq --json | jq '.copied_bytes, .at'")]
pub(crate) struct Args {
    /// The folder of the backup; it is made if it is not there
    dir: PathBuf,
    /// Copy the secret keys too, the root key and tokens among them: whoever reads the backup then is this CERT
    #[arg(long, conflicts_with = "verify")]
    keys: bool,
    /// Take nothing: read every file of the backup and compare it with the signed manifest. Needs neither home nor daemon
    #[arg(long)]
    verify: bool,
}

/// Why a backup was not taken, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// No backup came to its end there.
    #[error("{} holds no backup (no {})", dir.display(), manifest::FILE)]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// A file is not what the manifest says.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that was found.
        problem: String,
    },
    /// Several files are not what the manifest says.
    #[error("{count} files of the backup in {} are damaged; nothing was restored", dir.display())]
    DamagedFiles {
        /// The folder.
        dir: PathBuf,
        /// How many.
        count: usize,
    },
    /// The packs are not those that the backup goes on from.
    #[error(
        "{} does not begin with what the backup has of it: this store is not the one of then; nothing was changed, give the next backup a folder of its own",
        path.display()
    )]
    Diverged {
        /// The segment.
        path: PathBuf,
    },
    /// The backup is of another CERT than the home.
    #[error("the backup in {} is of CERT {}, and the home is of {}; nothing was changed", dir.display(), backup.fmt_short(), home.fmt_short())]
    OtherCert {
        /// The backup's folder.
        dir: PathBuf,
        /// Its CERT.
        backup: CertId,
        /// The home's.
        home: CertId,
    },
    /// The folder has what no backup has made.
    #[error(
        "{} has {}, which no backup of this CERT has made there: nothing was changed, give the backup a folder of its own",
        dir.display(),
        name.display()
    )]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// What was found in it.
        name: PathBuf,
    },
    /// The folder is mixed up with what is to be backed up.
    #[error("{} is, lies in or holds {}: give the backup a folder outside of the home and the store", dir.display(), other.display())]
    Overlaps {
        /// The folder.
        dir: PathBuf,
        /// The home or the store.
        other: PathBuf,
    },
    /// The disk has not enough room.
    #[error("{} needs {} and its disk has {} free: nothing was changed", dir.display(), bytes(*needed), bytes(*free))]
    NoRoom {
        /// The folder that is written to.
        dir: PathBuf,
        /// What it needs.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// Segments were written anew faster than they could be opened.
    #[error("the store is being compacted: run the backup again once `mithaq store compact` has ended")]
    Moving,
    /// There is a store where one is to be restored.
    #[error(
        "{} is there already, and a restore writes over no store: move it away first (and keep it until the exchange goes on)",
        path.display()
    )]
    StoreExists {
        /// The store's folder.
        path: PathBuf,
    },
    /// The daemon of the home runs.
    #[error("the daemon of {} runs: stop it first", home.display())]
    DaemonRuns {
        /// The home.
        home: PathBuf,
    },
    /// The operating system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BackupError {
    /// The failure's code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::NO_BACKUP,
            Self::Damaged { .. } | Self::DamagedFiles { .. } => Code::BACKUP_DAMAGED,
            Self::Diverged { .. } => Code::BACKUP_DIVERGED,
            Self::OtherCert { .. } => Code::OTHER_CERT,
            Self::NoRoom { .. } => Code::DISK_FULL,
            Self::Moving | Self::DaemonRuns { .. } => Code::STORE_LOCKED,
            Self::StoreExists { .. } => Code::STORE_EXISTS,
            Self::Io { source, .. } if is_full(source) => Code::DISK_FULL,
            Self::Foreign { .. } | Self::Overlaps { .. } | Self::Io { .. } => Code::FILE,
        }
    }
}

/// Whether an error says that the disk, or this user's share of it, is used up.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// What a backup holds, for programs.
#[derive(Debug, Serialize)]
struct Taken<'a> {
    dir: String,
    cert: CertId,
    name: &'a str,
    at: Time,
    store: String,
    head: u64,
    objects: u64,
    packs: usize,
    bytes: u64,
    copied_bytes: u64,
    files: usize,
    keys: bool,
}

/// What the check of a backup found, for programs.
#[derive(Debug, Serialize)]
struct Checked {
    ok: bool,
    cert: CertId,
    at: Time,
    files: usize,
    bytes: u64,
    keys: bool,
    problems: Vec<String>,
}

/// Takes or checks a backup.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    if args.verify { verify(args, console) } else { take(args, home, console) }
}

fn take(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let (manifest, copied_bytes) = take::take(home, &args.dir, args.keys)?;
    let bytes_of_all = manifest.bytes();
    if console.is_json() {
        console.json(&Taken {
            dir: args.dir.display().to_string(),
            cert: manifest.cert,
            name: &manifest.name,
            at: manifest.at,
            store: manifest.store.to_string(),
            head: manifest.head,
            objects: manifest.objects,
            packs: manifest.packs.len(),
            bytes: bytes_of_all,
            copied_bytes,
            files: manifest.home.len(),
            keys: manifest.keys,
        })?;
        return Ok(Exit::Ok);
    }
    let (all, copied) = (bytes(bytes_of_all), bytes(copied_bytes));
    console.styled(GOOD, format_args!("backup of {} at {}", manifest.name, clock::for_people(manifest.at)))?;
    console.line(format_args!(
        "  the store up to row {}: {} in {}",
        manifest.head,
        counted(manifest.objects, "object"),
        counted(manifest.packs.len() as u64, "segment")
    ))?;
    let files = counted(manifest.home.len() as u64, "file");
    console.line(format_args!("  {files} of the home; {all} in all, {copied} of it copied now"))?;
    tell_keys(&manifest, console)
}

fn tell_keys(manifest: &Manifest, console: &mut Console) -> Result<Exit, Failure> {
    if manifest.keys {
        let text =
            "IT HOLDS THE SECRET KEYS: whoever can read it can speak as this CERT. Keep it as you keep the keys.";
        console.styled(BAD, text)?;
    } else {
        console.styled(WARN, "It holds no secret key. If the keys are lost it cannot bring this CERT back: copy them with --keys, to a safe place.")?;
    }
    Ok(Exit::Ok)
}

fn verify(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let (manifest, problems) = check(&args.dir)?;
    let files = manifest.packs.len() + manifest.home.len();
    let ok = problems.is_empty();
    if console.is_json() {
        let Manifest { cert, at, keys, .. } = manifest;
        console.json(&Checked { ok, cert, at, files, bytes: manifest.bytes(), keys, problems })?;
    } else {
        problems.iter().try_for_each(|problem| console.styled(BAD, problem))?;
        let at = clock::for_people(manifest.at);
        console.styled(STRONG, format_args!("backup of {} ({}) at {at}", manifest.name, manifest.cert.fmt_short()))?;
        console.styled(
            FAINT,
            format_args!(
                "  the store up to row {}, with{} secret keys",
                manifest.head,
                if manifest.keys { "" } else { "out" }
            ),
        )?;
        let bytes = bytes(manifest.bytes());
        match ok {
            true => {
                console.styled(GOOD, format_args!("{files} files with {bytes} read and hashed; nothing is wrong"))?
            }
            false => {
                console.styled(BAD, format_args!("{files} files with {bytes} read; {} are damaged", problems.len()))?
            }
        }
    }
    if !ok {
        console.note(format_args!(
            "{}: the backup is damaged: take another one in an empty folder",
            Code::BACKUP_DAMAGED
        ))?;
    }
    Ok(if ok { Exit::Ok } else { Exit::Failure })
}

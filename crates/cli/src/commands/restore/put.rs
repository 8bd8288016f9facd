//! Puts a backup in place: the store beside its place first, and into it at the end.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
};

use mithaq_api::{
    config::Config,
    home::{Home, create_file},
    http::{Revival, ReviveStore, Revived},
};
use mithaq_core::{
    id::CertId,
    ledger::{LocalLedger, SignedCheckpoint},
};
use serde::Deserialize;
use serde_json::json;

use super::{LedgerLoss, Report};
use crate::{
    clock,
    commands::backup::{
        BackupError,
        files::{self, Digest, io_error},
        manifest::{HomeFile, Manifest},
    },
    failure::Failure,
    people::People,
};

/// What the name ends with under which something is put together.
const STAGING: &str = "restoring";

/// Restores what the home lacks out of a backup that was checked.
pub(super) fn put(home: &Home, dir: &Path, manifest: Manifest, revive: ReviveStore) -> Result<Report, Failure> {
    let config = config_of(home, dir, &manifest)?;
    let store = home.dir().join(&config.store.dir);
    refuse(home, dir, &manifest, &config, &store)?;
    let staging = staging_of(&store);
    let revived = stage(dir, &manifest, &staging, revive).inspect_err(|_| drop(fs::remove_dir_all(&staging)))?;
    let (written, kept) = put_home(home, dir, &manifest)?;
    let ledgers_signed = losses(home, &revived);
    record(home, &manifest, &revived, &ledgers_signed)?;
    put_in_place(&staging, &store)?;
    let bytes = manifest.pack_bytes();
    let lacks_keys =
        !files::names(&home.keys_dir(), |name| name.ends_with(".key"))?.iter().any(|name| name != "root.key");
    let Manifest { cert, name, at: backup_at, .. } = manifest;
    Ok(Report { cert, name, backup_at, store: revived, bytes, ledgers_signed, written, kept, lacks_keys })
}

/// The home's configuration, or the backup's if the home has none.
fn config_of(home: &Home, dir: &Path, manifest: &Manifest) -> Result<Config, Failure> {
    let backed_up = manifest.home.iter().find(|file| file.path == "mithaq.toml");
    let path = match (home.config_path().exists(), backed_up) {
        (false, Some(file)) => dir.join(manifest.home_path(file)),
        _ => home.config_path(),
    };
    if !path.exists() {
        return Ok(Config::default());
    }
    Config::load(&path).map_err(|error| mithaq_api::home::HomeError::from(error).into())
}

/// Refuses a home that is another CERT's, has a store, or whose daemon runs.
fn refuse(home: &Home, dir: &Path, manifest: &Manifest, config: &Config, store: &Path) -> Result<(), Failure> {
    if home.card_path().exists() {
        let cert = home.card()?.cert_id();
        if cert != manifest.cert {
            return Err(BackupError::OtherCert { dir: dir.to_owned(), backup: manifest.cert, home: cert }.into());
        }
    }
    let runs = home.control_socket(config).is_ok_and(|socket| UnixStream::connect(socket).is_ok());
    if runs {
        return Err(BackupError::DaemonRuns { home: home.dir().to_owned() }.into());
    }
    let is_foreign = |name: &OsStr| name != STAGING && name != "lost+found";
    let is_empty = match fs::read_dir(store) {
        Ok(entries) => !entries.flatten().any(|entry| is_foreign(&entry.file_name())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(io_error("list", store)(error).into()),
    };
    if is_empty { Ok(()) } else { Err(BackupError::StoreExists { path: store.to_owned() }.into()) }
}

/// Where a store is put together before it gets its place, on the same disk: beside it, or in it if it is a disk of its own.
fn staging_of(store: &Path) -> PathBuf {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let own = device(store).filter(|own| store.parent().and_then(device) != Some(*own));
    if own.is_some() {
        return store.join(STAGING);
    }
    let mut name = store.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(".");
    name.push(STAGING);
    store.with_file_name(name)
}

/// Gives a store its place, at once; where it has a disk of its own, the packs come last, since they are the store.
fn put_in_place(staging: &Path, store: &Path) -> Result<(), BackupError> {
    if staging.parent() == Some(store) {
        for part in ["index", "packs"] {
            let (from, to) = (staging.join(part), store.join(part));
            fs::rename(from, &to).map_err(io_error("put in place", &to))?;
        }
        fs::remove_dir_all(staging).map_err(io_error("remove", staging))?;
        return files::sync_dir(store);
    }
    fs::rename(staging, store).map_err(io_error("put in place", store))?;
    files::sync_dir(store.parent().unwrap_or(Path::new(".")))
}

/// Copies the packs, with each hash checked once more, and has them made a store of their own.
fn stage(dir: &Path, manifest: &Manifest, staging: &Path, revive: ReviveStore) -> Result<Revived, Failure> {
    if staging.exists() {
        // Of a restore that was cut short.
        fs::remove_dir_all(staging).map_err(io_error("remove", staging))?;
    }
    let packs = staging.join("packs");
    files::create_dir(&packs)?;
    files::require_room(staging, manifest.pack_bytes())?;
    for pack in &manifest.packs {
        let from = dir.join(manifest.pack_path(pack));
        if files::copy(&from, &packs.join(&pack.file), pack.bytes)? != pack.sha256 {
            return Err(changed(from).into());
        }
    }
    files::sync_dir(&packs)?;
    files::sync_dir(staging)?;
    let revival = Revival { dir: staging.to_owned(), backup_at: manifest.at, now: clock::now() };
    revive(&revival).map_err(Failure::Answered)
}

fn changed(path: PathBuf) -> BackupError {
    BackupError::Damaged { path, problem: "it changed while it was restored".into() }
}

/// Writes the files that the home lacks; gives their paths, and those of files that are here and say something else.
fn put_home(home: &Home, dir: &Path, manifest: &Manifest) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for file in &manifest.home {
        let target = home.dir().join(&file.path);
        match fs::read(&target) {
            Ok(text) if Digest::of(&text) == file.sha256 => {}
            Ok(_) => kept.push(file.path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                put_file(dir, manifest, file, &target)?;
                written.push(file.path.clone());
            }
            Err(error) => return Err(io_error("read", &target)(error).into()),
        }
    }
    // A home without peers has the folder all the same.
    files::create_dir(&home.peers_dir())?;
    Ok((written, kept))
}

fn put_file(dir: &Path, manifest: &Manifest, file: &HomeFile, target: &Path) -> Result<(), Failure> {
    let from = dir.join(manifest.home_path(file));
    let text = fs::read(&from).map_err(io_error("read", &from))?;
    if Digest::of(&text) != file.sha256 {
        return Err(changed(from).into());
    }
    if let Some(parent) = target.parent() {
        files::create_dir(parent)?;
    }
    // Under another name first: half a file must not be taken for what was there before.
    let unfinished = target.with_extension(STAGING);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &unfinished)(error).into());
        }
        _ => {}
    }
    create_file(&unfinished, &text, 0o600)?;
    fs::rename(&unfinished, target).map_err(io_error("write", target))?;
    Ok(files::sync_dir(target.parent().unwrap_or(Path::new(".")))?)
}

/// The local ledger's file, as far as a restore reads it.
#[derive(Deserialize)]
struct LocalFile {
    heads: String,
    note: String,
}

/// What the local ledger, which lies beside the store, says was signed, against what the backup has.
fn losses(home: &Home, revived: &Revived) -> Vec<LedgerLoss> {
    let Some((us, local)) = read_local(home) else { return Vec::new() };
    let held: BTreeMap<CertId, u64> = revived.ledgers.iter().map(|ledger| (ledger.cert, ledger.entries)).collect();
    let people = People::of(home);
    let heads = local.heads().filter(|head| Some(head.store) == revived.was && head.peer != us);
    let loss = heads.map(|head| {
        let held = held.get(&head.peer).copied().unwrap_or(0);
        let peer = people.short(head.peer);
        LedgerLoss { peer, cert: head.peer, signed: head.size, held, lost: head.size.saturating_sub(held) }
    });
    loss.collect()
}

fn read_local(home: &Home) -> Option<(CertId, LocalLedger)> {
    let text = fs::read(home.dir().join("ledger/local.json")).ok()?;
    let file: LocalFile = serde_json::from_slice(&text).ok()?;
    let us = home.card().ok()?.cert_id();
    let store = SignedCheckpoint::parse(file.note.as_bytes()).ok()?.checkpoint().origin.store;
    Some((us, LocalLedger::from_bytes(us, store, file.heads.as_bytes()).ok()?))
}

/// Keeps what the ledgers were under the old id: with the next checkpoint the new store's take their place.
fn record(home: &Home, manifest: &Manifest, revived: &Revived, signed: &[LedgerLoss]) -> Result<(), Failure> {
    let dir = home.dir().join("ledger");
    files::create_dir(&dir)?;
    let local = fs::read_to_string(dir.join("local.json")).ok();
    let record = json!({
        "at": clock::now(),
        "backup_at": manifest.at,
        "was": revived.was,
        "store": revived.store,
        "ledgers": revived.ledgers,
        "signed": signed,
        "local": local,
    });
    let text = serde_json::to_vec(&record).map_err(io::Error::from)?;
    let name = revived.store.to_string();
    let path = dir.join(format!("restored-{}.json", name.get(..8).unwrap_or(&name)));
    create_file(&path, &text, 0o600)?;
    Ok(files::sync_dir(&dir)?)
}

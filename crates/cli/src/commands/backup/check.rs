//! The check of a backup: every file is read and compared with the signed manifest.

use std::path::Path;

use super::{BackupError, files::hash_of, manifest::Manifest};

/// Reads the whole backup; gives its manifest and what is wrong, a sentence for each file.
///
/// # Errors
/// When there is no manifest, or it cannot be trusted: nothing else can be checked then.
pub(crate) fn check(dir: &Path) -> Result<(Manifest, Vec<String>), BackupError> {
    let manifest = Manifest::read(dir)?;
    let packs = manifest.packs.iter().map(|pack| (manifest.pack_path(pack), pack.bytes, &pack.sha256));
    let home = manifest.home.iter().map(|file| (manifest.home_path(file), file.bytes, &file.sha256));
    let mut problems = Vec::new();
    for (path, bytes, sha256) in packs.chain(home) {
        let path = dir.join(path);
        match hash_of(&path, bytes)? {
            Some(found) if found == *sha256 => {}
            Some(_) => {
                problems.push(format!("{} is not what was backed up: it was damaged or changed", path.display()))
            }
            None => problems.push(format!("{} is missing, or has fewer than its {bytes} bytes", path.display())),
        }
    }
    Ok((manifest, problems))
}

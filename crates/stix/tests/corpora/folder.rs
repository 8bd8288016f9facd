//! Where the corpora are.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// The corpora's folder, if it is there.
pub(crate) fn corpora() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("MITHAQ_CORPORA").map_or(default, PathBuf::from);
    if !folder.join("SHA256SUMS").exists() {
        // Not `eprintln!`, which the test runner keeps to itself when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "NOTHING WAS TESTED: the corpora are absent (MITHAQ_CORPORA, else {})",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

//! Lists in files and folders.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{LIST_BYTES_MAX, WarningListError};

/// How deep folders are looked through: a checkout has `lists/NAME/list.json`.
const DEPTH_MAX: usize = 3;

/// How a list's entries match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ListType {
    /// The whole value.
    String,
    /// Any part of it.
    Substring,
    /// A host name and all below it.
    Hostname,
    /// An address in the network, or a network with one of its addresses.
    Cidr,
    /// A regular expression.
    Regex,
}

/// A list as its file has it; what else stands there is passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct ListFile {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) list_type: ListType,
    #[serde(default)]
    pub(super) matching_attributes: Vec<String>,
    pub(super) list: Vec<String>,
}

impl ListFile {
    /// Reads the text of a list.
    ///
    /// # Errors
    /// A sentence on what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }
}

/// The lists' files in and below a folder, in the order of their names.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>, WarningListError> {
    let mut found = Vec::new();
    let below = dir.join("lists");
    let dir = if below.is_dir() { &below } else { dir };
    collect(dir, DEPTH_MAX, true, &mut found)?;
    found.sort();
    Ok(found)
}

/// In the folder itself every `.json` is a list; below it only what is called `list.json`.
fn collect(dir: &Path, depth: usize, is_top: bool, found: &mut Vec<PathBuf>) -> Result<(), WarningListError> {
    let failed = |source| WarningListError::Read { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_list = path.file_name().is_some_and(|name| name == "list.json");
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, false, found)?;
        } else if is_list || (is_top && path.extension().is_some_and(|extension| extension == "json")) {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads a list's file.
pub(super) fn read(path: &Path) -> Result<ListFile, WarningListError> {
    let failed = |source| WarningListError::Read { path: path.to_owned(), source };
    let format = |problem: String| WarningListError::Format { path: path.to_owned(), problem };
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(LIST_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LIST_BYTES_MAX {
        return Err(format(format!("it has more than {LIST_BYTES_MAX} bytes")));
    }
    ListFile::parse(&text).map_err(format)
}

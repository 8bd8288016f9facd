//! `[warning_lists]`: what pushes are looked up in.

use std::path::PathBuf;

use serde::Deserialize;

/// What pushes are looked up in before they are published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarningLists {
    /// The folder of lists in MISP's public format, relative to the home; `None` for no lists in files.
    pub dir: Option<PathBuf>,
    /// Whether to look into the short list that comes with the program.
    pub builtin: bool,
    /// Domains of our own, each with all below it.
    pub own_domains: Vec<String>,
    /// What becomes of an object that stands on a list.
    pub mode: WarningMode,
}

/// What becomes of an object that stands on a warning list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WarningMode {
    /// It is published, and whoever pushed it is told.
    #[default]
    Warn,
    /// It is refused, unless the push is forced, which is recorded.
    Block,
}

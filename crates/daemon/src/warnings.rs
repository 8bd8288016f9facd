//! Warning lists: what our own analysts push is looked up in them, and what was forced past them is recorded.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt};

use mithaq_api::{
    config::{self, WarningMode},
    home::{Home, create_private_dir},
    http::Problem,
    warning_lists::{WarningListError, WarningLists},
};
use mithaq_core::{body::Facts, code::Code, time::Time};
use serde::Serialize;

use crate::{clock, node::Node};

/// The folder of the record, in the home.
const AUDIT_DIR: &str = "audit";
/// The record: a line for each object that was forced.
const FORCED_FILE: &str = "forced.ndjson";

/// The lists that this daemon goes by.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    lists: WarningLists,
    blocks: bool,
}

/// What the lists say of an object that is taken.
#[derive(Debug, Default, Clone)]
pub(crate) struct Listed {
    /// The lists that it stands on, a sentence each.
    pub(crate) hits: Vec<String>,
    /// Whether it would have been refused.
    pub(crate) forced: bool,
}

/// A line of the record.
#[derive(Serialize)]
struct Forced<'a> {
    at: Time,
    id: &'a str,
    lists: &'a [String],
}

impl Warnings {
    /// Reads the lists that the configuration names.
    pub(crate) fn load(home: &Home, config: &config::WarningLists) -> Result<Self, WarningListError> {
        let mut lists = match &config.dir {
            Some(dir) => WarningLists::of_folder(&home.dir().join(dir))?,
            None => WarningLists::default(),
        };
        if config.builtin {
            lists = lists.with_builtin();
        }
        let lists = lists.with_domains("our own domains", &config.own_domains);
        if !lists.is_empty() {
            tracing::info!(lists = lists.len(), entries = lists.entries(), "warning lists");
        }
        Ok(Self { lists, blocks: config.mode == WarningMode::Block })
    }

    /// Looks an object up. What is revoked warns nobody.
    ///
    /// # Errors
    /// When it stands on a list, lists block, and it is not forced.
    pub(crate) fn look(&self, facts: &Facts, force: bool) -> Result<Listed, Problem> {
        if self.lists.is_empty() || facts.revoked {
            return Ok(Listed::default());
        }
        let hits: Vec<String> = self.lists.check(&facts.observables).iter().map(ToString::to_string).collect();
        let is_blocked = self.blocks && !hits.is_empty();
        if is_blocked && !force {
            let text = format!("{}: if it is a threat all the same, push it with --force", hits.join("; "));
            return Err(Problem::new(Code::WARNING_LIST, text));
        }
        Ok(Listed { hits, forced: is_blocked })
    }
}

/// Records what was forced, durably, before it is published.
///
/// # Errors
/// When the record cannot be written: then nothing is forced.
pub(crate) fn record<'a>(node: &Node, forced: impl Iterator<Item = (&'a str, &'a [String])>) -> Result<(), Problem> {
    let at = clock::wall();
    let mut lines = Vec::new();
    let mut objects = 0_usize;
    for (id, lists) in forced {
        // INVARIANT: strings and a time become JSON, and a vector takes what is written.
        let _ = serde_json::to_writer(&mut lines, &Forced { at, id, lists });
        lines.push(b'\n');
        objects += 1;
    }
    if objects == 0 {
        return Ok(());
    }
    append(&node.home, &lines).map_err(|error| {
        let text =
            format!("what is forced past warning lists cannot be recorded in {AUDIT_DIR}/{FORCED_FILE}: {error}");
        Problem::new(Code::FILE, text)
    })?;
    tracing::warn!(objects, "pushed with force although warning lists block");
    Ok(())
}

fn append(home: &Home, lines: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let dir = home.dir().join(AUDIT_DIR);
    create_private_dir(&dir)?;
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(FORCED_FILE))?;
    file.write_all(lines)?;
    Ok(file.sync_data()?)
}

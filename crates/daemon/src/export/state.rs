//! What is known of the export before: so that a format can say what is gone, and a serial grows.
//!
//! The state is lines of JSON: a header, a line for each value as its format had it, `[LIST, TEXT]`, and one for each that is
//! still said to be gone, `[LIST, TEXT, SINCE]`. Who loses it gets a full snapshot that says nothing to be gone.

use std::collections::BTreeSet;

use mithaq_api::export::{ExportFormat, ExportQuery};
use mithaq_core::time::Time;
use serde::{Deserialize, Serialize};

use super::{Changes, Context, ExportError, Key, Listed, Output};

/// The form of the state.
const FORM: u32 = 1;

/// How long a value is said to be gone, in seconds: a reader that misses exports meanwhile still hears of it.
const GONE_SECONDS: i64 = 24 * 60 * 60;

/// The most values that are said to be gone; beyond it the oldest are left out.
const GONE_MAX: usize = 100_000;

/// A value that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) key: Key,
    /// When it was first missed, in seconds since the Unix epoch.
    since: i64,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    mithaq_export_state: u32,
    format: ExportFormat,
    collection: String,
    serial: u32,
    digest: String,
}

/// What is known of the export before.
#[derive(Debug)]
pub(crate) struct State {
    serial: u32,
    pub(crate) digest: String,
    listed: BTreeSet<Key>,
    gone: Vec<Gone>,
}

impl State {
    /// Reads a state; `None` if it is damaged, or of another format or collection.
    pub(crate) fn parse(text: &[u8], query: &ExportQuery, lists: &'static [&'static str]) -> Option<Self> {
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let header: Header = serde_json::from_slice(lines.next()?).ok()?;
        let is_ours = header.mithaq_export_state == FORM
            && header.format == query.format
            && header.collection == query.collection();
        if !is_ours {
            return None;
        }
        let (mut listed, mut gone) = (BTreeSet::new(), Vec::new());
        let key = |list: &str, text| Some(Key { list: lists.iter().find(|known| **known == list)?, text });
        for line in lines {
            match serde_json::from_slice(line).ok()? {
                Line::Listed((list, text)) => drop(listed.insert(key(&list, text)?)),
                Line::Gone((list, text, since)) => gone.push(Gone { key: key(&list, text)?, since }),
            }
        }
        Some(Self { serial: header.serial, digest: header.digest, listed, gone })
    }

    /// What came and went since, and what is to be said to be gone.
    pub(crate) fn compare(self, now: &Listed, at: Time) -> (Changes, Vec<Gone>) {
        let seconds = at.as_micros() / 1_000_000;
        let added = now.keys().filter(|key| !self.listed.contains(key)).cloned().collect();
        let removed: Vec<Key> = self.listed.into_iter().filter(|key| !now.contains_key(key)).collect();
        let is_told = |gone: &Gone| seconds - gone.since < GONE_SECONDS && !now.contains_key(&gone.key);
        let newly = removed.iter().map(|key| Gone { key: key.clone(), since: seconds });
        let mut gone: Vec<Gone> = newly.chain(self.gone.into_iter().filter(is_told)).collect();
        gone.sort_by_key(|gone| std::cmp::Reverse(gone.since));
        gone.truncate(GONE_MAX);
        // State has a value once, but who edits it by hand may not.
        gone.sort_by(|a, b| a.key.cmp(&b.key));
        gone.dedup_by(|a, b| a.key == b.key);
        (Changes { added, removed }, gone)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Gone((String, String, i64)),
    Listed((String, String)),
}

/// The serial of an export: the time in seconds, and more than that of the export before.
pub(crate) fn next_serial(before: Option<&State>, now: Time) -> u32 {
    let seconds = u32::try_from(now.as_micros() / 1_000_000).unwrap_or(u32::MAX);
    before.map_or(seconds, |before| before.serial.saturating_add(1).max(seconds))
}

/// Writes the state for the next export.
pub(crate) fn write(
    context: &Context,
    digest: &str,
    listed: Option<&Listed>,
    gone: &[Gone],
    out: &mut dyn Output,
) -> Result<(), ExportError> {
    let header = Header {
        mithaq_export_state: FORM,
        format: context.query.format,
        collection: context.query.collection().to_owned(),
        serial: context.serial,
        digest: digest.to_owned(),
    };
    write_line(&header, out)?;
    for key in listed.into_iter().flat_map(|listed| listed.keys()) {
        write_line(&(key.list, &key.text), out)?;
    }
    for Gone { key, since } in gone {
        write_line(&(key.list, &key.text, since), out)?;
    }
    Ok(())
}

fn write_line(value: &impl Serialize, out: &mut dyn Output) -> Result<(), ExportError> {
    // INVARIANT: strings and numbers always serialise.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    out.text(&line)
}

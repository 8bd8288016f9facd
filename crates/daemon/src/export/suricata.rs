//! Suricata: datasets, address reputation, and what its command socket is told.
//!
//! A dataset of strings has a value a line in base64, all others the value as it is. Reputation is
//! `address,category,score` and a file of categories.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use mithaq_core::stix::observable::{Observable, ObservableKind as Kind};

use super::{
    Context, ExportError, Key, Listed, Output, Reason,
    value::{is_too_wide, network},
};

/// The sets that values go in, a file each. SHA-1 is no type of set: its file is one for `filesha1`.
pub(super) const DATASETS: [&str; 6] = ["domains", "ips", "md5", "sha1", "sha256", "urls"];

/// The category of reputation unless another is asked for.
const CATEGORY: u8 = 1;

/// The scores that Suricata takes.
const SCORES: std::ops::RangeInclusive<u8> = 1..=127;

/// The score of a value of which nobody states a confidence.
const SCORE: u8 = 60;

/// Where a value stands among the datasets, which have no networks.
pub(super) fn place_in_dataset(value: &Observable) -> Result<Key, Reason> {
    let list = match value.kind {
        Kind::Domain => "domains",
        Kind::Ipv4 | Kind::Ipv6 => "ips",
        Kind::Url => "urls",
        Kind::Md5 => "md5",
        Kind::Sha1 => "sha1",
        Kind::Sha256 => "sha256",
        _ => return Err(Reason::Kind),
    };
    Ok(Key { list, text: value.value.clone() })
}

/// Where a value stands in the reputation list.
pub(super) fn place_in_iprep(value: &Observable) -> Result<Key, Reason> {
    let (address, bits) = network(value).ok_or(Reason::Kind)?;
    if is_too_wide(address, bits) {
        return Err(Reason::Wide);
    }
    Ok(Key { list: "addresses", text: value.value.clone() })
}

/// The name of a set, as rules and the command socket have it.
pub(super) fn set_name(source: &str, list: &str) -> String {
    format!("{source}-{list}")
}

/// The type of a set, for those that the command socket knows.
pub(super) fn set_type(list: &str) -> Option<&'static str> {
    match list {
        "domains" | "urls" => Some("string"),
        "ips" => Some("ip"),
        "md5" => Some("md5"),
        "sha256" => Some("sha256"),
        _ => None,
    }
}

/// A value as a dataset has it.
pub(super) fn data(key: &Key) -> String {
    if set_type(key.list) == Some("string") { STANDARD.encode(&key.text) } else { key.text.clone() }
}

/// Writes a file for each set, empty ones too: a rule that loads one must find it.
pub(super) fn write_datasets(listed: &Listed, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    let source = context.source();
    for list in DATASETS {
        out.begin(&format!("{}.lst", set_name(&source, list)))?;
        for key in listed.keys().filter(|key| key.list == list) {
            out.text(&(data(key) + "\n"))?;
        }
    }
    Ok(())
}

/// Writes the list and the categories.
pub(super) fn write_iprep(listed: &Listed, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    let (source, category) = (context.source(), context.query.category.unwrap_or(CATEGORY));
    out.begin("categories.txt")?;
    out.text(&format!("{category},{source},Shared by CERTs with Mithaq\n"))?;
    out.begin(&format!("{source}.list"))?;
    let mut line = String::new();
    for (key, word) in listed {
        let score = word.confidence.unwrap_or(SCORE).clamp(*SCORES.start(), *SCORES.end());
        line.clear();
        // INVARIANT: writing to a string does not fail.
        let _ = writeln!(line, "{},{category},{score}", key.text);
        out.text(&line)?;
    }
    Ok(())
}

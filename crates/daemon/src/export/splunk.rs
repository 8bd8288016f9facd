//! The threat lists of Splunk Enterprise Security: four files of comma-separated values, each with its own columns.
//!
//! A lookup matches a cell as it stands. Domains may begin with a hyphen and have nothing else that a formula could be made
//! of, so that they alone are not guarded against spreadsheets.

use mithaq_core::stix::observable::{Observable, ObservableKind as Kind};

use super::{
    Context, ExportError, Key, Listed, Output, Reason,
    csv::{begin, guarded, row},
    value::Word,
};

/// A list, its file, and its columns.
const LISTS: [(&str, &str, &[&str]); 4] = [
    ("ip", "ip_intel.csv", &["description", "ip", "weight"]),
    ("domain", "domain_intel.csv", &["description", "domain", "weight"]),
    ("url", "http_intel.csv", &["description", "http_referrer", "http_user_agent", "url", "weight"]),
    ("file", "file_intel.csv", &["description", "file_hash", "file_name", "weight"]),
];

/// The list of names of files, which stand in one file with their hashes.
const NAMES: &str = "file name";

/// The weight of a value of which nobody states a confidence, as Splunk has it by default.
const WEIGHT: u8 = 60;

/// Where a value stands.
pub(super) fn place(value: &Observable) -> Result<Key, Reason> {
    let list = match value.kind {
        Kind::Ipv4 | Kind::Ipv6 | Kind::Ipv4Cidr | Kind::Ipv6Cidr => "ip",
        Kind::Domain => "domain",
        Kind::Url => "url",
        Kind::Md5 | Kind::Sha1 | Kind::Sha256 | Kind::Sha512 => "file",
        Kind::FileName => NAMES,
        _ => return Err(Reason::Kind),
    };
    Ok(Key { list, text: value.value.clone() })
}

/// Writes the four files, empty ones too.
pub(super) fn write(listed: &Listed, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    for (list, file, columns) in LISTS {
        begin(file, context, out)?;
        row(columns, out)?;
        let is_in = |key: &Key| key.list == list || (list == "file" && key.list == NAMES);
        for (key, word) in listed.iter().filter(|(key, _)| is_in(key)) {
            let description = guarded(&context.names.describe(word));
            let value = if key.list == "domain" { key.text.clone() } else { guarded(&key.text) };
            let weight = weight(word);
            match key.list {
                "url" => row(&[&description, "", "", &value, &weight], out)?,
                NAMES => row(&[&description, "", &value, &weight], out)?,
                "file" => row(&[&description, &value, "", &weight], out)?,
                _ => row(&[&description, &value, &weight], out)?,
            }
        }
    }
    Ok(())
}

fn weight(word: &Word) -> String {
    word.confidence.unwrap_or(WEIGHT).clamp(1, 100).to_string()
}

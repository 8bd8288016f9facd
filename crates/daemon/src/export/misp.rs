//! A feed of MISP: `manifest.json` and a file for each event, always whole.
//!
//! An event is what one CERT was the first to publish in one month at one level, so that events keep their ids, have a size
//! that can be handled, and an event has one marking. Ids are made of these, in whatever order things came: the same value
//! in the same event is the same attribute in every export, and who pulls the feed again changes what changed. What is gone
//! is absent.

use std::collections::BTreeMap;

use mithaq_core::{
    id::CertId,
    stix::observable::{Observable, ObservableKind as Kind},
};
use serde::Serialize;
use serde_json::json;

use super::{Context, ExportError, Key, Listed, Output, Reason, uuid, value::Word};

/// What attributes of a type are filed under.
const CATEGORIES: [(&str, &str); 20] = [
    ("AS", "Network activity"),
    ("domain", "Network activity"),
    ("email", "Network activity"),
    ("filename", "Payload delivery"),
    ("ip-dst", "Network activity"),
    ("mac-address", "Network activity"),
    ("md5", "Payload delivery"),
    ("mutex", "Artifacts dropped"),
    ("regkey", "Persistence mechanism"),
    ("sha1", "Payload delivery"),
    ("sha256", "Payload delivery"),
    ("sha3-256", "Payload delivery"),
    ("sha3-512", "Payload delivery"),
    ("sha512", "Payload delivery"),
    ("ssdeep", "Payload delivery"),
    ("tlsh", "Payload delivery"),
    ("url", "Network activity"),
    ("x509-fingerprint-md5", "Network activity"),
    ("x509-fingerprint-sha1", "Network activity"),
    ("x509-fingerprint-sha256", "Network activity"),
];

/// Where a value stands: the type of its attribute.
pub(super) fn place(value: &Observable) -> Result<Key, Reason> {
    let list = match value.kind {
        Kind::Ipv4 | Kind::Ipv6 | Kind::Ipv4Cidr | Kind::Ipv6Cidr => "ip-dst",
        Kind::Domain => "domain",
        Kind::Url => "url",
        Kind::Email => "email",
        Kind::Md5 => "md5",
        Kind::Sha1 => "sha1",
        Kind::Sha256 => "sha256",
        Kind::Sha512 => "sha512",
        Kind::Sha3_256 => "sha3-256",
        Kind::Sha3_512 => "sha3-512",
        Kind::Ssdeep => "ssdeep",
        Kind::Tlsh => "tlsh",
        Kind::CertificateMd5 => "x509-fingerprint-md5",
        Kind::CertificateSha1 => "x509-fingerprint-sha1",
        Kind::CertificateSha256 => "x509-fingerprint-sha256",
        Kind::Mac => "mac-address",
        Kind::Asn => "AS",
        Kind::Mutex => "mutex",
        Kind::FileName => "filename",
        Kind::RegistryKey => "regkey",
        _ => return Err(Reason::Kind),
    };
    Ok(Key { list, text: value.value.clone() })
}

/// What the values of an event have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Theme {
    origin: CertId,
    /// `YYYY-MM`.
    month: String,
    tlp: &'static str,
}

impl Theme {
    fn of(word: &Word) -> Self {
        let month = word.earliest.to_string().get(..7).unwrap_or_default().to_owned();
        Self { origin: word.first, month, tlp: word.tlp.as_str() }
    }

    fn uuid(&self, source: &str) -> String {
        uuid::of("event", &format!("{source}\0{}\0{}\0{}", self.origin, self.month, self.tlp))
    }
}

#[derive(Serialize)]
struct Attribute<'a> {
    uuid: String,
    r#type: &'a str,
    category: &'a str,
    value: &'a str,
    to_ids: bool,
    timestamp: String,
    comment: String,
    disable_correlation: bool,
    deleted: bool,
}

/// Writes the events, and the manifest behind them: what it names is there.
pub(super) fn write(listed: &Listed, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    let mut themes: BTreeMap<Theme, Vec<(&Key, &Word)>> = BTreeMap::new();
    for (key, word) in listed {
        themes.entry(Theme::of(word)).or_default().push((key, word));
    }
    let mut manifest = serde_json::Map::new();
    for (theme, attributes) in &themes {
        let uuid = theme.uuid(&context.source());
        let head = head(theme, context);
        out.begin(&format!("{uuid}.json"))?;
        write_event(&uuid, &head, attributes, context, out)?;
        manifest.insert(uuid, head);
    }
    out.begin("manifest.json")?;
    out.text(&serde_json::Value::Object(manifest).to_string())
}

/// What manifest and event both say. The time is that of the export: an event that has lost an attribute is read again.
fn head(theme: &Theme, context: &Context) -> serde_json::Value {
    let orgc = json!({ "name": context.source(), "uuid": uuid::of("orgc", &context.source()) });
    let (origin, level) = (context.names.of_cert(theme.origin), theme.tlp.to_uppercase());
    json!({
        "Orgc": orgc,
        "Tag": [{ "name": format!("tlp:{}", theme.tlp), "colour": colour(theme.tlp) }],
        "info": format!("Indicators shared by {origin} in {}, TLP:{level}", theme.month),
        "date": format!("{}-01", theme.month),
        "analysis": "2",
        "threat_level_id": "4",
        "timestamp": context.serial.to_string(),
    })
}

/// The colour of a level (TLP 2.0); both ambers have one.
fn colour(tlp: &str) -> &'static str {
    match tlp {
        "clear" => "#ffffff",
        "green" => "#33ff00",
        "red" => "#ff2b2b",
        _ => "#ffc000",
    }
}

fn seconds(word: &Word) -> i64 {
    word.newest.as_micros() / 1_000_000
}

fn write_event(
    uuid: &str,
    head: &serde_json::Value,
    attributes: &[(&Key, &Word)],
    context: &Context,
    out: &mut dyn Output,
) -> Result<(), ExportError> {
    let mut event = head.clone();
    event["uuid"] = uuid.into();
    event["published"] = true.into();
    event["publish_timestamp"] = head["timestamp"].clone();
    let text = event.to_string();
    // The object stays open for its attributes, which are written one by one.
    out.text(&format!("{{\"Event\":{},\"Attribute\":[", text.strip_suffix('}').unwrap_or(&text)))?;
    for (number, (key, word)) in attributes.iter().enumerate() {
        let attribute = Attribute {
            uuid: uuid::of("attribute", &format!("{uuid}\0{}\0{}", key.list, key.text)),
            r#type: key.list,
            category: CATEGORIES.iter().find(|(name, _)| *name == key.list).map_or("Other", |(_, category)| category),
            value: &key.text,
            to_ids: true,
            timestamp: seconds(word).to_string(),
            comment: context.names.describe(word),
            disable_correlation: false,
            deleted: false,
        };
        // INVARIANT: strings and flags always serialise.
        let attribute = serde_json::to_string(&attribute).unwrap_or_default();
        out.text(if number == 0 { "\n" } else { ",\n" })?;
        out.text(&attribute)?;
    }
    out.text("\n]}}\n")
}

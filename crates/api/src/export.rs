//! Exports: the formats that products read, and the lines in which the daemon gives one on the control socket.
//!
//! `GET /v1/export` with an [`ExportQuery`] answers with lines of [`ExportLine`]: files, the pieces of their text, and
//! last what was exported. `POST` does the same with the state of the export before as body, so that the format can say
//! what is gone since. Only an answer whose last line is a summary is whole.

use std::{collections::BTreeMap, fmt, str::FromStr};

use mithaq_core::stix::marking::Tlp;
use serde::{Deserialize, Serialize};

use crate::{config::COLLECTION_DEFAULT, http::Problem};

/// The most values that are exported at once, and the most objects that they are gathered from. Each takes about 300
/// bytes of memory while an export is made.
pub const EXPORT_VALUES_MAX: usize = 1_000_000;

/// The most bytes of a state that is taken.
pub const EXPORT_STATE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The highest number of a reputation category that Suricata takes.
pub const CATEGORY_MAX: u8 = 60;

/// The longest name of a response policy zone, in characters: the names below it need the rest of the 255.
pub const ZONE_BYTES_MAX: usize = 64;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExportFormat {
    /// Datasets of Suricata, a file for each type.
    SuricataDataset,
    /// Address reputation of Suricata.
    SuricataIprep,
    /// A file of Zeek's intelligence framework.
    ZeekIntel,
    /// A response policy zone of DNS.
    Rpz,
    /// Lists of Wazuh, a file for each type.
    WazuhCdb,
    /// Comma-separated values.
    Csv,
    /// The four threat lists of Splunk Enterprise Security.
    SplunkCsv,
    /// A feed of MISP: a manifest and a file for each event.
    MispFeed,
    /// One STIX 2.1 bundle.
    StixBundle,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::SuricataDataset,
        Self::SuricataIprep,
        Self::ZeekIntel,
        Self::Rpz,
        Self::WazuhCdb,
        Self::Csv,
        Self::SplunkCsv,
        Self::MispFeed,
        Self::StixBundle,
    ];

    /// The format's name in configuration and commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SuricataDataset => "suricata-dataset",
            Self::SuricataIprep => "suricata-iprep",
            Self::ZeekIntel => "zeek-intel",
            Self::Rpz => "rpz",
            Self::WazuhCdb => "wazuh-cdb",
            Self::Csv => "csv",
            Self::SplunkCsv => "splunk-csv",
            Self::MispFeed => "misp-feed",
            Self::StixBundle => "stix-bundle",
        }
    }

    /// Whether the format says what is gone, and so needs the state of the export before; with the others, what is absent
    /// is gone.
    #[must_use]
    pub const fn tells_removals(self) -> bool {
        matches!(self, Self::ZeekIntel | Self::SuricataDataset)
    }

    /// Whether it is a folder of files, and not one file.
    #[must_use]
    pub const fn is_folder(self) -> bool {
        match self {
            Self::SuricataDataset | Self::SuricataIprep | Self::WazuhCdb | Self::SplunkCsv | Self::MispFeed => true,
            Self::ZeekIntel | Self::Rpz | Self::Csv | Self::StixBundle => false,
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no format of exports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a format of exports, such as csv, zeek-intel or rpz")]
pub struct NoFormat(());

impl FromStr for ExportFormat {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, NoFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or(NoFormat(()))
    }
}

/// Query of `/v1/export`: what is exported, and what the format is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// The format.
    pub format: ExportFormat,
    /// The collection, `default` unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The strictest TLP level, if stricter levels of the collection stay out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tlp_max: Option<String>,
    /// Whether observable objects go in beside what indicators look for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observables: bool,
    /// Whether a file of comma-separated values begins with a byte order mark.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bom: bool,
    /// The name of the response policy zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The number of the reputation category, 1 to 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<u8>,
}

impl ExportQuery {
    /// An export of the default collection, as the format has it by default.
    #[must_use]
    pub fn new(format: ExportFormat) -> Self {
        Self { format, collection: None, tlp_max: None, observables: false, bom: false, zone: None, category: None }
    }

    /// Whether every option is of the format and has a value that it can have.
    ///
    /// # Errors
    /// When one is not: what is wrong, for people.
    pub fn check(&self) -> Result<(), String> {
        let is_csv = matches!(self.format, ExportFormat::Csv | ExportFormat::SplunkCsv);
        if self.bom && !is_csv {
            return Err("bom is for csv and splunk-csv alone".into());
        }
        if self.zone.is_some() && self.format != ExportFormat::Rpz {
            return Err("zone is for rpz alone".into());
        }
        if self.category.is_some() && self.format != ExportFormat::SuricataIprep {
            return Err("category is for suricata-iprep alone".into());
        }
        if !self.category.is_none_or(|category| (1..=CATEGORY_MAX).contains(&category)) {
            return Err(format!("category is a number from 1 to {CATEGORY_MAX}"));
        }
        if !self.zone.as_deref().is_none_or(is_zone) {
            return Err(format!("zone is a domain name such as rpz.mithaq, of at most {ZONE_BYTES_MAX} characters"));
        }
        self.tlp_max().map(drop)
    }

    /// The strictest TLP level that goes in, if it is limited further than the collection is.
    ///
    /// # Errors
    /// When the text names no level.
    pub fn tlp_max(&self) -> Result<Option<Tlp>, String> {
        let parse = |text: &str| text.parse().map_err(|error| format!("tlp_max: {error}"));
        self.tlp_max.as_deref().map(parse).transpose()
    }

    /// The name of the collection.
    #[must_use]
    pub fn collection(&self) -> &str {
        self.collection.as_deref().unwrap_or(COLLECTION_DEFAULT)
    }
}

/// A line of the answer to an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportLine {
    /// A file begins; of a format that is one file, the file.
    File(String),
    /// The state begins, which is to be given to the next export.
    State,
    /// A piece of what was begun last.
    Text(String),
    /// The last line, if all is there.
    Summary(ExportSummary),
    /// The last line, if the export failed on the way: what came is to be thrown away.
    Problem(Problem),
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSummary {
    /// The format.
    pub format: ExportFormat,
    /// The collection.
    pub collection: String,
    /// Values, or objects of a bundle.
    pub values: u64,
    /// Values that the export before had and this one has not, if the format says what is gone.
    pub removed: u64,
    /// What was left out, by reason.
    #[serde(default)]
    pub left_out: BTreeMap<String, u64>,
    /// Values that are addresses of private or special networks.
    pub special: u64,
    /// What was known of the export before.
    pub before: Before,
}

/// What was known of the export before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Before {
    /// Nothing: this is a full snapshot, and nothing is said to be gone.
    Nothing,
    /// A state that cannot be read, or is of another format or collection; as nothing.
    Unusable,
    /// Its state.
    Known,
}

/// How an export that the configuration has made again and again fares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The format.
    pub format: ExportFormat,
    /// `waiting` for its first turn, `ok` or `failing`.
    pub state: String,
    /// When it was last made or found unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok_at: Option<mithaq_core::time::Time>,
    /// What was exported then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ExportSummary>,
    /// How the command behind it ended: its exit status, -1 for a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_status: Option<i32>,
    /// How often it was written since the daemon started.
    pub written: u64,
    /// How often it failed since the daemon started.
    pub failures: u64,
    /// Why it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Whether a text is the name of a zone: labels of letters, digits and hyphens, without a final dot.
fn is_zone(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_plain);
    text.len() <= ZONE_BYTES_MAX && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_one_name_everywhere() {
        for format in ExportFormat::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
    }

    #[test]
    fn options_belong_to_formats() {
        let check = |change: fn(&mut ExportQuery), format, expect: Result<(), &str>| {
            let mut query = ExportQuery::new(format);
            change(&mut query);
            let told = query.check();
            match expect {
                Ok(()) => assert_eq!(told, Ok(())),
                Err(part) => assert!(told.clone().unwrap_err().contains(part), "{told:?}"),
            }
        };
        check(|query| query.zone = Some("rpz.mithaq".into()), ExportFormat::Rpz, Ok(()));
        check(|query| query.zone = Some("rpz.mithaq".into()), ExportFormat::Csv, Err("rpz alone"));
        for zone in ["", ".", "a..b", "a.", "rpz mithaq", "$ORIGIN", "a\nb", "Ü"] {
            let query = ExportQuery { zone: Some(zone.into()), ..ExportQuery::new(ExportFormat::Rpz) };
            assert!(query.check().unwrap_err().contains("domain name"), "{zone:?}");
        }
        check(|query| query.bom = true, ExportFormat::SplunkCsv, Ok(()));
        check(|query| query.bom = true, ExportFormat::ZeekIntel, Err("csv"));
        check(|query| query.category = Some(60), ExportFormat::SuricataIprep, Ok(()));
        check(|query| query.category = Some(0), ExportFormat::SuricataIprep, Err("1 to 60"));
        check(|query| query.category = Some(61), ExportFormat::SuricataIprep, Err("1 to 60"));
        check(|query| query.tlp_max = Some("purple".into()), ExportFormat::Csv, Err("tlp_max"));
    }

    #[test]
    fn lines_are_told_apart() {
        let line = |line: &ExportLine| serde_json::to_string(line).unwrap();
        assert_eq!(line(&ExportLine::File("a".into())), r#"{"file":"a"}"#);
        assert_eq!(line(&ExportLine::State), r#""state""#);
        assert_eq!(line(&ExportLine::Text("a\n".into())), r#"{"text":"a\n"}"#);
    }
}

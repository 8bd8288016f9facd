//! The daemon's configuration: `mithaq.toml` in the home, every key of which `config/mithaq.toml` documents.

mod collection;
mod export;
mod link;
mod warning_lists;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use collection::{
    COLLECTION_DEFAULT, COLLECTIONS_MAX, CORROBORATION_MAX, Collection, CollectionName, is_collection_name,
};
pub use export::{Export, OnTurn, RUN_TIMEOUT_DEFAULT, TURN_MAX, TURN_MIN};
pub use link::{Link, NoRate, RATE_MAX, RATE_MIN, ROUND_TRIP_MAX, Rate};
use mithaq_core::{
    label::{Category, tlp_text},
    stix::marking::Tlp,
};
use serde::Deserialize;
pub use warning_lists::{WarningLists, WarningMode};

use crate::tokens::TOKEN_FILE_DEFAULT;

/// The UDP port on which daemons listen unless told otherwise.
pub const PORT_DEFAULT: u16 = 8770;

/// The configuration, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where peers reach this daemon.
    pub listen: Listen,
    /// Where local programs reach it.
    pub sockets: Sockets,
    /// What SIEMs may read.
    pub siem: Siem,
    /// What some of them may read beside, by name.
    #[serde(deserialize_with = "collection::tables")]
    pub collection: BTreeMap<CollectionName, Collection>,
    /// What our own operator lets out.
    pub policy: Policy,
    /// What is known of the links to peers, by their names here.
    pub link: BTreeMap<String, Link>,
    /// What is exported again and again, by names of our own.
    pub export: BTreeMap<String, Export>,
    /// What pushes are looked up in.
    pub warning_lists: WarningLists,
    /// Where objects are kept.
    pub store: Store,
    /// What is logged and how.
    pub log: Log,
}

/// `[listen]`: where peers reach this daemon.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// The UDP address for QUIC.
    pub address: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self { address: SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, PORT_DEFAULT)) }
    }
}

/// `[sockets]`: where local programs reach the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sockets {
    /// The folder of the sockets, relative to the home.
    pub dir: PathBuf,
}

impl Default for Sockets {
    fn default() -> Self {
        Self { dir: "run".into() }
    }
}

/// `[siem]`: what SIEMs may read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Siem {
    /// The strictest TLP level that the default collection shows.
    #[serde(with = "tlp_text")]
    pub tlp_max: Tlp,
    /// The optional TCP listener.
    pub tcp: Option<SiemTcp>,
}

impl Default for Siem {
    fn default() -> Self {
        Self { tlp_max: Tlp::AmberStrict, tcp: None }
    }
}

/// `[siem.tcp]`: a listener for SIEMs that cannot read a unix socket. Loopback addresses only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiemTcp {
    /// The address, such as `127.0.0.1:8771`.
    #[serde(deserialize_with = "loopback")]
    pub listen: SocketAddr,
    /// The file that holds the tokens, relative to the home.
    #[serde(default = "token_file")]
    pub token_file: PathBuf,
}

fn token_file() -> PathBuf {
    TOKEN_FILE_DEFAULT.into()
}

fn loopback<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let address = SocketAddr::deserialize(deserializer)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(serde::de::Error::custom(format_args!("{address} is not a loopback address such as 127.0.0.1:8771")))
    }
}

/// `[policy]`: what our own operator lets out, whatever agreements say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The strictest TLP level that leaves to any peer.
    #[serde(with = "tlp_text")]
    pub tlp_max: Tlp,
    /// The level of objects that are pushed without one.
    #[serde(with = "tlp_text")]
    pub tlp_default: Tlp,
    /// The categories that leave to any peer; `None` for all that agreements list.
    pub categories: Option<BTreeSet<Category>>,
    /// Whether what third CERTs released is passed on, where they and the agreements let it.
    pub onward: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { tlp_max: Tlp::AmberStrict, tlp_default: Tlp::Amber, categories: None, onward: true }
    }
}

/// `[store]`: where objects are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The folder, relative to the home.
    pub dir: PathBuf,
    /// Below this much free disk space, in MiB, pushes are refused with an error that may be retried, and peers wait.
    pub free_mib_min: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { dir: "store".into(), free_mib_min: 64 }
    }
}

/// `[log]`: what is logged and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How lines are written.
    pub format: LogFormat,
    /// A level, or directives such as `info,mithaq_daemon=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key or value is not understood.
    #[error("{path}, line {line}, key {key}: {problem}")]
    Key {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key as it stands there.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Config {
    /// Reads and checks the configuration file.
    ///
    /// # Errors
    /// Names file, line and key of the first thing that is not understood.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a configuration; `path` is for messages.
    ///
    /// # Errors
    /// Names file, line and key of the first thing that is not understood.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).and_then(export::check_names).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..offset].matches('\n').count() + 1;
            ConfigError::Key {
                path: path.to_owned(),
                line,
                key: key_at(text, line),
                problem: error.message().replace('\n', " "),
            }
        })
    }
}

/// The key that stands at a line, with the table that it is in.
fn key_at(text: &str, line: usize) -> String {
    let mut table = "";
    for (number, row) in text.lines().enumerate() {
        let row = row.trim();
        if row.starts_with('[') {
            table = row.trim_matches(|c| matches!(c, '[' | ']'));
        }
        if number + 1 == line {
            let key = row.split('=').next().unwrap_or(row).trim();
            return match (row.starts_with('['), table) {
                (true, _) => format!("[{table}]"),
                (false, "") => key.to_owned(),
                (false, _) => format!("{table}.{key}"),
            };
        }
    }
    table.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let error = Config::parse(text, Path::new("mithaq.toml")).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{error}");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = Config::parse("", Path::new("x")).unwrap();
        assert_eq!(config.listen.address.port(), PORT_DEFAULT);
        assert_eq!(config.policy.tlp_default, Tlp::Amber);
    }

    #[test]
    fn links_go_by_the_names_of_peers() {
        let text = "[link.cn]\nrate = \"10Mbit/s\"\nround_trip = \"600ms\"\n[link.\"qa-2\"]\nrate = \"256kbit/s\"\n";
        let config = Config::parse(text, Path::new("x")).unwrap();
        assert_eq!(config.link["cn"].round_trip, Some(std::time::Duration::from_millis(600)));
        assert_eq!(config.link["qa-2"].rate.bits_per_second(), 256_000);
    }

    #[test]
    fn collections_go_by_their_names() {
        let text = "[collection.banks]\ntlp_max = \"green\"\ntypes = [\"url\", \"file-md5\"]\ncorroboration_min = 2\n";
        let config = Config::parse(text, Path::new("x")).unwrap();
        let (name, banks) = config.collection.first_key_value().unwrap();
        assert_eq!((name.as_str(), banks.tlp_max, banks.corroboration_min), ("banks", Tlp::Green, 2));
        assert_eq!(banks.types.as_ref().map(BTreeSet::len), Some(2));
        check("[collection.default]\n", "mithaq.toml, line 1, key [collection.default]: the collection `default` is");
        check("[collection.UP]\n", "mithaq.toml, line 1, key [collection.UP]: a collection's name has");
        let types = "[collection.a]\ntypes = [\"ip\"]\n";
        check(types, "mithaq.toml, line 2, key collection.a.types: \"ip\" is no observable type; known are ipv4-addr");
        check("[collection.a]\ncorroboration_min = 0\n", "mithaq.toml, line 2, key collection.a.corroboration_min: 0");
    }

    #[test]
    fn errors_name_file_line_and_key() {
        check("[log]\n\nfornat = \"json\"\n", "mithaq.toml, line 3, key log.fornat: unknown field");
        check("[listen]\naddress = \"nowhere\"\n", "mithaq.toml, line 2, key listen.address: ");
        check("[policy]\ncategories = [\"purple\"]\n", "mithaq.toml, line 2, key policy.categories: unknown variant");
        check("[policy]\ntlp_max = \"purple\"\n", "mithaq.toml, line 2, key policy.tlp_max: unknown TLP level");
        check("\n[lisen]\n", "mithaq.toml, line 2, key [lisen]: unknown field");
        let tcp = "[siem.tcp]\nlisten = \"0.0.0.0:8771\"\ntoken_file = \"t\"\n";
        check(tcp, "mithaq.toml, line 2, key siem.tcp.listen: 0.0.0.0:8771 is not a loopback address");
        check("[link.cn]\nrate = \"fast\"\n", "mithaq.toml, line 2, key link.cn.rate: not a rate such as");
        check("[link.cn]\nround_trip = \"600ms\"\n", "mithaq.toml, line 1, key [link.cn]: missing field `rate`");
        let trip = "[link.cn]\nrate = \"1Mbit/s\"\nround_trip = \"600\"\n";
        check(trip, "mithaq.toml, line 3, key link.cn.round_trip: not a round trip");
        check("[log\n", "mithaq.toml, line 1, key ");
    }
}

//! `[export.NAME]`: what is exported again and again.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::Config;
use crate::{
    export::{ExportFormat, ExportQuery},
    home::check_peer_name,
};

/// The shortest time between two turns of an export.
pub const TURN_MIN: Duration = Duration::from_secs(1);

/// The longest time between two turns of an export.
pub const TURN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the command behind an export may run unless configured otherwise.
pub const RUN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// How often an export is made unless configured otherwise.
const EVERY_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// An export that the daemon makes again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// What is exported, and as what.
    pub query: ExportQuery,
    /// The file or folder, relative to the home.
    pub output: PathBuf,
    /// When it is made.
    pub turn: OnTurn,
    /// The program that is run behind it, and its arguments; no shell.
    pub run: Option<Vec<String>>,
    /// How long that may run.
    pub run_timeout: Duration,
    /// The command socket of Suricata, to be told what came and went.
    pub command_socket: Option<PathBuf>,
}

/// When an export is made. One that would be as it stands is not written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTurn {
    /// So long after the last time.
    Every(Duration),
    /// When something has changed, and so long after the last time at the earliest.
    Change(Duration),
}

impl OnTurn {
    /// The shortest time between two exports.
    #[must_use]
    pub fn pause(self) -> Duration {
        match self {
            Self::Every(pause) | Self::Change(pause) => pause,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExport {
    format: ExportFormat,
    output: PathBuf,
    #[serde(default)]
    collection: Option<String>,
    #[serde(default)]
    tlp_max: Option<String>,
    #[serde(default)]
    observables: bool,
    #[serde(default)]
    bom: bool,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    category: Option<u8>,
    #[serde(default, deserialize_with = "duration")]
    every: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    on_change: Option<Duration>,
    #[serde(default)]
    run: Option<Vec<String>>,
    #[serde(default, deserialize_with = "duration")]
    run_timeout: Option<Duration>,
    #[serde(default)]
    command_socket: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for Export {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawExport::deserialize(deserializer)?.checked().map_err(de::Error::custom)
    }
}

impl RawExport {
    fn checked(self) -> Result<Export, String> {
        let Self { format, collection, tlp_max, observables, bom, zone, category, .. } = self;
        let query = ExportQuery { format, collection, tlp_max, observables, bom, zone, category };
        query.check()?;
        let turn = match (self.every, self.on_change) {
            (Some(_), Some(_)) => return Err("every and on_change exclude each other".into()),
            (None, Some(pause)) => OnTurn::Change(pause),
            (every, None) => OnTurn::Every(every.unwrap_or(EVERY_DEFAULT)),
        };
        if self.run.as_ref().is_some_and(|run| run.first().is_none_or(String::is_empty)) {
            return Err("run is a program and its arguments, such as [\"suricatasc\", \"-c\", \"reload-rules\"]".into());
        }
        if self.command_socket.is_some() && query.format != ExportFormat::SuricataDataset {
            return Err("command_socket is for suricata-dataset alone".into());
        }
        let run_timeout = self.run_timeout.unwrap_or(RUN_TIMEOUT_DEFAULT);
        let (output, run, command_socket) = (self.output, self.run, self.command_socket);
        Ok(Export { query, output, turn, run, run_timeout, command_socket })
    }
}

/// Names are file names in the home, and no two exports may write over each other.
pub(super) fn check_names(config: Config) -> Result<Config, toml::de::Error> {
    for (name, export) in &config.export {
        if check_peer_name(name).is_err() {
            let message = format!("{name:?} names no export: 1 to 32 of a-z, 0-9 and -");
            return Err(de::Error::custom(message));
        }
        let twin = config.export.iter().find(|(other, twin)| *other < name && twin.output == export.output);
        if let Some((other, _)) = twin {
            return Err(de::Error::custom(format!("the exports {other} and {name} have the same output")));
        }
    }
    Ok(config)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let range = TURN_MIN..=TURN_MAX;
    let problem = || de::Error::custom("not a time such as \"30s\", \"5m\" or \"1h\", from 1s to 24h");
    parse(&text).filter(|time| range.contains(time)).map(Some).ok_or_else(problem)
}

fn parse(text: &str) -> Option<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let (number, seconds) = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = if is_number { number.parse().ok()? } else { return None };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(keys: &str) -> Result<Export, String> {
        let text = format!("[export.x]\n{keys}");
        let config = Config::parse(&text, Path::new("mithaq.toml")).map_err(|error| error.to_string())?;
        Ok(config.export["x"].clone())
    }

    #[test]
    fn an_export_needs_a_format_and_an_output() {
        let export = parse("format = \"zeek-intel\"\noutput = \"intel.dat\"").unwrap();
        assert_eq!(export.query, ExportQuery::new(ExportFormat::ZeekIntel));
        assert_eq!((export.turn, export.run), (OnTurn::Every(EVERY_DEFAULT), None));
        let export = parse("format = \"csv\"\noutput = \"x\"\non_change = \"10s\"").unwrap();
        assert_eq!(export.turn, OnTurn::Change(Duration::from_secs(10)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        let check = |keys: &str, part: &str| {
            let told = parse(&format!("format = \"csv\"\noutput = \"x\"\n{keys}")).unwrap_err();
            assert!(told.starts_with("mithaq.toml, line ") && told.contains(part), "{told}");
        };
        check("every = \"5\"", "not a time");
        check("every = \"0s\"", "not a time");
        check("every = \"25h\"", "not a time");
        check("every = \"+5m\"", "not a time");
        check("every = \"5m\"\non_change = \"5s\"", "exclude each other");
        check("run = []", "run is a program");
        check("run = \"sh -c x\"", "export.x.run");
        check("command_socket = \"x\"", "suricata-dataset alone");
        check("zone = \"x\"", "rpz alone");
        check("shell = true", "unknown field");
        check("[export.\"../x\"]\nformat = \"csv\"\noutput = \"y\"", "names no export");
        check("[export.y]\nformat = \"csv\"\noutput = \"x\"", "the same output");
    }
}

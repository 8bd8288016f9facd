//! What an analyst says of a whole list: by flags, out of a template, or asked for on a terminal.

use std::{collections::BTreeSet, io, path::PathBuf, time::Duration};

use mithaq_api::home::Home;
use mithaq_core::stix::marking::{Tlp, TlpError};
use serde::Deserialize;

use super::Args;
use crate::{
    console::{ATTEMPTS_MAX, Console},
    failure::Failure,
    intake::{Format, Map, date},
};

/// The largest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// Flags that speak of lists, mails, events and tables.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Lists, mails, MISP events and tables")]
pub(crate) struct IntakeArgs {
    /// What the input is; told by what it looks like unless given. STIX 2.0 is brought to 2.1 only if this says stix or auto
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(super) from: Option<Format>,
    /// The columns of a table, such as value=ioc,type=kind; guessed from their names unless given
    #[arg(long, value_name = "FIELD=COLUMN,…")]
    pub(super) map: Option<String>,
    /// A sector that it concerns, such as energy; may be repeated
    #[arg(long = "sector", value_name = "NAME")]
    pub(super) sectors: Vec<String>,
    /// A label for each indicator; may be repeated
    #[arg(long = "label", value_name = "TEXT")]
    pub(super) labels: Vec<String>,
    /// How long indicators are good, such as 12h, 30d or 8w, to the end of that day
    #[arg(long, value_name = "SPAN", value_parser = date::span)]
    pub(super) expires: Option<Duration>,
    /// How sure you are, 0 to 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(super) confidence: Option<u8>,
    /// Take these flags out of HOME/templates/NAME.toml, where they are not given
    #[arg(long, value_name = "NAME", value_parser = template_name)]
    pub(super) template: Option<String>,
    /// Ask nothing on a terminal
    #[arg(long, short)]
    pub(super) yes: bool,
}

impl IntakeArgs {
    /// STIX is sent as it is: whoever says something of all its objects must hear that it is not heard.
    pub(super) fn refuse_for_stix(&self) -> Result<(), Failure> {
        let given = [
            ("--map", self.map.is_some()),
            ("--sector", !self.sectors.is_empty()),
            ("--label", !self.labels.is_empty()),
            ("--expires", self.expires.is_some()),
            ("--confidence", self.confidence.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((what, _)) => {
                let problem = "STIX is sent as it is; this is for lists, mails, MISP events and tables (see --from)";
                Err(Failure::Argument { what, problem: problem.to_owned() })
            }
            None => Ok(()),
        }
    }
}

/// A template: what flags would say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Template {
    from: Option<String>,
    map: Option<String>,
    tlp: Option<String>,
    to: Vec<String>,
    sectors: Vec<String>,
    labels: Vec<String>,
    expires: Option<String>,
    confidence: Option<u8>,
}

/// What is said of all that an input holds.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) format: Option<Format>,
    pub(super) map: Map,
    pub(super) tlp: Option<Tlp>,
    pub(super) to: Vec<String>,
    pub(super) sectors: BTreeSet<String>,
    pub(super) labels: Vec<String>,
    pub(super) expires: Option<Duration>,
    pub(super) confidence: Option<u8>,
}

fn template_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("a template's name has letters, digits, hyphens and underscores".to_owned()),
    }
}

impl Settings {
    /// What flags and template say; flags win.
    pub(super) fn of(args: &Args, home: &Home) -> Result<Self, Failure> {
        let own = &args.intake;
        let template = match &own.template {
            Some(name) => Template::load(name, home)?,
            None => Template::default(),
        };
        let in_template = |what: &'static str| move |problem: String| Failure::Argument { what, problem };
        let or = |own: &[String], other: Vec<String>| if own.is_empty() { other } else { own.to_vec() };
        let format = template.from.map(|text| <Format as clap::ValueEnum>::from_str(&text, true));
        let tlp = template.tlp.map(|text| text.parse().map_err(|error: TlpError| error.to_string()));
        let expires = template
            .expires
            .map(|text| date::span(&text))
            .transpose()
            .map_err(in_template("expires of the template"))?;
        let confidence = own.confidence.or(template.confidence);
        if confidence.is_some_and(|confidence| confidence > 100) {
            let problem = "write a number from 0 to 100".to_owned();
            return Err(Failure::Argument { what: "confidence of the template", problem });
        }
        let map = own.map.clone().or(template.map).map(|text| Map::parse(&text)).transpose();
        Ok(Self {
            format: own.from.or(format.transpose().map_err(in_template("from of the template"))?),
            map: map
                .map_err(|error| Failure::Argument { what: "--map", problem: error.to_string() })?
                .unwrap_or_default(),
            tlp: args.tlp.or(tlp.transpose().map_err(in_template("tlp of the template"))?),
            to: or(&args.to, template.to),
            sectors: or(&own.sectors, template.sectors).into_iter().filter(|text| !text.trim().is_empty()).collect(),
            labels: or(&own.labels, template.labels),
            expires: own.expires.or(expires),
            confidence,
        })
    }

    /// Asks on a terminal for what was not said; false if whoever was asked ended the input instead.
    pub(super) fn ask(&mut self, console: &mut Console) -> Result<bool, Failure> {
        if self.tlp.is_none() {
            let level = |text: &str| text.parse().map_err(|error: TlpError| error.to_string());
            let Some(tlp) = asked(console, "TLP level of what carries none [as configured]:", level)? else {
                return Ok(false);
            };
            self.tlp = tlp;
        }
        if self.sectors.is_empty() {
            let Some(sectors) = asked(console, "Sectors, with commas between [none]:", |text| Ok(list(text)))? else {
                return Ok(false);
            };
            self.sectors = sectors.unwrap_or_default();
        }
        if self.expires.is_none() {
            let Some(expires) = asked(console, "Good for, such as 30d [without end]:", date::span)? else {
                return Ok(false);
            };
            self.expires = expires;
        }
        if self.confidence.is_none() {
            let number = |text: &str| {
                let number = text.parse().ok().filter(|number: &u8| *number <= 100);
                number.ok_or_else(|| "write a number from 0 to 100".to_owned())
            };
            let Some(confidence) = asked(console, "Confidence, 0 to 100 [unsaid]:", number)? else { return Ok(false) };
            self.confidence = confidence;
        }
        Ok(true)
    }
}

/// Texts with commas between.
fn list(text: &str) -> BTreeSet<String> {
    text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// What a person answers: `Some(None)` is an empty answer, `None` the end of the input.
fn asked<T>(
    console: &mut Console,
    prompt: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Option<T>>, Failure> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(answer) = console.ask(prompt)? else { return Ok(None) };
        if answer.is_empty() {
            return Ok(Some(None));
        }
        match read(&answer) {
            Ok(value) => return Ok(Some(Some(value))),
            Err(problem) => console.note(problem)?,
        }
    }
    Err(Failure::Argument { what: "the answer", problem: "was not understood; give the flag instead".to_owned() })
}

impl Template {
    fn load(name: &str, home: &Home) -> Result<Self, Failure> {
        let path: PathBuf = home.dir().join("templates").join(format!("{name}.toml"));
        let failed = |source| Failure::File { action: "read the template", path: path.clone(), source };
        let bytes = crate::input::read_whole(&path, TEMPLATE_BYTES_MAX)?;
        if bytes.len() > TEMPLATE_BYTES_MAX {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        let text =
            String::from_utf8(bytes).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            Failure::Template { path: path.clone(), problem: format!("line {line}: {}", error.message()) }
        })
    }
}

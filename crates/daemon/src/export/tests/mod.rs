//! Exports of a CERT in memory, and what strict readers of each format make of hostile values.

mod collection;
mod formats;
mod readers;
mod schedule;

use std::collections::BTreeMap;

use mithaq_api::export::{ExportFormat, ExportQuery};
use mithaq_core::{
    id::CertId,
    stix::{marking::Tlp, observable::Observable},
    time::Time,
};

use super::{
    Content, Context, ExportError, LeftOut, Listed, Output, Prepared, finish, list, lists,
    state::State,
    value::{Names, Word},
};

/// What the clock of every test shows.
const NOW: Time = Time::from_micros(1_790_000_000_000_000);

/// An export that was written, file by file.
#[derive(Debug, Default)]
struct Captured {
    files: BTreeMap<String, String>,
    state: String,
    open: Option<String>,
}

impl Output for Captured {
    fn begin(&mut self, name: &str) -> Result<(), ExportError> {
        assert!(self.files.insert(name.to_owned(), String::new()).is_none(), "{name} was begun twice");
        self.open = Some(name.to_owned());
        Ok(())
    }

    fn begin_state(&mut self) -> Result<(), ExportError> {
        self.open = None;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), ExportError> {
        match &self.open {
            Some(name) => self.files.get_mut(name).unwrap().push_str(text),
            None => self.state.push_str(text),
        }
        Ok(())
    }
}

impl Captured {
    /// The file of a format that is one.
    fn text(&self) -> &str {
        assert_eq!(self.files.len(), 1, "{:?}", self.files.keys());
        self.files.values().next().unwrap()
    }
}

fn word() -> Word {
    let (earliest, first) = (Time::from_micros(0), CertId::from_bytes([0; 32]));
    Word { certs: vec![0, 1], tlp: Tlp::Amber, confidence: Some(80), earliest, newest: NOW, first }
}

/// Prepares an export of these values, after one with that state.
fn prepared(query: &ExportQuery, values: &[Observable], before: Option<&str>, now: Time) -> Prepared {
    let values = values.iter().map(|value| (value.clone(), word())).collect();
    let (mut left_out, mut special) = (LeftOut::default(), 0);
    let listed: Listed = list(values, query, &mut left_out, &mut special);
    let context = Context { query: query.clone(), names: Names::for_test(&["cn", "qa"]), now, serial: 0 };
    let state = before.map(|text| State::parse(text.as_bytes(), query, lists(query.format)));
    finish(context, Content::Values(listed), state, left_out, special, None)
}

impl Prepared {
    /// Writes the values, without a node, which bundles alone ask.
    fn captured(&self) -> Captured {
        let mut out = Captured::default();
        let Content::Values(listed) = &self.content else { panic!("a bundle needs a node") };
        self.write_values(listed, &mut out).unwrap();
        out
    }
}

/// The values as a format writes them.
fn written(format: ExportFormat, values: &[Observable]) -> Captured {
    prepared(&ExportQuery::new(format), values, None, NOW).captured()
}

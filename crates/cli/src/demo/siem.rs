//! What a SIEM reads from a CERT's socket.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use mithaq_api::{
    client::with_query,
    http::{StreamLine, StreamOp, StreamQuery},
};
use mithaq_core::id::{CertId, ContentId};
use serde_json::Value;

use super::certs::Cert;
use crate::object::Headline;

/// How many lines are shown.
const EXAMPLES_MAX: usize = 4;

/// How many kinds of lines are remembered.
const FIRSTS_MAX: usize = 32;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Lines read.
    pub(super) lines: usize,
    /// The contents of all lines.
    pub(super) contents: BTreeSet<ContentId>,
    /// The contents by the CERT that released them.
    pub(super) origins: BTreeMap<CertId, BTreeSet<ContentId>>,
    /// Where to go on.
    pub(super) cursor: Option<String>,
    /// For people, the first line of each kind: indicators by language, then everything else by type.
    firsts: BTreeMap<(bool, String), Vec<String>>,
}

impl Feed {
    /// Reads what there is after `cursor`, from the start if there is none.
    pub(super) async fn read(cert: &Cert, cursor: Option<String>) -> anyhow::Result<Self> {
        let mut feed = Self { cursor, ..Self::default() };
        // An answer may end before the end: only one that has nothing more to say is the last.
        while feed.read_answer(cert).await? > 0 {}
        Ok(feed)
    }

    async fn read_answer(&mut self, cert: &Cert) -> anyhow::Result<usize> {
        let before = self.lines;
        let query = StreamQuery { cursor: self.cursor.clone(), ..StreamQuery::default() };
        let mut lines = cert.siem.lines(&with_query("/v1/stream", &query)?).await?;
        while let Some(line) = lines.next().await? {
            let line = serde_json::from_slice(&line).context("a line of the stream was not understood")?;
            self.take(line);
        }
        Ok(self.lines - before)
    }

    fn take(&mut self, line: StreamLine) {
        if line.op == StreamOp::Expire {
            // It speaks of an object that a line has brought before.
            self.cursor = Some(line.cursor);
            return;
        }
        self.lines += 1;
        self.remember(&line);
        self.contents.insert(line.content);
        self.origins.entry(line.origin).or_default().insert(line.content);
        self.cursor = Some(line.cursor);
    }

    fn remember(&mut self, line: &StreamLine) {
        if self.firsts.len() >= FIRSTS_MAX {
            return;
        }
        let text = line.object.as_ref().map_or("null", |object| object.get());
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        let member = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let is_other = object["type"] != "indicator";
        let kind = if is_other { member("type") } else { member("lang") };
        self.firsts.entry((is_other, kind)).or_insert_with(|| {
            let headline = Headline::of(text);
            vec![format!("TLP:{}", line.tlp.to_uppercase()), headline.kind, headline.text]
        });
    }

    /// A few lines of different kinds.
    pub(super) fn examples(&self) -> Vec<Vec<String>> {
        self.firsts.values().take(EXAMPLES_MAX).cloned().collect()
    }

    /// The contents that a CERT released.
    pub(super) fn of_origin(&self, cert: CertId) -> BTreeSet<ContentId> {
        self.origins.get(&cert).cloned().unwrap_or_default()
    }
}

/// What the comparison of a feed with what was released has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Contents that are there and should not be.
    pub(super) leaked: usize,
    /// Contents that should be there and are not.
    pub(super) missing: usize,
}

impl Comparison {
    /// Compares what is there with what should be.
    pub(super) fn of(found: &BTreeSet<ContentId>, expected: &BTreeSet<ContentId>) -> Self {
        Self { leaked: found.difference(expected).count(), missing: expected.difference(found).count() }
    }

    /// Whether both are the same.
    pub(super) fn is_equal(&self) -> bool {
        self.leaked == 0 && self.missing == 0
    }

    /// What was found, for people.
    pub(super) fn text(&self) -> String {
        format!("{} that should not be there, {} missing", self.leaked, self.missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks_and_gaps_are_told_apart() {
        let contents = |texts: &[&str]| texts.iter().map(|text| ContentId::of(text.as_bytes())).collect();
        let check = |found, expected, leaked, missing| {
            assert_eq!(Comparison::of(&contents(found), &contents(expected)), Comparison { leaked, missing });
        };
        check(&["a", "b"], &["b", "a"], 0, 0);
        check(&["a", "b"], &["a"], 1, 0);
        check(&["a"], &["b", "c"], 1, 2);
        check(&[], &[], 0, 0);
    }
}

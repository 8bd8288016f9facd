//! What of an input does not become STIX: values that are left out, and fields that nothing carries.

use std::collections::BTreeMap;

use super::quoted;

/// How many of the values that were left out are kept, to be shown.
const LEFT_OUT_MAX: usize = 10_000;
/// How many examples of a loss are kept.
const EXAMPLES_MAX: usize = 3;
/// How many different fields are told apart.
const FIELDS_MAX: usize = 256;

/// A value that was found and is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Where it stood.
    pub(crate) place: String,
    /// What stood there.
    pub(crate) found: String,
    /// Why it is left out, and what to do.
    pub(crate) reason: String,
    /// Whether somebody meant it to be sent: it counts as refused.
    pub(crate) refused: bool,
}

/// What a format said that nothing carries.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// How often.
    pub(crate) count: usize,
    /// What stood there, the first few times.
    pub(crate) first: Vec<String>,
}

/// Everything that is lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    left_out: Vec<LeftOut>,
    left_out_count: usize,
    refused: usize,
    fields: BTreeMap<String, Loss>,
}

impl Losses {
    /// A value that cannot be sent though somebody meant it to be.
    pub(crate) fn refuse(&mut self, place: &str, found: &str, reason: impl Into<String>) {
        self.refused += 1;
        self.leave(place, found, reason.into(), true);
    }

    /// A value that is better not sent.
    pub(crate) fn skip(&mut self, place: &str, found: &str, reason: impl Into<String>) {
        self.leave(place, found, reason.into(), false);
    }

    fn leave(&mut self, place: &str, found: &str, reason: String, refused: bool) {
        self.left_out_count += 1;
        if self.left_out.len() < LEFT_OUT_MAX {
            self.left_out.push(LeftOut { place: place.to_owned(), found: quoted(found), reason, refused });
        }
    }

    /// A field whose content nothing carries.
    pub(crate) fn field(&mut self, name: &str, content: &str) {
        let name = quoted(name);
        let has_room = self.fields.len() < FIELDS_MAX || self.fields.contains_key(&name);
        let name = if has_room { name } else { "other fields".to_owned() };
        let loss = self.fields.entry(name).or_default();
        loss.count += 1;
        if loss.first.len() < EXAMPLES_MAX {
            loss.first.push(quoted(content));
        }
    }

    /// What was left out, as far as it was kept.
    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// How much was left out.
    pub(crate) fn left_out_count(&self) -> usize {
        self.left_out_count
    }

    /// How much of that somebody meant to be sent.
    pub(crate) fn refused(&self) -> usize {
        self.refused
    }

    /// The fields that are lost, by their names.
    pub(crate) fn fields(&self) -> &BTreeMap<String, Loss> {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_where_examples_end() {
        let mut losses = Losses::default();
        for number in 0..20_000 {
            losses.field("distribution", "1");
            losses.field(&format!("f{number}"), "x");
            losses.refuse("line 1", "x", "no");
        }
        assert_eq!(losses.fields()["distribution"].count, 20_000);
        assert_eq!(losses.fields()["distribution"].first.len(), EXAMPLES_MAX);
        assert!(losses.fields().len() <= FIELDS_MAX + 1);
        assert_eq!((losses.left_out().len(), losses.left_out_count()), (LEFT_OUT_MAX, 20_000));
        assert_eq!(losses.refused(), 20_000);
    }
}

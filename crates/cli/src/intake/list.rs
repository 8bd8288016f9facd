//! What an input comes to: drafts, each once, and what is lost.

use std::collections::HashMap;

use super::{DRAFTS_MAX, Draft, Losses};

/// How many bytes drafts may have together: tags of an event are said of each of its attributes.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// What an input comes to.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    drafts: Vec<Draft>,
    numbers: HashMap<String, usize>,
    /// Objects that are STIX 2.1 as they are, or were brought to it.
    pub(crate) objects: Vec<Vec<u8>>,
    /// What is lost.
    pub(crate) losses: Losses,
    bytes: usize,
    is_full: bool,
}

impl Intake {
    /// Takes a draft and tells its number; what was said before is said once, with all that is said of it.
    ///
    /// `None` when the input says more than a push takes.
    pub(crate) fn take(&mut self, draft: Draft) -> Option<usize> {
        if let Some(number) = self.numbers.get(&draft.key) {
            self.losses.skip(&draft.place, &draft.found, format!("stands at {} too", self.drafts[*number].place));
            self.drafts[*number].says.join(draft.says);
            return Some(*number);
        }
        self.bytes = self.bytes.saturating_add(draft.bytes());
        if self.drafts.len() >= DRAFTS_MAX || self.bytes > BYTES_MAX {
            self.is_full = true;
            return None;
        }
        let number = self.drafts.len();
        self.numbers.insert(draft.key.clone(), number);
        self.drafts.push(draft);
        Some(number)
    }

    /// The drafts.
    pub(crate) fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    /// The drafts, to be completed by what a person says of all.
    pub(crate) fn drafts_mut(&mut self) -> &mut [Draft] {
        &mut self.drafts
    }

    /// Whether there was more than a push takes.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.objects.is_empty()
    }
}

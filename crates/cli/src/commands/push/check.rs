//! What the standard has against the objects of a push: shown to whoever pushes, and in nobody's way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mithaq_core::{
    code::Code,
    stix::{
        bundle::report::{Report, Reports},
        validate::Finding,
    },
};
use serde::Serialize;

use crate::{console::Console, failure::Failure};

/// How many objects are looked at: it takes a third of the time of pushing them, so a larger push is not held up for long.
const LOOKED_AT_MAX: usize = 10_000;

/// How many findings are shown.
const SHOWN_MAX: usize = 5;

/// How many findings are remembered, since those of objects that are refused are not shown.
const HELD_MAX: usize = 1_000;

/// Looks at an input while it is sent. Whoever reads the input and whoever reads the answer share it.
#[derive(Clone, Default)]
pub(super) struct Check(Arc<Mutex<State>>);

struct State {
    /// Nothing once enough was looked at.
    reports: Option<Reports>,
    looked_at: usize,
    /// How much there is against each object, by its index.
    counts: Vec<u32>,
    held: Vec<Held>,
}

/// A finding that may be shown.
struct Held {
    index: usize,
    id: String,
    finding: Finding,
}

/// What is told to programs.
#[derive(Serialize)]
pub(super) struct Counts {
    /// How much the standard has against what was looked at and not refused.
    warnings: u64,
    /// How many objects were looked at.
    looked_at: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { reports: Some(Reports::default()), looked_at: 0, counts: Vec::new(), held: Vec::new() }
    }
}

impl Check {
    /// Looks at nothing: what this program made needs no check, and its ids are of version 5 on purpose.
    pub(super) fn off() -> Self {
        Self(Arc::new(Mutex::new(State { reports: None, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the next chunk of the input; an empty one is its end.
    pub(super) fn read(&self, chunk: &[u8]) {
        let mut state = self.state();
        let Some(mut reports) = state.reports.take() else { return };
        reports.feed(chunk);
        if chunk.is_empty() {
            reports.end();
        }
        while let Some(report) = reports.next_report() {
            if report.index.is_some_and(|index| index >= LOOKED_AT_MAX) {
                return;
            }
            state.take(report);
        }
        state.reports = Some(reports);
    }

    /// The object was refused, and why was said.
    pub(super) fn forget(&self, index: usize) {
        let mut state = self.state();
        if let Some(count) = state.counts.get_mut(index) {
            *count = 0;
        }
        state.held.retain(|held| held.index != index);
    }

    /// How much there is to say.
    pub(super) fn counts(&self) -> Counts {
        let state = self.state();
        Counts { warnings: state.counts.iter().map(|count| u64::from(*count)).sum(), looked_at: state.looked_at }
    }

    /// Shows people how much that is, and the first of it.
    pub(super) fn print(&self, console: &mut Console) -> Result<(), Failure> {
        let Counts { warnings, looked_at } = self.counts();
        if warnings == 0 {
            return Ok(());
        }
        let state = self.state();
        let objects = state.counts.iter().filter(|count| **count > 0).count();
        let first = if looked_at == LOOKED_AT_MAX { "the first " } else { "" };
        console.note(format_args!(
            "STIX 2.1: {warnings} findings in {objects} of {first}{looked_at} objects, pushed as they are; \
             `mithaq validate FILE` tells all"
        ))?;
        for Held { index, id, finding } in state.held.iter().take(SHOWN_MAX) {
            let Finding { rule, pointer, message, .. } = finding;
            console.note(format_args!("  #{index} {id}  {} {pointer}: {message}", Code::new(rule.code())))?;
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, report: Report) {
        // What cannot be read is refused, and the daemon says why.
        let Some(index) = report.index else { return };
        self.looked_at = self.looked_at.max(index + 1);
        if report.refusal.is_some() || report.findings.is_empty() {
            return;
        }
        self.counts.resize(self.counts.len().max(index + 1), 0);
        self.counts[index] = u32::try_from(report.findings.len()).unwrap_or(u32::MAX);
        let room = HELD_MAX.saturating_sub(self.held.len());
        let id = report.id.unwrap_or_default();
        let held = report.findings.into_iter().take(room).map(|finding| Held { index, id: id.clone(), finding });
        self.held.extend(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &str = r#"{"type":"x-mine","spec_version":"2.1","id":"x-mine--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2024-05-01T00:00:00.000Z","modified":"2024-05-01T00:00:00.000Z"}"#;

    fn look_at(text: &str) -> Check {
        let check = Check::default();
        text.as_bytes().chunks(100).for_each(|chunk| check.read(chunk));
        check.read(b"");
        check
    }

    fn printed(check: &Check) -> String {
        let (mut console, captured) = Console::captured(None);
        check.print(&mut console).unwrap();
        assert_eq!(captured.out(), "");
        captured.err()
    }

    #[test]
    fn findings_of_what_is_taken_are_shown_and_counted() {
        let check = look_at(&format!("12 {MINE} {}", MINE.replace("x-mine", "x-yours")));
        let counts = || (check.counts().warnings, check.counts().looked_at);
        assert_eq!(counts(), (2, 3));
        check.forget(2);
        check.forget(7);
        assert_eq!(counts(), (1, 3));
        let text = printed(&check);
        assert!(text.starts_with("STIX 2.1: 1 findings in 1 of 3 objects, pushed as they are; "), "{text}");
        assert!(text.contains("\n  #1 x-mine--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f  MQ-1206 /type: "), "{text}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn few_findings_are_shown_of_many() {
        let check = look_at(&format!("{MINE}\n").repeat(2_000));
        let text = printed(&check);
        assert!(text.starts_with("STIX 2.1: 2000 findings in 2000 of 2000 objects"), "{text}");
        assert_eq!(text.lines().count(), 1 + SHOWN_MAX);
        assert_eq!(printed(&look_at("")), "");
        let text = printed(&look_at(&format!("{MINE}\n").repeat(LOOKED_AT_MAX + 1)));
        assert!(text.starts_with("STIX 2.1: 10000 findings in 10000 of the first 10000 objects"), "{text}");
    }
}

//! What the release rule announces in a dry run, against which everything that happens is held.

use std::collections::BTreeMap;

use mithaq_api::http::Preview;
use mithaq_core::code::Code;
use serde::Serialize;

/// What is withheld from a peer for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Withheld {
    /// The peer.
    pub(super) peer: String,
    /// Every step of the rule that withholds: `MQ-2010 TLP ceiling; MQ-2011 TLP:RED`.
    pub(super) reason: String,
    /// How many objects.
    pub(super) objects: usize,
}

/// What is to reach whom.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    released: BTreeMap<String, usize>,
    /// What is to reach nobody, by peer and reason.
    pub(super) withheld: Vec<Withheld>,
}

impl Expectation {
    /// Sums up the rows of a dry run.
    pub(super) fn of(rows: &[Preview]) -> Self {
        let mut released = BTreeMap::new();
        let mut withheld: BTreeMap<(String, String), usize> = BTreeMap::new();
        for row in rows {
            if row.released {
                *released.entry(row.peer.clone()).or_default() += row.objects;
            } else {
                *withheld.entry((row.peer.clone(), reason(row))).or_default() += row.objects;
            }
        }
        let withheld =
            withheld.into_iter().map(|((peer, reason), objects)| Withheld { peer, reason, objects }).collect();
        Self { released, withheld }
    }

    /// How many objects are to reach a peer.
    pub(super) fn released_to(&self, peer: &str) -> usize {
        self.released.get(peer).copied().unwrap_or(0)
    }

    /// How many objects are to be withheld from a peer.
    pub(super) fn withheld_from(&self, peer: &str) -> usize {
        self.withheld.iter().filter(|row| row.peer == peer).map(|row| row.objects).sum()
    }
}

fn reason(row: &Preview) -> String {
    let mut steps: Vec<String> = row.reasons.iter().filter(|step| !step.ok).map(|step| titled(&step.code)).collect();
    steps.dedup();
    steps.join("; ")
}

/// A code with its title.
fn titled(code: &str) -> String {
    let explanation = code.parse::<Code>().ok().and_then(Code::explain);
    explanation.map_or_else(|| code.to_owned(), |explanation| format!("{code} {}", explanation.title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mithaq_api::http::WhyReason;

    fn row(peer: &str, objects: usize, codes: &[Code]) -> Preview {
        let reasons = codes.iter().map(|code| WhyReason { code: code.to_string(), text: String::new(), ok: false });
        Preview {
            peer: peer.into(),
            label: String::new(),
            objects,
            released: codes.is_empty(),
            reasons: reasons.collect(),
        }
    }

    #[test]
    fn rows_are_summed_by_peer_and_reason() {
        let rows = [
            row("cn", 40, &[]),
            row("cn", 2, &[Code::TLP_CEILING]),
            row("cn", 3, &[Code::TLP_CEILING, Code::TLP_RED]),
            row("cn", 4, &[Code::TLP_CEILING]),
            row("qa", 30, &[]),
            row("qa", 10, &[]),
            row("qa", 9, &[Code::COMMUNITY]),
        ];
        let expectation = Expectation::of(&rows);
        assert_eq!((expectation.released_to("cn"), expectation.withheld_from("cn")), (40, 9));
        assert_eq!((expectation.released_to("qa"), expectation.withheld_from("qa")), (40, 9));
        assert_eq!(expectation.released_to("pk"), 0);
        let reasons: Vec<_> =
            expectation.withheld.iter().map(|row| (row.peer.as_str(), row.reason.as_str(), row.objects)).collect();
        assert_eq!(
            reasons,
            [
                ("cn", "MQ-2010 TLP ceiling", 6),
                ("cn", "MQ-2010 TLP ceiling; MQ-2011 TLP:RED", 3),
                ("qa", "MQ-2012 TLP:GREEN and community", 9),
            ]
        );
    }
}

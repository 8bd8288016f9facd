//! Values of which one alone makes a pattern match: what a list of values can say of a pattern.

use super::{Observable, extract};
use crate::pattern::{Comparison, Observation, Pattern};
use std::collections::BTreeSet;

pub(super) fn of_pattern(pattern: &Pattern<'_>) -> Vec<Observable> {
    let mut found = BTreeSet::new();
    of_observation(pattern.root(), &mut found);
    found.into_iter().collect()
}

/// Several observations, one after the other or within limits, are more than one value can tell.
fn of_observation(observation: &Observation<'_>, found: &mut BTreeSet<Observable>) {
    match observation {
        Observation::Comparison(comparison) => of_comparison(comparison, found),
        Observation::Or(any) => any.iter().for_each(|observation| of_observation(observation, found)),
        Observation::And(_) | Observation::FollowedBy(_) | Observation::Qualified { .. } => {}
    }
}

fn of_comparison(comparison: &Comparison<'_>, found: &mut BTreeSet<Observable>) {
    match comparison {
        Comparison::Test(test) => extract::of_test(test, found),
        Comparison::Or(any) => any.iter().for_each(|comparison| of_comparison(comparison, found)),
        Comparison::And(_) | Comparison::Exists { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expect: &[&str]) {
        let pattern = Pattern::parse(pattern).unwrap();
        let found: Vec<_> = Observable::sufficient_for(&pattern).into_iter().map(|found| found.value).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_value_counts_where_it_is_enough() {
        check("[domain-name:value = 'Evil[.]Example']", &["evil.example"]);
        check("[ipv4-addr:value IN ('198.51.100.1','198.51.100.2')]", &["198.51.100.1", "198.51.100.2"]);
        check(
            "[domain-name:value = 'a.example'] OR [url:value = 'http://b.example/']",
            &["a.example", "http://b.example/"],
        );
        check(
            "[domain-name:value = 'a.example' OR (ipv4-addr:value = '198.51.100.1' AND file:size > 3)]",
            &["a.example"],
        );
    }

    #[test]
    fn what_needs_more_than_one_value_gives_none() {
        for pattern in [
            "[domain-name:value = 'a.example' AND ipv4-addr:value = '198.51.100.1']",
            "[domain-name:value = 'a.example'] AND [ipv4-addr:value = '198.51.100.1']",
            "[domain-name:value = 'a.example'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.1']",
            "[domain-name:value = 'a.example'] REPEATS 5 TIMES",
            "[domain-name:value != 'a.example']",
            "[domain-name:value NOT = 'a.example']",
            "[url:value LIKE 'http://%']",
            "[EXISTS domain-name:value]",
        ] {
            check(pattern, &[]);
        }
    }
}

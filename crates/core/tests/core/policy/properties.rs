//! What must hold of every label, agreement, origin and circumstance.

use mithaq_core::{
    agreement::{AgreementTerms, Flow, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm, ThirdParty},
    code::Code,
    consent::ConsentState,
    label::{Category, Confidence, Iep, Label, SECTOR_UNSPECIFIED},
    policy::LocalPolicy,
    release::Kind,
    stix::marking::{Attribution, Pap, PermittedActions, Tlp},
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use std::collections::BTreeSet;

use super::{
    Case, PEER, THIRD, US,
    case::{cert_of, expected},
    codes, group,
};
use crate::cast::{MARKING, flow, now, pact, terms, time};

fn level() -> impl Strategy<Value = Tlp> {
    prop::sample::select(Tlp::ALL.to_vec())
}

fn pap() -> impl Strategy<Value = Pap> {
    prop::sample::select(Pap::ALL.to_vec())
}

fn confidence() -> impl Strategy<Value = Confidence> {
    prop::sample::select(Confidence::ALL.to_vec())
}

fn some<T: Clone + Ord + std::fmt::Debug + 'static>(of: Vec<T>, least: usize) -> impl Strategy<Value = BTreeSet<T>> {
    prop::sample::subsequence(of.clone(), least..=of.len()).prop_map(|chosen| chosen.into_iter().collect())
}

fn sectors(least: usize) -> impl Strategy<Value = BTreeSet<String>> {
    some(["energy", "banking", SECTOR_UNSPECIFIED].map(str::to_owned).to_vec(), least)
}

fn markings() -> impl Strategy<Value = BTreeSet<String>> {
    some(vec![MARKING.to_owned(), "marking-definition--00000000-0000-4000-8000-000000000002".to_owned()], 0)
}

fn policy() -> impl Strategy<Value = Iep> {
    let moment = || {
        let times = ["2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z"].map(time);
        prop::option::weighted(0.3, prop::sample::select(times.to_vec()))
    };
    let actions = prop::sample::select(vec![PermittedActions::None, PermittedActions::ExternallyVisibleDirectActions]);
    let attribution = prop::sample::select(vec![Attribution::May, Attribution::Must, Attribution::MustNot]);
    (level(), moment(), moment(), actions, attribution, any::<bool>()).prop_map(
        |(tlp, start, end, permitted_actions, attribution, unmodified_resale)| Iep {
            tlp,
            start,
            end,
            permitted_actions,
            attribution,
            unmodified_resale,
        },
    )
}

fn label() -> impl Strategy<Value = Label> {
    let marks = (markings(), prop::option::of(pap()), prop::option::weighted(0.3, policy()), any::<bool>());
    (level(), some(Category::ALL.to_vec(), 1), sectors(1), marks, confidence(), any::<bool>()).prop_map(
        |(tlp, categories, sectors, (markings, pap, iep, statements), confidence, personal)| Label {
            tlp,
            categories,
            sectors,
            markings,
            confidence,
            personal,
            pap,
            iep,
            statements,
        },
    )
}

/// A random label hardly ever passes; one with a single category and little else often does.
fn simple_label() -> impl Strategy<Value = Label> {
    let mild = prop_oneof![1 => level(), 2 => prop::sample::select(vec![Tlp::Clear, Tlp::Green])];
    (mild, prop::sample::select(Category::ALL.to_vec()), sectors(1), confidence())
        .prop_map(|(tlp, category, sectors, confidence)| Label { sectors, confidence, ..Label::new(tlp, category) })
}

fn onward() -> impl Strategy<Value = Onward> {
    prop_oneof![
        1 => Just(Onward::Never),
        2 => Just(Onward::Ask),
        6 => Just(Onward::Listed([cert_of(2)].into())),
        1 => Just(Onward::Listed([cert_of(1)].into())),
    ]
}

fn local() -> impl Strategy<Value = LocalPolicy> {
    let categories = prop::option::weighted(0.2, some(Category::ALL.to_vec(), 4));
    let level = prop_oneof![1 => level(), 4 => Just(Tlp::Red)];
    (level, categories, prop::bool::weighted(0.8)).prop_map(|(tlp_max, categories, onward)| LocalPolicy {
        tlp_max,
        categories,
        onward,
    })
}

fn case() -> impl Strategy<Value = Case> {
    let at = prop_oneof![12 => Just(now()), 1 => Just(time("2025-01-01T00:00:00Z")), 1 => Just(time("2027-06-01T00:00:00Z"))];
    let label = prop_oneof![1 => label(), 3 => simple_label()];
    let origin = prop_oneof![3 => Just(1_u8), 1 => Just(2), 4 => Just(3)];
    let consent = prop::sample::select(vec![ConsentState::None, ConsentState::Granted, ConsentState::Denied]);
    let recipients = prop_oneof![
        4 => Just(BTreeSet::new()),
        3 => Just(BTreeSet::from([2_u8])),
        1 => Just(BTreeSet::from([3])),
        1 => Just(BTreeSet::from([2, 3])),
    ];
    let standing = (prop::bool::weighted(0.05), prop::option::weighted(0.05, 1_u8..3), 0_u32..60);
    let onward = (prop::option::weighted(0.8, onward()), prop::bool::weighted(0.1), consent);
    (label, origin, recipients, standing, onward, local(), at).prop_map(
        |(label, origin, recipients, (held, ended, age_days), (origin_says, origin_over, consent), local, at)| Case {
            kind: Kind::Publish,
            label,
            origin,
            recipients,
            disclosed: false,
            held,
            age_days,
            ended,
            origin_says,
            origin_over,
            consent,
            local,
            at,
        },
    )
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let scope = prop_oneof![4 => Just(Scope::Any), 1 => sectors(0).prop_map(Scope::Only)];
    let permission = prop::sample::select(vec![Permission::Deny, Permission::Allow]);
    let personal = prop::sample::select(vec![PersonalData::Deny, PersonalData::Pseudonymise, PersonalData::Allow]);
    let sightings = prop::sample::select(vec![SightingTerm::None, SightingTerm::Count, SightingTerm::Full]);
    let iep = prop::sample::select(vec![IepTerm::Deny, IepTerm::Honour]);
    let least = prop_oneof![4 => Just(Confidence::Unspecified), 1 => confidence()];
    let kinds = (permission, personal, sightings, iep, onward());
    let age = prop::option::weighted(0.3, 1_u32..60);
    let ceiling = prop_oneof![1 => level(), 3 => Just(Tlp::Red)];
    (ceiling, some(Category::ALL.to_vec(), 6), scope, markings(), pap(), age, least, kinds).prop_map(
        |(tlp_max, categories, sectors, markings, pap_max, age_days_max, confidence_min, kinds)| {
            let (statements, personal_data, sightings, iep, onward) = kinds;
            Flow {
                tlp_max,
                categories,
                sectors,
                markings,
                statements,
                pap_max,
                age_days_max,
                confidence_min,
                personal_data,
                sightings,
                iep,
                onward,
                ..flow()
            }
        },
    )
}

fn any_terms() -> impl Strategy<Value = AgreementTerms> {
    let third_party = prop_oneof![1 => Just(ThirdParty::Refuse), 3 => Just(ThirdParty::Accept)];
    (any_flow(), prop::option::weighted(0.7, Just("APCERT".to_owned())), third_party)
        .prop_map(|(flow, community, third_party)| AgreementTerms { flow, community, third_party, ..terms() })
}

fn both(a: &Scope, b: &Scope) -> Scope {
    match (a, b) {
        (Scope::Any, scope) | (scope, Scope::Any) => scope.clone(),
        (Scope::Only(a), Scope::Only(b)) => Scope::Only(a & b),
    }
}

/// The terms that let go only what both let go.
fn narrower(a: &AgreementTerms, b: &AgreementTerms) -> AgreementTerms {
    let (x, y) = (&a.flow, &b.flow);
    let flow = Flow {
        tlp_max: x.tlp_max.min(y.tlp_max),
        categories: &x.categories & &y.categories,
        sectors: both(&x.sectors, &y.sectors),
        markings: &x.markings & &y.markings,
        statements: x.statements.min(y.statements),
        pap_max: x.pap_max.min(y.pap_max),
        age_days_max: x.age_days_max.into_iter().chain(y.age_days_max).min(),
        confidence_min: x.confidence_min.max(y.confidence_min),
        personal_data: x.personal_data.min(y.personal_data),
        sightings: x.sightings.min(y.sightings),
        iep: x.iep.min(y.iep),
        ..x.clone()
    };
    AgreementTerms {
        flow,
        community: a.community.clone().filter(|_| b.community.is_some()),
        third_party: a.third_party.min(b.third_party),
        ..a.clone()
    }
}

/// How narrow a term on passing on is; of those that list, the same list.
fn onward_rank(onward: &Onward) -> u8 {
    match onward {
        Onward::Never => 0,
        Onward::Ask => 1,
        _ => 2,
    }
}

fn released(case: &Case, terms: &AgreementTerms) -> bool {
    case.ask(Some(&pact(&US, &PEER, terms.clone()))).released
}

/// Properties that never see a release go would hold of a rule that says no to everything.
#[test]
fn the_cases_reach_both_answers() {
    let mut runner = TestRunner::deterministic();
    let mut went = [0_u32; 4];
    for _ in 0..2_000 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let terms = any_terms().new_tree(&mut runner).unwrap().current();
        went[usize::from(case.origin)] += u32::from(released(&case, &terms));
    }
    let [_, ours, the_peers, of_a_third] = went;
    assert!(ours > 60 && the_peers == 0 && of_a_third > 5, "{went:?}");
}

proptest! {
    #[test]
    fn the_rule_is_what_the_design_says(case in case(), terms in any_terms()) {
        let decision = case.ask(Some(&pact(&US, &PEER, terms.clone())));
        prop_assert_eq!(decision.released, expected(&case, &terms), "{:#?}", decision);
    }

    #[test]
    fn without_an_agreement_nothing_is_published(case in case(), terms in any_terms()) {
        prop_assert!(!case.ask(None).released);
        prop_assert!(!case.ask(Some(&pact(&PEER, &THIRD, terms.clone()))).released);
        prop_assert!(!case.ask(Some(&pact(&US, &THIRD, terms))).released);
    }

    #[test]
    fn the_trace_agrees_with_the_decision(case in case(), terms in any_terms(), kind in 0..3_usize) {
        let kind = [Kind::Publish, Kind::Withdraw, Kind::Review][kind];
        let decision = Case { kind, ..case }.ask(Some(&pact(&US, &PEER, terms)));
        prop_assert!(!decision.reasons.is_empty());
        prop_assert_eq!(decision.released, decision.withheld_by().is_none());
        prop_assert_eq!(decision.released, decision.reasons.iter().all(|reason| reason.ok));
        for reason in &decision.reasons {
            prop_assert!(reason.code.explain().is_some());
            prop_assert!(!reason.text.chars().any(char::is_control));
        }
    }

    #[test]
    fn a_vulnerability_goes_only_where_it_is_named(mut case in case(), mut terms in any_terms()) {
        case.label.categories.insert(Category::Vulnerability);
        terms.flow.categories.remove(&Category::Vulnerability);
        let decision = case.ask(Some(&pact(&US, &PEER, terms)));
        prop_assert!(!decision.released);
        prop_assert!(decision.reasons.iter().any(|reason| !reason.ok && reason.code == Code::VULNERABILITY));
    }

    #[test]
    fn amber_and_stricter_never_go_to_a_third_cert(mut case in case(), terms in any_terms()) {
        case.label.tlp = case.label.tlp.max(Tlp::Amber);
        case.origin = 3;
        prop_assert!(!released(&case, &terms));
        prop_assert!(!case.ask(Some(&group(terms))).released);
    }

    #[test]
    fn red_goes_to_named_recipients_of_its_origin_alone(mut case in case(), terms in any_terms()) {
        case.label.tlp = Tlp::Red;
        prop_assert!(!released(&case, &terms) || (case.origin == 1 && case.recipients.contains(&2)));
    }

    #[test]
    fn nothing_goes_back_to_where_it_came_from(case in case(), terms in any_terms(), disclosed: bool) {
        for kind in [Kind::Publish, Kind::Withdraw, Kind::Review] {
            let back = Case { kind, disclosed, origin: 2, ..case.clone() };
            prop_assert!(!released(&back, &terms));
        }
    }

    #[test]
    fn a_withdrawal_goes_where_it_must_and_nowhere_else(case in case(), terms in any_terms(), disclosed: bool) {
        let case = Case { kind: Kind::Withdraw, disclosed, ..case };
        let expect = disclosed && case.origin != 2;
        prop_assert_eq!(released(&case, &terms), expect);
        prop_assert_eq!(case.ask(None).released, expect);
    }

    #[test]
    fn a_review_never_leaves(case in case(), terms in any_terms(), disclosed: bool) {
        let review = Case { kind: Kind::Review, disclosed, ..case };
        prop_assert!(!released(&review, &terms));
    }

    /// A stricter label never goes where a milder one does not, but for one case: AMBER may go where GREEN is withheld
    /// for want of a community, since GREEN may be passed on within it and AMBER may not be passed on.
    #[test]
    fn a_stricter_label_never_releases_more(case in case(), more in label(), terms in any_terms()) {
        let agreement = pact(&US, &PEER, terms.clone());
        let label = case.label.clone().join(&more);
        let is_exception =
            terms.community.is_none() && case.label.level() == Tlp::Green && label.level() > Tlp::Green;
        let stricter = Case { label, ..case.clone() };
        prop_assert!(is_exception || !stricter.ask(Some(&agreement)).released || case.ask(Some(&agreement)).released);
    }

    #[test]
    fn our_own_policy_only_narrows(case in case(), other in local(), terms in any_terms()) {
        let ours = &case.local;
        let categories = match (&ours.categories, &other.categories) {
            (Some(a), Some(b)) => Some(a & b),
            (a, b) => a.clone().or(b.clone()),
        };
        let tlp_max = ours.tlp_max.min(other.tlp_max);
        let local = LocalPolicy { tlp_max, categories, onward: ours.onward && other.onward };
        let agreement = pact(&US, &PEER, terms);
        let narrowed = Case { local, ..case.clone() };
        prop_assert!(!narrowed.ask(Some(&agreement)).released || case.ask(Some(&agreement)).released);
    }

    #[test]
    fn narrower_terms_never_release_more(case in case(), terms in any_terms(), other in any_terms()) {
        prop_assert!(!released(&case, &narrower(&terms, &other)) || released(&case, &terms));
    }

    #[test]
    fn a_narrower_word_of_the_origin_never_releases_more(case in case(), terms in any_terms(), other in onward()) {
        let case = Case { consent: ConsentState::None, ..case };
        let narrowed = Case { origin_says: Some(other.clone()), ..case.clone() };
        let wider = case.origin_says.as_ref().is_some_and(|says| onward_rank(says) >= onward_rank(&other));
        let lists_others = matches!(&case.origin_says, Some(Onward::Listed(certs)) if !certs.contains(&cert_of(2)));
        prop_assert!(!wider || lists_others || !released(&narrowed, &terms) || released(&case, &terms));
    }

    /// Less is known, more has ended, more is held: never more is released.
    #[test]
    fn worse_circumstances_never_release_more(case in case(), terms in any_terms()) {
        let worse = [
            Case { held: true, ..case.clone() },
            Case { ended: Some(2), ..case.clone() },
            Case { consent: ConsentState::Denied, ..case.clone() },
            Case { origin_says: None, ..case.clone() },
            Case { origin_over: true, ..case.clone() },
            Case { age_days: case.age_days + 30, ..case.clone() },
            Case { recipients: [3].into(), ..case.clone() },
        ];
        let agreement = pact(&US, &PEER, terms);
        let before = case.ask(Some(&agreement)).released;
        for case in worse {
            prop_assert!(before || !case.ask(Some(&agreement)).released, "{case:?}");
        }
    }

    #[test]
    fn both_parties_have_the_same_rights(case in case(), terms in any_terms()) {
        let case = Case { origin: case.origin.min(2), ..case };
        let agreement = pact(&US, &PEER, terms);
        let theirs = case.ask_as_the_peer(&agreement);
        prop_assert_eq!(case.ask(Some(&agreement)).released, theirs.released);
        prop_assert_eq!(codes(&case.ask(Some(&agreement))), codes(&theirs));
    }

    /// The order in which labels are joined and parties are named changes nothing.
    #[test]
    fn order_changes_nothing(mut labels in prop::collection::vec(simple_label(), 1..4), terms in any_terms()) {
        let join = |labels: &[Label]| labels.iter().fold(Label::nothing(), |joined, label| joined.join(label));
        let ours = Case { label: join(&labels), ..Case::usual() };
        labels.reverse();
        let theirs = Case { label: join(&labels), ..Case::usual() };
        prop_assert_eq!(
            ours.ask(Some(&pact(&US, &PEER, terms.clone()))),
            theirs.ask(Some(&pact(&PEER, &US, terms)))
        );
    }

    #[test]
    fn a_group_is_held_to_the_same_terms(case in case(), terms in any_terms()) {
        prop_assert_eq!(case.ask(Some(&group(terms.clone()))).released, released(&case, &terms));
    }

    #[test]
    fn labels_form_a_lattice(a in label(), b in label(), c in label()) {
        let join = |a: &Label, b: &Label| a.clone().join(b);
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a.clone());
        prop_assert_eq!(join(&a, &Label::nothing()), a.clone());
        prop_assert!(join(&a, &b).covers(&a));
        prop_assert_eq!(a.covers(&b), join(&a, &b) == a);
    }

    #[test]
    fn a_label_is_written_and_read_and_says_nothing_of_what_it_lacks(label in label()) {
        let text = mithaq_core::canonical::to_vec(&label).unwrap();
        prop_assert_eq!(&mithaq_core::canonical::from_slice::<Label>(&text).unwrap(), &label);
        let plain = Label { sectors: label.sectors, ..Label::new(label.tlp, Category::Threat) };
        let text = String::from_utf8(mithaq_core::canonical::to_vec(&plain).unwrap()).unwrap();
        prop_assert_eq!(text.matches("\":").count(), 4, "{}", text);
    }
}

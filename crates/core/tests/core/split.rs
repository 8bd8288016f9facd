//! The split: whoever may not see an object must not learn of it from what points at it.

use mithaq_core::{
    body::Facts,
    label::{Category, LABEL_SET_MAX, Label, Marking, SECTOR_UNSPECIFIED},
    split::{group, labels},
    stix::{Tlp, marking::Pap},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::cast::{MARKING, body, id, object};

/// The labels of a push, with `held` in the store and AMBER for what is unmarked, as text.
fn labelled(objects: &[Value], held: &[(&str, Label)]) -> Vec<String> {
    let bodies: Vec<_> = objects.iter().map(body).collect();
    let facts: Vec<_> = bodies.iter().map(mithaq_core::body::Body::facts).collect();
    let mut find = |id: &str| held.iter().find(|(known, _)| *known == id).map(|(_, label)| label.clone());
    labels(&facts, Tlp::Amber, &mut find, &mut |_| Marking::Unknown).iter().map(ToString::to_string).collect()
}

fn check(objects: &[Value], held: &[(&str, Label)], expect: &[&str]) {
    assert_eq!(labelled(objects, held), expect);
}

fn marked(object_type: &str, number: u32, level: Tlp, mut more: Value) -> Value {
    more["object_marking_refs"] = json!([level.marking_id()]);
    object(object_type, number, more)
}

fn relationship(number: u32, source: &str, target: &str) -> Value {
    marked(
        "relationship",
        number,
        Tlp::Clear,
        json!({"relationship_type": "related-to", "source_ref": source, "target_ref": target}),
    )
}

#[test]
fn a_relationship_takes_the_strictest_of_what_it_connects() {
    let (red, clear) = (id("indicator", 1), id("malware", 2));
    let objects = [
        relationship(3, &red, &clear),
        marked("indicator", 1, Tlp::Red, json!({})),
        marked("malware", 2, Tlp::Clear, json!({"sectors": ["energy"]})),
    ];
    check(&objects, &[], &["red threat [energy+unspecified]", "red threat", "clear threat [energy]"]);
}

#[test]
fn a_reference_under_any_name_counts() {
    let red = id("ipv4-addr", 1);
    for property in [
        json!({"dst_ref": red}),
        json!({"resolves_to_refs": [red]}),
        json!({"sample_refs": [red]}),
        json!({"x_acme_related_ref": red}),
        json!({"extensions": {"x-acme-ext": {"deep": [{"object_refs": [red]}]}}}),
    ] {
        let objects = [marked("malware", 2, Tlp::Clear, property.clone()), marked("ipv4-addr", 1, Tlp::Red, json!({}))];
        let labels = labelled(&objects, &[]);
        assert!(labels[0].starts_with("red "), "{property}: {labels:?}");
    }
    // Who made an object, and how it is marked, says nothing of what it speaks of.
    let maker = marked("identity", 3, Tlp::Red, json!({}));
    let made = marked("malware", 2, Tlp::Clear, json!({"created_by_ref": id("identity", 3)}));
    assert_eq!(labelled(&[made, maker], &[])[0], "clear threat");
}

#[test]
fn labels_travel_along_chains_in_any_order() {
    let chain: Vec<_> =
        (1..200).map(|n| relationship(n, &id("relationship", n - 1), &id("relationship", n - 1))).collect();
    let red = marked("relationship", 0, Tlp::Red, json!({"source_ref": id("tool", 1), "target_ref": id("tool", 1)}));
    let mut objects = chain;
    objects.push(red);
    assert!(labelled(&objects, &[]).iter().all(|label| label == "red custom+threat" || label == "red threat"));
    objects.reverse();
    assert!(labelled(&objects, &[]).iter().all(|label| label == "red custom+threat" || label == "red threat"));
}

#[test]
fn a_cycle_shares_one_label() {
    let objects = [
        relationship(1, &id("relationship", 2), &id("relationship", 2)),
        relationship(2, &id("relationship", 1), &id("indicator", 3)),
        marked("indicator", 3, Tlp::AmberStrict, json!({})),
        relationship(4, &id("relationship", 4), &id("relationship", 4)),
    ];
    let labels = labelled(&objects, &[]);
    assert_eq!(labels[0], labels[1]);
    assert_eq!(labels[0], "amber+strict custom+threat");
    assert_eq!(labels[3], "clear custom", "a knot of its own touches nothing else");
}

#[test]
fn what_the_store_holds_counts_and_what_nobody_knows_counts_by_type() {
    let known = id("indicator", 1);
    let mut held = Label::new(Tlp::Red, Category::Threat);
    held.markings.insert(MARKING.to_owned());
    let sighting = |of: &str| marked("sighting", 9, Tlp::Clear, json!({"sighting_of_ref": of}));
    check(&[sighting(&known)], &[(&known, held)], &["red sighting+threat +1 marking"]);
    check(&[sighting(&known)], &[], &["clear sighting+threat"]);
    check(&[sighting(&id("vulnerability", 5))], &[], &["clear sighting+vulnerability"]);
}

#[test]
fn every_version_of_an_id_counts() {
    let versions = [Tlp::Clear, Tlp::Red].map(|level| {
        marked(
            "indicator",
            1,
            level,
            json!({"modified": if level == Tlp::Red { "2026-02-01T00:00:00Z" } else { "2026-03-01T00:00:00Z" }}),
        )
    });
    let objects = [versions[0].clone(), versions[1].clone(), relationship(2, &id("indicator", 1), &id("indicator", 1))];
    check(&objects, &[], &["clear threat", "red threat", "red threat"]);
}

#[test]
fn a_report_has_all_categories_of_what_it_holds() {
    let report = marked(
        "report",
        9,
        Tlp::Clear,
        json!({"object_refs": [id("indicator", 1), id("vulnerability", 2), id("identity", 3)]}),
    );
    let objects = [
        report,
        marked("indicator", 1, Tlp::Green, json!({})),
        marked("vulnerability", 2, Tlp::Clear, json!({})),
        object(
            "identity",
            3,
            json!({"sectors": ["banking"], "object_marking_refs": [Tlp::Clear.marking_id(), MARKING]}),
        ),
    ];
    let expect = [
        "green identity+report+threat+vulnerability [banking+unspecified] +1 marking",
        "green threat",
        "clear vulnerability",
        "clear identity [banking] +1 marking",
    ];
    check(&objects, &[], &expect);
}

#[test]
fn sectors_of_a_relationship_are_those_of_its_ends() {
    let bank = marked("identity", 1, Tlp::Clear, json!({"sectors": ["banking"]}));
    let known = marked("campaign", 2, Tlp::Clear, json!({"sectors": ["banking"]}));
    let targets = relationship(3, &id("campaign", 2), &id("identity", 1));
    let unknown = relationship(4, &id("campaign", 99), &id("identity", 1));
    let expect = [
        "clear identity [banking]",
        "clear threat [banking]",
        "clear identity+threat [banking]",
        "clear identity+threat [banking+unspecified]",
    ];
    check(&[bank, known, targets, unknown], &[], &expect);
}

/// Facts made by hand, as small as they can be.
fn facts(stix_id: String, tlp: Option<Tlp>, sectors: BTreeSet<String>, subject_refs: Vec<String>) -> Facts {
    let text = object("indicator", 1, json!({})).to_string();
    let object = mithaq_core::stix::Object::parse(text.as_bytes()).unwrap();
    Facts { stix_id, tlp, sectors, subject_refs, ..Facts::of(&object) }
}

#[test]
fn hostile_graphs_cost_no_more_than_their_references() {
    let count = 3_000;
    let versions = (0..count).map(|_| facts(id("indicator", 1), None, BTreeSet::new(), vec![]));
    let pointers = (0..count).map(|n| facts(id("relationship", n), None, BTreeSet::new(), vec![id("indicator", 1)]));
    let chain =
        (0..count).map(|n| facts(id("report", n), None, [format!("sector {n}")].into(), vec![id("report", n + 1)]));
    let all: Vec<_> = versions.chain(pointers).chain(chain).collect();
    let labels = labels(&all.iter().collect::<Vec<_>>(), Tlp::Amber, &mut |_| None, &mut |_| Marking::Unknown);
    assert_eq!(labels.len(), all.len());
    assert!(labels.iter().all(|label| label.sectors.len() <= LABEL_SET_MAX + 1));
    let usable = labels.iter().filter(|label| label.check().is_ok()).count();
    assert!(usable >= 2 * all.len() / 3, "only what reaches over 64 sectors cannot be released");
}

#[test]
fn a_known_marking_becomes_what_it_means_and_is_asked_for_once() {
    let marking = |number: u32| id("marking-definition", number);
    let marked = |number: u32, markings: &[u32]| {
        let ids: Vec<_> = markings.iter().map(|number| marking(*number)).collect();
        body(&object("indicator", number, json!({"object_marking_refs": ids})))
    };
    let bodies = [marked(1, &[1, 2]), marked(2, &[2, 3]), marked(3, &[4])];
    let facts: Vec<_> = bodies.iter().map(mithaq_core::body::Body::facts).collect();
    let mut asked = Vec::new();
    let found = labels(&facts, Tlp::Green, &mut |_| None, &mut |id| {
        asked.push(id.to_owned());
        match id {
            _ if id == marking(1) => Marking::Statement,
            _ if id == marking(2) => Marking::Pap(Pap::Amber),
            _ if id == marking(3) => Marking::Pap(Pap::Red),
            _ => Marking::Unknown,
        }
    });
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["green threat statement PAP:amber", "green threat PAP:red", "green threat +1 marking"]);
    assert_eq!(asked, [marking(1), marking(2), marking(3), marking(4)]);
    // Whoever has nothing but the release and the object takes the origin's word for what a marking means.
    for (body, label) in bodies.iter().zip(&found) {
        assert!(body.facts().is_covered_by(label), "{label}");
    }
    assert!(!bodies[0].facts().is_covered_by(&Label { tlp: Tlp::Red, ..found[2].clone() }));
}

#[test]
fn hostile_markings_cannot_hide_one_that_nobody_knows() {
    let ids: Vec<_> = (0..200).map(|number| id("marking-definition", number)).collect();
    let body = body(&object("indicator", 1, json!({"object_marking_refs": ids})));
    let mut known = |id: &str| if id == ids[199] { Marking::Unknown } else { Marking::Statement };
    let found = labels(&[body.facts()], Tlp::Green, &mut |_| None, &mut known);
    assert_eq!(found[0].markings, [ids[199].clone()].into());
}

#[test]
fn confidence_is_the_lowest_and_personal_data_taints_what_speaks_of_it() {
    let sure = marked("indicator", 1, Tlp::Clear, json!({"confidence": 80}));
    let unsure = marked("malware", 2, Tlp::Clear, json!({"confidence": 20}));
    let silent = marked("tool", 3, Tlp::Clear, json!({}));
    let person = marked("identity", 4, Tlp::Clear, json!({"identity_class": "individual", "confidence": 90}));
    let between = |number, source: (&str, u32), target: (&str, u32)| {
        let mut found = relationship(number, &id(source.0, source.1), &id(target.0, target.1));
        found["confidence"] = json!(100);
        found
    };
    let objects = [
        between(5, ("indicator", 1), ("malware", 2)),
        between(6, ("indicator", 1), ("tool", 3)),
        between(7, ("indicator", 1), ("identity", 4)),
        between(8, ("indicator", 1), ("email-addr", 99)),
        sure,
        unsure,
        silent,
        person,
    ];
    let expect = [
        "clear threat confidence:low",
        "clear threat",
        "clear identity+threat personal confidence:high",
        "clear observable+threat personal",
        "clear threat confidence:high",
        "clear threat confidence:low",
        "clear threat",
        "clear identity personal confidence:high",
    ];
    check(&objects, &[], &expect);
}

#[test]
fn groups_keep_the_order_of_the_push() {
    let (a, b) = (Label::new(Tlp::Clear, Category::Threat), Label::new(Tlp::Red, Category::Threat));
    let groups = group(vec![b.clone(), a.clone(), b.clone(), a.clone()]);
    assert_eq!(groups, [(a, vec![1, 3]), (b, vec![0, 2])].into());
}

/// A push of up to a dozen objects that refer to each other at random, and beyond.
fn push() -> impl Strategy<Value = Vec<Facts>> {
    let types = prop::sample::select(vec!["indicator", "relationship", "vulnerability", "report"]);
    let level = prop::option::of(prop::sample::select(Tlp::ALL.to_vec()));
    let sectors =
        prop::collection::btree_set(prop::sample::select(vec!["energy".to_owned(), "banking".to_owned()]), 0..2);
    let reference = (prop::sample::select(vec!["indicator", "relationship", "vulnerability", "report"]), 0_u32..6);
    let refs = prop::collection::vec(reference.prop_map(|(object_type, number)| id(object_type, number)), 0..3);
    let one = (types, 0_u32..5, level, sectors, refs)
        .prop_map(|(object_type, number, tlp, sectors, refs)| facts(id(object_type, number), tlp, sectors, refs));
    prop::collection::vec(one, 1..12)
}

/// All objects that `from` leads to, itself among them.
fn reached(all: &[Facts], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([from]);
    loop {
        let ids: BTreeSet<&String> = reached.iter().flat_map(|index| &all[*index].subject_refs).collect();
        let next = (0..all.len()).filter(|index| ids.contains(&all[*index].stix_id));
        let before = reached.len();
        reached.extend(next);
        if reached.len() == before {
            return reached;
        }
    }
}

proptest! {
    #[test]
    fn a_label_covers_all_that_its_object_reaches_and_no_level_beyond(all in push()) {
        let found = labels(&all.iter().collect::<Vec<_>>(), Tlp::Amber, &mut |_| None, &mut |_| Marking::Unknown);
        for (index, label) in found.iter().enumerate() {
            let reached = reached(&all, index);
            for target in &reached {
                prop_assert!(label.covers(&all[*target].own_label(Tlp::Amber)));
                prop_assert!(label.covers(&found[*target]));
            }
            let own = reached.iter().map(|target| all[*target].own_label(Tlp::Amber));
            let joined = own.reduce(|joined, own| joined.join(&own)).unwrap();
            prop_assert_eq!(label.tlp, joined.tlp);
            prop_assert_eq!(&label.categories, &joined.categories);
            prop_assert_eq!(&label.markings, &joined.markings);
            let named: BTreeSet<_> = label.sectors.iter().filter(|sector| *sector != SECTOR_UNSPECIFIED).cloned().collect();
            prop_assert_eq!(named, joined.sectors);
        }
    }

    #[test]
    fn the_order_of_a_push_changes_no_label(all in push()) {
        let mut backwards: Vec<_> = all.iter().collect();
        backwards.reverse();
        let found = labels(&all.iter().collect::<Vec<_>>(), Tlp::Amber, &mut |_| None, &mut |_| Marking::Unknown);
        let mut reversed = labels(&backwards, Tlp::Amber, &mut |_| None, &mut |_| Marking::Unknown);
        reversed.reverse();
        prop_assert_eq!(found, reversed);
    }
}

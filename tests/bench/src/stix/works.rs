//! What is done with a bundle, by stock crates and by ours.

use std::hint::black_box;

use mithaq_core::{
    body::{Body, Facts},
    id::sha256,
    label::Marking,
    split,
    stix::{Object, Tlp, bundle::Reader, model::Model, validate::validate},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A way of working through a bundle.
pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) does: &'static str,
    /// It reads the objects in canonical form, not as they came.
    pub(super) wants_canonical: bool,
    /// Does it, and counts the objects that came to the end.
    pub(super) run: fn(&[u8]) -> usize,
}

/// The work that the others are compared with.
pub(super) const YARDSTICK: &str = "canonicalizer";

/// All works, in the order of a round.
pub(super) const WORKS: [Work; 7] = [
    Work {
        name: "value",
        does: "serde_json to Value",
        wants_canonical: false,
        run: |text| value(text).map_or(0, |bundle| black_box(stock_objects(&bundle)).len()),
    },
    Work {
        name: "metadata",
        does: "serde_json: RawValue for each object, then type, id, times and markings of it",
        wants_canonical: false,
        run: metadata,
    },
    Work {
        name: YARDSTICK,
        does: "serde_json to Value, serde_json_canonicalizer, SHA-256",
        wants_canonical: false,
        run: |text| stock_hashes(text).map(black_box).count(),
    },
    Work {
        name: "mithaq",
        does: "what a push does before it signs: strict check, canonical form, SHA-256, label, observables",
        wants_canonical: false,
        run: |text| {
            label(&Reader::new(text).flatten().filter_map(|entry| body(&entry.object.ok()?)).collect::<Vec<_>>())
        },
    },
    Work {
        name: "mithaq-canonical",
        does: "the same on canonical objects",
        wants_canonical: true,
        run: |text| {
            label(&Reader::new(text).flatten().filter_map(|entry| body(&entry.object.ok()?)).collect::<Vec<_>>())
        },
    },
    Work {
        name: "mithaq-validate",
        does: "the same as mithaq, and every finding against the standard, errors and warnings",
        wants_canonical: false,
        run: |text| {
            label(&Reader::new(text).flatten().filter_map(|entry| validated(&entry.object.ok()?)).collect::<Vec<_>>())
        },
    },
    Work {
        name: "mithaq-model",
        does: "strict check, the typed model, and back to canonical form",
        wants_canonical: false,
        run: |text| {
            Reader::new(text).flatten().filter_map(|entry| modelled(&entry.object.ok()?)).map(black_box).count()
        },
    },
];

fn value(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok()
}

fn stock_objects(bundle: &Value) -> &[Value] {
    bundle.get("objects").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The hash of each object's canonical form, by the crates that anyone would take.
pub(super) fn stock_hashes(text: &[u8]) -> impl Iterator<Item = [u8; 32]> {
    let bundle = value(text).unwrap_or_default();
    let hashes: Vec<_> = stock_objects(&bundle)
        .iter()
        .filter_map(|object| serde_json_canonicalizer::to_vec(object).ok())
        .map(|canonical| sha256(&canonical))
        .collect();
    hashes.into_iter()
}

#[derive(Deserialize)]
struct RawBundle<'a> {
    #[serde(borrow)]
    objects: Vec<&'a RawValue>,
}

/// What a relay that trusts its input would look at.
#[derive(Deserialize)]
#[allow(dead_code, reason = "what is read is not used: the reading is measured")]
struct Metadata<'a> {
    #[serde(rename = "type")]
    object_type: &'a str,
    id: &'a str,
    created: Option<&'a str>,
    modified: Option<&'a str>,
    #[serde(default)]
    object_marking_refs: Vec<&'a str>,
}

fn metadata(text: &[u8]) -> usize {
    let Ok(bundle) = serde_json::from_slice::<RawBundle<'_>>(text) else { return 0 };
    let read = |object: &&RawValue| serde_json::from_str::<Metadata<'_>>(object.get()).map(black_box).is_ok();
    bundle.objects.iter().copied().filter(read).count()
}

/// The hash of the object's canonical form, by ours.
pub(super) fn content_id(object: &Object<'_>) -> Option<[u8; 32]> {
    Some(*body(object)?.id().as_bytes())
}

fn body(object: &Object<'_>) -> Option<Body> {
    Body::of(object).ok()
}

fn validated(object: &Object<'_>) -> Option<Body> {
    black_box(validate(object.value()));
    body(object)
}

fn modelled(object: &Object<'_>) -> Option<Vec<u8>> {
    Model::from_value(object.value()).ok()?.canonical().ok()
}

/// Labels the objects of a bundle as a push does, whose store holds nothing yet.
fn label(bodies: &[Body]) -> usize {
    let facts: Vec<&Facts> = bodies.iter().map(Body::facts).collect();
    black_box(split::labels(&facts, Tlp::Amber, &mut |_| None, &mut |_| Marking::Unknown)).len()
}

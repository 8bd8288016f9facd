//! Bundles, lines and single objects: what is read of them, and what becomes of STIX 2.0.

use mithaq_stix::{
    Entry, Object, ObjectError, Observable, Reader,
    json::{Value, canonical, is_canonical, parse},
    marking,
    upgrade::upgrade as bring_up,
};

/// The reader over any bytes: entries come in order, and every accepted object is itself again after a round through its
/// canonical form, with the same answers to what policy asks. Of one well-formed bundle no object is lost.
pub fn reader(data: &[u8]) {
    let mut entries = Vec::new();
    for item in Reader::new(data) {
        match item {
            Ok(entry) => entries.push(entry),
            Err(error) => assert!(error.offset <= data.len()),
        }
    }
    for (i, entry) in entries.iter().enumerate() {
        assert_eq!(entry.index, i, "entries are numbered as they come");
        assert!(entry.offset < data.len());
        match &entry.object {
            Ok(object) => {
                assert_eq!(&data[entry.offset..entry.offset + object.span_len()], object.source());
                round_trip(object);
            }
            Err(error) => refusal(error),
        }
    }
    if let Ok(value) = parse(data) {
        whole_bundle(&value, &entries);
    }
}

fn refusal(error: &ObjectError) {
    let message = error.to_string();
    assert!(!message.is_empty() && !message.contains(char::is_control), "a message that is not fit to be shown");
}

fn round_trip(object: &Object<'_>) {
    let written = object.canonical();
    assert!(is_canonical(&written));
    let again = Object::parse(&written).unwrap();
    assert_eq!(again.canonical(), written);
    assert_eq!((again.id(), again.created(), again.modified()), (object.id(), object.created(), object.modified()));
    assert_eq!(again.revoked(), object.revoked());
    assert_eq!(again.created_by_ref(), object.created_by_ref());
    assert!(again.marking_refs().eq(object.marking_refs()));
    assert_eq!((again.refs(), again.subject_refs()), (object.refs(), object.subject_refs()));
    assert_eq!((again.labels(), again.sectors()), (object.labels(), object.sectors()));
    assert_eq!((again.valid_from(), again.confidence()), (object.valid_from(), object.confidence()));
    assert_eq!(marking::definition(&again), marking::definition(object));
    let observables = object.observables();
    assert_eq!(again.observables(), observables);
    assert!(observables.is_sorted_by(|a, b| a < b), "observables are not sorted, or twice");
    for observable in observables {
        assert_eq!(Observable::new(observable.kind, &observable.value).as_ref(), Some(&observable));
    }
}

/// If the text is one bundle, its objects are the first entries, each read or refused as it would be alone.
fn whole_bundle(value: &Value<'_>, entries: &[Entry<'_>]) {
    let is_bundle = value.get("type").is_some_and(|found| *found == Value::from("bundle"));
    let Some(objects) = value.get("objects").and_then(Value::as_array).filter(|_| is_bundle) else { return };
    assert!(entries.len() >= objects.len(), "{} of {} objects", entries.len(), objects.len());
    for (value, entry) in objects.iter().zip(entries) {
        match &entry.object {
            Ok(object) => assert_eq!(*object.canonical(), *canonical(value)),
            Err(ObjectError::Stix20 { .. }) => {}
            Err(error) => assert_eq!(Object::from_value(value.clone(), &[]).err().as_ref(), Some(error)),
        }
    }
}

/// STIX 2.0 brought up: every object that comes out is STIX 2.1 in canonical form, and there is nothing left to change.
pub fn upgrade(data: &[u8]) {
    let Ok(upgraded) = bring_up(data) else { return };
    assert_eq!(bring_up(data).as_ref(), Ok(&upgraded), "twice the same input, and not the same objects");
    for change in &upgraded.changes {
        assert!(!change.message.contains(char::is_control), "a message that is not fit to be shown: {change:?}");
    }
    for object in &upgraded.objects {
        let read = Object::parse(object).unwrap();
        assert_eq!(*read.canonical(), **object);
    }
    let lines = upgraded.objects.join(&b'\n');
    let again = bring_up(&lines).unwrap();
    assert_eq!(again.objects, upgraded.objects, "what was brought up is changed when it is brought up again");
    assert_eq!(again.changes, [], "what was brought up is not as it should be");
}

//! A real STIX 2.0 bundle is brought to STIX 2.1 whole, and the report says what became of it.

use crate::folder::corpora;
use mithaq_stix::{
    Object, Reader,
    upgrade::{ChangeKind, upgrade},
};
use std::{collections::BTreeMap, fs};

#[test]
fn a_real_bundle_is_upgraded_whole() {
    let Some(folder) = corpora() else { return };
    let text = fs::read(folder.join("stix-2.0/unit42-dearcry-ransomware.json")).unwrap();
    let count = Reader::new(&text).map(Result::unwrap).filter(|entry| entry.object.is_err()).count();
    let upgraded = upgrade(&text).unwrap();
    assert_eq!((upgraded.objects.len(), count), (94, 94));
    for object in &upgraded.objects {
        let read = Object::parse(object).unwrap();
        assert_eq!(read.spec_version().as_deref(), Some("2.1"));
        assert_eq!(read.canonical().as_ref(), object.as_slice());
    }
    let mut kinds = BTreeMap::<ChangeKind, usize>::new();
    for change in &upgraded.changes {
        *kinds.entry(change.kind).or_default() += 1;
    }
    assert_eq!(kinds, BTreeMap::from([(ChangeKind::Moved, 9), (ChangeKind::Assumed, 1)]));
}

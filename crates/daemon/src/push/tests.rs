//! What a push does to others that go on beside it.

use std::{sync::mpsc, thread, time::Duration};

use serde_json::json;

use super::*;
use crate::{peer::tests::Cert, standing};

/// Hears what became of objects.
struct Hears<F>(F);

impl<F: FnMut(&PushedObject)> Report for Hears<F> {
    fn object(&mut self, object: &PushedObject) {
        (self.0)(object);
    }
}

fn identity() -> serde_json::Value {
    json!({
        "type": "identity", "spec_version": "2.1", "id": "identity--00000000-0000-4000-8000-000000000000",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z", "name": "CERT of Testland",
        "identity_class": "organization",
    })
}

/// The identity, and the indicators of these numbers.
fn bundle(numbers: std::ops::Range<u32>) -> String {
    let indicator = |number: u32| {
        json!({
            "type": "indicator", "spec_version": "2.1",
            "id": format!("indicator--00000000-0000-4000-8000-{number:012x}"),
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
            "created_by_ref": identity()["id"], "pattern": "[ipv4-addr:value = '192.0.2.1']",
            "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z",
        })
    };
    let objects: Vec<_> = [identity()].into_iter().chain(numbers.map(indicator)).collect();
    json!({"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": objects}).to_string()
}

/// Pushes a bundle; says what became of each object.
fn statuses(node: &Arc<Node>, text: &str, query: &PushQuery) -> Vec<PushStatus> {
    let mut statuses = Vec::new();
    push(node, text.as_bytes(), query, &mut Hears(|object: &PushedObject| statuses.push(object.status))).unwrap();
    statuses
}

#[tokio::test]
async fn an_alert_with_the_identity_of_a_bulk_waits_for_its_first_piece_alone() {
    let cert = Cert::new(50);
    let (node, objects) = (&cert.node, u32::try_from(RELEASE_OBJECTS_MAX).unwrap() + 1);
    let (told, heard) = mpsc::channel();
    let (mut during, mut stored) = (None, 0);
    thread::scope(|scope| {
        let mut report = Hears(|object: &PushedObject| {
            stored += u32::from(object.status == PushStatus::Stored);
            during.get_or_insert_with(|| {
                let told = told.clone();
                scope.spawn(move || {
                    let _ = told.send(statuses(node, &bundle(objects..objects + 1), &PushQuery::default()));
                });
                heard.recv_timeout(Duration::from_secs(10))
            });
        });
        push(node, bundle(0..objects).as_bytes(), &PushQuery::default(), &mut report).unwrap();
    });
    assert_eq!(during, Some(Ok(vec![PushStatus::Duplicate, PushStatus::Stored])));
    assert_eq!(stored, objects + 1);
}

#[tokio::test]
async fn bulk_gives_way_to_a_push_and_not_to_what_is_only_tried() {
    let cert = Cert::new(50);
    let alone = cert.node.alerts.piece_bytes();
    let tried = PushQuery { dry_run: true, ..PushQuery::default() };
    assert_eq!(statuses(&cert.node, &bundle(0..1), &tried), [PushStatus::Stored; 2]);
    assert_eq!(cert.node.alerts.piece_bytes(), alone);
    assert_eq!(statuses(&cert.node, &bundle(0..1), &PushQuery::default()), [PushStatus::Stored; 2]);
    assert!(cert.node.alerts.piece_bytes() < alone);
}

#[tokio::test]
async fn bulk_gives_way_to_a_withdrawal_of_ours() {
    let cert = Cert::new(50);
    let alone = cert.node.alerts.piece_bytes();
    let (mut contents, query) = (BTreeSet::new(), PushQuery::default());
    let mut report = Hears(|object: &PushedObject| contents.extend(object.content));
    push_to(&cert.node, bundle(0..1).as_bytes(), &query, BTreeSet::new(), &mut report).unwrap();
    assert_eq!(cert.node.alerts.piece_bytes(), alone);
    standing::withdraw(&cert.node, &contents, "wrong").unwrap();
    assert!(cert.node.alerts.piece_bytes() < alone);
}

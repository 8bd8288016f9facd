//! What of a collection goes into an export.

use std::{path::Path, sync::Arc};

use mithaq_api::{
    config::Config,
    export::{ExportFormat, ExportQuery},
    home::{Home, KeyName, create_file, create_private_dir},
};
use mithaq_core::{
    body::Body,
    card::{CardDetails, DatedKey, VerifiedCard},
    id::CertId,
    keys::{SecretKey, Suite},
    label::{Category, Label},
    release::{ReleaseDraft, VerifiedRelease},
    stix::{marking::Tlp, object::Object},
    time::Time,
};
use mithaq_store::{Arrival, Batch, MemoryStore, StoreId};
use tempfile::TempDir;

use super::{Captured, NOW, readers};
use crate::{
    export::{ExportError, prepare},
    node::Node,
    restored::Gate,
    standing::Standing,
};

/// A CERT with an empty store.
pub(super) struct Cert {
    pub(super) node: Arc<Node>,
    pub(super) home: TempDir,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

/// Somebody else, of whom nothing is known here but what is signed.
fn stranger(seed: u8) -> CertId {
    CertId::from_bytes([seed; 32])
}

fn card() -> VerifiedCard {
    let dated = |key: &SecretKey| DatedKey {
        suite: Suite::Ed25519,
        public: key.public(),
        not_before: Time::from_micros(0),
        not_after: Time::from_micros(i64::MAX),
    };
    let details = CardDetails {
        name: "CERT of Testland".into(),
        country: "QA".into(),
        contacts: vec!["soc@cert.example".into()],
        serial: 1,
        issued_at: NOW,
        signing_keys: vec![dated(&key(2))],
        tls_keys: vec![dated(&key(3))],
        revoked_keys: Vec::new(),
        identities: [].into(),
        endpoints: Vec::new(),
    };
    VerifiedCard::sign(&key(1), details).unwrap()
}

fn make_home(dir: &Path) -> Home {
    let home = Home::at(dir);
    create_private_dir(&dir.join("keys")).unwrap();
    create_file(&home.card_path(), &serde_json::to_vec(card().envelope()).unwrap(), 0o644).unwrap();
    home.create_key(KeyName::Signing, &key(2)).unwrap();
    home.create_key(KeyName::Tls, &key(3)).unwrap();
    home
}

impl Cert {
    fn new() -> Self {
        Self::over(MemoryStore::new(StoreId::from_bytes([1; 16])))
    }

    /// A CERT over what this store holds.
    pub(super) fn over(store: MemoryStore) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gate = Gate::load(&store).unwrap();
        let home = make_home(dir.path());
        let mut node = Node::new(home, Config::default(), Arc::new(store), Standing::default(), [0; 16]).unwrap();
        node.gate = gate;
        Self { node: Arc::new(node), home: dir }
    }

    /// Stores a release of these objects by a CERT.
    fn release(&self, origin: CertId, tlp: Tlp, day: i64, objects: &[String]) {
        let bodies: Vec<_> =
            objects.iter().map(|text| Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap()).collect();
        let contents = bodies.iter().map(Body::id).collect();
        let at = Time::from_micros(day * 86_400_000_000);
        let draft = ReleaseDraft::publish(Label::new(tlp, Category::Threat), contents, at);
        let release = VerifiedRelease::sign(origin, &key(2), draft).unwrap();
        let batch = Batch { arrivals: vec![Arrival { release, bodies }], ..Batch::default() };
        self.node.store.commit(batch, NOW).unwrap();
    }

    pub(super) fn ours(&self, objects: &[String]) {
        self.release(self.node.us, Tlp::Green, 20_000, objects);
    }

    fn export(&self, query: &ExportQuery) -> (Captured, mithaq_api::export::ExportSummary) {
        let prepared = prepare(&self.node, query, None, NOW).unwrap();
        let mut out = Captured::default();
        prepared.write(&self.node, &mut out).unwrap();
        (out, prepared.summary)
    }

    /// The rows of a table of everything, without its header.
    fn table(&self, query: &ExportQuery) -> Vec<Vec<String>> {
        readers::csv(self.export(query).0.text()).split_off(1)
    }

    fn values(&self) -> Vec<String> {
        self.table(&csv()).into_iter().map(|row| row[1].clone()).collect()
    }
}

fn csv() -> ExportQuery {
    ExportQuery::new(ExportFormat::Csv)
}

fn indicator(number: usize, pattern: &str, more: &str) -> String {
    let created = "2020-01-01T00:00:00.000Z";
    let modified = if more.contains("\"modified\"") { String::new() } else { format!(r#""modified":"{created}","#) };
    format!(
        r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-{number:012}",
        "created":"{created}",{modified}"valid_from":"{created}","pattern_type":"stix",{more}"pattern":"{pattern}"}}"#
    )
}

pub(super) fn of_domain(number: usize, domain: &str, more: &str) -> String {
    indicator(number, &format!("[domain-name:value = '{domain}']"), more)
}

#[test]
fn one_value_comes_once_with_all_who_share_it() {
    let cert = Cert::new();
    cert.release(stranger(7), Tlp::Amber, 20_002, &[of_domain(1, "Evil[.]example", r#""confidence":30,"#)]);
    cert.release(stranger(8), Tlp::Green, 20_001, &[of_domain(2, "evil.example", r#""confidence":70,"#)]);
    // The same object, from a third CERT and under a stricter level.
    cert.release(stranger(9), Tlp::AmberStrict, 20_003, &[of_domain(2, "evil.example", r#""confidence":70,"#)]);
    let rows = cert.table(&csv());
    assert_eq!(rows.len(), 1, "{rows:?}");
    let names: Vec<_> = [7, 8, 9].map(|seed| stranger(seed).fmt_short()).into();
    let expect = ["domain-name", "evil.example", "amber+strict", "3", &names.join(" "), "70"];
    assert_eq!(rows[0][..6], expect);
    assert_eq!(rows[0][6..], ["2024-10-05T00:00:00.000000Z", "2024-10-07T00:00:00.000000Z"]);
}

#[test]
fn what_a_reader_may_not_see_leaves_no_trace() {
    let cert = Cert::new();
    cert.release(stranger(7), Tlp::Red, 20_000, &[of_domain(1, "red.example", ""), of_domain(2, "shared.example", "")]);
    cert.release(stranger(8), Tlp::Clear, 20_001, &[of_domain(3, "shared.example", "")]);
    let rows = cert.table(&csv());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][1..4], ["shared.example", "clear", "1"]);
    let narrow = ExportQuery { tlp_max: Some("green".into()), ..csv() };
    cert.release(stranger(9), Tlp::Amber, 20_002, &[of_domain(4, "shared.example", "")]);
    assert_eq!(cert.table(&csv())[0][2..4], ["amber", "2"]);
    assert_eq!(cert.table(&narrow)[0][2..4], ["clear", "1"]);
    // The limit of the collection stays, whatever is asked for.
    let wide = ExportQuery { tlp_max: Some("red".into()), ..csv() };
    assert_eq!(cert.table(&wide).len(), 1);
}

#[test]
fn only_the_newest_version_counts_and_only_while_it_is_valid() {
    let cert = Cert::new();
    let later = r#""modified":"2021-01-01T00:00:00.000Z","#;
    cert.ours(&[of_domain(1, "old.example", "")]);
    cert.ours(&[of_domain(1, "new.example", later)]);
    // An older version that arrives late changes nothing.
    cert.ours(&[of_domain(2, "new2.example", later)]);
    cert.ours(&[of_domain(2, "old2.example", "")]);
    cert.ours(&[of_domain(3, "revoked.example", "")]);
    cert.ours(&[of_domain(3, "revoked.example", &format!(r#"{later}"revoked":true,"#))]);
    cert.ours(&[of_domain(4, "expired.example", r#""valid_until":"2021-01-01T00:00:00Z","#)]);
    cert.ours(&[of_domain(5, "valid.example", r#""valid_until":"2099-01-01T00:00:00Z","#)]);
    assert_eq!(cert.values(), ["new.example", "new2.example", "valid.example"]);
    let prepared = prepare(&cert.node, &csv(), None, NOW).unwrap();
    assert_eq!(prepared.next_expiry.unwrap().to_string(), "2099-01-01T00:00:00.000000Z");
    let counts: Vec<_> = prepared.summary.left_out.into_iter().collect();
    let expect = [("indicators that are valid no longer", 1), ("objects that are revoked", 1)];
    assert_eq!(counts, expect.map(|(reason, count)| (reason.to_owned(), count)));
}

#[test]
fn patterns_that_are_no_list_of_values_are_counted() {
    let cert = Cert::new();
    cert.ours(&[
        indicator(1, "[domain-name:value = 'a.example' OR domain-name:value = 'b.example']", ""),
        indicator(2, "[domain-name:value = 'c.example' AND ipv4-addr:value = '198.51.100.1']", ""),
        indicator(3, "[domain-name:value = 'd.example'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.1']", ""),
        indicator(4, "alert tcp any any", "").replace(r#""pattern_type":"stix""#, r#""pattern_type":"snort""#),
        r#"{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd","value":"198.51.100.3"}"#.into(),
    ]);
    let (out, summary) = cert.export(&csv());
    assert_eq!(readers::csv(out.text()).len(), 3);
    assert_eq!(summary.left_out["indicators that one value cannot stand for"], 2);
    assert_eq!(summary.left_out["indicators in another language than STIX patterns"], 1);
    let all = ExportQuery { observables: true, ..csv() };
    assert_eq!(cert.table(&all).last().unwrap()[1], "198.51.100.3");
    assert_eq!(cert.export(&all).1.special, 1);
}

#[test]
fn a_bundle_has_what_stands_as_it_was_made() {
    let cert = Cert::new();
    let object = of_domain(1, "a.example", r#""x_note":"é\n","#);
    cert.ours(&[object.clone(), of_domain(2, "b.example", r#""revoked":true,"#)]);
    let (out, summary) = cert.export(&ExportQuery::new(ExportFormat::StixBundle));
    let bundle: serde_json::Value = serde_json::from_str(out.text()).unwrap();
    assert_eq!(summary.values, 1);
    assert_eq!(bundle["objects"][0], serde_json::from_str::<serde_json::Value>(&object).unwrap());
    let id = bundle["id"].as_str().unwrap();
    assert!(mithaq_core::stix::id::StixId::parse(id).is_ok(), "{id}");
}

#[test]
fn an_event_of_misp_is_the_same_in_whatever_order_its_values_came() {
    let earlier = (stranger(7), 20_000, of_domain(1, "a.example", ""));
    let later = (stranger(6), 20_001, of_domain(2, "a.example", ""));
    // Objects that make the one or the other CERT the first to be met, and that may be gone later.
    let met = |seed| (stranger(seed), 20_002, of_domain(9, "b.example", ""));
    let events = |releases: &[&(CertId, i64, String)]| {
        let cert = Cert::new();
        for (origin, day, object) in releases {
            cert.release(*origin, Tlp::Green, *day, std::slice::from_ref(object));
        }
        let files = cert.export(&ExportQuery::new(ExportFormat::MispFeed)).0.files;
        let has_it = |(name, text): &(&String, &String)| *name != "manifest.json" && text.contains("a.example");
        let (name, text) = files.iter().find(has_it).unwrap();
        let event: serde_json::Value = serde_json::from_str(text).unwrap();
        let info = event["Event"]["info"].as_str().unwrap().to_owned();
        (name.clone(), info, event["Event"]["Attribute"][0]["uuid"].clone())
    };
    let expect = events(&[&earlier, &later]);
    assert!(expect.1.contains(&stranger(7).fmt_short()), "the first to publish it is named: {}", expect.1);
    let others = [met(6), met(7)];
    for order in [[&later, &earlier, &others[0]], [&others[0], &later, &earlier], [&others[1], &later, &earlier]] {
        assert_eq!(events(&order), expect);
    }
}

#[test]
fn a_collection_that_is_not_there_is_refused() {
    let cert = Cert::new();
    let query = ExportQuery { collection: Some("finance".into()), ..csv() };
    let refused = prepare(&cert.node, &query, None, NOW).unwrap_err();
    assert!(matches!(refused, ExportError::Collection { .. }), "{refused}");
    assert_eq!(refused.problem().code, "MQ-6024");
}

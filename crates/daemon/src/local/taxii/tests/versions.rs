//! Two bodies of one id and `modified`: whoever asks, and however, is served the one that its owner published last.

use mithaq_api::export::{ExportFormat, ExportLine, ExportQuery};
use mithaq_core::id::ContentId;

use super::*;
use crate::local::lookup;

const MODIFIED: &str = "2020-01-01T00:00:00.000Z";

/// A second after [`NOW`].
const LATER: Time = Time::from_micros(NOW.as_micros() + 1_000_000);

fn content(text: &str) -> ContentId {
    Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap().id()
}

/// Two bodies of one version, the one with the smaller content id first.
fn twins(more: &str) -> [String; 2] {
    let one = indicator(1, MODIFIED).replace("\"valid_from\":", &format!("{more}\"valid_from\":"));
    let mut twins = [one.clone(), one.replace("a.example", "b.example")];
    twins.sort_by_key(|text| content(text));
    twins
}

impl Cert {
    /// The lines of a path beside TAXII that have this operation, by content.
    async fn told(&self, path: &str, operation: &str) -> Vec<ContentId> {
        let text = self.streamed("default", path).await.text;
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let meant = lines.filter(|line| line["op"] == operation);
        meant.map(|line| line["content"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// What people are shown as current.
    fn current(&self) -> Vec<ContentId> {
        let held = lookup::show(&self.node, &id(1)).unwrap();
        held.into_iter().filter(|held| held.current).map(|held| held.content).collect()
    }

    /// An export of a collection and its summary, without the times at which it was made.
    pub(super) async fn exported(&self, format: ExportFormat, collection: &str) -> String {
        let query = ExportQuery { collection: Some(collection.to_owned()), ..ExportQuery::new(format) };
        let mut lines = crate::export::export(&self.node, query, None).await.unwrap();
        let mut text = String::new();
        let mut is_state = false;
        while let Some(line) = lines.recv().await {
            match serde_json::from_slice(&line).unwrap() {
                ExportLine::State => is_state = true,
                ExportLine::Text(_) if is_state => {}
                _ => text.push_str(std::str::from_utf8(&line).unwrap()),
            }
        }
        text.split('"').map(|part| if is_seconds(part) { "…" } else { part }).collect::<Vec<_>>().join("\"")
    }
}

/// Whether a text is a time of now in seconds, as MISP has it.
fn is_seconds(text: &str) -> bool {
    let digits = text.trim_end_matches('\\');
    digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[tokio::test]
async fn everyone_is_served_what_its_owner_published_last() {
    let [smaller, larger] = twins("");
    // On a tie the smaller content counts; what arrives later changes nothing.
    for (expect, published) in [
        (&larger, [(LATER, &larger), (NOW, &smaller)]),
        (&larger, [(NOW, &smaller), (LATER, &larger)]),
        (&smaller, [(LATER, &smaller), (NOW, &larger)]),
        (&smaller, [(NOW, &larger), (NOW, &smaller)]),
        (&smaller, [(NOW, &smaller), (NOW, &larger)]),
    ] {
        let cert = Cert::new(1);
        for (at, object) in published {
            cert.release_at(at, Tlp::Clear, std::slice::from_ref(object));
        }
        // What readers may not see does not count, be it newer.
        cert.release_at(LATER, Tlp::Red, &[smaller.clone(), larger.clone()]);
        cert.release_at(LATER, Tlp::Red, std::slice::from_ref(&smaller));
        let is_red_last = expect == &larger;
        let object: serde_json::Value = serde_json::from_str(expect).unwrap();
        for listing in ["objects/", "objects/?match[version]=all", "objects/?match[version]=first&limit=1"] {
            assert_eq!(cert.page(listing).await.json["objects"], serde_json::json!([object]), "{listing}");
        }
        let by_time = format!("objects/{}/?match[version]={MODIFIED}", id(1));
        assert_eq!(cert.page(&by_time).await.json["objects"], serde_json::json!([object]));
        let versions = cert.page(&format!("objects/{}/versions/", id(1))).await.json;
        assert_eq!(versions["versions"], serde_json::json!([MODIFIED]));
        assert_eq!(cert.told("/v1/snapshot", "put").await, [content(expect)]);
        assert_eq!(cert.told("/v1/stream", "put").await.len(), 2, "a stream tells of both");
        assert!(cert.exported(ExportFormat::StixBundle, "default").await.contains(object["pattern"].as_str().unwrap()));
        // People see all, what was published last of all that is held.
        assert_eq!(cert.current(), if is_red_last { [content(&smaller)] } else { [content(expect)] });
    }
}

#[tokio::test]
async fn only_the_version_that_is_served_expires() {
    let [smaller, larger] = twins(r#""valid_until":"2021-01-01T00:00:00Z","#);
    let cert = Cert::new(1);
    cert.release_at(LATER, Tlp::Clear, std::slice::from_ref(&larger));
    cert.release_at(NOW, Tlp::Clear, &[smaller]);
    crate::expiry::tell(&cert.node).unwrap();
    assert_eq!(cert.told("/v1/stream", "expire").await, [content(&larger)]);
}

#[tokio::test]
async fn a_page_ends_at_no_place_that_hidden_versions_give() {
    let [shown, more] = [false, true].map(|more| {
        let cert = Cert::new(1);
        for thousand in 0..3 {
            let objects = indicators(thousand * 1_000..(thousand + 1) * 1_000);
            cert.release(Tlp::Clear, &objects);
            if more {
                let newer = |number| indicator(number, "2021-01-01T00:00:00.000Z");
                let hidden: Vec<_> = (thousand * 1_000..(thousand + 1) * 1_000).map(newer).collect();
                cert.release(Tlp::Red, &hidden);
            }
        }
        cert
    });
    for query in ["objects/?limit=10000", "objects/?match[version]=all&limit=2500"] {
        let (left, right) = (shown.page(query).await, more.page(query).await);
        assert_eq!((left.ids().len(), left.json["more"].clone()), (right.ids().len(), right.json["more"].clone()));
    }
}

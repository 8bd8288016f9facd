//! TAXII as a client sees it, on a CERT in memory and without a socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test says what failed by panicking.

mod collections;
mod filters;
mod following;
mod paging;
mod protocol;
mod reads;
mod versions;

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    body::Body as HttpBody,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use mithaq_api::{
    config::Config,
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
use mithaq_store::{Arrival, Batch, MemoryStore, Store, StoreId};
use tempfile::TempDir;
use tower::ServiceExt;

use super::router;
use crate::local::access::{Access, open};
use crate::{node::Node, standing::Standing};

/// What the clock of every test shows, however much happens.
const NOW: Time = Time::from_micros(1_790_000_000_000_000);

/// A CERT with an empty store, and the router of its SIEM socket.
struct Cert {
    node: Arc<Node>,
    router: Router,
    _home: TempDir,
}

/// An answer, its body read.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    json: serde_json::Value,
}

impl Cert {
    /// A CERT whose store has this id.
    fn new(store: u8) -> Self {
        Self::with_socket(store, None)
    }

    fn with_socket(store: u8, socket: Option<&Path>) -> Self {
        Self::configured(store, socket, "")
    }

    /// A CERT whose readers may read all collections of this configuration.
    fn configured(store: u8, socket: Option<&Path>, config: &str) -> Self {
        Self::over(Arc::new(MemoryStore::new(StoreId::from_bytes([store; 16]))), socket, config)
    }

    /// The same over another store.
    fn over(store: Arc<dyn Store>, socket: Option<&Path>, config: &str) -> Self {
        let config = Config::parse(config, Path::new("mithaq.toml")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let home = make_home(dir.path());
        let node = Arc::new(Node::new(home, config, store, Standing::default(), [0; 16]).unwrap());
        let access = Access::new("uid:0", node.collections.all());
        Self { router: open(router(Arc::clone(&node), socket), access), node, _home: dir }
    }

    /// TAXII without anybody's rights.
    fn bare_router(&self) -> Router {
        router(Arc::clone(&self.node), None)
    }

    /// Stores one release of these objects.
    fn release(&self, tlp: Tlp, objects: &[String]) {
        self.release_at(NOW, tlp, objects);
    }

    /// Stores one release of another CERT.
    fn release_of(&self, seed: u8, tlp: Tlp, objects: &[String]) {
        self.release_of_at(seed, NOW, tlp, objects);
    }

    /// Stores one release of another CERT that was published then.
    fn release_of_at(&self, seed: u8, at: Time, tlp: Tlp, objects: &[String]) {
        let key = SecretKey::from_seed(&[seed; 32]).unwrap();
        self.store_release(CertId::from_bytes([seed; 32]), &key, at, tlp, objects);
    }

    /// Stores one release of ours that was published then.
    fn release_at(&self, published_at: Time, tlp: Tlp, objects: &[String]) {
        let identity = self.node.identity();
        self.store_release(self.node.us, identity.signing_key(NOW).unwrap(), published_at, tlp, objects);
    }

    fn store_release(&self, origin: CertId, key: &SecretKey, at: Time, tlp: Tlp, objects: &[String]) {
        let bodies: Vec<_> =
            objects.iter().map(|text| Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap()).collect();
        let contents = bodies.iter().map(Body::id).collect();
        let label = Label { categories: Category::ALL.into(), ..Label::new(tlp, Category::Threat) };
        let release = VerifiedRelease::sign(origin, key, ReleaseDraft::publish(label, contents, at)).unwrap();
        let batch = Batch { arrivals: vec![Arrival { release, bodies }], ..Batch::default() };
        self.node.store.commit(batch, NOW).unwrap();
    }

    async fn send(&self, method: Method, path: &str, accept: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        let response = self.router.clone().oneshot(request.body(HttpBody::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, text, json }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Some("application/taxii+json;version=2.1")).await
    }

    /// The collection's path, as a client finds it.
    async fn collection(&self) -> String {
        let root = self.get("/taxii2/").await.json["api_roots"][0].as_str().unwrap().to_owned();
        let collections = self.get(&format!("{root}collections/")).await.json;
        format!("{root}collections/{}/", collections["collections"][0]["id"].as_str().unwrap())
    }

    /// One page of a listing under the collection.
    async fn page(&self, listing: &str) -> Answer {
        let answer = self.get(&format!("{}{listing}", self.collection().await)).await;
        assert_eq!(answer.status, StatusCode::OK, "{listing}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/taxii+json;version=2.1");
        assert_eq!(answer.json["more"].as_bool().unwrap(), answer.json["next"].is_string(), "{}", answer.text);
        answer
    }

    /// All pages of a listing, which has a query already: what they hold, page by page.
    async fn pages(&self, listing: &str) -> Vec<Answer> {
        let path = listing.split('?').next().unwrap();
        let mut pages = vec![self.page(listing).await];
        while let Some(next) = pages.last().unwrap().json["next"].as_str() {
            let next = format!("{path}?next={next}");
            pages.push(self.page(&next).await);
        }
        pages
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The ids of the objects or of what manifests tell of them.
    fn ids(&self) -> Vec<String> {
        let objects = self.json["objects"].as_array().unwrap_or_else(|| panic!("no objects: {}", self.text));
        objects.iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn is_error(&self, status: u16, code: &str) {
        let error = &self.json;
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/taxii+json;version=2.1");
        assert_eq!((&error["http_status"], &error["error_code"]), (&status.to_string().into(), &code.into()));
        assert!(!error["title"].as_str().unwrap().is_empty() && !error["description"].as_str().unwrap().is_empty());
    }
}

fn ids_of(pages: &[Answer]) -> Vec<String> {
    pages.iter().flat_map(Answer::ids).collect()
}

fn make_home(dir: &Path) -> Home {
    let home = Home::at(dir);
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).unwrap();
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
    let card = VerifiedCard::sign(&key(1), details).unwrap();
    create_private_dir(&dir.join("keys")).unwrap();
    create_file(&home.card_path(), &serde_json::to_vec(card.envelope()).unwrap(), 0o644).unwrap();
    home.create_key(KeyName::Signing, &key(2)).unwrap();
    home.create_key(KeyName::Tls, &key(3)).unwrap();
    home
}

fn id(number: usize) -> String {
    format!("indicator--00000000-0000-4000-8000-{number:012}")
}

/// An indicator with this number and version.
fn indicator(number: usize, modified: &str) -> String {
    let created = "2020-01-01T00:00:00.000Z";
    let pattern = r#""pattern":"[domain-name:value = 'a.example']","pattern_type":"stix""#;
    format!(
        r#"{{"created":"{created}","id":"{}","modified":"{modified}",{pattern},"spec_version":"2.1","type":"indicator","valid_from":"{created}"}}"#,
        id(number)
    )
}

fn indicators(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| indicator(number, "2020-01-01T00:00:00.000Z")).collect()
}

//! Streams that are followed end when the right to read them does, and tell nothing more from then on.

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use futures_util::StreamExt;
use mithaq_api::tokens::Tokens;
use tokio::{io::AsyncReadExt, net::UnixStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::local::{lines, siem, token};

/// How long something may take that is there within a second on a machine with time.
const PATIENCE: Duration = Duration::from_secs(30);

const GREEN: &str = "[collection.green]\ntlp_max = \"green\"\n";

/// An answer that is being read.
struct Following(BodyDataStream);

impl Following {
    async fn begin(router: &Router, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router.clone().oneshot(request.body(HttpBody::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self(response.into_body().into_data_stream())
    }

    async fn next(&mut self) -> Option<Bytes> {
        let chunk = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("neither a chunk nor the end came");
        chunk.map(|chunk| chunk.unwrap())
    }
}

impl Cert {
    /// Stores a release and wakes who follows the log.
    fn publish(&self, tlp: Tlp, objects: &[String]) {
        self.release(tlp, objects);
        self.node.commit(Batch::default()).unwrap();
    }

    fn reconfigure(&self, config: &str) {
        self.node.collections.replace(&self.node, &Config::parse(config, Path::new("mithaq.toml")).unwrap());
    }

    /// A router behind a file with these tokens, each named as it is.
    fn tokens(&self, names: &[&str], collections: &[&str]) -> (Router, Tokens, std::path::PathBuf) {
        let path = self._home.path().join("keys/siem.token");
        let mut tokens = Tokens::default();
        for name in names {
            let collections = collections.iter().map(|name| (*name).to_owned()).collect();
            tokens.add(name, collections, random(name), NOW).unwrap();
        }
        tokens.save(&path).unwrap();
        let file = token::TokenFile::open(path.clone()).unwrap();
        let router = siem::router(Arc::clone(&self.node), None);
        (token::guard(router, Arc::clone(&self.node), file), tokens, path)
    }
}

/// What a token is made of, by its name.
fn random(name: &str) -> [u8; 32] {
    [name.as_bytes()[0]; 32]
}

fn bearer(name: &str) -> String {
    format!("Bearer {}", Tokens::default().add(name, [].into(), random(name), NOW).unwrap())
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_others_go_on() {
    let cert = Cert::configured(1, None, "");
    cert.publish(Tlp::Green, &indicators(0..1));
    let (router, mut tokens, path) = cert.tokens(&["a", "b"], &["default"]);
    for (number, path_and_query, accept) in [
        (1, "/v1/stream?follow=true", "*/*"),
        (2, "/v1/stream", "text/event-stream"),
        (3, "/v1/stream?wait=300&cursor=end", "*/*"),
    ] {
        let mut both = Vec::new();
        for name in ["a", "b"] {
            let headers = [("authorization", &*bearer(name)), ("accept", accept)];
            both.push(Following::begin(&router, path_and_query, &headers).await);
        }
        let [gone, stays] = &mut both[..] else { unreachable!() };
        if !path_and_query.contains("end") {
            assert!(gone.next().await.is_some() && stays.next().await.is_some());
        }
        tokens.remove("a").unwrap();
        tokens.save(&path).unwrap();
        assert_eq!(gone.next().await, None, "{path_and_query} outlived its token");
        cert.publish(Tlp::Green, &indicators(number..number + 1));
        assert!(stays.next().await.is_some());
        tokens.add("a", ["default".to_owned()].into(), random("a"), NOW).unwrap();
        tokens.save(&path).unwrap();
    }
}

#[tokio::test]
async fn a_token_that_opens_less_ends_what_it_opens_no_more() {
    let cert = Cert::configured(1, None, GREEN);
    cert.publish(Tlp::Green, &indicators(0..1));
    let (router, mut tokens, path) = cert.tokens(&["a"], &["default", "green"]);
    let headers = [("authorization", &*bearer("a"))];
    let mut narrow = Following::begin(&router, "/v1/stream?follow=true&collection=green", &headers).await;
    let mut wide = Following::begin(&router, "/v1/stream?follow=true&collection=default", &headers).await;
    assert!(narrow.next().await.is_some() && wide.next().await.is_some());
    tokens.remove("a").unwrap();
    tokens.add("a", ["green".to_owned()].into(), random("a"), NOW).unwrap();
    tokens.save(&path).unwrap();
    assert_eq!(wide.next().await, None);
    cert.publish(Tlp::Green, &indicators(1..2));
    assert!(narrow.next().await.is_some());
}

#[tokio::test]
async fn a_reader_that_stood_still_is_given_nothing_once_its_right_is_gone() {
    let cert = Cert::configured(1, None, GREEN);
    for thousand in 0..3 {
        cert.publish(Tlp::Green, &indicators(thousand * 1_000..(thousand + 1) * 1_000));
    }
    let (router, mut tokens, path) = cert.tokens(&["a"], &["default", "green"]);
    let headers = [("authorization", &*bearer("a"))];
    let mut readers = Vec::new();
    for (path, collection) in
        [("stream", "default"), ("snapshot", "default"), ("stream", "green"), ("snapshot", "green")]
    {
        readers.push(Following::begin(&router, &format!("/v1/{path}?collection={collection}"), &headers).await);
    }
    for reader in &mut readers {
        assert!(reader.next().await.is_some());
    }
    // Chunks were read ahead for all of them.
    cert.reconfigure("[collection.green]\ntlp_max = \"clear\"\n");
    for reader in &mut readers[2..] {
        assert_eq!(reader.next().await, None, "the collection shows less");
    }
    for reader in &mut readers[..2] {
        assert!(reader.next().await.is_some(), "the other collection stays");
    }
    tokens.remove("a").unwrap();
    tokens.save(&path).unwrap();
    for reader in &mut readers[..2] {
        assert_eq!(reader.next().await, None, "the token is gone");
    }
}

#[tokio::test]
async fn what_is_read_of_a_collection_ends_when_it_is_narrowed_or_removed() {
    let cert = Cert::configured(1, None, GREEN);
    cert.publish(Tlp::Green, &indicators(0..1));
    let socket = cert._home.path().join("lines.sock");
    let end = CancellationToken::new();
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(lines::serve(Arc::clone(&cert.node), listener, "green".into(), end.clone()));
    // Less than before, others than before, and no more at all.
    for (number, config) in
        [(1, "[collection.green]\ntlp_max = \"clear\"\n"), (2, "[collection.green]\nuids = [12345]\n"), (3, "")]
    {
        cert.reconfigure(GREEN);
        let access = Access::new("uid:0", vec![cert.node.collections.named("green").unwrap()]);
        let router = open(siem::router(Arc::clone(&cert.node), None), access);
        let mut followed = Following::begin(&router, "/v1/stream?follow=true", &[]).await;
        let mut events = Following::begin(&router, "/v1/stream", &[("accept", "text/event-stream")]).await;
        let mut lines = UnixStream::connect(&socket).await.unwrap();
        assert!(followed.next().await.is_some() && events.next().await.is_some());
        assert!(lines.read(&mut [0; 1024]).await.unwrap() > 0);
        cert.reconfigure(config);
        cert.publish(Tlp::Green, &indicators(number..number + 1));
        assert_eq!((followed.next().await, events.next().await), (None, None), "{config}");
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, lines.read_to_end(&mut rest)).await.unwrap().unwrap();
        let added = id(number);
        assert!(!String::from_utf8(rest).unwrap().contains(&added), "{config}");
    }
    end.cancel();
}

#[tokio::test]
async fn of_a_thousand_readers_each_has_an_answer_and_a_place_that_is_left_is_taken() {
    let cert = Cert::configured(1, None, "");
    cert.publish(Tlp::Green, &indicators(0..1));
    let access = Access::new("uid:0", cert.node.collections.all());
    let router = open(siem::router(Arc::clone(&cert.node), None), access);
    let ask = || Request::get("/v1/stream?follow=true").body(HttpBody::empty()).unwrap();
    let (mut read, mut refused) = (Vec::new(), 0);
    for _ in 0..1_000 {
        let response = router.clone().oneshot(ask()).await.unwrap();
        if response.status() == StatusCode::OK {
            read.push(Following(response.into_body().into_data_stream()));
            continue;
        }
        refused += 1;
        assert_eq!(
            (response.status(), response.headers()[header::RETRY_AFTER].to_str().unwrap()),
            (StatusCode::SERVICE_UNAVAILABLE, "30")
        );
        let text = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        assert!(String::from_utf8_lossy(&text).contains("MQ-6021"));
    }
    assert_eq!((read.len(), refused), (256, 744));
    for reader in &mut read {
        assert!(reader.next().await.is_some());
    }
    // Pages are no streams: whoever asks for one waits for its turn.
    let pages = (0..1_000).map(|_| cert.get("/taxii2/mithaq/collections/default/objects/"));
    let pages = futures_util::future::join_all(pages).await;
    assert!(pages.iter().all(|page| page.status == StatusCode::OK && page.ids().len() == 1));
    drop(read.pop());
    tokio::time::timeout(PATIENCE, async {
        while router.clone().oneshot(ask()).await.unwrap().status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a place that was left is not taken");
}

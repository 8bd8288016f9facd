//! What a SIEM does: it reads everything, page by page, and remembers where it was.

use std::os::unix::net::UnixStream;

use mithaq_core::id::ContentId;
use serde_json::{Value, value::RawValue};

use super::{Answer, Cert, get};

/// A line of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) cursor: String,
    pub(crate) content: String,
    pub(crate) object: Value,
}

impl Line {
    /// Reads a line and checks that the object is the one that its content id names.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let line: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        let parts: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap();
        let member = |name: &str| line[name].as_str().unwrap().to_owned();
        let this = Self { cursor: member("cursor"), content: member("content"), object: line["object"].clone() };
        let op = if line["object"]["revoked"] == true { "revoke" } else { "put" };
        assert_eq!(line["op"], op, "{text}");
        assert_eq!(ContentId::of(parts["object"].get().as_bytes()).to_string(), this.content, "{text}");
        this
    }
}

fn ask(cert: &Cert, path: &str, headers: &[(&str, &str)]) -> Answer {
    get(UnixStream::connect(cert.siem_socket()).unwrap(), path, headers).unwrap()
}

/// Reads the objects of the stream to its end in pages of `page` lines, from `cursor` on. That some of them are valid no
/// more is passed over.
#[track_caller]
pub(crate) fn read_stream(cert: &Cert, cursor: Option<&str>, page: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut cursor = cursor.map(str::to_owned);
    loop {
        let from = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let answer = ask(cert, &format!("/v1/stream?limit={page}{from}"), &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let read: Vec<_> = answer.text().lines().collect();
        assert!(read.len() <= page, "{} lines where {page} were asked for", read.len());
        let Some(last) = read.last() else { return lines };
        let last: Value = serde_json::from_str(last).unwrap();
        cursor = Some(last["cursor"].as_str().unwrap().to_owned());
        lines.extend(read.into_iter().filter(|line| !line.contains(r#","op":"expire","#)).map(Line::parse));
    }
}

/// What the stream tells a reader to do with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// `put`, `revoke` or `withdraw`.
    pub(crate) op: String,
    /// The object's STIX id.
    pub(crate) id: String,
}

/// The cursor of a reader that has read everything.
#[track_caller]
pub(crate) fn end_of_stream(cert: &Cert) -> String {
    let lines = stream_lines(cert, None);
    lines.last().unwrap_or_else(|| panic!("{} has shown nothing", cert.name))["cursor"].as_str().unwrap().to_owned()
}

/// What a reader is told that goes on from a cursor.
#[track_caller]
pub(crate) fn told_since(cert: &Cert, cursor: &str) -> Vec<Told> {
    let told = |line: Value| {
        let op = line["op"].as_str().unwrap().to_owned();
        let id = if op == "withdraw" { &line["id"] } else { &line["object"]["id"] };
        Told { op, id: id.as_str().unwrap().to_owned() }
    };
    stream_lines(cert, Some(cursor)).into_iter().map(told).collect()
}

fn stream_lines(cert: &Cert, cursor: Option<&str>) -> Vec<Value> {
    let from = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
    let answer = ask(cert, &format!("/v1/stream{from}"), &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Reads every object of every collection by TAXII 2.1, in pages of `page` objects.
#[track_caller]
pub(crate) fn read_taxii(cert: &Cert, page: usize) -> Vec<Value> {
    let taxii = |path: &str| {
        let answer = ask(cert, path, &[("accept", "application/taxii+json;version=2.1")]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/taxii+json;version=2.1"), "{path}");
        answer.json()
    };
    let root = taxii("/taxii2/")["api_roots"][0].as_str().unwrap().to_owned();
    // The API root may be told as a whole URL.
    let root = root.split_once("://").map_or(root.as_str(), |(_, rest)| &rest[rest.find('/').unwrap()..]);
    let root = root.trim_end_matches('/');
    let mut objects = Vec::new();
    for collection in taxii(&format!("{root}/collections/"))["collections"].as_array().unwrap() {
        let id = collection["id"].as_str().unwrap();
        let mut next = String::new();
        loop {
            let answer = taxii(&format!("{root}/collections/{id}/objects/?limit={page}{next}"));
            let read = answer["objects"].as_array().unwrap();
            assert!(read.len() <= page);
            objects.extend(read.iter().cloned());
            if answer["more"] != true {
                break;
            }
            next = format!("&next={}", answer["next"].as_str().unwrap());
        }
    }
    objects
}

//! TAXII's resources and errors as HTTP answers.

use std::sync::Arc;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mithaq_api::http::Problem;
use mithaq_core::{card::Card, code::Code, time::Time};
use mithaq_store::StoreError;
use serde::Serialize;
use serde_json::json;

use super::{
    API_ROOT,
    filter::Header,
    page::{Entry, Page},
    query::Query,
};
use crate::{collections::Collection, local::answer::Failed};

/// The one media type of answers.
pub(super) const MEDIA_TYPE: &str = "application/taxii+json;version=2.1";

/// The media type of objects.
const OBJECT_MEDIA_TYPE: &str = "application/stix+json;version=2.1";

/// The largest request that would be taken if there were any to take: the standard wants a number above 0.
const CONTENT_LENGTH_MAX: usize = 1024 * 1024;

const DATE_ADDED_FIRST: HeaderName = HeaderName::from_static("x-taxii-date-added-first");
const DATE_ADDED_LAST: HeaderName = HeaderName::from_static("x-taxii-date-added-last");

/// A failure, told as an error resource (TAXII 2.1 §3.6.1).
#[derive(Debug)]
pub(super) struct TaxiiError(Failed);

impl From<Failed> for TaxiiError {
    fn from(failed: Failed) -> Self {
        Self(failed)
    }
}

impl From<StoreError> for TaxiiError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for TaxiiError {
    fn into_response(self) -> Response {
        let Failed(status, Problem { code, message }) = self.0;
        let explanation = code.parse().ok().and_then(Code::explain);
        let resource = json!({
            "title": explanation.map_or("failure", |explanation| explanation.title),
            "description": message,
            "error_code": code,
            "http_status": status.as_str(),
        });
        let mut response = (status, resource_of(&resource)).into_response();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

/// The answer to whatever would change the collection.
pub(super) fn read_only() -> TaxiiError {
    let message = "this collection is read only: objects come in with `mithaq push`";
    Failed(StatusCode::METHOD_NOT_ALLOWED, Problem::new(Code::READ_ONLY, message)).into()
}

/// The discovery resource (§4.1.1).
pub(super) fn discovery(card: &Card) -> Response {
    let mut resource = json!({
        "title": format!("{} (Mithaq)", card.name),
        "description": "Incident indicators that this CERT holds, its own and those of its peers",
        "default": API_ROOT,
        "api_roots": [API_ROOT],
    });
    if !card.contacts.is_empty() {
        resource["contact"] = card.contacts.join(", ").into();
    }
    resource_of(&resource)
}

/// The API root resource (§4.2.1).
pub(super) fn api_root() -> Response {
    resource_of(&json!({
        "title": "Mithaq",
        "versions": [MEDIA_TYPE],
        "max_content_length": CONTENT_LENGTH_MAX,
    }))
}

/// The collections resource (§5.1.1); a list that is empty is left out.
pub(super) fn collections(collections: &[Arc<Collection>]) -> Response {
    let listed: Vec<_> = collections.iter().map(|collection| collection_of(collection)).collect();
    resource_of(&if listed.is_empty() { json!({}) } else { json!({ "collections": listed }) })
}

/// The collection resource (§5.2.1).
pub(super) fn collection(collection: &Collection) -> Response {
    resource_of(&collection_of(collection))
}

fn collection_of(collection: &Collection) -> serde_json::Value {
    json!({
        "id": collection.id,
        "title": collection.title,
        "description": "Objects that this CERT shows to readers of this collection",
        "alias": collection.name,
        "can_read": true,
        "can_write": false,
        "media_types": [OBJECT_MEDIA_TYPE],
    })
}

fn resource_of(value: &serde_json::Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}

/// What of a page's objects is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// The objects (§3.7).
    Objects,
    /// What manifests tell of them (§5.3.1).
    Manifest,
    /// Their versions (§5.8.1).
    Versions,
}

/// An entry of a manifest.
#[derive(Serialize)]
struct ManifestRecord<'a> {
    id: &'a str,
    date_added: Time,
    version: &'a str,
    media_type: &'static str,
}

/// Lists a page.
pub(super) fn page(listing: Listing, page: Page, query: &Query, collection: &str) -> Result<Response, TaxiiError> {
    // The standard wants both times in every answer: if there is no object, the time that the query is answered to,
    // so that a client that keeps the last one as its `added_after` loses nothing.
    let none = page.answered_to;
    let first = page.entries.first().map_or(none, |entry| entry.added_micros);
    let last = page.entries.last().map_or(none, |entry| entry.added_micros);
    let headers = [
        (header::CONTENT_TYPE, MEDIA_TYPE.to_owned()),
        (DATE_ADDED_FIRST, Time::from_micros(first).to_string()),
        (DATE_ADDED_LAST, Time::from_micros(last).to_string()),
    ];
    let mut text = format!(r#"{{"more":{}"#, page.more).into_bytes();
    if page.more {
        let next = query.next(collection, page.answered_to);
        text.extend_from_slice(format!(r#","next":"{next}""#).as_bytes());
    }
    write_list(listing, page.entries, &mut text)?;
    text.extend_from_slice(b"}\n");
    Ok((headers, text).into_response())
}

/// Writes the list; the bytes of objects are taken as they are.
///
/// The standard leaves out a list that is empty. `objects` is written all the same, since Elastic reads it unguarded.
fn write_list(listing: Listing, entries: Vec<Entry>, text: &mut Vec<u8>) -> Result<(), StoreError> {
    let name: &[u8] = match listing {
        Listing::Versions if entries.is_empty() => return Ok(()),
        Listing::Versions => br#","versions":["#,
        Listing::Objects | Listing::Manifest => br#","objects":["#,
    };
    text.extend_from_slice(name);
    for (index, entry) in entries.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_entry(listing, entry, text)?;
    }
    text.push(b']');
    Ok(())
}

fn write_entry(listing: Listing, entry: Entry, text: &mut Vec<u8>) -> Result<(), StoreError> {
    if listing == Listing::Objects {
        text.extend_from_slice(&entry.body);
        return Ok(());
    }
    let header = Header::read(entry.content, &entry.body)?;
    let record = ManifestRecord {
        id: &header.id,
        date_added: Time::from_micros(entry.added_micros),
        version: header.version(),
        media_type: OBJECT_MEDIA_TYPE,
    };
    // INVARIANT: texts serialise.
    let _ = match listing {
        Listing::Versions => serde_json::to_writer(text, record.version),
        Listing::Objects | Listing::Manifest => serde_json::to_writer(text, &record),
    };
    Ok(())
}

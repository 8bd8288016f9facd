//! TAXII 2.1 over the feed, read only: one API root with the collections that the reader may see.
//!
//! An object's `date_added` is its time in the feed, which no two objects share, so a page is found by a time alone:
//! nothing is lost or repeated where pages end, and nothing is kept between requests. A client learns no row of the
//! log, so what it may not see leaves no gap that it could count.

mod accept;
mod answer;
mod filter;
mod next;
mod page;
mod query;
#[cfg(test)]
mod tests;

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use axum::{
    Router,
    extract::{Extension, FromRequestParts, RawPathParams, State, rejection::RawPathParamsRejection},
    http::{HeaderMap, Method, Uri, request::Parts},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use tokio::sync::Semaphore;

use self::{
    answer::{Listing, TaxiiError},
    page::Reader,
    query::Query,
};
use super::{
    access::{Access, Rights},
    answer::{Failed, blocking},
    even::until_even,
};
use crate::{collections::Collection, node::Node};

/// The path of the one API root.
const API_ROOT: &str = "/taxii2/mithaq/";

/// How many pages are read at a time: each may hold [`page::PAGE_BYTES_MAX`] and a release in memory.
const PAGES_AT_ONCE_MAX: usize = 4;

#[derive(Clone)]
struct Taxii {
    node: Arc<Node>,
    socket: Option<Arc<PathBuf>>,
    pages: Arc<Semaphore>,
}

/// The routes of TAXII, and of the socket's own path if there is one: some clients take one path for both socket and
/// request (`http+unix:///path`), so there it is an alias of the collection's objects.
pub(super) fn router(node: Arc<Node>, socket: Option<&Path>) -> Router {
    let taxii = Taxii {
        node,
        socket: socket.map(|path| Arc::new(path.to_owned())),
        pages: Arc::new(Semaphore::new(PAGES_AT_ONCE_MAX)),
    };
    let routes = [
        ("/taxii2", get(discovery)),
        ("/taxii2/mithaq", get(api_root)),
        ("/taxii2/mithaq/collections", get(collections)),
        ("/taxii2/mithaq/collections/{collection}", get(collection)),
        ("/taxii2/mithaq/collections/{collection}/objects", get(objects)),
        ("/taxii2/mithaq/collections/{collection}/objects/{object}", get(object)),
        ("/taxii2/mithaq/collections/{collection}/objects/{object}/versions", get(versions)),
        ("/taxii2/mithaq/collections/{collection}/manifest", get(manifest)),
    ];
    let add = |router: Router<Taxii>, (path, method): (&str, MethodRouter<Taxii>)| {
        router.route(path, method.clone()).route(&format!("{path}/"), method)
    };
    let routes = routes.into_iter().fold(Router::new(), add);
    routes.method_not_allowed_fallback(read_only).fallback(elsewhere).with_state(taxii)
}

/// A request that may be answered: its media type is ours, and so is the collection that its path names.
struct Asked {
    access: Access,
    /// The collection that the path names.
    collection: Option<Arc<Collection>>,
    object: Option<String>,
    uri: Uri,
}

impl FromRequestParts<Taxii> for Asked {
    type Rejection = TaxiiError;

    async fn from_request_parts(parts: &mut Parts, taxii: &Taxii) -> Result<Self, TaxiiError> {
        accept::check(&parts.headers)?;
        // INVARIANT: both guards put rights there before a request comes here; without any, nothing is there for it.
        let access = parts.extensions.get::<Access>().cloned();
        let access = access.unwrap_or_else(|| Access::new("", Vec::new()));
        let mut asked = Self { access, collection: None, object: None, uri: parts.uri.clone() };
        let params = match RawPathParams::from_request_parts(parts, taxii).await {
            Ok(params) => params,
            Err(RawPathParamsRejection::MissingPathParams(_)) => return Ok(asked),
            Err(_) => return Err(no_such_path()),
        };
        for (name, value) in &params {
            match name {
                "collection" => {
                    asked.collection = Some(asked.access.find(value).ok_or_else(no_such_collection)?);
                }
                // The store knows ids in lower case.
                _ => asked.object = Some(value.to_ascii_lowercase()),
            }
        }
        Ok(asked)
    }
}

impl Taxii {
    /// Reads a page of the collection that a request names, and lists it.
    async fn list(&self, asked: Asked, listing: Listing) -> Result<Response, TaxiiError> {
        let Asked { access, collection, object, uri } = asked;
        let collection = collection.ok_or_else(no_such_collection)?;
        let mut query = Query::parse(&uri, &collection.id)?;
        query.filter.narrow(object.as_deref(), listing == Listing::Versions);
        let (names_ids, begun) = (query.filter.ids().is_some(), Instant::now());
        let node = Arc::clone(&self.node);
        let permit = Arc::clone(&self.pages).acquire_owned().await;
        let read = move || {
            let _permit = permit;
            let mut reader = Reader::new(Arc::clone(&node), collection.visibility.clone(), &query);
            if let Some(object) = &object
                && !reader.holds(object)?
            {
                return Err(Failed::not_found("there is no such object in this collection").into());
            }
            let page = reader.read()?;
            let last = page.entries.last().map(|entry| entry.added_micros);
            node.collections.deliveries.note(&collection.name, &access.reader, page.entries.len(), last);
            answer::page(listing, page, &query, &collection.id)
        };
        let page = blocking(read).await?;
        if names_ids {
            until_even(begun).await;
        }
        page
    }
}

/// A failure of what stands before TAXII, as TAXII tells it.
pub(super) fn error(failed: Failed) -> Response {
    TaxiiError::from(failed).into_response()
}

fn no_such_collection() -> TaxiiError {
    Failed::not_found(format!("there is no such collection: {API_ROOT}collections/ lists them")).into()
}

fn no_such_path() -> TaxiiError {
    Failed::not_found("there is no such path on the SIEM socket: TAXII begins at /taxii2/, the stream is /v1/stream")
        .into()
}

async fn discovery(State(taxii): State<Taxii>, _: Asked) -> Response {
    answer::discovery(taxii.node.identity().card.card())
}

async fn api_root(_: Asked) -> Response {
    answer::api_root()
}

async fn collections(asked: Asked) -> Response {
    answer::collections(&asked.access.collections)
}

async fn collection(asked: Asked) -> Result<Response, TaxiiError> {
    let collection = asked.collection.ok_or_else(no_such_collection)?;
    Ok(answer::collection(&collection))
}

async fn objects(State(taxii): State<Taxii>, asked: Asked) -> Result<Response, TaxiiError> {
    taxii.list(asked, Listing::Objects).await
}

async fn object(State(taxii): State<Taxii>, asked: Asked) -> Result<Response, TaxiiError> {
    taxii.list(asked, Listing::Objects).await
}

async fn versions(State(taxii): State<Taxii>, asked: Asked) -> Result<Response, TaxiiError> {
    taxii.list(asked, Listing::Versions).await
}

async fn manifest(State(taxii): State<Taxii>, asked: Asked) -> Result<Response, TaxiiError> {
    taxii.list(asked, Listing::Manifest).await
}

async fn read_only() -> TaxiiError {
    answer::read_only()
}

/// Any other path: the socket's own, or none that is known.
async fn elsewhere(
    State(taxii): State<Taxii>,
    Extension(access): Rights,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, TaxiiError> {
    if !taxii.socket.as_ref().is_some_and(|socket| names(uri.path(), socket)) {
        return Err(no_such_path());
    }
    if method != Method::GET && method != Method::HEAD {
        return Err(answer::read_only());
    }
    accept::check(&headers)?;
    let collection = access.collections.first().cloned();
    taxii.list(Asked { access, collection, object: None, uri }, Listing::Objects).await
}

/// Whether the path of a URI names a file, with or without a slash at the end.
fn names(uri_path: &str, file: &Path) -> bool {
    let path = percent_decode(uri_path);
    let file = file.as_os_str().as_bytes();
    path == file || path.strip_suffix(b"/") == Some(file)
}

/// Decodes `%XX`; anything else, a broken escape too, stands for itself.
fn percent_decode(text: &str) -> Vec<u8> {
    let escaped = |digits: &[u8; 2]| {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        u8::from_str_radix(digits, 16).ok()
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let byte = if first == b'%' { behind.first_chunk().and_then(escaped) } else { None };
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    decoded
}

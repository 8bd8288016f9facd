//! Searches: by value, by words, or by filters alone, a page at a time.
//!
//! Each page looks at a bounded part of the index or of the log, whatever is asked, and says where the next one begins. A
//! cursor needs no memory of ours: it names a place, and what it belongs to.

mod log;
mod sieve;
mod translated;
mod wanted;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mithaq_api::http::{Held, Problem, SEARCH_LIMIT_MAX, SearchQuery};
use mithaq_core::{
    code::Code,
    id::{ContentId, sha256_of},
};
use mithaq_store::{Place, Query, StoreError};

use self::{sieve::Sieve, translated::Shown, wanted::Wanted};
use super::{answer::Failed, lookup};
use crate::node::Node;

/// How many results a search gives unless asked otherwise.
const SEARCH_LIMIT: usize = 100;

/// The most pages of the store or the log that one request looks at.
const PAGES_MAX: usize = 8;

/// How many results are asked of the store at once, at least and at most.
const AT_ONCE: (usize, usize) = (32, 256);

/// How many bytes of a cursor say which search it belongs to.
const TAG_BYTES: usize = 8;

/// The longest cursor in bytes, before it is written in base64.
const CURSOR_BYTES_MAX: usize = 64;

/// What a search found, and where it goes on.
pub(super) struct Answer {
    pub(super) held: Vec<Held>,
    pub(super) next: Option<String>,
}

/// Contents, each with the place behind it, and the place behind all.
struct Page {
    found: Vec<(ContentId, Place)>,
    next: Option<Place>,
}

/// Searches. Blocks.
pub(super) fn search(node: &Arc<Node>, query: &SearchQuery) -> Result<Answer, Failed> {
    let limit = query.limit.unwrap_or(SEARCH_LIMIT);
    if !(1..=SEARCH_LIMIT_MAX).contains(&limit) {
        return Err(Failed::bad_request(format!("limit is 1 to {SEARCH_LIMIT_MAX}")));
    }
    let sieve = Sieve::new(node, query)?;
    let wanted = Wanted::new(query)?;
    let tag = tag(node, query);
    let mut after = query.after.as_deref().map(|cursor| place_of(cursor, &tag)).transpose()?;
    let mut held = Vec::new();
    for _ in 0..PAGES_MAX {
        let count = (limit - held.len()).clamp(AT_ONCE.0, AT_ONCE.1);
        let page = match &wanted {
            Wanted::Any(queries) => indexed(node, queries, after.as_ref(), count)?,
            Wanted::Everything => log::page(node, &sieve, after.as_ref(), count)?,
        };
        for (content, place) in page.found {
            if held.len() == limit {
                return Ok(Answer { held, next: after.map(|after| cursor_of(&after, &tag)) });
            }
            if let Some(mut found) = take(node, &sieve, &wanted, content)? {
                found.cursor = Some(cursor_of(&place, &tag));
                held.push(found);
            }
            after = Some(place);
        }
        after = page.next;
        if after.is_none() || held.len() == limit {
            break;
        }
    }
    let next = after.map(|after| cursor_of(&after, &tag));
    if held.is_empty() && next.is_none() {
        return Err(Failed::not_found(nothing_found(query)));
    }
    Ok(Answer { held, next })
}

fn indexed(node: &Node, queries: &[Query], after: Option<&Place>, count: usize) -> Result<Page, StoreError> {
    let page = node.store.find(queries, after, count)?;
    let found = page.found.into_iter().map(|found| (found.content, found.place)).collect();
    Ok(Page { found, next: page.next })
}

/// A content as it is shown, unless it is sieved out or nobody stands by it any more: such is found by its id alone.
fn take(node: &Arc<Node>, sieve: &Sieve, wanted: &Wanted, content: ContentId) -> Result<Option<Held>, StoreError> {
    let shown = match wanted.words().filter(|_| !sieve.wants_translations()) {
        Some(words) => translated::shown(node, words, content)?,
        None => Shown::AsItIs,
    };
    let content = match &shown {
        Shown::AsItIs => content,
        Shown::As(object) => object.content,
        Shown::Elsewhere => return Ok(None),
    };
    if !sieve.lets_through(node, content)? {
        return Ok(None);
    }
    let held = match shown {
        Shown::As(object) => Some(*object),
        _ => lookup::held(node, content)?,
    };
    Ok(held.filter(|held| held.releases.iter().any(lookup::is_served)))
}

fn nothing_found(query: &SearchQuery) -> String {
    let what = query.value.as_ref().or(query.text.as_ref());
    match what {
        Some(what) => format!("no object here carries {:?}", what.chars().take(120).collect::<String>()),
        None => "no object here is so".to_owned(),
    }
}

/// What a cursor of a search begins with: of this store, and of what is asked, but for where and how much. Times do not
/// count, since `--since 7d` is another time when the search goes on.
fn tag(node: &Node, query: &SearchQuery) -> [u8; TAG_BYTES] {
    let asked = SearchQuery { after: None, limit: None, since: None, until: None, ..query.clone() };
    // INVARIANT: texts and numbers serialise.
    let asked = serde_json::to_vec(&asked).unwrap_or_default();
    let hash = sha256_of(&[node.store.id().as_bytes(), &asked]);
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&hash[..TAG_BYTES]);
    tag
}

fn cursor_of(place: &Place, tag: &[u8; TAG_BYTES]) -> String {
    URL_SAFE_NO_PAD.encode([&tag[..], place.as_bytes()].concat())
}

fn place_of(cursor: &str, tag: &[u8; TAG_BYTES]) -> Result<Place, Failed> {
    let bytes = Some(cursor).filter(|cursor| cursor.len() <= 2 * CURSOR_BYTES_MAX);
    let bytes = bytes.and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
    let place = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(tag));
    let place = place.map(|place| Place::from_bytes(place.to_vec()));
    place.ok_or_else(|| {
        let text = "the cursor is of another search or another store: take it from the last result as it stands there, or \
            start again without it";
        Problem::new(Code::SEARCH_CURSOR, text).into()
    })
}

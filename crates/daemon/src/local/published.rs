//! `POST /v1/published`: the newest version that we published under each of many ids.
//!
//! Whoever makes objects of a list asks this before they are sent, so that a list that says the same again makes no new
//! version. Ids and answers come in pages of bounded size, so that no list is too long.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::State,
    response::Response,
};
use mithaq_api::http::{NEXT_HEADER, PUBLISHED_BYTES_MAX, PUBLISHED_IDS_MAX, Problem, Published};
use mithaq_core::{
    code::Code,
    id::{ContentId, ReleaseId},
    release::Manifest,
    stix::id::StixId,
};
use mithaq_store::StoreError;
use serde_json::value::RawValue;

use super::{
    answer::{self, Failed, blocking},
    control::Control,
};
use crate::{node::Node, standing::Cause};

/// How long the body of a request may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// With how many bytes of objects a page ends.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// How many objects are read at once, which may go beyond the end of a page.
const AT_ONCE: usize = 32;

/// Answers with a line for each id that we published something under.
pub(super) async fn published(State(control): State<Control>, body: Body) -> Result<Response, Failed> {
    let too_large = || {
        let text = format!(
            "the ids did not come whole, or are more than {PUBLISHED_IDS_MAX} or {PUBLISHED_BYTES_MAX} bytes: ask in \
             parts"
        );
        Failed::from(Problem::new(Code::TOO_LARGE, text))
    };
    let text = tokio::time::timeout(BODY_TIME_MAX, to_bytes(body, PUBLISHED_BYTES_MAX)).await;
    let text = text.ok().and_then(Result::ok).ok_or_else(too_large)?;
    let ids = read(&text)?;
    if ids.len() > PUBLISHED_IDS_MAX {
        return Err(too_large());
    }
    let (lines, answered) = blocking(move || {
        let page = page(&control.node, &ids)?;
        Ok::<_, StoreError>((page.lines, Some(page.answered).filter(|answered| *answered < ids.len())))
    })
    .await??;
    let mut response = answer::lines(lines);
    if let Some(answered) = answered {
        response.headers_mut().insert(NEXT_HEADER, answered.into());
    }
    Ok(response)
}

fn read(text: &[u8]) -> Result<Vec<StixId>, Failed> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let id = |line: &[u8]| {
        let text = String::from_utf8_lossy(line);
        let start: String = text.chars().take(120).collect();
        StixId::parse(&text).map_err(|_| Failed::bad_request(format!("{start:?} is no STIX id: write one a line")))
    };
    lines.map(id).collect()
}

/// The first lines of an answer.
struct Page {
    lines: Vec<Published>,
    /// How many of the ids they answer.
    answered: usize,
}

/// Blocks.
fn page(node: &Node, ids: &[StixId]) -> Result<Page, StoreError> {
    let mut ours = Ours { node, rows: BTreeMap::new() };
    let (mut lines, mut bytes, mut answered) = (Vec::new(), 0, 0);
    for ids in ids.chunks(AT_ONCE) {
        let versions = ids.iter().map(|id| ours.versions(id.as_str())).collect::<Result<Vec<_>, _>>()?;
        let newest: Vec<ContentId> = versions.iter().filter_map(|versions| versions.first().copied()).collect();
        let mut bodies = node.sound_bodies(&newest)?.into_iter();
        for (id, versions) in ids.iter().zip(&versions) {
            let Some((newest, older)) = versions.split_first() else { continue };
            let (content, body) = match bodies.next().flatten() {
                Some(body) => (*newest, Some(body)),
                None => first_sound(node, older)?.map_or((*newest, None), |(content, body)| (content, Some(body))),
            };
            let object =
                body.and_then(|body| String::from_utf8(body).ok()).and_then(|text| RawValue::from_string(text).ok());
            if let Some(object) = object {
                bytes += object.get().len();
                let withdrawn = ours.is_withdrawn(content)?;
                lines.push(Published { id: id.as_str().to_owned(), object, withdrawn });
            }
        }
        answered += ids.len();
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(Page { lines, answered })
}

fn first_sound(node: &Node, contents: &[ContentId]) -> Result<Option<(ContentId, Vec<u8>)>, StoreError> {
    for content in contents {
        if let Some(body) = node.sound_bodies(&[*content])?.pop().flatten() {
            return Ok(Some((*content, body)));
        }
    }
    Ok(None)
}

/// Tells what we published. A release names thousands of objects and is read once.
struct Ours<'a> {
    node: &'a Node,
    /// The releases of rows that were looked at, if they are ours.
    rows: BTreeMap<u64, Option<ReleaseId>>,
}

impl Ours<'_> {
    /// The versions of an id that we published, the newest first.
    fn versions(&mut self, id: &str) -> Result<Vec<ContentId>, StoreError> {
        let mut ours = Vec::new();
        for version in self.node.store.versions(id)?.into_iter().rev() {
            for seq in self.node.store.rows_of(version.content)? {
                if self.release(seq)?.is_some() {
                    ours.push(version.content);
                    break;
                }
            }
        }
        Ok(ours)
    }

    /// Whether each release of ours that brought a content was withdrawn.
    fn is_withdrawn(&mut self, content: ContentId) -> Result<bool, StoreError> {
        for seq in self.node.store.rows_of(content)? {
            let Some(release) = self.release(seq)? else { continue };
            let hold = self.node.standing.hold(&*self.node.store, release, content)?;
            if hold.is_none_or(|hold| hold.cause != Cause::Withdrawn) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The release of a row, if it is ours.
    fn release(&mut self, seq: u64) -> Result<Option<ReleaseId>, StoreError> {
        if let Some(known) = self.rows.get(&seq) {
            return Ok(*known);
        }
        let found = self.node.sound_release_at(seq)?;
        let is_ours = |manifest: &Manifest| manifest.origin == self.node.us && !manifest.kind.is_local();
        let release = found.filter(|(.., manifest)| is_ours(manifest)).map(|(row, ..)| row.release);
        self.rows.insert(seq, release);
        Ok(release)
    }
}

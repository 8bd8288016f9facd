//! What a search leaves out: objects of other types, and those that no release of the right origin, label and time shows.

use mithaq_api::http::{Problem, SearchQuery};
use mithaq_core::{
    code::Code,
    id::{CertId, ContentId},
    label::Category,
    release::Manifest,
    stix::marking::Tlp,
    time::Time,
};
use mithaq_store::{LogRow, StoreError};
use serde::Deserialize;

use crate::{
    local::{answer::Failed, lookup::no_such_peer},
    node::Node,
    standing::Cause,
};

/// The least digits by which a CERT is told from others.
const CERT_DIGITS_MIN: usize = 8;

/// The most types and levels of one search.
const LIST_MAX: usize = 32;

/// What is let through.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    types: Vec<String>,
    origin: Option<Origin>,
    levels: Vec<Tlp>,
    category: Option<Category>,
    sector: Option<String>,
    pub(super) since: Option<Time>,
    pub(super) until: Option<Time>,
}

#[derive(Debug)]
enum Origin {
    Cert(CertId),
    /// One whose id begins with these digits.
    Digits(String),
}

fn list(text: Option<&String>, what: &str) -> Result<Vec<String>, Failed> {
    let items = text.map(|text| text.split(',').map(|item| item.trim().to_ascii_lowercase()).collect::<Vec<_>>());
    let items = items.unwrap_or_default();
    if items.len() > LIST_MAX || items.iter().any(String::is_empty) {
        return Err(Failed::bad_request(format!("{what} is a list of 1 to {LIST_MAX} words with commas between")));
    }
    Ok(items)
}

impl Sieve {
    /// # Errors
    /// When a filter is not understood.
    pub(super) fn new(node: &Node, query: &SearchQuery) -> Result<Self, Failed> {
        let levels = list(query.tlp.as_ref(), "tlp")?.into_iter().map(|level| {
            let level = level.strip_prefix("tlp:").unwrap_or(&level);
            level.parse().map_err(|_| {
                let level: String = level.chars().take(40).collect();
                Failed::bad_request(format!(
                    "{level:?} is no TLP level: they are clear, green, amber, amber+strict, red"
                ))
            })
        });
        let category = query.category.as_deref().map(str::parse).transpose();
        Ok(Self {
            types: list(query.object_type.as_ref(), "type")?,
            origin: query.origin.as_deref().map(|origin| origin_of(node, origin)).transpose()?,
            levels: levels.collect::<Result<_, _>>()?,
            category: category
                .map_err(|error: mithaq_core::label::CategoryError| Failed::bad_request(error.to_string()))?,
            sector: query.sector.clone(),
            since: query.since,
            until: query.until,
        })
    }

    /// Whether translations are asked for by their own type.
    pub(super) fn wants_translations(&self) -> bool {
        self.types.iter().any(|object_type| object_type == "language-content")
    }

    /// Whether a content is of the right type, and a release that stands shows it rightly.
    pub(super) fn lets_through(&self, node: &Node, content: ContentId) -> Result<bool, StoreError> {
        if !self.types.is_empty() && !self.is_of_type(node, content)? {
            return Ok(false);
        }
        if self.asks_nothing_of_releases() {
            return Ok(true);
        }
        Ok(self.first_row(node, content)?.is_some())
    }

    /// The first row by which a content is let through.
    pub(super) fn first_row(&self, node: &Node, content: ContentId) -> Result<Option<u64>, StoreError> {
        for seq in node.store.rows_of(content)? {
            let Some((row, _, manifest)) = node.sound_release_at(seq)? else { continue };
            if self.lets_release(&row, &manifest) && stands(node, &row, content)? {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    fn asks_nothing_of_releases(&self) -> bool {
        let Self { types: _, origin, levels, category, sector, since, until } = self;
        origin.is_none()
            && levels.is_empty()
            && category.is_none()
            && sector.is_none()
            && since.is_none()
            && until.is_none()
    }

    /// Whether a release is of the right origin, label and time.
    pub(super) fn lets_release(&self, row: &LogRow, manifest: &Manifest) -> bool {
        let label = &manifest.label;
        let of_origin = match &self.origin {
            None => true,
            Some(Origin::Cert(cert)) => manifest.origin == *cert,
            Some(Origin::Digits(digits)) => manifest.origin.to_string().starts_with(digits),
        };
        of_origin
            && !manifest.kind.is_local()
            && (self.levels.is_empty() || self.levels.contains(&label.level()))
            && self.category.is_none_or(|category| label.categories.contains(&category))
            && self.sector.as_ref().is_none_or(|sector| label.sectors.contains(sector))
            && self.since.is_none_or(|since| row.added_at >= since)
            && self.until.is_none_or(|until| row.added_at < until)
    }

    fn is_of_type(&self, node: &Node, content: ContentId) -> Result<bool, StoreError> {
        #[derive(Deserialize)]
        struct Typed {
            r#type: String,
        }
        let body = node.store.bodies(&[content])?.pop().flatten();
        let typed = body.and_then(|body| serde_json::from_slice::<Typed>(&body).ok());
        Ok(typed.is_some_and(|typed| self.types.contains(&typed.r#type)))
    }
}

/// Whether a release shows a content to our readers.
fn stands(node: &Node, row: &LogRow, content: ContentId) -> Result<bool, StoreError> {
    let hold = node.standing.hold(&*node.store, row.release, content)?;
    Ok(hold.is_none_or(|hold| hold.cause == Cause::Accepted))
}

fn origin_of(node: &Node, text: &str) -> Result<Origin, Failed> {
    if text == "us" {
        return Ok(Origin::Cert(node.us));
    }
    if let Some(entry) = node.peer_named(text) {
        return Ok(Origin::Cert(entry.peer.card.cert_id()));
    }
    let digits = text.to_ascii_lowercase();
    if digits.len() >= CERT_DIGITS_MIN && digits.len() <= 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Origin::Digits(digits));
    }
    let Failed(status, problem) = no_such_peer(node, text);
    let message = format!("{}; or give the first {CERT_DIGITS_MIN} digits of a CERT's id, or `us`", problem.message);
    Err(Failed(status, Problem::new(Code::NO_SUCH_PEER, message)))
}

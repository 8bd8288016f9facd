//! `next`: where a query goes on. It carries the whole query, since clients leave out the rest of it on the next
//! page (Elastic, OpenCTI), and needs no memory of ours, so it outlives a restart.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// A place in a query's answer: base64url of JSON. A client that writes its own gains nothing, since a place only
/// names a time, and what it may see is asked anew for each page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    /// The start of the collection's id, which changes with the store.
    collection: String,
    /// Go on after this `date_added`, in microseconds since the Unix epoch.
    pub(super) after: i64,
    /// The most objects of a page.
    pub(super) limit: usize,
    /// `match[...]`, by field.
    #[serde(rename = "match", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) fields: BTreeMap<String, String>,
}

/// Why a `next` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NextError {
    #[error("next is malformed: take it from the last page as it stands there, or start again without it")]
    Malformed,
    #[error("next is of another store or collection: start again without it")]
    Foreign,
}

impl Next {
    /// Goes on in this collection after that time.
    pub(super) fn new(collection: &str, after: i64, limit: usize, fields: BTreeMap<String, String>) -> Self {
        Self { collection: tag(collection), after, limit, fields }
    }

    /// Reads what a client sent.
    pub(super) fn parse(text: &str, collection: &str) -> Result<Self, NextError> {
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| NextError::Malformed)?;
        let next: Self = serde_json::from_slice(&json).map_err(|_| NextError::Malformed)?;
        if next.after < 0 || next.limit == 0 {
            return Err(NextError::Malformed);
        }
        if next.collection == tag(collection) { Ok(next) } else { Err(NextError::Foreign) }
    }
}

impl std::fmt::Display for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // INVARIANT: texts and numbers serialise.
        let json = serde_json::to_vec(self).unwrap_or_default();
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

/// Enough of a collection's id to know it again.
fn tag(collection: &str) -> String {
    collection.chars().take(18).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTION: &str = "91a7b528-80eb-42ed-a74d-c6fbd5a26116";

    fn encode(json: &str) -> String {
        URL_SAFE_NO_PAD.encode(json)
    }

    #[test]
    fn a_place_survives_its_text() {
        let next = Next::new(COLLECTION, 7, 3, [("type".to_owned(), "indicator,malware".to_owned())].into());
        assert_eq!(Next::parse(&next.to_string(), COLLECTION), Ok(next));
    }

    #[test]
    fn nonsense_and_other_collections_are_refused() {
        let good = r#"{"collection":"91a7b528-80eb-42ed","after":7,"limit":3}"#;
        assert!(Next::parse(&encode(good), COLLECTION).is_ok());
        for text in ["", "x", "AAAA", &encode(""), &encode("{}"), &format!("{}=", encode(good))] {
            assert_eq!(Next::parse(text, COLLECTION), Err(NextError::Malformed), "{text}");
        }
        for (from, to) in
            [("7", "-7"), ("7", "1e3"), ("3}", "0}"), ("3}", "3,\"x\":1}"), ("3}", "99999999999999999999}")]
        {
            let text = encode(&good.replace(from, to));
            assert_eq!(Next::parse(&text, COLLECTION), Err(NextError::Malformed), "{from} {to}");
        }
        assert_eq!(Next::parse(&encode(good), "52892447-4d7e-4f70-b94d-d7f22742ff63"), Err(NextError::Foreign));
    }
}

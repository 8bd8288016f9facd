//! Canonical JSON (RFC 8785) of Mithaq's own documents: manifests, cards, agreements.

use mithaq_stix::json;
use serde::{Serialize, de::DeserializeOwned};

use crate::text::quote;

/// Why bytes are not the canonical form of a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// The bytes are not strict JSON.
    #[error("the text is not strict JSON")]
    Json(#[source] json::JsonError),
    /// The bytes are JSON, but not in the one form that RFC 8785 and the document's own types give it.
    #[error("the text is JSON, but not in canonical form (RFC 8785): it was changed after it was signed")]
    NotCanonical,
    /// The JSON does not have the document's shape.
    #[error("the document does not have the expected shape: {0}")]
    Shape(String),
}

/// Writes `document` in canonical form.
///
/// # Errors
/// Refuses what JSON cannot carry exactly, such as integers over 2^53 - 1.
pub fn to_vec<T: Serialize>(document: &T) -> Result<Vec<u8>, CanonicalError> {
    let text = serde_json::to_vec(document).map_err(shape)?;
    let value = json::parse(&text).map_err(CanonicalError::Json)?;
    let mut out = Vec::with_capacity(text.len());
    json::write_canonical(&value, &mut out);
    Ok(out)
}

/// Reads a document that must be in canonical form.
///
/// The document is written again and compared, so that besides RFC 8785 every field has its one spelling too: times
/// have six digits, sets ascend and name nothing twice.
///
/// # Errors
/// Refuses what is not strict JSON, not canonical, or has missing or unknown fields.
pub fn from_slice<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    // The strict reader comes first: serde_json lets names appear twice.
    json::parse(bytes).map_err(CanonicalError::Json)?;
    let document = serde_json::from_slice(bytes).map_err(shape)?;
    if to_vec(&document)? == bytes { Ok(document) } else { Err(CanonicalError::NotCanonical) }
}

/// The message repeats names and values of the text, which may come from a stranger.
fn shape(error: serde_json::Error) -> CanonicalError {
    CanonicalError::Shape(quote(&error.to_string()))
}

//! DSSE: the pre-authentication encoding that every signature of Mithaq covers, and the envelope in which cards
//! and agreements travel between people. Source: the DSSE protocol and envelope documents, version 1.0.
//!
//! The type of what is signed stands inside the signed bytes, so a signature over a card can never be shown as
//! one over an agreement.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{id::KeyId, keys::Signature, text::quote};

/// The largest envelope that is read: 256 KiB.
pub const ENVELOPE_BYTES_MAX: usize = 256 * 1024;

/// The most signatures an envelope may carry: a group's agreement has one of each member, old and new.
pub const SIGNATURES_MAX: usize = 128;

/// The pre-authentication encoding: `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// A signed document as it travels: base64 payload and signatures in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: KeyId,
    sig: String,
}

/// Why an envelope cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The text is not an envelope.
    #[error("the file is not a signed document (a DSSE envelope): {0}")]
    Shape(String),
    /// The envelope is too large.
    #[error("the signed document has {bytes} bytes; at most {ENVELOPE_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The envelope holds another kind of document.
    #[error("the file holds a document of type {found:?}; expected {expected:?}")]
    Type {
        /// What was asked for.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// A base64 field is damaged.
    #[error("a {field} of the signed document is not base64, or not of the right length")]
    Base64 {
        /// The field's name.
        field: &'static str,
    },
    /// There are more signatures than any document of ours carries.
    #[error("the signed document carries {count} signatures; at most {SIGNATURES_MAX} are read")]
    TooManySignatures {
        /// How many.
        count: usize,
    },
}

/// A payload and the signatures over it, none of them checked.
pub type Opened = (Vec<u8>, Vec<(KeyId, Signature)>);

impl Envelope {
    /// Puts a payload and its signatures into an envelope.
    #[must_use]
    pub fn new(payload_type: &str, payload: &[u8], signatures: &[(KeyId, Signature)]) -> Self {
        let signatures = signatures
            .iter()
            .map(|(keyid, signature)| EnvelopeSignature { keyid: *keyid, sig: STANDARD.encode(signature.as_bytes()) })
            .collect();
        Self { payload: STANDARD.encode(payload), payload_type: payload_type.to_owned(), signatures }
    }

    /// Reads an envelope from JSON text.
    ///
    /// # Errors
    /// Refuses what is too large or not an envelope.
    pub fn from_json(text: &[u8]) -> Result<Self, EnvelopeError> {
        if text.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: text.len() });
        }
        mithaq_stix::json::parse(text).map_err(|error| EnvelopeError::Shape(error.to_string()))?;
        serde_json::from_slice(text).map_err(|error| EnvelopeError::Shape(quote(&error.to_string())))
    }

    /// Writes the envelope as one line of JSON with a newline.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // INVARIANT: strings and lists of strings always serialise.
        let mut out = serde_json::to_vec(self).unwrap_or_default();
        out.push(b'\n');
        out
    }

    /// The type of the document inside.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// Opens the envelope if it holds a document of type `expected`: the payload and the signatures, unchecked.
    ///
    /// # Errors
    /// Refuses another type, what is too large, damaged base64 and too many signatures.
    pub fn open(&self, expected: &'static str) -> Result<Opened, EnvelopeError> {
        if self.payload_type != expected {
            return Err(EnvelopeError::Type { expected, found: self.payload_type.chars().take(80).collect() });
        }
        if self.payload.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: self.payload.len() });
        }
        if self.signatures.len() > SIGNATURES_MAX {
            return Err(EnvelopeError::TooManySignatures { count: self.signatures.len() });
        }
        let payload = STANDARD.decode(&self.payload).map_err(|_| EnvelopeError::Base64 { field: "payload" })?;
        let signatures = self.signatures.iter().map(EnvelopeSignature::decode).collect::<Result<_, _>>()?;
        Ok((payload, signatures))
    }
}

impl EnvelopeSignature {
    fn decode(&self) -> Result<(KeyId, Signature), EnvelopeError> {
        let bytes = STANDARD.decode(&self.sig).map_err(|_| EnvelopeError::Base64 { field: "signature" })?;
        let bytes = bytes.try_into().map_err(|_| EnvelopeError::Base64 { field: "signature" })?;
        Ok((self.keyid, Signature::from_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_one_of_the_dsse_document() {
        // The example of the DSSE protocol document.
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn an_envelope_opens_only_as_what_it_is() {
        let envelope = Envelope::new("a", b"{}", &[(KeyId::from_bytes([1; 32]), Signature::from_bytes([2; 64]))]);
        let read = Envelope::from_json(&envelope.to_json()).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(read.open("a").unwrap().0, b"{}");
        assert!(matches!(read.open("b"), Err(EnvelopeError::Type { .. })));
    }
}

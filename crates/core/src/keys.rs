//! Keys, signatures and suites.
//!
//! A suite is a closed set bound to a key by the card that names it; nothing that is signed carries an algorithm
//! of its own choosing, so there is nothing to downgrade.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    dsse::pre_authentication_encoding,
    id::{CertId, KeyId, from_hex, sha256, to_hex},
};

/// How signatures of a key are made and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Suite {
    /// Ed25519 as in RFC 8032.
    #[serde(rename = "ed25519")]
    Ed25519,
}

/// An Ed25519 signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes the 64 bytes of a signature, unchecked.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl Serialize for Signature {
    /// Writes 128 lower-case hexadecimal digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_hex(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", to_hex(&self.0[..4]))
    }
}

/// An Ed25519 public key; written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// A signature does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the signed bytes and the key")]
pub struct BadSignature;

/// Proof that a signature was checked; only [`PublicKey::verify`] makes one.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct SignatureValid(());

/// What comes before the key in an Ed25519 SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The y coordinates of the points of Curve25519 whose order divides 8, also as written beyond the field's prime.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    edges(1, 0, 0),
    edges(0xec, 0xff, 0x7f),
    edges(0xed, 0xff, 0x7f),
    edges(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// A first byte, thirty that are alike, and a last one.
const fn edges(first: u8, inner: u8, last: u8) -> [u8; 32] {
    let mut bytes = [inner; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

impl PublicKey {
    /// Takes the 32 bytes of a key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::from_bytes(sha256(&self.0))
    }

    /// The name of the CERT whose root key this is.
    #[must_use]
    pub fn cert_id(&self) -> CertId {
        CertId::from_bytes(sha256(&self.0))
    }

    /// The key as a DER SubjectPublicKeyInfo (RFC 8410), as TLS raw public keys carry it (RFC 7250).
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }

    /// Reads a DER SubjectPublicKeyInfo; `None` if it is not an Ed25519 key.
    #[must_use]
    pub fn from_spki_der(der: &[u8]) -> Option<Self> {
        der.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(Self)
    }

    /// Whether the key is one of the few points of small order, under which a signature over anything can be made
    /// by anyone. No key that was drawn at random is.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        let mut y = self.0;
        // The top bit is the sign of x, not a part of y.
        y[31] &= 0x7f;
        SMALL_ORDER.contains(&y)
    }

    /// Checks a signature over the DSSE encoding of `payload` with type `payload_type`.
    ///
    /// # Errors
    /// When the signature is not this key's over these bytes.
    pub fn verify(
        &self,
        payload_type: &str,
        payload: &[u8],
        signature: &Signature,
    ) -> Result<SignatureValid, BadSignature> {
        self.verify_bytes(&pre_authentication_encoding(payload_type, payload), signature)
    }

    /// Checks a signature over `text` of a note, which stands for itself as the C2SP signed-note format has it.
    ///
    /// # Errors
    /// When the signature is not this key's over this text.
    pub(crate) fn verify_note(&self, text: &str, signature: &Signature) -> Result<SignatureValid, BadSignature> {
        self.verify_bytes(text.as_bytes(), signature)
    }

    fn verify_bytes(&self, signed: &[u8], signature: &Signature) -> Result<SignatureValid, BadSignature> {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(signed, &signature.0)
            .map(|()| SignatureValid(()))
            .map_err(|_| BadSignature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", to_hex(&self.0[..4]))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text form is that of an id: 64 hexadecimal digits.
        KeyId::deserialize(deserializer).map(|id| Self(*id.as_bytes()))
    }
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not PEM with a `PRIVATE KEY` block.
    #[error("the file is not a PEM private key (PKCS#8, \"BEGIN PRIVATE KEY\")")]
    Pem,
    /// The block is not an Ed25519 key.
    #[error("the file is not an Ed25519 private key")]
    Der,
    /// The key cannot be written.
    #[error("the key cannot be encoded")]
    Encode,
}

/// An Ed25519 secret key. `Debug` shows only the public half.
pub struct SecretKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

impl SecretKey {
    /// Makes the key of a 32-byte seed that the caller drew at random.
    ///
    /// # Errors
    /// When the cryptographic library refuses the seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::from_pair(Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Der)?)
    }

    /// Reads a key from PKCS#8 DER.
    ///
    /// # Errors
    /// When the bytes are not an Ed25519 private key.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_pair(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::Der)?)
    }

    /// Reads a key from a PEM file's text.
    ///
    /// # Errors
    /// When the text is not PEM or not an Ed25519 private key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let start = text.find(PEM_BEGIN).ok_or(KeyError::Pem)? + PEM_BEGIN.len();
        let end = text.find(PEM_END).filter(|end| *end >= start).ok_or(KeyError::Pem)?;
        let base64: String = text[start..end].split_ascii_whitespace().collect();
        Self::from_pkcs8_der(&STANDARD.decode(base64).map_err(|_| KeyError::Pem)?)
    }

    fn from_pair(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Der)?;
        Ok(Self { pair, public: PublicKey(public) })
    }

    /// The key as PKCS#8 DER.
    ///
    /// # Errors
    /// When the cryptographic library cannot encode it.
    pub fn to_pkcs8_der(&self) -> Result<Vec<u8>, KeyError> {
        Ok(self.pair.to_pkcs8v1().map_err(|_| KeyError::Encode)?.as_ref().to_vec())
    }

    /// The key as PEM text, which `openssl pkey` reads.
    ///
    /// # Errors
    /// When the cryptographic library cannot encode it.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        Ok(format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(self.to_pkcs8_der()?)))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs the DSSE encoding of `payload` with type `payload_type`.
    #[must_use]
    pub fn sign(&self, payload_type: &str, payload: &[u8]) -> Signature {
        self.sign_bytes(&pre_authentication_encoding(payload_type, payload))
    }

    /// Signs `text` of a note as it stands, as the C2SP signed-note format has it.
    ///
    /// The caller makes sure that the text begins as a ledger's notes do: no encoding of a document begins like that,
    /// so a note is never taken for a document, nor a document for a note.
    pub(crate) fn sign_note(&self, text: &str) -> Signature {
        self.sign_bytes(text.as_bytes())
    }

    fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        let signature = self.pair.sign(bytes);
        // INVARIANT: an Ed25519 signature has 64 bytes.
        Signature(signature.as_ref().try_into().unwrap_or([0; 64]))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?}, redacted)", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32]).unwrap()
    }

    #[test]
    fn a_signature_fits_its_key_type_and_bytes_alone() {
        let signature = key(1).sign("type", b"payload");
        assert!(key(1).public().verify("type", b"payload", &signature).is_ok());
        assert!(key(2).public().verify("type", b"payload", &signature).is_err());
        assert!(key(1).public().verify("other", b"payload", &signature).is_err());
        assert!(key(1).public().verify("type", b"payloae", &signature).is_err());
    }

    #[test]
    fn keys_survive_pem_and_spki() {
        let pem = key(3).to_pem().unwrap();
        assert_eq!(SecretKey::from_pem(&pem).unwrap().public(), key(3).public());
        let public = key(3).public();
        assert_eq!(PublicKey::from_spki_der(&public.to_spki_der()), Some(public));
        assert_eq!(SecretKey::from_pem("nonsense").unwrap_err(), KeyError::Pem);
    }

    #[test]
    fn debug_never_shows_the_secret() {
        let shown = format!("{:?}", key(7));
        assert!(shown.contains("redacted") && !shown.contains("0707"), "{shown}");
    }
}

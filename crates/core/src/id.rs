//! Identifiers: each is a SHA-256, written as 64 lower-case hexadecimal digits, so that anyone can recompute it
//! with stock tools.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many bytes are put together before they are hashed; more are hashed part by part.
const JOINED_BYTES: usize = 256;

/// Computes SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Computes SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    // One call takes three quarters of the time that a context takes, and most of what is hashed is short.
    if let Some(joined) = joined(parts, &mut [0; JOINED_BYTES]) {
        return sha256(joined);
    }
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Puts parts together, if there is room for them.
fn joined<'a>(parts: &[&[u8]], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut end = 0;
    for part in parts {
        room.get_mut(end..)?.get_mut(..part.len())?.copy_from_slice(part);
        end += part.len();
    }
    room.get(..end)
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} lower-case hexadecimal digits, found {found:?}")]
pub struct IdError {
    /// How many digits it should have.
    pub digits: usize,
    /// What stood there, cut to 80 characters.
    pub found: String,
}

/// A hash as a UUID of version 8 (RFC 9562), whose other bits are ours to choose.
#[must_use]
pub fn to_uuid(hash: &[u8; 32]) -> String {
    let hex = to_hex(&hash[..16]);
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Writes `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Reads lower-case hexadecimal digits, two for each of `N` bytes.
///
/// # Errors
/// When there are more or fewer digits, or something else stands there.
pub fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let error = || IdError { digits: 2 * N, found: text.chars().take(80).collect() };
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(error()),
    };
    if text.len() != 2 * N {
        return Err(error());
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(out)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes the 32 bytes of a digest.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first eight digits, for logs and people.
            #[must_use]
            pub fn fmt_short(&self) -> String {
                to_hex(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.fmt_short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names a CERT: the SHA-256 of its root public key.
    CertId
);
id!(
    /// Names an object's content: the SHA-256 of its RFC 8785 canonical bytes.
    ContentId
);
id!(
    /// Names a release: the SHA-256 of its manifest's canonical bytes.
    ReleaseId
);
id!(
    /// Names an agreement: the SHA-256 of its canonical bytes.
    AgreementId
);
id!(
    /// Names a public key: the SHA-256 of its raw bytes.
    KeyId
);
id!(
    /// The root of an RFC 6962 Merkle tree.
    TreeHash
);

/// Names one store for as long as its history is one: a wiped, re-created or restored store has another id. Written as
/// 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// Takes 16 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for StoreId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        from_hex(text).map(Self)
    }
}

impl Serialize for StoreId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl ContentId {
    /// The content id of canonical bytes.
    #[must_use]
    pub fn of(canonical: &[u8]) -> Self {
        Self(sha256(canonical))
    }

    /// What it begins with.
    #[must_use]
    pub fn prefix(&self) -> ContentPrefix {
        // INVARIANT: an id has 32 bytes.
        ContentPrefix(self.0.first_chunk().copied().unwrap_or_default())
    }
}

/// The first bytes of a content id, by which a release without its bodies names its contents. With some effort two
/// contents can be made that have the same: what they name is sure only once the whole ids have been checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentPrefix([u8; Self::BYTES]);

impl ContentPrefix {
    /// How many bytes it has.
    pub const BYTES: usize = 8;

    /// Takes bytes that a peer sent.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for ContentPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for ContentPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentPrefix({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_the_digest_that_stock_tools_print() {
        let id = ContentId::of(b"abc");
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.fmt_short(), "ba7816bf");
        assert_eq!(id.prefix().to_string(), "ba7816bf8f01cfea");
    }

    #[test]
    fn parts_hash_to_what_the_whole_does() {
        for bytes in [0, 1, 63, 64, JOINED_BYTES - 1, JOINED_BYTES, JOINED_BYTES + 1, 1_000] {
            let whole: Vec<u8> = (0..=u8::MAX).cycle().take(bytes).collect();
            for cut in [0, 1.min(bytes), bytes / 2, bytes] {
                assert_eq!(sha256_of(&[&whole[..cut], &whole[cut..]]), sha256(&whole), "{bytes} cut at {cut}");
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let upper = ContentId::of(b"abc").to_string().to_uppercase();
        for text in ["", "ba78", &upper, &"g".repeat(64), &"0".repeat(65)] {
            assert!(text.parse::<ContentId>().is_err(), "{text}");
        }
    }
}

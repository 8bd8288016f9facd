//! What stands for a release in a lazy offer: enough to find it among what is held, and to take no other for it.

use std::fmt;

use mithaq_core::id::{ReleaseId, sha256_of};

use crate::limits::{BRIEF_BYTES, BRIEF_PREFIX_BYTES};

/// Stands for a release in the lazy offers of one session: the first bytes of its id, by which a store that orders
/// releases by their ids finds it, and as many of a hash that is keyed by a secret of the connection.
///
/// Whoever signs releases can make some that begin alike, but not ones that two others take for the same: it does not
/// know their secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Brief([u8; BRIEF_BYTES]);

impl Brief {
    /// Takes bytes that were received.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; BRIEF_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; BRIEF_BYTES] {
        &self.0
    }

    /// The first bytes of the release's id.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        let [a, b, c, d, ..] = self.0;
        Prefix([a, b, c, d])
    }
}

/// The first bytes of a release's id. Another release of the same prefix is rare, but can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix([u8; BRIEF_PREFIX_BYTES]);

impl Prefix {
    /// That of a release.
    #[must_use]
    pub fn of(release: ReleaseId) -> Self {
        let [a, b, c, d, ..] = *release.as_bytes();
        Self([a, b, c, d])
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; BRIEF_PREFIX_BYTES] {
        &self.0
    }
}

/// What briefs are made with: a secret that nobody knows but the two sides of one connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BriefKey([u8; 32]);

impl BriefKey {
    /// Takes the secret.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// What stands for a release.
    #[must_use]
    pub fn brief(&self, release: ReleaseId) -> Brief {
        let [a, b, c, d] = Prefix::of(release).0;
        let [e, f, g, h, ..] = sha256_of(&[&self.0, release.as_bytes()]);
        Brief([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for BriefKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BriefKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_begins_as_its_release_and_ends_as_the_secret_has_it() {
        let (one, other) = (BriefKey::new([1; 32]), BriefKey::new([2; 32]));
        let release = ReleaseId::from_bytes([7; 32]);
        assert_eq!(one.brief(release).prefix(), Prefix::of(release));
        assert_eq!(one.brief(release).prefix().as_bytes(), &[7; 4]);
        assert_ne!(one.brief(release), other.brief(release));
        let mut alike = [7; 32];
        alike[31] = 8;
        assert_ne!(one.brief(release), one.brief(ReleaseId::from_bytes(alike)));
    }

    #[test]
    fn the_secret_is_not_told() {
        assert_eq!(format!("{:?}", BriefKey::new([0xab; 32])), "BriefKey(..)");
    }
}

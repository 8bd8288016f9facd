//! Whom the signed documents are of: CERTs whose keys are made of small numbers.

use std::sync::{Arc, LazyLock};

use mithaq_core::{
    card::{CardDetails, DatedKey, VerifiedCard},
    keys::{SecretKey, Suite},
    time::Time,
};

/// A CERT with its secrets.
#[derive(Debug)]
pub struct Cert {
    /// The root key, of a seed of its number.
    pub root: SecretKey,
    /// The signing key, of a seed of its number and 128.
    pub signing: Arc<SecretKey>,
    /// The card that names them.
    pub card: Arc<VerifiedCard>,
}

/// The CERT that signs, in every target.
pub static ONE: LazyLock<Cert> = LazyLock::new(|| cert(1));

/// The other CERT.
pub static TWO: LazyLock<Cert> = LazyLock::new(|| cert(2));

/// A third CERT.
pub static THREE: LazyLock<Cert> = LazyLock::new(|| cert(3));

/// The moment at which everything happens.
#[must_use]
pub fn now() -> Time {
    time("2026-11-21T12:00:00Z")
}

/// Reads a time.
#[must_use]
pub fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// The details of the card of a CERT.
#[must_use]
pub fn details(number: u8, serial: u64) -> CardDetails {
    let dated = |seed: u8| DatedKey {
        suite: Suite::Ed25519,
        public: SecretKey::from_seed(&[seed; 32]).unwrap().public(),
        not_before: time("2026-01-01T00:00:00Z"),
        not_after: time("2027-12-31T00:00:00Z"),
    };
    CardDetails {
        name: format!("CERT {number}"),
        country: "QQ".into(),
        contacts: vec!["duty@cert.example".into()],
        serial,
        issued_at: time("2026-01-01T00:00:00Z"),
        signing_keys: vec![dated(number | 0x80)],
        tls_keys: vec![dated(number | 0x40)],
        revoked_keys: Vec::new(),
        identities: [].into(),
        endpoints: vec!["cert.example:4433".into()],
    }
}

fn cert(number: u8) -> Cert {
    let root = SecretKey::from_seed(&[number; 32]).unwrap();
    let signing = Arc::new(SecretKey::from_seed(&[number | 0x80; 32]).unwrap());
    let card = Arc::new(VerifiedCard::sign(&root, details(number, 1)).unwrap());
    Cert { root, signing, card }
}

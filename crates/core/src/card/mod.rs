//! Cards: a CERT's signed self-description. Its root key signs it; peers pin the root key alone, so signing and
//! TLS keys change without meeting again.

mod draft;
mod succession;

pub use draft::CardDraft;
pub use succession::{Succession, SuccessionError};

use std::{collections::BTreeSet, net::Ipv6Addr};

use mithaq_stix::id::StixId;
use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, CanonicalError},
    dsse::{Envelope, EnvelopeError},
    id::{CertId, KeyId},
    keys::{PublicKey, SecretKey, Suite},
    text::is_plain,
    time::Time,
};

/// The type under which cards are signed.
pub const CARD_TYPE: &str = "application/vnd.mithaq.card+json;version=1";

/// The schema that cards name.
pub const CARD_SCHEMA: &str = "mithaq-card/1";

/// The most entries in any list of a card.
pub const CARD_LIST_MAX: usize = 64;

/// The most bytes in any text of a card.
pub const CARD_TEXT_BYTES_MAX: usize = 512;

/// A key with the time in which it may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatedKey {
    /// How it signs.
    pub suite: Suite,
    /// The key.
    pub public: PublicKey,
    /// From when on it is valid.
    pub not_before: Time,
    /// Until when it is valid.
    pub not_after: Time,
}

impl DatedKey {
    /// Whether `at` lies within its dates. Whether the key was revoked is for the card to say.
    #[must_use]
    pub fn is_valid_at(&self, at: Time) -> bool {
        self.not_before <= at && at <= self.not_after
    }
}

/// A key that must not be trusted any more: it was stolen, or may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedKey {
    /// The key.
    pub key: KeyId,
    /// From when on nothing of it counts.
    pub since: Time,
}

/// A CERT's self-description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    schema: String,
    /// The CERT's name, in whatever language it chooses.
    pub name: String,
    /// Its country, an ISO 3166-1 alpha-2 code in upper case.
    pub country: String,
    /// How people reach it: addresses, telephone numbers.
    pub contacts: Vec<String>,
    /// Grows by at least one with each new card.
    pub serial: u64,
    /// When this card was signed.
    pub issued_at: Time,
    /// The key that names the CERT and signs its cards.
    pub root: PublicKey,
    /// The keys that sign its releases and agreements.
    pub signing_keys: Vec<DatedKey>,
    /// The keys that its daemon shows in TLS.
    pub tls_keys: Vec<DatedKey>,
    /// The keys that were revoked, ascending by key and each once.
    ///
    /// Such a key may go on standing among the others, and then counts until `since` and not from then on: what it
    /// signed before stays good, and nobody has to sign or share it again. A key that stands here alone counts for
    /// nothing; it stays here so that what it signed is told from what a stranger signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked_keys: Vec<RevokedKey>,
    /// The STIX identities that it owns.
    pub identities: BTreeSet<String>,
    /// Where its daemon listens, `host:port`; empty if it only dials.
    pub endpoints: Vec<String>,
}

/// What a new card says, but for the root key and the schema.
#[derive(Debug, Clone)]
pub struct CardDetails {
    /// See [`Card::name`].
    pub name: String,
    /// See [`Card::country`].
    pub country: String,
    /// See [`Card::contacts`].
    pub contacts: Vec<String>,
    /// See [`Card::serial`].
    pub serial: u64,
    /// See [`Card::issued_at`].
    pub issued_at: Time,
    /// See [`Card::signing_keys`].
    pub signing_keys: Vec<DatedKey>,
    /// See [`Card::tls_keys`].
    pub tls_keys: Vec<DatedKey>,
    /// See [`Card::revoked_keys`].
    pub revoked_keys: Vec<RevokedKey>,
    /// See [`Card::identities`].
    pub identities: BTreeSet<String>,
    /// See [`Card::endpoints`].
    pub endpoints: Vec<String>,
}

impl From<Card> for CardDetails {
    /// What a card says, to be changed for the one that follows it.
    fn from(card: Card) -> Self {
        Self {
            name: card.name,
            country: card.country,
            contacts: card.contacts,
            serial: card.serial,
            issued_at: card.issued_at,
            signing_keys: card.signing_keys,
            tls_keys: card.tls_keys,
            revoked_keys: card.revoked_keys,
            identities: card.identities,
            endpoints: card.endpoints,
        }
    }
}

/// A card whose signature by the root key that it names was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCard {
    card: Card,
    envelope: Envelope,
}

/// Why a card is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The file is not an envelope with a card.
    #[error("the card cannot be opened")]
    Envelope(#[from] EnvelopeError),
    /// The card inside cannot be read.
    #[error("the card cannot be read")]
    Card(#[source] CanonicalError),
    /// The card is of another schema.
    #[error("the card has schema {found:?}; this program knows {CARD_SCHEMA}")]
    Schema {
        /// What it names.
        found: String,
    },
    /// It is not signed by its own root key.
    #[error("the card is not signed by the root key that it names: it was changed after it was signed")]
    Signature,
    /// It is to be signed with another root key than it names.
    #[error("the card names the root key of CERT {expected}; the key at hand is that of CERT {found}")]
    Root {
        /// Whose root key it names.
        expected: CertId,
        /// Whose root key is at hand.
        found: CertId,
    },
    /// A field breaks its limits.
    #[error("the card's {field} {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Card {
    fn check(&self) -> Result<(), CardError> {
        let field = |field, problem| Err(CardError::Field { field, problem });
        if self.schema != CARD_SCHEMA {
            return Err(CardError::Schema { found: self.schema.chars().take(80).collect() });
        }
        if !is_text(&self.name) || self.name.is_empty() {
            return field("name", "is empty, too long or has control or bidi characters");
        }
        if self.country.len() != 2 || !self.country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return field("country", "is not an ISO 3166-1 alpha-2 code such as PK");
        }
        if self.contacts.len() > CARD_LIST_MAX || !self.contacts.iter().all(|text| is_text(text)) {
            return field("contacts", "are too many, too long or have control or bidi characters");
        }
        if self.endpoints.len() > CARD_LIST_MAX || !self.endpoints.iter().all(|text| is_endpoint(text)) {
            return field("endpoints", "are too many or not of the form host:port");
        }
        if self.root.is_weak() {
            return field("root", "is a key under which anyone can sign");
        }
        check_keys("signing_keys", &self.signing_keys)?;
        check_keys("tls_keys", &self.tls_keys)?;
        self.check_revoked()?;
        let is_identity = |id: &String| StixId::parse(id).is_ok_and(|id| id.object_type() == "identity");
        if self.identities.len() > CARD_LIST_MAX || !self.identities.iter().all(is_identity) {
            return field("identities", "are too many or not STIX identity ids");
        }
        Ok(())
    }

    fn check_revoked(&self) -> Result<(), CardError> {
        let field = |problem| Err(CardError::Field { field: "revoked_keys", problem });
        if self.revoked_keys.len() > CARD_LIST_MAX {
            return field("are too many");
        }
        if !self.revoked_keys.is_sorted_by(|a, b| a.key < b.key) {
            return field("are not in strictly ascending order");
        }
        let root = self.root.id();
        if self.revoked_keys.iter().any(|revoked| revoked.key == root) {
            return field("name the root key, which names the CERT and cannot be replaced");
        }
        Ok(())
    }

    /// From when on nothing of this key counts, if it was revoked.
    #[must_use]
    pub fn revoked_since(&self, key: KeyId) -> Option<Time> {
        let at = self.revoked_keys.binary_search_by_key(&key, |revoked| revoked.key).ok()?;
        self.revoked_keys.get(at).map(|revoked| revoked.since)
    }

    /// Whether a key of this card counts at that time: within its dates, and before it was revoked.
    #[must_use]
    pub fn is_usable(&self, key: &DatedKey, at: Time) -> bool {
        key.is_valid_at(at) && self.revoked_since(key.public.id()).is_none_or(|since| at < since)
    }
}

fn check_keys(field: &'static str, keys: &[DatedKey]) -> Result<(), CardError> {
    let problem = if !(1..=CARD_LIST_MAX).contains(&keys.len()) {
        "are none or too many"
    } else if keys.iter().any(|key| key.not_before > key.not_after) {
        "have one that ends before it begins"
    } else if keys.iter().any(|key| key.public.is_weak()) {
        "have one under which anyone can sign"
    } else {
        return Ok(());
    };
    Err(CardError::Field { field, problem })
}

fn is_text(text: &str) -> bool {
    is_plain(text, CARD_TEXT_BYTES_MAX)
}

/// Tells whether `text` is `host:port` or `[IPv6]:port`, in ASCII: a domain name in another script is written as its
/// A-labels, which is what is looked up.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    };
    is_text(text) && is_port && is_host
}

impl VerifiedCard {
    /// Signs a card with the root key.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn sign(root: &SecretKey, details: CardDetails) -> Result<Self, CardError> {
        CardDraft::new(root.public(), details)?.sign(root)
    }

    /// Opens and checks a card that is signed by the root key that it names.
    ///
    /// Whether that root key is the right one is for the pairing to say.
    ///
    /// # Errors
    /// When it is damaged, changed or breaks a limit.
    pub fn verify(envelope: Envelope) -> Result<Self, CardError> {
        let (payload, signatures) = envelope.open(CARD_TYPE)?;
        let card: Card = canonical::from_slice(&payload).map_err(CardError::Card)?;
        // One signature and no more: what stands beside it unchecked would make two cards of one.
        let [(signer, signature)] = signatures[..] else {
            return Err(CardError::Signature);
        };
        if signer != card.root.id() {
            return Err(CardError::Signature);
        }
        let _valid = card.root.verify(CARD_TYPE, &payload, &signature).map_err(|_| CardError::Signature)?;
        card.check()?;
        Ok(Self { card, envelope })
    }

    /// Opens and checks the JSON text of a card's envelope.
    ///
    /// # Errors
    /// Those of [`VerifiedCard::verify`].
    pub fn from_json(text: &[u8]) -> Result<Self, CardError> {
        Self::verify(Envelope::from_json(text)?)
    }

    /// The CERT whose card this is.
    #[must_use]
    pub fn cert_id(&self) -> CertId {
        self.card.root.cert_id()
    }

    /// What the card says.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The card as it travels.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The signing key with this id and suite, if the card names it for that time and it was not revoked by then.
    #[must_use]
    pub fn signing_key(&self, id: KeyId, suite: Suite, at: Time) -> Option<PublicKey> {
        let mut keys = self.card.signing_keys.iter();
        let fits = |key: &&DatedKey| key.public.id() == id && key.suite == suite && self.card.is_usable(key, at);
        keys.find(fits).map(|key| key.public)
    }

    /// Whether the card names this TLS key for that time, and it was not revoked by then.
    #[must_use]
    pub fn has_tls_key(&self, key: PublicKey, at: Time) -> bool {
        self.card.tls_keys.iter().any(|dated| dated.public == key && self.card.is_usable(dated, at))
    }
}

//! Succession: which of two cards of one CERT counts.

use super::VerifiedCard;
use crate::id::CertId;

/// How a card stands to the one that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// It takes the place of the one that is held.
    Newer,
    /// It says what the one that is held says.
    Same,
}

/// Why a card does not take the place of the one that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// It is another CERT's.
    #[error(
        "the card is of CERT {found}, and the one that is held is of CERT {held}: a card is followed only by one that the same root key signed"
    )]
    OtherRoot {
        /// Whose card is held.
        held: CertId,
        /// Whose card came.
        found: CertId,
    },
    /// It is older. The one that is held stays: whoever plays back an old card wants an old key to count again.
    #[error("the card has serial {found} and one with serial {held} is held already: the newer one stays")]
    Rollback {
        /// The serial of the card that is held.
        held: u64,
        /// The serial of the card that came.
        found: u64,
    },
    /// The root key signed two cards with one serial. The two envelopes prove it to anyone.
    #[error(
        "the root key has signed two different cards with serial {serial}: it was stolen or misused, and neither card can be trusted"
    )]
    Equivocation {
        /// The serial of both.
        serial: u64,
    },
}

impl VerifiedCard {
    /// Tells whether this card takes the place of `held`.
    ///
    /// Only what the root key signed counts: two envelopes of one payload are the same card.
    ///
    /// # Errors
    /// When it is another CERT's, older, or proof that the root key signed two cards with one serial.
    pub fn succeeds(&self, held: &Self) -> Result<Succession, SuccessionError> {
        if self.cert_id() != held.cert_id() {
            return Err(SuccessionError::OtherRoot { held: held.cert_id(), found: self.cert_id() });
        }
        let (found, held_serial) = (self.card.serial, held.card.serial);
        if found < held_serial {
            return Err(SuccessionError::Rollback { held: held_serial, found });
        }
        if found > held_serial {
            return Ok(Succession::Newer);
        }
        // A card has one canonical form, so equal cards are equal bytes.
        if self.card == held.card { Ok(Succession::Same) } else { Err(SuccessionError::Equivocation { serial: found }) }
    }
}

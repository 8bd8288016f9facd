//! Who we are to others: our card and the keys that it names, as long as the daemon runs or until they are renewed.

use std::sync::Arc;

use mithaq_api::home::{Home, HomeError, KeyName, OwnKey, newest_key};
use mithaq_core::{card::VerifiedCard, keys::SecretKey, time::Time};

/// Our card and the secret halves of the keys that it names.
///
/// Which key is used is asked each time: after a rotation the new ones wait beside the old ones until their time has
/// come, and nobody has to reload anything then.
pub(crate) struct Identity {
    /// Our card.
    pub(crate) card: VerifiedCard,
    signing: Vec<OwnKey>,
    tls: Vec<OwnKey>,
}

/// No key of ours counts at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "our card names no {name} key that is here and may be used now: `mithaq key list` shows them, `mithaq key rotate` makes new ones"
)]
pub(crate) struct NoUsableKey {
    name: &'static str,
}

impl Identity {
    /// Reads card and keys. A key that has run out does not keep the daemon from starting, for what is held can be
    /// read without it; the log says so.
    ///
    /// # Errors
    /// When the card or a key file cannot be used, or there is no file of a kind at all.
    pub(crate) fn read(home: &Home, now: Time) -> Result<Self, HomeError> {
        let card = home.card()?;
        let (signing, tls) = (home.own_keys(&card, KeyName::Signing)?, home.own_keys(&card, KeyName::Tls)?);
        let identity = Self { card, signing, tls };
        for problem in [identity.signing_key(now).err(), identity.tls_key(now).err()].into_iter().flatten() {
            tracing::error!(%problem, "peers will refuse us");
        }
        Ok(identity)
    }

    /// Reads card and keys again.
    ///
    /// # Errors
    /// Those of [`Identity::read`], and when the card does not follow this one: an old copy that was put back would
    /// make keys count again that were revoked.
    pub(crate) fn renewed(&self, home: &Home, now: Time) -> Result<Self, HomeError> {
        let fresh = Self::read(home, now)?;
        let follows = fresh.card.succeeds(&self.card);
        follows.map_err(|source| HomeError::Succession { path: home.card_path(), source })?;
        Ok(fresh)
    }

    /// The key that signs releases at `at`.
    pub(crate) fn signing_key(&self, at: Time) -> Result<&Arc<SecretKey>, NoUsableKey> {
        self.newest(&self.signing, "signing", at)
    }

    /// The key that is shown in TLS at `at`.
    pub(crate) fn tls_key(&self, at: Time) -> Result<&Arc<SecretKey>, NoUsableKey> {
        self.newest(&self.tls, "TLS", at)
    }

    fn newest<'a>(&self, keys: &'a [OwnKey], name: &'static str, at: Time) -> Result<&'a Arc<SecretKey>, NoUsableKey> {
        newest_key(&self.card, keys, at).map(|key| &key.secret).ok_or(NoUsableKey { name })
    }
}

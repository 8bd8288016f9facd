//! What the next card says: which keys come, which go, and when.

use std::time::Duration;

use mithaq_api::home::{Home, HomeError, KeyName, newest_key};
use mithaq_core::{
    card::{CardDetails, DatedKey, RevokedKey, VerifiedCard},
    id::KeyId,
    keys::{PublicKey, SecretKey, Suite},
    time::Time,
};

use crate::{clock, failure::Failure, random};

/// Keys are valid from a little before they were made, for peers whose clocks are behind.
pub(crate) const CLOCK_SKEW_SECONDS: i64 = 5 * 60;

/// How long a key that was followed stays valid at the least: for what the daemon signs before it reads the new card.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// The fewest digits of a key's id that name it.
const ID_DIGITS_MIN: usize = 8;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The two kinds of keys that a card names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Signing,
    Tls,
}

/// How long keys live.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Lives {
    /// Make new keys of this kind alone
    #[arg(long, value_name = "KIND")]
    pub(super) only: Option<Kind>,
    /// How many days the old keys stay valid. The new ones take over after half of them, so that every peer has the new
    /// card by then; 0 takes them at once
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=366))]
    pub(super) overlap: u32,
    /// How many days the new keys are valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub(super) days: u32,
}

/// The next card, unsigned, and the keys that are made for it.
pub(super) struct Plan {
    /// What the card says.
    pub(super) details: CardDetails,
    /// The keys that it names and that no file holds yet.
    pub(super) keys: Vec<(KeyName, SecretKey)>,
}

impl Kind {
    /// Both, in the order in which they are shown.
    pub(super) const ALL: [Self; 2] = [Self::Signing, Self::Tls];

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Tls => "tls",
        }
    }

    /// What its files are called.
    pub(super) fn key_name(self) -> KeyName {
        match self {
            Self::Signing => KeyName::Signing,
            Self::Tls => KeyName::Tls,
        }
    }

    /// The card's keys of this kind.
    pub(super) fn keys_of(self, details: &mut CardDetails) -> &mut Vec<DatedKey> {
        match self {
            Self::Signing => &mut details.signing_keys,
            Self::Tls => &mut details.tls_keys,
        }
    }
}

impl Plan {
    /// The card that follows `card`, with nothing changed but its serial and date.
    pub(super) fn new(card: &VerifiedCard, now: Time) -> Self {
        let details = CardDetails::from(card.card().clone());
        let details = CardDetails { serial: details.serial.saturating_add(1), issued_at: now, ..details };
        Self { details, keys: Vec::new() }
    }

    /// Makes new keys beside the old ones.
    pub(super) fn rotate(&mut self, card: &VerifiedCard, home: &Home, lives: &Lives, now: Time) -> Result<(), Failure> {
        for kind in Kind::ALL.into_iter().filter(|kind| lives.only.is_none_or(|only| only == *kind)) {
            let until = last_day(card, home, kind, now)?;
            let key = new_key()?;
            succeed(
                kind.keys_of(&mut self.details),
                kind,
                dated(key.public(), takeover(until, lives, now), lives, now),
                lives,
                now,
            );
            self.keys.push((kind.key_name(), key));
        }
        Ok(())
    }

    /// Revokes a key. If nothing is left that may be used then, a new key takes its place at once.
    pub(super) fn revoke(&mut self, key: KeyId, since: Time, home: &Home, now: Time) -> Result<(), Failure> {
        let revoked = &mut self.details.revoked_keys;
        match revoked.binary_search_by_key(&key, |revoked| revoked.key) {
            Ok(at) => revoked[at].since = revoked[at].since.min(since),
            Err(at) => revoked.insert(at, RevokedKey { key, since }),
        }
        for kind in Kind::ALL {
            let keys = kind.keys_of(&mut self.details);
            if !keys.iter().any(|dated| dated.public.id() == key) || self.is_served(kind, home, since.max(now))? {
                continue;
            }
            let fresh = new_key()?;
            let from = since.max(clock::seconds_before(now, CLOCK_SKEW_SECONDS));
            let dated = DatedKey { not_before: from, ..dated(fresh.public(), from, &Lives::replacement(), now) };
            kind.keys_of(&mut self.details).push(dated);
            self.keys.push((kind.key_name(), fresh));
        }
        Ok(())
    }

    /// Whether a key of this kind is here, or will be, that counts at `at`.
    fn is_served(&mut self, kind: Kind, home: &Home, at: Time) -> Result<bool, Failure> {
        let mut here: Vec<PublicKey> = self.keys.iter().map(|(_, key)| key.public()).collect();
        here.extend(home.key_files()?.into_iter().map(|file| file.public));
        let revoked = self.details.revoked_keys.clone();
        let counts = |key: &DatedKey| {
            let id = key.public.id();
            let since = revoked.iter().find(|revoked| revoked.key == id).map(|revoked| revoked.since);
            key.is_valid_at(at) && since.is_none_or(|since| at < since) && here.contains(&key.public)
        };
        Ok(kind.keys_of(&mut self.details).iter().any(counts))
    }

    /// Writes the new keys to the home. They must be there before anybody sees the card that names them.
    pub(super) fn write_keys(&self, home: &Home) -> Result<(), HomeError> {
        self.keys.iter().try_for_each(|(name, key)| home.add_key(*name, key))
    }
}

impl Lives {
    /// The life of a key that takes the place of a revoked one.
    fn replacement() -> Self {
        Self { only: None, overlap: 0, days: 365 }
    }
}

/// Until when the key of ours that is used now is valid.
fn last_day(card: &VerifiedCard, home: &Home, kind: Kind, now: Time) -> Result<Option<Time>, Failure> {
    let keys = home.own_keys(card, kind.key_name())?;
    Ok(newest_key(card, &keys, now).map(|key| key.dated.not_after))
}

/// When a new key takes over from one that is valid until `until`: once every peer has had the time to learn of it,
/// for a peer that does not know the new TLS key lets nobody in who could bring it the card.
fn takeover(until: Option<Time>, lives: &Lives, now: Time) -> Time {
    match until {
        Some(until) if lives.overlap > 0 => now.plus(DAY * lives.overlap / 2).min(until),
        _ => clock::seconds_before(now, CLOCK_SKEW_SECONDS),
    }
}

fn dated(public: PublicKey, not_before: Time, lives: &Lives, now: Time) -> DatedKey {
    DatedKey { suite: Suite::Ed25519, public, not_before, not_after: not_before.max(now).plus(DAY * lives.days) }
}

/// Puts a new key beside those that it follows, which end with the overlap.
fn succeed(keys: &mut Vec<DatedKey>, kind: Kind, fresh: DatedKey, lives: &Lives, now: Time) {
    let end = now.plus((DAY * lives.overlap).max(GRACE));
    keys.iter_mut().for_each(|key| key.not_after = key.not_after.min(end));
    // One whose time would only have come later has signed nothing.
    keys.retain(|key| key.not_before <= key.not_after);
    // A signing key stays for the sake of what it signed. A TLS key that has run out is of no use to anybody.
    keys.retain(|key| kind == Kind::Signing || now <= key.not_after);
    keys.push(fresh);
}

/// Makes a key.
pub(crate) fn new_key() -> Result<SecretKey, Failure> {
    Ok(SecretKey::from_seed(&random::bytes()?)?)
}

/// The key of our card that is meant by an id or its first digits.
pub(super) fn find_key(card: &VerifiedCard, text: &str) -> Result<KeyId, Failure> {
    let card = card.card();
    let mut ids: Vec<KeyId> = card.signing_keys.iter().chain(&card.tls_keys).map(|key| key.public.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| text.len() >= ID_DIGITS_MIN && id.to_string().starts_with(text));
    match ids[..] {
        [id] => Ok(id),
        _ => Err(Failure::NoSuchKey { key: text.chars().take(80).collect(), found: ids.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn key(seed: u8, from: &str, until: &str) -> DatedKey {
        let public = SecretKey::from_seed(&[seed; 32]).unwrap().public();
        DatedKey { suite: Suite::Ed25519, public, not_before: time(from), not_after: time(until) }
    }

    fn lives(overlap: u32) -> Lives {
        Lives { only: None, overlap, days: 100 }
    }

    const NOW: &str = "2026-06-01T00:00:00Z";

    #[test]
    fn a_new_key_takes_over_after_half_of_the_overlap_and_before_the_old_one_ends() {
        let check = |until: Option<&str>, overlap, expect: &str| {
            assert_eq!(takeover(until.map(time), &lives(overlap), time(NOW)), time(expect), "{until:?} {overlap}");
        };
        check(Some("2027-01-01T00:00:00Z"), 30, "2026-06-16T00:00:00Z");
        check(Some("2026-06-03T00:00:00Z"), 30, "2026-06-03T00:00:00Z");
        check(Some("2027-01-01T00:00:00Z"), 0, "2026-05-31T23:55:00Z");
        check(None, 30, "2026-05-31T23:55:00Z");
    }

    #[test]
    fn old_keys_end_with_the_overlap_and_signing_keys_stay_for_what_they_signed() {
        let check = |kind: Kind, overlap: u32, expect: &[(u8, &str)]| {
            let mut keys = vec![
                key(1, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
                key(2, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
                key(3, "2026-08-01T00:00:00Z", "2027-08-01T00:00:00Z"),
            ];
            let fresh = key(4, NOW, "2026-09-09T00:00:00Z");
            succeed(&mut keys, kind, fresh, &lives(overlap), time(NOW));
            let found: Vec<_> = keys.iter().map(|key| (key.public, key.not_after)).collect();
            let expect: Vec<_> =
                expect.iter().map(|(seed, until)| (key(*seed, NOW, NOW).public, time(until))).collect();
            assert_eq!(found, expect, "{kind:?} {overlap}");
        };
        let (old, fresh) = ((1, "2026-01-01T00:00:00Z"), (4, "2026-09-09T00:00:00Z"));
        check(Kind::Signing, 30, &[old, (2, "2026-07-01T00:00:00Z"), fresh]);
        check(Kind::Tls, 30, &[(2, "2026-07-01T00:00:00Z"), fresh]);
        check(Kind::Tls, 0, &[(2, "2026-06-01T01:00:00Z"), fresh]);
    }
}

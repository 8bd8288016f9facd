//! Codes: every message that a person may see carries one, and `mithaq explain` expands it.
//!
//! 1xxx input, 2xxx release rule, 3xxx identity and agreements, 4xxx peers and sessions, 5xxx store,
//! 6xxx configuration, daemon and local API.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// A stable code, written `MQ-1042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// The code with this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// What the code means; `None` if no part of Mithaq uses it.
    #[must_use]
    pub fn explain(self) -> Option<Explanation> {
        entries().find(|(number, ..)| *number == self.0).map(|&(_, title, text)| Explanation {
            code: self,
            title,
            text,
        })
    }

    /// Every code that is in use, in ascending order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut codes: Vec<_> = entries().map(|(number, ..)| Self(*number)).collect();
        codes.sort_unstable();
        codes
    }
}

/// Number, title and explanation of every code.
fn entries() -> impl Iterator<Item = &'static (u16, &'static str, &'static str)> {
    CODES.iter().chain(mithaq_stix::ERROR_CODES).chain(mithaq_stix::validate::RULE_CODES)
}

/// What a code means and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// A short name.
    pub title: &'static str,
    /// What happened, why, and what to do next.
    pub text: &'static str,
}

/// A text is not a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a code such as MQ-2010, found {found:?}")]
pub struct CodeError {
    /// What stood there.
    pub found: String,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MQ-{:04}", self.0)
    }
}

impl FromStr for Code {
    type Err = CodeError;

    /// Takes `MQ-2010`, `mq2010` or `2010`.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.strip_prefix("MQ").unwrap_or(&upper);
        let number = digits.strip_prefix('-').unwrap_or(digits).parse();
        number.map(Self).map_err(|_| CodeError { found: text.chars().take(80).collect() })
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal, $text:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*
        }

        /// Number, title and explanation of every code that is not `mithaq_stix`'s.
        const CODES: &[(u16, &str, &str)] = &[$(($number, $title, $text)),*];
    };
}

codes! {
    /// The text is not JSON.
    BROKEN_JSON = 1051, "broken JSON",
        "The input stops being JSON at the place that the message names. What came before it was read; nothing after it \
         can be trusted. Mend the file there and push it again: what was stored already is recognised and not stored twice.";
    /// The input is too large.
    TOO_LARGE = 1052, "input too large",
        "A push takes at most 100 MB and 100,000 objects. Split the input and push the parts; parts may overlap.";
    /// An object is too large.
    OBJECT_TOO_LARGE = 1053, "object too large",
        "An object may have at most 1 MiB in canonical form. Artifacts of that size belong beside the indicators, referred to by URL and hash.";
    /// The object belongs to another CERT.
    FOREIGN_OBJECT = 1054, "object owned by another CERT",
        "The object's created_by_ref is an identity that a peer's card claims. Only that CERT may publish or revise it.";
    /// Nothing was stored since the push was atomic.
    ATOMIC = 1055, "nothing stored",
        "The push asked for all or nothing with --atomic, and something in it was refused. Nothing was stored. Mend what was refused, or push without --atomic.";

    /// An object's label cannot be written.
    LABEL = 1056, "label too large",
        "The object, with what it speaks of, names over 64 sectors or markings, sectors of over 4 KiB together, or a sector that is longer than 250 bytes or has control characters. \
         Mend the sectors, or split the report.";

    /// An agreement applies.
    AGREEMENT = 2001, "agreement",
        "The release rule found the agreement with this CERT and goes by its terms.";
    /// There is no agreement.
    NO_AGREEMENT = 2002, "no agreement",
        "Nothing leaves without an agreement that both CERTs signed. Make one with `mithaq agreement new`, or activate the one you have with `mithaq peer activate`.";
    /// Validity of the agreement.
    VALIDITY = 2003, "agreement's validity",
        "An agreement releases only between its first and its last moment. Make a new one with `mithaq agreement new`.";
    /// Whose release it is.
    ORIGIN = 2004, "origin",
        "A CERT shares its own releases. What came from another CERT is passed on only where that origin consents.";
    /// TLP ceiling.
    TLP_CEILING = 2010, "TLP ceiling",
        "The agreement and the configuration ([policy] tlp_max) each set the strictest TLP level that may leave; the lower of the two holds.";
    /// TLP:RED.
    TLP_RED = 2011, "TLP:RED",
        "TLP:RED is for named recipients only. No CERT receives it by way of an agreement.";
    /// TLP:GREEN.
    COMMUNITY = 2012, "TLP:GREEN and community",
        "TLP:GREEN stays within a community. The agreement must name the community that both CERTs belong to.";
    /// Category.
    CATEGORY = 2020, "category",
        "The agreement lists the categories that go. A release goes only if all of its categories are listed; a relationship has the categories of what it connects.";
    /// Vulnerabilities.
    VULNERABILITY = 2021, "vulnerability",
        "Vulnerabilities, and whatever refers to one, are released only if the agreement lists the category by name: some countries' laws forbid to give undisclosed vulnerabilities abroad.";
    /// Sectors.
    SECTOR = 2030, "sector",
        "The agreement lists the sectors that go. A release goes only if all of its sectors are listed; what names no sector is of the sector `unspecified`, which an agreement may list too.";
    /// Markings other than TLP.
    MARKING = 2040, "marking",
        "The release carries a marking other than TLP. What a marking means is not ours to guess, so it is released only where the agreement names the marking's id.";

    /// A card is refused.
    CARD = 3001, "card refused",
        "The file is not a card, or was changed after its owner signed it. Ask the peer for its card again and compare what you received, byte by byte.";
    /// An agreement is refused.
    AGREEMENT_REFUSED = 3002, "agreement refused",
        "The file is not an agreement, was changed after it was signed, or lacks a signature. `mithaq agreement show FILE` says which.";
    /// A pairing group is wrong.
    PAIRING = 3003, "pairing code differs",
        "Both sides of a pairing derive the same sixty digits from both root keys and the agreement. A group with a wrong check digit was misheard; a well-formed group of another code means that someone holds another key or other terms: do not go on.";
    /// The pairing is incomplete.
    NOT_VERIFIED = 3004, "pairing not finished",
        "A peer becomes active once its card is added, an agreement is signed by both sides, and the pairing code was compared with `mithaq peer verify`.";
    /// Something exists already.
    EXISTS = 3005, "already there",
        "Nothing was overwritten. Choose another folder or name, or remove what is there first.";
    /// A key file cannot be used.
    KEY = 3006, "key file",
        "The key file is missing, not readable, or not an Ed25519 private key in PEM. Key files must belong to the daemon's user and be readable by nobody else (mode 0600).";
    /// No such peer.
    NO_SUCH_PEER = 3007, "no such peer",
        "No peer of that name is known. `mithaq status` lists the peers; `mithaq peer add` adds one.";

    /// The other side's key is not the peer's.
    WRONG_PEER = 4001, "wrong peer",
        "Whoever answered at the peer's address showed a TLS key that the peer's card does not name. No data was sent. Check the address; if the peer has new keys, add its new card.";
    /// Agreements differ.
    AGREEMENT_MISMATCH = 4002, "agreements differ",
        "The two daemons hold different agreements, so no data moves. Both operators compare `mithaq agreement show`; the side with the older one activates the newer.";
    /// Protocol version.
    INCOMPATIBLE = 4003, "incompatible peer",
        "The peer speaks no version of the protocol that this program speaks. The side with the older program updates it.";
    /// The peer broke the protocol.
    MISBEHAVED = 4004, "peer broke the protocol",
        "The peer sent what the protocol forbids and the session was closed. Nothing of what it sent wrongly was stored. If it happens again, ask the peer's operators which program they run.";
    /// The peer sent a release that does not verify.
    BAD_RELEASE = 4005, "release refused",
        "A release did not verify: wrong signature, hash, label or content. Nothing of it was stored and the session was closed.";
    /// No answer.
    UNREACHABLE = 4006, "peer unreachable",
        "Nobody answers at the peer's addresses. The daemon tries again by itself, with growing pauses.";
    /// The session was replaced.
    REPLACED = 4007, "session replaced",
        "The peer opened a newer session; the older one was closed. Nothing is lost.";
    /// The other daemon stops.
    GOING_AWAY = 4008, "peer going away",
        "The peer's daemon is stopping or reloading. The session resumes where it stopped once it is back.";

    /// The disk is full.
    DISK_FULL = 5001, "disk full",
        "The disk that holds the store is full or nearly so. Nothing was stored and nothing was lost. Free some space and try again.";
    /// The store is open elsewhere.
    STORE_LOCKED = 5002, "store in use",
        "Another daemon has this store open. Two daemons never share a store: stop the other one, or give this one a home of its own.";
    /// Damage.
    CORRUPT = 5003, "damaged record",
        "A record of the store does not match its checksum. It was not served. `mithaq store check` lists what is damaged.";
    /// Outcome unknown.
    OUTCOME_UNKNOWN = 5004, "outcome unknown",
        "The disk failed while the push was being written, so it is not known whether it was stored. Push it again: what was stored is recognised.";
    /// Other store failure.
    STORE = 5005, "store failure",
        "The store could not do what it was asked; the message says why. The daemon's log has the details.";

    /// The configuration is wrong.
    CONFIG = 6001, "configuration",
        "The configuration file has a key or value that is not understood; the message names file, line and key. The daemon does not start on a configuration that it does not fully understand.";
    /// There is no home.
    NO_HOME = 6002, "no CERT home",
        "The folder holds no CERT. `mithaq init` makes one; `--home DIR` or MITHAQ_HOME names it.";
    /// Socket path too long.
    SOCKET_PATH = 6003, "socket path too long",
        "A unix socket's path may have at most 107 bytes. Use a home with a shorter path, or set [sockets] dir.";
    /// The daemon does not answer.
    DAEMON_UNREACHABLE = 6004, "daemon unreachable",
        "Nobody answers at the control socket. Start the daemon with `mithaq run`, or check --home.";
    /// The address is taken.
    LISTEN = 6005, "cannot listen",
        "The daemon cannot listen at the configured address; the message says why.";
    /// A request is malformed.
    BAD_REQUEST = 6006, "malformed request",
        "The request has a missing or malformed parameter; the message names it.";
    /// A cursor is of another store.
    FOREIGN_CURSOR = 6007, "cursor of another store",
        "The cursor was given out by another store than this one, so it cannot be resumed. Start again without a cursor; objects are the same under the same content id.";
    /// Not found.
    NOT_FOUND = 6008, "not found",
        "Nothing with that id or value is held here, or you may not see it.";
    /// Method not allowed.
    READ_ONLY = 6009, "read only",
        "This socket is read only. Objects come in with `mithaq push`.";
    /// Not authorised.
    UNAUTHORISED = 6010, "token needed",
        "The listener wants the token of its token file, as a Bearer token or as the password of Basic authentication.";
    /// Internal failure.
    INTERNAL = 6011, "internal failure",
        "Something failed that should not; the daemon's log has the details. This is a bug: please report it.";
    /// A file cannot be used.
    FILE = 6012, "file",
        "A file or folder cannot be read or written; the message names it and says why. Check its path, its owner and its mode.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_used_once_and_explained() {
        let codes = Code::all();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "a code is used twice: {codes:?}");
        for code in codes {
            let explanation = code.explain().unwrap();
            assert!(explanation.text.ends_with('.'), "{code}");
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for text in ["MQ-2010", "mq-2010", "mq2010", "2010"] {
            assert_eq!(text.parse(), Ok(Code::TLP_CEILING));
        }
        assert!("MQ-".parse::<Code>().is_err());
        assert_eq!(Code::TLP_CEILING.to_string(), "MQ-2010");
    }
}

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
        "A push takes at most 100 MB and 100,000 objects, a request with sightings 4 MiB and 10,000 reports. Split the input and send the parts; parts may overlap.";
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

    /// A value stands on a warning list.
    WARNING_LIST = 1070, "on a warning list",
        "The object's value is well known and mostly no threat: a resolver, a popular domain, a private address. The configuration says that such \
         objects are not pushed ([warning_lists] mode = \"block\"). If it is one all the same, push it with --force: what you forced is recorded \
         in audit/forced.ndjson.";
    /// An input cannot be made into STIX.
    INTAKE = 1071, "input not understood",
        "The input is not what --from says, or what it looked like. Say what it is with --from stix, misp, csv or text; for a table say which column \
         holds what with --map value=COLUMN. `mithaq push FILE -n` shows what would be made of it.";
    /// A template cannot be used.
    TEMPLATE = 1072, "template not understood",
        "A template in HOME/templates has the keys from, map, tlp, to, sectors, labels, expires and confidence, and no others. \
         The message names the line.";

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
        "A CERT shares its own releases, and gives nothing back to the CERT that it came from. What came from a third CERT is passed on only where that origin lets it (MQ-2014, MQ-2015) and the receiver takes it (MQ-2016).";
    /// One of the parties has ended the agreement.
    ENDED = 2005, "agreement ended",
        "A party has terminated the agreement. That takes effect at once for what goes out; withdrawals of what was given still go. Make a new one with `mithaq agreement new`.";
    /// Notices to our own readers stay.
    REVIEW = 2006, "review",
        "A review tells our own readers to look again at what they were shown. It never leaves this CERT.";
    /// Withdrawals.
    WITHDRAWAL = 2007, "withdrawal",
        "A withdrawal goes to every CERT that was given what it takes back, whatever the rule says today, and to no other: whoever was given nothing is told nothing.";
    /// Withdrawn or quarantined here.
    HELD = 2008, "held back here",
        "Something in the release was withdrawn, or is in quarantine here. `mithaq quarantine list` and `mithaq show ID` say what and why.";
    /// Named recipients.
    RECIPIENTS = 2009, "named recipients",
        "The origin named the CERTs that the release is for. No other receives it.";
    /// TLP ceiling.
    TLP_CEILING = 2010, "TLP ceiling",
        "The agreement and the configuration ([policy] tlp_max) each set the strictest TLP level that may leave; the lower of the two holds.";
    /// TLP:RED.
    TLP_RED = 2011, "TLP:RED",
        "TLP:RED is for named recipients only, straight from its origin. Name them when you push; no CERT receives it by way of an agreement alone, and nobody passes it on.";
    /// TLP:GREEN.
    COMMUNITY = 2012, "TLP:GREEN and community",
        "TLP:GREEN stays within a community. The agreement must name the community that both CERTs belong to.";
    /// TLP:AMBER and a third CERT.
    TLP_AMBER = 2013, "TLP:AMBER and third CERTs",
        "TLP:AMBER and TLP:AMBER+STRICT stay with the CERT that received them: they go straight from their origin or not at all, whoever consents.";
    /// The origin's word on passing on.
    ONWARD = 2014, "passing on",
        "What a third CERT released is passed on only where our agreement with that CERT says so: its term `onward` lists the receiver, or is `ask` and the origin consents. [policy] onward = false passes nothing on.";
    /// The origin's consent.
    CONSENT = 2015, "origin's consent",
        "Our agreement with the origin says `onward: ask`: the origin must have granted this receiver what is to be passed on, and a denial holds against any list. `mithaq consent list` shows what was asked and answered.";
    /// The receiver's word on third-party data.
    THIRD_PARTY = 2016, "third-party data",
        "The agreement with the receiver says whether the parties take what a third CERT released: its term `third_party` must be `accept`.";
    /// Category.
    CATEGORY = 2020, "category",
        "The agreement lists the categories that go. A release goes only if all of its categories are listed; a relationship has the categories of what it connects.";
    /// Vulnerabilities.
    VULNERABILITY = 2021, "vulnerability",
        "Vulnerabilities, and whatever refers to one, are released only if the agreement lists the category by name: some countries' laws forbid to give undisclosed vulnerabilities abroad.";
    /// Sightings.
    SIGHTINGS = 2022, "sightings",
        "The agreement says whether sightings go: `none`, only `count`, or `full`. With `count` each sighting by itself stays, as signed data is never summed up or changed on its way.";
    /// Sectors.
    SECTOR = 2030, "sector",
        "The agreement lists the sectors that go. A release goes only if all of its sectors are listed; what names no sector is of the sector `unspecified`, which an agreement may list too.";
    /// Markings other than TLP.
    MARKING = 2040, "marking",
        "The release carries a marking other than TLP. What a marking means is not ours to guess, so it is released only where the agreement names the marking's id. If you have its definition, push that too: statements, PAP levels and IEP policies are understood.";
    /// Statements for people.
    STATEMENT = 2041, "statement marking",
        "The release carries a statement that only people can read, such as terms of use. It goes only where the agreement says `statements: allow`.";
    /// Permissible Actions Protocol.
    PAP = 2042, "PAP ceiling",
        "The release has a level of the Permissible Actions Protocol; the agreement's `pap_max` is the strictest that goes.";
    /// Information Exchange Policy.
    IEP = 2043, "Information Exchange Policy",
        "The release carries an IEP 2.0 policy. It goes only while the policy holds and where the agreement says `iep: honour`; what must not be resold unmodified, or must not be attributed, is never passed on.";
    /// Personal data.
    PERSONAL = 2050, "personal data",
        "The release holds personal data: people, accounts, mail addresses, or patterns that look for them. It goes only where the agreement says `personal_data: allow`. With `pseudonymise`, publish a version with pseudonyms: what is signed is never changed on its way.";
    /// Confidence.
    CONFIDENCE = 2051, "confidence",
        "The agreement's `confidence_min` is the least confidence that goes, and what states none is below all. A release has the lowest confidence of what it speaks of.";
    /// Age.
    AGE = 2052, "age",
        "The agreement's `age_days_max` is how old a release may be when it goes, counted from when it was published.";

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

    /// A card claims what another claims.
    IDENTITY_CLAIMED = 3039, "identity claimed twice",
        "Two cards claim one STIX identity. Objects that it made would be one CERT's by one card and another's by the other, so the later card is not taken. Ask both CERTs which of them it belongs to.";

    /// Its origin took it back.
    WITHDRAWN = 3060, "withdrawn",
        "The CERT that published the object took it back. It is not served any more, and what that CERT published of it before stays void in whatever order it arrives.";
    /// It says that another CERT made it.
    SPOOFED = 3061, "made by another CERT",
        "The object names as its creator an identity that another CERT's card claims, or is that identity, and did not come from that CERT. It is in quarantine: `mithaq quarantine show` tells more, `accept` serves it, `drop` removes it.";
    /// Another CERT was the first to sign this id.
    CONTESTED = 3062, "contested id",
        "An object of this id was first signed by another CERT, and only that CERT revises or revokes it. What came is in quarantine and is not served as its new version. Ask the CERT that sent it to use an id of its own.";
    /// The key that signed it was revoked.
    SIGNED_BY_REVOKED = 3063, "signed by a revoked key",
        "The CERT has revoked the key that signed the release, for the time at which it was signed. What it carried is in quarantine and readers were told to drop it. Ask the CERT to publish again what it stands by.";
    /// Its version is of a time to come.
    FUTURE_VERSION = 3064, "version of the future",
        "The object's modified (or created) lies more than a day ahead of the release that carries it. Served, it would outlive every correction, so it is in quarantine.";
    /// An operator dropped it.
    DROPPED = 3065, "dropped",
        "An operator of this CERT dropped the object out of quarantine. It is not served.";
    /// An operator accepted it.
    ACCEPTED = 3066, "accepted",
        "An operator of this CERT accepted the object out of quarantine. It is served to our own readers, and not passed on.";
    /// It was kept as long as the agreement says.
    RETENTION = 3068, "kept no longer",
        "The agreement says for how long what a peer released is kept, and what becomes of it at the end. The object's body was purged; if the peer publishes it again it is taken in anew.";
    /// It was not published by us.
    NOT_OURS = 3067, "not ours",
        "Only the CERT that published an object can withdraw or revoke it. Tell that CERT, or keep it from your own readers with `mithaq quarantine drop` if it is in quarantine.";

    /// A termination is refused.
    TERMINATION = 3010, "termination refused",
        "The file is not a termination, was changed after it was signed, is of another agreement, or is not signed by a party with a key that its card names.";
    /// A purge attestation is refused.
    ATTESTATION = 3011, "purge attestation refused",
        "The file is not a purge attestation, was changed after it was signed, or is not signed by a party with a key that its card names.";
    /// A consent is refused.
    CONSENT_REFUSED = 3012, "consent refused",
        "The request or answer was changed after it was signed, names the wrong CERTs, or is not signed with a key that its CERT's card names.";
    /// A group's agreement is refused.
    GROUP = 3013, "group agreement refused",
        "A group's agreement needs the signature of every member. A version that only admits or removes members or renews needs the threshold of members of the one that it supersedes, and everyone newly admitted.";
    /// The agreement was terminated.
    TERMINATED = 3014, "agreement terminated",
        "A party has ended this agreement, for good. Draft a new one with `mithaq agreement new`, or a successor with `mithaq agreement renew`.";
    /// The root key is not here.
    ROOT_OFFLINE = 3030, "root key not here",
        "A new card needs the signature of the root key, which is not in this home. Give its file with --root, or let it sign on the machine where it lies: `mithaq key draft` here, \
         `mithaq key sign-card` there, `mithaq key install` here.";
    /// A card is another CERT's.
    OTHER_CERT = 3031, "card of another CERT",
        "A card is followed only by one that the same root key signed. If a CERT has lost its root key it is another CERT from then on: add it under another name and pair with it by telephone.";
    /// A card is older than the one that is held.
    CARD_ROLLBACK = 3032, "older card",
        "A card's serial only grows. An older card than the one that is held is not taken: it would make keys count again that were replaced or revoked. If our own card is the older one, \
         put back the newest `card.json`; a peer's `mithaq peer show` tells the serial that it holds.";
    /// Two cards with one serial.
    EQUIVOCATION = 3033, "two cards with one serial",
        "One root key has signed two different cards with the same serial. That is proof that the key was stolen or misused, or that an old backup of a home was put back and went on. \
         Both cards are kept under HOME/evidence, and the peer is blocked until somebody has called its operators and decided on `mithaq peer resume`.";
    /// A key was revoked.
    KEY_REVOKED = 3034, "key revoked",
        "The CERT has revoked this key: what it signed at the stated time or later does not count, since anyone may have signed it. What it signed before stays good.";
    /// A peer is suspended.
    PEER_SUSPENDED = 3035, "peer suspended",
        "One side has suspended the other: the agreement stays, and no session runs until that side resumes with `mithaq peer resume`. If it is not us, call the peer's operators.";
    /// A peer is blocked.
    PEER_BLOCKED = 3036, "peer blocked",
        "The peer is blocked: its daemon cannot connect, and nothing is sent to it. `mithaq peer show` tells why. `mithaq peer resume` lets it in again.";
    /// No such key.
    NO_SUCH_KEY = 3037, "no such key",
        "Our card names no key with that id, or several that begin so. `mithaq key list` shows them; give the id, or enough of its first digits.";
    /// No key that is here can be used.
    NO_USABLE_KEY = 3038, "no usable key",
        "Of the keys that our card names, none that lies in HOME/keys may be used now: it has run out, was revoked, or its file is missing. Make new ones with `mithaq key rotate`, \
         or put back the file from a backup.";

    /// The other side's key is not the peer's.
    WRONG_PEER = 4001, "wrong peer",
        "Whoever answered at the peer's address showed a TLS key that the peer's card does not name. No data was sent. Check the address; if the peer has new keys, take its new card with `mithaq peer update`.";
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
    /// A checkpoint is refused.
    CHECKPOINT = 4010, "checkpoint refused",
        "The signed head of a ledger did not verify: it is malformed, of another CERT or store, dated ahead, or not signed with a key that the CERT's card names. It was not cosigned. Compare the card that you hold with the peer's newest.";
    /// A peer's ledger was rolled back.
    LEDGER_ROLLBACK = 4011, "ledger rolled back",
        "The peer's ledger of what it disclosed to us has fewer entries than it had: entries were taken back, or an old backup runs under the identity of the store that it was taken of. Nothing was cosigned. Ask its operators what happened; a store that is restored as it should be has a new id and begins a new ledger.";
    /// A peer's ledger shows two histories.
    LEDGER_FORK = 4012, "ledger forked",
        "The peer signed two different histories of its ledger. Both signed heads are kept as evidence, and the key that signed them is stopped. `mithaq evidence list` shows it, `mithaq evidence export` makes a file that anyone can check with the peer's card.";
    /// A peer did not prove that its ledger goes on.
    LEDGER_UNPROVEN = 4013, "ledger not proven to go on",
        "The peer's ledger has grown, and the proof that it begins with what it was before does not hold. Nothing was cosigned. If it happens again, ask the peer's operators whether their store was edited.";
    /// A cosignature is refused.
    COSIGNATURE = 4014, "cosignature refused",
        "The peer's cosignature of our ledger does not fit the head that was sent, or is not made with a key that its card names. The ledger stays as far cosigned as it was.";
    /// A receipt is refused.
    RECEIPT = 4015, "receipt refused",
        "The peer's receipt did not verify: it speaks of releases that it was not sent, is dated ahead, or is not signed with a key that its card names. The releases count as sent and not as acknowledged.";
    /// Evidence is refused.
    EVIDENCE = 4016, "evidence refused",
        "The file proves nothing: it is malformed, of another CERT than the card, a signature does not fit, or both documents may be signed honestly.";
    /// A proof is refused.
    PROOF = 4017, "proof refused",
        "The file does not prove that the ledger has the entry: the entry, the path, the signed head or a signature was changed, or the card is another CERT's.";
    /// Our own ledger is not what peers have accepted.
    OWN_ROLLBACK = 4019, "our own store rolled back",
        "A peer has accepted more entries of our ledger than our store has, or others: the store was put back to an older state, or changed. Nothing is sent to that peer, or to any if the daemon found it by HOME/ledger/local.json, since it would begin a second history. \
         Put the newest state of the store back. If it is lost, `mithaq restore` puts a backup in its place under an id of its own, which begins a new ledger.";
    /// After a restore: a peer cannot be heard.
    UNHEARD = 4040, "restored, and a peer cannot be heard",
        "The store was restored from a backup, and SIEMs wait for a peer with which no session comes about, since it is suspended or blocked here. What it has withdrawn since the backup is not known. \
         `mithaq peer resume NAME` lets it in, and SIEMs are served once it was heard; `mithaq restore --serve` serves them without that.";
    /// After a restore: a withdrawal of ours cannot be read.
    WITHDRAWALS_UNREAD = 4041, "restored, and a withdrawal of ours unreadable",
        "The store was restored from a backup, and HOME/ledger/withdrawals.ndjson, from which it learns what we withdrew since, cannot be read in full: the message names the line. What that line took back may still be in the store. \
         Put the file back as it was, or take the line out if you know that it holds no withdrawal, and start the daemon again; or withdraw it again once SIEMs are served with `mithaq restore --serve`.";

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
    /// The ledger is not what was signed.
    LEDGER = 5010, "ledger damaged",
        "The ledger in the store is not the one that was signed: an entry was changed, removed or added outside Mithaq. `mithaq ledger verify` names the place. Keep the store as it is for those who will look into it, and go on with a restored backup.";
    /// The ledger is behind what a peer cosigned.
    LEDGER_BEHIND = 5011, "ledger behind its cosignature",
        "A peer cosigned more entries of our ledger than the store has: the store was replaced by an older copy of itself. Nothing is signed on top of it. Put back the newer store, or `mithaq restore` a backup, which gets a new id and so begins a new ledger.";
    /// A backup is damaged.
    BACKUP_DAMAGED = 5030, "backup damaged",
        "A file of the backup is missing, too short, or not what the signed manifest says: it was damaged or changed. Nothing was restored. Restore from another backup, or take a new one in an empty folder. `mithaq backup DIR --verify` names every such file.";
    /// There is no backup.
    NO_BACKUP = 5031, "no backup",
        "The folder holds no manifest of a backup: no backup there ever came to its end. Name the folder that `mithaq backup` was given.";
    /// A backup is of other packs.
    BACKUP_DIVERGED = 5032, "backup of another past",
        "The packs in the backup's folder are not the past of this store: the store was put back by hand, or edited. The backup stays as it is. Run `mithaq store check` and `mithaq ledger verify`, and give the next backup a folder of its own.";
    /// A restore would write over a store.
    STORE_EXISTS = 5033, "there is a store already",
        "A restore never writes over a store. If this one is lost, stop the daemon and move its folder away; keep it until the exchange goes on.";
    /// A restored store has not heard from all peers.
    CATCHING_UP = 5034, "restored, and catching up",
        "The store was restored from a backup. What it holds may have been withdrawn since, so SIEMs are served only once every active peer has told what the store lacks. `mithaq status` names the peers that it waits for; `mithaq restore --serve` serves without them.";

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
    /// A reader has no right to a collection.
    NOT_A_READER = 6020, "not a reader of this collection",
        "The collection names the users and groups that may read at its socket (`uids`, `gids` in its table of mithaq.toml), and the program that connected runs as none of them. Its user and its effective group count, as the system tells them.";
    /// Too many readers.
    TOO_MANY_READERS = 6021, "too many readers",
        "More readers than the daemon serves at once follow its streams. Try again later, or let fewer programs read; `mithaq siem readers` lists those that were there.";
    /// No media type fits.
    NOT_ACCEPTABLE = 6022, "no such media type",
        "The answers have one media type and the request's Accept takes none of it. For TAXII send `Accept: application/taxii+json;version=2.1`.";
    /// The tokens cannot be used.
    TOKENS = 6023, "tokens of SIEMs",
        "The file of tokens has a form, a mode or a name that cannot be used; the message says which. It holds hashes alone, so what is damaged is made again with `mithaq siem token add`.";
    /// No such collection.
    NO_COLLECTION = 6024, "no such collection",
        "No collection of that name is configured, or the reader may not see it. Collections are `default` and the tables `[collection.NAME]` of mithaq.toml.";
    /// Too much for one export.
    EXPORT_TOO_LARGE = 6050, "too much for one export",
        "An export holds at most 1,000,000 values, gathered from at most as many objects, so that the daemon's memory stays bounded. Nothing was written. Export a collection that holds less, or a lower TLP level.";
    /// The command behind an export failed.
    EXPORT_COMMAND = 6052, "the command behind an export failed",
        "The export was written, but the command that `run` names could not be started, took too long, or ended with a status other than 0. It is run again. Try it by hand as the daemon's user.";
    /// Suricata's command socket failed.
    EXPORT_SOCKET = 6053, "the command socket did not take the changes",
        "The datasets were written, but Suricata was not told what came and went: nobody answers at command_socket, or an answer was no. It is told again. Check the path, that the daemon's user may write to it, and that a rule or suricata.yaml loads the set that the message names.";
    /// Nothing to search by.
    SEARCH = 6070, "cannot search by that",
        "A search is by a value (an address, a network such as 192.0.2.0/24, a domain, .domain for all below it, a URL, a hash, a name) or by --text, or by filters alone of which one is --since, --until, --origin, --tlp, --category or --sector. The message says what was not understood.";
    /// A cursor is of another search.
    SEARCH_CURSOR = 6071, "cursor of another search",
        "A cursor of a search goes on with the same search, of the same value with the same filters, of the same store. Start again without --after.";
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

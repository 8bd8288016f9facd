//! Checkpoints: the signed head of a tree, a signed note as the C2SP tlog-checkpoint specification has it.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    note::{Note, NoteError, NoteSignature, SignatureType, key_hash},
    origin::Origin,
};
use crate::{
    card::VerifiedCard,
    id::{CertId, KeyId, TreeHash},
    keys::{PublicKey, SecretKey, Signature, Suite},
    merkle::TREE_SIZE_MAX,
    release::CLOCK_SKEW_MAX,
    text::is_plain,
    time::Time,
};

/// The most extension lines of a checkpoint, besides that with its time.
pub const CHECKPOINT_EXTENSIONS_MAX: usize = 8;

/// The most bytes of an extension line.
pub const EXTENSION_BYTES_MAX: usize = 512;

/// What the line with the time begins with.
const AT: &str = "at ";

/// What is said of a tree: how large it is and what its root is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The tree.
    pub origin: Origin,
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: TreeHash,
    /// When it was signed, by the signer's clock. A signer never states an earlier time than before, so that a smaller
    /// size at a later time proves that it took something back: see [`Checkpoint::successor`].
    pub at: Time,
    /// Lines that this program has no name for.
    extensions: Vec<String>,
}

/// A checkpoint as it travels: nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// A checkpoint whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    pub(super) checkpoint: Checkpoint,
    /// The note with no other signatures than were checked.
    pub(super) note: Note,
    key: KeyId,
    pub(super) cosigned_at: Option<Time>,
}

/// Why a checkpoint is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It is not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note(#[from] NoteError),
    /// A line of its text is wrong.
    #[error("the checkpoint's {line} is missing or not as it should be")]
    Text {
        /// Which line.
        line: &'static str,
    },
    /// It is another CERT's than the one whose card is at hand.
    #[error("the checkpoint is of CERT {found}, not of {expected}")]
    Signer {
        /// Whose card is at hand.
        expected: CertId,
        /// Whom its origin names.
        found: CertId,
    },
    /// It is not signed with a key that the card names for its time.
    #[error("the checkpoint is not signed with a key that the signer's card names for {at}")]
    Unsigned {
        /// When it was signed, by its own word.
        at: Time,
    },
    /// The signature does not fit.
    #[error("the signature does not fit the checkpoint: it was changed after it was signed")]
    Signature,
    /// It is dated in the future.
    #[error("the checkpoint is dated {at}, more than five minutes ahead of {now}")]
    Future {
        /// Its date.
        at: Time,
        /// This machine's clock.
        now: Time,
    },
}

impl Checkpoint {
    /// The first checkpoint of a tree; for later ones see [`Checkpoint::successor`].
    #[must_use]
    pub const fn new(origin: Origin, size: u64, root: TreeHash, at: Time) -> Self {
        Self { origin, size, root, at, extensions: Vec::new() }
    }

    /// The checkpoint that follows this one, at `now` or, if the clock was set back, at the time of this one.
    #[must_use]
    pub fn successor(&self, size: u64, root: TreeHash, now: Time) -> Self {
        Self::new(self.origin, size, root, self.at.max(now))
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let root = STANDARD.encode(self.root.as_bytes());
        let mut text = format!("{}\n{}\n{root}\n{AT}{}\n", self.origin, self.size, self.at);
        for extension in &self.extensions {
            text.push_str(extension);
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = |line| CheckpointError::Text { line };
        let mut lines = text.strip_suffix('\n').ok_or(wrong("end"))?.split('\n');
        let mut next = |name| lines.next().ok_or(wrong(name));
        let origin = next("origin")?.parse().map_err(|_| wrong("origin"))?;
        let size = parse_size(next("size")?).ok_or(wrong("size"))?;
        let root = STANDARD.decode(next("root")?).ok().and_then(|root| root.try_into().ok()).ok_or(wrong("root"))?;
        let at = next("time")?.strip_prefix(AT).and_then(|text| text.parse().ok()).ok_or(wrong("time"))?;
        let extensions: Vec<_> = lines.take(CHECKPOINT_EXTENSIONS_MAX + 1).map(str::to_owned).collect();
        let is_extension = |line: &String| !line.is_empty() && is_plain(line, EXTENSION_BYTES_MAX);
        if extensions.len() > CHECKPOINT_EXTENSIONS_MAX || !extensions.iter().all(is_extension) {
            return Err(wrong("extension lines"));
        }
        let checkpoint = Self { origin, size, root: TreeHash::from_bytes(root), at, extensions };
        // A time has several spellings, and a checkpoint has one.
        if checkpoint.text() == text { Ok(checkpoint) } else { Err(wrong("spelling")) }
    }

    /// Signs the checkpoint of one of our own trees with a signing key of our card.
    ///
    /// Only what is durable may be signed, and the signed checkpoint is made durable before anyone sees it: a tree that
    /// lost its last leaves in a crash would otherwise be signed again with fewer, which is proof of a rollback.
    #[must_use]
    pub fn sign(self, key: &SecretKey) -> VerifiedCheckpoint {
        let (text, name) = (self.text(), self.origin.from.to_string());
        let signature = NoteSignature {
            key_hash: key_hash(&name, SignatureType::Ed25519, key.public().as_bytes()),
            signature: key.sign_note(&text).as_bytes().to_vec(),
            name,
        };
        let note = Note::new(text, signature);
        VerifiedCheckpoint { checkpoint: self, note, key: key.public().id(), cosigned_at: None }
    }
}

/// Reads a size in the one way in which it is written.
fn parse_size(line: &str) -> Option<u64> {
    let size: u64 = line.parse().ok()?;
    (size <= TREE_SIZE_MAX && size.to_string() == line).then_some(size)
}

/// The signing key of `card` that a signature line of the given type names, if it may be used at `at`.
pub(super) fn signing_key(
    card: &VerifiedCard,
    line: &NoteSignature,
    signature_type: SignatureType,
    at: Time,
) -> Option<PublicKey> {
    let name = card.cert_id().to_string();
    if line.name != name {
        return None;
    }
    let mut keys = card.card().signing_keys.iter();
    keys.find(|key| key_hash(&name, signature_type, key.public.as_bytes()) == line.key_hash)
        .and_then(|key| card.signing_key(key.public.id(), Suite::Ed25519, at))
}

impl SignedCheckpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When it is not a note, or the text is not a checkpoint's.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// What it says, unchecked.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, unchecked.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Checks the signature against the card of the CERT whose tree it is. The key must have been valid at the time
    /// that the checkpoint states. Signatures by others, cosignatures among them, are left out of what is verified.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self, signer: &VerifiedCard, now: Time) -> Result<VerifiedCheckpoint, CheckpointError> {
        let Checkpoint { origin, at, .. } = self.checkpoint;
        if origin.from != signer.cert_id() {
            return Err(CheckpointError::Signer { expected: signer.cert_id(), found: origin.from });
        }
        if at > now.plus(CLOCK_SKEW_MAX) {
            return Err(CheckpointError::Future { at, now });
        }
        for line in self.note.signatures() {
            let Some(key) = signing_key(signer, line, SignatureType::Ed25519, at) else { continue };
            let signature = line.signature.as_slice().try_into().map_err(|_| CheckpointError::Signature)?;
            let signature = Signature::from_bytes(signature);
            let _valid = key.verify_note(self.note.text(), &signature).map_err(|_| CheckpointError::Signature)?;
            let note = Note::new(self.note.text().to_owned(), line.clone());
            return Ok(VerifiedCheckpoint { checkpoint: self.checkpoint, note, key: key.id(), cosigned_at: None });
        }
        Err(CheckpointError::Unsigned { at })
    }
}

impl VerifiedCheckpoint {
    /// What it says.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, with the signatures that were checked; its text is what travels and rests.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The key that signed.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// When the CERT that was disclosed to cosigned it, by that CERT's clock; `None` if no cosignature was added.
    #[must_use]
    pub fn cosigned_at(&self) -> Option<Time> {
        self.cosigned_at
    }
}

impl fmt::Display for VerifiedCheckpoint {
    /// Writes the note as it travels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

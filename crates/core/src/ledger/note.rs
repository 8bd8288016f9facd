//! Signed notes as the C2SP signed-note specification (v1.0.0) has them: a text, a blank line, and lines with
//! signatures over the text.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::id::sha256_of;

/// The most bytes of a note: room for sixteen signatures, of post-quantum suites too.
pub const NOTE_BYTES_MAX: usize = 128 * 1024;

/// The most signatures of a note, as many as the specification asks every reader to take.
pub const NOTE_SIGNATURES_MAX: usize = 16;

/// What a signature line begins with: an em dash and a space.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// How the signature in a line is made; the byte that tells the types apart in a key's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SignatureType {
    /// Ed25519 over the text.
    Ed25519 = 0x01,
    /// Ed25519 over a time and the text, by a witness (C2SP tlog-cosignature).
    Cosignature = 0x04,
}

/// The first four bytes by which a signature line names its key.
pub(super) fn key_hash(name: &str, signature_type: SignatureType, public: &[u8; 32]) -> [u8; 4] {
    let hash = sha256_of(&[name.as_bytes(), b"\n", &[signature_type as u8], public]);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// A text and the signatures that stand under it, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    pub(super) name: String,
    pub(super) key_hash: [u8; 4],
    pub(super) signature: Vec<u8>,
}

/// Why a text is not a signed note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It is too large.
    #[error("the note has {bytes} bytes; at most {NOTE_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not text of the allowed characters.
    #[error("the note is not UTF-8, or has control characters other than the end of a line")]
    Characters,
    /// It has no text, no blank line before the signatures, or no signatures.
    #[error("the note is not a text, a blank line and lines with signatures")]
    Shape,
    /// A signature line is malformed.
    #[error("line {line} under the note's text is not a signature line")]
    Line {
        /// Its number under the blank line, from 1.
        line: usize,
    },
    /// There are too many signatures.
    #[error("the note has {count} signatures; at most {NOTE_SIGNATURES_MAX} are read")]
    TooManySignatures {
        /// How many.
        count: usize,
    },
}

impl Note {
    /// Puts a signature under a text, which ends with a newline.
    pub(super) fn new(text: String, signature: NoteSignature) -> Self {
        Self { text, signatures: vec![signature] }
    }

    /// Reads a note.
    ///
    /// # Errors
    /// When it is too large or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge { bytes: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Characters);
        }
        // The text may have blank lines; the last one ends it.
        let split = note.rfind("\n\n").ok_or(NoteError::Shape)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape)?;
        let signatures = lines.split('\n').enumerate().map(|(number, line)| {
            let malformed = NoteError::Line { line: number + 1 };
            if number < NOTE_SIGNATURES_MAX {
                NoteSignature::parse(line).ok_or(malformed)
            } else {
                Err(NoteError::TooManySignatures { count: lines.split('\n').count() })
            }
        });
        Ok(Self { text: text.to_owned(), signatures: signatures.collect::<Result<_, _>>()? })
    }

    /// The text, with the newline that ends it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Puts a signature under the text, in place of an earlier one in the same name: a signer with many keys must not be
    /// able to make a note of ours longer than anyone reads.
    pub(super) fn add(&mut self, signature: NoteSignature) {
        self.signatures.retain(|other| other.name != signature.name);
        self.signatures.push(signature);
    }
}

impl fmt::Display for Note {
    /// Writes the note as it travels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl NoteSignature {
    /// Reads a signature line without its newline; `None` if it is malformed.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+') {
            return None;
        }
        let bytes = STANDARD.decode(base64).ok()?;
        let (key_hash, signature) = bytes.split_first_chunk().filter(|(_, signature)| !signature.is_empty())?;
        Some(Self { name: name.to_owned(), key_hash: *key_hash, signature: signature.to_vec() })
    }
}

impl fmt::Display for NoteSignature {
    /// Writes the line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_hash[..], &self.signature].concat();
        write!(f, "{SIGNATURE_MARK}{} {}", self.name, STANDARD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::from_hex,
        keys::{PublicKey, Signature},
    };

    /// The example of the documentation of Go's package golang.org/x/mod/sumdb/note, which the specification grew from.
    const EXAMPLE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_another_program_is_read_verified_and_written_again() {
        let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
        let public = from_hex("1a5cd907143c384c41e830c5bce12aa8817ec5649aaabf2c31388b35b2d744d6").unwrap();
        let [line] = note.signatures() else { unreachable!() };
        assert_eq!(line.key_hash, key_hash("PeterNeumann", SignatureType::Ed25519, &public));
        let signature = Signature::from_bytes(line.signature.as_slice().try_into().unwrap());
        assert!(PublicKey::from_bytes(public).verify_note(note.text(), &signature).is_ok());
        assert!(PublicKey::from_bytes(public).verify_note(&note.text()[1..], &signature).is_err());
        assert_eq!(note.to_string(), EXAMPLE);
    }

    #[test]
    fn what_is_not_a_note_is_refused() {
        let check = |text: &str, expect: NoteError| assert_eq!(Note::parse(text.as_bytes()), Err(expect), "{text:?}");
        let line = EXAMPLE.lines().last().unwrap();
        check("", NoteError::Shape);
        check("text\n", NoteError::Shape);
        check(&format!("text\n{line}\n"), NoteError::Shape);
        check(&format!("text\n\n{line}"), NoteError::Shape);
        check(&format!("text\r\n\n{line}\n"), NoteError::Characters);
        check("text\n\n\n", NoteError::Shape);
        check(&format!("text\n\n{line}\nrubbish\n"), NoteError::Line { line: 2 });
        check(&format!("text\n\n{}\n", line.replace('\u{2014}', "-")), NoteError::Line { line: 1 });
        check(&format!("text\n\n{}\n", line.replace("PeterN", "Peter+N")), NoteError::Line { line: 1 });
        check(&format!("text\n\n{}\n", line.replace("PeterN", "Peter\u{a0}N")), NoteError::Line { line: 1 });
        check(&format!("text\n\n{}\n", line.replace("JnAM=", "JnAN=")), NoteError::Line { line: 1 });
        check("text\n\n\u{2014} name AAAAAA==\n", NoteError::Line { line: 1 });
        let many = format!("text\n\n{}", format!("{line}\n").repeat(NOTE_SIGNATURES_MAX + 1));
        check(&many, NoteError::TooManySignatures { count: NOTE_SIGNATURES_MAX + 1 });
        let bytes = NOTE_BYTES_MAX + 1;
        check(&"x".repeat(bytes), NoteError::TooLarge { bytes });
        assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::Characters));
    }

    #[test]
    fn the_last_blank_line_ends_the_text() {
        let line = EXAMPLE.lines().last().unwrap();
        let text = format!("one\n\ntwo\n\n{line}\n");
        let note = Note::parse(text.as_bytes()).unwrap();
        assert_eq!(note.text(), "one\n\ntwo\n");
        assert_eq!(note.to_string(), text);
    }
}

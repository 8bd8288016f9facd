//! The tokens by which SIEMs read over TCP: a file of hashes, each with the collections that it opens.
//!
//! ```text
//! mithaq-siem-tokens/1
//! {"name":"splunk","collections":["default"],"sha256":"…","added":"2026-01-31T08:00:00.000000Z"}
//! ```
//!
//! A file whose first line is a token itself is read too: that token opens the default collection. Tokens are 256 random
//! bits, so a plain SHA-256 of one tells nothing of it.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use mithaq_core::{
    id::{sha256, to_hex},
    time::Time,
};
use serde::{Deserialize, Serialize};

use crate::{
    config::{COLLECTION_DEFAULT, is_collection_name},
    home::{HomeError, replace_file},
};

/// Where the tokens are unless the configuration says otherwise, relative to the home.
pub const TOKEN_FILE_DEFAULT: &str = "keys/siem.token";

/// The first line of a file of hashes.
const HEADER: &str = "mithaq-siem-tokens/1";

/// The most tokens of a file.
pub const TOKENS_MAX: usize = 256;

/// The most bytes of a file of tokens.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The fewest characters of a token that somebody made up.
const TOKEN_CHARS_MIN: usize = 32;

/// What a token that we make begins with, so that tools which look for secrets can know one.
const TOKEN_PREFIX: &str = "mqs_";

/// The name of the token in a file that holds nothing else.
const PLAIN: &str = "plain";

/// One token, which the file does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Whom it was given to.
    pub name: String,
    /// The collections that it opens.
    pub collections: BTreeSet<String>,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: Digest,
    /// Since when it is there; not known of a plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Time>,
}

/// The SHA-256 of a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of what a client shows.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(sha256(token))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        to_hex(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = mithaq_core::id::IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Content ids have the same form: 32 bytes in lower-case hexadecimal digits.
        Ok(Self(*text.parse::<mithaq_core::id::ContentId>()?.as_bytes()))
    }
}

/// Why tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no file.
    #[error("there is no token at {path}: make one with `mithaq siem token add NAME`")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the tokens {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("the tokens {path} have mode {mode:o}: others than their owner may use them; run `chmod 600 {path}`")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is neither a token nor a list of hashes.
    #[error(
        "the first line of {path} is no token: it needs at least {TOKEN_CHARS_MIN} visible ASCII characters; make one \
         with `mithaq siem token add NAME`"
    )]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// A line of the list cannot be read.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A name cannot be used.
    #[error("{name:?} cannot name a token: 1 to 32 of a-z, 0-9 and -, beginning with a letter")]
    Name {
        /// The name.
        name: String,
    },
    /// There is a token of this name.
    #[error("there is a token {name} already: remove it first, or take another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is no token of this name.
    #[error("there is no token {name}: `mithaq siem token list` shows those that there are")]
    Unknown {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("there are {TOKENS_MAX} tokens already: remove one first")]
    TooMany,
    /// The file cannot be written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// The tokens of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads a file that nobody but its owner may use.
    ///
    /// # Errors
    /// When it is not there, others may use it, or it cannot be understood.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let path = path.to_owned();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(TokenError::Missing { path }),
            Err(source) => return Err(TokenError::Read { path, source }),
        };
        match read(file) {
            Err(source) => Err(TokenError::Read { path, source }),
            Ok((mode, _)) if mode & 0o077 != 0 => Err(TokenError::Mode { path, mode: mode & 0o777 }),
            Ok((_, text)) => Self::parse(&text, &path),
        }
    }

    /// As [`Tokens::load`]; no file is no token.
    ///
    /// # Errors
    /// Those of [`Tokens::load`], but for a file that is not there.
    pub fn load_or_none(path: &Path) -> Result<Self, TokenError> {
        match Self::load(path) {
            Err(TokenError::Missing { .. }) => Ok(Self::default()),
            loaded => loaded,
        }
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, TokenError> {
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let first = lines.next().unwrap_or_default();
        if first != HEADER.as_bytes() {
            let is_token = first.len() >= TOKEN_CHARS_MIN && first.iter().all(u8::is_ascii_graphic);
            let plain = || Self(vec![Token::plain(first)]);
            return if is_token { Ok(plain()) } else { Err(TokenError::Form { path: path.to_owned() }) };
        }
        let mut tokens = Self::default();
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let at = |problem| TokenError::Line { path: path.to_owned(), line: index + 2, problem };
            let token: Token = serde_json::from_slice(line).map_err(|error| at(error.to_string()))?;
            tokens.take(token).map_err(|error| at(error.to_string()))?;
        }
        Ok(tokens)
    }

    fn take(&mut self, token: Token) -> Result<(), TokenError> {
        if !is_collection_name(&token.name) {
            return Err(TokenError::Name { name: token.name });
        }
        if self.0.iter().any(|known| known.name == token.name) {
            return Err(TokenError::Exists { name: token.name });
        }
        if self.0.len() == TOKENS_MAX {
            return Err(TokenError::TooMany);
        }
        self.0.push(token);
        Ok(())
    }

    /// The tokens, in the order in which they were added.
    #[must_use]
    pub fn list(&self) -> &[Token] {
        &self.0
    }

    /// Adds a token made of these random bytes; its text, which nobody can tell from the file.
    ///
    /// # Errors
    /// When the name cannot be used or is taken.
    pub fn add(
        &mut self,
        name: &str,
        collections: BTreeSet<String>,
        random: [u8; 32],
        now: Time,
    ) -> Result<String, TokenError> {
        let text = format!("{TOKEN_PREFIX}{}", to_hex(&random));
        let sha256 = Digest::of(text.as_bytes());
        self.take(Token { name: name.to_owned(), collections, sha256, added: Some(now) })?;
        Ok(text)
    }

    /// Removes a token.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn remove(&mut self, name: &str) -> Result<(), TokenError> {
        let before = self.0.len();
        self.0.retain(|token| token.name != name);
        if self.0.len() < before { Ok(()) } else { Err(TokenError::Unknown { name: name.to_owned() }) }
    }

    /// Replaces the file by these tokens. A plain token in it becomes a hash.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TokenError> {
        let mut text = format!("{HEADER}\n");
        for token in &self.0 {
            // INVARIANT: texts and times serialise.
            text.push_str(&serde_json::to_string(token).unwrap_or_default());
            text.push('\n');
        }
        Ok(replace_file(path, text.as_bytes())?)
    }
}

impl Token {
    fn plain(text: &[u8]) -> Self {
        let collections = [COLLECTION_DEFAULT.to_owned()].into();
        Self { name: PLAIN.to_owned(), collections, sha256: Digest::of(text), added: None }
    }
}

/// The mode of an open file and as much of its text as tokens may have.
fn read(file: File) -> io::Result<(u32, Vec<u8>)> {
    let mode = file.metadata()?.mode();
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok((mode, text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::home::create_file;

    #[track_caller]
    fn check_file(text: &str, mode: u32, expect: Result<usize, &str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        create_file(&path, text.as_bytes(), 0o600).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let told = Tokens::load(&path).map(|tokens| tokens.0.len()).map_err(|error| error.to_string());
        match expect {
            Ok(count) => assert_eq!(told, Ok(count)),
            Err(part) => assert!(told.clone().unwrap_err().contains(part), "{told:?}"),
        }
    }

    #[test]
    fn a_plain_token_is_the_first_line_of_a_private_file() {
        let token = "x".repeat(32);
        check_file(&token, 0o600, Ok(1));
        check_file(&format!("{token} \r\nsecond line"), 0o400, Ok(1));
        check_file(&token, 0o640, Err("have mode 640: others than their owner may use them; run `chmod 600 "));
        check_file(&token, 0o602, Err("mode 602"));
        check_file(&token[1..], 0o600, Err("at least 32"));
        check_file(&format!("\n{token}"), 0o600, Err("at least 32"));
        check_file(&format!("{token} {token}"), 0o600, Err("visible ASCII"));
        check_file(&"م".repeat(32), 0o600, Err("visible ASCII"));
        check_file("", 0o600, Err("mithaq siem token add"));
    }

    #[test]
    fn hashes_are_read_line_by_line_and_nonsense_is_named() {
        let line = |name: &str| {
            let sha256 = to_hex(&[7; 32]);
            format!(r#"{{"name":"{name}","collections":["default"],"sha256":"{sha256}"}}"#)
        };
        check_file(&format!("{HEADER}\n"), 0o600, Ok(0));
        check_file(&format!("{HEADER}\n{}\n\n{}\n", line("a"), line("b")), 0o600, Ok(2));
        check_file(&format!("{HEADER}\n{}\n{}\n", line("a"), line("a")), 0o600, Err("line 3: there is a token a"));
        check_file(&format!("{HEADER}\n{}\n", line("A b")), 0o600, Err("line 2: \"A b\" cannot name a token"));
        check_file(&format!("{HEADER}\nnonsense\n"), 0o600, Err("line 2: "));
        check_file(&format!("{HEADER}\n{}\n", line("a").replace("0707", "07")), 0o600, Err("line 2: "));
    }

    #[test]
    fn a_token_is_kept_as_its_hash_and_a_plain_one_becomes_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let plain = "x".repeat(40);
        create_file(&path, plain.as_bytes(), 0o600).unwrap();
        let mut tokens = Tokens::load(&path).unwrap();
        let text = tokens.add("splunk", ["banks".to_owned()].into(), [1; 32], Time::from_micros(1)).unwrap();
        tokens.save(&path).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(!written.contains(&text) && !written.contains(&plain) && text.len() == 68, "{written}");
        let read = Tokens::load(&path).unwrap();
        assert_eq!(read, tokens);
        assert_eq!(read.list()[0].sha256, Digest::of(plain.as_bytes()));
        assert_eq!(read.list()[1].sha256, Digest::of(text.as_bytes()));
        tokens.remove("plain").unwrap();
        assert!(matches!(tokens.remove("plain"), Err(TokenError::Unknown { .. })));
        let again = tokens.add("splunk", BTreeSet::new(), [2; 32], Time::from_micros(1));
        assert!(matches!(again, Err(TokenError::Exists { .. })));
    }

    #[test]
    fn a_digest_is_not_shown_in_logs() {
        assert!(format!("{:?}", Token::plain(&[b'x'; 32])).contains("Digest(..)"));
    }
}

//! The token of the loopback listener: whoever reads there shows it.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mithaq_api::http::Problem;
use mithaq_core::{code::Code, id::sha256};

use super::answer::Failed;

/// The fewest characters of a token.
const TOKEN_CHARS_MIN: usize = 32;

/// The most bytes of a token's file.
const TOKEN_FILE_BYTES_MAX: u64 = 4 * 1024;

/// The ways to show a token.
const CHALLENGE: &str = r#"Basic realm="mithaq", Bearer"#;

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("there is no token at {path}: make one with `openssl rand -hex 32 > {path}; chmod 600 {path}`")]
    Missing { path: PathBuf },
    #[error("cannot read the token {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the token {path} has mode {mode:o}: others than its owner may use it; run `chmod 600 {path}`")]
    Mode { path: PathBuf, mode: u32 },
    #[error(
        "the first line of {path} is no token: it needs at least {TOKEN_CHARS_MIN} visible ASCII characters; make one \
         with `openssl rand -hex 32 > {path}`"
    )]
    Form { path: PathBuf },
}

/// The SHA-256 of a token; the token itself is not kept.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads the first line of a file that nobody but its owner may use.
    pub(super) fn load(path: &Path) -> Result<Self, TokenError> {
        let path = path.to_owned();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(TokenError::Missing { path }),
            Err(source) => return Err(TokenError::Read { path, source }),
        };
        match read(file) {
            Err(source) => Err(TokenError::Read { path, source }),
            Ok((mode, _)) if mode & 0o077 != 0 => Err(TokenError::Mode { path, mode: mode & 0o777 }),
            Ok((_, text)) => Self::parse(&text).ok_or(TokenError::Form { path }),
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let line = text.split(|byte| *byte == b'\n').next()?.trim_ascii();
        let is_token = line.len() >= TOKEN_CHARS_MIN && line.iter().all(u8::is_ascii_graphic);
        is_token.then(|| Self(sha256(line)))
    }

    /// Whether this is the token. Digests are compared, each byte of them, so that the time tells nothing.
    fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, &sha256(shown)).is_ok()
    }

    /// Whether the request shows the token: as a Bearer token, or as the password of any user.
    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((scheme, shown)) = value.trim().split_once(' ') else { return false };
        let shown = shown.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(shown.as_bytes());
        }
        let pair = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(shown).ok()).flatten();
        let colon = pair.as_ref().and_then(|pair| pair.iter().position(|byte| *byte == b':'));
        pair.zip(colon).is_some_and(|(pair, colon)| self.is(&pair[colon + 1..]))
    }
}

/// The mode of an open file and as much of its text as a token may have.
fn read(file: File) -> io::Result<(u32, Vec<u8>)> {
    let mode = file.metadata()?.mode();
    let mut text = Vec::new();
    file.take(TOKEN_FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok((mode, text))
}

/// Lets only those through who show the token.
pub(super) fn guard(router: Router, token: Token) -> Router {
    router.layer(middleware::from_fn_with_state(token, check))
}

async fn check(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.is_shown(request.headers()) {
        return next.run(request).await;
    }
    let message = "this listener wants its token, as a Bearer token or as the password of any user";
    let refusal = Failed::from(Problem::new(Code::UNAUTHORISED, message));
    ([(header::WWW_AUTHENTICATE, CHALLENGE)], refusal).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use mithaq_api::home::create_file;

    use super::*;

    #[track_caller]
    fn check_file(text: &str, mode: u32, expect: Result<(), &str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        create_file(&path, text.as_bytes(), 0o600).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let loaded = Token::load(&path).map(|token| assert!(token.is(&[b'x'; 32])));
        let told = loaded.map_err(|error| error.to_string());
        match expect {
            Ok(()) => assert_eq!(told, Ok(())),
            Err(part) => assert!(told.clone().unwrap_err().contains(part), "{told:?}"),
        }
    }

    #[test]
    fn a_token_is_the_first_line_of_a_private_file() {
        let token = "x".repeat(32);
        check_file(&token, 0o600, Ok(()));
        check_file(&format!("{token} \r\nsecond line"), 0o400, Ok(()));
        check_file(&token, 0o640, Err("has mode 640: others than its owner may use it; run `chmod 600 "));
        check_file(&token, 0o602, Err("mode 602"));
        check_file(&token[1..], 0o600, Err("at least 32"));
        check_file(&format!("\n{token}"), 0o600, Err("at least 32"));
        check_file(&format!("{token} {token}"), 0o600, Err("visible ASCII"));
        check_file(&"م".repeat(32), 0o600, Err("visible ASCII"));
        check_file("", 0o600, Err("openssl rand -hex 32 > "));
    }

    #[test]
    fn a_missing_token_comes_with_the_way_to_make_one() {
        let error = Token::load(Path::new("/nowhere/token")).unwrap_err().to_string();
        assert!(error.contains("`openssl rand -hex 32 > /nowhere/token; chmod 600 /nowhere/token`"), "{error}");
    }

    #[test]
    fn a_token_is_not_shown_in_logs() {
        assert_eq!(format!("{:?}", Token::parse(&[b'x'; 32])), "Some(Token(..))");
    }
}

//! Tokens at the loopback listener: what each of them opens. The file is read again whenever it changes, so that tokens
//! come and go while the daemon runs; as long as it cannot be used, nobody is let in.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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
use mithaq_api::{
    http::Problem,
    tokens::{Digest, Token, TokenError, Tokens},
};
use mithaq_core::code::Code;

use super::{access::Access, answer::Failed, taxii};
use crate::node::Node;

/// The ways to show a token.
const CHALLENGE: &str = r#"Basic realm="mithaq", Bearer"#;

/// What tells one state of a file from another: inode, size, seconds and nanoseconds of its last change.
type Stamp = (u64, u64, i64, i64);

/// A file of tokens, as it was read last.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    read: Mutex<(Option<Stamp>, Arc<Tokens>)>,
}

impl TokenFile {
    /// Reads a file, which must be one that can be used.
    pub(super) fn open(path: PathBuf) -> Result<Self, TokenError> {
        let stamp = stamp(&path);
        let tokens = Tokens::load(&path)?;
        Ok(Self { path, read: Mutex::new((stamp, Arc::new(tokens))) })
    }

    /// The tokens as they are now.
    fn current(&self) -> Arc<Tokens> {
        let now = stamp(&self.path);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != now || now.is_none() {
            let is_news = read.0 != now;
            let tokens = Tokens::load(&self.path).unwrap_or_else(|error| {
                if is_news {
                    tracing::error!(%error, "nobody is let in at the TCP listener until its tokens can be used");
                }
                Tokens::default()
            });
            *read = (now, Arc::new(tokens));
        }
        Arc::clone(&read.1)
    }

    /// The token that a request shows: as a Bearer token, or as the password of any user.
    fn shown_in(&self, headers: &HeaderMap) -> Option<Token> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, shown) = value.trim().split_once(' ')?;
        let shown = shown.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.find(shown.as_bytes());
        }
        let pair = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(shown).ok()).flatten()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        self.find(&pair[colon + 1..])
    }

    /// The token with this text. Digests are compared, all of them and each byte, so that the time tells nothing.
    fn find(&self, shown: &[u8]) -> Option<Token> {
        let shown = Digest::of(shown);
        let mut found = None;
        for token in self.current().list() {
            if verify_slices_are_equal(token.sha256.as_bytes(), shown.as_bytes()).is_ok() {
                found = Some(token.clone());
            }
        }
        found
    }
}

/// What a token opens, for as long as its file says so.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    tokens: Arc<TokenFile>,
    token: Digest,
}

impl Lease {
    /// Whether the token still opens a collection.
    pub(super) fn opens(&self, collection: &str) -> bool {
        let is_it = |token: &&Token| token.sha256 == self.token;
        self.tokens.current().list().iter().find(is_it).is_some_and(|token| token.collections.contains(collection))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

#[derive(Clone)]
struct Listener {
    node: Arc<Node>,
    tokens: Arc<TokenFile>,
}

/// Lets only those through who show a token, with the collections that it opens.
pub(super) fn guard(router: Router, node: Arc<Node>, tokens: TokenFile) -> Router {
    let listener = Listener { node, tokens: Arc::new(tokens) };
    router.layer(middleware::from_fn_with_state(listener, check))
}

async fn check(State(listener): State<Listener>, mut request: Request, next: Next) -> Response {
    let Some(token) = listener.tokens.shown_in(request.headers()) else {
        return refuse(request.uri().path());
    };
    let collections = token.collections.iter().filter_map(|name| listener.node.collections.named(name));
    let access = Access::new(format!("token:{}", token.name), collections.collect());
    let lease = Lease { tokens: Arc::clone(&listener.tokens), token: token.sha256 };
    request.extensions_mut().insert(Access { lease: Some(lease), ..access });
    next.run(request).await
}

fn refuse(path: &str) -> Response {
    let message = "this listener wants a token, as a Bearer token or as the password of any user";
    let refusal = Failed::from(Problem::new(Code::UNAUTHORISED, message));
    let refusal = if path.starts_with("/taxii2") { taxii::error(refusal) } else { refusal.into_response() };
    ([(header::WWW_AUTHENTICATE, CHALLENGE)], refusal).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use mithaq_api::home::{create_file, replace_file};

    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        [(header::AUTHORIZATION, authorization.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn tokens_come_and_go_with_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("siem.token");
        let (old, new) = ("o".repeat(32), "n".repeat(32));
        create_file(&path, old.as_bytes(), 0o600).unwrap();
        let file = TokenFile::open(path.clone()).unwrap();
        let opens = |token: &str| file.shown_in(&headers(&format!("Bearer {token}"))).map(|token| token.name);
        assert_eq!((opens(&old).as_deref(), opens(&new)), (Some("plain"), None));
        replace_file(&path, new.as_bytes()).unwrap();
        assert_eq!((opens(&old), opens(&new).as_deref()), (None, Some("plain")));
        let mut tokens = Tokens::load(&path).unwrap();
        let third = tokens.add("splunk", ["banks".into()].into(), [3; 32], mithaq_core::time::Time::from_micros(1));
        tokens.save(&path).unwrap();
        assert_eq!(opens(&third.unwrap()).as_deref(), Some("splunk"));
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(opens(&new), None);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(opens(&new).as_deref(), Some("plain"));
        fs::remove_file(&path).unwrap();
        assert_eq!(opens(&new), None);
    }

    #[test]
    fn a_token_is_shown_in_two_ways_and_nonsense_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("siem.token");
        let token = "x".repeat(32);
        create_file(&path, token.as_bytes(), 0o600).unwrap();
        let file = TokenFile::open(path).unwrap();
        let basic = |user: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{token}")));
        for good in [format!("Bearer {token}"), format!("bearer  {token} "), basic("any"), basic("")] {
            assert!(file.shown_in(&headers(&good)).is_some(), "{good}");
        }
        let no_colon = format!("Basic {}", STANDARD.encode(&token));
        for bad in ["", "Bearer", "Bearer ", "Digest x", "Basic !", &no_colon, &token, &format!("Bearer {token}x")] {
            assert!(file.shown_in(&headers(bad)).is_none(), "{bad}");
        }
    }
}

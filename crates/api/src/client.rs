//! A client for HTTP/1.1 over the daemon's unix sockets.

use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Either, Empty, StreamBody};
use hyper::{Method, Request, Response, StatusCode, body::Frame, body::Incoming};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::http::{NEXT_HEADER, Problem};

/// The longest answer that is taken whole; streams of lines have no such limit.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest line of a stream: a body of 1 MiB with what stands around it.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("no daemon answers at {}: start it with `mithaq run`, or name its home with --home ({source})", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to the daemon broke: {0}")]
    Broken(String),
    /// The daemon answered with an error.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The answer is not what was expected.
    #[error("the daemon's answer was not understood: {0}")]
    Answer(String),
}

/// A client of one socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// The body of a request: chunks as they come, or nothing.
type RequestBody = Either<StreamBody<BoxedChunks>, Empty<Bytes>>;

/// Chunks of a body that is sent as it is read.
pub type BoxedChunks = futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>;

impl Client {
    /// A client of the socket at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { socket: path.into() }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Gets a JSON document.
    ///
    /// # Errors
    /// When the daemon does not answer, or answers with a [`Problem`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.request(Method::GET, path, Either::Right(Empty::new())).await?.json().await
    }

    /// Posts nothing and takes a JSON document.
    ///
    /// # Errors
    /// When the daemon does not answer, or answers with a [`Problem`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.request(Method::POST, path, Either::Right(Empty::new())).await?.json().await
    }

    /// Gets a stream of lines.
    ///
    /// # Errors
    /// When the daemon does not answer, or answers with a [`Problem`].
    pub async fn lines(&self, path: &str) -> Result<Lines, ClientError> {
        self.request(Method::GET, path, Either::Right(Empty::new())).await
    }

    /// Posts nothing and takes a stream of lines.
    ///
    /// # Errors
    /// When the daemon does not answer, or answers with a [`Problem`].
    pub async fn post_lines(&self, path: &str) -> Result<Lines, ClientError> {
        self.request(Method::POST, path, Either::Right(Empty::new())).await
    }

    /// Posts chunks and takes a stream of lines.
    ///
    /// # Errors
    /// When the daemon does not answer, or answers with a [`Problem`].
    pub async fn post_chunks(&self, path: &str, chunks: BoxedChunks) -> Result<Lines, ClientError> {
        self.request(Method::POST, path, Either::Left(StreamBody::new(chunks))).await
    }

    /// Posts a text and takes a stream of lines.
    ///
    /// # Errors
    /// When the daemon does not answer, or answers with a [`Problem`].
    pub async fn post_text(&self, path: &str, text: String) -> Result<Lines, ClientError> {
        let chunk = futures_util::future::ready(Ok(Frame::data(Bytes::from(text))));
        self.post_chunks(path, futures_util::StreamExt::boxed(futures_util::stream::once(chunk))).await
    }

    async fn request(&self, method: Method, path: &str, body: RequestBody) -> Result<Lines, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::Unreachable { path: self.socket.clone(), source })?;
        let broken = |error: hyper::Error| ClientError::Broken(crate::home::with_sources(&error));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(body)
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        Lines::open(sender.send_request(request).await.map_err(broken)?).await
    }
}

/// Appends `query` to `path` as its query string.
///
/// # Errors
/// When a value of the query is not a scalar.
pub fn with_query<Q: Serialize>(path: &str, query: &Q) -> Result<String, ClientError> {
    let value = serde_json::to_value(query).map_err(|error| ClientError::Answer(error.to_string()))?;
    let mut out = path.to_owned();
    for (number, (key, value)) in value.as_object().into_iter().flatten().enumerate() {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        out.push(if number == 0 { '?' } else { '&' });
        out.push_str(key);
        out.push('=');
        percent_encode(&text, &mut out);
    }
    Ok(out)
}

/// Writes `text` with everything but RFC 3986's unreserved characters as `%XX`.
pub fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&mithaq_core::id::to_hex(&[byte]).to_uppercase());
        }
    }
}

/// An answer that is read line by line.
#[derive(Debug)]
pub struct Lines {
    /// Where the next page begins.
    next_page: Option<String>,
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    async fn open(response: Response<Incoming>) -> Result<Self, ClientError> {
        let status = response.status();
        let next_page = response.headers().get(NEXT_HEADER).and_then(|next| next.to_str().ok()).map(str::to_owned);
        let mut lines = Self { next_page, body: response.into_body(), buffer: BytesMut::new() };
        if status.is_success() { Ok(lines) } else { Err(lines.problem(status).await) }
    }

    /// The cursor of the page that follows this answer, if the daemon says that there is one.
    #[must_use]
    pub fn next_page(&self) -> Option<&str> {
        self.next_page.as_deref()
    }

    async fn problem(&mut self, status: StatusCode) -> ClientError {
        match self.whole().await {
            Ok(text) => match serde_json::from_slice::<Problem>(&text) {
                Ok(problem) => problem.into(),
                Err(_) => ClientError::Answer(format!("status {status}")),
            },
            Err(error) => error,
        }
    }

    /// The next line without its newline; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks or a line has more than 4 MiB.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(searched + at).freeze();
                self.buffer.advance(1);
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                return Err(ClientError::Answer("a line is longer than 4 MiB".into()));
            }
            if !self.fill().await? {
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
        }
    }

    async fn fill(&mut self) -> Result<bool, ClientError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| ClientError::Broken(crate::home::with_sources(&error)))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn whole(&mut self) -> Result<Bytes, ClientError> {
        while self.buffer.len() <= ANSWER_BYTES_MAX {
            if !self.fill().await? {
                return Ok(self.buffer.split().freeze());
            }
        }
        Err(ClientError::Answer("the answer is longer than 16 MiB".into()))
    }

    async fn json<T: DeserializeOwned>(mut self) -> Result<T, ClientError> {
        let text = self.whole().await?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Answer(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::SearchQuery;

    #[test]
    fn queries_are_percent_encoded() {
        let query =
            SearchQuery { value: Some("hxxp://مثال[.]pk/?a=b&c".into()), limit: Some(3), ..SearchQuery::default() };
        let path = with_query("/v1/search", &query).unwrap();
        let expect = "/v1/search?limit=3&value=hxxp%3A%2F%2F%D9%85%D8%AB%D8%A7%D9%84%5B.%5Dpk%2F%3Fa%3Db%26c";
        assert_eq!(path, expect);
    }
}

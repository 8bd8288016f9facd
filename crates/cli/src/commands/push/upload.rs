//! The way up: a file in chunks, with a progress bar for people.

use std::{
    io::{self, Cursor},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use hyper::body::Frame;
use indicatif::ProgressBar;
use mithaq_api::{client::BoxedChunks, http::PUSH_BYTES_MAX};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt},
};

use super::{broken, check::Check, source::Opened};
use crate::{failure::Failure, progress};

/// How much is read and sent at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// An input that is about to be sent.
pub(super) struct Upload {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    progress: Progress,
    check: Check,
}

/// How far an upload is.
#[derive(Clone)]
pub(super) struct Progress {
    input: String,
    bar: ProgressBar,
    sent: Arc<AtomicU64>,
}

impl Upload {
    /// An upload of an input that is open; `check` looks at what is sent.
    pub(super) fn of(input: Opened, check: Check) -> Self {
        let progress = Progress::new(&input.name, input.bytes);
        let rest = File::from_std(input.rest);
        Self { reader: Box::new(Cursor::new(input.head).chain(rest)), progress, check }
    }

    /// An upload of what was made of an input.
    pub(super) fn of_objects(name: &str, objects: Vec<u8>, check: Check) -> Self {
        let progress = Progress::new(name, Some(objects.len() as u64));
        Self { reader: Box::new(Cursor::new(objects)), progress, check }
    }

    /// Where to see how far it is.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The input as a request's body; it breaks off once more was read than a push may have.
    pub(super) fn into_chunks(self) -> BoxedChunks {
        stream::try_unfold(self, async |mut upload| {
            let chunk = upload.read().await?;
            Ok((!chunk.is_empty()).then(|| (Frame::data(chunk), upload)))
        })
        .boxed()
    }

    async fn read(&mut self) -> io::Result<Bytes> {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        self.reader.read_buf(&mut chunk).await?;
        if self.progress.advance(chunk.len()) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.check.read(&chunk);
        Ok(chunk.freeze())
    }
}

/// Whether a push takes no more than so much.
pub(super) fn is_too_large(bytes: u64) -> bool {
    bytes > PUSH_BYTES_MAX as u64
}

impl Progress {
    /// A bar on standard error, if that is a terminal.
    fn new(input: &str, bytes: Option<u64>) -> Self {
        let bar = progress::bar("pushing", bytes);
        Self { input: input.to_owned(), bar, sent: Arc::default() }
    }

    /// Counts bytes; true if there were too many.
    fn advance(&self, bytes: usize) -> bool {
        let sent = self.sent.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        self.bar.set_position(sent);
        if bytes == 0 {
            self.bar.set_message("storing");
        }
        is_too_large(sent)
    }

    /// Takes the bar away, before anything else is written.
    pub(super) fn finish(&self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }

    /// What a failure of the upload came from.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let bytes = self.sent.load(Ordering::Relaxed);
        match broken(failure) {
            Failure::PushCut if is_too_large(bytes) => Failure::TooLarge { input: self.input.clone(), bytes },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::block_on;
    use mithaq_core::code::Code;
    use std::path::Path;

    fn open(path: &Path) -> Result<Upload, Failure> {
        Ok(Upload::of(Opened::open(path)?, Check::default()))
    }

    fn temporary(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_file_is_sent_as_it_is() {
        let content: Vec<u8> = (0..CHUNK_BYTES * 2 + 7).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let file = temporary(&content);
        let read = block_on(async {
            let mut chunks = open(file.path())?.into_chunks();
            let mut read = Vec::new();
            while let Some(chunk) = chunks.next().await {
                read.extend_from_slice(&chunk?.into_data().unwrap());
            }
            Ok(read)
        });
        assert!(read.unwrap() == content);
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_at_once() {
        let file = temporary(b"");
        file.as_file().set_len(PUSH_BYTES_MAX as u64 + 1).unwrap();
        let failure = open(file.path()).map(|_| ()).unwrap_err();
        assert_eq!(failure.code(), Code::TOO_LARGE);
    }

    #[test]
    fn input_without_a_size_breaks_off_when_it_is_too_large() {
        let cut = || Failure::from(mithaq_api::client::ClientError::Broken("reset".into()));
        let progress = block_on(async {
            let upload = open(Path::new("/dev/zero"))?;
            let progress = upload.progress();
            let mut chunks = upload.into_chunks();
            while let Some(Ok(_)) = chunks.next().await {}
            Ok(progress)
        });
        assert_eq!(progress.unwrap().explain(cut()).code(), Code::TOO_LARGE);
        assert_eq!(Progress::new("x", None).explain(cut()).code(), Code::OUTCOME_UNKNOWN);
    }

    #[test]
    fn folders_and_missing_files_are_named() {
        for path in ["/", "/nonexistent"] {
            let failure = open(Path::new(path)).map(|_| ()).unwrap_err();
            assert_eq!(failure.code(), Code::FILE);
            assert!(failure.message().starts_with(&format!("cannot read {path}: ")), "{failure}");
        }
    }
}

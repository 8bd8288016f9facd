//! Local programs: the control socket for operators and analysts, the SIEM socket for SIEMs, and the optional loopback
//! listener.

mod answer;
mod care;
mod control;
mod exports;
mod ledger;
mod lookup;
mod metrics;
mod pacts;
mod siem;
mod stream;
mod taxii;
mod token;

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use answer::Failed;
use axum::Router;
use mithaq_api::home::{HomeError, create_private_dir};
use mithaq_core::code::Code;
use tokio::net::{TcpListener, UnixListener};

use crate::node::Node;

/// What the default collection shows its readers.
pub(crate) fn default_visibility(node: &Node) -> crate::feed::Visibility {
    siem::visibility(node)
}

/// Sockets that are open and not yet served.
pub(crate) struct Bound {
    control: UnixListener,
    siem: UnixListener,
    tcp: Option<(TcpListener, token::Token)>,
    files: Vec<PathBuf>,
}

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("cannot listen at {path}: {source}")]
    Socket { path: PathBuf, source: io::Error },
    #[error("cannot listen on TCP {address}: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Token(#[from] token::TokenError),
}

impl BindError {
    /// Whether what was configured cannot be used, whatever else runs here.
    pub(crate) fn is_configuration(&self) -> bool {
        matches!(self, Self::Home(_) | Self::Token(_))
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Home(error) => error.code(),
            Self::Socket { .. } | Self::Tcp { .. } => Code::LISTEN,
            Self::Token(_) => Code::CONFIG,
        }
    }
}

/// Opens all local sockets.
pub(crate) async fn bind(node: &Node) -> Result<Bound, BindError> {
    let (control, siem) = (node.home.control_socket(&node.config)?, node.home.siem_socket(&node.config)?);
    let tcp = match &node.config.siem.tcp {
        None => None,
        Some(tcp) => {
            let token = token::Token::load(&node.home.dir().join(&tcp.token_file))?;
            let bound = TcpListener::bind(tcp.listen).await;
            let bound = bound.map_err(|source| BindError::Tcp { address: tcp.listen, source })?;
            Some((bound, token))
        }
    };
    let bound = Bound { control: bind_unix(&control)?, siem: bind_unix(&siem)?, tcp, files: vec![control, siem] };
    Ok(bound)
}

/// Opens a socket in a folder that only the daemon's user may enter, so that there is no moment at which others may
/// connect. A socket at which nobody answers is a leftover; anything else that stands there is not ours to remove.
fn bind_unix(path: &Path) -> Result<UnixListener, BindError> {
    if let Some(dir) = path.parent() {
        create_private_dir(dir)?;
    }
    let error = |source| BindError::Socket { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(error(source)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(error(io::Error::other("something that is no socket stands there")));
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(error(io::Error::other("another daemon answers there: [sockets] dir must differ")));
        }
        Ok(_) => fs::remove_file(path).map_err(error)?,
    }
    UnixListener::bind(path).map_err(error)
}

/// Serves the sockets until the daemon stops.
pub(crate) fn start(node: &Arc<Node>, bound: Bound, endpoint: quinn::Endpoint) {
    let Bound { control, siem, tcp, files } = bound;
    spawn(node, control, control::router(Arc::clone(node), endpoint));
    // Whoever asks for the socket's own path asks for the absolute one.
    let socket = files.last().and_then(|file| std::path::absolute(file).ok());
    spawn(node, siem, siem::router(Arc::clone(node), socket.as_deref()));
    if let Some((listener, token)) = tcp {
        spawn(node, listener, token::guard(siem::router(Arc::clone(node), None), token));
    }
    let shutdown = node.shutdown.clone();
    node.tasks.spawn(async move {
        shutdown.cancelled().await;
        for file in files {
            let _ = fs::remove_file(file);
        }
    });
}

fn spawn<L>(node: &Arc<Node>, listener: L, router: Router)
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    let shutdown = node.shutdown.clone();
    node.tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "a local socket is no longer served");
        }
    });
}

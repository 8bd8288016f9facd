//! Local programs: the control socket for operators and analysts, the sockets of collections for SIEMs, and the optional
//! loopback listener.

mod access;
mod answer;
mod around;
mod care;
mod control;
mod even;
mod exports;
mod ledger;
mod lines;
mod lookup;
mod metrics;
mod outlet;
mod pacts;
mod published;
mod search;
mod siem;
mod sightings;
mod snapshot;
mod sockets;
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
pub(crate) use care::{checked, repaired, resume_repair, store_stats};
use mithaq_api::{
    home::{HomeError, create_private_dir},
    tokens::TokenError,
};
use mithaq_core::code::Code;
use tokio::net::{TcpListener, UnixListener};

use self::sockets::CollectionSockets;
pub(crate) use self::sockets::serve_collections;
use crate::node::Node;

/// Sockets that are open and not yet served.
pub(crate) struct Bound {
    control: UnixListener,
    collections: Vec<CollectionSockets>,
    tcp: Option<(TcpListener, token::TokenFile)>,
    control_file: PathBuf,
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
    Token(#[from] TokenError),
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
    let control_file = node.home.control_socket(&node.config)?;
    let tcp = match &node.config.siem.tcp {
        None => None,
        Some(tcp) => {
            let tokens = token::TokenFile::open(node.home.siem_tokens(&node.config))?;
            let bound = TcpListener::bind(tcp.listen).await;
            let bound = bound.map_err(|source| BindError::Tcp { address: tcp.listen, source })?;
            Some((bound, tokens))
        }
    };
    let control = bind_unix(&control_file)?;
    let collections = node.collections.all();
    let collections = collections.iter().map(|collection| sockets::bind(node, collection)).collect::<Result<_, _>>()?;
    Ok(Bound { control, collections, tcp, control_file })
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
    let Bound { control, collections, tcp, control_file } = bound;
    spawn(node, control, control::router(Arc::clone(node), endpoint));
    collections.into_iter().for_each(|sockets| sockets::serve(node, sockets));
    if let Some((listener, tokens)) = tcp {
        let router = siem::router(Arc::clone(node), None);
        spawn(node, listener, token::guard(router, Arc::clone(node), tokens));
    }
    let shutdown = node.shutdown.clone();
    node.tasks.spawn(async move {
        shutdown.cancelled().await;
        let _ = fs::remove_file(control_file);
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

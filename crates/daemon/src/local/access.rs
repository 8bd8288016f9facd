//! Who reads at the SIEM sockets, and which collections they may read: nothing else is there for them.

use std::sync::Arc;

use axum::{
    Router,
    extract::{ConnectInfo, Extension, Request, State, connect_info::Connected},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    serve::IncomingStream,
};
use mithaq_api::{config::COLLECTION_DEFAULT, http::Problem};
use mithaq_core::code::Code;
use tokio::net::{UnixListener, UnixStream};

use super::{answer::Failed, token::Lease};
use crate::{collections::Collection, node::Node};

/// The rights of one request: who asks, and the collections that are there for them.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// `uid:N` or `token:NAME`.
    pub(super) reader: Arc<str>,
    /// In the order of names.
    pub(super) collections: Vec<Arc<Collection>>,
    /// The token that gives the rights, if one does: it may be taken away while a stream is open.
    pub(super) lease: Option<Lease>,
}

impl Access {
    /// What a reader may read for as long as the collections stay as they are.
    pub(super) fn new(reader: impl Into<Arc<str>>, collections: Vec<Arc<Collection>>) -> Self {
        Self { reader: reader.into(), collections, lease: None }
    }

    /// The collection of this name or id, if the reader may see it.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Collection>> {
        let is_meant =
            |collection: &&Arc<Collection>| collection.name == name || collection.id.eq_ignore_ascii_case(name);
        self.collections.iter().find(is_meant).cloned()
    }

    /// The collection that a request means: the one that it names, else the only one, else the default one.
    pub(super) fn pick(&self, name: Option<&str>) -> Result<Arc<Collection>, Failed> {
        let unknown = || Failed::from(Problem::new(Code::NO_COLLECTION, "there is no such collection"));
        match (name, &self.collections[..]) {
            (Some(name), _) => self.find(name).ok_or_else(unknown),
            (None, [only]) => Ok(Arc::clone(only)),
            (None, several) => self.find(COLLECTION_DEFAULT).ok_or_else(|| {
                let names: Vec<_> = several.iter().map(|collection| collection.name.as_str()).collect();
                match names[..] {
                    [] => unknown(),
                    _ => Failed::bad_request(format!("say which collection is meant: {}", names.join(", "))),
                }
            }),
        }
    }
}

/// The process at the other end of a unix socket, as the system tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    uid: u32,
    gid: u32,
}

impl Peer {
    /// Asks the system; a process that it cannot tell of is nobody.
    pub(super) fn of(stream: &UnixStream) -> Self {
        let nobody = Self { uid: u32::MAX, gid: u32::MAX };
        stream.peer_cred().map_or(nobody, |peer| Self { uid: peer.uid(), gid: peer.gid() })
    }

    /// How it is called where it is told who read what.
    pub(super) fn reader(self) -> String {
        format!("uid:{}", self.uid)
    }

    /// Whether it may read a collection.
    pub(super) fn may_read(self, collection: &Collection) -> bool {
        collection.admits(self.uid, self.gid, rustix::process::geteuid().as_raw())
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self::of(stream.io())
    }
}

#[derive(Clone)]
struct Socket {
    node: Arc<Node>,
    collection: Arc<str>,
}

/// Gives readers at a collection's socket that collection, if they have a right to it.
pub(super) fn guard(router: Router, node: Arc<Node>, collection: &str) -> Router {
    let socket = Socket { node, collection: collection.into() };
    router.layer(middleware::from_fn_with_state(socket, admit))
}

async fn admit(
    State(socket): State<Socket>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    // It may have been taken out of the configuration since the client connected.
    let collection = socket.node.collections.named(&socket.collection);
    match collection.filter(|collection| peer.may_read(collection)) {
        Some(collection) => {
            request.extensions_mut().insert(Access::new(peer.reader(), vec![collection]));
            next.run(request).await
        }
        None => {
            let text = "neither your user nor your group may read at this socket";
            Failed::from(Problem::new(Code::NOT_A_READER, text)).into_response()
        }
    }
}

/// Gives every request these rights: for tests of what lies behind the guards.
#[cfg(test)]
pub(super) fn open(router: Router, access: Access) -> Router {
    router.layer(Extension(access))
}

/// The rights of a request, which its guard has put there.
pub(super) type Rights = Extension<Access>;

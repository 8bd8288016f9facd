//! The sockets of collections: each has one for HTTP and one for lines.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use axum::Router;
use mithaq_api::home::create_private_dir;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{
    BindError,
    access::{self, Peer},
    bind_unix, lines, siem,
};
use crate::{collections::Collection, node::Node};

/// The mode of a socket whose collection names its readers: whoever reaches the folder may connect, and is asked who it is.
const MODE_RESTRICTED: u32 = 0o666;

/// The sockets of one collection, open and not yet served.
pub(super) struct CollectionSockets {
    name: String,
    http: UnixListener,
    lines: UnixListener,
    files: [PathBuf; 2],
}

/// Opens the sockets of a collection.
pub(super) fn bind(node: &Node, collection: &Collection) -> Result<CollectionSockets, BindError> {
    let http = node.home.collection_socket(&node.config, &collection.name)?;
    let lines = node.home.lines_socket(&node.config, &collection.name)?;
    let open = if collection.is_restricted() { bind_for_others } else { bind_unix };
    Ok(CollectionSockets {
        name: collection.name.clone(),
        http: open(&http)?,
        lines: open(&lines)?,
        files: [http, lines],
    })
}

/// Opens a socket that others than our own user and group may connect to. It gets its mode where nobody else reaches it.
fn bind_for_others(path: &Path) -> Result<UnixListener, BindError> {
    let error = |source| BindError::Socket { path: path.to_owned(), source };
    // For its checks of what stands there, and so that the folder is there.
    drop(bind_unix(path)?);
    let (folder, name) = (path.parent().unwrap_or(Path::new(".")).join(".new"), path.file_name().unwrap_or_default());
    create_private_dir(&folder)?;
    let hidden = folder.join(name);
    let listener = bind_unix(&hidden)?;
    fs::set_permissions(&hidden, PermissionsExt::from_mode(MODE_RESTRICTED)).map_err(error)?;
    fs::rename(&hidden, path).map_err(error)?;
    // Another collection's may be in there.
    let _ = fs::remove_dir(&folder);
    Ok(listener)
}

/// Serves the sockets of a collection until it is gone or the daemon stops.
pub(super) fn serve(node: &Arc<Node>, sockets: CollectionSockets) {
    let CollectionSockets { name, http, lines, files } = sockets;
    let end = node.shutdown.child_token();
    node.collections.served.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), end.clone());
    // Whoever asks for the socket's own path asks for the absolute one.
    let path = std::path::absolute(&files[0]).ok();
    let router = access::guard(siem::router(Arc::clone(node), path.as_deref()), Arc::clone(node), &name);
    spawn_http(node, http, router, end.clone());
    node.tasks.spawn(lines::serve(Arc::clone(node), lines, name, end.clone()));
    node.tasks.spawn(async move {
        end.cancelled().await;
        for file in files {
            let _ = fs::remove_file(file);
        }
    });
}

fn spawn_http(node: &Arc<Node>, listener: UnixListener, router: Router, end: CancellationToken) {
    node.tasks.spawn(async move {
        let service = router.into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(listener, service).with_graceful_shutdown(end.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "a SIEM socket is no longer served");
        }
    });
}

/// Opens the sockets of collections that are new, and ends those of collections that are gone. One that cannot be opened
/// is named in the log and keeps no other back. Must be called where tasks can be spawned.
pub(crate) fn serve_collections(node: &Arc<Node>) {
    let collections = node.collections.all();
    let is_there = |name: &str| collections.iter().any(|collection| collection.name == name);
    let mut served = node.collections.served.lock().unwrap_or_else(PoisonError::into_inner);
    served.retain(|name, end| {
        let stays = is_there(name);
        if !stays {
            end.cancel();
        }
        stays
    });
    let known: Vec<String> = served.keys().cloned().collect();
    drop(served);
    for collection in collections.iter().filter(|collection| !known.contains(&collection.name)) {
        match bind(node, collection) {
            Ok(sockets) => serve(node, sockets),
            Err(error) => tracing::error!(%error, collection = collection.name, "the collection is not served"),
        }
    }
}

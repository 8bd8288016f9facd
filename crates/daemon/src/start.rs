//! Starting and stopping: configuration, store, sockets, tasks, and a bounded drain.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, PoisonError},
    time::Duration,
};

use mithaq_api::{
    config::{self, Config, LogFormat},
    home::{Home, HomeError, Peer, create_private_dir, with_sources},
};
use mithaq_core::code::Code;
use mithaq_store::{Options, SledStore, Store, StoreError};
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    clock, collections, consents, corroboration, expiry, export, ledger, local, logging,
    node::{Node, PeerEntry},
    peer,
    restored::{self, Gate},
    retention,
    room::{self, Room},
    standing::{self, Standing},
    threads,
    warnings::Warnings,
};

/// How long tasks may take to end once the daemon stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);

/// How long the peers may take to learn that we are going away.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a call to the store that still runs may take before the process ends all the same.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(2);

/// The exit code of a daemon that does not start on what it was configured with.
const EXIT_CONFIG: u8 = 64;

/// The exit code of a daemon that may start later, once there is room.
const EXIT_TRY_AGAIN: u8 = 75;

/// What the command line sets in place of the configuration file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// In place of `[listen] address`.
    pub listen: Option<SocketAddr>,
    /// In place of `[log] format`.
    pub log_format: Option<LogFormat>,
    /// In place of `[log] filter`.
    pub log_filter: Option<String>,
}

/// Why the daemon does not start, or stopped with an error.
#[derive(Debug)]
struct Failure {
    code: Code,
    message: String,
    exit: u8,
}

impl Failure {
    fn new(code: Code, error: impl fmt::Display) -> Self {
        Self { code, message: error.to_string(), exit: 1 }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        Self { code: error.code(), exit: EXIT_CONFIG, message: error.to_string() }
    }
}

impl From<local::BindError> for Failure {
    fn from(error: local::BindError) -> Self {
        let exit = if error.is_configuration() { EXIT_CONFIG } else { 1 };
        Self { code: error.code(), exit, message: error.to_string() }
    }
}

/// Runs the daemon of a home until it is told to stop.
#[must_use]
pub fn run(home: &Home, overrides: Overrides) -> ExitCode {
    match try_run(home, overrides) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

/// The last words of a daemon that does not start: on standard error, whether logging started or not.
#[allow(clippy::print_stderr)] // There may be no logging yet, and an operator must see this.
fn complain(failure: &Failure) {
    eprintln!("error: {}: {}", failure.code, failure.message);
    eprintln!("help: `mithaq explain {}` says more", failure.code);
}

fn try_run(home: &Home, overrides: Overrides) -> Result<(), Failure> {
    let config = configure(home, overrides)?;
    let bad_filter = |error| Failure {
        code: Code::CONFIG,
        message: format!("{}, key log.filter: {error}", home.config_path().display()),
        exit: EXIT_CONFIG,
    };
    logging::start(&config.log).map_err(bad_filter)?;
    let store = open_store(home, &config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::INTERNAL, error))?;
    let bulk = threads::bulk().map_err(|error| Failure::new(Code::INTERNAL, error))?;
    let served = runtime.block_on(serve(home.clone(), config, store, bulk.handle().clone()));
    runtime.shutdown_timeout(ABANDON_TIMEOUT);
    bulk.shutdown_timeout(ABANDON_TIMEOUT);
    served
}

fn configure(home: &Home, overrides: Overrides) -> Result<Config, Failure> {
    let mut config = home.config()?;
    if let Some(address) = overrides.listen {
        config.listen.address = address;
    }
    if let Some(format) = overrides.log_format {
        config.log.format = format;
    }
    if let Some(filter) = overrides.log_filter {
        config.log.filter = filter;
    }
    Ok(config)
}

fn open_store(home: &Home, config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let dir = home.dir().join(&config.store.dir);
    create_private_dir(&dir)?;
    let failure = |error: StoreError| {
        let code = match error {
            StoreError::Locked { .. } => Code::STORE_LOCKED,
            StoreError::Full => Code::DISK_FULL,
            _ => Code::STORE,
        };
        let exit = if code == Code::DISK_FULL { EXIT_TRY_AGAIN } else { 1 };
        Failure { exit, ..Failure::new(code, with_sources(&error)) }
    };
    Ok(Arc::new(SledStore::open(&dir, store_options(config)).map_err(failure)?))
}

/// How a store is opened under a configuration.
pub(crate) fn store_options(config: &Config) -> Options {
    let free_bytes_min = config.store.free_mib_min.saturating_mul(1024 * 1024);
    Options { free_bytes_min: Room::floor(free_bytes_min), give_way: threads::give_way, ..Options::default() }
}

async fn serve(home: Home, config: Config, store: Arc<dyn Store>, bulk: Handle) -> Result<(), Failure> {
    let mut instance = [0; 16];
    aws_lc_rs::rand::fill(&mut instance).map_err(|_| Failure::new(Code::INTERNAL, "no randomness"))?;
    let failed = |error: StoreError| Failure::new(Code::STORE, with_sources(&error));
    let standing = Standing::load(&*store).map_err(failed)?;
    let gate = Gate::load(&*store).map_err(failed)?;
    let warnings = Warnings::load(&home, &config.warning_lists)
        .map_err(|error| Failure::new(Code::CONFIG, with_sources(&error)))?;
    let mut node = Node::new(home, config, store, standing, instance)?;
    node.bulk = Some(bulk);
    node.gate = gate;
    node.warnings = warnings;
    let node = Arc::new(node);
    let endpoint = peer::bind(&node, node.config.listen.address)
        .map_err(|error| Failure::new(Code::LISTEN, with_sources(&error)))?;
    let _ = node.endpoint.set(endpoint.clone());
    ledger::watch(&node).map_err(failed)?;
    if node.gate.is_closed() {
        node.gate.wait_for_operator(standing::relearn(&node).map_err(failed)?);
    } else {
        standing::relearn_lost(&node).map_err(failed)?;
    }
    standing::complete(&node).map_err(failed)?;
    node.collections.deliveries.load(&*node.store).map_err(failed)?;
    let local = local::bind(&node).await?;
    // Before anybody can know that we run: a signal that comes sooner than its handler kills.
    let signals = Signals::listen()?;
    load_peers(&node, &endpoint)?;
    // Again, now that peers have names.
    collections::warn_of_strangers(&node, &node.config);
    node.collections.replace(&node, &node.config);
    node.tasks.spawn(expiry::run(Arc::clone(&node)));
    node.tasks.spawn(corroboration::run(Arc::clone(&node)));
    node.tasks.spawn(collections::keep_deliveries(Arc::clone(&node)));
    node.tasks.spawn(restored::watch(Arc::clone(&node)));
    node.tasks.spawn(room::watch(Arc::clone(&node)));
    node.tasks.spawn(retention::run(Arc::clone(&node)));
    node.tasks.spawn(local::resume_repair(Arc::clone(&node)));
    export::replace(&node, &node.config.export);
    node.tasks.spawn(peer::accept(Arc::clone(&node), endpoint.clone()));
    local::start(&node, local, endpoint.clone());
    let address = endpoint.local_addr().map_err(|error| Failure::new(Code::LISTEN, error))?;
    tracing::info!(cert = node.us.fmt_short(), %address, objects = node.store.stats().objects, "ready");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let stopped = signals.until_stopped(&node, &endpoint).await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    drain(&node, &endpoint).await;
    stopped
}

/// The signals that a daemon obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Code::INTERNAL, error));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hangup: listen(SignalKind::hangup())? })
    }

    /// Waits for SIGTERM or SIGINT; SIGHUP reloads.
    async fn until_stopped(mut self, node: &Arc<Node>, endpoint: &quinn::Endpoint) -> Result<(), Failure> {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Ok(()),
                _ = self.interrupt.recv() => return Ok(()),
                () = node.shutdown.cancelled() => return Err(Failure::new(Code::INTERNAL, "a task failed: see the log")),
                _ = self.hangup.recv() => match tokio::task::block_in_place(|| reload(node, endpoint)) {
                    Ok(peers) => tracing::info!(peers, "reloaded"),
                    Err(error) => tracing::error!(%error, "not reloaded: everything stays as it was"),
                },
            }
        }
    }
}

/// Stops accepting, lets handlers end, closes the endpoint.
async fn drain(node: &Arc<Node>, endpoint: &quinn::Endpoint) {
    tracing::info!("stopping");
    node.shutdown.cancel();
    node.tasks.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, node.tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    endpoint.close(Code::GOING_AWAY.number().into(), b"the daemon is stopping");
    let _ = tokio::time::timeout(FAREWELL_TIMEOUT, endpoint.wait_idle()).await;
    tracing::info!("stopped");
}

/// At the start a peer file that cannot be used costs its peer alone: the others are served.
fn load_peers(node: &Arc<Node>, endpoint: &quinn::Endpoint) -> Result<(), Failure> {
    let mut peers = Vec::new();
    for name in node.home.peer_names()? {
        match node.home.peer(&name) {
            Ok(peer) => peers.push(peer),
            Err(error) => {
                tracing::error!(peer = name, code = %error.code(), %error, "the peer is not served")
            }
        }
    }
    warn_of_strangers(&node.config.link, &peers);
    let fresh = node.replace_peers(peers);
    // Before any journal is opened: it depends on what origins let us pass on.
    consents::load(node).map_err(|error| Failure::new(Code::STORE, with_sources(&error)))?;
    standing::quarantine_revoked(node, node.us, node.identity().card.card());
    for entry in fresh {
        standing::quarantine_revoked(node, entry.cert(), entry.peer.card.card());
        peer::start_peer(node, endpoint, entry);
    }
    Ok(())
}

/// Reads our card and keys, the peer files, and links, collections and exports of the configuration again; on an error
/// everything stays as it was. Blocks.
pub(crate) fn reload(node: &Arc<Node>, endpoint: &quinn::Endpoint) -> Result<usize, HomeError> {
    // Of two reloads at once, the one that read the files first must not be the one that is obeyed last.
    let _turn = node.reloading.lock().unwrap_or_else(PoisonError::into_inner);
    let before = node.identity();
    let identity = before.renewed(&node.home, clock::wall())?;
    let peers = node.home.peers()?;
    let config = node.home.config()?;
    let links = config.link.clone();
    node.replace_identity(identity);
    let after = node.identity();
    standing::quarantine_revoked(node, node.us, after.card.card());
    warn_of_strangers(&links, &peers);
    node.replace_links(links);
    let count = start_peers(node, endpoint, peers);
    collections::warn_of_strangers(node, &config);
    node.collections.replace(node, &config);
    local::serve_collections(node);
    export::replace(node, &config.export);
    Ok(count)
}

/// A link to nobody is a slip of the pen, or to a peer that is yet to be added.
fn warn_of_strangers(links: &BTreeMap<String, config::Link>, peers: &[Peer]) {
    for name in links.keys().filter(|name| !peers.iter().any(|peer| peer.name == **name)) {
        tracing::warn!(peer = name, "the configuration has a [link] for a peer that is not there");
    }
}

/// Has every peer served anew, with a journal that is made anew: what may go has changed for all of them.
pub(crate) fn restart_peers(node: &Arc<Node>) {
    let _turn = node.reloading.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(endpoint) = node.endpoint.get() else { return };
    for entry in node.renew_peers() {
        peer::start_peer(node, endpoint, entry);
    }
}

/// Has one peer served anew, with a journal that is made anew, unless it is already. Blocks.
pub(crate) fn restart_peer(node: &Arc<Node>, entry: &Arc<PeerEntry>) {
    let _turn = node.reloading.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(endpoint) = node.endpoint.get() else { return };
    if let Some(entry) = node.renew_peer(entry) {
        peer::start_peer(node, endpoint, entry);
    }
}

fn start_peers(node: &Arc<Node>, endpoint: &quinn::Endpoint, peers: Vec<Peer>) -> usize {
    for entry in node.replace_peers(peers) {
        standing::quarantine_revoked(node, entry.cert(), entry.peer.card.card());
        peer::start_peer(node, endpoint, entry);
    }
    node.peers().len()
}

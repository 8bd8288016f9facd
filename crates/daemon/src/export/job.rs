//! Exports that the configuration has made again and again: one task each, which holds up nobody and says how it fares.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mithaq_api::{
    config::{Export, OnTurn},
    export::{Before, EXPORT_STATE_BYTES_MAX, ExportStatus, ExportSummary},
    home::create_private_dir,
    http::Problem,
    landing::Landing,
};
use mithaq_core::{code::Code, time::Time};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{ExportError, Output, Prepared, hook, prepare, schedule::Schedule, socket};
use crate::{clock, node::Node};

/// The folder of states in the home.
const STATES: &str = "exports";

/// The pause behind a first failure; it doubles with each further one.
const RETRY_MIN: Duration = Duration::from_secs(5);

/// The longest pause behind a failure.
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);

/// How the exports fare, and whose turn it is: one is made at a time, so that their memory is bounded together.
#[derive(Debug)]
pub(crate) struct Board {
    statuses: Mutex<BTreeMap<String, ExportStatus>>,
    turns: Arc<Semaphore>,
    pub(super) schedule: Schedule,
}

impl Default for Board {
    fn default() -> Self {
        Self { statuses: Mutex::default(), turns: Arc::new(Semaphore::new(1)), schedule: Schedule::default() }
    }
}

impl Board {
    /// The right to make an export.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, ExportError> {
        Arc::clone(&self.turns).acquire_owned().await.map_err(|_| ExportError::Stopping)
    }

    /// How the exports fare, by name.
    pub(crate) fn statuses(&self) -> Vec<ExportStatus> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn begin(&self, name: &str, export: &Export) {
        let status = ExportStatus {
            name: name.to_owned(),
            format: export.query.format,
            state: "waiting".into(),
            ok_at: None,
            last: None,
            hook_status: None,
            written: 0,
            failures: 0,
            problem: None,
        };
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), status);
    }

    pub(super) fn forget(&self, name: &str) {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn update(&self, name: &str, change: impl FnOnce(&mut ExportStatus)) {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name).map(change);
    }
}

/// An export that is made again and again.
pub(super) struct Job {
    node: Arc<Node>,
    name: String,
    export: Export,
    /// What there was at the last export that went well.
    seen: Option<Seen>,
    /// When something of that will be valid no longer.
    next_expiry: Option<Time>,
    /// Whether the command behind the export is to be run, whatever has changed: nobody knows how it ended last.
    owes_command: bool,
    /// Whether it is to be written, whatever has changed: what stands may have been made by another configuration.
    owes_files: bool,
    /// Ends it: it is in the configuration no more, or another one, or the daemon stops.
    end: CancellationToken,
    /// Failures one after the other.
    failures: u32,
}

/// The head of the log, and the edition of the collections: what an export is made of.
type Seen = (u64, u64);

/// What became of a turn.
struct Turn {
    summary: ExportSummary,
    next_expiry: Option<Time>,
    is_written: bool,
    command: Option<(i32, Option<Problem>)>,
}

impl Job {
    /// An export that begins, and ends with a token.
    pub(super) fn new(node: &Arc<Node>, name: &str, export: &Export, end: CancellationToken, owes_files: bool) -> Self {
        Self {
            node: Arc::clone(node),
            name: name.to_owned(),
            export: export.clone(),
            seen: None,
            next_expiry: None,
            owes_command: true,
            owes_files,
            end,
            failures: 0,
        }
    }

    /// Makes the export again and again until it ends.
    pub(super) async fn run(mut self) {
        let (mut log, mut collections) = (self.node.follow(), self.node.collections.follow());
        let end = self.end.clone();
        // What a restored store lacks is not gone: until peers were heard, the files stay as they are.
        tokio::select! {
            () = self.node.gate.opened() => {}
            () = end.cancelled() => return,
        }
        loop {
            let now = (*log.borrow_and_update(), *collections.borrow_and_update());
            if self.is_due(now, clock::wall()) {
                match self.take_turn(now).await {
                    Some(job) => self = job,
                    None => return,
                }
            }
            let patience = async {
                tokio::time::sleep(self.pause()).await;
                if self.failures == 0 && matches!(self.export.turn, OnTurn::Change(_)) {
                    tokio::select! {
                        changed = log.changed() => drop(changed),
                        changed = collections.changed() => drop(changed),
                        () = until(self.next_expiry) => {}
                    }
                }
            };
            tokio::select! {
                () = patience => {}
                () = end.cancelled() => return,
            }
        }
    }

    fn is_due(&self, there: Seen, now: Time) -> bool {
        let has_expired = self.next_expiry.is_some_and(|expiry| expiry <= now);
        self.failures > 0 || self.owes_command || self.seen != Some(there) || has_expired
    }

    fn pause(&self) -> Duration {
        match self.failures {
            0 => self.export.turn.pause(),
            failures => RETRY_MIN.saturating_mul(1 << (failures - 1).min(16)).min(RETRY_MAX),
        }
    }

    /// Makes the export; `None` if it ends.
    async fn take_turn(mut self, there: Seen) -> Option<Self> {
        let turn = tokio::select! {
            biased;
            () = self.end.cancelled() => return None,
            turn = self.node.exports.turn() => turn.ok()?,
        };
        let done = tokio::task::spawn_blocking(move || {
            let made = self.make();
            drop(turn);
            (self, made)
        });
        let (mut job, made) = match done.await {
            Ok(done) => done,
            Err(_) => return None,
        };
        job.settle(there, made);
        Some(job)
    }

    /// Takes note of how a turn went, unless another export has its name by now.
    fn settle(&mut self, there: Seen, made: Result<Turn, Problem>) {
        if self.end.is_cancelled() {
            return;
        }
        let name = self.name.as_str();
        let (turn, problem) = match made {
            Ok(Turn { command: Some((_, Some(ref problem))), .. }) => (made.as_ref().ok(), Some(problem.clone())),
            Ok(ref turn) => (Some(turn), None),
            Err(ref problem) => (None, Some(problem.clone())),
        };
        if let Some(turn) = turn {
            self.seen = Some(there);
            self.next_expiry = turn.next_expiry;
            let status = turn.command.as_ref().map(|(status, _)| *status);
            tracing::debug!(export = name, values = turn.summary.values, written = turn.is_written, status, "exported");
        }
        match &problem {
            None => self.failures = 0,
            Some(problem) => {
                self.failures = self.failures.saturating_add(1);
                tracing::warn!(export = name, code = problem.code, reason = problem.message, "an export failed");
            }
        }
        self.node.exports.update(name, |status| note(status, turn, problem));
    }

    /// Makes the export, if it is not as it stands, and has the command run. Blocks.
    fn make(&mut self) -> Result<Turn, Problem> {
        let output = self.node.home.dir().join(&self.export.output);
        let state = self.node.home.dir().join(STATES).join(format!("{}.state", self.name));
        let before = read_state(&state)?;
        let prepared = prepare(&self.node, &self.export.query, before.as_deref(), clock::wall());
        let prepared = prepared.map_err(|error| error.problem())?;
        let stands = output.exists();
        let is_written = self.owes_files || !(prepared.is_unchanged && stands);
        if is_written {
            let is_told = self.export.query.format.tells_removals();
            if is_told && stands && prepared.summary.before != Before::Known {
                let export = &self.name;
                tracing::warn!(
                    export,
                    "the state of the export before is lost: a full snapshot says nothing to be gone"
                );
            }
            self.write(&prepared, &output, &state)?;
            (self.owes_files, self.owes_command) = (false, true);
        }
        let command = if self.owes_command { hook::run(&self.name, &self.export, &self.end) } else { None };
        self.owes_command = matches!(command, Some((_, Some(_))));
        let Prepared { summary, next_expiry, .. } = prepared;
        Ok(Turn { summary, next_expiry, is_written, command })
    }

    /// Writes the files; the state only once all who are to be told were told, or they would not be told again.
    fn write(&self, prepared: &Prepared, output: &Path, state: &Path) -> Result<(), Problem> {
        let problem = |error: ExportError| error.problem();
        if let Some(folder) = state.parent() {
            create_private_dir(folder).map_err(|error| problem(error.into()))?;
        }
        let mut files = Files {
            output: Landing::new(output, self.export.query.format.is_folder()),
            state: Landing::new(state, false),
            is_state: false,
        };
        prepared.write(&self.node, &mut files).map_err(problem)?;
        files.output.finish().map_err(|error| problem(error.into()))?;
        if let Some(socket) = &self.export.command_socket {
            self.tell(socket, prepared)?;
        }
        files.state.finish().map_err(|error| problem(error.into()))
    }

    fn tell(&self, socket: &Path, prepared: &Prepared) -> Result<(), Problem> {
        let untold = socket::tell(socket, &prepared.source(), &prepared.changes)?;
        if untold > 0 || prepared.summary.before != Before::Known {
            let export = &self.name;
            tracing::warn!(
                export,
                untold,
                "Suricata has to load the datasets anew: the command socket could not be told all"
            );
        }
        Ok(())
    }
}

fn note(status: &mut ExportStatus, turn: Option<&Turn>, problem: Option<Problem>) {
    status.state = if problem.is_none() { "ok".into() } else { "failing".into() };
    status.failures += u64::from(problem.is_some());
    if let Some(turn) = turn {
        status.written += u64::from(turn.is_written);
        status.last = Some(turn.summary.clone());
        status.hook_status = turn.command.as_ref().map(|(status, _)| *status).or(status.hook_status);
        if problem.is_none() {
            status.ok_at = Some(clock::wall());
        }
    }
    status.problem = problem;
}

/// The state of the export before; none if there was none. One that is too large is as good as damaged.
fn read_state(path: &PathBuf) -> Result<Option<Vec<u8>>, Problem> {
    let failed = |error: io::Error| Problem::new(Code::FILE, format!("cannot read {}: {error}", path.display()));
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(file) if file.len() > EXPORT_STATE_BYTES_MAX as u64 => Ok(Some(Vec::new())),
        Ok(_) => fs::read(path).map(Some).map_err(failed),
    }
}

/// Sleeps until a time, or for ever.
async fn until(time: Option<Time>) {
    match time {
        // A little more: clocks have steps.
        Some(time) => tokio::time::sleep(time.since(clock::wall()) + Duration::from_millis(10)).await,
        None => std::future::pending().await,
    }
}

/// The files of an export under way, and its state.
struct Files {
    output: Landing,
    state: Landing,
    is_state: bool,
}

impl Output for Files {
    fn begin(&mut self, name: &str) -> Result<(), ExportError> {
        self.is_state = false;
        Ok(self.output.begin(name)?)
    }

    fn begin_state(&mut self) -> Result<(), ExportError> {
        self.is_state = true;
        Ok(self.state.begin("state")?)
    }

    fn text(&mut self, text: &str) -> Result<(), ExportError> {
        let file = if self.is_state { &mut self.state } else { &mut self.output };
        Ok(file.write(text)?)
    }
}

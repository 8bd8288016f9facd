//! The parent's side of a writer: starts it, hears what it says, stops or kills it.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{keeper::Upkeep, ledger::Ledger, writer::Setup};

/// How long a writer may take to open its store before it counts as one that would not open.
pub(crate) const OPEN_WAIT: Duration = Duration::from_secs(60);

/// How many threads write.
const THREADS: u32 = 4;

/// How long a stopped process may take to stand still.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// How a writer is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) setup: Setup,
    pub(crate) seed: u64,
    pub(crate) run: u32,
    pub(crate) threads: u32,
    /// After how many batches each thread ends; else it goes on until it is told to stop.
    pub(crate) batches: Option<u32>,
    /// The most kilobytes that a file may have.
    pub(crate) file_kb_max: Option<u64>,
    /// Whether the disk fails now and then.
    pub(crate) faults: bool,
    /// What is done for the store meanwhile.
    pub(crate) upkeep: Upkeep,
}

impl<'a> Start<'a> {
    /// A writer that goes on until it is stopped.
    pub(crate) fn of(dir: &'a Path, setup: Setup, seed: u64, run: u32) -> Self {
        let upkeep = Upkeep::default();
        Self { dir, setup, seed, run, threads: THREADS, batches: None, file_kb_max: None, faults: false, upkeep }
    }
}

/// A writer at work.
pub(crate) struct Writer {
    process: Child,
    lines: Receiver<String>,
    run: u32,
}

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Wanted,
    Nothing,
    Ended,
}

impl Writer {
    pub(crate) fn start(start: Start<'_>, ledger: &mut Ledger) -> anyhow::Result<Self> {
        let program = env::current_exe().context("the path of this program")?;
        let mut command = match start.file_kb_max {
            None => Command::new(program),
            Some(kb) => {
                // The shell makes writes over the limit fail instead of ending the process.
                let mut shell = Command::new("bash");
                shell.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""]).arg(kb.to_string()).arg(program);
                shell
            }
        };
        command.args(["write", "--setup", start.setup.name()]).arg("--dir").arg(start.dir);
        for (name, number) in [("--seed", start.seed), ("--run", start.run.into()), ("--threads", start.threads.into())]
        {
            command.args([name, &number.to_string()]);
        }
        if let Some(batches) = start.batches {
            command.args(["--batches", &batches.to_string()]);
        }
        let Upkeep { compacts, repairs, backs_up } = start.upkeep;
        let flags =
            [("--faults", start.faults), ("--compacts", compacts), ("--repairs", repairs), ("--backs-up", backs_up)];
        command.args(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = process.stdout.take().context("the writer's output")?;
        let (said, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if said.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        ledger.begin(start.run, start.threads);
        Ok(Self { process, lines, run: start.run })
    }

    /// Takes in what the writer says until `is_wanted` is content with a line, or time is up.
    pub(crate) fn wait_for(
        &self,
        ledger: &mut Ledger,
        wait: Duration,
        mut is_wanted: impl FnMut(&str) -> bool,
    ) -> Heard {
        let end = Instant::now() + wait;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    ledger.absorb(self.run, &line);
                    if is_wanted(&line) {
                        return Heard::Wanted;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Heard::Nothing,
                Err(RecvTimeoutError::Disconnected) => return Heard::Ended,
            }
        }
    }

    /// Waits until the store is open; says whether it is.
    pub(crate) fn wait_until_open(&self, ledger: &mut Ledger) -> bool {
        self.wait_for(ledger, OPEN_WAIT, |line| line.starts_with("open ")) == Heard::Wanted
    }

    /// Lets the writer run for a while.
    pub(crate) fn run_for(&self, ledger: &mut Ledger, time: Duration) {
        self.wait_for(ledger, time, |_| false);
    }

    /// Stops the process where it stands, all its threads.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::STOP)?;
        let begun = Instant::now();
        while begun.elapsed() < STOP_WAIT {
            if self.is_still() {
                return Ok(());
            }
            thread::yield_now();
        }
        bail!("the writer did not stop within {} s", STOP_WAIT.as_secs())
    }

    /// Whether each thread of the process is stopped, or gone.
    fn is_still(&self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.process.id())) else { return true };
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
            state.is_none_or(|state| "TtZX".contains(state))
        })
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        let number = i32::try_from(self.process.id())?;
        Pid::from_raw(number).context("a process has a number")
    }

    /// Tells the writer to close its store.
    pub(crate) fn ask_to_close(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Kills the writer, and takes in all that it had said; says whether it had already ended by itself.
    pub(crate) fn kill(mut self, ledger: &mut Ledger) -> anyhow::Result<bool> {
        let had_ended = self.process.try_wait()?.is_some();
        self.process.kill()?;
        self.wait_for(ledger, OPEN_WAIT, |_| false);
        self.process.wait()?;
        Ok(had_ended)
    }
}

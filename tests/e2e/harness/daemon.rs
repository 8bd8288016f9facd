//! A running daemon.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Cert, Output, command, until};

/// How many lines of its log a daemon leaves behind when a scenario fails.
const LAST_WORDS: usize = 30;

/// How long a daemon that is slowed down runs and stands still.
const RUNS: Duration = Duration::from_millis(2);
const STANDS: Duration = Duration::from_millis(40);

/// A running daemon; it is killed when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a CERT's daemon and waits until it answers.
    #[track_caller]
    pub(crate) fn start(cert: &Cert) -> Self {
        Self::start_with(cert, &[])
    }

    /// Starts a CERT's daemon with more arguments and waits until it answers.
    #[track_caller]
    pub(crate) fn start_with(cert: &Cert, args: &[&str]) -> Self {
        let mut daemon = Self::spawn(&cert.home, args);
        until(&format!("the daemon of {} answers", cert.name), || {
            assert_eq!(daemon.child.try_wait().unwrap(), None, "the daemon of {} ended", cert.name);
            cert.try_status()
        });
        daemon
    }

    /// Starts a daemon and waits for nothing.
    pub(crate) fn spawn(home: &Path, args: &[&str]) -> Self {
        let log = home.with_extension("log");
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = command(home, &[&["run"], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Self { child: command.spawn().unwrap(), log }
    }

    /// Starts a daemon that is to refuse its start.
    #[track_caller]
    pub(crate) fn refuse(home: &Path, args: &[&str]) -> Output {
        super::mithaq(home, &[&["run"], args].concat())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks the daemon to stop: its exit status, and how long it took.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        self.signal(Signal::TERM);
        let status = until("the daemon stops", || self.child.try_wait().unwrap());
        (status.code(), asked.elapsed())
    }

    /// Has the daemon read its configuration again, whatever that is.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Lets the daemon stand still, as if its machine had stopped.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the daemon run only a moment now and then, until `look` has seen what it looks for; then it stands still.
    #[track_caller]
    pub(crate) fn slow_down<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        until(what, || {
            self.thaw();
            thread::sleep(RUNS);
            self.freeze();
            thread::sleep(STANDS);
            look()
        })
    }

    /// Lets a daemon that stands still go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends the daemon without a warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most memory that the daemon ever had, in MiB.
    pub(crate) fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
        kib / 1024
    }

    /// Waits until the daemon does next to nothing: in a second it uses the processor for 50 ms at the most.
    #[track_caller]
    pub(crate) fn idles(&self) {
        until("the daemon has nothing to do", || {
            let before = self.ticks();
            thread::sleep(Duration::from_secs(1));
            (self.ticks() - before <= 5).then_some(())
        });
    }

    /// For how long it has used the processor, in hundredths of a second.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, behind_name) = stat.rsplit_once(')').unwrap();
        let fields: Vec<_> = behind_name.split_whitespace().collect();
        // The third field of the line is the first behind the name; 14 and 15 are the times in user mode and in the kernel.
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().rev().take(LAST_WORDS).collect();
            let lines: String = lines.into_iter().rev().flat_map(|line| [line, "\n"]).collect();
            let _ = writeln!(std::io::stderr(), "--- {}\n{lines}", self.log.display());
        }
    }
}

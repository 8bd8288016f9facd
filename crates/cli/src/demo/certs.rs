//! The three CERTs and their daemons.

use std::{
    fs::{self, File},
    io,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mithaq_api::{
    client::Client,
    config::Config,
    home::Home,
    http::{PeerStatus, Status},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::{program::Program, screen::Screen, stop::PID_FILE, wait};

/// The names of the homes, in the order in which they are shown.
pub(super) const NAMES: [&str; 3] = ["pk", "cn", "qa"];

/// How long a daemon that nobody waits for gets to stop by itself.
const DROP_GRACE: Duration = Duration::from_secs(5);

/// How many lines of a log's end are shown.
const LOG_LINES_SHOWN: usize = 3;

/// Who a CERT is.
#[derive(Debug)]
pub(super) struct Who {
    /// Its home's name, and the name under which its peers know it.
    pub(super) name: &'static str,
    /// Its name.
    pub(super) title: &'static str,
    /// Its country.
    pub(super) country: &'static str,
    /// How people reach it.
    pub(super) contact: &'static str,
    /// The STIX identity under which it publishes.
    pub(super) identity: &'static str,
}

/// Pakistan's NCERT, whose identity the sample bundle names.
pub(super) const PK: Who = Who {
    name: NAMES[0],
    title: "PK NCERT",
    country: "PK",
    contact: "ncert@example.org",
    identity: "identity--23054300-4dc0-4667-aee5-0689c0ce7b0b",
};

/// China's CNCERT.
pub(super) const CN: Who = Who {
    name: NAMES[1],
    title: "CNCERT/CC",
    country: "CN",
    contact: "cncert@example.com",
    identity: "identity--05c35280-bdb1-4a99-9e54-8a5c324d3732",
};

/// Qatar's CERT.
pub(super) const QA: Who = Who {
    name: NAMES[2],
    title: "Q-CERT",
    country: "QA",
    contact: "qcert@example.net",
    identity: "identity--ab0eb73a-85a9-404b-a68d-6ad0247751af",
};

/// The three.
pub(super) struct Certs {
    pub(super) pk: Cert,
    pub(super) cn: Cert,
    pub(super) qa: Cert,
}

impl Certs {
    /// The three CERTs, whose homes are to be under `dir`, each with a free port of its own.
    pub(super) fn at(dir: &Path) -> anyhow::Result<Self> {
        // All three are bound before any is given up again, so that they differ.
        let sockets = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0"));
        let [pk, cn, qa] = sockets.each_ref().map(|socket| match socket {
            Ok(socket) => socket.local_addr(),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        });
        Ok(Self {
            pk: Cert::at(dir, &PK, pk.context("no UDP port is free")?)?,
            cn: Cert::at(dir, &CN, cn.context("no UDP port is free")?)?,
            qa: Cert::at(dir, &QA, qa.context("no UDP port is free")?)?,
        })
    }

    /// The three, in order.
    pub(super) fn all(&self) -> [&Cert; 3] {
        [&self.pk, &self.cn, &self.qa]
    }

    fn all_mut(&mut self) -> [&mut Cert; 3] {
        [&mut self.pk, &mut self.cn, &mut self.qa]
    }

    /// Starts all three daemons.
    pub(super) async fn start_all(&mut self, program: &Program) -> anyhow::Result<()> {
        for cert in self.all_mut() {
            cert.start(program)?;
        }
        for cert in self.all_mut() {
            cert.ready().await?;
        }
        Ok(())
    }

    /// Stops all three daemons and checks that each ends as it should.
    pub(super) async fn stop_all(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        for cert in self.all() {
            cert.terminate()?;
        }
        let mut wrong = Vec::new();
        for cert in self.all_mut() {
            let status = cert.stopped().await?;
            wrong.extend((!status.success()).then(|| format!("{}: {status}", cert.who.name)));
        }
        screen.blank();
        screen.check("all three daemons stopped on SIGTERM with status 0", wrong.is_empty(), || wrong.join(", "));
        Ok(())
    }

    /// Lets the daemons go on running without us.
    pub(super) fn leave(&mut self) {
        for cert in self.all_mut() {
            cert.daemon = None;
        }
    }
}

impl Drop for Certs {
    /// All are told first, then each is waited for.
    fn drop(&mut self) {
        for cert in self.all() {
            // Whoever cannot be told is dealt with when its own turn comes.
            let _ = cert.terminate();
        }
    }
}

/// A CERT of the demo. Its daemon, if it runs, ends with this value.
pub(super) struct Cert {
    /// Who it is.
    pub(super) who: &'static Who,
    /// Its home.
    pub(super) home: Home,
    /// Where peers reach it.
    pub(super) address: SocketAddr,
    /// Its operators' socket.
    pub(super) control: Client,
    /// Its SIEM's socket.
    pub(super) siem: Client,
    daemon: Option<Child>,
}

impl Cert {
    fn at(dir: &Path, who: &'static Who, address: SocketAddr) -> anyhow::Result<Self> {
        let home = Home::at(dir.join(who.name));
        let config = Config::default();
        let control = Client::new(home.control_socket(&config)?);
        let siem = Client::new(home.siem_socket(&config)?);
        Ok(Self { who, home, address, control, siem, daemon: None })
    }

    /// The folder of its home.
    pub(super) fn dir(&self) -> &Path {
        self.home.dir()
    }

    /// Starts its daemon; its output goes to a log in the home.
    pub(super) fn start(&mut self, program: &Program) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = program.command(self.dir());
        // A group of its own: what ends the demo on a terminal reaches the daemon through us, in good order.
        command.arg("run").stdout(log.try_clone()?).stderr(log).stdin(Stdio::null()).process_group(0);
        let daemon = command.spawn().with_context(|| format!("cannot start the daemon of {}", self.who.name))?;
        fs::write(self.pid_path(), format!("{}\n", daemon.id().unwrap_or(0)))?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Waits until its daemon answers.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let limit = Duration::from_secs(wait::DAEMON_SECONDS_MAX);
        let (control, daemon) = (&self.control, &mut self.daemon);
        let mut ended = None;
        let answers = wait::until(limit, async || {
            ended = daemon.as_mut().map(Child::try_wait).transpose()?.flatten();
            Ok(ended.is_some() || control.get::<Status>("/v1/status").await.is_ok())
        });
        let answers = answers.await?;
        match ended {
            Some(status) => bail!("the daemon of {} ended at once ({status}): {}", self.who.name, self.log_tail()),
            None if answers => Ok(()),
            None => bail!("the daemon of {} does not answer: {}", self.who.name, self.log_tail()),
        }
    }

    /// Asks its daemon to stop.
    pub(super) fn terminate(&self) -> anyhow::Result<()> {
        match self.pid() {
            Some(pid) => kill_process(pid, Signal::TERM).context("cannot send SIGTERM"),
            None => Ok(()),
        }
    }

    /// Waits until its daemon has stopped.
    pub(super) async fn stopped(&mut self) -> anyhow::Result<ExitStatus> {
        let limit = Duration::from_secs(wait::DAEMON_SECONDS_MAX);
        let daemon = self.daemon.as_mut().with_context(|| format!("no daemon of {} runs", self.who.name))?;
        let status = tokio::time::timeout(limit, daemon.wait()).await;
        let status = status.with_context(|| format!("the daemon of {} does not stop on SIGTERM", self.who.name))??;
        self.daemon = None;
        // A number that may be given out again must not stay.
        fs::remove_file(self.pid_path())?;
        Ok(status)
    }

    /// What its daemon says of itself.
    pub(super) async fn status(&self) -> anyhow::Result<Status> {
        let status = self.control.get("/v1/status").await;
        status.with_context(|| format!("the daemon of {}", self.who.name))
    }

    /// What its daemon says of a peer.
    pub(super) async fn peer(&self, peer: &Who) -> anyhow::Result<PeerStatus> {
        let peers = self.status().await?.peers;
        let found = peers.into_iter().find(|status| status.name == peer.name);
        found.with_context(|| format!("the daemon of {} knows no peer {}", self.who.name, peer.name))
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.daemon.as_ref()?.id()?).ok()?)
    }

    fn log_path(&self) -> PathBuf {
        self.dir().join("daemon.log")
    }

    fn pid_path(&self) -> PathBuf {
        self.dir().join(PID_FILE)
    }

    fn log_tail(&self) -> String {
        let text = fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join(" | ")
    }
}

impl Drop for Cert {
    fn drop(&mut self) {
        let Some(pid) = self.pid() else { return };
        let Some(mut daemon) = self.daemon.take() else { return };
        // It may have ended by itself; then there is nobody to be told.
        let _ = kill_process(pid, Signal::TERM);
        let deadline = Instant::now() + DROP_GRACE;
        while matches!(daemon.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                let _ = daemon.start_kill();
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

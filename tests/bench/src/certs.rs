//! CERTs to measure: real daemons, made and paired by the real commands.

use std::{
    fs::File,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::body::Frame;
use mithaq_api::{
    client::{Client, ClientError},
    config::Config,
    home::Home,
    http::{PushSummary, Status},
};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(120);

/// The program under measurement: beside this one.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("mithaq");
    ensure!(path.exists(), "{} is not there: `cargo build --release -p mithaq` makes it", path.display());
    Ok(path)
}

/// A CERT and its daemon.
pub(crate) struct Cert {
    name: &'static str,
    home: Home,
    daemon: Option<Child>,
    /// Whether its log tells the steps of releases.
    tells_steps: bool,
    pub(crate) control: Client,
    pub(crate) siem: Client,
}

impl Cert {
    /// Makes a CERT under `dir`.
    pub(crate) fn make(dir: &Path, name: &'static str) -> anyhow::Result<Self> {
        let address = free_address()?;
        Self::make_at(dir, name, address, Some(address))
    }

    /// Makes a CERT under `dir` that listens at an address and that peers dial at another, or do not dial at all.
    pub(crate) fn make_at(
        dir: &Path,
        name: &'static str,
        listen: SocketAddr,
        endpoint: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let home = Home::at(dir.join(name));
        let config = Config::default();
        let cert = Self {
            name,
            daemon: None,
            tells_steps: false,
            control: Client::new(home.control_socket(&config)?),
            siem: Client::new(home.siem_socket(&config)?),
            home,
        };
        let country = name.to_uppercase();
        let (listen, endpoint) = (listen.to_string(), endpoint.map(|endpoint| endpoint.to_string()));
        let mut args = vec!["init", "--name", name, "--country", &country, "--listen", &listen];
        args.extend(endpoint.iter().flat_map(|endpoint| ["--endpoint", endpoint.as_str()]));
        cert.command(&args)?;
        Ok(cert)
    }

    /// Adds a table to the configuration, for the daemon's next start.
    pub(crate) fn configure(&self, table: &str) -> anyhow::Result<()> {
        let path = self.home.config_path();
        let config = std::fs::read_to_string(&path)?;
        Ok(std::fs::write(path, format!("{config}\n{table}\n"))?)
    }

    fn command(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(program()?).arg("--home").arg(self.home.dir()).args(args).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`mithaq {}` failed: {error}", args.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Has the daemon's log tell the steps of releases, once it is started.
    pub(crate) fn tell_steps(&mut self) {
        self.tells_steps = true;
    }

    /// The text of the daemon's log.
    pub(crate) fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.home.dir().join("daemon.log"))?)
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.home.dir().join("daemon.log"))?;
        let mut command = Command::new(program()?);
        command.arg("--home").arg(self.home.dir()).arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if self.tells_steps {
            command.args(["--log-format", "json", "--log-filter", "info,mithaq::steps=trace"]);
        }
        self.daemon = Some(command.spawn()?);
        let started = Instant::now();
        while self.status().await.is_err() {
            ensure!(started.elapsed() < DEADLINE, "{} does not start: see its daemon.log", self.name);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Stops the daemon and waits until it is gone.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        kill_process(Pid::from_child(&daemon), Signal::TERM)?;
        ensure!(daemon.wait()?.success(), "{} did not stop as it should", self.name);
        Ok(())
    }

    /// The daemon's process number.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.daemon.as_ref().context("the daemon does not run")?.id())
    }

    /// What the daemon says of itself.
    pub(crate) async fn status(&self) -> Result<Status, ClientError> {
        self.control.get("/v1/status").await
    }

    /// Pushes a text.
    pub(crate) async fn push(&self, text: Bytes) -> anyhow::Result<PushSummary> {
        let chunks: Vec<_> = chunks_of(&text).map(|chunk| Ok(Frame::data(chunk))).collect();
        let mut lines = self.control.post_chunks("/v1/push", stream::iter(chunks).boxed()).await?;
        let mut last = Bytes::new();
        while let Some(line) = lines.next().await? {
            last = line;
        }
        serde_json::from_slice(&last).with_context(|| format!("a push ended with {last:?}"))
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn wait(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> anyhow::Result<Status> {
        let started = Instant::now();
        loop {
            let status = self.status().await?;
            if is_so(&status) {
                return Ok(status);
            }
            ensure!(started.elapsed() < DEADLINE, "{} waits in vain until {what}", self.name);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A UDP address of this machine that nobody listens at.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

fn chunks_of(text: &Bytes) -> impl Iterator<Item = Bytes> {
    const CHUNK: usize = 256 * 1024;
    (0..text.len()).step_by(CHUNK).map(|at| text.slice(at..text.len().min(at + CHUNK)))
}

impl Drop for Cert {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Pairs two CERTs under an agreement that releases everything but TLP:RED, as two people would.
pub(crate) fn pair(a: &Cert, b: &Cert, dir: &Path) -> anyhow::Result<()> {
    let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let pact = file("pact.json");
    for (one, other) in [(a, b), (b, a)] {
        let card = file(&format!("{}.card", other.name));
        other.command(&["peer", "invite", "--out", &card])?;
        one.command(&["peer", "add", other.name, &card])?;
    }
    let terms = ["--tlp-max", "amber+strict", "--community", "bench", "--personal-data", "allow", "--out", &pact];
    a.command(&[&["agreement", "new", "--peer", b.name][..], &terms].concat())?;
    a.command(&["agreement", "sign", &pact, "--yes"])?;
    b.command(&["agreement", "sign", &pact, "--yes"])?;
    for (one, other) in [(a, b), (b, a)] {
        let groups =
            groups(&other.command(&["--json", "peer", "verify", one.name, "--agreement", &pact, "--show"])?)?;
        one.command(&["peer", "verify", other.name, "--agreement", &pact, "--groups", &groups])?;
    }
    a.command(&["peer", "activate", b.name, "--agreement", &pact])?;
    b.command(&["peer", "activate", a.name, "--agreement", &pact])?;
    Ok(())
}

/// All groups of the pairing code, as the other side types them.
fn groups(shown: &str) -> anyhow::Result<String> {
    let shown: serde_json::Value = serde_json::from_str(shown)?;
    let Some(groups) = shown["groups"].as_array() else { bail!("no groups are shown") };
    let typed = groups.iter().enumerate().map(|(at, group)| format!("{}={}", at + 1, group.as_str().unwrap_or("")));
    Ok(typed.collect::<Vec<_>>().join(" "))
}

//! `mithaq demo --stop`: ends the daemons that `--keep` left running.

use std::{fs, path::Path, process::ExitCode, time::Duration};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use super::{certs::NAMES, screen::Screen, wait};
use crate::{exit::Exit, failure::Failure};

/// The file in a home that holds the number of its daemon's process.
pub(super) const PID_FILE: &str = "daemon.pid";

/// Ends every daemon under `dir` and waits until it is gone.
pub(super) async fn stop(dir: &Path, screen: &mut Screen) -> anyhow::Result<ExitCode> {
    let dir = std::path::absolute(dir)?;
    let homes: Vec<_> =
        NAMES.map(|name| dir.join(name)).into_iter().filter(|home| home.join(PID_FILE).exists()).collect();
    if homes.is_empty() {
        let problem =
            format!("no demo runs in {}: there is no {PID_FILE} in any of {}", dir.display(), NAMES.join(", "));
        return Err(Failure::Argument { what: "--stop", problem }.into());
    }
    let mut stopped = Vec::new();
    for home in &homes {
        let name = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let gone = stop_one(home).await?;
        screen.check(&format!("the daemon of {name} is stopped"), gone, || {
            "it does not end; its log is daemon.log".into()
        });
        stopped.extend(gone.then_some(name));
    }
    let ok = stopped.len() == homes.len();
    screen.json(&serde_json::json!({ "ok": ok, "stopped": stopped }))?;
    Ok(if ok { Exit::Ok } else { Exit::Failure }.into())
}

async fn stop_one(home: &Path) -> anyhow::Result<bool> {
    let path = home.join(PID_FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let pid = text.trim().parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("{} holds no process number", path.display()))?;
    if is_daemon_of(pid, home) {
        kill_process(pid, Signal::TERM).context("cannot send SIGTERM")?;
    }
    let limit = Duration::from_secs(wait::DAEMON_SECONDS_MAX);
    let gone = wait::until(limit, async || Ok(!is_daemon_of(pid, home))).await?;
    if gone {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(gone)
}

/// Whether the process was started for this home; numbers are given out again.
fn is_daemon_of(pid: Pid, home: &Path) -> bool {
    let arguments = fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default();
    names_home(&arguments, home)
}

fn names_home(arguments: &[u8], home: &Path) -> bool {
    arguments.split(|byte| *byte == 0).any(|argument| argument == home.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_only_with_the_whole_path_of_the_home() {
        let check = |arguments: &[u8], expect| assert_eq!(names_home(arguments, Path::new("/d/pk")), expect);
        check(b"mithaq\0--home\0/d/pk\0run\0", true);
        check(b"mithaq\0--home\0/d/pk2\0run\0", false);
        check(b"vi\0/d/pk/mithaq.toml\0", false);
        check(b"", false);
    }
}

//! The command behind an export: a program and its arguments, without a shell, for a limited time.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mithaq_api::{config::Export, http::Problem};
use mithaq_core::code::Code;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the command has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The status of a command that a signal ended, or that did not start.
const NO_STATUS: i32 = -1;

/// Runs the command of an export; returns how it ended, and what is wrong with that. Blocks.
pub(super) fn run(name: &str, export: &Export, stop: &CancellationToken) -> Option<(i32, Option<Problem>)> {
    let (program, arguments) = export.run.as_ref()?.split_first()?;
    // What it prints is its own affair: a log of ours is not for the text of other programs.
    let mut command = Command::new(program);
    command.args(arguments).env("MITHAQ_EXPORT", name);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |message: String| Some((NO_STATUS, Some(Problem::new(Code::EXPORT_COMMAND, message))));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("cannot start {program:?}: {error}")),
    };
    match wait(&mut child, export.run_timeout, stop) {
        Some(0) => Some((0, None)),
        Some(status) => {
            let message = format!("{program:?} ended with status {status}");
            Some((status, Some(Problem::new(Code::EXPORT_COMMAND, message))))
        }
        None => failed(format!(
            "{program:?} did not end by itself: it was killed, or took more than {:?}",
            export.run_timeout
        )),
    }
}

/// The exit status; `None` for a command that had to be killed, or that a signal ended.
fn wait(child: &mut Child, timeout: Duration, stop: &CancellationToken) -> Option<i32> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code(),
            Ok(None) if started.elapsed() < timeout && !stop.is_cancelled() => std::thread::sleep(LOOK),
            _ => {
                // It may have ended meanwhile; either way nothing of it is to be left.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mithaq_api::config::Config;

    use super::*;

    fn check(run: &[&str], status: i32, part: Option<&str>) {
        let text = format!("[export.x]\nformat = \"csv\"\noutput = \"x\"\nrun = {run:?}\nrun_timeout = \"1s\"\n");
        let config = Config::parse(&text, Path::new("x")).unwrap();
        let (ended, problem) = super::run("x", &config.export["x"], &CancellationToken::new()).unwrap();
        assert_eq!(ended, status, "{problem:?}");
        match (part, problem) {
            (None, None) => {}
            (Some(part), Some(problem)) => assert!(problem.message.contains(part), "{problem:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_ends_in_its_status() {
        check(&["true"], 0, None);
        check(&["sh", "-c", "test $MITHAQ_EXPORT = x"], 0, None);
        check(&["sh", "-c", "exit 7"], 7, Some("status 7"));
        check(&["/nowhere/program"], NO_STATUS, Some("cannot start"));
        check(&["sh", "-c", "kill -9 $$"], NO_STATUS, Some("killed"));
        check(&["sleep", "100"], NO_STATUS, Some("1s"));
        // No shell looks at what it is given.
        check(&["test", "$HOME;exit 3", "=", "$HOME;exit 3"], 0, None);
    }
}

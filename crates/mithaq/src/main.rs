//! The program: one binary for operators, analysts and the daemon. Called as `mithaqd`, it is its own `run` command.

use std::process::ExitCode;

use mithaq_cli::{Daemon, RunArgs};
use mithaq_daemon::Overrides;

fn main() -> ExitCode {
    let daemon = Daemon { run: run_daemon, revive: mithaq_daemon::revive, ask: mithaq_daemon::ask_store };
    mithaq_cli::main_with(std::env::args_os(), daemon)
}

fn run_daemon(args: RunArgs) -> ExitCode {
    let RunArgs { home, listen, log_format, log_filter } = args;
    mithaq_daemon::run(&home, Overrides { listen, log_format, log_filter })
}

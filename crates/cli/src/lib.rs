//! The commands of `mithaq`: what they take, what they print, and the status in which they end.
//!
//! Everything that a person or a script sees is written here. This crate never opens a network connection: it reads
//! and writes the files of a CERT's home, and asks the daemon over its control socket. It does not know the daemon;
//! whoever builds the program hands over the functions that run it and open its store.

// A test may fail where it stands.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod clock;
mod commands;
pub mod console;
mod counted;
mod daemon;
mod demo;
pub mod exit;
pub mod failure;
mod input;
mod intake;
mod object;
mod people;
mod progress;
mod random;
mod table;
pub mod terminal;

use std::{ffi::OsString, net::SocketAddr, path::Path, process::ExitCode};

use clap::{CommandFactory, Parser};
use mithaq_api::{
    config::LogFormat,
    home::Home,
    http::{AskStore, ReviveStore},
};

use crate::{
    args::{Cli, Command},
    console::Console,
    exit::Exit,
    failure::Failure,
};

/// What `mithaq run` was asked.
#[derive(Debug, Clone)]
pub struct RunArgs {
    /// The home of the CERT whose daemon is to run.
    pub home: Home,
    /// In place of the configured address for peers.
    pub listen: Option<SocketAddr>,
    /// In place of the configured form of log lines.
    pub log_format: Option<LogFormat>,
    /// In place of the configured log filter.
    pub log_filter: Option<String>,
}

/// The function that runs the daemon until it is told to stop.
pub type RunDaemon = fn(RunArgs) -> ExitCode;

/// What the commands need of the daemon, without knowing it.
#[derive(Debug, Clone, Copy)]
pub struct Daemon {
    /// Runs it.
    pub run: RunDaemon,
    /// Makes the copy of a store one of its own.
    pub revive: ReviveStore,
    /// Asks the store of a home whose daemon does not run.
    pub ask: AskStore,
}

/// Runs the command that `args` name, program name first, on the console of this process.
///
/// Called as `mithaqd`, the program is its own `run` command.
pub fn main_with(args: impl IntoIterator<Item = OsString>, daemon: Daemon) -> ExitCode {
    execute(args, &mut Console::of_process(), daemon)
}

/// Runs the command that `args` name, program name first, on a console of the caller's.
pub fn execute(args: impl IntoIterator<Item = OsString>, console: &mut Console, daemon: Daemon) -> ExitCode {
    let args = multi_call(args.into_iter().collect());
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args, console),
    };
    console.set_json(cli.json);
    let home = Home::at(cli.home);
    let result = match cli.command {
        Command::Run(args) => return (daemon.run)(args.with_home(home)),
        Command::Demo(args) => demo::run(args, cli.json).map_err(Failure::from_anyhow),
        Command::Restore(args) => commands::restore::run(&args, &home, daemon.revive, console).map(ExitCode::from),
        Command::Home(command) => commands::execute(&command, &home, daemon.ask, console).map(ExitCode::from),
    };
    match result.and_then(|exit| console.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => {
            console.report(&failure);
            failure.exit().into()
        }
    }
}

/// The help of every command, in the order in which they are listed.
///
/// `docs` and tests read it; the program prints it one by one.
#[must_use]
pub fn help_of_every_command() -> Vec<(String, String)> {
    let mut out = Vec::new();
    collect_help(Cli::command().term_width(100), "", &mut out);
    out
}

fn collect_help(mut command: clap::Command, parent: &str, out: &mut Vec<(String, String)>) {
    command.build();
    let name = format!("{parent}{}", command.get_name());
    out.push((name.clone(), command.render_long_help().to_string()));
    for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
        collect_help(child.clone(), &format!("{name} "), out);
    }
}

/// Called as `mithaqd`, the program is its own `run` command.
fn multi_call(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_daemon =
        args.first().and_then(|program| Path::new(program).file_name()).is_some_and(|name| name == "mithaqd");
    if is_daemon {
        args.insert(1, "run".into());
    }
    args
}

/// Prints help, or what is wrong with the command line.
fn usage(error: &clap::Error, args: &[OsString], console: &mut Console) -> ExitCode {
    let is_help = !error.use_stderr();
    console.set_json(!is_help && args.iter().any(|arg| arg == "--json"));
    // Where nobody reads, nobody is missed.
    let _ = if is_help { console.help(error) } else { console.usage(error) };
    if is_help { Exit::Ok.into() } else { Exit::Usage.into() }
}

#[cfg(test)]
mod tests {
    use mithaq_api::http::Problem;
    use mithaq_core::code::Code;

    use super::*;

    fn strings(args: &[&str]) -> Vec<OsString> {
        args.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn mithaqd_is_the_run_command() {
        assert_eq!(
            multi_call(strings(&["/usr/bin/mithaqd", "--home", "x"])),
            strings(&["/usr/bin/mithaqd", "run", "--home", "x"])
        );
        assert_eq!(multi_call(strings(&["mithaq", "status"])), strings(&["mithaq", "status"]));
    }

    #[test]
    fn run_hands_over_what_was_asked() {
        fn check(args: RunArgs) -> ExitCode {
            assert_eq!(args.home.dir(), Path::new("/h"));
            assert_eq!(args.listen, Some(SocketAddr::from(([127, 0, 0, 1], 9))));
            assert_eq!(args.log_format, Some(LogFormat::Json));
            assert_eq!(args.log_filter.as_deref(), Some("debug"));
            ExitCode::from(42)
        }
        let args =
            ["mithaqd", "--home", "/h", "--listen", "127.0.0.1:9", "--log-format", "json", "--log-filter", "debug"];
        let (mut console, _) = Console::captured(None);
        fn unasked() -> Problem {
            Problem::new(Code::INTERNAL, "not asked for")
        }
        let daemon = Daemon { run: check, revive: |_| Err(unasked()), ask: |_, _| Err(unasked()) };
        assert_eq!(execute(strings(&args), &mut console, daemon), ExitCode::from(42));
    }

    #[test]
    fn every_help_teaches_by_example() {
        for (name, help) in help_of_every_command() {
            assert!(help.contains("Examples:\n  mithaq"), "{name}:\n{help}");
        }
    }
}

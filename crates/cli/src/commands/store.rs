//! `mithaq store`: whether what is held is still what was stored.

use clap::Subcommand;
use mithaq_api::{home::Home, http::Check};

use crate::{
    console::{BAD, Console, GOOD},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Look after the store.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq store check")]
pub(crate) enum Command {
    Check(CheckArgs),
}

/// Read and hash everything that is held, and compare the index with it.
///
/// The daemon does it while it goes on serving. Ends with status 1 if something is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq store check
  mithaq store check --json | jq -r '.problems[]'")]
pub(crate) struct CheckArgs {}

/// Runs one of the store commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let Command::Check(_) = command;
    let client = daemon::client(home)?;
    let check: Check = daemon::block_on(async { Ok(client.post("/v1/check").await?) })?;
    if console.is_json() {
        console.json(&check)?;
    } else {
        print(&check, console)?;
    }
    Ok(if check.ok { Exit::Ok } else { Exit::Failure })
}

fn print(check: &Check, console: &mut Console) -> Result<(), Failure> {
    check.problems.iter().try_for_each(|problem| console.styled(BAD, problem))?;
    if check.ok {
        return console.styled(GOOD, format_args!("{} objects read and hashed; nothing is wrong", check.objects));
    }
    let problems = check.problems.len();
    console.styled(BAD, format_args!("{} objects read and hashed; {problems} problems", check.objects))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_listed_and_counted() {
        let (mut console, captured) = Console::captured(None);
        let check = Check { ok: false, objects: 7, problems: vec!["object 12 is damaged".into()] };
        print(&check, &mut console).unwrap();
        assert_eq!(captured.out(), "object 12 is damaged\n7 objects read and hashed; 1 problems\n");
    }
}

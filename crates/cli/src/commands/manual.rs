//! `mithaq completions` and `mithaq man`: what shells and `man` read, made of the same text as `--help`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{args::Cli, console::Console, exit::Exit, failure::Failure};

/// Print what completes commands and flags in a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq completions bash > /etc/bash_completion.d/mithaq
  mithaq completions zsh > ~/.zfunc/_mithaq           with ~/.zfunc in fpath
  mithaq completions fish > ~/.config/fish/completions/mithaq.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = clap::builder::PossibleValuesParser::new(["bash", "zsh", "fish"]))]
    shell: String,
}

/// Write the manual pages: one for each command, or that of mithaq to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq man | man -l -
  mithaq man /usr/local/share/man/man1
  mithaq man ./man1 && man ./man1/mithaq-push.1")]
pub(crate) struct ManArgs {
    /// The folder for the pages; it is made if it is not there
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints completions.
pub(crate) fn completions(args: &CompletionsArgs, console: &mut Console) -> Result<Exit, Failure> {
    let shell = match args.shell.as_str() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mithaq", &mut script);
    console.bytes(&script)?;
    Ok(Exit::Ok)
}

/// Writes manual pages.
pub(crate) fn man(args: &ManArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut root = Cli::command();
    root.build();
    match &args.dir {
        None => console.bytes(&page(&root, "mithaq")?)?,
        Some(dir) => {
            let failed = |source| Failure::File { action: "make", path: dir.clone(), source };
            fs::create_dir_all(dir).map_err(failed)?;
            let count = write(&root, "mithaq", dir)?;
            console.line(format_args!("{count} pages written to {}", dir.display()))?;
        }
    }
    Ok(Exit::Ok)
}

/// Writes the page of a command and those of the commands below it; how many there are.
fn write(command: &Command, name: &str, dir: &Path) -> Result<usize, Failure> {
    let path = dir.join(format!("{name}.1"));
    let failed = |source| Failure::File { action: "write", path: path.clone(), source };
    fs::write(&path, page(command, name)?).map_err(failed)?;
    let below = command.get_subcommands().filter(|child| child.get_name() != "help");
    below
        .map(|child| write(child, &format!("{name}-{}", child.get_name()), dir))
        .try_fold(1, |sum, count| Ok(sum + count?))
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone()).title(name).render(&mut page).map_err(|error: io::Error| Failure::from(error))?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_name_every_command() {
        for shell in ["bash", "zsh", "fish"] {
            let (mut console, captured) = Console::captured(None);
            completions(&CompletionsArgs { shell: shell.to_owned() }, &mut console).unwrap();
            let script = captured.out();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell} does not know {}", command.get_name());
            }
            assert!(script.contains("--dry-run") || script.contains("dry-run"), "{shell}");
        }
    }

    #[test]
    fn every_command_has_a_page_with_examples() {
        let dir = tempfile::tempdir().unwrap();
        let (mut console, captured) = Console::captured(None);
        man(&ManArgs { dir: Some(dir.path().join("man1")) }, &mut console).unwrap();
        let pages = fs::read_dir(dir.path().join("man1")).unwrap().count();
        assert_eq!(pages, crate::help_of_every_command().len());
        assert!(captured.out().starts_with(&format!("{pages} pages written to ")));
        for page in fs::read_dir(dir.path().join("man1")).unwrap() {
            let page = page.unwrap().path();
            let text = fs::read_to_string(&page).unwrap();
            assert!(text.contains(".TH mithaq") && text.contains("Examples:"), "{}", page.display());
        }
    }

    #[test]
    fn without_a_folder_the_page_of_the_program_is_printed() {
        let (mut console, captured) = Console::captured(None);
        man(&ManArgs { dir: None }, &mut console).unwrap();
        assert!(captured.out().contains("Exit status: 0 done"), "{}", captured.out());
    }
}

//! This very program, run as operators run it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};
use tokio::process::Command;

/// The program.
pub(super) struct Program {
    path: PathBuf,
}

/// What a command printed and how it ended.
pub(super) struct Answer {
    /// The exit status.
    pub(super) status: i32,
    /// Standard output.
    pub(super) out: String,
}

impl Program {
    /// The program that is running.
    pub(super) fn own() -> anyhow::Result<Self> {
        Ok(Self { path: env::current_exe().context("cannot find this program's own file")? })
    }

    /// The program, about to work on a home.
    pub(super) fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--home").arg(home).stdin(Stdio::null()).env_remove("MITHAQ_HOME").env("NO_COLOR", "1");
        command
    }

    /// Runs a command to its end, whatever status it ends in.
    pub(super) async fn run(&self, home: &Path, args: &[String]) -> anyhow::Result<(Answer, String)> {
        let output = self.command(home).args(args).kill_on_drop(true).output().await;
        let output = output.with_context(|| format!("cannot run {}", shown(home, args)))?;
        let Some(status) = output.status.code() else {
            bail!("{} was killed ({})", shown(home, args), output.status);
        };
        let out = String::from_utf8(output.stdout).with_context(|| format!("what {} printed", shown(home, args)))?;
        Ok((Answer { status, out }, String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub(super) async fn succeed(&self, home: &Path, args: &[String]) -> anyhow::Result<String> {
        let (answer, errors) = self.run(home, args).await?;
        if answer.status != 0 {
            bail!("{} ended with status {}: {errors}", shown(home, args), answer.status);
        }
        Ok(answer.out)
    }
}

/// A command at a CERT for people: `pk$ mithaq push bundle.json`, without the folders that only the demo has and the
/// `--json` that only it reads.
pub(super) fn shown(home: &Path, args: &[String]) -> String {
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    let folder = home.parent().map(|dir| format!("{}/", dir.display())).unwrap_or_default();
    let words: Vec<String> =
        args.iter().filter(|arg| *arg != "--json").map(|arg| quoted(&arg.replace(&folder, ""))).collect();
    format!("{name}$ mithaq {}", words.join(" "))
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_operators_would_type_them() {
        let args = ["init", "--name", "PK NCERT", "/tmp/x/pk.card", "--json"].map(str::to_owned);
        assert_eq!(shown(Path::new("/tmp/x/pk"), &args), "pk$ mithaq init --name 'PK NCERT' pk.card");
    }
}

//! Where the demo lives: a folder of its own, which goes away with it unless it is to be kept.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, bail};
use mithaq_api::{config::Config, home::Home};

use super::{certs::NAMES, screen::Screen};
use crate::failure::Failure;

/// How many names are tried for a folder before the demo gives up.
const ATTEMPTS_MAX: u32 = 100;

/// The demo's folder.
pub(super) struct Place {
    dir: PathBuf,
    kept: bool,
}

impl Place {
    /// Makes the folder: `keep`, or a new one for temporary files.
    pub(super) fn prepare(keep: Option<&Path>) -> anyhow::Result<Self> {
        let (dir, kept) = match keep {
            Some(dir) => (std::path::absolute(dir)?, true),
            None => (temporary()?, false),
        };
        if let Some(name) = NAMES.iter().find(|name| dir.join(name).exists()) {
            let problem = format!(
                "{} is there already: choose another folder, or end the demo in it with `mithaq demo --stop {}` and remove it",
                dir.join(name).display(),
                dir.display()
            );
            return Err(Failure::Argument { what: "--keep", problem }.into());
        }
        mithaq_api::home::create_private_dir(&dir)?;
        for name in NAMES {
            // Before anything is made: sockets need short paths.
            Home::at(dir.join(name)).siem_socket(&Config::default())?;
        }
        Ok(Self { dir, kept })
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the daemons are to go on running.
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Where the daemons' logs are, for people.
    pub(super) fn logs(&self) -> String {
        format!("{}/{{{}}}/daemon.log", self.dir.display(), NAMES.join(","))
    }

    /// Shows what can be tried while the daemons run.
    pub(super) fn suggest(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let (dir, program) = (self.dir.display(), env::current_exe()?);
        let program = program.display();
        let socket = Home::at(self.dir.join("qa")).siem_socket(&Config::default())?;
        screen.say("The three daemons go on running. Try:");
        for line in [
            format!("{program} --home {dir}/pk status"),
            format!("{program} --home {dir}/cn search 192.0.2.44"),
            format!("{program} --home {dir}/qa tail"),
            format!("curl --unix-socket {} http://localhost/v1/stream", socket.display()),
            format!("{program} demo --stop {dir}"),
        ] {
            screen.command(&line);
        }
        Ok(())
    }

    /// Removes the folder and all in it, unless it is to be kept.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        if self.kept {
            return Ok(());
        }
        fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))
    }
}

/// Makes a folder for temporary files whose path leaves room for those of sockets.
fn temporary() -> anyhow::Result<PathBuf> {
    let fits = |dir: &PathBuf| Home::at(dir.join("mithaq-4194304-99/pk")).siem_socket(&Config::default()).is_ok();
    let parent = Some(env::temp_dir()).filter(fits).unwrap_or_else(|| "/tmp".into());
    for number in 0..ATTEMPTS_MAX {
        let dir = parent.join(format!("mithaq-{}-{number}", process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot create {}", dir.display())),
        }
    }
    bail!("cannot find a free name for a folder in {}", parent.display())
}

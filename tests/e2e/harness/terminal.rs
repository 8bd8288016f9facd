//! A terminal with the program on it, and somebody who reads and types.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    thread,
};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::{program::command, until};

/// The key that ends the input, and the one that interrupts.
pub(crate) const CTRL_D: &str = "\u{4}";
pub(crate) const CTRL_C: &str = "\u{3}";

/// A pseudoterminal whose foreground process is a run of the program.
pub(crate) struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen was waited for.
    seen: usize,
    child: Child,
}

impl Terminal {
    /// Runs a command of the program on a home, on a terminal that knows colours; `coloured` says whether they are wanted.
    pub(crate) fn run(home: &Path, args: &[&str], coloured: bool) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).and_then(|()| unlockpt(&master)).unwrap();
        let peer =
            || ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        // The terminal becomes the one that signals come from, which Rust cannot ask for without `unsafe`.
        let program = command(home, args);
        let mut on_terminal = Command::new("setsid");
        // A shell has what it starts in the background ignore SIGINT, and the program would inherit that.
        on_terminal.args(["--ctty", "env", "--default-signal=INT"]);
        on_terminal.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => on_terminal.env(name, value),
                None => on_terminal.env_remove(name),
            };
        }
        on_terminal.env("TERM", "xterm-256color");
        if coloured {
            on_terminal.env_remove("NO_COLOR");
        }
        let child = on_terminal.stdin(peer()).stdout(peer()).stderr(peer()).spawn().unwrap();
        drop(on_terminal);
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, written) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal that nobody has open any more ends in an error.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                written.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { keyboard, screen, seen: 0, child }
    }

    /// Everything that was written so far.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until a text appears behind what was waited for before.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> &mut Self {
        let screen = Arc::clone(&self.screen);
        let from = self.seen;
        let find = || {
            let written = screen.lock().unwrap();
            let at = written[from..].windows(text.len()).position(|window| window == text.as_bytes());
            at.map(|at| from + at + text.len())
        };
        self.seen = until(&format!("{text:?} on the terminal"), find);
        self
    }

    /// Types keys.
    #[track_caller]
    pub(crate) fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits until the program has ended: how, and all that it wrote.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> (ExitStatus, String) {
        let status = until("the program on the terminal ends", || self.child.try_wait().unwrap());
        // The reader holds the screen until the terminal is closed on the other side, which it is by now.
        until("the terminal is read to its end", || (Arc::strong_count(&self.screen) == 1).then_some(()));
        (status, self.screen())
    }

    /// Fails unless the program ends with this status: all that it wrote.
    #[track_caller]
    pub(crate) fn exits(&mut self, exit: i32) -> String {
        let (status, screen) = self.ends();
        assert_eq!(status.code(), Some(exit), "{screen}");
        screen
    }

    /// Fails unless the program was ended by this signal: all that it wrote.
    #[track_caller]
    pub(crate) fn is_ended_by(&mut self, signal: i32) -> String {
        let (status, screen) = self.ends();
        assert_eq!(status.signal(), Some(signal), "{screen}");
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A scenario that fails must not leave a program that waits for an answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

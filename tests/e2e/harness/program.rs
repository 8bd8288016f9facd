//! The program under test, and what a run of it gave.

use std::{
    env,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;

use super::until;

/// The binary that `MITHAQ_PROGRAM` names, or the one that cargo has built for these tests.
fn binary() -> PathBuf {
    env::var_os("MITHAQ_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_mithaq").into(), PathBuf::from)
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Output {
    /// What was asked, for messages.
    pub(crate) asked: String,
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command of the program on a home.
pub(crate) fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("--home").arg(home).args(args);
    // What the machine that runs the tests has set must not matter.
    command.env_remove("MITHAQ_HOME").env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
    command
}

/// Runs a command with nothing on standard input.
#[track_caller]
pub(crate) fn mithaq(home: &Path, args: &[&str]) -> Output {
    mithaq_with_input(home, args, b"")
}

/// Runs a command with `input` on standard input.
#[track_caller]
pub(crate) fn mithaq_with_input(home: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut command = command(home, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, stdout, stderr) =
        (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
    thread::scope(|scope| {
        // A program that refuses its input early stops reading it: that is no failure of whoever writes.
        scope.spawn(move || stdin.write_all(input).and_then(|()| stdin.flush()).ok());
        let (stdout, stderr) = (scope.spawn(|| read(stdout)), scope.spawn(|| read(stderr)));
        let asked = args.join(" ");
        let exit = wait(&mut child, &asked);
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        Output { asked, exit, stdout, stderr }
    })
}

fn read(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).expect("the program writes UTF-8")
}

fn wait(child: &mut Child, asked: &str) -> i32 {
    let status = until(&format!("`mithaq {asked}` ends"), || child.try_wait().unwrap());
    status.code().expect("no signal ended it")
}

impl Output {
    /// Fails unless it ended with this status.
    #[track_caller]
    pub(crate) fn exits(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "mithaq {}: {self:#?}", self.asked);
        self
    }

    /// Fails unless it was refused with this status and this code, on both ways out.
    #[track_caller]
    pub(crate) fn refused(self, exit: i32, code: &str) -> Self {
        let this = self.exits(exit);
        assert!(this.stderr.contains(code), "no {code} from mithaq {}: {this:#?}", this.asked);
        this
    }

    /// Standard output as lines of JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?} of {self:#?}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The last line of standard output.
    #[track_caller]
    pub(crate) fn last(&self) -> Value {
        self.lines().pop().unwrap_or_else(|| panic!("nothing on standard output: {self:#?}"))
    }
}

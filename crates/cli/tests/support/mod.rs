//! CERTs in temporary folders, driven through the library's entry.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use mithaq_api::{home::Home, http::Problem};
use mithaq_cli::{Daemon, console::Console};
use mithaq_core::code::Code;

/// How a command ended and what it wrote.
pub(crate) struct Run {
    /// The exit status.
    pub(crate) exit: u8,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// A CERT in a temporary folder.
pub(crate) struct Cert {
    dir: tempfile::TempDir,
}

/// Two CERTs that have exchanged cards, and an agreement between them.
pub(crate) struct Pair {
    /// Ours.
    pub(crate) pk: Cert,
    /// Theirs.
    pub(crate) qa: Cert,
    /// The agreement's file.
    pub(crate) pact: String,
}

impl Cert {
    /// Makes a CERT, and its card in a file.
    pub(crate) fn new(name: &str, country: &str) -> Self {
        let cert = Self::nowhere();
        cert.ok(&[
            "init",
            "--name",
            name,
            "--country",
            country,
            "--listen",
            "127.0.0.1:0",
            "--endpoint",
            "127.0.0.1:9",
        ]);
        cert.ok(&["peer", "invite", "--out", &cert.card()]);
        cert
    }

    /// A folder without a CERT.
    pub(crate) fn nowhere() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Its home.
    pub(crate) fn home(&self) -> Home {
        Home::at(self.home_dir())
    }

    /// The path of a file beside the home.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// The file with its card.
    pub(crate) fn card(&self) -> String {
        self.file("card.json")
    }

    /// Runs a command with nobody to ask.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, None)
    }

    /// Runs a command; `input` is what a person types.
    pub(crate) fn run_with(&self, args: &[&str], input: Option<&str>) -> Run {
        let (mut console, captured) = Console::captured(input);
        let mut line: Vec<OsString> = vec!["mithaq".into(), "--home".into(), self.home_dir().into()];
        line.extend(args.iter().map(OsString::from));
        let exit = mithaq_cli::execute(line, &mut console, NO_DAEMON);
        Run { exit: status(exit), out: captured.out(), err: captured.err() }
    }

    /// Runs a command that must succeed: its standard output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.exit, 0, "{args:?}: {}{}", run.out, run.err);
        run.out
    }

    fn home_dir(&self) -> PathBuf {
        self.dir.path().join("home")
    }
}

impl Pair {
    /// Two CERTs and a draft.
    pub(crate) fn new() -> Self {
        Self::with_terms(&[])
    }

    /// Two CERTs and a draft with these terms.
    pub(crate) fn with_terms(terms: &[&str]) -> Self {
        let pk = Cert::new("Pakistan NCERT", "PK");
        let qa = Cert::new("قطر للأمن السيبراني", "qa");
        pk.ok(&["peer", "add", "qa", &qa.card()]);
        qa.ok(&["peer", "add", "pk", &pk.card()]);
        let pact = pk.file("pact.json");
        pk.ok(&[&["agreement", "new", "--peer", "qa", "--out", &pact][..], terms].concat());
        Self { pk, qa, pact }
    }

    /// Two CERTs and an agreement that both have signed.
    pub(crate) fn signed() -> Self {
        let pair = Self::new();
        pair.pk.ok(&["agreement", "sign", &pair.pact, "--yes"]);
        pair.qa.ok(&["agreement", "sign", &pair.pact, "--yes"]);
        pair
    }

    /// The groups of the pairing code.
    pub(crate) fn group_list(&self) -> Vec<String> {
        let shown = self.qa.ok(&["peer", "verify", "pk", "--agreement", &self.pact, "--show", "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        serde_json::from_value(shown["groups"].clone()).unwrap()
    }

    /// Eight groups as `--groups` takes them.
    pub(crate) fn groups(&self) -> String {
        let groups = self.group_list();
        let heard = (3..=10).map(|number| format!("{number}={}", groups[number - 1]));
        heard.collect::<Vec<_>>().join(" ")
    }
}

/// There is none: no command of these tests gets so far.
const NO_DAEMON: Daemon = Daemon {
    run: |_| ExitCode::FAILURE,
    revive: |_| Err(Problem::new(Code::INTERNAL, "there is no daemon")),
    ask: |_, _| Err(Problem::new(Code::NOT_FOUND, "there is no store")),
};

/// The number of an exit status, which the standard library shows to nobody but the system.
fn status(exit: ExitCode) -> u8 {
    (0..=u8::MAX).find(|number| ExitCode::from(*number) == exit).unwrap()
}

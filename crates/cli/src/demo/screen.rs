//! What the demo shows: one small writer, with colours on a terminal alone.

use std::{
    fmt::Display,
    io::{self, Write},
    time::Duration,
};

use anstyle::Style;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{
    console::{BAD, FAINT, GOOD, PLAIN, STRONG},
    terminal::{Escaped, columns, cut},
};

/// The most columns of a line.
const COLUMNS_MAX: usize = 110;

/// Where the demo writes, and how many of its checks held.
pub(super) struct Screen {
    people: Box<dyn Write>,
    json: bool,
    chapters: usize,
    held: usize,
    failed: usize,
}

impl Screen {
    /// A screen on standard output, or on standard error if standard output is for programs.
    pub(super) fn new(json: bool) -> Self {
        let people: Box<dyn Write> = if json {
            Box::new(anstream::AutoStream::auto(io::stderr()))
        } else {
            Box::new(anstream::AutoStream::auto(io::stdout()))
        };
        Self { people, json, chapters: 0, held: 0, failed: 0 }
    }

    /// How many checks held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many checks did not hold.
    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    /// What all of it is about.
    pub(super) fn title(&mut self, text: &str) {
        self.write(STRONG, text);
    }

    /// Begins the next chapter.
    pub(super) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.blank();
        self.write(STRONG, &format!("{}. {title}", self.chapters));
    }

    /// Says something.
    pub(super) fn say(&mut self, text: &str) {
        self.write(PLAIN, &format!("  {text}"));
    }

    /// Shows a command that was run at a CERT, or can be.
    pub(super) fn command(&mut self, text: &str) {
        self.write(FAINT, &format!("  {text}"));
    }

    /// An empty line.
    pub(super) fn blank(&mut self) {
        self.write(PLAIN, "");
    }

    /// Shows a table; all but the last column are filled up.
    pub(super) fn table(&mut self, titles: &[&str], rows: &[Vec<String>]) {
        let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
        let width = |column: usize| {
            rows.iter().chain([&titles]).filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..titles.len()).map(width).collect();
        for (number, row) in [&titles].into_iter().chain(rows).enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - columns(cell))))
                .collect();
            self.write(if number == 0 { FAINT } else { PLAIN }, format!("    {}", cells.join("  ")).trim_end());
        }
    }

    /// Holds a finding against what is expected.
    pub(super) fn check_equal<T: PartialEq + Display>(&mut self, what: &str, expected: &T, found: &T) {
        self.check(what, expected == found, || format!("expected {expected}, found {found}"));
    }

    /// Shows whether something holds, and what was found if it does not.
    pub(super) fn check(&mut self, what: &str, holds: bool, found: impl FnOnce() -> String) {
        if holds {
            self.held += 1;
            self.line(&[(GOOD, "  ✓ "), (PLAIN, what)]);
        } else {
            self.failed += 1;
            self.line(&[(BAD, "  ✗ "), (BAD, what), (PLAIN, ": "), (PLAIN, &found())]);
        }
    }

    /// The last word.
    pub(super) fn verdict(&mut self, good: bool, text: &str) {
        self.line(&[(if good { GOOD } else { BAD }, text)]);
    }

    /// What kept the demo from being carried out.
    pub(super) fn failure(&mut self, text: &str) {
        self.line(&[(BAD, "error: "), (PLAIN, text)]);
    }

    /// Shows, on a terminal, that something takes its time.
    pub(super) fn waiting(&self, what: &str) -> ProgressBar {
        let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Shows, on a terminal, how far something is.
    pub(super) fn counting(&self, what: &str, count: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("  {bar:30} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(count as u64).with_style(style).with_message(what.to_owned())
    }

    /// Writes an object for programs, if they read.
    pub(super) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            let text = serde_json::to_string(value)?;
            writeln!(io::stdout().lock(), "{text}")?;
        }
        Ok(())
    }

    fn write(&mut self, style: Style, text: &str) {
        self.line(&[(style, &cut(text, COLUMNS_MAX))]);
    }

    fn line(&mut self, spans: &[(Style, &str)]) {
        for (style, text) in spans {
            // Where nobody reads, nobody is missed; the exit status still tells.
            let _ = write!(self.people, "{style}{}{style:#}", Escaped(text));
        }
        let _ = writeln!(self.people);
        let _ = self.people.flush();
    }
}

//! `mithaq validate`: what the standard has against objects.

mod line;

use std::path::{Path, PathBuf};

use mithaq_core::{
    code::Code,
    stix::{
        bundle::report::{Report, Reports},
        validate::{Finding, Severity},
    },
};

use self::line::{Line, refusal_code, refusal_message};
use crate::{
    commands::explain::remedy,
    console::{BAD, Console, FAINT, GOOD, PLAIN, STRONG, WARN},
    exit::Exit,
    failure::Failure,
    input::{self, Input},
};

/// How many findings of an object are shown to people who did not ask for all.
const SHOWN_MAX: usize = 20;

/// Validate STIX 2.1: every breach of a MUST is an error, every departure from a SHOULD a warning.
///
/// Reads bundles, single objects, and lines of either, of any size; of a folder every .json, .jsonl, .ndjson, .stix and
/// .stix2 file in and below it. A bundle has a line of its own if something is wrong with it as a whole, or if it holds
/// no objects. Nothing is pushed, and neither home nor daemon is needed.
///
/// Ends with status 0 if everything is valid, 1 if something is not or cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq validate bundle.json
  mithaq validate feeds/ --strict                    every file below the folder; warnings count
  mithaq validate feed.ndjson --json | jq -c 'select(.valid | not)'
  curl -s https://cert.example/feed | mithaq validate -")]
pub(crate) struct Args {
    /// Bundles, objects, or NDJSON of either; folders; - is standard input
    #[arg(value_name = "FILE|DIR|-", required = true)]
    inputs: Vec<PathBuf>,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// Show all findings of an object, not only the first 20
    #[arg(long, short = 'v')]
    all: bool,
}

/// What was found in all.
#[derive(Debug, Default)]
struct Sum {
    files: usize,
    unreadable: usize,
    valid: usize,
    invalid: usize,
    errors: usize,
    warnings: usize,
}

/// Validates files.
pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let mut validation = Validation { args, console, sum: Sum::default(), tells_file: args.inputs.len() > 1 };
    for input in &args.inputs {
        validation.input(input)?;
    }
    validation.end()
}

struct Validation<'a> {
    args: &'a Args,
    console: &'a mut Console,
    sum: Sum,
    /// Programs are told the file only if there may be several.
    tells_file: bool,
}

impl Validation<'_> {
    /// Validates a file, or the files of a folder. One that cannot be read does not keep the others from being read.
    fn input(&mut self, path: &Path) -> Result<(), Failure> {
        self.tells_file |= path.is_dir();
        let files = match input::expand(path) {
            Ok(files) => files,
            Err(failure) => return self.unreadable(failure),
        };
        for file in files {
            match self.file(&file) {
                Err(failure @ Failure::File { .. }) => self.unreadable(failure)?,
                result => result?,
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, failure: Failure) -> Result<(), Failure> {
        self.sum.unreadable += 1;
        self.console.flush()?;
        self.console.report(&failure);
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let name = input::name(path);
        let mut input = Input::open(path, "validating")?;
        let mut reports = Reports::default();
        self.sum.files += 1;
        loop {
            let chunk = input.next_chunk()?;
            let is_end = chunk.is_empty();
            reports.feed(chunk);
            if is_end {
                reports.end();
            }
            while let Some(report) = reports.next_report() {
                self.take(&report, &name, &input)?;
            }
            if is_end {
                return Ok(());
            }
            if reports.is_done() {
                return self.broke_off();
            }
            // Who feeds objects one by one wants to hear of each.
            if input::is_stdin(path) {
                self.console.flush()?;
            }
        }
    }

    /// What follows broken text has no beginning that could be told.
    fn broke_off(&mut self) -> Result<(), Failure> {
        match self.console.is_json() {
            true => Ok(()),
            false => self
                .console
                .styled(FAINT, format_args!("  nothing after that place was read: mend it and validate again")),
        }
    }

    fn take(&mut self, report: &Report, file: &str, input: &Input) -> Result<(), Failure> {
        let is_valid = self.count(report);
        if self.console.is_json() {
            let file = self.tells_file.then_some(file);
            return self.console.json(&Line::new(report, file, is_valid));
        }
        if report.is_clean() {
            return Ok(());
        }
        // Asked before the bar is held, since asking holds it too.
        let has_bar = !input.bar().is_hidden();
        input.bar().suspend(|| {
            self.print(report, file)?;
            // What is written above a bar must be there before the bar is drawn again.
            if has_bar { self.console.flush() } else { Ok(()) }
        })
    }

    /// Counts a report; tells whether the object is valid.
    fn count(&mut self, report: &Report) -> bool {
        let is_valid = if self.args.strict { report.is_clean() } else { report.is_valid() };
        let is_error = |finding: &&Finding| finding.severity() == Severity::Error;
        let errors = report.findings.iter().filter(is_error).count();
        self.sum.errors += errors + usize::from(report.refusal.is_some());
        self.sum.warnings += report.findings.len() - errors;
        if is_valid {
            self.sum.valid += 1
        } else {
            self.sum.invalid += 1
        }
        is_valid
    }

    fn print(&mut self, report: &Report, file: &str) -> Result<(), Failure> {
        let place = report.index.map_or_else(|| format!("byte {}", report.offset), |index| index.to_string());
        let object_type = report.object_type.as_deref().unwrap_or("object");
        let id = report.id.clone().unwrap_or_else(|| format!("({object_type} without id)"));
        self.console.spans(&[(PLAIN, format!("{file}:{place}  ")), (STRONG, id)])?;
        if let Some(refusal) = &report.refusal {
            let code = refusal_code(refusal);
            let remedy = remedy(code).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            self.problem((BAD, "error"), code, &format!("{}{remedy}", refusal_message(refusal)))?;
        }
        let shown = if self.args.all { report.findings.len() } else { SHOWN_MAX };
        for finding in report.findings.iter().take(shown) {
            self.finding(finding)?;
        }
        match report.findings.len().saturating_sub(shown) {
            0 => Ok(()),
            more => self.console.styled(FAINT, format_args!("  and {more} more: --all shows them")),
        }
    }

    fn finding(&mut self, finding: &Finding) -> Result<(), Failure> {
        let label = match finding.severity() {
            Severity::Error => (BAD, "error"),
            Severity::Warning => (WARN, "warning"),
        };
        let Finding { rule, pointer, section, message } = finding;
        let pointer = if pointer.is_empty() { "/" } else { pointer };
        self.problem(label, Code::new(rule.code()), &format!("{pointer}: {message} (STIX 2.1 §{section})"))
    }

    fn problem(&mut self, label: (anstyle::Style, &str), code: Code, text: &str) -> Result<(), Failure> {
        let label = (label.0, format!("  {}", label.1));
        self.console.spans(&[label, (PLAIN, format!(" {code} {text}"))])
    }

    fn end(self) -> Result<Exit, Failure> {
        let Sum { files, unreadable, valid, invalid, errors, warnings } = self.sum;
        let is_good = invalid == 0 && unreadable == 0;
        if !self.console.is_json() {
            let files = if files == 1 { String::new() } else { format!(" in {files} files") };
            let unreadable = match unreadable {
                0 => String::new(),
                count => format!("; {count} not readable"),
            };
            let style = if is_good { GOOD } else { BAD };
            let verdict = (style, format!("{valid} valid, {invalid} invalid{files}"));
            self.console.spans(&[verdict, (PLAIN, format!("; {errors} errors, {warnings} warnings{unreadable}"))])?;
        }
        Ok(if is_good { Exit::Ok } else { Exit::Failure })
    }
}

#[cfg(test)]
mod tests;

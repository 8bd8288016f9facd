//! `mithaq pattern`: is a pattern one, and what does it look for.

use std::path::PathBuf;

use mithaq_core::stix::{
    Observable,
    pattern::{PATTERN_BYTES_MAX, Pattern},
};
use serde::Serialize;

use crate::{
    console::{BAD, Console, FAINT, PLAIN},
    exit::Exit,
    failure::Failure,
    input::Input,
    terminal::{Escaped, columns},
};

/// How much of a pattern is shown on each side of what is wrong with it, in characters.
const SHOWN_AROUND: usize = 60;

/// Check STIX patterns, one a line, and print them in one form.
///
/// Each line of the input is a pattern and gives one line for programs, in its order: whether it is valid, and what it
/// looks for in the normal form of `mithaq search`. A line ends with LF or CR LF. An empty line is no pattern and said to
/// be none, so that the lines of input and output stay together. A pattern that compares a digest with a text of another
/// length is no valid one either: it can never match.
///
/// Ends with status 0 if all are valid, 1 if one is not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq pattern patterns.txt
  mithaq pattern patterns.txt --json | jq -c .observables[]
  echo \"[ipv4-addr:value = '192.0.2.1']\" | mithaq pattern -
  jq -r 'select(.pattern_type == \"stix\").pattern' feed.ndjson | mithaq pattern -")]
pub(crate) struct Args {
    /// Patterns, one a line; - is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
}

/// What is said of a pattern, for programs.
#[derive(Serialize)]
struct Line<'a> {
    valid: bool,
    error: Option<&'a str>,
    observables: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
}

/// What is wrong with a pattern, and where.
struct Fault {
    message: String,
    /// In bytes from the start of the pattern, if it is one place.
    offset: Option<usize>,
}

/// Cuts an input into lines, none of which is held beyond what a pattern may have.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    is_open: bool,
}

/// Checks the patterns of a file.
pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let mut input = Input::open(&args.file, "reading")?;
    let mut lines = Lines::default();
    let mut check = Check { console, number: 0, invalid: 0 };
    loop {
        let chunk = input.next_chunk()?;
        if chunk.is_empty() {
            lines.end(|line| check.line(line))?;
            return Ok(if check.invalid == 0 { Exit::Ok } else { Exit::Failure });
        }
        lines.feed(chunk, |line| check.line(line))?;
    }
}

impl Lines {
    fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            // With room for the CR, and a byte more that tells that it is too long.
            let room = (PATTERN_BYTES_MAX + 2).saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.is_open = text.len() == part.len();
            if !self.is_open {
                self.take(&mut take)?;
            }
        }
        Ok(())
    }

    /// The last line need not end.
    fn end(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        if self.is_open { self.take(&mut take) } else { Ok(()) }
    }

    fn take(&mut self, take: &mut impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let result = take(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
        self.line.clear();
        result
    }
}

struct Check<'a> {
    console: &'a mut Console,
    /// Of the line, from 1.
    number: usize,
    invalid: usize,
}

impl Check<'_> {
    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.number += 1;
        let result = match std::str::from_utf8(line) {
            Ok(text) => pattern(text),
            Err(error) => Err(Fault { message: "the line is not UTF-8".to_owned(), offset: Some(error.valid_up_to()) }),
        };
        self.invalid += usize::from(result.is_err());
        if self.console.is_json() {
            return self.json(result);
        }
        match result {
            Ok(pattern) => self.console.line(pattern),
            Err(fault) => self.fault(&String::from_utf8_lossy(line), &fault),
        }
    }

    fn json(&mut self, result: Result<Pattern<'_>, Fault>) -> Result<(), Failure> {
        let found = |observable: Observable| Found { kind: observable.kind.as_str(), value: observable.value };
        let observables = result.as_ref().map(Observable::of_pattern).unwrap_or_default();
        let error = result.err().map(|fault| match fault.offset {
            Some(offset) => format!("{} at byte {offset}", fault.message),
            None => fault.message,
        });
        let observables = observables.into_iter().map(found).collect();
        self.console.json(&Line { valid: error.is_none(), error: error.as_deref(), observables })
    }

    /// Shows what is wrong under the place where it is wrong.
    fn fault(&mut self, text: &str, fault: &Fault) -> Result<(), Failure> {
        let number = format!("{}: ", self.number);
        let offset = fault.offset.unwrap_or_default().min(text.len());
        let place = (0..=offset).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        let (before, behind) = text.split_at(place);
        let (before, behind) = (tail(before), head(behind));
        let (before, behind) = (Escaped(&before).to_string(), Escaped(&behind).to_string());
        let indent = " ".repeat(columns(&number) + if fault.offset.is_some() { columns(&before) } else { 0 });
        self.console.spans(&[(FAINT, number), (PLAIN, before), (PLAIN, behind)])?;
        let caret = if fault.offset.is_some() { "^ " } else { "" };
        self.console.spans(&[(PLAIN, indent), (BAD, format!("{caret}{}", fault.message))])
    }
}

/// Reads a pattern that can match.
fn pattern(text: &str) -> Result<Pattern<'_>, Fault> {
    let pattern =
        Pattern::parse(text).map_err(|error| Fault { message: error.kind.to_string(), offset: Some(error.offset) })?;
    match pattern.malformed_digest() {
        Some(error) => Err(Fault { message: error.to_string(), offset: None }),
        None => Ok(pattern),
    }
}

/// The end of a text, with an ellipsis if something is missing.
fn tail(text: &str) -> String {
    match text.char_indices().rev().nth(SHOWN_AROUND) {
        Some((at, _)) => format!("…{}", &text[at..].chars().skip(1).collect::<String>()),
        None => text.to_owned(),
    }
}

/// The beginning of a text, with an ellipsis if something is missing.
fn head(text: &str) -> String {
    match text.char_indices().nth(SHOWN_AROUND) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How it ends, and what it prints.
    fn check(text: &[u8], json: bool) -> (Exit, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (mut console, captured) = Console::captured(None);
        console.set_json(json);
        (run(&Args { file: file.path().to_owned() }, &mut console).unwrap(), captured.out())
    }

    #[test]
    fn each_line_is_a_pattern_and_gives_a_line() {
        let text = "[url:value='hxxp://Evil[.]example/']\r\n\n[a:b =]\n[file:hashes.MD5 = 'abc']";
        let (end, out) = check(text.as_bytes(), true);
        assert_eq!(end, Exit::Failure);
        let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4, "{out}");
        let found = serde_json::json!([{ "type": "url", "value": "http://evil.example/" }]);
        assert_eq!(lines[0], serde_json::json!({ "valid": true, "error": null, "observables": found }));
        let expect = ["at byte 0", "at byte 6", "hexadecimal digits"];
        for (line, expect) in lines[1..].iter().zip(expect) {
            assert_eq!(line["valid"], false);
            assert!(line["error"].as_str().unwrap().contains(expect), "{line}");
        }
        assert_eq!(check(b"", true), (Exit::Ok, String::new()));
    }

    #[test]
    fn people_see_one_form_or_the_place_of_the_fault() {
        let (end, out) = check(b"[ a:b='x'   OR a:c = 1 ]\n[a:b \x1b= 1]\n", false);
        assert_eq!(end, Exit::Failure);
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[0], "[a:b = 'x' OR a:c = 1]");
        assert_eq!(lines[1], "2: [a:b \\u{1b}= 1]");
        assert!(lines[2].starts_with("        ^ "), "{out}");
        let long = format!("[a:b = '{}' x]", "y".repeat(500));
        let (_, out) = check(long.as_bytes(), false);
        let lines: Vec<_> = out.lines().collect();
        assert!(columns(lines[0]) < 130 && lines[0].starts_with("1: …y"), "{out}");
        assert_eq!(lines[0].chars().nth(lines[1].find('^').unwrap()), Some('x'), "{out}");
    }

    #[test]
    fn a_line_that_is_too_long_is_not_held() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut take = |line: &[u8]| -> Result<(), Failure> {
            seen.push(line.len());
            Ok(())
        };
        for _ in 0..100 {
            lines.feed(&[b'x'; 100_000], &mut take).unwrap();
            assert!(lines.line.len() <= PATTERN_BYTES_MAX + 2);
        }
        lines.feed(b"\ny", &mut take).unwrap();
        lines.end(&mut take).unwrap();
        assert_eq!(seen, [PATTERN_BYTES_MAX + 2, 1]);
        assert!(pattern(&"x".repeat(PATTERN_BYTES_MAX + 2)).is_err_and(|fault| fault.message.contains("longer")));
    }

    #[test]
    fn a_line_that_is_no_text_says_so() {
        let (_, out) = check(b"[a:b = '\xff']\n", true);
        assert!(out.contains("not UTF-8 at byte 8"), "{out}");
    }
}

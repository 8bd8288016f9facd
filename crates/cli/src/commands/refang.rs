//! `mithaq refang`: values that were made harmless, as they were.

use std::path::PathBuf;

use mithaq_api::http::PUSH_BYTES_MAX;
use serde::Serialize;

use crate::{
    console::{BAD, Console, FAINT, GOOD, PLAIN},
    exit::Exit,
    failure::Failure,
    input,
    intake::{Change, decode, refang_line},
};

/// Undo what makes values harmless: hxxp, [.], (dot), [at], full-width dots, characters without width.
///
/// The text goes to standard output with every other byte as it was; how much was changed goes to standard error. What
/// looks like a regular expression, and every word with a backslash, is left alone. To do it twice changes nothing more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq refang mail.txt > plain.txt
  mithaq refang mail.txt -n                only the lines that would change, before and after
  echo 'hxxps://evil[.]example' | mithaq refang -
  mithaq refang mail.txt -n --json | jq -r .after")]
pub(crate) struct Args {
    /// A text; - is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Show what would change, and not the text
    #[arg(long, short = 'n')]
    dry_run: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    line: usize,
    before: &'a str,
    after: &'a str,
}

/// Refangs a text.
pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let bytes = input::read_whole(&args.file, PUSH_BYTES_MAX)?;
    if bytes.len() > PUSH_BYTES_MAX {
        return Err(Failure::TooLarge { input: input::name(&args.file), bytes: bytes.len() as u64 });
    }
    let (text, broken) = decode(&bytes);
    let mut changed = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = line.trim_end_matches(['\n', '\r']).len();
        let (line, end) = line.split_at(end);
        let change = refang_line(line);
        changed += usize::from(change.is_some());
        match (args.dry_run, change) {
            (true, Some(change)) => show(number + 1, &change, console)?,
            (true, None) => {}
            (false, Some(change)) => console.text(&change.after, end)?,
            (false, None) => console.text(line, end)?,
        }
    }
    console.flush()?;
    if broken > 0 {
        console.note(format_args!("{broken} characters are no UTF-8 and were replaced"))?;
    }
    let would = if args.dry_run { "would change" } else { "changed" };
    console.note(format_args!("{changed} lines {would}"))?;
    Ok(Exit::Ok)
}

fn show(number: usize, change: &Change, console: &mut Console) -> Result<(), Failure> {
    let Change { before, after } = change;
    if console.is_json() {
        return console.json(&Line { line: number, before, after });
    }
    console.spans(&[(FAINT, format!("{number}: ")), (BAD, "- ".to_owned()), (PLAIN, before.clone())])?;
    console.spans(&[(FAINT, format!("{number}: ")), (GOOD, "+ ".to_owned()), (PLAIN, after.clone())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], dry_run: bool, json: bool) -> (String, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (mut console, captured) = Console::captured(None);
        console.set_json(json);
        assert_eq!(run(&Args { file: file.path().to_owned(), dry_run }, &mut console).unwrap(), Exit::Ok);
        (captured.out(), captured.err())
    }

    #[test]
    fn a_text_is_changed_where_values_are_and_nowhere_else() {
        let text = "see hxxp://evil[.]example\r\n\r\nلا شيء \\. here\u{a0}\nlast";
        let expect = "see http://evil.example\r\n\r\nلا شيء \\. here\u{a0}\nlast";
        let (out, err) = check(text.as_bytes(), false, false);
        assert_eq!((out.as_str(), err.as_str()), (expect, "1 lines changed\n"));
        let (out, err) = check(expect.as_bytes(), false, false);
        assert_eq!((out.as_str(), err.as_str()), (expect, "0 lines changed\n"));
    }

    #[test]
    fn a_preview_shows_both_forms() {
        let (out, err) = check(b"nothing\nevil[.]example\x1b", true, false);
        assert_eq!(out, "2: - evil[.]example\\u{1b}\n2: + evil.example\\u{1b}\n");
        assert_eq!(err, "1 lines would change\n");
        let (out, _) = check(b"evil[.]example", true, true);
        assert_eq!(out, "{\"line\":1,\"before\":\"evil[.]example\",\"after\":\"evil.example\"}\n");
    }
}

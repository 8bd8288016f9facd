//! `mithaq upgrade`: STIX 2.0 in, STIX 2.1 out, and a report of what became of it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use mithaq_api::http::PUSH_BYTES_MAX;
use mithaq_core::stix::upgrade::{Change, ChangeKind, Upgraded, upgrade};
use serde::Serialize;

use crate::{console::Console, exit::Exit, failure::Failure, input, random};

/// Convert STIX 2.0 to STIX 2.1 and report what became of it.
///
/// The objects go to standard output as a bundle, or with --json line by line; the report goes to standard error.
/// Objects that are STIX 2.1 already stay as they are. Nothing is pushed and no home is needed: look at the report, then
/// push the result.
///
/// Ends with status 0 if nothing was lost, 3 if a property was lost, 1 if an object was refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq upgrade old.json > new.json
  mithaq upgrade old.json --verbose > /dev/null       the whole report and nothing else
  mithaq upgrade old.json --json 2> report.ndjson | mithaq push -")]
pub(crate) struct Args {
    /// A STIX 2.0 bundle, one object, or lines of either; - is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Report also what only has another place or form now
    #[arg(long, short)]
    verbose: bool,
}

/// One line of the report for programs.
#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    change: &'static str,
    pointer: &'a str,
    message: &'a str,
}

/// Upgrades a file.
pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let text = read(&args.file)?;
    let upgraded = upgrade(&text).map_err(|error| {
        let (line, column) = error.line_column(&text);
        Failure::NotJson { input: input::name(&args.file), line, column, error }
    })?;
    write(&upgraded, console)?;
    console.flush()?;
    if console.is_json() {
        upgraded.changes.iter().try_for_each(|change| console.json_note(&line(change)))?;
    } else {
        report(&upgraded, args.verbose, console)?;
    }
    Ok(exit(&upgraded.changes))
}

/// Reads the whole input, as far as a push would take it.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::File { action: "read", path: path.to_owned(), source };
    let source: Box<dyn Read> = match input::is_stdin(path) {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(failed)?),
    };
    let mut input = Vec::new();
    let bytes = source.take(PUSH_BYTES_MAX as u64 + 1).read_to_end(&mut input).map_err(failed)?;
    if bytes > PUSH_BYTES_MAX {
        return Err(Failure::TooLarge { input: input::name(path), bytes: bytes as u64 });
    }
    Ok(input)
}

fn write(upgraded: &Upgraded, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return upgraded.objects.iter().try_for_each(|object| console.json_line(object));
    }
    let head = format!(r#"{{"type":"bundle","id":"bundle--{}""#, random::uuid()?);
    let Some((last, others)) = upgraded.objects.split_last() else {
        // STIX has no empty lists.
        return console.json_line(format!("{head}}}").as_bytes());
    };
    console.json_line(format!(r#"{head},"objects":["#).as_bytes())?;
    for object in others {
        console.json_line(&[object, b",".as_slice()].concat())?;
    }
    console.json_line(last)?;
    console.json_line(b"]}")
}

fn line(change: &Change) -> Line<'_> {
    Line {
        index: change.index,
        id: change.object.as_deref(),
        change: change.kind.as_str(),
        pointer: &change.pointer,
        message: &change.message,
    }
}

fn report(upgraded: &Upgraded, verbose: bool, console: &mut Console) -> Result<(), Failure> {
    let mut counts: BTreeMap<ChangeKind, usize> = BTreeMap::new();
    for change in &upgraded.changes {
        *counts.entry(change.kind).or_default() += 1;
        if verbose || !matches!(change.kind, ChangeKind::Moved | ChangeKind::Derived) {
            let Change { kind, index, object, pointer, message } = change;
            let id = object.as_deref().unwrap_or("(no id)");
            let pointer = if pointer.is_empty() { String::new() } else { format!(" {pointer}") };
            console.note(format_args!("{kind:8} #{index} {id}{pointer}: {message}"))?;
        }
    }
    let counts = counts.iter().map(|(kind, count)| format!(", {count} {kind}"));
    console.note(format_args!("{} objects of STIX 2.1{}", upgraded.objects.len(), counts.collect::<String>()))
}

fn exit(changes: &[Change]) -> Exit {
    match changes.iter().map(|change| change.kind).max() {
        Some(ChangeKind::Refused) => Exit::Failure,
        Some(ChangeKind::Lost) => Exit::Degraded,
        _ => Exit::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMPAIGN: &str = r#"{"type":"campaign","id":"campaign--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created":"2018-05-01T00:00:00.000Z","modified":"2018-05-01T00:00:00.000Z","name":"x"}"#;

    /// How upgrading `text` ends, and what goes to standard output and standard error.
    fn check(text: &str, json: bool) -> (Result<Exit, Failure>, String, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (mut console, captured) = Console::captured(None);
        console.set_json(json);
        let end = run(&Args { file: file.path().to_owned(), verbose: true }, &mut console);
        (end, captured.out(), captured.err())
    }

    #[test]
    fn objects_go_out_as_a_bundle_or_in_lines() {
        let (end, out, err) = check(CAMPAIGN, false);
        assert_eq!(end.unwrap(), Exit::Ok);
        let bundle: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(bundle["type"], "bundle");
        assert_eq!(bundle["objects"][0]["spec_version"], "2.1");
        assert_eq!(err, "1 objects of STIX 2.1\n");
        let (_, out, _) = check(&CAMPAIGN.repeat(2), true);
        assert_eq!(out.lines().filter(|line| line.contains(r#""spec_version":"2.1""#)).count(), 2);
    }

    #[test]
    fn what_is_refused_is_reported_and_not_obeyed() {
        let hostile = CAMPAIGN.replace("campaign--8e2e", "campaign--\\u202e");
        let (end, out, err) = check(&hostile, false);
        assert_eq!(end.unwrap(), Exit::Failure);
        assert!(!out.contains("objects"), "{out}");
        assert!(err.starts_with("refused  #0 campaign--\\u{202e}"), "{err}");
        let (_, _, err) = check(&hostile, true);
        let line: serde_json::Value = serde_json::from_str(&err).unwrap();
        assert_eq!((line["change"].as_str(), line["index"].as_u64()), (Some("refused"), Some(0)));
        assert!(!err.contains('\u{202e}'));
    }

    #[test]
    fn a_loss_has_a_status_of_its_own() {
        let observed = CAMPAIGN
            .replace("campaign", "observed-data")
            .replace(r#""name":"x""#, r#""objects":{"0":{"type":"file","name":"a","is_encrypted":true}}"#);
        let (end, _, err) = check(&observed, false);
        assert_eq!(end.unwrap(), Exit::Degraded);
        assert!(err.contains("/objects/0/is_encrypted"), "{err}");
        assert!(err.ends_with("2 objects of STIX 2.1, 1 moved, 1 lost\n"), "{err}");
    }

    #[test]
    fn what_is_no_json_is_named_with_its_place() {
        let (end, out, _) = check("{\n\"type\":", false);
        let failure = end.unwrap_err();
        assert!(failure.to_string().contains("line 2, column 8"), "{failure}");
        assert_eq!((failure.exit(), out.as_str()), (Exit::Failure, ""));
    }
}

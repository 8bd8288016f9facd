//! `mithaq canon`: the bytes that hashes and signatures are over.

use std::path::PathBuf;

use mithaq_api::home::with_sources;
use mithaq_core::{
    code::Code,
    id::ContentId,
    stix::{
        Entry, ObjectError,
        bundle::stream::{Part, Splitter},
    },
};

use crate::{
    console::Console,
    exit::Exit,
    failure::Failure,
    input::{self, Input},
};

/// Print objects in canonical form (RFC 8785), one a line.
///
/// Their order is that of the input: bundles, single objects, and lines of either, of any size. Objects that `push`
/// would refuse go to standard error, with their code and place. Neither home nor daemon is needed.
///
/// Ends with status 0 if every object was printed, 1 if one was refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq canon bundle.json
  mithaq canon bundle.json --ids                     SHA-256 of the canonical form, and id
  mithaq canon bundle.json --ids | sort | uniq -d    objects that stand there twice
  mithaq canon - < feed.ndjson > canonical.ndjson")]
pub(crate) struct Args {
    /// A bundle, one object, or NDJSON of either; - is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Print the content id (SHA-256 of the canonical form) and the STIX id of each object
    #[arg(long)]
    ids: bool,
}

/// Prints the canonical form of a file's objects.
pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let mut input = Input::open(&args.file, "reading")?;
    let mut canon = Canon { ids: args.ids, file: input::name(&args.file), console, refused: 0 };
    let mut splitter = Splitter::default();
    loop {
        let chunk = input.next_chunk()?;
        let is_end = chunk.is_empty();
        splitter.feed(chunk);
        if is_end {
            splitter.end();
        }
        while let Some(part) = splitter.next_part() {
            match part {
                Ok(Part::Object(object)) => canon.take(object.entry(), &input)?,
                Ok(Part::Bundle(envelope)) => envelope.entry().map_or(Ok(()), |entry| canon.take(entry, &input))?,
                Err(error) => canon.refuse(error.offset, None, &error.into(), &input)?,
            }
        }
        if is_end || splitter.is_done() {
            return Ok(if canon.refused == 0 { Exit::Ok } else { Exit::Failure });
        }
    }
}

struct Canon<'a> {
    ids: bool,
    file: String,
    console: &'a mut Console,
    refused: usize,
}

impl Canon<'_> {
    fn take(&mut self, entry: Entry<'_>, input: &Input) -> Result<(), Failure> {
        let object = match entry.object {
            Ok(object) => object,
            Err(error) => return self.refuse(entry.offset, entry.id_hint, &error, input),
        };
        let canonical = object.canonical();
        if self.ids {
            self.console.line(format_args!("{} {}", ContentId::of(&canonical), object.id()))
        } else {
            self.console.json_line(&canonical)
        }
    }

    fn refuse(&mut self, offset: usize, id: Option<String>, error: &ObjectError, input: &Input) -> Result<(), Failure> {
        self.refused += 1;
        let (code, id) = (Code::new(error.code()), id.unwrap_or_else(|| "(no id)".to_owned()));
        let text = format!("refused {code} at byte {offset} of {}, {id}: {}", self.file, with_sources(error));
        input.bar().suspend(|| self.console.note(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTEX: &str = r#"{"type":"mutex","name":"x","id":"mutex--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}"#;
    const CANONICAL: &str = r#"{"id":"mutex--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","name":"x","type":"mutex"}"#;

    /// How it ends, and what goes to standard output and standard error.
    fn canon(text: &str, ids: bool) -> (Exit, String, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (mut console, captured) = Console::captured(None);
        let end = run(&Args { file: file.path().to_owned(), ids }, &mut console).unwrap();
        (end, captured.out(), captured.err().replace(&file.path().display().to_string(), "FILE"))
    }

    #[test]
    fn objects_go_out_in_their_order_in_one_form() {
        let bundle = format!(r#"{{"objects":[{MUTEX}, {CANONICAL}],"type":"bundle"}}"#);
        assert_eq!(canon(&bundle, false), (Exit::Ok, format!("{CANONICAL}\n{CANONICAL}\n"), String::new()));
        let (_, out, _) = canon(MUTEX, true);
        let digest = ContentId::of(CANONICAL.as_bytes()).to_string();
        assert_eq!(out, format!("{digest} mutex--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\n"));
        assert_eq!(digest.len(), 64);
    }

    #[test]
    fn what_is_refused_is_named_with_its_place() {
        let (end, out, err) = canon(&format!("{{\"id\":\"a\\u001b\"}}\n{MUTEX}\n{{"), false);
        assert_eq!((end, out), (Exit::Failure, format!("{CANONICAL}\n")));
        let lines: Vec<_> = err.lines().collect();
        assert!(lines[0].starts_with("refused MQ-1020 at byte 0 of FILE, a\\u{1b}: /type is missing"), "{err}");
        let place = MUTEX.len() + 19;
        assert!(lines[1].starts_with(&format!("refused MQ-1001 at byte {place} of FILE, (no id): ")), "{err}");
    }
}

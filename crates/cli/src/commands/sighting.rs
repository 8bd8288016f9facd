//! `mithaq sighting add`: what was seen of what others told us, and what turned out harmless.

use std::{fs::File, io::Read, path::PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use futures_util::{StreamExt, stream};
use hyper::body::Frame;
use mithaq_api::{
    client::{ClientError, with_query},
    home::Home,
    sighting::{
        SIGHTING_BYTES_MAX, SightingLine, SightingReport, SightingStatus, SightingSummary, SightingTold, SightingsQuery,
    },
};
use mithaq_core::{stix::id::StixId, time::Time};

use crate::{
    console::{BAD, Console, FAINT, GOOD, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Say what was seen of indicators, and which were false positives.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq sighting add 198.51.100.7 --count 12
  mithaq sighting add 198.51.100.7 --false-positive --note 'a sinkhole of ours'
  mithaq sighting add --file seen.ndjson")]
pub(crate) enum Command {
    Add(AddArgs),
}

/// Report what was seen.
///
/// It becomes a sighting of every indicator here that carries the value, and goes to the CERTs whose agreement lets
/// sightings go: in full, or as a count alone. A false positive is told to the CERT that published the indicator, and to
/// nobody else. Ends with status 6 if nothing here carries what was seen.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq sighting add bad.example --count 3 --last-seen 2026-11-21T10:00:00Z
  mithaq sighting add indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --false-positive
  echo '{\"value\":\"198.51.100.7\",\"count\":12}' | mithaq sighting add --file -")]
pub(crate) struct AddArgs {
    /// A value, such as an address or a domain name, or a STIX id
    #[arg(required_unless_present = "file")]
    subject: Option<String>,
    /// A file of reports in its place, one JSON object a line; - is standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["subject", "count", "first_seen", "last_seen", "false_positive", "note"]
    )]
    file: Option<PathBuf>,
    /// How many times it was seen
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// When it was first seen
    #[arg(long, value_name = "TIME")]
    first_seen: Option<Time>,
    /// When it was last seen
    #[arg(long, value_name = "TIME")]
    last_seen: Option<Time>,
    /// It is harmless: tell its origin
    #[arg(long)]
    false_positive: bool,
    /// What else there is to say, for people
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The TLP level of the sighting, if that of the indicator is not stricter; the configured default without it
    #[arg(long, value_name = "LEVEL")]
    tlp: Option<String>,
}

/// Runs one of the commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Add(args) => add(args, home, console),
    }
}

fn add(args: &AddArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let text = request(args)?;
    let path = with_query("/v1/sightings", &SightingsQuery { tlp: args.tlp.clone(), collection: None })?;
    let client = daemon::client(home)?;
    let summary = daemon::block_on(async {
        let chunks = stream::once(async move { Ok(Frame::data(text)) });
        let mut lines = client.post_chunks(&path, chunks.boxed()).await?;
        while let Some(line) = lines.next().await? {
            match serde_json::from_slice(&line).map_err(|error| ClientError::Answer(error.to_string()))? {
                SightingLine::Report(told) => show(&told, console)?,
                SightingLine::Summary(summary) => return Ok(summary),
                SightingLine::Problem(problem) => return Err(ClientError::from(problem).into()),
            }
        }
        Ok(SightingSummary::default())
    })?;
    tell(&summary, console)
}

/// The reports as they are sent.
fn request(args: &AddArgs) -> Result<Bytes, Failure> {
    if let Some(file) = &args.file {
        return read(file);
    }
    let subject = args.subject.clone().unwrap_or_default();
    let is_id = StixId::parse(&subject).is_ok();
    let report = SightingReport {
        value: (!is_id).then(|| subject.clone()),
        id: is_id.then_some(subject),
        count: args.count,
        first_seen: args.first_seen,
        last_seen: args.last_seen,
        false_positive: args.false_positive,
        note: args.note.clone(),
    };
    // INVARIANT: a report has string keys alone, so it serialises.
    Ok(serde_json::to_vec(&report).unwrap_or_default().into())
}

fn read(file: &std::path::Path) -> Result<Bytes, Failure> {
    let error = |source| Failure::File { action: "read", path: file.to_owned(), source };
    let mut text = Vec::new();
    let limit = SIGHTING_BYTES_MAX as u64 + 1;
    if file == std::path::Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut text)?;
    } else {
        File::open(file).and_then(|file| file.take(limit).read_to_end(&mut text)).map_err(error)?;
    }
    Ok(text.into())
}

fn show(told: &SightingTold, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return console.json(told);
    }
    let (style, word) = match told.status {
        SightingStatus::Sighted => (GOOD, "sighted"),
        SightingStatus::FalsePositive => (GOOD, "false positive"),
        SightingStatus::Unknown => (FAINT, "unknown here"),
        SightingStatus::Refused => (BAD, "refused"),
    };
    let what = match &told.problem {
        Some(problem) => format!("{}: {}", problem.code, problem.message),
        None => told.of.join(", "),
    };
    console.styled(style, format_args!("{:>6}  {word}  {what}", told.index))?;
    Ok(())
}

fn tell(summary: &SightingSummary, console: &mut Console) -> Result<Exit, Failure> {
    if console.is_json() {
        console.json(summary)?;
    } else {
        let SightingSummary { sighted, false_positives, unknown, refused, .. } = summary;
        let text = format_args!(
            "{sighted} sighted, {false_positives} false positives, {unknown} unknown here, {refused} refused"
        );
        console.line(text)?;
        for problem in &summary.problems {
            console.styled(BAD, format_args!("not stored: {}: {}", problem.code, problem.message))?;
        }
        for row in &summary.withheld {
            let reasons: Vec<_> = row.reasons.iter().map(|reason| reason.text.as_str()).collect();
            console.styled(WARN, format_args!("withheld from {}: {}", row.peer, reasons.join("; ")))?;
        }
    }
    Ok(if summary.refused > 0 || !summary.problems.is_empty() {
        Exit::Failure
    } else if summary.sighted + summary.false_positives == 0 {
        Exit::NotFound
    } else {
        Exit::Ok
    })
}

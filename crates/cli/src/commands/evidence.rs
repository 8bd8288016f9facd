//! `mithaq evidence`: the contradicting documents that were noticed, and files of them that anyone can check.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use mithaq_api::home::{Home, create_file, read_card};
use mithaq_core::{
    evidence::{EVIDENCE_BYTES_MAX, Evidence, EvidenceError, VerifiedEvidence},
    time::Time,
};
use serde_json::json;

use crate::{
    clock,
    console::{BAD, Console, FAINT, GOOD, PLAIN, STRONG, WARN},
    exit::Exit,
    failure::Failure,
    input,
    people::People,
};

/// The most files that are listed.
const LISTED_MAX: usize = 10_000;

/// List, export and check evidence that a CERT contradicted itself.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq evidence list
  mithaq evidence export checkpoint-fork-8a9b0c1d-0123456789abcdef --out fork.json
  mithaq evidence verify fork.json --card cn-card.json")]
pub(crate) enum Command {
    List(ListArgs),
    Export(ExportArgs),
    Verify(VerifyArgs),
}

/// List the evidence that this CERT keeps.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq evidence list
  mithaq evidence list --json | jq -r .name")]
pub(crate) struct ListArgs {}

/// Write evidence to a file that anyone can check with the CERT's card.
///
/// The file holds both documents in full, and nothing that was shared under an agreement.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq evidence export checkpoint-fork-8a9b0c1d-0123456789abcdef --out fork.json")]
pub(crate) struct ExportArgs {
    /// Its name, as the list shows it
    name: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Check evidence with any card of the CERT that it is about.
///
/// Needs no daemon and no CERT of one's own. Ends with status 5 if it proves nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq evidence verify fork.json --card cn-card.json")]
pub(crate) struct VerifyArgs {
    /// The evidence's file; - is standard input
    file: PathBuf,
    /// A card of the CERT that it is about
    #[arg(long, value_name = "CARD_FILE")]
    card: PathBuf,
}

/// Runs one of the evidence commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::List(_) => list(home, console),
        Command::Export(args) => export(args, home, console),
        Command::Verify(args) => verify(args, console),
    }
}

/// What a piece of evidence is worth here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It proves what it says.
    Proven,
    /// It proves nothing.
    Refused,
    /// The CERT is not known here.
    Unknown,
}

fn folder(home: &Home) -> PathBuf {
    home.dir().join("evidence")
}

/// The names of all pieces, in order.
fn names(home: &Home) -> Result<Vec<String>, Failure> {
    let folder = folder(home);
    let failed = |source| Failure::File { action: "list", path: folder.clone(), source };
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries.take(LISTED_MAX) {
        let path = entry.map_err(failed)?.path();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()).filter(|_| is_json) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn path_of(name: &str, home: &Home) -> PathBuf {
    folder(home).join(format!("{name}.json"))
}

fn read(path: &Path) -> Result<Evidence, Failure> {
    let text = input::read_whole(path, EVIDENCE_BYTES_MAX)?;
    Evidence::from_json(&text).map_err(|source| refused(path, source))
}

fn refused(path: &Path, source: EvidenceError) -> Failure {
    Failure::Evidence { file: input::name(path), source }
}

fn list(home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let (names, people) = (names(home)?, People::of(home));
    for name in &names {
        match read(&path_of(name, home)) {
            Ok(evidence) => list_one(name, evidence, &people, console)?,
            Err(failure) => console.note(format_args!("{name}: {}", failure.message()))?,
        }
    }
    if names.is_empty() {
        console.note("no contradicting documents were noticed")?;
    }
    Ok(Exit::Ok)
}

fn list_one(name: &str, evidence: Evidence, people: &People, console: &mut Console) -> Result<(), Failure> {
    let (kind, accused, at): (_, _, Time) = (evidence.kind, evidence.accused, evidence.noticed_at);
    let standing = match people.card(accused) {
        None => Standing::Unknown,
        Some(card) if evidence.verify(card).is_ok() => Standing::Proven,
        Some(_) => Standing::Refused,
    };
    if console.is_json() {
        let (cert, proven) = (people.short(accused), standing == Standing::Proven);
        return console.json(&json!({
            "name": name, "kind": kind, "accused": accused, "cert": cert, "noticed_at": at, "proven": proven,
        }));
    }
    let (style, verdict) = match standing {
        Standing::Proven => (BAD, "proven"),
        Standing::Refused => (WARN, "proves nothing"),
        Standing::Unknown => (WARN, "cannot be checked here"),
    };
    console.spans(&[
        (STRONG, people.long(accused)),
        (PLAIN, format!(" {}", kind.meaning())),
        (style, format!("  {verdict}")),
    ])?;
    console.styled(FAINT, format_args!("  {name}  noticed {}", clock::for_people(at)))
}

/// Whether a name may be one of ours, so that no path is made of anything else.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 200 && name.bytes().all(fits)
}

fn export(args: &ExportArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let path = path_of(&args.name, home);
    if !is_name(&args.name) || !path.is_file() {
        return Err(Failure::NoEvidence { name: args.name.clone() });
    }
    let evidence = read(&path)?;
    let people = People::of(home);
    let known = people.card(evidence.accused).ok_or_else(|| Failure::NoEvidence { name: args.name.clone() })?;
    let verified = evidence.verify(known).map_err(|source| refused(&path, source))?;
    let text = verified.to_json().map_err(|source| refused(&path, source))?;
    create_file(&args.out, &text, 0o644)?;
    if console.is_json() {
        return print_json(&verified, console);
    }
    let out = args.out.display();
    console
        .styled(GOOD, format_args!("{out}: {} {}", people.long(known.cert_id()), verified.evidence().kind.meaning()))?;
    console.line(format_args!("  anyone checks it: mithaq evidence verify {out} --card THEIR_CARD"))?;
    Ok(Exit::Ok)
}

fn verify(args: &VerifyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let card = read_card(&args.card)?;
    let verified = read(&args.file)?.verify(&card).map_err(|source| refused(&args.file, source))?;
    if console.is_json() {
        return print_json(&verified, console);
    }
    let evidence = verified.evidence();
    console.styled(BAD, format_args!("proven: {} {}", card.card().name, evidence.kind.meaning()))?;
    console.line(format_args!("  CERT {}", evidence.accused))?;
    let (by, at) = (evidence.noticed_by, clock::for_people(evidence.noticed_at));
    console.line(format_args!("  noticed {at} by {by}; both documents are signed, this line is not"))?;
    Ok(Exit::Ok)
}

fn print_json(verified: &VerifiedEvidence, console: &mut Console) -> Result<Exit, Failure> {
    let Evidence { kind, accused, noticed_by, noticed_at, .. } = verified.evidence();
    console.json(&json!({
        "ok": true, "kind": kind, "accused": accused, "noticed_by": noticed_by, "noticed_at": noticed_at,
    }))?;
    Ok(Exit::Ok)
}

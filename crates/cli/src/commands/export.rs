//! `mithaq export`: what a collection shows, in the format of a product.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures_util::{StreamExt, stream};
use hyper::body::Frame;
use mithaq_api::{
    client::{Client, ClientError, Lines, with_query},
    export::{Before, EXPORT_STATE_BYTES_MAX, ExportFormat, ExportLine, ExportQuery, ExportSummary},
    home::{Home, HomeError},
    landing::{Landing, state_beside},
};

use crate::{
    console::{Console, PLAIN, STRONG},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// How many bytes of a state go into one chunk.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Write the values that a collection shows in the format of a SIEM, sensor or resolver.
///
/// Each value comes once, with all CERTs that share it; what is revoked, withdrawn or expired does not. The files stand
/// whole or not at all. What the export holds is noted beside it, so that the next one can say what is gone. For exports
/// again and again, see [export.NAME] in the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq export --format csv > indicators.csv
  mithaq export --format zeek-intel --output /opt/zeek/intel/mithaq.dat
  mithaq export --format suricata-dataset --output /var/lib/suricata/data --tlp-max amber
  mithaq export --format rpz --zone rpz.mithaq --output /var/cache/bind/rpz.mithaq.zone
  mithaq export --format misp-feed --output /srv/feed --json | jq .left_out")]
pub(crate) struct Args {
    /// What it is written as
    #[arg(long, short = 'f', value_name = "FORMAT", value_parser = format())]
    format: ExportFormat,
    /// The file, or the folder of a format that has several files; standard output for one file unless given
    #[arg(long, short = 'o', visible_alias = "out", value_name = "PATH")]
    #[arg(required_if_eq_any(FOLDERS.map(|format| ("format", format))))]
    output: Option<PathBuf>,
    /// The collection
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Leave out what is stricter than this level
    #[arg(long, value_name = "LEVEL")]
    tlp_max: Option<String>,
    /// Take in observable objects too, and not only what indicators look for
    #[arg(long)]
    observables: bool,
    /// Begin files of comma-separated values with a byte order mark
    #[arg(long)]
    bom: bool,
    /// The name of the response policy zone
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// The number of the reputation category
    #[arg(long, value_name = "N")]
    category: Option<u8>,
    /// Know of no export before: nothing is said to be gone
    #[arg(long)]
    full: bool,
}

/// The formats that are folders, and so cannot go to standard output.
const FOLDERS: [&str; 5] = ["suricata-dataset", "suricata-iprep", "wazuh-cdb", "splunk-csv", "misp-feed"];

fn format() -> impl TypedValueParser<Value = ExportFormat> {
    PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::as_str)).try_map(|text| text.parse::<ExportFormat>())
}

/// Exports.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let query = ExportQuery {
        format: args.format,
        collection: args.collection.clone(),
        tlp_max: args.tlp_max.clone(),
        observables: args.observables,
        bom: args.bom,
        zone: args.zone.clone(),
        category: args.category,
    };
    query.check().map_err(|problem| Failure::Argument { what: "the export", problem })?;
    let output = args.output.as_deref().filter(|output| *output != Path::new("-"));
    if output.is_none() && args.format.is_folder() {
        let problem = format!("{} is a folder of files and cannot go to standard output", args.format);
        return Err(Failure::Argument { what: "--output", problem });
    }
    let client = daemon::client(home)?;
    let stood = output.is_some_and(Path::exists);
    let summary = daemon::block_on(async {
        let mut lines = ask(&client, &query, output, args.full).await?;
        take(&mut lines, args.format, output, console).await
    })?;
    report(&summary, output, stood && !args.full, console)?;
    Ok(Exit::Ok)
}

/// Asks the daemon, with the state of the export before if there is one.
async fn ask(client: &Client, query: &ExportQuery, output: Option<&Path>, full: bool) -> Result<Lines, Failure> {
    let path = with_query("/v1/export", query)?;
    let before = match output {
        Some(output) if !full => read_state(&state_beside(output, query.format.is_folder()))?,
        _ => None,
    };
    let Some(before) = before else { return Ok(client.lines(&path).await?) };
    let before = Bytes::from(before);
    let starts = (0..before.len().max(1)).step_by(CHUNK_BYTES);
    let chunks: Vec<_> = starts.map(|at| before.slice(at..before.len().min(at + CHUNK_BYTES))).collect();
    let chunks = stream::iter(chunks).map(|chunk| Ok::<_, io::Error>(Frame::data(chunk)));
    Ok(client.post_chunks(&path, chunks.boxed()).await?)
}

fn read_state(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |source| Failure::from(HomeError::Io { action: "read", path: path.to_owned(), source });
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
        // As good as damaged.
        Ok(file) if file.len() > EXPORT_STATE_BYTES_MAX as u64 => Ok(Some(Vec::new())),
        Ok(_) => fs::read(path).map(Some).map_err(failed),
    }
}

/// Where the text goes that comes next.
enum Place {
    Output,
    State,
}

/// Takes an answer; nothing of it stands unless all of it came.
async fn take(
    lines: &mut Lines,
    format: ExportFormat,
    output: Option<&Path>,
    console: &mut Console,
) -> Result<ExportSummary, Failure> {
    let mut landing = output.map(|output| Landing::new(output, format.is_folder()));
    let mut state = output.map(|output| Landing::new(&state_beside(output, format.is_folder()), false));
    let mut place = Place::Output;
    while let Some(line) = lines.next().await? {
        match serde_json::from_slice(&line).map_err(|error| ClientError::Answer(error.to_string()))? {
            ExportLine::File(name) => {
                place = Place::Output;
                landing.as_mut().map_or(Ok(()), |landing| landing.begin(&name))?;
            }
            ExportLine::State => {
                place = Place::State;
                state.as_mut().map_or(Ok(()), |state| state.begin("state"))?;
            }
            ExportLine::Text(text) => match (&place, &mut landing, &mut state) {
                (Place::Output, None, _) => console.document(&text)?,
                (Place::Output, Some(landing), _) => landing.write(&text)?,
                (Place::State, _, Some(state)) => state.write(&text)?,
                (Place::State, _, None) => {}
            },
            ExportLine::Problem(problem) => return Err(Failure::Answered(problem)),
            ExportLine::Summary(summary) => {
                landing.map_or(Ok(()), Landing::finish)?;
                state.map_or(Ok(()), Landing::finish)?;
                return Ok(summary);
            }
        }
    }
    Err(ClientError::Broken("the export has no end: nothing was written".into()).into())
}

/// What was exported and what was not: on standard output, unless the export itself is there.
fn report(
    summary: &ExportSummary,
    output: Option<&Path>,
    is_snapshot_again: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let ExportSummary { format, collection, values, removed, .. } = summary;
    match output {
        Some(_) if console.is_json() => return console.json(summary),
        None if console.is_json() => return console.json_note(summary),
        Some(output) => {
            let text = format!("  of collection {collection} as {format} in {}", output.display());
            console.spans(&[(STRONG, format!("{values} values")), (PLAIN, text)])?;
        }
        None => {}
    }
    if *removed > 0 {
        console.note(format_args!("{removed} values are gone since the export before"))?;
    }
    for (reason, count) in &summary.left_out {
        console.note(format_args!("left out: {count} {reason}"))?;
    }
    if summary.special > 0 {
        console
            .note(format_args!("{} of the values are private or special addresses: look at them", summary.special))?;
    }
    match summary.before {
        Before::Unusable => console.note("the state beside the output cannot be used: nothing is said to be gone"),
        Before::Nothing if is_snapshot_again && format.tells_removals() => {
            console.note("there is no state beside the output: nothing is said to be gone")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_as_the_formats_have_it() {
        let folders: Vec<_> = ExportFormat::ALL.into_iter().filter(|format| format.is_folder()).collect();
        assert_eq!(folders.iter().map(|format| format.as_str()).collect::<Vec<_>>(), FOLDERS);
    }
}

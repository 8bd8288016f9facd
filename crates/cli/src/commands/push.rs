//! `mithaq push`: objects in, and what became of each.

mod answer;
mod check;
mod upload;

use std::path::PathBuf;

use mithaq_api::{
    client::{ClientError, with_query},
    home::Home,
    http::PushQuery,
};
use mithaq_core::stix::marking::Tlp;

use self::{answer::Answer, check::Check, upload::Upload};
use crate::{console::Console, daemon, exit::Exit, failure::Failure};

/// Push a bundle, one object, or objects line by line.
///
/// Each object is signed in a release with others of its label, and stored; peers get what their agreements release. An
/// object whose identity, version or markings cannot be told is refused, and keeps none of the others back, unless
/// --atomic is given. What else the standard has against an object is shown, and the object pushed as it is: see `mithaq
/// validate`. Pushing again what was pushed before changes nothing.
///
/// Ends with status 0 if everything was taken, 1 if something was refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq push bundle.json
  mithaq push bundle.json -n               who would get what, and why not; nothing is stored
  mithaq push feed.ndjson --tlp green      for objects that carry no TLP marking
  mithaq push leak.json --tlp red --to cn  for named eyes only
  jq -c '.objects[]' bundle.json | mithaq push - --json")]
pub(crate) struct Args {
    /// A STIX 2.1 bundle, one object, or NDJSON of objects; - is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// The TLP level of objects that carry none: clear, green, amber, amber+strict or red [default: as configured]
    #[arg(long, value_name = "LEVEL")]
    tlp: Option<Tlp>,
    /// Release it to this peer alone; may be repeated. TLP:RED goes to nobody who is not named
    #[arg(long = "to", value_name = "NAME", value_parser = super::peer::peer_name)]
    to: Vec<String>,
    /// Store and release nothing, but say what would be released to whom
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// All or nothing
    #[arg(long)]
    atomic: bool,
    /// List every object, not only those refused
    #[arg(long, short)]
    verbose: bool,
}

/// Pushes a file.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let query = PushQuery {
        tlp: args.tlp.map(|tlp| tlp.to_string()),
        to: (!args.to.is_empty()).then(|| args.to.join(",")),
        atomic: args.atomic,
        dry_run: args.dry_run,
    };
    let path = with_query("/v1/push", &query)?;
    daemon::block_on(async {
        let check = Check::default();
        let upload = Upload::open(&args.file, check.clone()).await?;
        let progress = upload.progress();
        let mut answer = Answer::new(args.verbose, args.dry_run, check, console);
        let result = async {
            let mut lines = client.post_chunks(&path, upload.into_chunks()).await?;
            while let Some(line) = lines.next().await? {
                progress.finish();
                answer.take(&line)?;
            }
            answer.end()
        };
        let result = result.await;
        progress.finish();
        result.map_err(|failure| progress.explain(failure))
    })
}

/// What a connection that broke on the way means for a push.
fn broken(failure: Failure) -> Failure {
    match failure {
        Failure::Client(ClientError::Broken(_)) => Failure::PushCut,
        other => other,
    }
}

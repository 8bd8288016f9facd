//! `mithaq push`: objects in, and what became of each.

mod answer;
mod check;
mod intake;
mod settings;
mod shown;
mod source;
mod upload;

use std::path::PathBuf;

use mithaq_api::{
    client::{Client, ClientError, with_query},
    home::Home,
    http::PushQuery,
};
use mithaq_core::stix::marking::Tlp;

use self::{
    answer::Answer,
    check::Check,
    intake::Source,
    settings::{IntakeArgs, Settings},
    upload::Upload,
};
use crate::{console::Console, daemon, exit::Exit, failure::Failure};

/// Push STIX, or a list, a mail, a table or MISP events that become STIX.
///
/// Each object is signed in a release with others of its label, and stored; peers get what their agreements release. An
/// object whose identity, version or markings cannot be told is refused, and keeps none of the others back, unless
/// --atomic is given. What else the standard has against an object is shown, and the object pushed as it is: see `mithaq
/// validate`. Pushing again what was pushed before changes nothing.
///
/// What is no STIX 2.1 is converted first: what was made of each value, what was left out and what the format says that
/// STIX cannot carry is shown before anything is sent. Ids are made of the value, so that pushing a list again is a
/// duplicate and a list that says more makes a new version. On a terminal you are asked before it is sent.
///
/// Ends with status 0 if everything was taken, 1 if something was refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq push bundle.json
  mithaq push bundle.json -n               who would get what, and why not; nothing is stored
  mithaq push feed.ndjson --tlp green      for objects that carry no TLP marking
  mithaq push leak.json --tlp red --to cn  for named eyes only
  mithaq push mail.eml -n                  what a mail holds, defanged or not; nothing is stored
  mithaq push list.csv --map value=ioc,description=why --tlp amber --expires 30d
  mithaq push misp-feed/ --from misp --sector energy --yes
  jq -c '.objects[]' bundle.json | mithaq push - --json")]
pub(crate) struct Args {
    /// STIX 2.1 (a bundle, one object, or NDJSON of objects), a list, a mail, a table, or MISP; - is standard input
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
    /// Push also what stands on a warning list that blocks; it is recorded that you did
    #[arg(long)]
    force: bool,
    /// List every object, not only those refused
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    intake: IntakeArgs,
}

/// Pushes a file.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let mut settings = Settings::of(args, home)?;
    match intake::open(&args.file, &settings)? {
        Source::Stix(opened) => {
            args.intake.refuse_for_stix()?;
            let check = Check::default();
            let pushing = Pushing { args, settings, client, refused: 0 };
            pushing.send(Upload::of(opened, check.clone()), check, args.dry_run, console)
        }
        Source::Made(name, mut made) => {
            let asks = console.is_interactive() && !args.intake.yes && !args.dry_run;
            if asks && !made.drafts().is_empty() && !settings.ask(console)? {
                return nothing_sent(console);
            }
            intake::complete(&mut made, &settings, home)?;
            let rows = intake::objects(&made, home, &client)?;
            shown::show(&made, &rows, args.verbose, console)?;
            let is_unknown = made.is_empty() && made.losses.left_out_count() == 0 && made.losses.refused() == 0;
            if is_unknown {
                console.note(format_args!(
                    "{name} holds no value that Mithaq knows; `mithaq push --help` lists the formats"
                ))?;
                return Ok(Exit::Failure);
            }
            let lines = intake::lines(&name, &made, &rows)?;
            let pushing = Pushing { args, settings, client, refused: made.losses.refused() };
            if asks && !lines.is_empty() {
                // Programs that read along get one answer, which is that of the push.
                if !console.is_json() {
                    let upload = Upload::of_objects(&name, lines.clone(), Check::off());
                    pushing.send(upload, Check::off(), true, console)?;
                }
                if !confirmed(console)? {
                    return nothing_sent(console);
                }
            }
            // STIX 2.0 that was brought to 2.1 is its producer's, and looked at as 2.1 is.
            let check = if made.objects.is_empty() { Check::off() } else { Check::default() };
            pushing.send(Upload::of_objects(&name, lines, check.clone()), check, args.dry_run, console)
        }
    }
}

/// Whether a person wants it sent.
fn confirmed(console: &mut Console) -> Result<bool, Failure> {
    let answer = console.ask("Send it? [y/N]")?.unwrap_or_default();
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

fn nothing_sent(console: &mut Console) -> Result<Exit, Failure> {
    console.note("nothing was sent")?;
    Ok(Exit::Failure)
}

/// A push whose input was read.
struct Pushing<'a> {
    args: &'a Args,
    settings: Settings,
    client: Client,
    /// How much was refused before anything was sent.
    refused: usize,
}

impl Pushing<'_> {
    /// Sends an upload, or asks what would become of it; tells what the daemon says.
    fn send(&self, upload: Upload, check: Check, dry_run: bool, console: &mut Console) -> Result<Exit, Failure> {
        let Self { args, settings, client, refused } = self;
        let query = PushQuery {
            tlp: settings.tlp.map(|tlp| tlp.to_string()),
            to: (!settings.to.is_empty()).then(|| settings.to.join(",")),
            atomic: args.atomic,
            dry_run,
            force: args.force,
        };
        let path = with_query("/v1/push", &query)?;
        daemon::block_on(async {
            let progress = upload.progress();
            let mut answer = Answer::new(args.verbose, dry_run, check, console).also_refused(*refused);
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
}

/// What a connection that broke on the way means for a push.
fn broken(failure: Failure) -> Failure {
    match failure {
        Failure::Client(ClientError::Broken(_)) => Failure::PushCut,
        other => other,
    }
}

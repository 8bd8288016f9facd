//! The command line as a whole; what a command takes stands with the command.

use std::{net::SocketAddr, path::PathBuf};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use mithaq_api::{config::LogFormat, home::Home};

use crate::{
    RunArgs,
    commands::{
        agreement, backup, canon, card, consent, doctor, evidence, explain, export, init, key, ledger, manual, pattern,
        peer, push, quarantine, refang, reload, restore, search, show, siem, sighting, status, store, tail, upgrade,
        validate, why, withdraw,
    },
};

/// Share STIX 2.1 indicators with other CERTs, as equals, under agreements that both sides signed.
#[derive(Debug, Parser)]
#[command(
    name = "mithaq",
    version,
    max_term_width = 100,
    after_help = "Examples:
  mithaq --home ./pk init --name 'Pakistan NCERT' --country PK   make a CERT
  mithaq --home ./pk run                                         start its daemon
  mithaq --home ./pk push bundle.json                            share what an agreement releases
  mithaq --home ./pk status                                      see the peers
  mithaq explain MQ-2010                                         read what a code means

Exit status: 0 done, 1 failed or partly refused, 2 usage, 3 degraded, 4 withheld by the rule,
5 signature or identity, 6 not found, 7 daemon unreachable, 64 bad configuration, 75 try again."
)]
pub(crate) struct Cli {
    /// The CERT's home: its keys, card, peers, configuration and store
    #[arg(
        long,
        global = true,
        env = "MITHAQ_HOME",
        hide_env_values = true,
        default_value = "/var/lib/mithaq",
        value_name = "DIR"
    )]
    pub(crate) home: PathBuf,
    /// Print JSON for programs, one value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Demo(crate::demo::Args),
    #[command(flatten)]
    Home(HomeCommand),
    Restore(restore::Args),
}

/// The commands that work on a home or ask its daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum HomeCommand {
    Init(init::Args),
    #[command(subcommand)]
    Card(card::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Peer(peer::Command),
    #[command(subcommand)]
    Agreement(agreement::Command),
    Push(push::Args),
    Refang(refang::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Show(show::ShowArgs),
    Search(search::Args),
    Why(why::Args),
    Tail(tail::Args),
    Export(export::Args),
    Withdraw(withdraw::WithdrawArgs),
    Revoke(withdraw::RevokeArgs),
    #[command(subcommand)]
    Sighting(sighting::Command),
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    #[command(subcommand)]
    Consent(consent::Command),
    #[command(subcommand)]
    Siem(siem::Command),
    Reload(reload::Args),
    #[command(subcommand)]
    Ledger(ledger::Command),
    #[command(subcommand)]
    Evidence(evidence::Command),
    #[command(subcommand)]
    Store(store::Command),
    Validate(validate::Args),
    Canon(canon::Args),
    Pattern(pattern::Args),
    Upgrade(upgrade::Args),
    Explain(explain::Args),
    Backup(backup::Args),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// Run the daemon in the foreground; `mithaqd` is the same.
///
/// It logs to standard error and stops on SIGTERM or SIGINT once what it has begun is finished. SIGHUP, or `mithaq
/// reload`, reads our card, keys, the peers and collections again. A configuration that is not fully understood is refused with status 64.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mithaq --home ./pk run
  mithaq --home ./pk run --listen 127.0.0.1:8770 --log-filter debug
  mithaqd --home /var/lib/mithaq --log-format json")]
pub(crate) struct Run {
    /// The UDP address for peers, in place of the configured one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How log lines are written, in place of the configured form
    #[arg(long, value_name = "FORMAT", value_parser = log_format())]
    log_format: Option<LogFormat>,
    /// A level, or directives such as info,mithaq_daemon=debug, in place of the configured filter
    #[arg(long, value_name = "FILTER")]
    log_filter: Option<String>,
}

impl Run {
    pub(crate) fn with_home(self, home: Home) -> RunArgs {
        RunArgs { home, listen: self.listen, log_format: self.log_format, log_filter: self.log_filter }
    }
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["text", "json"]).map(|text| match text.as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    })
}

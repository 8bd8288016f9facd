//! The commands, a module for each family: its arguments, what it does, what it prints.

pub(crate) mod agreement;
pub(crate) mod backup;
pub(crate) mod canon;
pub(crate) mod card;
pub(crate) mod consent;
pub(crate) mod doctor;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod manual;
pub(crate) mod pattern;
pub(crate) mod peer;
pub(crate) mod push;
pub(crate) mod quarantine;
pub(crate) mod refang;
pub(crate) mod reload;
pub(crate) mod restore;
pub(crate) mod search;
pub(crate) mod show;
pub(crate) mod siem;
pub(crate) mod sighting;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod tail;
pub(crate) mod upgrade;
pub(crate) mod validate;
pub(crate) mod why;
pub(crate) mod withdraw;

use mithaq_api::{home::Home, http::AskStore};

use crate::{args::HomeCommand, console::Console, exit::Exit, failure::Failure};

/// Runs a command on a home; `ask` asks its store while no daemon runs.
pub(crate) fn execute(
    command: &HomeCommand,
    home: &Home,
    ask: AskStore,
    console: &mut Console,
) -> Result<Exit, Failure> {
    match command {
        HomeCommand::Init(args) => init::run(args, home, console),
        HomeCommand::Card(command) => card::run(command, home, console),
        HomeCommand::Key(command) => key::run(command, home, console),
        HomeCommand::Peer(command) => peer::run(command, home, console),
        HomeCommand::Agreement(command) => agreement::run(command, home, console),
        HomeCommand::Push(args) => push::run(args, home, console),
        HomeCommand::Status(args) => status::run(args, home, console),
        HomeCommand::Doctor(args) => doctor::run(args, home, console),
        HomeCommand::Show(args) => show::show(args, home, console),
        HomeCommand::Search(args) => search::run(args, home, console),
        HomeCommand::Why(args) => why::run(args, home, console),
        HomeCommand::Tail(args) => tail::run(args, home, console),
        HomeCommand::Export(args) => export::run(args, home, console),
        HomeCommand::Siem(command) => siem::run(command, home, console),
        HomeCommand::Reload(args) => reload::run(args, home, console),
        HomeCommand::Withdraw(args) => withdraw::withdraw(args, home, console),
        HomeCommand::Revoke(args) => withdraw::revoke(args, home, console),
        HomeCommand::Quarantine(command) => quarantine::run(command, home, console),
        HomeCommand::Consent(command) => consent::run(command, home, console),
        HomeCommand::Sighting(command) => sighting::run(command, home, console),
        HomeCommand::Ledger(command) => ledger::run(command, home, console),
        HomeCommand::Evidence(command) => evidence::run(command, home, console),
        HomeCommand::Store(command) => store::run(command, home, ask, console),
        HomeCommand::Backup(args) => backup::run(args, home, console),
        HomeCommand::Validate(args) => validate::run(args, console),
        HomeCommand::Canon(args) => canon::run(args, console),
        HomeCommand::Pattern(args) => pattern::run(args, console),
        HomeCommand::Upgrade(args) => upgrade::run(args, console),
        HomeCommand::Refang(args) => refang::run(args, console),
        HomeCommand::Completions(args) => manual::completions(args, console),
        HomeCommand::Man(args) => manual::man(args, console),
        HomeCommand::Explain(args) => explain::run(args, console),
    }
}

//! `mithaq agreement sign`: our signature under terms that a person has read.

use std::{path::PathBuf, sync::Arc};

use mithaq_api::home::{Home, HomeError, KeyName, create_file, read_agreement, replace_file};
use mithaq_core::{
    agreement::{AgreementError, SignedAgreement},
    card::VerifiedCard,
    keys::SecretKey,
};

use super::terms::{self, Signature};
use crate::{
    clock,
    console::{Console, GOOD},
    exit::Exit,
    failure::Failure,
    people::People,
};

/// Read an agreement's terms and sign it.
///
/// A signature that is there already must fit. Signing alone releases nothing: data moves once both sides have signed,
/// compared the code and activated the peer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq agreement sign pact.json                          asks before it signs
  mithaq agreement sign pact.json --out pact-signed.json   leaves the file as it is
  mithaq agreement sign pact.json --yes                    for scripts that have read it")]
pub(crate) struct Args {
    /// The agreement
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the signed agreement to a new file instead of back
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign without asking
    #[arg(long, short)]
    yes: bool,
}

/// Signs an agreement.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let ours = home.card()?;
    let mut agreement = read_agreement(&args.file)?;
    let people = People::of(home);
    refuse(&agreement, &ours, &people).map_err(|source| HomeError::Agreement { path: args.file.clone(), source })?;
    refuse_expired(&agreement)?;
    if !args.yes {
        terms::print(&agreement, &people, clock::now(), console)?;
        if !is_agreed(console)? {
            console.note("nothing was signed")?;
            return Ok(Exit::Failure);
        }
    }
    let key = signing_key(&ours, home)?;
    agreement.sign(&key);
    write(args, &agreement)?;
    announce(args, &agreement, &people, console)?;
    Ok(Exit::Ok)
}

/// Refuses an agreement of others, and one that was changed after somebody signed it.
fn refuse(agreement: &SignedAgreement, ours: &VerifiedCard, people: &People) -> Result<(), AgreementError> {
    if !agreement.agreement().has_party(ours.cert_id()) {
        return Err(AgreementError::NotAParty { cert: ours.cert_id(), name: ours.card().name.clone() });
    }
    let others = agreement.agreement().certs().filter(|party| *party != ours.cert_id());
    for party in others.filter_map(|party| people.card(party)) {
        match agreement.verify_signer(party) {
            Ok(()) | Err(AgreementError::Unsigned { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn refuse_expired(agreement: &SignedAgreement) -> Result<(), Failure> {
    let until = agreement.agreement().valid_until;
    if until < clock::now() { Err(Failure::Expired { until }) } else { Ok(()) }
}

fn is_agreed(console: &mut Console) -> Result<bool, Failure> {
    let answer = console.require("your consent", "--yes", "Sign these terms? Type yes:")?;
    Ok(answer.eq_ignore_ascii_case("yes"))
}

/// Our signing key that is used today.
pub(super) fn signing_key(ours: &VerifiedCard, home: &Home) -> Result<Arc<SecretKey>, Failure> {
    Ok(home.current_key(ours, KeyName::Signing, clock::now())?)
}

fn write(args: &Args, agreement: &SignedAgreement) -> Result<(), Failure> {
    let text = agreement.envelope().to_json();
    match &args.out {
        Some(path) => Ok(create_file(path, &text, 0o644)?),
        None => Ok(replace_file(&args.file, &text)?),
    }
}

fn announce(args: &Args, agreement: &SignedAgreement, people: &People, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return terms::print(agreement, people, clock::now(), console);
    }
    let file = args.out.as_ref().unwrap_or(&args.file).display();
    console.styled(GOOD, format_args!("Signed: {file}"))?;
    let mut parties = agreement.agreement().certs();
    if parties.all(|party| Signature::of(party, agreement, people) == Signature::Fits) {
        console.line("All have signed. Send it back, then compare the code with `mithaq peer verify`.")
    } else {
        console.line("Not all have signed yet, or a card is not known here: send it to them.")
    }
}

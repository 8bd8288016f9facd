//! `mithaq withdraw` and `mithaq revoke`: taking back what we published.

use mithaq_api::{
    client::with_query,
    home::Home,
    http::{PushSummary, RevokeQuery, WithdrawQuery, Withdrawn},
};
use mithaq_core::notice::NOTICE_REASON_BYTES_MAX;
use serde_json::json;

use crate::{
    console::{Console, GOOD},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Take back objects that we published, everywhere.
///
/// Every CERT that was given them is told, also through relays and after the end of an agreement, stops serving them, and
/// answers with a signed receipt: see `mithaq show ID`. What was withdrawn stays so until we publish it again. Ends with
/// status 6 if nothing with that id is held.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq withdraw indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --reason 'false positive: our own scanner'
  mithaq withdraw RELEASE_ID --reason 'published by mistake'   all objects of a release")]
pub(crate) struct WithdrawArgs {
    /// A STIX id, for all its versions, a content id, or a release id
    id: String,
    /// Why, for the people at the CERTs that received it
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = reason)]
    reason: String,
}

/// Publish a revoked version of an object of ours.
///
/// The object stays, says of itself that it is revoked (STIX 2.1, section 3.6), and goes wherever its label lets it.
/// `mithaq withdraw` takes an object back instead. To revoke is for good.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq revoke indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")]
pub(crate) struct RevokeArgs {
    /// The STIX id
    id: String,
}

fn reason(text: &str) -> Result<String, String> {
    if text.len() <= NOTICE_REASON_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err(format!("a reason has at most {NOTICE_REASON_BYTES_MAX} bytes"))
    }
}

/// Takes back.
pub(crate) fn withdraw(args: &WithdrawArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let query = WithdrawQuery { id: args.id.clone(), reason: args.reason.clone() };
    let path = with_query("/v1/withdraw", &query)?;
    let client = daemon::client(home)?;
    let done: Withdrawn = daemon::block_on(async { Ok(client.post(&path).await?) })?;
    if console.is_json() {
        console.json(&done)?;
    } else {
        let objects = if done.objects == 1 { "object" } else { "objects" };
        console.styled(GOOD, format_args!("Withdrawn: {} {objects}.", done.objects))?;
        console.line("Whoever was given them is told; `mithaq show` says who has applied it.")?;
    }
    Ok(Exit::Ok)
}

/// Revokes.
pub(crate) fn revoke(args: &RevokeArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let path = with_query("/v1/revoke", &RevokeQuery { id: args.id.clone() })?;
    let client = daemon::client(home)?;
    let done: PushSummary = daemon::block_on(async { Ok(client.post(&path).await?) })?;
    if console.is_json() {
        console.json(&json!({ "id": args.id, "releases": done.releases }))?;
    } else {
        console.styled(GOOD, format_args!("Revoked: {}", args.id))?;
    }
    Ok(Exit::Ok)
}

//! `mithaq agreement new`: a draft that nobody has signed.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use mithaq_api::home::{Home, HomeError, create_file, with_sources};
use mithaq_core::{
    agreement::{Agreement, AgreementTerms, Scope, SignedAgreement},
    card::VerifiedCard,
    label::Category,
    stix::marking::Tlp,
    time::Time,
};

use super::terms;
use crate::{clock, commands::peer::peer_name, console::Console, exit::Exit, failure::Failure, people::People};

/// The longest validity, in days.
const DAYS_MAX: i64 = 3650;

/// Draft an agreement with a peer: the same terms for both directions.
///
/// TLP:GREEN goes only where a community is named, vulnerabilities and unknown object types only where their category
/// is, other markings only where their id is. TLP:RED never goes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq agreement new --peer cn --out pact.json
  mithaq agreement new --peer qa --tlp-max green --community FIRST --days 730 --out pact.json
  mithaq agreement new --peer cn --category threat --category observable --sector energy --out pact.json")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(long, value_name = "NAME", value_parser = peer_name)]
    peer: String,
    /// The strictest TLP level that goes: clear, green, amber or amber+strict
    #[arg(long, value_name = "LEVEL", default_value = "amber")]
    tlp_max: Tlp,
    /// A category that goes; may be repeated. Known are threat, observable, sighting, report, mitigation, identity,
    /// meta, vulnerability and custom [default: all but vulnerability and custom]
    #[arg(long = "category", value_name = "CATEGORY")]
    categories: Vec<Category>,
    /// A sector that goes, such as energy; may be repeated. With one, what names no sector stays [default: any]
    #[arg(long = "sector", value_name = "SECTOR")]
    sectors: Vec<String>,
    /// The id of a marking other than TLP that goes; may be repeated
    #[arg(long = "marking", value_name = "MARKING_ID")]
    markings: Vec<String>,
    /// The community that both belong to, which TLP:GREEN may reach
    #[arg(long, value_name = "NAME")]
    community: Option<String>,
    /// Why data is shared; may be repeated [default: incident-response]
    #[arg(long = "purpose", value_name = "PURPOSE")]
    purposes: Vec<String>,
    /// How many days it holds
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=DAYS_MAX))]
    days: i64,
    /// From when on it holds, in UTC, such as 2026-11-21T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    /// The new file for the draft
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Drafts an agreement.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let ours = home.card()?;
    let path = home.peer_path(&args.peer);
    let theirs = VerifiedCard::verify(home.peer_file(&args.peer)?.card);
    let theirs = theirs.map_err(|source| HomeError::Card { path, source })?;
    let draft = Agreement::new(ours.cert_id(), theirs.cert_id(), args.terms(clock::now()));
    let draft = draft.and_then(SignedAgreement::draft).map_err(|error| Failure::Argument {
        what: "these terms cannot stand in an agreement",
        problem: with_sources(&error),
    })?;
    create_file(&args.out, &draft.envelope().to_json(), 0o644)?;
    terms::print(&draft, &People::of(home), clock::now(), console)?;
    if !console.is_json() {
        let file = args.out.display();
        console.line("")?;
        console.line("Next: sign it and send it to the other side, which signs it too:")?;
        console.line(format_args!("  mithaq agreement sign {file}"))?;
    }
    Ok(Exit::Ok)
}

impl Args {
    fn terms(&self, now: Time) -> AgreementTerms {
        let valid_from = self.from.unwrap_or_else(|| clock::start_of_minute(now));
        let days = u64::try_from(self.days).unwrap_or(0);
        AgreementTerms {
            community: self.community.clone(),
            purposes: or_default(&self.purposes, || BTreeSet::from(["incident-response".to_owned()])),
            valid_from,
            valid_until: valid_from.plus(Duration::from_secs(days * 24 * 60 * 60)),
            tlp_max: self.tlp_max,
            categories: or_default(&self.categories, default_categories),
            sectors: match self.sectors.is_empty() {
                true => Scope::Any,
                false => Scope::Only(self.sectors.iter().cloned().collect()),
            },
            markings: self.markings.iter().cloned().collect(),
        }
    }
}

fn or_default<T: Clone + Ord>(given: &[T], default: impl FnOnce() -> BTreeSet<T>) -> BTreeSet<T> {
    if given.is_empty() { default() } else { given.iter().cloned().collect() }
}

/// What goes unless told otherwise: laws often forbid to give vulnerabilities abroad, and what a custom type holds is
/// not known.
fn default_categories() -> BTreeSet<Category> {
    let is_default = |category: &Category| !matches!(category, Category::Vulnerability | Category::Custom);
    Category::ALL.into_iter().filter(is_default).collect()
}

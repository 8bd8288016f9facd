//! `mithaq agreement new`: a draft that nobody has signed.

use std::path::PathBuf;

use mithaq_api::home::{Home, HomeError, create_file, with_sources};
use mithaq_core::{
    agreement::{Agreement, AgreementError, AgreementTerms, CONTACTS_MAX, DAYS_MAX, Group, Party, SignedAgreement},
    card::VerifiedCard,
    label::SECTOR_BYTES_MAX,
    time::Time,
};

use super::{
    flags::TermFlags,
    template::Template,
    terms::{self, next_steps},
};
use crate::{clock, commands::peer::peer_name, console::Console, exit::Exit, failure::Failure, people::People};

/// Draft an agreement with a peer, or with several as a group: the same terms for all directions.
///
/// A template gives every term, and each flag changes one. TLP:GREEN goes only where a community is named,
/// vulnerabilities only where their category is, unknown markings only where their id is, TLP:RED only to recipients
/// that a release names.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq agreement new --peer cn --out pact.json
  mithaq agreement new --peer qa --tlp-max green --community FIRST --days 730 --out pact.json
  mithaq agreement new --peer cn --template strict --sector energy --personal-data allow --out pact.json
  mithaq agreement new --peer cn --peer qa --group gulf --threshold 2 --out group.json")]
pub(crate) struct Args {
    /// Our name for the peer; repeated for a group
    #[arg(long = "peer", value_name = "NAME", required = true, value_parser = peer_name)]
    peers: Vec<String>,
    /// Where the terms begin
    #[arg(long, value_enum, default_value_t = Template::Standard)]
    template: Template,
    /// Make it the agreement of a group of this name
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// How many members decide on who is in the group and on renewals [default: more than half]
    #[arg(long, value_name = "MEMBERS", requires = "group")]
    threshold: Option<u32>,
    /// How many days it holds
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// From when on it holds, in UTC, such as 2026-11-21T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    /// The new file for the draft
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    terms: TermFlags,
}

/// Drafts an agreement.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let mut cards = vec![home.card()?];
    for name in &args.peers {
        let path = home.peer_path(name);
        let card = VerifiedCard::verify(home.peer_file(name)?.card);
        cards.push(card.map_err(|source| HomeError::Card { path, source })?);
    }
    let terms = args.terms(home)?;
    let draft = args.cast(&cards, terms).and_then(SignedAgreement::draft).map_err(|error| Failure::Argument {
        what: "these terms cannot stand in an agreement",
        problem: with_sources(&error),
    })?;
    create_file(&args.out, &draft.envelope().to_json(), 0o644)?;
    terms::print(&draft, &People::of(home), clock::now(), console)?;
    next_steps(&args.out, console)?;
    Ok(Exit::Ok)
}

impl Args {
    fn terms(&self, home: &Home) -> Result<AgreementTerms, Failure> {
        let valid_from = self.from.unwrap_or_else(|| clock::start_of_minute(clock::now()));
        let mut terms = self.template.terms(valid_from, self.days);
        self.terms.change(&mut terms, home)?;
        Ok(terms)
    }

    fn cast(&self, cards: &[VerifiedCard], terms: AgreementTerms) -> Result<Agreement, AgreementError> {
        let members: Vec<Party> = cards.iter().map(party).collect();
        let Some(name) = &self.group else {
            let [ours, theirs] = &members[..] else {
                let problem = "are more than two: name the --group";
                return Err(AgreementError::Field { field: "parties", problem });
            };
            let mut agreement = Agreement::new(ours.cert, theirs.cert, terms)?;
            for party in &mut agreement.parties {
                let known = members.iter().find(|member| member.cert == party.cert);
                party.contacts = known.map(|member| member.contacts.clone()).unwrap_or_default();
            }
            return Ok(agreement);
        };
        let majority = u32::try_from(members.len() / 2 + 1).unwrap_or(u32::MAX);
        let group = Group { name: name.clone(), threshold: self.threshold.unwrap_or(majority) };
        Agreement::of_group(members, group, terms)
    }
}

/// A party with the contacts of its card, so far as an agreement takes them.
fn party(card: &VerifiedCard) -> Party {
    let fits = |text: &&String| (1..=SECTOR_BYTES_MAX).contains(&text.len());
    let contacts = card.card().contacts.iter().filter(fits).take(CONTACTS_MAX).cloned().collect();
    Party { cert: card.cert_id(), contacts }
}

//! An agreement as people and programs read it, with what its signatures are worth here.

use std::path::Path;

use mithaq_core::{
    agreement::{Agreement, AgreementError, Flow, Onward, Scope, SignedAgreement},
    id::CertId,
    time::Time,
};
use serde::Serialize;
use serde_json::json;

use super::compare::text_of;
use crate::{
    clock,
    console::{BAD, Console, GOOD, PLAIN, STRONG, WARN},
    failure::Failure,
    people::People,
};

/// What the signature of a party is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Signature {
    /// It is there and fits.
    Fits,
    /// The party has not signed.
    Missing,
    /// It is there and does not fit.
    DoesNotFit,
    /// We have no card of the party, so nothing can be said.
    UnknownCard,
}

impl Signature {
    /// The signature of a party, as far as its card is known.
    pub(super) fn of(party: CertId, agreement: &SignedAgreement, people: &People) -> Self {
        let Some(card) = people.card(party) else { return Self::UnknownCard };
        match agreement.verify_signer(card) {
            Ok(()) => Self::Fits,
            Err(AgreementError::Unsigned { .. }) => Self::Missing,
            Err(_) => Self::DoesNotFit,
        }
    }

    fn for_people(self) -> (anstyle::Style, &'static str) {
        match self {
            Self::Fits => (GOOD, "signed, the signature fits"),
            Self::Missing => (WARN, "not signed yet"),
            Self::DoesNotFit => (BAD, "the signature DOES NOT FIT: changed after it was signed"),
            Self::UnknownCard => (WARN, "its card is not known here, so its signature cannot be checked"),
        }
    }
}

/// Says what to do with a draft.
pub(super) fn next_steps(file: &Path, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return Ok(());
    }
    console.line("")?;
    console.line("Next: sign it and send it to the other side, which signs it too:")?;
    console.line(format_args!("  mithaq agreement sign {}", file.display()))
}

/// Prints an agreement.
pub(super) fn print(
    agreement: &SignedAgreement,
    people: &People,
    now: Time,
    console: &mut Console,
) -> Result<(), Failure> {
    if console.is_json() {
        print_json(agreement, people, now, console)
    } else {
        print_text(agreement, people, now, console)
    }
}

fn print_json(signed: &SignedAgreement, people: &People, now: Time, console: &mut Console) -> Result<(), Failure> {
    let agreement = signed.agreement();
    let party = |cert: CertId| {
        json!({
            "cert": cert,
            "name": people.card(cert).map(|card| &card.card().name),
            "peer": people.peer_name(cert),
            "us": people.is_us(cert),
            "signature": Signature::of(cert, signed, people),
            "contacts": agreement.parties.iter().find(|party| party.cert == cert).map(|party| &party.contacts),
        })
    };
    console.json(&json!({
        "id": signed.id(),
        "parties": agreement.certs().map(party).collect::<Vec<_>>(),
        "flows": agreement.flows,
        "group": agreement.group,
        "community": agreement.community,
        "purposes": agreement.purposes,
        "valid_from": agreement.valid_from,
        "valid_until": agreement.valid_until,
        "valid_now": is_valid(agreement, now),
        "notice_days": agreement.notice_days,
        "third_party": agreement.third_party,
        "tlp_default": agreement.tlp_default.as_str(),
        "retention_days": agreement.retention_days,
        "at_end": agreement.at_end,
        "supersedes": agreement.supersedes,
    }))
}

fn print_text(signed: &SignedAgreement, people: &People, now: Time, console: &mut Console) -> Result<(), Failure> {
    let agreement = signed.agreement();
    console.styled(STRONG, format_args!("Agreement {}", signed.id()))?;
    for party in agreement.certs() {
        let (style, text) = Signature::of(party, signed, people).for_people();
        console.spans(&[(PLAIN, format!("  party      {}: ", people.long(party))), (style, text.to_owned())])?;
    }
    print_validity(agreement, now, console)?;
    console.line(format_args!("  purposes   {}", list(&agreement.purposes)))?;
    match &agreement.community {
        Some(community) => console.line(format_args!("  community  {community}"))?,
        None => console.line("  community  none, so TLP:green does not go")?,
    }
    print_terms(agreement, console)?;
    agreement.flows.iter().try_for_each(|flow| print_flow(flow, people, console))
}

/// What holds for all parties and directions.
fn print_terms(agreement: &Agreement, console: &mut Console) -> Result<(), Failure> {
    if let Some(group) = &agreement.group {
        let (name, threshold) = (&group.name, group.threshold);
        console.line(format_args!("  group      {name}; {threshold} members decide on members and renewals"))?;
    }
    console.line(format_args!("  third CERT data  {}", text_of(&agreement.third_party)))?;
    console.line(format_args!("  unmarked data    TLP:{}", agreement.tlp_default))?;
    console.line(format_args!("  kept for         {}", days(agreement.retention_days, "as long as it is of use")))?;
    console.line(format_args!("  at the end       {}", text_of(&agreement.at_end)))?;
    console.line(format_args!("  notice           {} days", agreement.notice_days))?;
    match agreement.supersedes {
        Some(id) => console.line(format_args!("  supersedes       {id}")),
        None => Ok(()),
    }
}

fn days(days: Option<u32>, otherwise: &str) -> String {
    days.map_or_else(|| otherwise.to_owned(), |days| format!("{days} days"))
}

fn print_validity(agreement: &Agreement, now: Time, console: &mut Console) -> Result<(), Failure> {
    let text = format!(
        "  valid      {} until {}",
        clock::for_people(agreement.valid_from),
        clock::for_people(agreement.valid_until)
    );
    let remark = match now {
        now if now < agreement.valid_from => " (not yet)",
        now if now > agreement.valid_until => " (over)",
        _ => "",
    };
    console.spans(&[(PLAIN, text), (WARN, remark.to_owned())])
}

fn print_flow(flow: &Flow, people: &People, console: &mut Console) -> Result<(), Failure> {
    match flow.from {
        Some(from) => console.line(format_args!("  from {}", people.long(from)))?,
        None => console.line("  from every member")?,
    }
    console.line(format_args!("    up to      TLP:{}", flow.tlp_max))?;
    console.line(format_args!("    categories {}", list(&flow.categories)))?;
    match &flow.sectors {
        Scope::Any => console.line("    sectors    any")?,
        Scope::Only(sectors) => console.line(format_args!("    sectors    only {}", list(sectors)))?,
    }
    console.line(format_args!("    markings   {}", list(&flow.markings)))?;
    console.line(format_args!("    statements {}", text_of(&flow.statements)))?;
    console.line(format_args!("    PAP up to  PAP:{}", flow.pap_max))?;
    console.line(format_args!("    age        {}", days(flow.age_days_max, "any")))?;
    console.line(format_args!("    confidence {} or more", flow.confidence_min))?;
    console.line(format_args!("    personal   {}", text_of(&flow.personal_data)))?;
    console.line(format_args!("    sightings  {}", text_of(&flow.sightings)))?;
    console.line(format_args!("    IEP        {}", text_of(&flow.iep)))?;
    match &flow.onward {
        Onward::Listed(certs) => {
            console.line(format_args!("    passed on  to {}", list(certs.iter().map(|cert| people.short(*cert)))))
        }
        onward => console.line(format_args!("    passed on  {}", text_of(onward))),
    }
}

fn is_valid(agreement: &Agreement, now: Time) -> bool {
    agreement.valid_from <= now && now <= agreement.valid_until
}

fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

//! `mithaq peer verify`: sixty digits compared by telephone, so that both sides know that they hold the same keys and
//! the same agreement.

use std::path::PathBuf;

use mithaq_api::home::{Home, HomeError, PeerFile, PeerState, read_agreement};
use mithaq_core::{
    agreement::AgreementError,
    card::VerifiedCard,
    id::AgreementId,
    pairing::{GROUPS, GroupError, PairingCode},
};
use serde_json::json;

use super::peer_name;
use crate::{
    console::{ATTEMPTS_MAX, Console, GOOD, STRONG},
    daemon,
    exit::Exit,
    failure::Failure,
    people::fingerprint,
    random,
};

/// How many groups a person is asked for. Someone in the middle may try keys until some groups agree by chance on both
/// sides; that all of eight do takes more tries than there are machines for.
const GROUPS_ASKED: usize = 8;

/// Compare the pairing code with the other side by telephone.
///
/// Call the other CERT at a number that you know from elsewhere, not from its card. Each side picks eight groups and
/// types what the other reads out. A group of another code means that someone holds another key or other terms.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer verify cn --agreement pact.json                            with both on the telephone
  mithaq peer verify cn --agreement pact.json --show                     only show the groups to read out
  mithaq peer verify cn --agreement pact.json --groups '1=12345 3=...'    groups heard before

When a peer is active and another agreement is verified, data stops until that one is activated.")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
    /// The agreement between us, with or without signatures
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
    /// Groups as the other side read them out, at least eight: 'NUMBER=DIGITS NUMBER=DIGITS'
    #[arg(long, value_name = "GROUPS", value_parser = TypedGroups::parse)]
    groups: Option<TypedGroups>,
    /// Show our groups and change nothing
    #[arg(long, conflicts_with = "groups")]
    show: bool,
}

/// Groups with their numbers, as they were heard.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TypedGroups(Vec<(usize, String)>);

impl TypedGroups {
    fn parse(text: &str) -> Result<Self, String> {
        let groups: Option<Vec<_>> = text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|part| !part.is_empty())
            .map(|part| {
                part.split_once('=').and_then(|(number, digits)| Some((number.parse().ok()?, digits.to_owned())))
            })
            .collect();
        let mut groups: Vec<(usize, String)> = groups.ok_or("expected groups such as '3=12345 7=67890'")?;
        groups.sort();
        if groups.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("a group is given twice".to_owned());
        }
        if groups.is_empty() {
            return Err("expected groups such as '3=12345 7=67890'".to_owned());
        }
        Ok(Self(groups))
    }
}

/// What is compared, and with whom.
struct Pairing {
    peer: PeerFile,
    card: VerifiedCard,
    agreement: AgreementId,
    code: PairingCode,
}

/// Compares the code.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let pairing = Pairing::open(args, home)?;
    if args.show {
        pairing.show(console)?;
        return Ok(Exit::Ok);
    }
    match &args.groups {
        Some(groups) => pairing.check(groups)?,
        None => pairing.compare(console)?,
    }
    pairing.settle(home, console)?;
    Ok(Exit::Ok)
}

impl Pairing {
    fn open(args: &Args, home: &Home) -> Result<Self, Failure> {
        let ours = home.card()?;
        let peer = home.peer_file(&args.name)?;
        let path = home.peer_path(&args.name);
        let card = VerifiedCard::verify(peer.card.clone()).map_err(|source| HomeError::Card { path, source })?;
        let agreement = read_agreement(&args.agreement)?;
        for party in [&ours, &card] {
            let (cert, name) = (party.cert_id(), party.card().name.clone());
            if !agreement.agreement().has_party(cert) {
                let source = AgreementError::NotAParty { cert, name };
                return Err(HomeError::Agreement { path: args.agreement.clone(), source }.into());
            }
        }
        let code = PairingCode::new(ours.cert_id(), card.cert_id(), agreement.id());
        Ok(Self { peer, card, agreement: agreement.id(), code })
    }

    /// Checks what was heard before; a wrong group counts whether or not enough were given.
    fn check(&self, groups: &TypedGroups) -> Result<(), Failure> {
        groups.0.iter().try_for_each(|(number, digits)| self.code.check_group(*number, digits))?;
        if groups.0.len() < GROUPS_ASKED {
            return Err(Failure::Missing {
                what: "at least eight groups that the other side read out",
                flag: "--groups",
            });
        }
        Ok(())
    }

    fn groups(&self) -> Vec<String> {
        (1..=GROUPS).filter_map(|number| self.code.group(number)).collect()
    }

    fn show(&self, console: &mut Console) -> Result<(), Failure> {
        let groups = self.groups();
        if console.is_json() {
            return console.json(&json!({ "groups": groups }));
        }
        let card = self.card.card();
        console.styled(STRONG, format_args!("Pairing with {}: {} ({})", self.peer.name, card.name, card.country))?;
        console.line(format_args!("  their fingerprint  {}", fingerprint(self.card.cert_id())))?;
        console.line(format_args!("  agreement          {}", self.agreement))?;
        console.line("")?;
        console.line("Read out the groups that they ask for, by telephone:")?;
        for (row, groups) in groups.chunks(4).enumerate() {
            let numbered = groups.iter().enumerate().map(|(at, group)| format!("{:>4}: {group}", 4 * row + at + 1));
            console.line(numbered.collect::<Vec<_>>().join("   "))?;
        }
        Ok(())
    }

    /// Asks for groups that the other side reads out; nobody is asked a yes or no that could be pressed unread.
    fn compare(&self, console: &mut Console) -> Result<(), Failure> {
        if !console.is_interactive() {
            return Err(Failure::Missing { what: "what the other side read out", flag: "--groups" });
        }
        self.show(console)?;
        console.line("")?;
        console.line("Now ask them for these groups and type what they read out:")?;
        for number in random::distinct(GROUPS_ASKED, GROUPS)? {
            self.compare_group(number, console)?;
        }
        Ok(())
    }

    fn compare_group(&self, number: usize, console: &mut Console) -> Result<(), Failure> {
        let mut last = GroupError::Shape { number };
        for _ in 0..ATTEMPTS_MAX {
            let Some(typed) = console.ask(&format!("Group {number}:"))? else { break };
            match self.code.check_group(number, &typed) {
                Ok(()) => return Ok(()),
                Err(error @ (GroupError::Shape { .. } | GroupError::Mistyped { .. })) => {
                    console.note(error)?;
                    last = error;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }

    /// Writes down that the code was compared over this agreement.
    fn settle(mut self, home: &Home, console: &mut Console) -> Result<(), Failure> {
        let mut was_active = false;
        // The file may have changed during the call: the peer's card may have been renewed, or the peer blocked.
        self.peer = home.change_peer(&self.peer.name, |peer| {
            super::refuse_stopped(peer)?;
            let is_settled = peer.verified == Some(self.agreement) && peer.state != PeerState::Added;
            if !is_settled {
                was_active = peer.state == PeerState::Active;
                peer.verified = Some(self.agreement);
                peer.state = PeerState::Verified;
            }
            Ok::<_, Failure>(())
        })?;
        if was_active {
            daemon::reload(home, console)?;
        }
        let name = &self.peer.name;
        if console.is_json() {
            let state = self.peer.state;
            return console.json(&json!({ "peer": name, "state": state, "agreement": self.agreement }));
        }
        console
            .styled(GOOD, format_args!("{name} is verified: both sides hold the same keys and the same agreement."))?;
        console.line("Next, once both have signed:")?;
        console.line(format_args!("  mithaq peer activate {name} --agreement FILE"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[(usize, &str)], &str>) {
        let expect = expect.map(|groups| TypedGroups(groups.iter().map(|(n, d)| (*n, (*d).to_owned())).collect()));
        assert_eq!(TypedGroups::parse(text), expect.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn groups_are_read_as_people_write_them() {
        check("3=12345 7=67890", Ok(&[(3, "12345"), (7, "67890")]));
        check(" 7=67890,3=12345, ", Ok(&[(3, "12345"), (7, "67890")]));
        check("3=١٢٣٤٥ 7=67890", Ok(&[(3, "١٢٣٤٥"), (7, "67890")]));
        check("3=12345 3=12345", Err("a group is given twice"));
        check("", Err("expected groups such as '3=12345 7=67890'"));
        check("three=12345 7=67890", Err("expected groups such as '3=12345 7=67890'"));
        check("12345 67890", Err("expected groups such as '3=12345 7=67890'"));
    }
}

//! `mithaq why`: the release rule's steps for one object and one peer.

use mithaq_api::{
    client::with_query,
    home::Home,
    http::{Why, WhyQuery},
};

use super::peer::peer_name;
use crate::{
    console::{BAD, Console, GOOD, PLAIN, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Explain why an object goes to a peer, or why it does not.
///
/// Ends with status 0 if it is released, 4 if it is withheld.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq why indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --peer cn
  mithaq why indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --peer qa --json | jq '.reasons[] | select(.ok | not)'")]
pub(crate) struct Args {
    /// A STIX id, a content id or a release id
    id: String,
    /// Our name for the peer
    #[arg(long, value_name = "NAME", value_parser = peer_name)]
    peer: String,
}

/// Explains a decision.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let path = with_query("/v1/why", &WhyQuery { id: args.id.clone(), peer: args.peer.clone() })?;
    let why: Why = daemon::block_on(async { Ok(client.get(&path).await?) })?;
    if console.is_json() {
        console.json(&why)?;
    } else {
        print(&why, &args.peer, console)?;
    }
    Ok(if why.released { Exit::Ok } else { Exit::Withheld })
}

fn print(why: &Why, peer: &str, console: &mut Console) -> Result<(), Failure> {
    for reason in &why.reasons {
        let mark = if reason.ok { (GOOD, "  yes  ".to_owned()) } else { (BAD, "  NO   ".to_owned()) };
        console.spans(&[mark, (PLAIN, format!("{}  {}", reason.code, reason.text))])?;
    }
    let against = why.reasons.iter().find(|reason| !reason.ok);
    match against {
        None if why.released => console.styled(GOOD, format_args!("released to {peer}")),
        None => console.styled(WARN, format_args!("withheld from {peer}")),
        Some(reason) => {
            console.styled(WARN, format_args!("withheld from {peer}; `mithaq explain {}` says more", reason.code))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_shown_and_the_first_against_is_explained() {
        let why = r#"{"released":false,"reasons":[{"code":"MQ-2001","text":"agreement 12","ok":true},
            {"code":"MQ-2010","text":"TLP:red is over","ok":false},{"code":"MQ-2011","text":"no names","ok":false}]}"#;
        let (mut console, captured) = Console::captured(None);
        print(&serde_json::from_str(why).unwrap(), "cn", &mut console).unwrap();
        let expect = "  yes  MQ-2001  agreement 12\n  NO   MQ-2010  TLP:red is over\n  NO   MQ-2011  no names\n\
            withheld from cn; `mithaq explain MQ-2010` says more\n";
        assert_eq!(captured.out(), expect);
    }
}

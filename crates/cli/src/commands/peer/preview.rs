//! `mithaq peer preview`: what a peer may have of all that we hold.

use mithaq_api::{
    client::with_query,
    home::Home,
    http::{PeerPreview, PreviewQuery},
};

use super::peer_name;
use crate::{
    console::{Console, STRONG},
    daemon,
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// Show how much of what we hold a peer may have, and why it may not have the rest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer preview cn
  mithaq peer preview cn --json | jq '.reasons[] | select(.code == \"MQ-2010\")'")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
}

/// Shows the preview.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let path = with_query("/v1/preview", &PreviewQuery { peer: args.name.clone() })?;
    let client = daemon::client(home)?;
    let preview: PeerPreview = daemon::block_on(async { Ok(client.get(&path).await?) })?;
    if console.is_json() {
        console.json(&preview)?;
    } else {
        print(&preview, console)?;
    }
    Ok(Exit::Ok)
}

fn print(preview: &PeerPreview, console: &mut Console) -> Result<(), Failure> {
    let PeerPreview { peer, released, withheld, .. } = preview;
    console.styled(STRONG, format_args!("would share {released} objects with {peer}, withhold {withheld}"))?;
    if preview.reasons.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["objects", "code", "withheld by"]);
    for reason in &preview.reasons {
        table.row([reason.objects.to_string(), reason.code.clone(), reason.title.clone()]);
    }
    table.print(console)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_told_by_reason() {
        let preview = r#"{"peer":"cn","released":214,"withheld":80101,"releases":3,
            "reasons":[{"code":"MQ-2010","title":"TLP ceiling","objects":80101}]}"#;
        let (mut console, captured) = Console::captured(None);
        print(&serde_json::from_str(preview).unwrap(), &mut console).unwrap();
        let expect = "would share 214 objects with cn, withhold 80101\nobjects  code     withheld by\n\
            80101    MQ-2010  TLP ceiling\n";
        assert_eq!(captured.out(), expect);
    }
}

//! Homes, cards, agreements and the telephone call, with the commands that operators type.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::{
    certs::{Cert, Certs},
    program::{Program, shown},
    screen::Screen,
};

/// The community that PK and CN both belong to in the demo.
const COMMUNITY: &str = "demo-community";

/// The groups of the pairing code that each side asks the other for.
const GROUPS_ASKED: [usize; 8] = [1, 2, 4, 5, 7, 9, 10, 12];

/// Makes the three homes and pairs PK with CN and with QA; CN and QA stay strangers.
pub(super) async fn pair_all(
    program: &Program,
    certs: &Certs,
    markings: &[String],
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let mut desk = Desk { program, screen, quiet: false };
    for cert in certs.all() {
        desk.init(cert).await?;
    }
    let with_cn = Terms { peer: &certs.cn, community: Some(COMMUNITY), markings };
    desk.pair(&certs.pk, &with_cn).await?;
    desk.screen.say(&format!("PK and CN: up to TLP:AMBER; TLP:GREEN too, since both belong to {COMMUNITY}"));
    // The same fourteen commands again would teach nothing.
    desk.quiet = true;
    let with_qa = Terms { peer: &certs.qa, community: None, markings };
    desk.pair(&certs.pk, &with_qa).await?;
    desk.screen.say("PK and QA, by the same steps: up to TLP:AMBER, but no TLP:GREEN, since they share no community");
    Ok(())
}

/// What an agreement with a peer is to say.
struct Terms<'a> {
    peer: &'a Cert,
    community: Option<&'a str>,
    markings: &'a [String],
}

/// Somebody who types commands.
struct Desk<'a> {
    program: &'a Program,
    screen: &'a mut Screen,
    /// Whether the commands are not shown.
    quiet: bool,
}

/// What `mithaq peer verify --show --json` prints.
#[derive(Deserialize)]
struct Code {
    groups: Vec<String>,
}

impl Desk<'_> {
    async fn init(&mut self, cert: &Cert) -> anyhow::Result<()> {
        let who = cert.who;
        let address = cert.address.to_string();
        let args = ["init", "--name", who.title, "--country", who.country, "--contact", who.contact];
        let network = ["--identity", who.identity, "--listen", &address, "--endpoint", &address];
        self.run(cert, &[args.as_slice(), &network].concat()).await.map(drop)
    }

    /// What two operators do: exchange cards, sign, compare the code by telephone, put the agreement in force.
    async fn pair(&mut self, ours: &Cert, terms: &Terms<'_>) -> anyhow::Result<()> {
        let theirs = terms.peer;
        for (from, to) in [(ours, theirs), (theirs, ours)] {
            let card = path_text(&shared(from, &format!("{}-for-{}.card", from.who.name, to.who.name)))?;
            self.run(from, &["peer", "invite", "--out", &card]).await?;
            self.run(to, &["peer", "add", from.who.name, &card]).await?;
        }
        let pact = path_text(&shared(ours, &format!("{}-{}.pact", ours.who.name, theirs.who.name)))?;
        self.draft(ours, terms, &pact).await?;
        for cert in [ours, theirs] {
            self.run(cert, &["agreement", "sign", &pact, "--yes"]).await?;
        }
        for (reader, listener) in [(ours, theirs), (theirs, ours)] {
            self.telephone(reader, listener, &pact).await?;
        }
        for (cert, peer) in [(ours, theirs), (theirs, ours)] {
            self.run(cert, &["peer", "activate", peer.who.name, "--agreement", &pact]).await?;
        }
        Ok(())
    }

    async fn draft(&mut self, ours: &Cert, terms: &Terms<'_>, pact: &str) -> anyhow::Result<()> {
        let mut args = vec!["agreement", "new", "--peer", terms.peer.who.name, "--tlp-max", "amber"];
        args.extend(terms.community.iter().flat_map(|community| ["--community", *community]));
        args.extend(["--out", pact]);
        args.extend(terms.markings.iter().flat_map(|marking| ["--marking", marking.as_str()]));
        // The sample shows what stays; of the user's own data as much as may goes.
        args.extend(if terms.markings.is_empty() { ["--statements", "deny"] } else { ["--personal-data", "allow"] });
        self.run(ours, &args).await.map(drop)
    }

    /// One side reads its code out, the other types the groups that it asked for.
    async fn telephone(&mut self, reader: &Cert, listener: &Cert, pact: &str) -> anyhow::Result<()> {
        let peer = listener.who.name;
        let read = self.run(reader, &["peer", "verify", peer, "--agreement", pact, "--show", "--json"]).await?;
        let code: Code = serde_json::from_str(&read).context("the pairing code was not understood")?;
        let heard = heard(&code.groups)?;
        self.run(listener, &["peer", "verify", reader.who.name, "--agreement", pact, "--groups", &heard])
            .await
            .map(drop)
    }

    async fn run(&mut self, cert: &Cert, args: &[&str]) -> anyhow::Result<String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        if !self.quiet {
            self.screen.command(&shown(cert.dir(), &args));
        }
        self.program.succeed(cert.dir(), &args).await
    }
}

/// The groups that were asked for, as `--groups` takes them.
fn heard(groups: &[String]) -> anyhow::Result<String> {
    let group = |number: &usize| groups.get(number - 1).map(|digits| format!("{number}={digits}"));
    match GROUPS_ASKED.iter().map(group).collect::<Option<Vec<_>>>() {
        Some(heard) => Ok(heard.join(" ")),
        None => bail!("the pairing code has only {} groups", groups.len()),
    }
}

/// A file beside the homes, where both sides find it: the mail between them.
fn shared(cert: &Cert, name: &str) -> PathBuf {
    cert.dir().parent().unwrap_or(Path::new(".")).join(name)
}

fn path_text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_out_with_their_numbers() {
        let groups: Vec<String> = (1..=12).map(|number| format!("{number:05}")).collect();
        assert_eq!(heard(&groups).unwrap(), "1=00001 2=00002 4=00004 5=00005 7=00007 9=00009 10=00010 12=00012");
        assert!(heard(&groups[..3]).is_err());
    }
}

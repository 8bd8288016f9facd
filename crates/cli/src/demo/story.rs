//! What happens, in order.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context, bail};
use mithaq_api::{
    client::with_query,
    http::{Why, WhyQuery},
};
use mithaq_core::id::ContentId;

use super::{
    certs::{Cert, Certs},
    expectation::Expectation,
    input::Input,
    latency, own, pairing,
    program::Program,
    push::{self, Pushed},
    report::{Held, Homes, Report},
    screen::Screen,
    siem::{Comparison, Feed},
    wait,
};

/// For how many objects each peer's answer is asked one by one.
const WHY_MAX: usize = 5_000;

/// How many refused objects are shown.
const REFUSED_SHOWN_MAX: usize = 5;

/// The demo while it is told.
pub(super) struct Story<'a> {
    /// The program that operators run.
    pub(super) program: &'a Program,
    /// Where it is shown.
    pub(super) screen: &'a mut Screen,
    /// Who takes part.
    pub(super) certs: &'a mut Certs,
    /// What is pushed.
    pub(super) input: &'a Input,
}

impl Story<'_> {
    /// Tells it from beginning to end. What does not hold is shown and counted; what cannot be carried out is an error.
    pub(super) async fn tell(&mut self) -> anyhow::Result<Report> {
        self.set_up().await?;
        let expectation = self.announce().await?;
        let pushed = self.deliver(&expectation).await?;
        let duplicates = self.push_again(&pushed).await?;
        let certs = self.holdings(&expectation).await?;
        self.show_withheld(&expectation, &pushed);
        self.compare_feeds(&expectation, &pushed).await?;
        let of_cn = self.cn_shares(&pushed).await?;
        let after_restart = self.restart().await?;
        let latency_ms = self.measure(&of_cn).await?;
        Ok(Report {
            ok: false,
            pushed: pushed.accepted.len(),
            duplicates,
            refused: pushed.summary.refused,
            certs,
            withheld: expectation.withheld,
            latency_ms,
            after_restart,
            homes: Homes::of(self.certs),
        })
    }

    /// The folder of the homes.
    pub(super) fn dir(&self) -> &Path {
        self.certs.pk.dir().parent().unwrap_or(Path::new("."))
    }

    async fn set_up(&mut self) -> anyhow::Result<()> {
        self.screen
            .title("Three national CERTs on this machine, as equals: no hub, and nothing leaves without an agreement");
        self.screen.chapter("Homes, and two agreements: PK with CN, PK with QA");
        if !self.input.markings.is_empty() {
            let count = self.input.markings.len();
            self.screen
                .say(&format!("both agreements name the data's {count} markings other than TLP, or it would all stay"));
        }
        if self.input.markings_left_out > 0 {
            self.screen
                .say(&format!("{} more markings find no place: what carries them stays", self.input.markings_left_out));
        }
        pairing::pair_all(self.program, self.certs, &self.input.markings, self.screen).await?;
        let waiting = self.screen.waiting("starting three daemons");
        self.certs.start_all(self.program).await?;
        let connected = self.connected().await;
        waiting.finish_and_clear();
        connected?;
        self.screen.check("three daemons run; PK is connected with CN and with QA", true, String::new);
        let [_, cn, qa] = self.certs.all();
        let strangers = [cn.status().await?.peers.len(), qa.status().await?.peers.len()] == [1, 1];
        self.screen.check("CN and QA know nothing of each other", strangers, || "they have more peers than PK".into());
        Ok(())
    }

    async fn connected(&self) -> anyhow::Result<()> {
        let limit = Duration::from_secs(wait::SESSION_SECONDS_MAX);
        let certs = &*self.certs;
        let mut states = Vec::new();
        let connected = wait::until(limit, async || {
            let ends = [(&certs.pk, &certs.cn), (&certs.cn, &certs.pk), (&certs.pk, &certs.qa), (&certs.qa, &certs.pk)];
            states.clear();
            for (cert, peer) in ends {
                let status = cert.peer(peer.who).await?;
                if status.state != "connected" {
                    let problem = status.problem.map(|problem| problem.to_string()).unwrap_or_default();
                    states.push(format!("{} to {}: {} {problem}", cert.who.name, peer.who.name, status.state));
                }
            }
            Ok(states.is_empty())
        });
        if connected.await? {
            return Ok(());
        }
        bail!("the daemons do not connect in {limit:?}: {}", states.join("; "))
    }

    async fn announce(&mut self) -> anyhow::Result<Expectation> {
        self.screen.chapter("Before anything leaves: what would go to whom");
        let preview = push::preview(self.program, &self.certs.pk, &self.input.path, self.screen).await?;
        let expectation = Expectation::of(&preview.preview);
        for peer in [self.certs.cn.who, self.certs.qa.who] {
            let (goes, stays) = (expectation.released_to(peer.name), expectation.withheld_from(peer.name));
            self.screen.say(&format!("to {}: {goes} objects would go, {stays} would stay", peer.name));
        }
        let held = self.certs.pk.status().await?.objects;
        self.screen.check_equal("asking stored nothing", &0, &held);
        Ok(expectation)
    }

    async fn deliver(&mut self, expectation: &Expectation) -> anyhow::Result<Pushed> {
        self.screen.chapter("PK pushes the bundle");
        let pushed = push::push(self.program, &self.certs.pk, &self.input.path, self.screen).await?;
        let summary = &pushed.summary;
        self.screen.say(&format!(
            "{} objects stored in {} releases in {:.0} ms",
            summary.stored,
            summary.releases,
            summary.seconds * 1000.0
        ));
        for refused in pushed.refused.iter().take(REFUSED_SHOWN_MAX) {
            self.screen.say(&format!("refused: {refused}"));
        }
        if pushed.refused.len() > REFUSED_SHOWN_MAX {
            self.screen.say(&format!("and {} more were refused", pushed.refused.len() - REFUSED_SHOWN_MAX));
        }
        if pushed.accepted.is_empty() {
            bail!("nothing of {} was taken in", self.input.path.display());
        }
        self.screen.check_equal("PK's daemon says the same of each object", &pushed.accepted.len(), &summary.stored);
        self.delivered(expectation, pushed.accepted.len()).await?;
        Ok(pushed)
    }

    /// Waits until the peers hold what they may have; what they do hold is checked later.
    async fn delivered(&self, expectation: &Expectation, objects: usize) -> anyhow::Result<bool> {
        let certs = &*self.certs;
        let waiting = self.screen.waiting("delivering");
        let delivered = wait::until(wait::delivery_limit(objects), async || {
            for cert in [&certs.cn, &certs.qa] {
                let expected = expectation.released_to(cert.who.name) as u64;
                if certs.pk.peer(cert.who).await?.lag > 0 || cert.status().await?.objects < expected {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        let delivered = delivered.await;
        waiting.finish_and_clear();
        delivered
    }

    async fn push_again(&mut self, first: &Pushed) -> anyhow::Result<usize> {
        let before = self.certs.pk.status().await?;
        let again = push::push(self.program, &self.certs.pk, &self.input.path, self.screen).await?;
        let expected = first.summary.stored + first.summary.duplicate;
        self.screen.check_equal("pushed again, all are duplicates", &expected, &again.summary.duplicate);
        self.screen.check_equal("and nothing is stored twice", &0, &again.summary.stored);
        let after = self.certs.pk.status().await?;
        let unchanged = (before.objects, before.releases) == (after.objects, after.releases);
        self.screen
            .check("PK holds what it held", unchanged, || format!("{} objects, now {}", before.objects, after.objects));
        Ok(again.summary.duplicate)
    }

    /// Shows what each one holds and checks it against what was announced.
    async fn holdings(&mut self, expectation: &Expectation) -> anyhow::Result<Vec<Held>> {
        self.screen.chapter("What each one holds now");
        let mut held = Vec::new();
        for cert in self.certs.all() {
            held.push(holding(cert).await?);
        }
        let rows: Vec<Vec<String>> = held.iter().map(row).collect();
        self.screen.table(&["", "objects", "releases", "store", "deduplicated"], &rows);
        for cert in &held[1..] {
            let expected = expectation.released_to(cert.name) as u64;
            self.screen.check_equal(&format!("{} holds what was announced", cert.name), &expected, &cert.objects);
        }
        Ok(held)
    }

    fn show_withheld(&mut self, expectation: &Expectation, pushed: &Pushed) {
        self.screen.chapter("What was withheld from whom, and why");
        let row =
            |row: &super::expectation::Withheld| vec![row.peer.clone(), row.objects.to_string(), row.reason.clone()];
        let rows: Vec<Vec<String>> = expectation.withheld.iter().map(row).collect();
        self.screen.table(&["from", "objects", "reason (mithaq explain CODE)"], &rows);
        for peer in [self.certs.cn.who, self.certs.qa.who] {
            let sum = expectation.released_to(peer.name) + expectation.withheld_from(peer.name);
            let what = format!("{}: released and withheld are all that PK took in", peer.name);
            self.screen.check_equal(&what, &pushed.accepted.len(), &sum);
        }
    }

    /// Reads both SIEMs' sockets: exactly what may be there is there, each object once.
    async fn compare_feeds(&mut self, expectation: &Expectation, pushed: &Pushed) -> anyhow::Result<()> {
        self.screen.chapter("What the SIEMs read");
        for cert in [&self.certs.cn, &self.certs.qa] {
            let name = cert.who.name;
            self.screen.command(&format!(
                "{name}$ curl --unix-socket {} http://localhost/v1/stream",
                cert.siem.socket().display()
            ));
            let feed = Feed::read(cert, None).await?;
            self.screen.table(&["a few lines:", "", ""], &feed.examples());
            let expected = expectation.released_to(name);
            self.screen.check_equal(
                &format!("{name}'s SIEM finds as many objects as were released"),
                &expected,
                &feed.contents.len(),
            );
            self.screen.check_equal(&format!("{name}'s SIEM finds each once"), &feed.contents.len(), &feed.lines);
            let strange = feed.contents.difference(&pushed.accepted).count();
            self.screen.check_equal(&format!("{name}'s SIEM finds nothing that PK did not push"), &0, &strange);
            let comparison = compare_one_by_one(&self.certs.pk, cert, &feed, pushed, self.screen).await?;
            let what = format!("{name}'s SIEM finds exactly what `mithaq why` says is released");
            self.screen.check(&what, comparison.is_equal(), || comparison.text());
        }
        Ok(())
    }

    /// CN shares what is its own: with PK, and through PK with nobody.
    async fn cn_shares(&mut self, pushed: &Pushed) -> anyhow::Result<BTreeSet<ContentId>> {
        self.screen.chapter("CN shares something of its own: with PK, not with QA");
        let before = self.certs.pk.status().await?;
        let known = Feed::read(&self.certs.pk, None).await?;
        let file = own::write(self.dir(), "cncert.json", &own::of_cncert(self.input.is_sample))?;
        let shared = push::push(self.program, &self.certs.cn, &file, self.screen).await?;
        let news: BTreeSet<ContentId> = shared.accepted.difference(&pushed.accepted).copied().collect();
        let objects = before.objects + news.len() as u64;
        let releases = before.releases + shared.summary.releases as u64;
        self.received_by_pk(releases).await?;

        let feed = Feed::read(&self.certs.pk, known.cursor).await?;
        let received = feed.of_origin(self.certs.cn.status().await?.cert);
        let missing = news.difference(&received).count();
        self.screen.check_equal("PK's SIEM has it, as CN's", &0, &missing);
        let after = self.certs.pk.status().await?;
        self.screen.check_equal("PK holds each body once, also one that both have released", &objects, &after.objects);
        self.refuse_onward(&news).await?;
        Ok(news)
    }

    async fn received_by_pk(&self, releases: u64) -> anyhow::Result<bool> {
        let certs = &*self.certs;
        wait::until(wait::delivery_limit(1), async || {
            Ok(certs.cn.peer(certs.pk.who).await?.lag == 0 && certs.pk.status().await?.releases >= releases)
        })
        .await
    }

    async fn refuse_onward(&mut self, contents: &BTreeSet<ContentId>) -> anyhow::Result<()> {
        let mut released = 0;
        let mut reason = String::new();
        for content in contents {
            let why = why(&self.certs.pk, &self.certs.qa, *content).await?;
            released += usize::from(why.released);
            if let Some(step) = why.reasons.iter().find(|step| !step.ok) {
                reason = format!("{} {}", step.code, step.text);
            }
        }
        self.screen.check_equal("PK's daemon would pass none of it on to QA", &0, &released);
        self.screen.say(&format!("because: {reason}"));
        Ok(())
    }

    /// Measures, and then looks whether anything of CN's has come to QA on the way.
    async fn measure(&mut self, of_cn: &BTreeSet<ContentId>) -> anyhow::Result<latency::Latency> {
        self.screen.chapter("How fast: from a push at PK to the line in QA's SIEM, signed and durable on both sides");
        let cursor = Feed::read(&self.certs.qa, None).await?.cursor;
        let measured = latency::measure(self.certs, cursor.clone(), self.screen).await?;
        self.screen.say(&format!(
            "{} single pushes: p50 {:.2} ms, p99 {:.2} ms",
            latency::PUSHES,
            measured.p50,
            measured.p99
        ));
        let news = Feed::read(&self.certs.qa, cursor).await?;
        self.screen.check_equal("each of them arrived once", &latency::PUSHES, &news.lines);
        let all = Feed::read(&self.certs.qa, None).await?;
        let pk = self.certs.pk.status().await?.cert;
        let nothing_of_cn = all.contents.is_disjoint(of_cn) && all.origins.keys().all(|origin| *origin == pk);
        self.screen
            .check("QA has nothing but PK's own", nothing_of_cn, || "something that CN released is there".into());
        Ok(measured)
    }
}

async fn holding(cert: &Cert) -> anyhow::Result<Held> {
    let status = cert.status().await?;
    let again: u64 = status.peers.iter().map(|peer| peer.objects_deduplicated).sum();
    Ok(Held {
        name: cert.who.name,
        objects: status.objects,
        releases: status.releases,
        store_bytes: status.store_bytes,
        deduplicated: again.max(status.references.saturating_sub(status.objects)),
    })
}

fn row(held: &Held) -> Vec<String> {
    let numbers = [held.objects, held.releases].map(|number| number.to_string());
    let store = format!("{} KiB", held.store_bytes.div_ceil(1024));
    let [objects, releases] = numbers;
    vec![held.name.to_owned(), objects, releases, store, held.deduplicated.to_string()]
}

/// Holds a feed against the daemon's answer to `why` for each object, or for evenly spread ones if there are many.
async fn compare_one_by_one(
    pk: &Cert,
    peer: &Cert,
    feed: &Feed,
    pushed: &Pushed,
    screen: &Screen,
) -> anyhow::Result<Comparison> {
    let step = pushed.accepted.len().div_ceil(WHY_MAX).max(1);
    let asked: BTreeSet<ContentId> = pushed.accepted.iter().step_by(step).copied().collect();
    let bar = screen.counting("objects asked about", asked.len());
    let mut released = BTreeSet::new();
    for content in &asked {
        if why(pk, peer, *content).await?.released {
            released.insert(*content);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let found = feed.contents.intersection(&asked).copied().collect();
    Ok(Comparison::of(&found, &released))
}

/// Whether a CERT would release an object to a peer, and why.
async fn why(cert: &Cert, peer: &Cert, content: ContentId) -> anyhow::Result<Why> {
    let query = WhyQuery { id: content.to_string(), peer: peer.who.name.to_owned() };
    let why = cert.control.get(&with_query("/v1/why", &query)?).await;
    why.with_context(|| format!("asking why {content} may go to {}", peer.who.name))
}

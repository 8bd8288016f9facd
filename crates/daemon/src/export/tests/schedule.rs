//! Exports that come, change and go with the configuration, and that wait after a restore.

use std::{fs, path::Path, time::Duration};

use mithaq_api::{config::Config, export::ExportStatus};
use mithaq_core::time::Time;
use mithaq_store::{Batch, MemoryStore, Store, StoreId};

use super::collection::{Cert, of_domain};
use crate::{export, restored::Restored};

/// How long something may take that is there within a second on a machine with time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// Longer than an export needs that nothing holds up.
const MEANWHILE: Duration = Duration::from_millis(700);

impl Cert {
    fn schedule(&self, config: &str) {
        let config = Config::parse(config, Path::new("mithaq.toml")).unwrap();
        export::replace(&self.node, &config.export);
    }

    fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.home.path().join(name)).ok()
    }

    fn publish(&self, number: usize, domain: &str) {
        self.ours(&[of_domain(number, domain, "")]);
        // Wakes who follows the log.
        self.node.commit(Batch::default()).unwrap();
    }

    fn status(&self, name: &str) -> Option<ExportStatus> {
        self.node.exports.statuses().into_iter().find(|status| status.name == name)
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so(self) {
                tokio::time::sleep(LOOK).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what} did not come; {:?}", self.node.exports.statuses()));
    }
}

fn csv(name: &str, output: &str, more: &str) -> String {
    format!("[export.{name}]\nformat = \"csv\"\noutput = \"{output}\"\non_change = \"1s\"\n{more}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_begin_change_and_end_with_the_configuration() {
    let cert = Cert::over(MemoryStore::new(StoreId::from_bytes([1; 16])));
    cert.publish(1, "a.example");
    let one = csv("one", "one.csv", "");
    cert.schedule(&one);
    cert.until("the first export", |cert| cert.file("one.csv").is_some_and(|text| text.contains("a.example"))).await;
    cert.until("its status", |cert| cert.status("one").is_some_and(|status| status.state == "ok")).await;

    // What is as it was goes on; what is new begins.
    cert.schedule(&[&*one, &csv("two", "two.csv", "")].concat());
    cert.until("the second export", |cert| cert.file("two.csv").is_some()).await;
    assert_eq!(cert.status("one").unwrap().written, 1);

    // What changed begins anew: here the same values in another place, where something else stands.
    fs::write(cert.home.path().join("other.csv"), "stale").unwrap();
    cert.schedule(&csv("one", "other.csv", ""));
    cert.until("the changed export", |cert| cert.file("other.csv").is_some_and(|text| text.contains("a.example")))
        .await;
    assert!(cert.status("two").is_none(), "what is gone is told of no more");
    let before = [cert.file("one.csv"), cert.file("two.csv")];
    cert.publish(2, "b.example");
    cert.until("a later export", |cert| cert.file("other.csv").is_some_and(|text| text.contains("b.example"))).await;
    assert_eq!([cert.file("one.csv"), cert.file("two.csv")], before, "an export that was ended went on");

    cert.schedule("");
    assert!(cert.node.exports.statuses().is_empty());
    cert.node.shutdown.cancel();
    cert.node.tasks.close();
    tokio::time::timeout(PATIENCE, cert.node.tasks.wait()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_follows_its_collection() {
    let cert = Cert::over(MemoryStore::new(StoreId::from_bytes([1; 16])));
    let show = |tlp_max: &str| {
        let config = format!("[collection.open]\ntlp_max = \"{tlp_max}\"\n");
        cert.node.collections.replace(&cert.node, &Config::parse(&config, Path::new("mithaq.toml")).unwrap());
    };
    show("green");
    cert.publish(1, "a.example");
    cert.schedule(&csv("open", "open.csv", "collection = \"open\""));
    cert.until("the export", |cert| cert.file("open.csv").is_some_and(|text| text.contains("a.example"))).await;
    show("clear");
    cert.until("the narrowed export", |cert| cert.file("open.csv").is_some_and(|text| !text.contains("a.example")))
        .await;
    cert.node.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_before_peers_were_heard_after_a_restore() {
    let store = MemoryStore::new(StoreId::from_bytes([1; 16]));
    let state = vec![Restored::new(Time::from_micros(1), None, &[]).to_change()];
    store.commit(Batch { state, ..Batch::default() }, Time::from_micros(1)).unwrap();
    let cert = Cert::over(store);
    let marker = cert.home.path().join("told");
    fs::write(cert.home.path().join("one.csv"), "what sensors have").unwrap();
    cert.schedule(&csv("one", "one.csv", &format!("run = [\"touch\", {marker:?}]")));
    let is_touched = |cert: &Cert| {
        cert.file("one.csv").as_deref() != Some("what sensors have")
            || cert.file("told").is_some()
            || cert.status("one").is_none_or(|status| status.failures > 0)
    };
    let touched = tokio::time::timeout(MEANWHILE, cert.until("a change", is_touched)).await;
    assert!(touched.is_err(), "a store that is not whole was exported, or that was called a failure");

    // What peers told meanwhile is there when they were heard.
    cert.publish(1, "a.example");
    cert.node.gate.open(&cert.node).unwrap();
    cert.until("the export", |cert| cert.file("one.csv").is_some_and(|text| text.contains("a.example"))).await;
    cert.until("the command", |cert| cert.file("told").is_some()).await;
    assert_eq!(cert.status("one").unwrap().failures, 0);
    cert.node.shutdown.cancel();
}

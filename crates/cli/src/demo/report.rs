//! What the demo reports to programs.

use std::path::PathBuf;

use serde::Serialize;

use super::{certs::Certs, expectation::Withheld, latency::Latency};

/// The last line of `mithaq demo --json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether every check held.
    pub(super) ok: bool,
    /// Objects of the bundle that PK took in.
    pub(super) pushed: usize,
    /// Objects that it recognised when the bundle was pushed again.
    pub(super) duplicates: usize,
    /// Objects of the bundle that it refused.
    pub(super) refused: usize,
    /// What each CERT held once the bundle was delivered, before the demo's own objects.
    pub(super) certs: Vec<Held>,
    /// What was withheld from whom and why.
    pub(super) withheld: Vec<Withheld>,
    /// From a push at PK to the line in QA's stream.
    pub(super) latency_ms: Latency,
    /// What CN's restart did.
    pub(super) after_restart: Restart,
    /// Where the three homes are, or were.
    pub(super) homes: Homes,
}

/// What a CERT holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Held {
    /// Its home's name.
    pub(super) name: &'static str,
    /// Distinct objects.
    pub(super) objects: u64,
    /// Releases.
    pub(super) releases: u64,
    /// Bytes on disk.
    pub(super) store_bytes: u64,
    /// Objects that it did not have to store again.
    pub(super) deduplicated: u64,
}

/// What a restart did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Restart {
    /// Objects that were there before and are not any more.
    pub(super) lost: usize,
    /// Objects that were sent although they were there.
    pub(super) resent: u64,
}

/// The three homes.
#[derive(Debug, Serialize)]
pub(super) struct Homes {
    pk: PathBuf,
    cn: PathBuf,
    qa: PathBuf,
}

impl Homes {
    /// Where they are.
    pub(super) fn of(certs: &Certs) -> Self {
        let [pk, cn, qa] = certs.all().map(|cert| cert.dir().to_owned());
        Self { pk, cn, qa }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acceptance runs read these names.
    #[test]
    fn the_report_has_the_promised_members() {
        let held = Held { name: "pk", objects: 2, releases: 1, store_bytes: 9, deduplicated: 0 };
        let report = Report {
            ok: true,
            pushed: 2,
            duplicates: 2,
            refused: 0,
            certs: vec![held],
            withheld: vec![Withheld { peer: "qa".into(), reason: "MQ-2012".into(), objects: 1 }],
            latency_ms: Latency { p50: 1.5, p99: 2.25 },
            after_restart: Restart::default(),
            homes: Homes { pk: "/d/pk".into(), cn: "/d/cn".into(), qa: "/d/qa".into() },
        };
        let expect = r#"{"ok":true,"pushed":2,"duplicates":2,"refused":0,"certs":[{"name":"pk","objects":2,"releases":1,"store_bytes":9,"deduplicated":0}],"withheld":[{"peer":"qa","reason":"MQ-2012","objects":1}],"latency_ms":{"p50":1.5,"p99":2.25},"after_restart":{"lost":0,"resent":0},"homes":{"pk":"/d/pk","cn":"/d/cn","qa":"/d/qa"}}"#;
        assert_eq!(serde_json::to_string(&report).unwrap(), expect);
    }
}

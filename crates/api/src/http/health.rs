//! Whether all is well with a daemon, as `status --check` and `/readyz` say it.

use super::{PeerStatus, Status};

impl Status {
    /// Why nothing or not all is served and taken: the disk is nearly full, or SIEMs wait after a restore. A line each; none
    /// if the daemon is ready.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.read_only {
            reasons.push("read-only: the store's disk is nearly full".to_owned());
        }
        if let Some(restored) = self.restored.as_ref().filter(|restored| !restored.serves) {
            let whom = match &restored.waits_for[..] {
                [] => "an operator".to_owned(),
                names => names.join(", "),
            };
            reasons.push(format!("restored from a backup: SIEMs wait for {whom}"));
        }
        reasons
    }

    /// Why somebody should look after the daemon: what keeps it from being ready, each peer with an agreement that is not
    /// connected or has a problem, each export that fails. A line each; none if all is well.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut reasons = self.unready();
        let peers = self.peers.iter().filter(|peer| peer.is_degraded());
        reasons.extend(peers.map(|peer| match &peer.problem {
            Some(problem) => format!("peer {}: {} ({})", peer.name, peer.state, problem.code),
            None => format!("peer {}: {}", peer.name, peer.state),
        }));
        let failing = self.exports.iter().filter_map(|export| Some((export, export.problem.as_ref()?)));
        reasons.extend(failing.map(|(export, problem)| format!("export {}: {}", export.name, problem.code)));
        reasons
    }
}

impl PeerStatus {
    /// Whether it has a problem, or an agreement and no connection.
    fn is_degraded(&self) -> bool {
        self.problem.is_some() || (self.agreement.is_some() && self.state != "connected")
    }
}

#[cfg(test)]
mod tests {
    use mithaq_core::time::Time;

    use super::*;
    use crate::http::{Problem, Restored};

    fn status(peer_state: &str) -> Status {
        let text = format!(
            r#"{{"cert":"{0}","name":"PK","version":"1","objects":0,"releases":0,"references":0,"store_bytes":0,
            "body_bytes":0,"uptime_seconds":1,"listen":"","peers":[{{"name":"cn","cert":"{0}","state":"{peer_state}",
            "lag":0,"sent":1,"received":2,"objects_sent":3,"objects_received":4,"objects_deduplicated":5,
            "bytes_sent":6,"bytes_received":7,"agreement":"{1}"}}]}}"#,
            "ab".repeat(32),
            "cd".repeat(32)
        );
        serde_json::from_str(&text).unwrap()
    }

    fn restored(serves: bool, waits_for: &[&str]) -> Restored {
        let waits_for = waits_for.iter().map(|name| (*name).to_owned()).collect();
        let (blocked_by, lost) = Default::default();
        Restored { backup_at: Time::from_micros(0), serves, waits_for, blocked_by, lost }
    }

    #[test]
    fn every_trouble_has_its_line() {
        let check = |status: &Status, unready: &[&str], troubles: &[&str]| {
            assert_eq!(
                (status.unready(), status.troubles()),
                (
                    unready.iter().map(|line| (*line).to_owned()).collect(),
                    troubles.iter().map(|line| (*line).to_owned()).collect(),
                )
            );
        };
        let well = status("connected");
        check(&well, &[], &[]);
        check(&status("connecting"), &[], &["peer cn: connecting"]);
        let mut alone = status("added");
        alone.peers[0].agreement = None;
        check(&alone, &[], &[]);
        alone.peers[0].problem = Some(Problem::new(mithaq_core::code::Code::CARD, "a card"));
        assert!(alone.troubles()[0].starts_with("peer cn: added (MQ-"), "{:?}", alone.troubles());
        let full = "read-only: the store's disk is nearly full";
        check(&Status { read_only: true, ..well.clone() }, &[full], &[full]);
        let waits = "restored from a backup: SIEMs wait for cn, pk";
        let waiting = Status { restored: Some(restored(false, &["cn", "pk"])), ..status("refused") };
        check(&waiting, &[waits], &[waits, "peer cn: refused"]);
        let operator = "restored from a backup: SIEMs wait for an operator";
        check(&Status { restored: Some(restored(false, &[])), ..well.clone() }, &[operator], &[operator]);
        check(&Status { restored: Some(restored(true, &[])), ..well }, &[], &[]);
    }
}

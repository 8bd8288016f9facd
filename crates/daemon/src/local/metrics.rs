//! `GET /metrics` on the control socket: the figures of `status` in Prometheus' text format 0.0.4.

use std::fmt::{Display, Write};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use mithaq_api::{
    export::ExportStatus,
    http::{PeerStatus, Status},
};

use super::{
    answer::{Failed, blocking},
    control::{self, Control},
};

/// The media type of the format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers with all metrics.
pub(super) async fn metrics(State(control): State<Control>) -> Result<Response, Failed> {
    let status = blocking(move || control::describe(&control.node, &control.endpoint)).await?;
    Ok(([(header::CONTENT_TYPE, TEXT)], write(&status)).into_response())
}

/// A text of metrics under way.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a metric; its samples follow.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if place == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// A metric with a sample for each peer that has one.
    fn of_peers(
        &mut self,
        peers: &[PeerStatus],
        (name, kind, help): (&str, &str, &str),
        value: impl Fn(&PeerStatus) -> Option<u64>,
    ) {
        self.metric(name, kind, help);
        for peer in peers {
            if let Some(value) = value(peer) {
                self.sample(name, &[("peer", &peer.name)], value);
            }
        }
    }
}

/// A label's value: the format has three characters that it escapes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write(status: &Status) -> String {
    let mut page = Page::default();
    page.metric("mithaq_info", "gauge", "The daemon; its value is 1.");
    page.sample("mithaq_info", &[("version", &status.version), ("cert", &status.cert.to_string())], 1);
    page.gauge("mithaq_uptime_seconds", "How long the daemon has run.", status.uptime_seconds);
    page.gauge("mithaq_objects", "Distinct objects held.", status.objects);
    page.gauge("mithaq_releases", "Releases held.", status.releases);
    page.gauge("mithaq_store_bytes", "Bytes of the store on disk.", status.store_bytes);
    let read_only = "1 while nothing is taken from pushes and peers: the store's disk is nearly full.";
    page.gauge("mithaq_store_read_only", read_only, status.read_only.into());
    if let Some(free) = status.free_bytes {
        page.gauge("mithaq_store_free_bytes", "Bytes that are free on the store's disk.", free);
    }
    write_peers(&mut page, &status.peers);
    write_traffic(&mut page, &status.peers);
    write_exports(&mut page, &status.exports);
    page.0
}

fn write_peers(page: &mut Page, peers: &[PeerStatus]) {
    let connected = ("mithaq_peer_connected", "gauge", "1 while a session with the peer runs.");
    page.of_peers(peers, connected, |peer| Some((peer.state == "connected").into()));
    let lag = ("mithaq_peer_lag_releases", "gauge", "Releases that the peer may have and has not acknowledged.");
    page.of_peers(peers, lag, |peer| Some(peer.lag));
    let acknowledged = ("mithaq_peer_sent_releases", "gauge", "Releases that the peer has acknowledged.");
    page.of_peers(peers, acknowledged, |peer| Some(peer.sent));
    let received = ("mithaq_peer_received_releases", "gauge", "Releases held of the peer.");
    page.of_peers(peers, received, |peer| Some(peer.received));
    let pruned = ("mithaq_peer_pruned_origins", "gauge", "CERTs whose releases the peer gets sooner from others.");
    page.of_peers(peers, pruned, |peer| Some(peer.pruned.unwrap_or(0) as u64));
    let rate = ("mithaq_peer_rate_bits_per_second", "gauge", "The configured rate of the link to the peer.");
    page.of_peers(peers, rate, |peer| peer.link.rate_bits);
    let round_trip = ("mithaq_peer_round_trip_microseconds", "gauge", "The round trip of the link, smoothed.");
    page.of_peers(peers, round_trip, |peer| Some(peer.link.round_trip_us));
    let window = ("mithaq_peer_window_bytes", "gauge", "Bytes that may be under way to the peer.");
    page.of_peers(peers, window, |peer| Some(peer.link.window_bytes));
    let packets = ("mithaq_peer_session_packets_sent", "gauge", "Packets of this session to the peer.");
    page.of_peers(peers, packets, |peer| Some(peer.link.packets_sent));
    let lost = ("mithaq_peer_session_packets_lost", "gauge", "Packets of this session to the peer that were lost.");
    page.of_peers(peers, lost, |peer| Some(peer.link.packets_lost));
}

fn write_traffic(page: &mut Page, peers: &[PeerStatus]) {
    let wire = "mithaq_peer_wire_bytes_total";
    page.metric(wire, "counter", "Bytes on the wire, all of QUIC.");
    for peer in peers {
        page.sample(wire, &[("peer", &peer.name), ("direction", "sent")], peer.bytes_sent);
        page.sample(wire, &[("peer", &peer.name), ("direction", "received")], peer.bytes_received);
    }
    let frames = "mithaq_peer_frame_bytes_total";
    page.metric(frames, "counter", "Bytes of frames by what they are for.");
    for peer in peers {
        for (purpose, flow) in peer.traffic.by_purpose() {
            for (direction, bytes) in [("sent", flow.sent), ("received", flow.received)] {
                let labels = [("peer", peer.name.as_str()), ("direction", direction), ("purpose", purpose)];
                page.sample(frames, &labels, bytes);
            }
        }
    }
}

fn write_exports(page: &mut Page, exports: &[ExportStatus]) {
    type Figure = fn(&ExportStatus) -> Option<u64>;
    let seconds: Figure = |export| u64::try_from(export.ok_at?.as_micros() / 1_000_000).ok();
    let figures: [(&str, &str, &str, Figure); 5] = [
        ("mithaq_export_ok", "gauge", "1 unless the export fails.", |export| Some(export.problem.is_none().into())),
        ("mithaq_export_ok_timestamp_seconds", "gauge", "When the export last went well.", seconds),
        ("mithaq_export_values", "gauge", "Values of the last export.", |export| Some(export.last.as_ref()?.values)),
        ("mithaq_export_written_total", "counter", "Times that the export was written.", |export| Some(export.written)),
        ("mithaq_export_failures_total", "counter", "Times that the export failed.", |export| Some(export.failures)),
    ];
    for (name, kind, help, value) in figures {
        page.metric(name, kind, help);
        for export in exports {
            let labels = [("export", export.name.as_str()), ("format", export.format.as_str())];
            value(export).into_iter().for_each(|value| page.sample(name, &labels, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let text = format!(
            r#"{{"cert":"{id}","name":"PK","version":"0.1.0","objects":5,"releases":2,"references":5,"store_bytes":9,
            "body_bytes":8,"uptime_seconds":60,"listen":"[::]:8770","peers":[{{"name":"cn","cert":"{id}",
            "state":"connected","lag":3,"sent":1,"received":2,"objects_sent":3,"objects_received":4,
            "objects_deduplicated":5,"bytes_sent":6000,"bytes_received":7,
            "traffic":{{"control":{{"sent":1,"received":2}},"manifests":{{"sent":3,"received":4}},
            "bodies":{{"sent":5,"received":6}},"receipts":{{"sent":7,"received":8}},
            "documents":{{"sent":9,"received":10}}}}}}]}}"#,
            id = "ab".repeat(32),
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn each_figure_has_its_line() {
        let page = write(&status());
        for line in [
            "mithaq_objects 5",
            "mithaq_store_read_only 0",
            "mithaq_peer_connected{peer=\"cn\"} 1",
            "mithaq_peer_lag_releases{peer=\"cn\"} 3",
            "mithaq_peer_pruned_origins{peer=\"cn\"} 0",
            "mithaq_peer_wire_bytes_total{peer=\"cn\",direction=\"sent\"} 6000",
            "mithaq_peer_frame_bytes_total{peer=\"cn\",direction=\"received\",purpose=\"documents\"} 10",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        assert!(!page.contains("mithaq_peer_rate_bits_per_second{"), "no rate is configured");
    }

    #[test]
    fn every_sample_belongs_to_a_metric_that_was_announced() {
        let page = write(&status());
        let mut announced = "";
        for line in page.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(metric) => announced = metric.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => assert_eq!(line.split(['{', ' ']).next(), Some(announced)),
            }
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}

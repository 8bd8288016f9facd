//! Whole connections over bad links, in virtual time: what a link does is decided by its seed, and nothing of it by how
//! busy this machine is.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use mithaq_api::config::Link;
use mithaq_relay::{Emulator, Fate, Loss, Way};
use quinn::congestion::ControllerFactory;
use quinn_proto::{Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, StreamId};

use super::{Pace, PaceOfPeer};
use crate::peer::{endpoint, tests::pair, tls};

/// How large an alert is: a release of one indicator.
const ALERT_BYTES: usize = 600;

/// Between two alerts.
const ALERT_EVERY: Duration = Duration::from_millis(250);

/// The beginning of a transfer, which is not measured: a rate needs some round trips to be reached, or found too high.
const WARM_UP: Duration = Duration::from_secs(3);

/// For how long a link is measured after that.
const TIME: Duration = Duration::from_secs(10);

/// The streams of a transfer, by the order in which they are opened and by priority.
const BULK: u64 = 0;
const ALERTS: u64 = 1;

/// What a link carried.
#[derive(Debug)]
struct Carried {
    /// Bits a second of a bulk and alerts.
    goodput: f64,
    /// How long alerts took meanwhile, sorted.
    alerts: Vec<Duration>,
}

impl Carried {
    fn median(&self) -> Duration {
        self.alerts[self.alerts.len() / 2]
    }
}

/// One end of a link.
struct Side {
    endpoint: Endpoint,
    address: SocketAddr,
    connection: Option<(ConnectionHandle, Connection)>,
    /// What is under way to it, by the time at which it comes and the order in which it was sent.
    inbox: BTreeMap<(Instant, u64), Vec<u8>>,
    /// The way that it sends over.
    way: Emulator,
}

impl Side {
    fn new(server: Option<quinn::ServerConfig>, port: u16, way: Emulator) -> Self {
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server.map(Arc::new), true, Some([7; 32]));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { endpoint, address, connection: None, inbox: BTreeMap::new(), way }
    }

    /// Takes all that has come and does what is due.
    fn handle(&mut self, now: Instant, from: SocketAddr) {
        let mut buffer = Vec::new();
        while let Some(entry) = self.inbox.first_entry().filter(|entry| entry.key().0 <= now) {
            let datagram = BytesMut::from(&entry.remove()[..]);
            match self.endpoint.handle(now, from, None, None, datagram, &mut buffer) {
                Some(DatagramEvent::NewConnection(incoming)) => {
                    self.connection = self.endpoint.accept(incoming, now, &mut buffer, None).ok();
                }
                Some(DatagramEvent::ConnectionEvent(_, event)) => {
                    if let Some((_, connection)) = &mut self.connection {
                        connection.handle_event(event);
                    }
                }
                _ => {}
            }
        }
        let Some((handle, connection)) = &mut self.connection else { return };
        if connection.poll_timeout().is_some_and(|due| due <= now) {
            connection.handle_timeout(now);
        }
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while connection.poll().is_some() {}
    }

    /// When it has something to do next.
    fn due(&mut self) -> Option<Instant> {
        let datagram = self.inbox.keys().next().map(|(at, _)| *at);
        let timeout = self.connection.as_mut().and_then(|(_, connection)| connection.poll_timeout());
        datagram.into_iter().chain(timeout).min()
    }

    fn stream(&self, number: u64) -> StreamId {
        StreamId::new(quinn::Side::Client, Dir::Uni, number)
    }

    /// Writes as much to a stream as it takes.
    fn write(&mut self, stream: StreamId, bytes: usize) {
        let (_, connection) = self.connection.as_mut().unwrap();
        let _ = connection.send_stream(stream).write_chunks(&mut [Bytes::from(vec![0; bytes])]);
    }

    /// Reads all that has come on a stream: how many bytes.
    fn read(&mut self, stream: StreamId) -> usize {
        let Some((_, connection)) = &mut self.connection else { return 0 };
        let mut bytes = 0;
        let mut stream = connection.recv_stream(stream);
        let Ok(mut chunks) = stream.read(true) else { return 0 };
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            bytes += chunk.bytes.len();
        }
        let _ = chunks.finalize();
        bytes
    }
}

/// A sender, a receiver and the link between them.
struct Transfer {
    sides: [Side; 2],
    started: Instant,
    now: Instant,
    datagrams: u64,
}

impl Transfer {
    /// Dials over a link that is the same both ways.
    fn dial(way: Way, pace: &PaceOfPeer) -> Self {
        let (a, b) = pair();
        let (client, _) = tls::client(&a.node.identity(), &b.card(), endpoint::transport(pace)).unwrap();
        let server = tls::server(&b.node, endpoint::transport(&PaceOfPeer::default())).unwrap();
        let now = Instant::now();
        let mut sides = [Side::new(None, 1, Emulator::new(way, 1)), Side::new(Some(server), 2, Emulator::new(way, 2))];
        let to = sides[1].address;
        sides[0].connection = Some(sides[0].endpoint.connect(now, client, to, "mithaq").unwrap());
        let mut transfer = Self { sides, started: now, now, datagrams: 0 };
        while !transfer.is_up() {
            transfer.step(now + Duration::from_secs(60));
        }
        // The server asks the node that dials for its card.
        drop((a, b));
        transfer
    }

    fn is_up(&self) -> bool {
        self.sides
            .iter()
            .all(|side| side.connection.as_ref().is_some_and(|(_, connection)| !connection.is_handshaking()))
    }

    /// Does what is due, and goes on to the next time at which something is, `until` at the latest.
    fn step(&mut self, until: Instant) {
        for sender in [0, 1] {
            let from = self.sides[1 - sender].address;
            self.sides[sender].handle(self.now, from);
            self.transmit(sender);
        }
        let due = self.sides.iter_mut().filter_map(Side::due).min().unwrap_or(until);
        self.now = due.clamp(self.now + Duration::from_micros(1), until.max(self.now + Duration::from_micros(1)));
    }

    fn transmit(&mut self, sender: usize) {
        let mut buffer = Vec::new();
        let Some((_, connection)) = &mut self.sides[sender].connection else { return };
        let mut sent = Vec::new();
        while let Some(transmit) = connection.poll_transmit(self.now, 1, &mut buffer) {
            sent.push(buffer[..transmit.size].to_vec());
            buffer.clear();
        }
        for datagram in sent {
            let fate = self.sides[sender].way.admit(self.now - self.started, datagram.len());
            if let Fate::Arrives { at, .. } = fate {
                self.datagrams += 1;
                self.sides[1 - sender].inbox.insert((self.started + at, self.datagrams), datagram);
            }
        }
    }

    /// Sends a bulk with alerts.
    fn load(&mut self, time: Duration) -> Carried {
        let begun = self.now;
        let streams = [BULK, ALERTS].map(|number| {
            let (_, connection) = self.sides[0].connection.as_mut().unwrap();
            let stream = connection.streams().open(Dir::Uni).unwrap();
            connection.send_stream(stream).set_priority(i32::try_from(number).unwrap()).unwrap();
            assert_eq!(stream, self.sides[0].stream(number));
            stream
        });
        let (mut bulk_bytes, mut alert_bytes, mut sent, mut taken) = (0, 0, Vec::new(), Vec::new());
        let end = begun + WARM_UP + time;
        while self.now < end {
            self.sides[0].write(streams[0], 64 * 1024);
            if begun + ALERT_EVERY * u32::try_from(sent.len()).unwrap() <= self.now {
                self.sides[0].write(streams[1], ALERT_BYTES);
                sent.push(self.now);
            }
            let next_alert = begun + ALERT_EVERY * u32::try_from(sent.len()).unwrap();
            self.step(next_alert);
            let [bulk, alerts] = streams.map(|stream| self.sides[1].read(stream));
            alert_bytes += alerts;
            let arrived = &sent[taken.len()..alert_bytes / ALERT_BYTES];
            taken.extend(arrived.iter().map(|at| (*at, self.now - *at)));
            if self.now >= begun + WARM_UP {
                bulk_bytes += bulk + alerts;
            }
        }
        let late = |(at, took): (Instant, Duration)| (at >= begun + WARM_UP).then_some(took);
        let mut alerts: Vec<_> = taken.into_iter().filter_map(late).collect();
        alerts.sort();
        let goodput = f64::from(u32::try_from(bulk_bytes).unwrap()) * 8.0 / time.as_secs_f64();
        Carried { goodput, alerts }
    }
}

fn way(rate: u64, round_trip_ms: u64, loss: Loss) -> Way {
    Way { rate: Some(rate), delay: Duration::from_millis(round_trip_ms / 2), loss, ..Way::default() }
}

fn link(rate: &str) -> Link {
    Link { rate: rate.parse().unwrap(), round_trip: None }
}

/// A pace of this rate, and the place in which a connection finds it.
fn at_rate(rate: &str) -> (Arc<Pace>, PaceOfPeer) {
    let pace = Arc::new(Pace::new(Some(&link(rate))));
    (Arc::clone(&pace), PaceOfPeer::known(pace))
}

/// Loads a link of this rate that was configured as it is: the share of the rate that carried something, and the
/// median alert.
fn load(rate: &str, round_trip_ms: u64, loss: Loss) -> (f64, Duration) {
    let bits = rate.parse::<mithaq_api::config::Rate>().unwrap().bits_per_second();
    let carried = Transfer::dial(way(bits, round_trip_ms, loss), &at_rate(rate).1).load(TIME);
    (carried.goodput / f64::from(u32::try_from(bits).unwrap()), carried.median())
}

#[tokio::test]
async fn a_configured_rate_is_carried_whatever_is_lost_and_alerts_do_not_wait() {
    let check = |rate: &str, round_trip_ms: u64, loss: Loss, least: f64, slack_ms: u64| {
        let (share, alert) = load(rate, round_trip_ms, loss);
        assert!(share >= least, "{rate}, {round_trip_ms} ms, {loss:?}: {share:.3} of the rate");
        let longest = Duration::from_millis(round_trip_ms / 2 + slack_ms);
        assert!(alert <= longest, "{rate}, {round_trip_ms} ms, {loss:?}: an alert took {alert:?}");
    };
    check("10Mbit/s", 100, Loss::None, 0.85, 10);
    check("10Mbit/s", 600, Loss::Random(0.01), 0.80, 20);
    check("2Mbit/s", 300, Loss::Random(0.03), 0.75, 30);
    check("10Mbit/s", 150, Loss::Bursts { share: 0.02, length: 8.0 }, 0.70, 20);
    // A packet takes 45 ms to be sent.
    check("256kbit/s", 600, Loss::Random(0.05), 0.60, 200);
}

#[tokio::test]
async fn a_rate_beyond_the_link_fills_no_queue() {
    let slow = Way { queue: Duration::from_secs(2), ..way(1_000_000, 60, Loss::None) };
    let carried = Transfer::dial(slow, &at_rate("8Mbit/s").1).load(TIME);
    assert!(carried.goodput > 0.8e6, "{carried:?}");
    // One way is 30 ms; the window of the configured rate would keep a queue of 400 ms.
    assert!(carried.median() < Duration::from_millis(150), "{carried:?}");
}

#[tokio::test]
async fn a_rate_below_the_link_is_kept_and_changes_under_way() {
    let (pace, place) = at_rate("1Mbit/s");
    let mut transfer = Transfer::dial(way(20_000_000, 60, Loss::None), &place);
    let window = |transfer: &mut Transfer| transfer.sides[0].connection.as_mut().unwrap().1.stats().path.cwnd;
    let carried = transfer.load(TIME);
    assert!((0.75e6..1.05e6).contains(&carried.goodput), "{carried:?}");
    let before = window(&mut transfer);
    pace.set(Some(&link("4Mbit/s")));
    let after = window(&mut transfer);
    assert!((before * 39 / 10..before * 41 / 10).contains(&after), "{before} bytes, then {after}");
}

#[tokio::test]
async fn a_connection_goes_by_a_rate_once_its_peer_is_known() {
    let (now, place) = (Instant::now(), PaceOfPeer::default());
    let mut controller = Arc::new(place.clone()).build(now, 1_200);
    let unpaced = controller.window();
    let trip = Duration::from_secs(1);
    let pace = Arc::new(Pace::new(Some(&Link { round_trip: Some(trip), ..link("8Mbit/s") })));
    place.tell(Arc::clone(&pace));
    // A megabyte, fifteen sixteenths of it, less the headers.
    assert_eq!(controller.window(), 901_442);
    assert_eq!(controller.clone_box().window(), controller.window());
    controller.on_congestion_event(now, now, true, 500_000);
    assert_eq!(controller.window(), 901_442, "a cut says nothing of the rate");
    pace.set(None);
    assert!(controller.window() <= unpaced);
    pace.set(Some(&link("8kbit/s")));
    assert_eq!(controller.initial_window(), 12_000);
}

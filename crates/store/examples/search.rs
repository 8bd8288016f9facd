//! Measures searches of a store of made-up indicators: `search OBJECTS FOLDER`.
//!
//! The folder is made, used and left behind for a look at it; if it is there already, its store is searched as it is.

// A program for developers.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use std::{
    env,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::{Duration, Instant},
};

use mithaq_core::{
    body::Body,
    id::{CertId, sha256, to_hex},
    keys::SecretKey,
    label::{Category, Label},
    release::{ReleaseDraft, VerifiedRelease},
    stix::{Network, Object, Observable, ObservableKind, Tlp},
    time::Time,
};
use mithaq_store::{Arrival, Batch, Options, Query, SledStore, Store};

const PUSH: u64 = 1_000;
const QUESTIONS: u64 = 300;
const PAGE: usize = 100;

fn main() {
    let mut arguments = env::args().skip(1);
    let objects: u64 = arguments.next().unwrap().parse().unwrap();
    let dir = PathBuf::from(arguments.next().unwrap());
    let is_new = !dir.exists();
    let store = SledStore::open(&dir, Options::default()).unwrap();
    if is_new {
        fill(&store, objects);
    }
    drop(store);
    let store = SledStore::open(&dir, Options::default()).unwrap();
    let stats = store.stats();
    println!("{} objects, {} bytes on disk each", stats.objects, stats.disk_bytes / stats.objects.max(1));
    let net = |address: Ipv4Addr, length| Query::Network(Network::new(IpAddr::V4(address), length).unwrap());
    let of = |number: u64| address(number * 7_919 % objects);
    measure(&store, "a value, exact", |number| vec![Query::Value(domain(number * 7_919 % objects))]);
    measure(&store, "an address and what contains it", |number| vec![net(of(number), 32)]);
    measure(&store, "CIDR /24", |number| vec![net(of(number), 24)]);
    measure(&store, "CIDR /16", |number| vec![net(of(number), 16)]);
    measure(&store, "CIDR /8", |number| vec![net(of(number), 8)]);
    measure(&store, "0.0.0.0/0", |_| vec![net(Ipv4Addr::UNSPECIFIED, 0)]);
    measure(&store, "below a domain", |number| vec![Query::Below(zone(number * 7_919 % objects))]);
    measure(&store, "below .com", |_| vec![Query::Below("com".to_owned())]);
    measure(&store, "an address that is nowhere", |number| {
        vec![net(Ipv4Addr::from_bits(0xf000_0000 + u32::try_from(number).unwrap()), 32)]
    });
}

fn fill(store: &SledStore, objects: u64) {
    let key = SecretKey::from_seed(&[7; 32]).unwrap();
    let mut time = Duration::ZERO;
    for first in (0..objects).step_by(usize::try_from(PUSH).unwrap()) {
        let bodies: Vec<_> = (first..(first + PUSH).min(objects)).map(body).collect();
        let contents = bodies.iter().map(Body::id).collect();
        let draft = ReleaseDraft::publish(Label::new(Tlp::Green, Category::Threat), contents, Time::from_micros(0));
        let release = VerifiedRelease::sign(CertId::from_bytes([1; 32]), &key, draft).unwrap();
        let batch = Batch { arrivals: vec![Arrival { release, bodies }], ..Batch::default() };
        let started = Instant::now();
        store.commit(batch, Time::from_micros(0)).unwrap();
        time += started.elapsed();
    }
    println!("{:.0} objects a second", objects as f64 / time.as_secs_f64());
}

/// Asks for a first page again and again, each time about something else.
fn measure(store: &SledStore, what: &str, question: impl Fn(u64) -> Vec<Query>) {
    let (mut times, mut found) = (Vec::new(), 0);
    for number in 0..QUESTIONS {
        let any = question(number);
        let started = Instant::now();
        found += store.find(&any, None, PAGE).unwrap().found.len();
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let ms = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1_000.0;
    let found = found as f64 / QUESTIONS as f64;
    println!("{what:32} p50 {:8.3} ms  p99 {:8.3} ms  {found:6.1} found", ms(50), ms(99));
}

fn draw(number: u64) -> [u8; 32] {
    sha256(&number.to_be_bytes())
}

fn address(number: u64) -> Ipv4Addr {
    let drawn = draw(number);
    // As feeds have it: some networks are crowded.
    let crowded = if drawn[4] < 128 { drawn[0] % 8 + 40 } else { drawn[0] % 220 + 1 };
    Ipv4Addr::new(crowded, drawn[1], drawn[2], drawn[3])
}

/// A zone in which a few tens of hosts lie.
fn zone(number: u64) -> String {
    let drawn = draw(number % 20_000 + 1_000_000_000);
    let end = ["com", "net", "org", "info", "top", "xyz", "example"][usize::from(drawn[0]) % 7];
    format!("{}.{end}", to_hex(&drawn[1..6]))
}

fn domain(number: u64) -> Observable {
    let name = format!("{}.{}", to_hex(&draw(number)[..4]), zone(number));
    Observable::new(ObservableKind::Domain, &name).unwrap()
}

/// Of ten objects, five have a domain, three an address, one a URL on an address, one a network or a hash.
fn body(number: u64) -> Body {
    let drawn = draw(number);
    let hex = to_hex(&drawn);
    let pattern = match number % 10 {
        0..5 => format!("domain-name:value = '{}'", domain(number).value),
        5..8 => format!("ipv4-addr:value = '{}'", address(number)),
        8 => format!("url:value = 'http://{}:8080/{}'", address(number), &hex[..6]),
        _ if drawn[5] < 32 => format!("ipv4-addr:value = '{}/{}'", address(number), drawn[6] % 17 + 12),
        _ => format!("file:hashes.'SHA-256' = '{hex}'"),
    };
    let uuid = format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    let time = format!("2026-03-{:02}T{:02}:{:02}:00.000Z", number % 28 + 1, drawn[0] % 24, drawn[1] % 60);
    let family = ["Emberhound", "QuietLatch", "GlassRook", "TarnSpider", "PaleCourier", "Ironmoth"];
    let family = family[usize::from(drawn[2]) % family.len()];
    let text = format!(
        r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--{uuid}","created":"{time}","modified":"{time}","name":"C2 of {family}","description":"Observed value resolved by {family} in case {number}, {} partner reports.","indicator_types":["malicious-activity"],"pattern":"[{pattern}]","pattern_type":"stix","valid_from":"{time}","valid_until":"2027-03-01T00:00:00.000Z","labels":["botnet","c2"],"confidence":{},"kill_chain_phases":[{{"kill_chain_name":"lockheed-martin-cyber-kill-chain","phase_name":"command-and-control"}}],"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}}"#,
        drawn[3] % 9 + 1,
        drawn[4] % 100,
    );
    Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap()
}

//! What every store owes a search.

use std::net::Ipv4Addr;

use mithaq_core::{
    body::Body,
    id::ContentId,
    stix::{Network, Object, Observable, ObservableKind, Place as Lies},
    words,
};

use super::{is_misuse, purge, push, time};
use crate::{
    contract::Store,
    query::{FIND_QUERIES_MAX, Place, Query},
};

pub(super) fn run<S: Store>(open: &impl Fn() -> S) {
    a_network_finds_what_is_in_it_and_what_contains_it(&open());
    a_name_finds_what_lies_at_it_and_below_it(&open());
    words_and_translations_are_found(&open());
    pages_find_everything_once(&open());
    what_is_gone_is_not_found(&open());
}

/// Object number `number`, with these members beside those that every object has.
#[must_use]
pub fn object(object_type: &str, number: u32, members: &str) -> Body {
    let text = format!(
        r#"{{"type":"{object_type}","spec_version":"2.1","id":"{object_type}--{number:08x}-17d4-4cbf-938f-98ee46b3cd3f",
        "created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",{members}}}"#
    );
    Body::of(&Object::parse(text.as_bytes()).expect("an object")).expect("a body")
}

/// An indicator of addresses, networks, domains and URLs.
#[must_use]
pub fn indicator_of(number: u32, values: &[&str]) -> Body {
    let compare = |value: &&str| {
        let path = match value {
            _ if value.contains("://") => "url",
            _ if value.contains('@') => "email-addr",
            _ if value.contains(':') => "ipv6-addr",
            _ if value.starts_with(|c: char| c.is_ascii_digit()) => "ipv4-addr",
            _ => "domain-name",
        };
        format!("{path}:value = '{value}'")
    };
    let pattern = values.iter().map(compare).collect::<Vec<_>>().join(" OR ");
    let members =
        format!(r#""pattern":"[{pattern}]","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","name":"n""#);
    object("indicator", number, &members)
}

/// The network that a text writes.
#[must_use]
pub fn network(text: &str) -> Network {
    match Observable::new(ObservableKind::Ipv4, text).as_ref().and_then(Observable::place) {
        Some(Lies::Network(network)) => network,
        _ => panic!("{text} is no network"),
    }
}

/// Everything that a search finds, `limit` at a time.
#[must_use]
pub fn find_all(store: &impl Store, any: &[Query], limit: usize) -> Vec<ContentId> {
    let (mut after, mut all): (Option<Place>, _) = (None, Vec::new());
    loop {
        let page = store.find(any, after.as_ref(), limit).unwrap();
        assert!(page.found.len() <= limit, "{page:?}");
        all.extend(page.found.iter().map(|found| found.content));
        let Some(next) = page.next else { return all };
        assert_ne!(Some(&next), after.as_ref(), "a page that goes nowhere");
        after = Some(Place::from_bytes(next.as_bytes().to_vec()));
    }
}

/// The numbers of the bodies that a search finds.
#[track_caller]
fn check(store: &impl Store, bodies: &[Body], query: Query, expect: &[usize]) {
    let found = find_all(store, std::slice::from_ref(&query), 10);
    let mut places: Vec<_> =
        found.iter().map(|id| bodies.iter().position(|body| body.id() == *id).expect("a body of ours")).collect();
    places.sort_unstable();
    assert_eq!(places, expect, "{query:?}");
}

fn commit(store: &impl Store, values: &[&[&str]]) -> Vec<Body> {
    let bodies: Vec<_> = (0..).zip(values).map(|(number, values)| indicator_of(number, values)).collect();
    store.commit(push(bodies.clone(), 0), time(0)).unwrap();
    bodies
}

fn a_network_finds_what_is_in_it_and_what_contains_it(store: &impl Store) {
    let bodies = commit(
        store,
        &[
            &["10.0.0.1"],
            &["10.1.0.0/16"],
            &["10.255.255.255", "192.0.2.1"],
            &["0.0.0.0/0"],
            &["http://10.1.2.3:8080/x"],
            &["2001:db8::1", "11.0.0.0"],
            &["2001:db8::/32"],
            &["http://[2001:db8::2]/"],
            &["a.example"],
        ],
    );
    let net = |text| Query::Network(network(text));
    check(store, &bodies, net("10.0.0.0/8"), &[0, 1, 2, 3, 4]);
    check(store, &bodies, net("10.1.2.3"), &[1, 3, 4]);
    check(store, &bodies, net("10.1.2.0/24"), &[1, 3, 4]);
    check(store, &bodies, net("0.0.0.0/0"), &[0, 1, 2, 3, 4, 5]);
    check(store, &bodies, net("192.0.2.1"), &[2, 3]);
    check(store, &bodies, net("172.16.0.0/12"), &[3]);
    check(store, &bodies, net("2001:db8::1"), &[5, 6]);
    check(store, &bodies, net("2001:db8::/126"), &[5, 6, 7]);
    check(store, &bodies, net("::/0"), &[5, 6, 7]);
    check(store, &bodies, net("2001:db9::/32"), &[]);
    let value = |text| Query::Value(Observable::new(ObservableKind::Ipv4, text).expect("an address"));
    check(store, &bodies, value("10.1.2.3"), &[]);
    check(store, &bodies, value("10.0.0.1"), &[0]);
    check(store, &bodies, value("0.0.0.0/0"), &[3]);
    check(store, &bodies, value("2001:db8::/32"), &[6]);
    assert_eq!(store.observed(&network("10.0.0.1").observable(), 10).unwrap(), [bodies[0].id()]);
}

fn a_name_finds_what_lies_at_it_and_below_it(store: &impl Store) {
    let bodies = commit(
        store,
        &[
            &["evil.example"],
            &["www.evil.example"],
            &["a.b.c.evil.example"],
            &["https://evil.example/x"],
            &["https://b.c.evil.example/y", "d.c.evil.example"],
            &["x@www.evil.example"],
            &["notevil.example"],
            &["evil.test", "1.evil.example.test"],
        ],
    );
    let below = |name: &str| Query::Below(name.to_owned());
    let host = |name: &str| Query::Host(name.to_owned());
    check(store, &bodies, below("evil.example"), &[1, 2, 4, 5]);
    check(store, &bodies, below("c.evil.example"), &[2, 4]);
    check(store, &bodies, below("b.c.evil.example"), &[2]);
    check(store, &bodies, below("example"), &[0, 1, 2, 3, 4, 5, 6]);
    check(store, &bodies, below("vil.example"), &[]);
    check(store, &bodies, below("test"), &[7]);
    check(store, &bodies, host("evil.example"), &[0, 3]);
    check(store, &bodies, host("www.evil.example"), &[1, 5]);
    check(store, &bodies, host("b.c.evil.example"), &[4]);
    check(store, &bodies, host("example"), &[]);
    let domain = Observable::new(ObservableKind::Domain, "evil.example").expect("a domain");
    check(store, &bodies, Query::Value(domain.clone()), &[0]);
    assert_eq!(store.observed(&domain, 10).unwrap(), [bodies[0].id()]);
}

fn words_and_translations_are_found(store: &impl Store) {
    let id = object("malware", 0, r#""name":"x","is_family":true"#).facts().stix_id.clone();
    let bodies = [
        object("malware", 0, r#""name":"LockBit Black","is_family":true"#),
        object("malware", 1, r#""name":"Black Basta","is_family":true,"description":"not lockbit""#),
        object("language-content", 2, &format!(r#""object_ref":"{id}","contents":{{"fa":{{"name":"لاک‌بیت"}}}}"#)),
        indicator_of(3, &["black.example"]),
    ];
    store.commit(push(bodies.to_vec(), 0), time(0)).unwrap();
    let text = |text| Query::Words(words::of_query(text));
    check(store, &bodies, text("black"), &[0, 1]);
    check(store, &bodies, text("BLACK lockbit"), &[0, 1]);
    check(store, &bodies, text("basta black"), &[1]);
    check(store, &bodies, text("basta lockbit bit"), &[]);
    check(store, &bodies, text("لاک‌بیت"), &[2]);
    check(store, &bodies, Query::Words(Vec::new()), &[]);
    check(store, &bodies, Query::Translations(id), &[2]);
    check(store, &bodies, Query::Translations(bodies[1].facts().stix_id.clone()), &[]);
}

fn pages_find_everything_once(store: &impl Store) {
    let address = |number: u32| Ipv4Addr::from_bits(0x0a00_0000 + number * 77).to_string();
    let mut bodies = Vec::new();
    for round in 0..5_u32 {
        let numbers = round * 40..round * 40 + 40;
        // Each carries two of the addresses and one that all carry.
        let values = numbers.map(|number| (number, [address(number), address(number + 1), "10.9.9.9".to_owned()]));
        let made = values.map(|(number, values)| indicator_of(number, &values.each_ref().map(String::as_str)));
        bodies.extend(made);
        store.commit(push(bodies[bodies.len() - 40..].to_vec(), round.into()), time(round.into())).unwrap();
    }
    let mut expected: Vec<_> = bodies.iter().map(Body::id).collect();
    expected.sort_unstable();
    let net = Query::Network(network("10.0.0.0/8"));
    let one = Query::Value(network("10.9.9.9").observable());
    for any in [vec![net.clone()], vec![one.clone()], vec![one, net.clone()]] {
        for limit in [1, 7, 200, usize::MAX] {
            let mut found = find_all(store, &any, limit);
            found.sort_unstable();
            assert_eq!(found, expected, "{any:?}, {limit} at a time");
        }
    }
    assert_eq!(store.find(&[], None, 10).unwrap().found, []);
    assert!(is_misuse(&store.find(&vec![net; FIND_QUERIES_MAX + 1], None, 10)));
}

fn what_is_gone_is_not_found(store: &impl Store) {
    let bodies = commit(store, &[&["10.0.0.1"], &["10.0.0.2"], &["10.0.0.3"]]);
    store.commit(purge(Vec::new(), vec![bodies[1].id()]), time(1)).unwrap();
    check(store, &bodies, Query::Network(network("10.0.0.0/24")), &[0, 2]);
    store.commit(super::stage(vec![indicator_of(9, &["10.0.0.9"])]), time(2)).unwrap();
    check(store, &bodies, Query::Network(network("10.0.0.0/24")), &[0, 2]);
}

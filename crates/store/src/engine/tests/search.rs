//! Every search of a store equals a look at everything that was put into it, however the index lies on the disk.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::{
    conformance::search::{find_all, indicator_of, network},
    query::Query,
};

/// A value out of few, so that they share networks and names.
fn value() -> impl Strategy<Value = String> {
    let label = || prop::sample::select(vec!["a", "b", "evil", "example", "test"]);
    let name = prop::collection::vec(label(), 1..6).prop_map(|labels| labels.join("."));
    let name = prop_oneof![name.clone(), Just("evil.example".to_owned())];
    let v4 = (0..8_u32, 0..4_u32).prop_map(|(high, low)| Ipv4Addr::from_bits(0x0a00_0000 + (high << 20) + low));
    let v6 =
        (0..4_u128, 0..4_u128).prop_map(|(high, low)| Ipv6Addr::from_bits((0x2001_0db8 << 96) + (high << 30) + low));
    prop_oneof![
        v4.clone().prop_map(|address| address.to_string()),
        (v4.clone(), 0..=32_u8).prop_map(|(address, length)| format!("{address}/{length}")),
        v6.clone().prop_map(|address| address.to_string()),
        (v6.clone(), 0..=128_u8).prop_map(|(address, length)| format!("{address}/{length}")),
        name.clone(),
        (v4, 0..3_u8).prop_map(|(address, path)| format!("http://{address}/{path}")),
        (v6, 0..3_u8).prop_map(|(address, path)| format!("http://[{address}]/{path}")),
        (name.clone(), 0..3_u8).prop_map(|(name, path)| format!("https://{name}/{path}")),
        name.prop_filter("a mail domain has a dot", |name| name.contains('.')).prop_map(|name| format!("x@{name}")),
    ]
}

/// The first and last address of a value, with their family, as numbers.
fn reach(value: &str) -> Option<(bool, u128, u128)> {
    let host = value.split_once("://").map_or(value, |(_, rest)| rest.split('/').next().unwrap());
    let is_url = host != value;
    let (address, length) = match host.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().unwrap())),
        None => (host.trim_matches(['[', ']']), None),
    };
    let (is_v4, bits, number) = match address.parse::<std::net::IpAddr>().ok()? {
        std::net::IpAddr::V4(address) => (true, 32, u128::from(address.to_bits())),
        std::net::IpAddr::V6(address) => (false, 128, address.to_bits()),
    };
    let host_bits = if is_url { 0 } else { bits - length.unwrap_or(bits) };
    let ones = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
    Some((is_v4, number & !ones, number | ones))
}

/// The name that a value lies at.
fn name_of(value: &str) -> Option<&str> {
    let host = value.split_once("://").map_or(value, |(_, rest)| rest.split('/').next().unwrap());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (reach(value).is_none() && !host.contains('/')).then_some(host)
}

/// Whether a search for `asked` in its widest sense finds a value.
fn is_near(asked: &str, below: bool, value: &str) -> bool {
    match (reach(asked), reach(value)) {
        (Some((v4, first, last)), Some((other, from, to))) => v4 == other && first <= to && from <= last,
        (None, None) => match (name_of(asked), name_of(value)) {
            (Some(asked), Some(name)) if below => name.ends_with(&format!(".{asked}")),
            (Some(asked), Some(name)) => name == asked,
            _ => false,
        },
        _ => false,
    }
}

fn query_of(asked: &str, below: bool) -> Query {
    match reach(asked) {
        Some(_) => Query::Network(network(
            asked.split_once("://").map_or(asked, |(_, rest)| rest.split('/').next().unwrap().trim_matches(['[', ']'])),
        )),
        None if below => Query::Below(name_of(asked).unwrap().to_owned()),
        None => Query::Host(name_of(asked).unwrap().to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_search_equals_a_look_at_everything(
        objects in prop::collection::vec(prop::collection::vec(value(), 1..4), 1..60),
        asked in prop::collection::vec((value(), any::<bool>(), 1..20_usize), 1..12),
        is_tiny: bool,
        rebuilds: bool,
    ) {
        let options = if is_tiny { tiny() } else { lazy() };
        let mut temporary = Temporary::new(options.clone());
        let model = MemoryStore::new(temporary.store().id());
        let made = |(number, values): (u32, &Vec<String>)| {
            indicator_of(number, &values.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let bodies: Vec<_> = (0..).zip(&objects).map(made).collect();
        for (salt, bodies) in (0..).zip(bodies.chunks(7)) {
            temporary.store().commit(push(bodies.to_vec(), salt), time(salt)).unwrap();
            model.commit(push(bodies.to_vec(), salt), time(salt)).unwrap();
        }
        if rebuilds {
            assert_same_reopened(&mut temporary, &options, &model, true);
        }
        for (value, below, limit) in &asked {
            let is_found = |values: &&Vec<String>| values.iter().any(|found| is_near(value, *below, found));
            let found = objects.iter().zip(&bodies).filter(|(values, _)| is_found(values));
            let mut expected: Vec<_> = found.map(|(_, body)| body.id()).collect();
            expected.sort_unstable();
            let query = query_of(value, *below);
            let mut found = find_all(temporary.store(), std::slice::from_ref(&query), *limit);
            let mut modelled = find_all(&model, std::slice::from_ref(&query), *limit);
            found.sort_unstable();
            modelled.sort_unstable();
            prop_assert_eq!(&found, &expected, "{:?}", query);
            prop_assert_eq!(&modelled, &expected, "{:?}", query);
        }
    }
}

#[test]
fn a_page_of_a_hostile_search_is_bounded_and_goes_on() {
    let temporary = Temporary::new(lazy());
    for (salt, numbers) in (0..).zip([0..1_000, 1_000..2_000]) {
        let many = numbers.map(|number| indicator_of(number, &[&format!("h{number}.a.b.evil.example")])).collect();
        temporary.store().commit(push(many, salt), time(salt)).unwrap();
    }
    // All of them share the labels that order keys, and none is below the name that is asked for.
    let query = [Query::Below("c.a.b.evil.example".to_owned())];
    let page = temporary.store().find(&query, None, 1_000).unwrap();
    assert!(page.found.is_empty() && page.next.is_some(), "{page:?}");
    assert_eq!(find_all(temporary.store(), &query, 1_000), []);
    assert_eq!(find_all(temporary.store(), &[Query::Below("example".to_owned())], 1_000).len(), 2_000);
}

#[test]
fn a_place_of_another_search_leads_nowhere_and_what_is_no_place_is_refused() {
    let temporary = Temporary::new(tiny());
    let bodies: Vec<_> = (0..60).map(|number| indicator_of(number, &[&format!("10.0.0.{number}")])).collect();
    temporary.store().commit(push(bodies, 0), time(0)).unwrap();
    let query = [Query::Network(network("10.0.0.0/24"))];
    let place = |bytes: &[u8]| crate::query::Place::from_bytes(bytes.to_vec());
    for bytes in [&[][..], &[0], &[0; 3], &[0; 25], &[0; 27], &[7; 4096]] {
        let answer = temporary.store().find(&query, Some(&place(bytes)), 10);
        assert!(matches!(answer, Err(StoreError::Misuse { .. })), "{bytes:?}: {answer:?}");
    }
    // Whatever else they say, they find what is searched for, or nothing.
    for bytes in [vec![0; 26], vec![0xff; 26], [&[0, 0][..], &[0xff; 24]].concat(), vec![0, 200], vec![0, 0]] {
        let page = temporary.store().find(&query, Some(&place(&bytes)), 100).unwrap();
        assert!(matches!(page.found.len(), 0 | 60), "{bytes:?} finds {}", page.found.len());
    }
}

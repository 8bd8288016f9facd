//! Keys that lie in the order of networks and of domain names, so that what a network or a name spans is one range.
//!
//! Each observable has exactly one key that leads to it alone (and to what the cut hashes in it confuse with it). That
//! of an address, a network or whatever lies at a domain name is ordered, in place of a hash; so ranges cost no second
//! posting, but for URLs on IPv4 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mithaq_core::{
    id::sha256_of,
    stix::observable::{Network, Observable, ObservableKind, Place},
};

use super::table::{Key, Table, cut, term_key};
use crate::query::{Query, Term};

/// Behind an address in the key of a URL: no network is so long.
const URL: u8 = 0xff;

/// How many bytes of an IPv6 address order its key; hashes tell apart what shares them.
const IPV6_ORDERED: usize = 12;

/// How many bytes of hash each part of a domain name has in a key: the last label, the last two, the last three, and,
/// if there are more, all.
const LABELS: [usize; 4] = [2, 3, 2, 1];

/// How many bytes of a name's key come before what tells values at it apart.
const NAME_BYTES: usize = 8;

/// Keys of one table from `first` to `last`, both of them included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) table: Table,
    pub(crate) first: Key,
    pub(crate) last: Key,
}

impl Span {
    fn of((table, key): (Table, Key)) -> Self {
        Self { table, first: key, last: key }
    }

    pub(crate) fn contains(&self, table: Table, key: &Key) -> bool {
        self.table == table && self.first <= *key && *key <= self.last
    }
}

/// The keys of what an object is found by: the one that leads to it alone, and a second one for a URL on an IPv4 address.
pub(crate) fn keys(term: &Term<'_>) -> (TableKey, Option<TableKey>) {
    let observable = match term {
        Term::Observable(observable) => observable,
        _ => return (term_key(term), None),
    };
    let exact = observable_key(observable);
    let is_hashed = exact.0 == Table::Observables;
    let second = observable.place().filter(|_| is_hashed).and_then(|place| match place {
        Place::Network(network) => Some(network.first()),
        Place::Name(_) => None,
    });
    match second {
        Some(IpAddr::V4(address)) => (exact, Some((Table::Ipv4, ipv4_key(address, URL)))),
        _ => (exact, None),
    }
}

/// A key and its table.
pub(crate) type TableKey = (Table, Key);

/// The key that leads to an observable.
pub(crate) fn observable_key(observable: &Observable) -> TableKey {
    let kind = observable.kind.as_str();
    let hash = sha256_of(&[kind.as_bytes(), &[0], observable.value.as_bytes()]);
    match observable.place() {
        Some(Place::Network(network)) => match network.first() {
            IpAddr::V6(address) => (Table::Ipv6, ipv6_key(address, &hash)),
            // Many URLs may lie on one address.
            IpAddr::V4(_) if observable.kind == ObservableKind::Url => hashed(&hash),
            IpAddr::V4(address) => (Table::Ipv4, ipv4_key(address, network.length())),
        },
        Some(Place::Name(name)) => {
            let mut key = name_key(&name);
            key[NAME_BYTES..Table::Names.key_bytes()].copy_from_slice(&hash[..Table::Names.key_bytes() - NAME_BYTES]);
            (Table::Names, key)
        }
        None => hashed(&hash),
    }
}

fn hashed(hash: &[u8; 32]) -> TableKey {
    (Table::Observables, cut(hash, Table::Observables))
}

fn ipv4_key(address: Ipv4Addr, behind: u8) -> Key {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&address.octets());
    key[4] = behind;
    key
}

/// The key of what lies at an IPv6 address: `behind` tells apart what shares the bytes that order it.
fn ipv6_key(address: Ipv6Addr, behind: &[u8]) -> Key {
    let mut key = [0; 16];
    key[..IPV6_ORDERED].copy_from_slice(&address.octets()[..IPV6_ORDERED]);
    key[IPV6_ORDERED..].copy_from_slice(&behind[..16 - IPV6_ORDERED]);
    key
}

/// The hashes of a name's last label, its last two, its last three and, if there are more, the whole name, cut and one
/// behind the other: what a name has below it has its bytes before it.
fn name_key(name: &str) -> Key {
    let mut key = [0; 16];
    let mut at = 0;
    let ends = name.rmatch_indices('.').map(|(dot, _)| &name[dot + 1..]).chain([name]);
    let labels = name.split('.').count();
    let suffixes = ends.enumerate().filter(|(place, _)| *place < LABELS.len() - 1 || place + 1 == labels);
    for ((_, suffix), bytes) in suffixes.zip(LABELS) {
        let hash = sha256_of(&[suffix.as_bytes()]);
        key[at..at + bytes].copy_from_slice(&hash[..bytes]);
        // Zeros mean that there is no such label.
        key[at] = key[at].max(1);
        at += bytes;
    }
    key
}

/// Everything at a name, or below it.
fn span_of_name(name: &str, is_below: bool) -> Span {
    let key = name_key(name);
    let labels = name.split('.').count();
    let ordered = match is_below {
        true => LABELS.iter().take(labels.min(LABELS.len() - 1)).sum(),
        false => NAME_BYTES,
    };
    let (mut first, mut last) = ([0; 16], [0; 16]);
    first[..ordered].copy_from_slice(&key[..ordered]);
    // What is at the name itself has a zero there.
    first[ordered] = u8::from(is_below);
    last[..Table::Names.key_bytes()].fill(0xff);
    last[..ordered].copy_from_slice(&key[..ordered]);
    Span { table: Table::Names, first, last }
}

/// What lies in a network, then each network that contains it, the narrowest first.
fn spans_of_network(network: &Network, spans: &mut Vec<Span>) {
    let (table, first, last) = match (network.first(), network.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (Table::Ipv4, ipv4_key(first, network.length()), ipv4_key(last, URL)),
        (IpAddr::V6(first), IpAddr::V6(last)) => (Table::Ipv6, ipv6_key(first, &[0; 4]), ipv6_key(last, &[0xff; 4])),
        // A network is of one family.
        _ => return,
    };
    spans.push(Span { table, first, last });
    spans.extend(network.wider().map(|wider| Span::of(observable_key(&wider.observable()))));
}

/// Where in the index everything lies that a query may be met by.
pub(crate) fn spans(query: &Query) -> Vec<Span> {
    let mut spans = Vec::new();
    match query {
        Query::Value(observable) => spans.push(Span::of(observable_key(observable))),
        Query::Network(network) => spans_of_network(network, &mut spans),
        Query::Host(name) => spans.push(span_of_name(name, false)),
        Query::Below(name) => spans.push(span_of_name(name, true)),
        Query::Words(words) => {
            let word = Query::leading_word(words).map(|word| term_key(&Term::Word(word)));
            spans.extend(word.map(Span::of));
        }
        Query::Translations(id) => spans.push(Span::of(term_key(&Term::Translates(id)))),
    }
    spans
}

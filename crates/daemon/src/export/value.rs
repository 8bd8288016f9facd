//! Values, each once, and what all who share one say of it together.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use mithaq_core::{
    id::CertId,
    stix::{
        marking::Tlp,
        observable::{Observable, ObservableKind as Kind},
    },
    time::Time,
};

/// What all who share a value say of it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The CERTs that share it, by their numbers in [`Certs`], ascending.
    pub(crate) certs: Vec<u32>,
    /// The strictest level at which it was shown.
    pub(crate) tlp: Tlp,
    /// The highest confidence that one of them states.
    pub(crate) confidence: Option<u8>,
    /// When it was first published, of what stands.
    pub(crate) earliest: Time,
    /// By whom; of several at one time by the CERT with the smaller id.
    pub(crate) first: CertId,
    /// When it was last published.
    pub(crate) newest: Time,
}

impl Word {
    /// Adds what others say.
    pub(crate) fn merge(&mut self, other: &Self) {
        for cert in &other.certs {
            if let Err(place) = self.certs.binary_search(cert) {
                self.certs.insert(place, *cert);
            }
        }
        self.tlp = self.tlp.max(other.tlp);
        self.confidence = self.confidence.max(other.confidence);
        (self.earliest, self.first) = (self.earliest, self.first).min((other.earliest, other.first));
        self.newest = self.newest.max(other.newest);
    }
}

/// The CERTs behind an export, numbered in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Certs {
    numbers: BTreeMap<CertId, u32>,
}

impl Certs {
    /// The number of a CERT.
    pub(crate) fn number(&mut self, cert: CertId) -> u32 {
        // Origins are peers and those that peers relay: far fewer than there are numbers.
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(cert).or_insert(next)
    }

    /// What people here call each, by number.
    pub(crate) fn names(&self, name: impl Fn(CertId) -> String) -> Names {
        let mut numbered: Vec<_> = self.numbers.iter().map(|(cert, number)| (*number, *cert)).collect();
        numbered.sort_unstable();
        Names(numbered.into_iter().map(|(_, cert)| (cert, name(cert))).collect())
    }
}

/// The names of CERTs by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<(CertId, String)>);

impl Names {
    /// The names behind a word, with `separator` between.
    pub(crate) fn of(&self, word: &Word, separator: &str) -> String {
        let name =
            |cert: &u32| usize::try_from(*cert).ok().and_then(|at| self.0.get(at)).map(|(_, name)| name.as_str());
        let mut names: Vec<&str> = word.certs.iter().filter_map(name).collect();
        names.sort_unstable();
        names.join(separator)
    }

    /// The name of one of these CERTs.
    pub(crate) fn of_cert(&self, cert: CertId) -> &str {
        self.0.iter().find(|(known, _)| *known == cert).map_or("", |(_, name)| name)
    }

    /// What is said of a value, in one line for people.
    pub(crate) fn describe(&self, word: &Word) -> String {
        let level = word.tlp.as_str().to_uppercase();
        let from = self.of(word, ", ");
        let confidence = word.confidence.map(|confidence| format!("; confidence {confidence}")).unwrap_or_default();
        let since = word.earliest.to_string();
        format!("TLP:{level} from {from}{confidence}; since {}", since.get(..10).unwrap_or(&since))
    }

    #[cfg(test)]
    pub(crate) fn for_test(names: &[&str]) -> Self {
        let cert = |number: u8| CertId::from_bytes([number; 32]);
        Self((0..).zip(names).map(|(number, name)| (cert(number), (*name).to_owned())).collect())
    }
}

/// A network that a value is, from its normal form.
pub(crate) fn network(value: &Observable) -> Option<(IpAddr, u8)> {
    match value.kind {
        Kind::Ipv4 => Some((value.value.parse().ok()?, 32)),
        Kind::Ipv6 => Some((value.value.parse().ok()?, 128)),
        Kind::Ipv4Cidr | Kind::Ipv6Cidr => {
            let (address, bits) = value.value.split_once('/')?;
            Some((address.parse().ok()?, bits.parse().ok()?))
        }
        _ => None,
    }
}

/// Whether so wide a network is nobody's, so that a list that blocks must not have it: the internet in a few rows.
pub(crate) fn is_too_wide(address: IpAddr, bits: u8) -> bool {
    match address {
        IpAddr::V4(_) => bits < 8,
        IpAddr::V6(_) => bits < 19,
    }
}

/// Whether an address is private, for documentation, or of no host at all: worth a second look in a list of threats.
pub(crate) fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(address) => is_special_v6(address),
    }
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_special(mapped.into());
    }
    let [first, second, ..] = address.segments();
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || (first == 0x2001 && second == 0x0db8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cert(number: u32) -> CertId {
        CertId::from_bytes([u8::try_from(number).unwrap(); 32])
    }

    fn word(certs: &[u32], tlp: Tlp, confidence: Option<u8>, at: i64) -> Word {
        let (earliest, newest, first) = (Time::from_micros(at), Time::from_micros(at), cert(certs[0]));
        Word { certs: certs.to_vec(), tlp, confidence, earliest, newest, first }
    }

    #[test]
    fn words_add_up_in_any_order() {
        let parts = [
            word(&[2], Tlp::Green, Some(30), 5),
            word(&[0, 2], Tlp::Amber, None, 3),
            word(&[1], Tlp::Clear, Some(80), 9),
        ];
        let sum = word(&[0, 1, 2], Tlp::Amber, Some(80), 3);
        // The first to publish it, and of those at one time the one with the smaller id, whatever its number is.
        let expect = Word { newest: Time::from_micros(9), first: cert(0), ..sum };
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut sum = parts[order[0]].clone();
            order[1..].iter().for_each(|part| sum.merge(&parts[*part]));
            assert_eq!(sum, expect);
        }
    }

    #[test]
    fn special_addresses_are_known() {
        for text in [
            "10.0.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "203.0.113.5",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "ff02::1",
        ] {
            assert!(is_special(text.parse().unwrap()), "{text}");
        }
        for text in ["8.8.8.8", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8"] {
            assert!(!is_special(text.parse().unwrap()), "{text}");
        }
    }
}

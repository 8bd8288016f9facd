//! Where an observable lies: in which network, or at which domain name.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{Observable, ObservableKind as Kind, defang::refang, normalise};

/// A network of addresses of one family. A single address is the network of all its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    first: IpAddr,
    length: u8,
}

/// How many bits an address has.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with its bits from `length` on cleared, and with them set.
fn ends(address: IpAddr, length: u8) -> (IpAddr, IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            let first = address.to_bits() & !host;
            (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | host).into())
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            let first = address.to_bits() & !host;
            (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | host).into())
        }
    }
}

impl Network {
    /// The network of the first `length` bits of an address; `None` if it has fewer.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        (length <= bits(address)).then(|| Self { first: ends(address, length).0, length })
    }

    /// Its first address, which has no bits set behind its length.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Its last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        ends(self.first, self.length).1
    }

    /// How many bits its addresses have in common.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether it is a single address.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.length == bits(self.first)
    }

    /// Whether all addresses of `other` are in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let same_family = self.first.is_ipv4() == other.first.is_ipv4();
        same_family && self.length <= other.length && ends(other.first, self.length).0 == self.first
    }

    /// Whether an address is in both: then one contains the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The other networks that contain it, the narrowest first: 32 or 128 at most.
    pub fn wider(self) -> impl Iterator<Item = Self> {
        (0..self.length).rev().map(move |length| Self { first: ends(self.first, length).0, length })
    }

    /// The observable that it is.
    #[must_use]
    pub fn observable(&self) -> Observable {
        let kind = match (self.first.is_ipv4(), self.is_address()) {
            (true, true) => Kind::Ipv4,
            (true, false) => Kind::Ipv4Cidr,
            (false, true) => Kind::Ipv6,
            (false, false) => Kind::Ipv6Cidr,
        };
        let value = if self.is_address() { self.first.to_string() } else { format!("{}/{}", self.first, self.length) };
        Observable { kind, value }
    }
}

/// Where an observable lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    /// It is an address or a network, or the host of a URL is an address.
    Network(Network),
    /// It is this domain name, or the host of a URL, or the domain of a mail address; in normal form.
    Name(Cow<'a, str>),
}

impl Observable {
    /// Where the observable lies; `None` for hashes, file names and whatever else has no place in a network.
    #[must_use]
    pub fn place(&self) -> Option<Place<'_>> {
        match self.kind {
            Kind::Ipv4 | Kind::Ipv4Cidr | Kind::Ipv6 | Kind::Ipv6Cidr => network(&self.value).map(Place::Network),
            Kind::Domain => Some(Place::Name(Cow::Borrowed(&self.value))),
            Kind::Email => self.value.rsplit_once('@').map(|(_, domain)| Place::Name(Cow::Borrowed(domain))),
            Kind::Url => host(&self.value),
            _ => None,
        }
    }

    /// The domain name in normal form that `text` writes, defanged or not, be it one that is registered or a part of one,
    /// such as `example`; `None` if it is none.
    #[must_use]
    pub fn domain_name(text: &str) -> Option<String> {
        normalise::domain(&refang(text.trim()))
    }
}

fn network(value: &str) -> Option<Network> {
    match value.split_once('/') {
        Some((address, length)) => Network::new(address.parse().ok()?, length.parse().ok()?),
        None => {
            let address = value.parse().ok()?;
            Network::new(address, bits(address))
        }
    }
}

/// The host of a URL in its normal form, in which nothing stands between scheme and host that does not belong there.
fn host(url: &str) -> Option<Place<'_>> {
    let host = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => {
            let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            match host.strip_prefix('[') {
                Some(rest) => rest.split(']').next().unwrap_or_default(),
                None => host.split(':').next().unwrap_or_default(),
            }
        }
        // Feeds have URLs without a scheme; what has no dot before the first mark is `mailto:` or the like.
        _ => url.split(['/', '\\', '?', '#', ':', '@']).next().filter(|host| host.contains('.'))?,
    };
    if let Ok(address) = host.parse() {
        return Network::new(address, bits(address)).map(Place::Network);
    }
    let name = normalise::domain(host)?;
    Some(Place::Name(if name == host { Cow::Borrowed(host) } else { Cow::Owned(name) }))
}

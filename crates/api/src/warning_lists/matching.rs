//! Looking values up in lists.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

use mithaq_core::stix::{Observable, ObservableKind as Kind};
use regex::RegexBuilder;

use super::{
    ENTRIES_MAX, HITS_MAX, Hit, LISTS_MAX, WarningListError, builtin,
    file::{self, ListFile, ListType},
    known_suffix,
};

/// The size that a compiled expression may have, in bytes.
const REGEX_BYTES_MAX: usize = 1024 * 1024;
/// The name of the list of domains under which others register.
const SUFFIXES: &str = "public suffixes";

/// A list's number.
type Number = u16;

/// Lists, ready to be asked.
#[derive(Debug, Default)]
pub struct WarningLists {
    lists: Vec<List>,
    entries: usize,
    strings: HashMap<String, Vec<Number>>,
    hostnames: HashMap<String, Vec<Number>>,
    /// First address and prefix length; IPv4 as it is mapped into IPv6. Networks nest or lie apart.
    networks: BTreeMap<(u128, u8), Vec<Number>>,
    /// The prefix lengths that there are.
    lengths: BTreeSet<u8>,
    substrings: Vec<(String, Number)>,
    expressions: Vec<(regex::Regex, Number)>,
    knows_suffixes: bool,
}

#[derive(Debug)]
struct List {
    name: String,
    /// What it speaks of; everything if there is nothing here.
    kinds: BTreeSet<Kind>,
}

impl WarningLists {
    /// The lists in a folder: its `.json` files and the `list.json` files below it, or below its `lists`.
    ///
    /// # Errors
    /// When it cannot be read, holds no list, or one that is not understood.
    pub fn of_folder(dir: &Path) -> Result<Self, WarningListError> {
        let mut lists = Self::default();
        for path in file::files(dir)? {
            let list = file::read(&path)?;
            lists.add(&list).map_err(|problem| WarningListError::Format { path, problem })?;
            if lists.lists.len() > LISTS_MAX || lists.entries > ENTRIES_MAX {
                return Err(WarningListError::TooMany { path: dir.to_owned() });
            }
        }
        if lists.lists.is_empty() {
            return Err(WarningListError::Empty { path: dir.to_owned() });
        }
        Ok(lists)
    }

    /// Adds the short list of our own: addresses and names that are nobody's, public suffixes, the empty file.
    #[must_use]
    pub fn with_builtin(mut self) -> Self {
        for (name, networks) in builtin::NETWORKS {
            let number = self.begin(name, BTreeSet::new());
            networks.iter().for_each(|network| self.add_network(network, number));
        }
        for (name, hosts) in builtin::HOSTNAMES {
            self = self.with_domains(name, hosts);
        }
        let (name, hashes) = builtin::HASHES;
        let number = self.begin(name, BTreeSet::new());
        hashes.iter().for_each(|hash| self.strings.entry((*hash).to_owned()).or_default().push(number));
        self.knows_suffixes = true;
        self
    }

    /// Adds a list of domains, each with all below it.
    #[must_use]
    pub fn with_domains<S: AsRef<str>>(mut self, name: &str, domains: &[S]) -> Self {
        if !domains.is_empty() {
            let number = self.begin(name, BTreeSet::new());
            domains.iter().for_each(|domain| self.add_hostname(domain.as_ref(), number));
        }
        self
    }

    /// How many lists there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// How many entries they have.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The lists that any of these stands on, at most [`HITS_MAX`] hits.
    #[must_use]
    pub fn check(&self, observables: &[Observable]) -> Vec<Hit> {
        let mut hits = BTreeSet::new();
        for observable in observables {
            if self.is_empty() || hits.len() >= HITS_MAX {
                break;
            }
            self.check_one(observable, &mut hits);
        }
        hits.into_iter().take(HITS_MAX).collect()
    }

    fn check_one(&self, observable: &Observable, hits: &mut BTreeSet<Hit>) {
        let Observable { kind, value } = observable;
        let mut numbers: BTreeSet<Number> = BTreeSet::new();
        let lower = value.to_lowercase();
        numbers.extend(self.strings.get(&lower).into_iter().flatten());
        numbers.extend(self.substrings.iter().filter(|(part, _)| lower.contains(part)).map(|(_, number)| *number));
        let matches = |(expression, _): &&(regex::Regex, Number)| expression.is_match(value);
        numbers.extend(self.expressions.iter().filter(matches).map(|(_, number)| *number));
        let host = host(observable);
        if let Some((first, length)) = host.and_then(network) {
            self.overlapping(first, length, &mut numbers);
        } else if let Some(host) = host {
            self.above(host, &mut numbers);
        }
        let speaks_of = |number: &Number| {
            let list = &self.lists[usize::from(*number)];
            (list.kinds.is_empty() || list.kinds.contains(kind)).then_some(list)
        };
        for list in numbers.iter().filter_map(speaks_of) {
            hits.insert(Hit { list: list.name.clone(), value: value.clone() });
        }
        let is_suffix = || known_suffix(value).is_some_and(|suffix| suffix == *value);
        if self.knows_suffixes && *kind == Kind::Domain && is_suffix() {
            hits.insert(Hit { list: SUFFIXES.to_owned(), value: value.clone() });
        }
    }

    /// The networks that hold a network, and those that it holds.
    fn overlapping(&self, first: u128, length: u8, numbers: &mut BTreeSet<Number>) {
        for wider in self.lengths.range(..=length) {
            numbers.extend(self.networks.get(&(first & mask(*wider), *wider)).into_iter().flatten());
        }
        let last = first | !mask(length);
        let within = self.networks.range((first, length)..=(last, u8::MAX));
        numbers.extend(within.filter(|((_, narrower), _)| *narrower >= length).flat_map(|(_, lists)| lists));
    }

    /// The lists of a name and of the names above it.
    fn above(&self, host: &str, numbers: &mut BTreeSet<Number>) {
        let mut rest = host;
        loop {
            numbers.extend(self.hostnames.get(rest).into_iter().flatten());
            let Some((_, parent)) = rest.split_once('.') else { return };
            rest = parent;
        }
    }

    fn begin(&mut self, name: &str, kinds: BTreeSet<Kind>) -> Number {
        self.lists.push(List { name: name.chars().take(200).collect(), kinds });
        // INVARIANT: there are at most `LISTS_MAX` lists and a handful of our own.
        Number::try_from(self.lists.len() - 1).unwrap_or(Number::MAX)
    }

    fn add(&mut self, list: &ListFile) -> Result<(), String> {
        let kinds = list.matching_attributes.iter().flat_map(|name| kinds_of(name)).collect();
        let number = self.begin(&list.name, kinds);
        for entry in list.list.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
            self.entries += 1;
            match list.list_type {
                ListType::String => self.add_string(entry, number),
                ListType::Substring => self.substrings.push((entry.to_lowercase(), number)),
                ListType::Hostname => self.add_hostname(entry, number),
                ListType::Cidr => self.add_network(entry, number),
                ListType::Regex => self.add_expression(entry, number)?,
            }
        }
        Ok(())
    }

    /// A text; an address or name also in the form in which values are looked up.
    fn add_string(&mut self, entry: &str, number: Number) {
        let lower = entry.to_lowercase();
        let normal = Observable::new(Kind::Domain, &lower).map(|observable| observable.value);
        for form in BTreeSet::from_iter([Some(lower), normal]).into_iter().flatten() {
            self.strings.entry(form).or_default().push(number);
        }
    }

    fn add_hostname(&mut self, entry: &str, number: Number) {
        let name = entry.trim_start_matches(['.', '*']).trim_start_matches('.').to_lowercase();
        let name = Observable::new(Kind::Domain, &name).map_or(name, |observable| observable.value);
        self.hostnames.entry(name).or_default().push(number);
    }

    /// What is no network is passed over, as other readers of these lists do.
    fn add_network(&mut self, entry: &str, number: Number) {
        if let Some((first, length)) = network(entry) {
            self.networks.entry((first, length)).or_default().push(number);
            self.lengths.insert(length);
        }
    }

    /// Expressions are written as in PHP, with slashes around, or without.
    fn add_expression(&mut self, entry: &str, number: Number) -> Result<(), String> {
        let bare = entry.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).map_or(entry, |(bare, _)| bare);
        let expression =
            RegexBuilder::new(bare).case_insensitive(true).unicode(false).size_limit(REGEX_BYTES_MAX).build();
        let expression =
            expression.or_else(|_| RegexBuilder::new(bare).case_insensitive(true).size_limit(REGEX_BYTES_MAX).build());
        self.expressions.push((expression.map_err(|error| format!("the expression {entry:?}: {error}"))?, number));
        Ok(())
    }
}

/// The host that a value is or names.
fn host(observable: &Observable) -> Option<&str> {
    let value = observable.value.as_str();
    match observable.kind {
        Kind::Ipv4 | Kind::Ipv6 | Kind::Ipv4Cidr | Kind::Ipv6Cidr | Kind::Domain => Some(value),
        Kind::Email => value.rsplit_once('@').map(|(_, host)| host),
        Kind::Url => {
            let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
            let authority = rest.split(['/', '?', '#']).next()?;
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            match host.strip_prefix('[') {
                Some(rest) => rest.split(']').next(),
                None => host.split(':').next(),
            }
        }
        _ => None,
    }
}

/// An address or network as its first address and prefix length among IPv6 addresses.
fn network(text: &str) -> Option<(u128, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let (address, bits, offset): (Ipv6Addr, u8, u8) = match address.parse().ok()? {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), 32, 96),
        IpAddr::V6(address) => (address, 128, 0),
    };
    let length = length.unwrap_or(bits);
    (length <= bits).then(|| (address.to_bits() & mask(length + offset), length + offset))
}

fn mask(length: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

/// The kinds of values that an attribute type of MISP speaks of.
fn kinds_of(attribute: &str) -> Vec<Kind> {
    let of_part = |part: &str| match part {
        "ip" | "ip-src" | "ip-dst" => vec![Kind::Ipv4, Kind::Ipv6, Kind::Ipv4Cidr, Kind::Ipv6Cidr],
        "domain" | "hostname" => vec![Kind::Domain],
        "url" | "uri" | "link" => vec![Kind::Url],
        "email" | "email-src" | "email-dst" | "email-reply-to" | "whois-registrant-email" => vec![Kind::Email],
        "md5" => vec![Kind::Md5],
        "sha1" => vec![Kind::Sha1],
        "sha256" => vec![Kind::Sha256],
        "sha512" => vec![Kind::Sha512],
        "ssdeep" => vec![Kind::Ssdeep],
        "x509-fingerprint-md5" => vec![Kind::CertificateMd5],
        "x509-fingerprint-sha1" => vec![Kind::CertificateSha1],
        "x509-fingerprint-sha256" => vec![Kind::CertificateSha256],
        "AS" => vec![Kind::Asn],
        "filename" => vec![Kind::FileName],
        "mac-address" => vec![Kind::Mac],
        "mutex" => vec![Kind::Mutex],
        "regkey" => vec![Kind::RegistryKey],
        _ => Vec::new(),
    };
    // What we have no kind for must not make a list speak of everything.
    let kinds: Vec<Kind> = attribute.split('|').flat_map(of_part).collect();
    if kinds.is_empty() { vec![Kind::ProcessName] } else { kinds }
}

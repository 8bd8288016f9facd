//! What an analyst wants, out of what they typed.

use std::net::IpAddr;

use mithaq_api::http::{Problem, SearchQuery};
use mithaq_core::{
    code::Code,
    stix::observable::{Observable, ObservableKind, Place, refang},
    words,
};
use mithaq_store::Query;

use crate::local::answer::Failed;

/// What is searched for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What any of these find.
    Any(Vec<Query>),
    /// Everything that the filters let through.
    Everything,
}

fn refused(message: String) -> Failed {
    Problem::new(Code::SEARCH, message).into()
}

fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(120).collect::<String>())
}

impl Wanted {
    /// The words that are searched for, if any are.
    pub(super) fn words(&self) -> Option<&[String]> {
        match self {
            Self::Any(queries) => queries.iter().find_map(|query| match query {
                Query::Words(words) => Some(words.as_slice()),
                _ => None,
            }),
            Self::Everything => None,
        }
    }

    /// # Errors
    /// When nothing can be searched by what was given.
    pub(super) fn new(query: &SearchQuery) -> Result<Self, Failed> {
        match (&query.value, &query.text) {
            (Some(_), Some(_)) => Err(refused("search by a value or by text, not by both".to_owned())),
            (Some(value), None) => of_value(value, query.exact).map(Self::Any),
            (None, Some(text)) => {
                let words = words::of_query(text);
                let none = || refused(format!("{} has no word to search by", quoted(text)));
                if words.is_empty() { Err(none()) } else { Ok(Self::Any(vec![Query::Words(words)])) }
            }
            (None, None) if is_filtered(query) => Ok(Self::Everything),
            (None, None) => {
                Err(refused("say what to search for: a value, --text, or a filter such as --since".to_owned()))
            }
        }
    }
}

/// Whether a filter tells by a release alone that it need not be read further.
fn is_filtered(query: &SearchQuery) -> bool {
    let SearchQuery { origin, tlp, category, sector, since, until, .. } = query;
    [origin, tlp, category, sector].into_iter().any(Option::is_some) || since.is_some() || until.is_some()
}

fn of_value(value: &str, exact: bool) -> Result<Vec<Query>, Failed> {
    let text = value.trim();
    if let Some(name) = below(&refang(text)) {
        let name = Observable::domain_name(name);
        let name = name.ok_or_else(|| refused(format!("{} is no domain name with all below it", quoted(value))));
        return name.map(|name| vec![Query::Below(name)]);
    }
    let observables = Observable::from_query(text);
    if is_mistyped_network(text, &observables) {
        return Err(refused(format!("{} is no network: its length is out of range", quoted(value))));
    }
    if observables.is_empty() {
        return Err(refused(format!("{} is no value that an object could carry", quoted(value))));
    }
    let mut queries = Vec::new();
    for observable in observables {
        let around = if exact { None } else { around(&observable) };
        match around {
            Some(network @ Query::Network(_)) => queries.push(network),
            around => {
                queries.push(Query::Value(observable));
                queries.extend(around);
            }
        }
    }
    Ok(queries)
}

/// The name below which everything is searched for: `.example`, `*.example`.
fn below(text: &str) -> Option<&str> {
    text.strip_prefix('*').unwrap_or(text).strip_prefix('.')
}

/// What an address, a network or a domain is searched for together with.
fn around(observable: &Observable) -> Option<Query> {
    use ObservableKind::{Domain, Ipv4, Ipv4Cidr, Ipv6, Ipv6Cidr};
    match (observable.kind, observable.place()?) {
        (Ipv4 | Ipv4Cidr | Ipv6 | Ipv6Cidr, Place::Network(network)) => Some(Query::Network(network)),
        (Domain, Place::Name(name)) => Some(Query::Host(name.into_owned())),
        _ => None,
    }
}

fn is_mistyped_network(text: &str, observables: &[Observable]) -> bool {
    let is_network = |observable: &Observable| matches!(observable.place(), Some(Place::Network(_)));
    let (address, length) = text.split_once('/').unwrap_or_default();
    let is_length = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    is_length && address.parse::<IpAddr>().is_ok() && !observables.iter().any(is_network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(value: &str, exact: bool) -> Result<Wanted, String> {
        let query = SearchQuery { value: Some(value.to_owned()), exact, ..SearchQuery::default() };
        Wanted::new(&query).map_err(|failed| failed.1.code)
    }

    fn first(value: &str, exact: bool) -> Query {
        match wanted(value, exact) {
            Ok(Wanted::Any(queries)) => queries[0].clone(),
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn a_value_is_searched_for_in_its_widest_sense_unless_asked_otherwise() {
        let value = |kind, text| Query::Value(Observable::new(kind, text).unwrap());
        assert!(matches!(first("10.0.0.0/8", false), Query::Network(network) if network.length() == 8));
        assert!(matches!(first("10[.]0.0.1", false), Query::Network(network) if network.is_address()));
        assert!(matches!(first("2001:db8::/32", false), Query::Network(_)));
        assert_eq!(first("10.0.0.1", true), value(ObservableKind::Ipv4, "10.0.0.1"));
        assert_eq!(first("evil.example", false), value(ObservableKind::Domain, "evil.example"));
        let Ok(Wanted::Any(queries)) = wanted("Evil[.]example", false) else { panic!("nothing") };
        assert!(queries.contains(&Query::Host("evil.example".to_owned())), "{queries:?}");
        for text in
            [".evil.example", "*.evil.example", "[.]evil[.]example", "*[.]evil.Example.", "[dot]evil{dot}example"]
        {
            assert_eq!(first(text, false), Query::Below("evil.example".to_owned()), "{text}");
        }
        assert_eq!(first(".مثال", false), Query::Below("xn--mgbh0fb".to_owned()));
        assert!(matches!(first("http://10.0.0.1/", false), Query::Value(_)));
    }

    #[test]
    fn what_cannot_be_searched_for_is_refused() {
        for value in ["", " ", ".", "*.", "10.0.0.0/33", "::/129", ".a b", "..", &format!(".{}", "a".repeat(64))] {
            assert_eq!(wanted(value, false), Err("MQ-6070".to_owned()), "{value:?}");
        }
        let query = |text: Option<&str>, origin: Option<&str>| {
            let [text, origin] = [text, origin].map(|text| text.map(str::to_owned));
            Wanted::new(&SearchQuery { text, origin, ..SearchQuery::default() }).map_err(|failed| failed.1.code)
        };
        assert_eq!(query(None, None), Err("MQ-6070".to_owned()));
        assert_eq!(query(Some("..."), None), Err("MQ-6070".to_owned()));
        assert_eq!(query(None, Some("us")), Ok(Wanted::Everything));
        assert_eq!(query(Some("Black cat"), None), Ok(Wanted::Any(vec![Query::Words(words::of_query("black CAT"))])));
    }
}

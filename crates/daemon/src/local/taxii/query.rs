//! The parameters of a request (TAXII 2.1 §3.4): known ones are read strictly, unknown ones are ignored.

use std::collections::BTreeMap;

use axum::{
    extract,
    http::{StatusCode, Uri},
};
use mithaq_api::http::Problem;
use mithaq_core::{code::Code, stix::time::TimestampRef};

use super::{
    answer::TaxiiError,
    filter::Filter,
    next::{Next, NextError},
};
use crate::local::answer::Failed;

/// The most objects of a page, unless the client asks otherwise.
pub(super) const LIMIT_DEFAULT: usize = 1_000;

/// The most objects of a page, whatever the client asks.
pub(super) const LIMIT_MAX: usize = 10_000;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Only objects that were added after this time, in microseconds since the Unix epoch.
    pub(super) after: Option<i64>,
    /// The most objects of a page.
    pub(super) limit: usize,
    /// Only such objects.
    pub(super) filter: Filter,
}

impl Query {
    /// Reads the parameters of a URI.
    ///
    /// What stands beside `next` must have its form, but only `limit` counts: `next` has all the rest.
    pub(super) fn parse(uri: &Uri, collection: &str) -> Result<Self, TaxiiError> {
        let pairs = extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let extract::Query(pairs) =
            pairs.map_err(|_| malformed("the query", "has to be name=value, with & between"))?;
        let mut given = Given::collect(pairs)?;
        let after = given.parameters.remove("added_after").map(|text| added_after(&text)).transpose()?;
        let limit = given.parameters.remove("limit").map(|text| limit(&text)).transpose()?;
        let filter = parse_filter(given.fields)?;
        let Some(next) = given.parameters.remove("next") else {
            return Ok(Self { after: after.flatten(), limit: limit.unwrap_or(LIMIT_DEFAULT), filter });
        };
        let next = Next::parse(&next, collection).map_err(next_problem)?;
        let filter = Filter::parse(next.fields).map_err(|_| next_problem(NextError::Malformed))?;
        Ok(Self { after: Some(next.after), limit: limit.unwrap_or(next.limit.min(LIMIT_MAX)), filter })
    }

    /// The query that goes on after this time.
    pub(super) fn next(&self, collection: &str, after: i64) -> Next {
        Next::new(collection, after, self.limit, self.filter.fields().clone())
    }
}

/// The parameters that are known, each once.
#[derive(Default)]
struct Given {
    parameters: BTreeMap<String, String>,
    fields: BTreeMap<String, String>,
}

impl Given {
    fn collect(pairs: Vec<(String, String)>) -> Result<Self, TaxiiError> {
        let mut given = Self::default();
        for (name, value) in pairs {
            let field = name.strip_prefix("match[").and_then(|name| name.strip_suffix(']'));
            let before = match field {
                Some(field) if Filter::knows(field) => given.fields.insert(field.to_owned(), value),
                None if matches!(&*name, "added_after" | "limit" | "next") => {
                    given.parameters.insert(name.clone(), value)
                }
                _ => continue,
            };
            if before.is_some() {
                return Err(malformed(&name, "is there twice: give it once"));
            }
        }
        Ok(given)
    }
}

/// Microseconds since the Unix epoch, finer digits cut: what is added has none. Nothing was added before 1970.
fn added_after(text: &str) -> Result<Option<i64>, TaxiiError> {
    let time = TimestampRef::borrow(text)
        .map_err(|_| malformed("added_after", "has to be a time such as 2026-01-31T08:00:00Z"))?;
    Ok(Some(time.unix_micros()).filter(|micros| *micros >= 0))
}

fn limit(text: &str) -> Result<usize, TaxiiError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte != b'0');
    if !is_number {
        return Err(malformed("limit", "has to be a whole number above 0"));
    }
    // A number that is too large for us is no less a number.
    Ok(text.parse().unwrap_or(LIMIT_MAX).min(LIMIT_MAX))
}

fn parse_filter(fields: BTreeMap<String, String>) -> Result<Filter, TaxiiError> {
    Filter::parse(fields).map_err(|(field, form)| malformed(&format!("match[{field}]"), &format!("has to be {form}")))
}

fn malformed(name: &str, problem: &str) -> TaxiiError {
    Failed::bad_request(format!("{name} {problem}")).into()
}

fn next_problem(error: NextError) -> TaxiiError {
    let code = match error {
        NextError::Malformed => Code::BAD_REQUEST,
        NextError::Foreign => Code::FOREIGN_CURSOR,
    };
    Failed(StatusCode::BAD_REQUEST, Problem::new(code, error.to_string())).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const COLLECTION: &str = "91a7b528-80eb-42ed-a74d-c6fbd5a26116";

    fn parse(query: &str) -> Result<Query, TaxiiError> {
        Query::parse(&format!("/x/?{query}").parse().unwrap(), COLLECTION)
    }

    #[test]
    fn known_parameters_are_read_strictly() {
        for query in [
            "limit=0",
            "limit=00",
            "limit=-1",
            "limit=%2B1",
            "limit=1.0",
            "limit=x",
            "limit=",
            "limit=1&limit=1",
            "added_after=",
            "added_after=2020-01-01",
            "added_after=2020-01-01T00:00:00%2B00:00",
            "added_after=2020-01-01T00:00:00Z,2020-01-01T00:00:00Z",
            "added_after=2020-01-01T00:00:00Z&added_after=2020-01-01T00:00:00Z",
            "next=",
            "next=1",
            "match[id]=",
            "match[id]=indicator",
            "match[type]=indicator,",
            "match[type]=indicator,%20malware",
            "match%5Btype%5D=Indicator",
            "match[type]=indicator&match%5Btype%5D=malware",
            "match[spec_version]=two",
            "match[version]=newest",
            "match[version]=all,last",
            "match[version]=all,all",
            "match[version]=last,last",
            "match[version]=2020-01-01T00:00:00Z,2020-01-01T00:00:00.000Z",
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn well_formed_parameters_are_taken() {
        for query in [
            "",
            "limit=1",
            "limit=007",
            "limit=99999999999999999999",
            "added_after=0001-01-01T00:00:00Z",
            "added_after=2020-01-01T00:00:00.123456789Z",
            "match[type]=indicator,x-of-somebody",
            "match%5Btype%5D=indicator&match[id]=indicator--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb",
            "match[version]=first,2018-03-02T01:01:01.123Z,last",
            "match[spec_version]=2.0,2.1",
            "match[colour]=,&foo=1&foo=2&match[]=x&match=x&&=",
        ] {
            assert!(parse(query).is_ok(), "{query}");
        }
        assert_eq!(parse("limit=99999999999999999999").unwrap().limit, LIMIT_MAX);
        assert_eq!(parse("added_after=1969-12-31T23:59:59Z").unwrap().after, None);
        assert_eq!(parse("added_after=1970-01-01T00:00:00.0000019Z").unwrap().after, Some(1));
    }

    #[test]
    fn next_carries_the_query_and_only_limit_changes_it() {
        let query = parse("limit=7&added_after=2020-01-01T00:00:00Z&match[type]=malware").unwrap();
        let next = query.next(COLLECTION, 9);
        assert_eq!(parse(&format!("next={next}")).unwrap(), Query { after: Some(9), ..query.clone() });
        let beside = parse(&format!("next={next}&limit=2&added_after=2021-01-01T00:00:00Z&match[type]=tool")).unwrap();
        assert_eq!(beside, Query { after: Some(9), limit: 2, ..query });
        assert!(parse(&format!("next={next}&limit=x")).is_err());
    }
}

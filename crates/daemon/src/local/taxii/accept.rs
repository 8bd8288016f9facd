//! Which answers a client takes (TAXII 2.1 §1.6.8, RFC 9110 §12.5.1).

use axum::http::{HeaderMap, StatusCode, header};
use mithaq_api::http::Problem;
use mithaq_core::code::Code;

use super::answer::{MEDIA_TYPE, TaxiiError};
use crate::local::answer::Failed;

/// Refuses a client that takes none of our answers.
///
/// The standard has every client say what it takes; one that says nothing, as a person with `curl` may, is answered
/// all the same.
pub(super) fn check(headers: &HeaderMap) -> Result<(), TaxiiError> {
    let values = headers.get_all(header::ACCEPT).iter();
    // A value that is no text stands for a media type that we do not have.
    let ranges = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let mut ranges = ranges.map(str::trim).filter(|range| !range.is_empty()).peekable();
    // Of several ranges that cover it, the most specific one decides.
    if ranges.peek().is_none() || ranges.filter_map(weight).max().is_some_and(|(_, is_taken)| is_taken) {
        return Ok(());
    }
    let message = format!("the only media type here is {MEDIA_TYPE}: send it as Accept");
    Err(Failed(StatusCode::NOT_ACCEPTABLE, Problem::new(Code::NOT_ACCEPTABLE, message)).into())
}

/// How specific a media range that covers our media type is, and whether it is taken at all; `None` if it covers it not.
fn weight(range: &str) -> Option<(usize, bool)> {
    /// From the least specific to the most.
    const KNOWN: [&str; 3] = ["*/*", "application/*", "application/taxii+json"];
    let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
    let level = KNOWN.iter().position(|known| name.trim().eq_ignore_ascii_case(known))?;
    let (mut version, mut is_taken) = (0, true);
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" if value == "2.1" => version = 1,
            "version" => return None,
            "q" => is_taken = value.parse::<f32>().is_ok_and(|weight| weight > 0.0),
            _ => {}
        }
    }
    Some((2 * level + version, is_taken))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check_value(accept: Option<&str>, expect: bool) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        assert_eq!(check(&headers).is_ok(), expect, "{accept:?}");
    }

    #[test]
    fn our_media_type_is_the_only_one() {
        check_value(None, true);
        for accept in [
            "",
            "*/*",
            "application/*",
            "application/taxii+json",
            "application/taxii+json;version=2.1",
            "application/taxii+json; version=2.1",
            "Application/TAXII+JSON ; Version=\"2.1\"",
            "text/html, application/taxii+json;version=2.1;q=0.5",
            "application/taxii+json;version=2.0, application/taxii+json;version=2.1",
            "application/vnd.oasis.taxii+json; version=2.0,*/*;q=0.1",
            "*/*;q=0, application/taxii+json",
            "application/taxii+json;q=0, application/taxii+json;version=2.1",
        ] {
            check_value(Some(accept), true);
        }
        for accept in [
            "text/html",
            "application/json",
            "application/taxii+json;version=2.0",
            "application/taxii+json;version=2.10",
            "application/vnd.oasis.taxii+json; version=2.0",
            "application/stix+json;version=2.1",
            "*/*;q=0",
            "application/taxii+json;q=0, */*",
            "application/taxii+json;version=2.1;q=0, application/taxii+json",
            "application/taxii+json;q=0.0",
            "text/*",
        ] {
            check_value(Some(accept), false);
        }
    }
}

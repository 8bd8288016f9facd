//! The sample bundle: a made-up winter of phishing against banks, of trojans in the networks of a power company and
//! of a telecommunications company, told by Pakistan's NCERT in Urdu, English, Arabic and Chinese.
//!
//! Nothing in it is real: addresses, domains and numbers are those that RFC 2606, 3849, 5398 and 5737 set aside for
//! documentation, names are invented, hashes are of texts that nobody has. Every time and every id is fixed.

mod indicators;
mod links;
mod make;
mod markings;
mod observables;
mod parties;
mod reports;
mod threats;
mod translations;

use mithaq_core::canonical;

/// The bundle's text: canonical JSON, one object a line, so that changes to it can be read.
pub(crate) fn text() -> anyhow::Result<Vec<u8>> {
    let objects = [
        markings::all(),
        parties::all(),
        threats::all(),
        indicators::all(),
        observables::all(),
        links::all(),
        reports::all(),
        translations::all(),
    ];
    let mut text = format!("{{\"id\":\"{}\",\"objects\":[\n", make::id("bundle", "sample")).into_bytes();
    for (number, object) in objects.iter().flatten().enumerate() {
        if number > 0 {
            text.extend(b",\n");
        }
        text.extend(canonical::to_vec(object)?);
    }
    text.extend(b"\n],\"type\":\"bundle\"}\n");
    Ok(text)
}

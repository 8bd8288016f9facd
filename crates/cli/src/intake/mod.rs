//! What analysts have in hand, made into STIX: lists, mails, MISP events, older bundles.
//!
//! Each format has its file, and each of these is a pure function from bytes to an [`Intake`]: what is to be said, what
//! was left out and why, and what the format said that STIX cannot carry. Nothing here asks a daemon, a clock or a
//! person. Input of any kind, hostile too, ends in an answer; how much is held is bounded by the constants below.

pub(crate) mod date;
mod draft;
mod list;
mod loss;
mod mail;
mod misp;
mod object;
mod refang;
mod sniff;
mod stix;
mod table;
mod text;
mod value;

#[cfg(test)]
mod hostile;

pub(crate) use self::{
    draft::{Draft, Says, What},
    list::Intake,
    loss::{LeftOut, Losses},
    mail::mail,
    misp::{event_file, misp},
    object::{Origin, Outcome},
    refang::{Change, refang_line},
    sniff::{Format, Sniffed, head_kind},
    stix::stix_2_0,
    table::{Map, csv},
    text::{decode, text},
};

/// The most things that one input may say: a push takes no more objects.
pub(crate) const DRAFTS_MAX: usize = mithaq_api::http::PUSH_OBJECTS_MAX;
/// How much of what stood in the input is quoted, in characters.
const QUOTED_CHARS_MAX: usize = 200;
/// The longest name, description or label that is taken, in bytes.
const SAID_BYTES_MAX: usize = 4096;
/// The most labels of one object.
const LABELS_MAX: usize = 64;

/// The beginning of a text, for people.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

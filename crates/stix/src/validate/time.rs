//! Times that must stand in order.

use super::{Findings, Rule, Subject};
use crate::{json::Value, object::ObjectClass, quote::quote, time::TimestampRef};

/// The later and the earlier property of each type; those that must differ are marked.
const ORDERED: [(&str, &str, &str, Equal); 10] = [
    ("campaign", "last_seen", "first_seen", Equal::Allowed),
    ("indicator", "valid_until", "valid_from", Equal::Refused),
    ("infrastructure", "last_seen", "first_seen", Equal::Allowed),
    ("intrusion-set", "last_seen", "first_seen", Equal::Allowed),
    ("malware", "last_seen", "first_seen", Equal::Allowed),
    ("network-traffic", "end", "start", Equal::Allowed),
    ("observed-data", "last_observed", "first_observed", Equal::Allowed),
    ("relationship", "stop_time", "start_time", Equal::Refused),
    ("sighting", "last_seen", "first_seen", Equal::Allowed),
    ("threat-actor", "last_seen", "first_seen", Equal::Allowed),
];

#[derive(Clone, Copy, PartialEq)]
enum Equal {
    Allowed,
    Refused,
}

pub(super) fn check(subject: &Subject<'_, '_>, findings: &mut Findings) {
    ordered(subject, "modified", "created", Equal::Allowed, findings);
    for (object_type, later, earlier, equal) in ORDERED {
        if subject.object_type == object_type {
            ordered(subject, later, earlier, equal, findings);
        }
    }
    whole_seconds(subject, findings);
    if !matches!(subject.class, ObjectClass::Marking | ObjectClass::Observable) {
        milliseconds(subject, "created", findings);
        milliseconds(subject, "modified", findings);
    }
}

fn ordered(subject: &Subject<'_, '_>, later: &str, earlier: &str, equal: Equal, findings: &mut Findings) {
    let (Some(first), Some(second)) = (subject.text(earlier), subject.text(later)) else { return };
    let (Ok(from), Ok(to)) = (TimestampRef::borrow(&first), TimestampRef::borrow(&second)) else { return };
    if to > from || (to == from && equal == Equal::Allowed) {
        return;
    }
    let order = if equal == Equal::Refused { "after" } else { "at or after" };
    findings.add(Rule::TimeOrder, &subject.path.name(later), || {
        format!("{} must be {order} {earlier}, which is {}: correct one of the two", quote(&second), quote(&first))
    });
}

/// STIX 2.1 §6.7.6: the header of a portable executable counts whole seconds.
fn whole_seconds(subject: &Subject<'_, '_>, findings: &mut Findings) {
    const EXTENSION: &str = "windows-pebinary-ext";
    let Some(header) = subject.extension(EXTENSION) else { return };
    let Some(text) = header.get("time_date_stamp").and_then(Value::as_str) else { return };
    if subject.object_type == "file" && text.contains('.') {
        let path = subject.path.name("extensions");
        findings.add(Rule::Timestamp, &path.name(EXTENSION).name("time_date_stamp"), || {
            format!("\"{}\" must be precise to the second: leave the fraction out", quote(&text))
        });
    }
}

/// STIX 2.1 §3.2: `created` and `modified` are precise to the millisecond at least.
fn milliseconds(subject: &Subject<'_, '_>, name: &str, findings: &mut Findings) {
    let Some(text) = subject.text(name) else { return };
    let digits = text.trim_end_matches('Z').split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if TimestampRef::borrow(&text).is_ok() && digits < 3 {
        findings.add(Rule::Milliseconds, &subject.path.name(name), || {
            format!("\"{}\" needs at least three digits after the seconds", quote(&text))
        });
    }
}

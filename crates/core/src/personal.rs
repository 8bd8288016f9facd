//! What personal data looks like in STIX: people, their accounts, their mail addresses.
//!
//! It is a judgement, not a fact: a later version of this program may find more. So a label says it, agreements gate
//! it, and nobody is accused for having judged otherwise.

use mithaq_stix::{
    json::Value,
    object::Object,
    observable::{Observable, ObservableKind},
};

/// What stands in a STIX pattern that looks for a person, whatever the comparison.
const PERSONAL_PATHS: [&str; 8] =
    ["email-addr:", "user-account:", "from_ref", "sender_ref", "to_refs", "cc_refs", "bcc_refs", "creator_user_ref"];

/// Whether objects of a type speak of a person by themselves.
pub(crate) fn is_personal_type(object_type: &str) -> bool {
    matches!(object_type, "email-addr" | "email-message" | "user-account")
}

/// Whether an object holds personal data.
pub(crate) fn is_personal(object: &Object<'_>, observables: &[Observable]) -> bool {
    let is_kind = |found: &Observable| matches!(found.kind, ObservableKind::Email | ObservableKind::UserAccount);
    let value = object.value();
    is_personal_type(object.object_type())
        || observables.iter().any(is_kind)
        || match object.object_type() {
            "identity" => is_text(value, "identity_class", "individual"),
            "indicator" => has_personal_pattern(value),
            "observed-data" => embedded_types(value).any(|object_type| is_personal_type(&object_type)),
            _ => false,
        }
}

fn is_text(value: &Value<'_>, name: &str, text: &str) -> bool {
    value.get(name).and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(text))
}

fn embedded_types(value: &Value<'_>) -> impl Iterator<Item = String> {
    let members = value.get("objects").and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|member| Some(member.value.get("type")?.as_str()?.into_owned()))
}

/// Patterns of other languages are searched for what looks like a mail address.
fn has_personal_pattern(value: &Value<'_>) -> bool {
    let Some(pattern) = value.get("pattern").and_then(Value::as_str) else { return false };
    if value.get("pattern_type").is_none() || is_text(value, "pattern_type", "stix") {
        PERSONAL_PATHS.iter().any(|path| pattern.contains(path))
    } else {
        pattern.match_indices('@').any(|(at, _)| is_address_around(&pattern, at))
    }
}

/// Whether the `@` at a place joins a name and a domain. A password before a host, as URLs have it, looks the same.
fn is_address_around(text: &str, at: usize) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '%');
    let (before, after) = text.split_at(at);
    let domain: String = after.chars().skip(1).take_while(|c| is_part(*c)).collect();
    before.chars().next_back().is_some_and(is_part) && domain.trim_matches('.').contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(object_type: &str, members: &str, expect: bool) {
        let text = format!(
            r#"{{"type":"{object_type}","spec_version":"2.1","id":"{object_type}--00000000-0000-4000-8000-000000000001",
            "created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z",{members}}}"#
        );
        let object = Object::parse(text.as_bytes()).unwrap();
        assert_eq!(is_personal(&object, &object.observables()), expect, "{text}");
    }

    #[test]
    fn people_accounts_and_addresses_are_personal() {
        check("identity", r#""identity_class":"individual""#, true);
        check("email-addr", r#""value":"a@example.org""#, true);
        check("email-message", r#""is_multipart":false"#, true);
        check("user-account", r#""user_id":"a""#, true);
        check("observed-data", r#""objects":{"0":{"type":"user-account"}}"#, true);
        for pattern in [
            "[email-addr:value = 'a@example.org']",
            "[email-addr:value MATCHES 'a@']",
            "[email-message:from_ref.value = 'a@example.org']",
            "[email-message:to_refs[*].value LIKE '%example%']",
            "[user-account:account_login = 'a']",
            "[process:creator_user_ref.user_id = 'a']",
        ] {
            check("indicator", &format!(r#""pattern_type":"stix","pattern":"{pattern}""#), true);
        }
        check("indicator", r#""pattern_type":"sigma","pattern":"Sender: a.b@example.org""#, true);
    }

    #[test]
    fn machines_files_and_organisations_are_not() {
        check("identity", r#""identity_class":"organization""#, false);
        check("domain-name", r#""value":"example.org""#, false);
        check("observed-data", r#""objects":{"0":{"type":"ipv4-addr","value":"192.0.2.1"}}"#, false);
        for pattern in [
            "[domain-name:value = 'example.org']",
            "[ipv4-addr:value = '192.0.2.1' OR url:value = 'http://example.org/@a']",
            "[file:hashes.'SHA-256' = 'aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f']",
            "[email-message:subject = 'invoice']",
        ] {
            check("indicator", &format!(r#""pattern_type":"stix","pattern":"{pattern}""#), false);
        }
        check("indicator", r#""pattern_type":"yara","pattern":"rule a { strings: $a = @x condition: all }""#, false);
        check("indicator", r#""pattern_type":"sigma","pattern":"- '@example'""#, false);
        check("malware", r#""name":"a@example.org""#, false);
    }
}

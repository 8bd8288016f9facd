//! Patterns of STIX 2.0 (part 5) as patterns of STIX 2.1 (§9).
//!
//! The languages differ in the quotes of START and STOP; what differs more is what the paths lead through.

use super::observable::{is_hash_dictionary, is_list_dictionary, is_removed, renamed, renamed_hash};
use crate::pattern::{Comparison, ObjectPath, Observation, PathStep, Pattern, PatternError};
use std::borrow::Cow;

/// What became of a pattern.
pub(super) enum Outcome {
    /// It is a STIX 2.1 pattern as it stands.
    Same,
    /// Its STIX 2.1 form.
    Rewritten(String),
    /// It asks for what STIX 2.1 observables do not have: the paths.
    OnlyIn20(Vec<String>),
    /// It does not follow the grammar.
    Malformed(PatternError),
}

/// Brings a pattern to STIX 2.1.
pub(super) fn upgrade(text: &str) -> Outcome {
    let quoted = quote_limits(text);
    let mut pattern = match Pattern::parse(quoted.as_deref().unwrap_or(text)) {
        Ok(pattern) => pattern,
        Err(error) => return Outcome::Malformed(error),
    };
    let mut walk = Walk::default();
    walk.observation(pattern.root_mut());
    if !walk.only_in_20.is_empty() {
        return Outcome::OnlyIn20(walk.only_in_20);
    }
    let rewritten = if walk.is_changed { Some(pattern.to_string()) } else { quoted };
    rewritten.map_or(Outcome::Same, Outcome::Rewritten)
}

/// Makes timestamps of the strings after START and STOP; drafts of STIX 2.0 had strings there. `None` if there are none.
fn quote_limits(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut is_changed = false;
    while let Some(at) = rest.find('\'') {
        let (before, string) = rest.split_at(at);
        let word = before.trim_end();
        let is_limit = word.len() < before.len() && (word.ends_with("START") || word.ends_with("STOP"));
        out.push_str(before);
        out.push_str(if is_limit { "t" } else { "" });
        is_changed |= is_limit;
        let end = string_end(string);
        out.push_str(&string[..end]);
        rest = &string[end..];
    }
    out.push_str(rest);
    is_changed.then_some(out)
}

/// Where the string that `text` begins with ends, quotes included.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\'' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[derive(Default)]
struct Walk {
    is_changed: bool,
    only_in_20: Vec<String>,
}

impl Walk {
    fn observation(&mut self, observation: &mut Observation<'_>) {
        match observation {
            Observation::Comparison(comparison) => self.comparison(comparison),
            Observation::And(all) | Observation::Or(all) | Observation::FollowedBy(all) => {
                all.iter_mut().for_each(|observation| self.observation(observation));
            }
            Observation::Qualified { observation, .. } => self.observation(observation),
        }
    }

    fn comparison(&mut self, comparison: &mut Comparison<'_>) {
        match comparison {
            Comparison::And(all) | Comparison::Or(all) => {
                all.iter_mut().for_each(|comparison| self.comparison(comparison));
            }
            Comparison::Test(test) => self.path(&mut test.path),
            Comparison::Exists { path, .. } => self.path(path),
        }
    }

    fn path(&mut self, path: &mut ObjectPath<'_>) {
        let before = path.to_string();
        let mut object_type = path.object_type;
        // The keys since the object that the path is in.
        let mut keys: Vec<Cow<'_, str>> = Vec::new();
        for step in &mut path.steps {
            let PathStep::Key(key) = step else { continue };
            keys.push(key.clone());
            if is_removed(object_type, &keys) {
                return self.only_in_20.push(before);
            }
            if let Some(new) = new_name(object_type, &keys) {
                *key = Cow::Borrowed(new);
                self.is_changed = true;
            }
            if let Some(next) = target_type(key) {
                object_type = next;
                keys.clear();
            }
        }
        let [dictionary @ .., _] = keys.as_slice() else { return };
        // What was one value is a list of values now.
        if is_list_dictionary(object_type, dictionary) && matches!(path.steps.last(), Some(PathStep::Key(_))) {
            path.steps.push(PathStep::AnyIndex);
            self.is_changed = true;
        }
    }
}

/// The name in STIX 2.1 of the property that `keys` lead to, if it is another.
fn new_name(object_type: &str, keys: &[Cow<'_, str>]) -> Option<&'static str> {
    match keys {
        [name] => renamed(object_type, name),
        [.., dictionary, name] if is_hash_dictionary(dictionary) => renamed_hash(name),
        _ => None,
    }
}

/// The type of what a reference leads to, where some property of it has another name in STIX 2.1.
fn target_type(property: &str) -> Option<&'static str> {
    Some(match property {
        "parent_directory_ref" => "directory",
        // What a directory or an archive contains: both types have changed alike.
        "contains_refs" | "image_ref" | "service_dll_refs" => "file",
        "parent_ref" | "child_refs" => "process",
        "opened_connection_refs" | "encapsulates_refs" | "encapsulated_by_ref" => "network-traffic",
        "creator_user_ref" | "belongs_to_ref" => "user-account",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let found = match upgrade(text) {
            Outcome::Same => "same".to_owned(),
            Outcome::Rewritten(text) => text,
            Outcome::OnlyIn20(paths) => format!("only in 2.0: {}", paths.join(", ")),
            Outcome::Malformed(error) => error.to_string(),
        };
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn what_did_not_change_keeps_its_bytes() {
        check("[ file:name='a'  AND file:size > 3 ]", "same");
        check("[file:name = 'START \\' STOP'] START t'2016-01-01T00:00:00Z' STOP t'2017-01-01T00:00:00Z'", "same");
        check("[x-custom:created = 'a']", "same");
    }

    #[test]
    fn limits_become_timestamps() {
        check(
            "[file:name = ' START '] START '2016-01-01T00:00:00Z' STOP '2017-01-01T00:00:00Z'",
            "[file:name = ' START '] START t'2016-01-01T00:00:00Z' STOP t'2017-01-01T00:00:00Z'",
        );
    }

    #[test]
    fn paths_follow_the_properties() {
        check("[file:created = t'2016-01-01T00:00:00Z']", "[file:ctime = t'2016-01-01T00:00:00Z']");
        check("[process:binary_ref.created > 'x']", "[process:image_ref.ctime > 'x']");
        check("[process:opened_connection_refs[*].src_port = 1]", "same");
        check("[file:hashes.ssdeep = '3:a']", "[file:hashes.SSDEEP = '3:a']");
        check("[file:parent_directory_ref.accessed = 'a']", "[file:parent_directory_ref.atime = 'a']");
        check("[windows-registry-key:modified = 'a']", "[windows-registry-key:modified_time = 'a']");
        check("[user-account:password_last_changed = 'a']", "[user-account:credential_last_changed = 'a']");
        check(
            "[email-message:additional_header_fields.'Reply-To' = 'a']",
            "[email-message:additional_header_fields.'Reply-To'[*] = 'a']",
        );
        check("[email-message:additional_header_fields.'Reply-To'[0] = 'a']", "same");
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        check("[process:name = 'a' AND process:pid = 3]", "only in 2.0: process:name");
        check("[process:child_refs[*].name = 'a']", "only in 2.0: process:child_refs[*].name");
        check(
            "[network-traffic:extensions.'socket-ext'.protocol_family = 'a']",
            "only in 2.0: network-traffic:extensions.'socket-ext'.protocol_family",
        );
        check("[process:binary_ref.name = 'a']", "[process:image_ref.name = 'a']");
    }
}

//! STIX objects in one line, for people.

use serde_json::Value;

use crate::terminal::cut;

/// The most columns of an object's line.
pub(crate) const COLUMNS_MAX: usize = 100;

/// What a person looks for first in an object: its type and what it is called or says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Headline {
    /// The object's type.
    pub(crate) kind: String,
    /// Its id.
    pub(crate) id: String,
    /// What it is called or says, unescaped.
    pub(crate) text: String,
}

impl Headline {
    /// Reads the headline of an object's JSON text.
    pub(crate) fn of(text: &str) -> Self {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        let kind = member(&object, "type").unwrap_or("unknown").to_owned();
        let id = member(&object, "id").unwrap_or_default().to_owned();
        let text = said_by(&object).unwrap_or_else(|| id.clone());
        Self { kind, text: cut(&text, COLUMNS_MAX).into_owned(), id }
    }
}

fn member<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn said_by(object: &Value) -> Option<String> {
    let member = |name| member(object, name);
    match member("type")? {
        "indicator" => {
            let pattern = member("pattern")?;
            Some(member("name").map_or_else(|| pattern.to_owned(), |name| format!("{name}  {pattern}")))
        }
        "relationship" => {
            Some(format!("{} {} {}", member("source_ref")?, member("relationship_type")?, member("target_ref")?))
        }
        "sighting" => Some(format!("of {}", member("sighting_of_ref")?)),
        _ => ["name", "value", "path", "subject", "abstract", "content", "opinion"]
            .into_iter()
            .find_map(member)
            .map(str::to_owned)
            .or_else(|| hash_of(object)),
    }
}

fn hash_of(object: &Value) -> Option<String> {
    let (algorithm, value) = object.get("hashes")?.as_object()?.iter().next_back()?;
    Some(format!("{algorithm} {}", value.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(members: &str, expect: &str) {
        let text = format!(r#"{{"id":"x--1",{members}}}"#);
        assert_eq!(Headline::of(&text).text, expect, "{members}");
    }

    #[test]
    fn objects_show_what_people_look_for() {
        check(r#""type":"indicator","pattern":"[url:value = 'x']""#, "[url:value = 'x']");
        check(r#""type":"indicator","pattern":"[p]","name":"N""#, "N  [p]");
        check(r#""type":"malware","name":"برمجية""#, "برمجية");
        check(r#""type":"ipv4-addr","value":"192.0.2.1""#, "192.0.2.1");
        let relationship = r#""type":"relationship","source_ref":"a","relationship_type":"uses","target_ref":"b""#;
        check(relationship, "a uses b");
        check(r#""type":"file","hashes":{"MD5":"1","SHA-256":"2"}"#, "SHA-256 2");
        check(r#""type":"x-custom""#, "x--1");
        check(r#""type":7"#, "x--1");
        assert_eq!(Headline::of("broken").kind, "unknown");
    }
}

//! Drafts as STIX objects.
//!
//! An object's id is made of what names it and of who says it, so that who pushes a list again says the same again. What
//! we hold of it already is never taken back by a list that says less: labels come together, a text stays until there is
//! another, and if nothing is new the object is the one that we hold, byte for byte.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use mithaq_core::{
    id::to_hex,
    stix::{Observable, ObservableKind as Kind, json, marking::Tlp, sco_id::sco_id},
    time::Time,
};
use serde_json::{Map, Value, json};

use super::{Draft, Says, What, date};

/// The namespace (RFC 9562 §5.5) in which each CERT's own namespace lies.
const NAMESPACE: [u8; 16] =
    [0x6d, 0x69, 0x74, 0x68, 0x61, 0x71, 0x4e, 0x11, 0x9c, 0x21, 0x3f, 0x5a, 0xb0, 0x72, 0x18, 0xe4];

/// Who says it, and when.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    identity: String,
    namespace: [u8; 16],
    now: Time,
}

/// What a draft comes to beside what we hold of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// An object to be pushed.
    Object(Value),
    /// It is revoked, here or where it came from, and nothing is to be said.
    Nothing(&'static str),
}

impl Origin {
    /// What the CERT with this STIX identity says now.
    pub(crate) fn new(identity: &str, now: Time) -> Self {
        Self { identity: identity.to_owned(), namespace: uuid(NAMESPACE, identity.as_bytes()), now }
    }

    /// The id of what a draft becomes; `None` for what no id can be made of.
    pub(crate) fn id(&self, draft: &Draft) -> Option<String> {
        let kind = match &draft.what {
            What::Indicator { .. } => "indicator",
            What::Report(_) => "report",
            What::Observable(observable) => return sco(observable)?.get("id")?.as_str().map(str::to_owned),
        };
        Some(format!("{kind}--{}", written(uuid(self.namespace, draft.key.as_bytes()))))
    }

    /// The object of a draft; `ids` are those of all drafts of its intake, `held` is the newest version that we have
    /// published under its id.
    pub(crate) fn object(&self, draft: &Draft, ids: &[Option<String>], held: Option<&Value>) -> Outcome {
        let fresh = match &draft.what {
            What::Observable(observable) => {
                let Some(mut object) = sco(observable) else { return Outcome::Nothing("has no form as an observable") };
                mark(draft.says.tlp, &mut object);
                return Outcome::Object(object.into());
            }
            What::Indicator { pattern, .. } => self.indicator(draft, pattern),
            What::Report(members) => match self.report(draft, members, ids) {
                Some(report) => report,
                None => return Outcome::Nothing("is about nothing that is sent"),
            },
        };
        let Some(held) = held.and_then(Value::as_object) else {
            return match draft.says.revoked {
                true => Outcome::Nothing("was deleted where it comes from, and we never published it"),
                false => Outcome::Object(fresh.into()),
            };
        };
        if held.get("revoked") == Some(&Value::Bool(true)) && !draft.says.revoked {
            return Outcome::Nothing(
                "was revoked by us, which is for good: push it as a STIX object with an id of its own",
            );
        }
        Outcome::Object(self.revised(held, fresh, &draft.says).into())
    }

    fn indicator(&self, draft: &Draft, pattern: &str) -> Map<String, Value> {
        let mut object = self.common(draft, "indicator");
        let valid_from = draft.says.valid_from.or(draft.says.changed_at).unwrap_or(self.now);
        object.insert("pattern".into(), pattern.into());
        object.insert("pattern_type".into(), "stix".into());
        object.insert("pattern_version".into(), "2.1".into());
        object.insert("indicator_types".into(), json!(["malicious-activity"]));
        object.insert("valid_from".into(), date::stix(valid_from).into());
        if let Some(until) = draft.says.valid_until.filter(|until| *until > valid_from) {
            object.insert("valid_until".into(), date::stix(until).into());
        }
        object
    }

    fn report(&self, draft: &Draft, members: &[usize], ids: &[Option<String>]) -> Option<Map<String, Value>> {
        let mut refs: Vec<&str> = members.iter().filter_map(|number| ids.get(*number)?.as_deref()).collect();
        refs.sort_unstable();
        refs.dedup();
        if refs.is_empty() {
            return None;
        }
        let mut object = self.common(draft, "report");
        let published = draft.says.valid_from.or(draft.says.changed_at).unwrap_or(self.now);
        object.insert("published".into(), date::stix(published).into());
        object.insert("object_refs".into(), json!(refs));
        Some(object)
    }

    fn common(&self, draft: &Draft, kind: &str) -> Map<String, Value> {
        let says = &draft.says;
        let made_at = date::stix(says.changed_at.unwrap_or(self.now).min(self.now));
        let mut object = Map::new();
        object.insert("type".into(), kind.into());
        object.insert("spec_version".into(), "2.1".into());
        object.insert("id".into(), self.id(draft).into());
        object.insert("created_by_ref".into(), self.identity.as_str().into());
        object.insert("created".into(), made_at.clone().into());
        object.insert("modified".into(), made_at.into());
        let mut add = |name: &str, value: Option<Value>| value.map(|value| object.insert(name.into(), value));
        add("name", says.name.as_deref().map(Value::from));
        add("description", says.description.as_deref().map(Value::from));
        add("confidence", says.confidence.map(Value::from));
        add("labels", (!says.labels.is_empty()).then(|| json!(says.labels)));
        add("sectors", (!says.sectors.is_empty()).then(|| json!(says.sectors)));
        mark(says.tlp, &mut object);
        object
    }

    /// The version that follows what we hold, or the same if nothing is new.
    fn revised(&self, held: &Map<String, Value>, fresh: Map<String, Value>, says: &Says) -> Map<String, Value> {
        let mut next = held.clone();
        for (name, value) in fresh {
            match name.as_str() {
                "created" | "modified" | "id" | "type" | "spec_version" | "created_by_ref" => {}
                "valid_from" | "published" if says.valid_from.is_none() => {}
                "labels" | "sectors" => {
                    let joined = united(next.get(&name), &value);
                    next.insert(name, joined);
                }
                _ => {
                    next.insert(name, value);
                }
            }
        }
        if says.revoked {
            next.insert("revoked".into(), true.into());
        }
        if next != *held {
            next.insert("modified".into(), date::stix(self.after(held)).into());
        }
        next
    }

    /// Now, but later than the version that we hold.
    fn after(&self, held: &Map<String, Value>) -> Time {
        let before = held.get("modified").and_then(Value::as_str).and_then(|text| text.parse::<Time>().ok());
        before.map_or(self.now, |before| self.now.max(Time::from_micros(before.as_micros() + 1_000)))
    }
}

fn mark(tlp: Option<Tlp>, object: &mut Map<String, Value>) {
    if let Some(tlp) = tlp {
        object.insert("object_marking_refs".into(), json!([tlp.marking_id()]));
    }
}

/// The texts of two lists, each once, those of the first in their order.
fn united(one: Option<&Value>, other: &Value) -> Value {
    let mut texts: Vec<Value> = one.and_then(Value::as_array).cloned().unwrap_or_default();
    for text in other.as_array().into_iter().flatten() {
        if !texts.contains(text) {
            texts.push(text.clone());
        }
    }
    texts.into()
}

/// An observable as an object of the standard, with the id that the standard gives it.
pub(super) fn sco(observable: &Observable) -> Option<Map<String, Value>> {
    let value = observable.value.as_str();
    let hashes = |name: &str| json!({ "hashes": { name: value } });
    let (kind, properties) = match observable.kind {
        Kind::Ipv4 | Kind::Ipv4Cidr => ("ipv4-addr", json!({ "value": value })),
        Kind::Ipv6 | Kind::Ipv6Cidr => ("ipv6-addr", json!({ "value": value })),
        Kind::Domain => ("domain-name", json!({ "value": value })),
        Kind::Url => ("url", json!({ "value": value })),
        Kind::Email => ("email-addr", json!({ "value": value })),
        Kind::Mac => ("mac-addr", json!({ "value": value })),
        Kind::Asn => ("autonomous-system", json!({ "number": value.parse::<u32>().ok()? })),
        Kind::Mutex => ("mutex", json!({ "name": value })),
        Kind::FileName => ("file", json!({ "name": value })),
        Kind::Directory => ("directory", json!({ "path": value })),
        Kind::RegistryKey => ("windows-registry-key", json!({ "key": value })),
        Kind::UserAccount => ("user-account", json!({ "account_login": value })),
        Kind::Md5 => ("file", hashes("MD5")),
        Kind::Sha1 => ("file", hashes("SHA-1")),
        Kind::Sha256 => ("file", hashes("SHA-256")),
        Kind::Sha512 => ("file", hashes("SHA-512")),
        Kind::Sha3_256 => ("file", hashes("SHA3-256")),
        Kind::Sha3_512 => ("file", hashes("SHA3-512")),
        Kind::Ssdeep => ("file", hashes("SSDEEP")),
        Kind::Tlsh => ("file", hashes("TLSH")),
        Kind::CertificateMd5 => ("x509-certificate", hashes("MD5")),
        Kind::CertificateSha1 => ("x509-certificate", hashes("SHA-1")),
        Kind::CertificateSha256 => ("x509-certificate", hashes("SHA-256")),
        Kind::CertificateSerial => ("x509-certificate", json!({ "serial_number": value })),
        _ => return None,
    };
    let text = properties.to_string();
    let parsed = json::parse(text.as_bytes()).ok()?;
    let id = sco_id(kind, parsed.as_object()?)?;
    let Value::Object(mut object) = properties else { return None };
    object.insert("type".into(), kind.into());
    object.insert("spec_version".into(), "2.1".into());
    object.insert("id".into(), id.as_str().into());
    Some(object)
}

/// A UUID of version 5: the SHA-1 of a name in a namespace.
fn uuid(namespace: [u8; 16], name: &[u8]) -> [u8; 16] {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&namespace, name].concat());
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&hash.as_ref()[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x50;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn written(uuid: [u8; 16]) -> String {
    let hex = to_hex(&uuid);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Intake, text},
        *,
    };
    use mithaq_core::stix::{Object, validate};

    const IDENTITY: &str = "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f";

    fn origin(now: &str) -> Origin {
        Origin::new(IDENTITY, now.parse().unwrap())
    }

    fn draft(input: &str) -> Draft {
        let mut intake = Intake::default();
        text(input.as_bytes(), &mut intake);
        intake.drafts()[0].clone()
    }

    fn object(origin: &Origin, draft: &Draft, held: Option<&Value>) -> Value {
        match origin.object(draft, &[], held) {
            Outcome::Object(object) => object,
            Outcome::Nothing(why) => json!({ "nothing": why }),
        }
    }

    #[test]
    fn one_value_has_one_id_for_each_cert() {
        let (one, other) = (origin("2026-01-01T00:00:00Z"), Origin::new("identity--other", Time::from_micros(0)));
        let id = one.id(&draft("hxxp://Evil[.]example")).unwrap();
        assert_eq!(one.id(&draft("http://evil.example/")), Some(id.clone()));
        assert_ne!(other.id(&draft("http://evil.example/")), Some(id.clone()));
        assert_ne!(one.id(&draft("evil.example")), Some(id.clone()));
        assert_eq!(id.as_bytes()[25], b'5', "{id}");
    }

    #[test]
    fn objects_are_what_the_standard_asks_for() {
        let mut draft = draft("hxxp://evil[.]example/it's\u{5c}");
        draft.says.tlp = Some(Tlp::Green);
        draft.says.confidence = Some(80);
        draft.says.valid_until = Some("2027-01-01T00:00:00Z".parse().unwrap());
        draft.says.description = Some("برمجية".into());
        let made = object(&origin("2026-01-01T00:00:00Z"), &draft, None).to_string();
        let parsed = Object::parse(made.as_bytes()).unwrap();
        assert_eq!(parsed.observables().len(), 1, "{made}");
        let findings = validate::validate(parsed.value());
        // Ids of values are of version 5, which §2.9 lets a producer choose.
        let is_meant = |finding: &validate::Finding| finding.pointer == "/id" && finding.message.contains("UUIDv5");
        assert!(findings.iter().all(is_meant), "{findings:?}");
    }

    #[test]
    fn what_is_said_again_is_the_same_and_what_is_new_is_a_version() {
        let (monday, tuesday) = (origin("2026-01-05T00:00:00Z"), origin("2026-01-06T00:00:00Z"));
        let mut said = draft("evil.example");
        said.says.label("phishing");
        let held = object(&monday, &said, None);
        assert_eq!(object(&tuesday, &said, Some(&held)), held);
        // A mention takes nothing back.
        assert_eq!(object(&tuesday, &draft("evil[.]example"), Some(&held)), held);
        said.says.label("c2");
        let next = object(&tuesday, &said, Some(&held));
        assert_eq!(next["labels"], json!(["phishing", "c2"]));
        assert_eq!((&next["created"], &next["valid_from"]), (&held["created"], &held["valid_from"]));
        assert_eq!(next["modified"], "2026-01-06T00:00:00.000Z");
    }

    #[test]
    fn what_was_deleted_is_revoked_once_and_for_good() {
        let (monday, tuesday) = (origin("2026-01-05T00:00:00Z"), origin("2026-01-06T00:00:00Z"));
        let mut said = draft("evil.example");
        let held = object(&monday, &said, None);
        said.says.revoked = true;
        assert!(matches!(monday.object(&said, &[], None), Outcome::Nothing(_)));
        let revoked = object(&tuesday, &said, Some(&held));
        assert_eq!(revoked["revoked"], true);
        assert_eq!(object(&tuesday, &said, Some(&revoked)), revoked);
        said.says.revoked = false;
        assert!(
            matches!(tuesday.object(&said, &[], Some(&revoked)), Outcome::Nothing(why) if why.contains("for good"))
        );
    }

    #[test]
    fn observables_have_the_ids_of_the_standard() {
        let observable = Observable::new(Kind::Ipv4, "198.51.100.2").unwrap();
        assert_eq!(sco(&observable).unwrap()["id"], "ipv4-addr--9cf4a8ec-7640-5f40-a006-79942896168b");
        for kind in Kind::ALL {
            let hash = "a".repeat(128);
            let texts =
                ["192.0.2.0/24", "2001:db8::/32", "evil.example", "http://evil.example/", "a@evil.example", "7"];
            let texts = texts.into_iter().chain([32, 40, 64, 128].map(|length| &hash[..length]));
            for observable in texts.filter_map(|text| Observable::new(*kind, text)) {
                if let Some(object) = sco(&observable) {
                    let text = Value::Object(object).to_string();
                    assert!(Object::parse(text.as_bytes()).unwrap().observables().contains(&observable), "{text}");
                }
            }
        }
    }
}

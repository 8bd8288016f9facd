//! What a reader may see: asked for each release in [`Visibility::allows`], and in [`Visibility::admits`] for each object.

use std::{collections::BTreeSet, sync::Arc};

use mithaq_core::{
    id::{CertId, sha256},
    label::Category,
    policy::{self, CollectionRule},
    release::Manifest,
    stix::{marking::Tlp, object::Object, observable::ObservableKind},
};

/// What a reader may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visibility(Option<Arc<Sight>>);

/// What a collection shows.
#[derive(Debug, PartialEq, Eq)]
struct Sight {
    rule: CollectionRule,
    kinds: Option<BTreeSet<ObservableKind>>,
    corroboration: Option<Corroboration>,
}

/// That a reader is shown what enough CERTs have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corroboration {
    /// By how many CERTs, 2 or more.
    pub(crate) least: u32,
    /// Stands for the whole rule: rows of the log that show objects to its readers name it.
    pub(crate) key: CertId,
}

impl Visibility {
    /// Everything: for the CERT's own analysts.
    pub(crate) const ALL: Self = Self(None);

    /// What this rule lets through, of that what carries an observable of one of these kinds, and of that what so many
    /// CERTs have seen.
    pub(crate) fn new(rule: CollectionRule, kinds: Option<BTreeSet<ObservableKind>>, corroboration_min: u32) -> Self {
        let key = || CertId::from_bytes(sha256(fingerprint(&rule, kinds.as_ref(), corroboration_min).as_bytes()));
        let corroboration = (corroboration_min > 1).then(|| Corroboration { least: corroboration_min, key: key() });
        Self(Some(Arc::new(Sight { rule, kinds, corroboration })))
    }

    /// Whether the reader may see what a CERT has released with this manifest. This is where policy is asked for SIEMs,
    /// streams and whatever else reads a feed.
    pub(super) fn allows(&self, origin: CertId, manifest: &Manifest) -> bool {
        self.0.as_ref().is_none_or(|sight| policy::collection(origin, &manifest.label, &sight.rule).released)
    }

    /// The strictest TLP level.
    pub(super) fn tlp_max(&self) -> Tlp {
        self.0.as_ref().map_or(Tlp::Red, |sight| sight.rule.tlp_max)
    }

    /// Whether objects of one release may differ in whether they are shown.
    pub(super) fn picks_objects(&self) -> bool {
        self.0.as_ref().is_some_and(|sight| sight.kinds.is_some())
    }

    /// Whether the reader is shown an object of a release that it may see, by the object's canonical bytes.
    pub(super) fn admits(&self, body: &[u8]) -> bool {
        let Some(kinds) = self.kinds() else { return true };
        let observables = Object::parse(body).map(|object| object.observables()).unwrap_or_default();
        observables.iter().any(|observable| kinds.contains(&observable.kind))
    }

    /// As [`Visibility::admits`], of an object that is gone, by the names of the kinds that it carried.
    pub(super) fn admitted(&self, names: &[String]) -> bool {
        let is_shown = |name: &String| self.kinds().is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == name));
        self.kinds().is_none() || names.iter().any(is_shown)
    }

    /// Whether observables of this kind count as seen.
    pub(crate) fn counts(&self, kind: ObservableKind) -> bool {
        self.kinds().is_none_or(|kinds| kinds.contains(&kind))
    }

    fn kinds(&self) -> Option<&BTreeSet<ObservableKind>> {
        self.0.as_ref()?.kinds.as_ref()
    }

    /// Whether the reader is shown only what several CERTs have seen.
    pub(crate) fn corroboration(&self) -> Option<Corroboration> {
        self.0.as_ref()?.corroboration
    }

    /// The same but for corroboration: what counts as seen by a CERT.
    pub(crate) fn uncorroborated(&self) -> Self {
        let open =
            |sight: &Arc<Sight>| Sight { rule: sight.rule.clone(), kinds: sight.kinds.clone(), corroboration: None };
        Self(self.0.as_ref().map(|sight| Arc::new(open(sight))))
    }

    /// The same, with no level stricter than this one.
    pub(crate) fn narrowed(&self, tlp_max: Tlp) -> Self {
        let Some(sight) = &self.0 else {
            return Self::new(CollectionRule { tlp_max, ..CollectionRule::default() }, None, 1);
        };
        let rule = CollectionRule { tlp_max: sight.rule.tlp_max.min(tlp_max), ..sight.rule.clone() };
        // Rows that show what several CERTs have seen name the rule as it is configured.
        let narrowed = Sight { rule, kinds: sight.kinds.clone(), corroboration: sight.corroboration };
        Self(Some(Arc::new(narrowed)))
    }

    /// Tells this rule from others, as short text: part of the ETag of what is read by it.
    pub(crate) fn tag(&self) -> String {
        let text = self.0.as_ref().map(|sight| {
            let least = sight.corroboration.map_or(1, |corroboration| corroboration.least);
            fingerprint(&sight.rule, sight.kinds.as_ref(), least)
        });
        mithaq_core::id::to_hex(&sha256(text.unwrap_or_default().as_bytes())[..4])
    }
}

/// All of a rule as text, the same for as long as it means the same.
fn fingerprint(rule: &CollectionRule, kinds: Option<&BTreeSet<ObservableKind>>, corroboration_min: u32) -> String {
    use mithaq_core::agreement::Scope;
    let origins = rule.origins.as_ref().map(|origins| join(origins.iter().map(ToString::to_string)));
    let sectors = match &rule.sectors {
        Scope::Any => None,
        Scope::Only(sectors) => Some(join(sectors.iter().map(|sector| format!("{sector:?}")))),
    };
    let categories = join(rule.categories.iter().map(|category: &Category| category.as_str().to_owned()));
    let kinds = kinds.map(|kinds| join(kinds.iter().map(|kind| kind.as_str().to_owned())));
    let any = |list: Option<String>| list.map_or_else(|| "any".to_owned(), |list| format!("[{list}]"));
    format!(
        "tlp={} origins={} sectors={} categories={categories} pap={} confidence={} types={} corroboration={corroboration_min}",
        rule.tlp_max,
        any(origins),
        any(sectors),
        rule.pap_max,
        rule.confidence_min,
        any(kinds),
    )
}

fn join(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(tlp_max: Tlp) -> CollectionRule {
        CollectionRule { tlp_max, ..CollectionRule::default() }
    }

    #[test]
    fn rules_that_differ_have_keys_that_differ() {
        let kinds = || Some([ObservableKind::Url].into());
        let rules = [
            Visibility::new(rule(Tlp::Green), None, 2),
            Visibility::new(rule(Tlp::Amber), None, 2),
            Visibility::new(rule(Tlp::Green), kinds(), 2),
            Visibility::new(rule(Tlp::Green), None, 3),
            Visibility::new(CollectionRule { origins: Some([].into()), ..rule(Tlp::Green) }, None, 2),
        ];
        let keys: BTreeSet<_> = rules.iter().map(|rule| rule.corroboration().unwrap().key).collect();
        let tags: BTreeSet<_> = rules.iter().map(Visibility::tag).collect();
        assert_eq!((keys.len(), tags.len()), (rules.len(), rules.len()));
        assert_eq!(Visibility::new(rule(Tlp::Green), None, 1).corroboration(), None);
        assert_eq!(rules[2].uncorroborated(), Visibility::new(rule(Tlp::Green), kinds(), 1));
    }

    #[test]
    fn objects_are_picked_by_what_they_carry() {
        let urls = Visibility::new(rule(Tlp::Green), Some([ObservableKind::Url].into()), 1);
        let object = |kind: &str, value: &str| {
            let id = format!("{kind}--00000000-0000-4000-8000-000000000001");
            format!(r#"{{"id":"{id}","spec_version":"2.1","type":"{kind}","value":"{value}"}}"#)
        };
        assert!(urls.admits(object("url", "https://a.example/x").as_bytes()));
        assert!(!urls.admits(object("domain-name", "a.example").as_bytes()));
        assert!(Visibility::ALL.admits(b"anything") && Visibility::ALL.admitted(&[]));
        assert!(urls.admitted(&["url".into()]) && !urls.admitted(&["domain-name".into()]) && !urls.admitted(&[]));
    }
}

//! The state of a collection as its readers see it: of each STIX id the newest version that is shown, if it is neither
//! revoked nor expired, with all who share it.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    sync::Arc,
};

use mithaq_api::export::EXPORT_VALUES_MAX;
use mithaq_core::{
    id::ContentId,
    stix::{
        object::{Object, ObjectClass},
        observable::Observable,
        pattern::Pattern,
    },
    time::Time,
};

use super::{
    ExportError, LeftOut, Reason,
    value::{Certs, Word},
};
use crate::{
    feed::{Feed, Rank, Source, Visibility},
    node::Node,
};

/// What is gathered.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) visibility: Visibility,
    /// Whether observable objects give values beside indicators.
    pub(crate) observables: bool,
    /// What is valid no longer by then is out.
    pub(crate) now: Time,
}

/// The newest version of a STIX id.
#[derive(Debug)]
struct Current {
    /// How many objects came before it.
    number: u64,
    rank: Rank,
    validity: Validity,
    values: Box<[Observable]>,
    /// Why an indicator gives no value.
    barren: Option<Reason>,
    word: Word,
}

/// Whether a version counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Stands,
    /// Until this time it stands.
    Until(Time),
    /// It is over, and no older version counts in its place.
    Over(Reason),
}

/// The state of a collection.
#[derive(Debug)]
pub(crate) struct Gathered {
    current: HashMap<String, Current>,
    /// How many objects have come.
    came: u64,
    /// How many values the objects have, each counted for each object.
    values: usize,
    pub(crate) certs: Certs,
    /// When something of it will be valid no longer.
    pub(crate) next_expiry: Option<Time>,
}

/// Reads the state of a collection. Blocks.
pub(crate) fn gather(node: &Arc<Node>, scope: Scope) -> Result<Gathered, ExportError> {
    let mut gathered =
        Gathered { current: HashMap::new(), came: 0, values: 0, certs: Certs::default(), next_expiry: None };
    let mut feed = Feed::new(Arc::clone(node), scope.visibility.clone());
    let mut is_too_much = false;
    let came_to_its_end = feed.each_shown(&mut |source, content, body| {
        gathered.take(&scope, source, content, body);
        is_too_much = gathered.current.len().max(gathered.values) > EXPORT_VALUES_MAX;
        if is_too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if is_too_much {
        return Err(ExportError::TooLarge);
    }
    if !came_to_its_end {
        return Err(ExportError::Stopping);
    }
    gathered.next_expiry = gathered.current.values().filter_map(Current::expiry).min();
    Ok(gathered)
}

impl Gathered {
    fn take(&mut self, scope: &Scope, source: &Source, content: ContentId, body: &[u8]) {
        // The store holds no object that does not parse, but for a damaged one, which was named in the log.
        let Ok(object) = Object::parse(body) else { return };
        let version = object.modified().or_else(|| object.created()).map(|time| time.unix_nanos());
        let published_at = source.provenance.published_at;
        let rank = Rank::new(version, published_at, content);
        self.came += 1;
        let word = Word {
            certs: vec![self.certs.number(source.provenance.origin)],
            tlp: source.manifest.label.level(),
            confidence: object.confidence(),
            earliest: published_at,
            first: source.provenance.origin,
            newest: published_at,
        };
        match self.current.get_mut(object.id().as_str()) {
            Some(current) if current.rank.content() == content => {
                current.rank = current.rank.max(rank);
                current.word.merge(&word);
            }
            Some(current) if current.rank > rank => {}
            _ => {
                let current = Current::of(scope, &object, self.came, rank, word);
                self.values += current.values.len();
                if let Some(older) = self.current.insert(object.id().as_str().to_owned(), current) {
                    self.values -= older.values.len();
                }
            }
        }
    }

    /// The values of what stands, each once.
    pub(crate) fn into_values(self, left_out: &mut LeftOut) -> (BTreeMap<Observable, Word>, Certs) {
        let mut values: BTreeMap<Observable, Word> = BTreeMap::new();
        for current in self.current.into_values() {
            if let Some(reason) = current.over().or(current.barren) {
                left_out.count(reason);
            }
            for value in current.values {
                values
                    .entry(value)
                    .and_modify(|word| word.merge(&current.word))
                    .or_insert_with(|| current.word.clone());
            }
        }
        (values, self.certs)
    }

    /// The contents of what stands, in the order in which they came: so they lie together in the store.
    pub(crate) fn into_contents(self, left_out: &mut LeftOut) -> Vec<ContentId> {
        self.current.values().filter_map(Current::over).for_each(|reason| left_out.count(reason));
        let stands = self.current.into_values().filter(|current| current.over().is_none());
        let mut contents: Vec<_> = stands.map(|current| (current.number, current.rank.content())).collect();
        contents.sort_unstable();
        contents.into_iter().map(|(_, content)| content).collect()
    }
}

impl Current {
    fn of(scope: &Scope, object: &Object<'_>, number: u64, rank: Rank, word: Word) -> Self {
        let until = object.valid_until().map(|time| Time::from_micros(time.unix_micros()));
        let validity = match until {
            _ if object.revoked() => Validity::Over(Reason::Revoked),
            Some(until) if until <= scope.now => Validity::Over(Reason::Expired),
            Some(until) => Validity::Until(until),
            None => Validity::Stands,
        };
        let (values, barren) = match validity {
            Validity::Over(_) => (Vec::new(), None),
            _ => values_of(scope, object),
        };
        Self { number, rank, validity, values: values.into_boxed_slice(), barren, word }
    }

    /// Why it does not count.
    fn over(&self) -> Option<Reason> {
        if let Validity::Over(reason) = self.validity { Some(reason) } else { None }
    }

    fn expiry(&self) -> Option<Time> {
        if let Validity::Until(until) = self.validity { Some(until) } else { None }
    }
}

/// The values that an object asks to be looked for, or why an indicator has none.
fn values_of(scope: &Scope, object: &Object<'_>) -> (Vec<Observable>, Option<Reason>) {
    if object.object_type() != "indicator" {
        let is_asked_for = scope.observables && object.class() == ObjectClass::Observable;
        return (if is_asked_for { object.observables() } else { Vec::new() }, None);
    }
    let text = |name| object.value().get(name).and_then(|value| value.as_str());
    if text("pattern_type").is_some_and(|language| language != "stix") {
        return (Vec::new(), Some(Reason::Language));
    }
    let pattern = text("pattern").unwrap_or_default();
    let values = Pattern::parse(&pattern).map(|pattern| Observable::sufficient_for(&pattern)).unwrap_or_default();
    let barren = values.is_empty().then_some(Reason::Pattern);
    (values, barren)
}

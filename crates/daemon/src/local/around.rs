//! What is known around an object that is shown: who else speaks of its values, and its translations.

use std::{collections::BTreeSet, sync::Arc};

use mithaq_api::http::{Corroboration, Held, Translation};
use mithaq_core::{
    id::ContentId,
    stix::{Object, StixId, observable::Observable},
    time::Time,
};
use mithaq_store::{Query, StoreError};
use serde::Deserialize;

use super::lookup;
use crate::{node::Node, standing::Cause};

/// The most values of one object whose other objects are looked for.
const VALUES_MAX: usize = 16;

/// The most objects that are looked at for one value.
const OBJECTS_MAX: usize = 100;

/// The most translations that are shown.
const TRANSLATIONS_MAX: usize = 64;

/// Adds what is known around an object. Blocks.
pub(super) fn add(node: &Arc<Node>, held: &mut Held) -> Result<(), StoreError> {
    let observables = match Object::parse(held.object.get().as_bytes()) {
        Ok(object) => object.observables(),
        Err(_) => Vec::new(),
    };
    for observable in observables.into_iter().take(VALUES_MAX) {
        held.corroboration.push(corroboration(node, observable)?);
    }
    held.translations = translations(node, held)?;
    Ok(())
}

/// Who stands by an object that carries a value.
fn corroboration(node: &Node, observable: Observable) -> Result<Corroboration, StoreError> {
    let page = node.store.find(&[Query::Value(observable.clone())], None, OBJECTS_MAX)?;
    let (mut origins, mut objects) = (BTreeSet::new(), 0);
    for found in page.found {
        let by = stood_by(node, found.content)?;
        objects += usize::from(!by.is_empty());
        origins.extend(by);
    }
    Ok(Corroboration {
        kind: observable.kind.to_string(),
        value: observable.value,
        origins: origins.into_iter().collect(),
        objects,
        more: page.next.is_some(),
    })
}

/// Our names for the CERTs whose releases show a content to our readers.
fn stood_by(node: &Node, content: ContentId) -> Result<BTreeSet<String>, StoreError> {
    let mut origins = BTreeSet::new();
    for seq in node.store.rows_of(content)? {
        let Some((row, _, manifest)) = node.sound_release_at(seq)? else { continue };
        let hold = node.standing.hold(&*node.store, row.release, content)?;
        if !manifest.kind.is_local() && hold.is_none_or(|hold| hold.cause == Cause::Accepted) {
            origins.insert(node.name_of(manifest.origin));
        }
    }
    Ok(origins)
}

/// The translations of an object that are current and stood by; of one that says which version it is of, only for that.
pub(super) fn translations(node: &Arc<Node>, held: &Held) -> Result<Vec<Translation>, StoreError> {
    let Ok(id) = StixId::parse(&held.id) else { return Ok(Vec::new()) };
    let page = node.store.find(&[Query::Translations(id.as_str().to_owned())], None, TRANSLATIONS_MAX)?;
    let mut translations = Vec::new();
    for found in page.found {
        let from: Vec<_> = stood_by(node, found.content)?.into_iter().collect();
        let Some(translation) = lookup::held(node, found.content)? else { continue };
        if translation.current && !from.is_empty() && is_of_version(translation.object.get(), held.object.get()) {
            translations.push(Translation { content: found.content, from, object: translation.object });
        }
    }
    Ok(translations)
}

fn is_of_version(translation: &str, object: &str) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Versioned {
        modified: Option<Time>,
        object_modified: Option<Time>,
    }
    let read = |text| serde_json::from_str::<Versioned>(text).unwrap_or_default();
    let of = read(translation).object_modified;
    of.is_none() || of == read(object).modified
}

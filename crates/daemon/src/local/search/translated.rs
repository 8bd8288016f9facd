//! A translation that has the words of a search is shown as the object whose text it translates.

use std::sync::Arc;

use mithaq_api::http::Held;
use mithaq_core::{body::Facts, id::ContentId, stix::Object};
use mithaq_store::StoreError;

use crate::{
    local::{around, lookup},
    node::Node,
};

/// What a content that has the words of a search is shown as.
#[derive(Debug)]
pub(super) enum Shown {
    /// As it is: it is no translation, or what it translates is not here.
    AsItIs,
    /// As the object that it translates, with it beside.
    As(Box<Held>),
    /// Not at all, since the object is found by itself or by another translation.
    Elsewhere,
}

/// What to show for a content that was found by words.
pub(super) fn shown(node: &Arc<Node>, words: &[String], content: ContentId) -> Result<Shown, StoreError> {
    let Some(id) = facts(node, content)?.and_then(|facts| facts.translates) else { return Ok(Shown::AsItIs) };
    for version in node.store.versions(&id)?.into_iter().rev() {
        let Some(mut object) = lookup::held(node, version.content)?.filter(|held| held.current) else { continue };
        let has_words = |content| Ok::<_, StoreError>(facts(node, content)?.is_some_and(|facts| has(&facts, words)));
        let mut translations = around::translations(node, &object)?;
        if !translations.iter().any(|translation| translation.content == content) {
            // It is of another version, or stands no more.
            return Ok(Shown::AsItIs);
        }
        if has_words(version.content)? {
            return Ok(Shown::Elsewhere);
        }
        for other in translations.iter().map(|other| other.content).filter(|other| *other < content) {
            if has_words(other)? {
                return Ok(Shown::Elsewhere);
            }
        }
        translations.retain(|translation| translation.content == content);
        object.translations = translations;
        return Ok(Shown::As(Box::new(object)));
    }
    Ok(Shown::AsItIs)
}

fn has(facts: &Facts, words: &[String]) -> bool {
    words.iter().all(|word| facts.words.contains(word))
}

fn facts(node: &Arc<Node>, content: ContentId) -> Result<Option<Facts>, StoreError> {
    let body = node.store.bodies(&[content])?.pop().flatten();
    let object = body.as_deref().and_then(|body| Object::parse(body).ok());
    Ok(object.as_ref().map(Facts::of))
}

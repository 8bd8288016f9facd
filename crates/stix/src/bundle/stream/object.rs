//! The text of one object, as the splitter gives it.

use crate::{
    bundle::{Entry, id_hint},
    json::{JsonError, JsonErrorKind, Parser, Value},
    object::{LIMITS, OBJECT_BYTES_MAX, Object, ObjectError},
};

/// The text of a value that stands where an object should.
#[derive(Debug)]
pub struct ObjectText<'a> {
    /// The object's place among all entries of the input, from 0.
    pub index: usize,
    /// Where it begins in the input, in bytes.
    pub offset: usize,
    /// The bundle that it is in.
    pub bundle: Option<InBundle>,
    pub(super) text: Text<'a>,
}

/// The bundle that an object is in, as far as it is known where the object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InBundle {
    /// Where the bundle begins in the input, in bytes.
    pub offset: usize,
    /// The bundle says that it is STIX 2.0.
    pub is_stix_2_0: bool,
}

#[derive(Debug)]
pub(super) enum Text<'a> {
    /// It is JSON.
    Held(&'a [u8]),
    /// It was too long to be held; this is what it may have for an `id`.
    TooLong(Option<String>),
}

impl<'a> ObjectText<'a> {
    /// The text of the object; `None` if it was too long to be held.
    #[must_use]
    pub fn text(&self) -> Option<&'a [u8]> {
        match self.text {
            Text::Held(text) => Some(text),
            Text::TooLong(_) => None,
        }
    }

    /// The value that stands there, whether it is a STIX object or not.
    ///
    /// # Errors
    /// When the text is not I-JSON, or larger than an object may be; with the place in the whole input.
    pub fn value(&self) -> Result<Value<'a>, JsonError> {
        let shift = |error: JsonError| JsonError { offset: self.offset + error.offset, ..error };
        match self.text {
            Text::Held(text) => Parser::with_limits(text, LIMITS).document().map_err(shift),
            Text::TooLong(_) => Err(too_long(self.offset)),
        }
    }

    /// What [`crate::Reader`] makes of it.
    #[must_use]
    pub fn entry(&self) -> Entry<'a> {
        let object = self.object();
        let id_hint = if object.is_err() { self.id_hint() } else { None };
        Entry { index: self.index, offset: self.offset, object, id_hint }
    }

    fn object(&self) -> Result<Object<'a>, ObjectError> {
        if self.bundle.is_some_and(|bundle| bundle.is_stix_2_0) {
            return Err(ObjectError::Stix20 { evidence: "bundle's spec_version" });
        }
        let text = self.text().ok_or_else(|| too_long(self.offset))?;
        Object::parse(text).map_err(|error| shifted(error, |offset| self.offset + offset))
    }

    /// What the value has for an `id`, fit for a message; never to be taken for an identifier.
    #[must_use]
    pub fn id_hint(&self) -> Option<String> {
        match &self.text {
            Text::Held(text) => id_hint_of(text),
            Text::TooLong(id_hint) => id_hint.clone(),
        }
    }
}

/// The error with its place in the whole input.
pub(super) fn shifted(error: ObjectError, shift: impl FnOnce(usize) -> usize) -> ObjectError {
    match error {
        ObjectError::Json(error) => JsonError { offset: shift(error.offset), ..error }.into(),
        other => other,
    }
}

/// What is wrong with a value at `offset` that was too long to be held: there its limit is passed.
pub(super) fn too_long(offset: usize) -> JsonError {
    JsonError::new(JsonErrorKind::TooLong(OBJECT_BYTES_MAX), offset + OBJECT_BYTES_MAX)
}

/// What the value whose text, or the beginning of it, this is has for an `id`, fit for a message.
pub(super) fn id_hint_of(text: &[u8]) -> Option<String> {
    if text.first() != Some(&b'{') {
        return None;
    }
    id_hint(&mut Parser::new(text), 0)
}

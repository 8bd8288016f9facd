//! One STIX object, read leniently: refused only where identity, versions or policy could not be told.

mod check;
mod class;
mod error;
mod refs;

use crate::{
    id::StixIdRef,
    json::{JsonError, Parser, Value, write_canonical},
    observable::{self, Observable},
    time::TimestampRef,
};
pub use class::ObjectClass;
pub use error::{ERROR_CODES, ObjectError};
use std::{borrow::Cow, fmt};

/// The longest text of one object, in bytes.
pub const OBJECT_BYTES_MAX: usize = 16 << 20;
/// The most JSON values in one object: about four times what the largest real collection holds.
pub const OBJECT_VALUES_MAX: usize = 1 << 18;

pub(crate) const LIMITS: crate::json::Limits =
    crate::json::Limits { bytes: OBJECT_BYTES_MAX, values: OBJECT_VALUES_MAX };

/// A STIX 2.1 object, checked, that borrows from the text that it was read from.
///
/// It has a `type`, an `id` of that type, the timestamps that its type needs, and markings that can be understood.
/// Everything else is as its producer wrote it.
#[derive(Clone)]
pub struct Object<'a> {
    value: Value<'a>,
    source: &'a [u8],
    is_canonical: bool,
    id: StixIdRef<'a>,
    created: Option<TimestampRef<'a>>,
    modified: Option<TimestampRef<'a>>,
}

impl<'a> Object<'a> {
    /// Reads the one object that `input` is, with whitespace around it or without.
    ///
    /// # Errors
    /// When `input` is not I-JSON, is larger than [`OBJECT_BYTES_MAX`] or [`OBJECT_VALUES_MAX`] allow, or is no STIX
    /// 2.1 object whose identity, version and markings can be told.
    pub fn parse(input: &'a [u8]) -> Result<Object<'a>, ObjectError> {
        let source = input.trim_ascii();
        let shift = |error: JsonError| {
            let leading = input.len() - input.trim_ascii_start().len();
            JsonError { offset: error.offset + leading, ..error }
        };
        let mut parser = Parser::with_limits(source, LIMITS);
        let value = parser.document().map_err(shift)?;
        Object::from_parts(value, source, parser.is_canonical())
    }

    /// An object out of a `value` that was read from `source`, the value's own span of the text.
    ///
    /// # Errors
    /// As [`Self::parse`], but for what the JSON reader checks.
    pub fn from_value(value: Value<'a>, source: &'a [u8]) -> Result<Object<'a>, ObjectError> {
        Object::from_parts(value, source, false)
    }

    pub(crate) fn from_parts(
        value: Value<'a>,
        source: &'a [u8],
        is_canonical: bool,
    ) -> Result<Object<'a>, ObjectError> {
        let Some(map) = value.as_object() else {
            return Err(ObjectError::NotAnObject { found: value.kind() });
        };
        let check::Header { id, created, modified } = check::header(map)?;
        Ok(Object { value, source, is_canonical, id, created, modified })
    }

    /// The object's identifier.
    #[must_use]
    pub fn id(&self) -> &StixIdRef<'a> {
        &self.id
    }

    /// The object's type, such as `indicator`.
    #[must_use]
    pub fn object_type(&self) -> &str {
        self.id.object_type()
    }

    /// The class of the object's type.
    #[must_use]
    pub fn class(&self) -> ObjectClass {
        ObjectClass::of(self.object_type())
    }

    /// The version of STIX that the object says it is: `2.1`, or nothing.
    #[must_use]
    pub fn spec_version(&self) -> Option<Cow<'a, str>> {
        self.string("spec_version")
    }

    /// When the object was created; observables have no such time.
    #[must_use]
    pub fn created(&self) -> Option<&TimestampRef<'a>> {
        self.created.as_ref()
    }

    /// When this version of the object was made; observables and marking definitions have no versions.
    #[must_use]
    pub fn modified(&self) -> Option<&TimestampRef<'a>> {
        self.modified.as_ref()
    }

    /// Tells whether this version revokes the object, for ever (STIX 2.1 §3.6).
    #[must_use]
    pub fn revoked(&self) -> bool {
        self.value.get("revoked").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The identity that made the object.
    #[must_use]
    pub fn created_by_ref(&self) -> Option<StixIdRef<'a>> {
        self.value.get("created_by_ref").and_then(refs::id)
    }

    /// The markings of the whole object.
    pub fn object_marking_refs(&self) -> impl Iterator<Item = StixIdRef<'a>> + '_ {
        self.array("object_marking_refs").iter().filter_map(refs::id)
    }

    /// The markings of parts of the object; those that only tell a language are left out.
    pub fn granular_marking_refs(&self) -> impl Iterator<Item = StixIdRef<'a>> + '_ {
        let granular = self.array("granular_markings").iter();
        granular.filter_map(|marking| marking.get("marking_ref")).filter_map(refs::id)
    }

    /// All markings, of the whole and of parts.
    pub fn marking_refs(&self) -> impl Iterator<Item = StixIdRef<'a>> + '_ {
        self.object_marking_refs().chain(self.granular_marking_refs())
    }

    /// The ids of what a relationship, sighting, report, grouping, note, opinion, observation or translation speaks
    /// of. Who made it, where it was seen and how it is marked are not among them.
    #[must_use]
    pub fn subject_refs(&self) -> Vec<StixIdRef<'a>> {
        refs::subjects(&self.value)
    }

    /// The ids under every property whose name ends in `_ref` or `_refs`, however deep it stands.
    #[must_use]
    pub fn refs(&self) -> Vec<StixIdRef<'a>> {
        refs::all(&self.value)
    }

    /// The language of the object's text (RFC 5646).
    #[must_use]
    pub fn lang(&self) -> Option<Cow<'a, str>> {
        self.string("lang")
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> Option<Cow<'a, str>> {
        self.string("name")
    }

    /// From when an indicator is valid, if that can be told.
    #[must_use]
    pub fn valid_from(&self) -> Option<TimestampRef<'a>> {
        self.timestamp("valid_from")
    }

    /// Until when an indicator is valid, if that can be told.
    #[must_use]
    pub fn valid_until(&self) -> Option<TimestampRef<'a>> {
        self.timestamp("valid_until")
    }

    /// The `labels`.
    #[must_use]
    pub fn labels(&self) -> Vec<Cow<'a, str>> {
        self.strings("labels")
    }

    /// The `sectors`, if they are a list of strings.
    #[must_use]
    pub fn sectors(&self) -> Vec<Cow<'a, str>> {
        self.strings("sectors")
    }

    /// The producer's confidence, 0 to 100, if it is in that range.
    #[must_use]
    pub fn confidence(&self) -> Option<u8> {
        let confidence = self.value.get("confidence")?.as_i64()?;
        u8::try_from(confidence).ok().filter(|confidence| *confidence <= 100)
    }

    /// The normalised observables that the object is, or that its pattern looks for; sorted, each once.
    #[must_use]
    pub fn observables(&self) -> Vec<Observable> {
        observable::of_object(self.object_type(), &self.value)
    }

    /// The object in canonical form (RFC 8785); borrowed when it came in that form.
    #[must_use]
    pub fn canonical(&self) -> Cow<'a, [u8]> {
        if self.is_canonical {
            return Cow::Borrowed(self.source);
        }
        let mut out = Vec::with_capacity(self.source.len());
        write_canonical(&self.value, &mut out);
        Cow::Owned(out)
    }

    /// The whole object.
    #[must_use]
    pub fn value(&self) -> &Value<'a> {
        &self.value
    }

    /// The object's text as it came.
    #[must_use]
    pub fn source(&self) -> &'a [u8] {
        self.source
    }

    /// The length of the object's text as it came, in bytes.
    #[must_use]
    pub fn span_len(&self) -> usize {
        self.source.len()
    }

    fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        self.value.get(name)?.as_str()
    }

    fn timestamp(&self, name: &str) -> Option<TimestampRef<'a>> {
        TimestampRef::from_cow(self.string(name)?).ok()
    }

    fn array(&self, name: &str) -> &[Value<'a>] {
        self.value.get(name).and_then(Value::as_array).unwrap_or_default()
    }

    /// The list under `name`, or nothing unless all of it is strings.
    fn strings(&self, name: &str) -> Vec<Cow<'a, str>> {
        self.array(name).iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default()
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests;

//! `match[...]`: which objects a client asks for (TAXII 2.1 §3.4).

use std::{borrow::Cow, collections::BTreeMap};

use mithaq_core::{
    id::ContentId,
    stix::{
        id::{StixId, is_type_name},
        time::TimestampRef,
    },
};
use mithaq_store::{StoreError, Version};
use serde::Deserialize;

use crate::feed::by_time;

/// The most values of one field.
const MATCH_VALUES_MAX: usize = 100;

/// The most bytes of one field, so that `next`, which carries all of them, fits into a URL.
const MATCH_BYTES_MAX: usize = 8 * 1024;

/// The version of an object that has neither `modified` nor `created`: the standard asks for any, but always the same.
pub(super) const VERSION_NONE: &str = "1970-01-01T00:00:00.000000Z";

/// What filters and manifests read of an object.
#[derive(Debug, Deserialize)]
pub(super) struct Header<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    modified: Option<Cow<'a, str>>,
    #[serde(borrow)]
    created: Option<Cow<'a, str>>,
    #[serde(borrow)]
    spec_version: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    /// Reads the canonical bytes of an object.
    pub(super) fn read(content: ContentId, body: &'a [u8]) -> Result<Self, StoreError> {
        let damaged = |_| StoreError::Corrupt { what: format!("object {}", content.fmt_short()) };
        serde_json::from_slice(body).map_err(damaged)
    }

    /// The version as the standard has it: `modified`, else `created`, else always the same.
    pub(super) fn version(&self) -> &str {
        self.modified.as_deref().or(self.created.as_deref()).unwrap_or(VERSION_NONE)
    }

    /// The version of STIX that the object is written in. Observables need not name it (STIX 2.1 §3.2), and the rest
    /// is refused without it.
    fn spec_version(&self) -> &str {
        self.spec_version.as_deref().unwrap_or("2.1")
    }

    /// The id as the store knows it: with the UUID in lower case, however the object writes it.
    pub(super) fn stix_id(&self) -> Cow<'_, str> {
        match self.id.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.id.to_ascii_lowercase().into(),
            false => (&*self.id).into(),
        }
    }

    fn object_type(&self) -> &str {
        self.id.split_once("--").map_or("", |(object_type, _)| object_type)
    }
}

/// Which of an object's versions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Versions {
    All,
    Some { first: bool, last: bool, at_nanos: Vec<i128> },
}

/// What a client asks for: all fields hold, and of a field any value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    fields: BTreeMap<String, String>,
    ids: Option<Vec<String>>,
    types: Option<Vec<String>>,
    spec_versions: Option<Vec<String>>,
    versions: Versions,
}

/// What is wrong with a field, and which.
pub(super) type FilterError = (String, &'static str);

impl Filter {
    /// Whether there is a field of this name; others are ignored, as the standard allows.
    pub(super) fn knows(field: &str) -> bool {
        matches!(field, "id" | "type" | "spec_version" | "version")
    }

    /// Reads the fields, by name without `match[]`.
    pub(super) fn parse(fields: BTreeMap<String, String>) -> Result<Self, FilterError> {
        let list = |field: &str, problem, is_value: fn(&str) -> bool| match fields.get(field) {
            None => Ok(None),
            Some(text) => values(text, is_value).map(Some).map_err(|()| (field.to_owned(), problem)),
        };
        let is_id = |text: &str| StixId::parse(text).is_ok();
        let ids = list("id", "STIX ids", is_id)?;
        let is_spec_version = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        Ok(Self {
            ids: ids.map(|ids| ids.iter().map(|id| id.to_ascii_lowercase()).collect()),
            types: list("type", "types such as indicator", is_type_name)?,
            spec_versions: list("spec_version", "versions of STIX such as 2.1", is_spec_version)?,
            versions: match list("version", VERSION_FORM, is_version)? {
                None => Versions::Some { first: false, last: true, at_nanos: Vec::new() },
                Some(values) => versions(&values).ok_or(("version".to_owned(), VERSION_FORM))?,
            },
            fields,
        })
    }

    /// The fields as they were given.
    pub(super) fn fields(&self) -> &BTreeMap<String, String> {
        &self.fields
    }

    /// Narrows the filter to what a path names: an object, by its id in lower case, and perhaps all of its versions.
    pub(super) fn narrow(&mut self, object: Option<&str>, all_versions: bool) {
        if let Some(object) = object {
            self.ids = Some(vec![object.to_owned()]);
        }
        if all_versions {
            self.versions = Versions::All;
        }
    }

    /// The ids that are asked for, if not any.
    pub(super) fn ids(&self) -> Option<&[String]> {
        self.ids.as_deref()
    }

    /// Whether this version may be asked for: which is first or last depends on the others.
    pub(super) fn may_admit_version(&self, header: &Header<'_>) -> bool {
        let Versions::Some { first, last, at_nanos } = &self.versions else { return true };
        let nanos = TimestampRef::borrow(header.version()).map(|time| time.unix_nanos());
        *first || *last || nanos.is_ok_and(|nanos| at_nanos.contains(&nanos))
    }

    /// Whether the object is asked for, in so far as it can tell by itself.
    pub(super) fn admits(&self, header: &Header<'_>) -> bool {
        let is_among = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|wanted| wanted == value))
        };
        is_among(&self.ids, &header.stix_id())
            && is_among(&self.types, header.object_type())
            && is_among(&self.spec_versions, header.spec_version())
    }

    /// Those of an object's versions that are asked for. `served` says which of versions with one time the client is
    /// served, if it may see any: what it may not see is neither first nor last.
    pub(super) fn choose(
        &self,
        versions: &[Version],
        mut served: impl FnMut(&[Version]) -> Result<Option<ContentId>, StoreError>,
    ) -> Result<Vec<ContentId>, StoreError> {
        let mut chosen = Vec::new();
        let (first, last) = match &self.versions {
            Versions::All => (false, false),
            Versions::Some { first, last, .. } => (*first, *last),
        };
        for versions in by_time(versions).filter(|versions| self.names_time_of(versions)) {
            chosen.extend(served(versions)?);
        }
        if first {
            chosen.extend(find_served(by_time(versions), &mut served)?);
        }
        if last {
            chosen.extend(find_served(by_time(versions).rev(), &mut served)?);
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    /// Whether the time of these versions, which have one, is asked for.
    fn names_time_of(&self, versions: &[Version]) -> bool {
        let nanos = versions.first().and_then(|version| version.version_nanos).unwrap_or(0);
        match &self.versions {
            Versions::All => true,
            Versions::Some { at_nanos, .. } => at_nanos.contains(&nanos),
        }
    }
}

fn find_served<'a>(
    mut times: impl Iterator<Item = &'a [Version]>,
    served: &mut impl FnMut(&[Version]) -> Result<Option<ContentId>, StoreError>,
) -> Result<Option<ContentId>, StoreError> {
    times.find_map(|versions| served(versions).transpose()).transpose()
}

const VERSION_FORM: &str = "all alone, or first, last and times such as 2016-01-01T01:01:01.000Z, each once";

/// Splits a list at its commas, if every value has its form.
fn values(text: &str, is_value: fn(&str) -> bool) -> Result<Vec<String>, ()> {
    let fits = text.len() <= MATCH_BYTES_MAX
        && text.split(',').count() <= MATCH_VALUES_MAX
        && text.split(',').all(|value| !value.is_empty() && is_value(value));
    if fits { Ok(text.split(',').map(str::to_owned).collect()) } else { Err(()) }
}

fn is_version(text: &str) -> bool {
    matches!(text, "all" | "first" | "last") || TimestampRef::borrow(text).is_ok()
}

/// Reads versions that have their form; no value may stand twice, and `all` only alone.
fn versions(values: &[String]) -> Option<Versions> {
    if values == ["all"] {
        return Some(Versions::All);
    }
    let (mut first, mut last, mut at_nanos) = (false, false, Vec::new());
    for value in values {
        let is_new = match value.as_str() {
            "first" => !std::mem::replace(&mut first, true),
            "last" => !std::mem::replace(&mut last, true),
            text => {
                let nanos = TimestampRef::borrow(text).ok()?.unix_nanos();
                let is_new = !at_nanos.contains(&nanos);
                at_nanos.push(nanos);
                is_new
            }
        };
        if !is_new {
            return None;
        }
    }
    Some(Versions::Some { first, last, at_nanos })
}

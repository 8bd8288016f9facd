//! Relationship objects (STIX 2.1 §5) and meta objects (§7).

use super::{
    common::{Extensions, ExternalReference, GranularMarking, Tag, Typed},
    field::{AnyObject, Custom, Dictionary, IdentityOrLocation, Integer, MarkingDefinition, ObservedData, Ref, Word},
    shape::{Property, Shape, Shaped, Structure},
    vocabulary::{ExtensionType, SpecVersion},
};
use crate::time::Timestamp;

versioned_object! {
    /// How one object relates to another.
    "5.1" Relationship "relationship" {
        relationship_type: String,
        description: Option<String>,
        source_ref: Ref<AnyObject>,
        target_ref: Ref<AnyObject>,
        start_time: Option<Timestamp>,
        stop_time: Option<Timestamp>,
    }
}

versioned_object! {
    /// That something was seen.
    "5.2" Sighting "sighting" {
        description: Option<String>,
        first_seen: Option<Timestamp>,
        last_seen: Option<Timestamp>,
        count: Option<Integer<0, 999_999_999>>,
        sighting_of_ref: Ref<AnyObject>,
        observed_data_refs: Option<Vec<Ref<ObservedData>>>,
        where_sighted_refs: Option<Vec<Ref<IdentityOrLocation>>>,
        summary: Option<bool>,
    }
}

versioned_object! {
    /// An object's text in other languages.
    "7.1" LanguageContent "language-content" {
        object_ref: Ref<AnyObject>,
        object_modified: Option<Timestamp>,
        contents: Dictionary<Dictionary<serde_json::Value>>,
    }
}

structure! {
    /// How data is to be handled. It is made once and has no versions.
    "7.2.1" MarkingDefinitionObject "marking-definition" {
        object_type as "type": Tag<MarkingDefinitionObject>,
        spec_version: Word<SpecVersion>,
        id: Ref<MarkingDefinition>,
        created_by_ref: Option<Ref<AnyObject>>,
        created: Timestamp,
        external_references: Option<Vec<ExternalReference>>,
        object_marking_refs: Option<Vec<Ref<MarkingDefinition>>>,
        granular_markings: Option<Vec<GranularMarking>>,
        extensions: Option<Extensions>,
        name: Option<String>,
        definition_type: Option<String>,
        definition: Option<serde_json::Value>,
    }
}
object_type!(MarkingDefinitionObject "marking-definition");

versioned_object! {
    /// What an extension adds, and where it is written down.
    "7.3" ExtensionDefinition "extension-definition" {
        name: String,
        description: Option<String>,
        schema: String,
        version: String,
        extension_types: Vec<Word<ExtensionType>>,
        extension_properties: Option<Vec<String>>,
    }
}

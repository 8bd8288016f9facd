//! One declaration for each structure of the standard: its Rust type, its serde form and its [`Structure`] are made of it.

/// A part of an object: its fields, and whatever else a producer put beside them.
macro_rules! structure {
    (
        $(#[$meta:meta])*
        $section:literal $name:ident $wire_name:literal {
            $($field:ident $(as $wire:literal)? : $ty:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        ///
        #[doc = concat!("`", $wire_name, "`, STIX 2.1 §", $section, ".")]
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "each field is the standard's property of that name")]
        pub struct $name {
            $(
                $(#[serde(rename = $wire)])?
                #[serde(skip_serializing_if = "Shaped::is_absent")]
                pub $field: $ty,
            )*
            /// Properties that the standard does not define.
            #[serde(flatten)]
            pub custom: Custom,
        }

        impl $name {
            /// What the standard wants of it.
            pub const STRUCTURE: &'static Structure = &Structure {
                name: $wire_name,
                section: $section,
                properties: &[$(
                    Property {
                        name: structure!(@name $field $($wire)?),
                        shape: <$ty as Shaped>::SHAPE,
                        is_required: <$ty as Shaped>::IS_REQUIRED,
                    },
                )*],
            };
        }

        impl Shaped for $name {
            const SHAPE: &'static Shape = &Shape::Object(Self::STRUCTURE);
        }
    };
    (@name $field:ident $wire:literal) => { $wire };
    (@name $field:ident) => { stringify!($field) };
}

/// The `type` of an object, which the Rust type fixes.
macro_rules! object_type {
    ($name:ident $wire_name:literal) => {
        impl Typed for $name {
            const TYPE: &'static str = $wire_name;
        }
    };
}

/// What all objects with versions have, and more; `$tag` is the Rust type of their `type`.
macro_rules! versioned_structure {
    (
        $(#[$meta:meta])*
        $section:literal $name:ident $wire_name:literal [$tag:ty] {
            $($field:ident $(as $wire:literal)? : $ty:ty),* $(,)?
        }
    ) => {
        structure! {
            $(#[$meta])*
            $section $name $wire_name {
                object_type as "type": $tag,
                spec_version: Word<SpecVersion>,
                id: Ref<AnyObject>,
                created_by_ref: Option<Ref<AnyObject>>,
                created: Timestamp,
                modified: Timestamp,
                revoked: Option<bool>,
                labels: Option<Vec<String>>,
                confidence: Option<Integer<0, 100>>,
                lang: Option<String>,
                external_references: Option<Vec<ExternalReference>>,
                object_marking_refs: Option<Vec<Ref<MarkingDefinition>>>,
                granular_markings: Option<Vec<GranularMarking>>,
                extensions: Option<Extensions>,
                $($field $(as $wire)? : $ty,)*
            }
        }
    };
}

/// A domain, relationship or meta object: with versions.
macro_rules! versioned_object {
    (
        $(#[$meta:meta])*
        $section:literal $name:ident $wire_name:literal { $($fields:tt)* }
    ) => {
        versioned_structure! {
            $(#[$meta])*
            $section $name $wire_name [Tag<$name>] { $($fields)* }
        }
        object_type!($name $wire_name);
    };
}

/// What all observables have, and more; `$tag` is the Rust type of their `type`.
macro_rules! observable_structure {
    (
        $(#[$meta:meta])*
        $section:literal $name:ident $wire_name:literal [$tag:ty] [$extensions:ty] {
            $($field:ident $(as $wire:literal)? : $ty:ty),* $(,)?
        }
    ) => {
        structure! {
            $(#[$meta])*
            $section $name $wire_name {
                object_type as "type": $tag,
                spec_version: Option<Word<SpecVersion>>,
                id: Ref<AnyObject>,
                object_marking_refs: Option<Vec<Ref<MarkingDefinition>>>,
                granular_markings: Option<Vec<GranularMarking>>,
                defanged: Option<bool>,
                extensions: Option<$extensions>,
                $($field $(as $wire)? : $ty,)*
            }
        }
    };
}

/// A cyber-observable object: without versions, with predefined extensions of the type `$extensions`.
macro_rules! observable_object {
    (
        $(#[$meta:meta])*
        $section:literal $name:ident $wire_name:literal [$extensions:ty] { $($fields:tt)* }
    ) => {
        observable_structure! {
            $(#[$meta])*
            $section $name $wire_name [Tag<$name>] [$extensions] { $($fields)* }
        }
        object_type!($name $wire_name);
    };
}

/// The extensions of an object: those that the standard predefines for its type, and any others.
macro_rules! extensions {
    (
        $(#[$meta:meta])*
        $section:literal $name:ident { $($field:ident as $wire:literal : $ty:ty),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "each field is the standard's extension of that name")]
        pub struct $name {
            $(
                #[serde(rename = $wire)]
                #[serde(skip_serializing_if = "Shaped::is_absent")]
                pub $field: Option<$ty>,
            )*
            /// Extensions that the standard does not define.
            #[serde(flatten)]
            pub other: std::collections::BTreeMap<String, Extension>,
        }

        impl Shaped for $name {
            const SHAPE: &'static Shape = &Shape::Extensions(&Structure {
                name: "extensions",
                section: $section,
                properties: &[$(
                    Property { name: $wire, shape: <$ty as Shaped>::SHAPE, is_required: false },
                )*],
            });
        }
    };
}

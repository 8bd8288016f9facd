//! The object types that STIX 2.1 defines, by what rules they follow.

/// What kind of object a type name stands for (STIX 2.1 §1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ObjectClass {
    /// A domain object, such as `indicator`.
    Domain,
    /// A relationship object: `relationship` or `sighting`.
    Relationship,
    /// A cyber-observable object, such as `file`: without versions.
    Observable,
    /// `marking-definition`: made once, without versions.
    Marking,
    /// `language-content` or `extension-definition`.
    Meta,
    /// `bundle`, which is a container and no object.
    Bundle,
    /// A type that the standard does not define.
    Custom,
}

impl ObjectClass {
    /// The class of the objects of type `object_type`.
    #[must_use]
    pub fn of(object_type: &str) -> ObjectClass {
        match object_type {
            "attack-pattern" | "campaign" | "course-of-action" | "grouping" | "identity" | "incident" | "indicator"
            | "infrastructure" | "intrusion-set" | "location" | "malware" | "malware-analysis" | "note"
            | "observed-data" | "opinion" | "report" | "threat-actor" | "tool" | "vulnerability" => Self::Domain,
            "relationship" | "sighting" => Self::Relationship,
            "artifact"
            | "autonomous-system"
            | "directory"
            | "domain-name"
            | "email-addr"
            | "email-message"
            | "file"
            | "ipv4-addr"
            | "ipv6-addr"
            | "mac-addr"
            | "mutex"
            | "network-traffic"
            | "process"
            | "software"
            | "url"
            | "user-account"
            | "windows-registry-key"
            | "x509-certificate" => Self::Observable,
            "marking-definition" => Self::Marking,
            "language-content" | "extension-definition" => Self::Meta,
            "bundle" => Self::Bundle,
            _ => Self::Custom,
        }
    }
}

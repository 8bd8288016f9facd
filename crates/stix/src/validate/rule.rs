//! The rules of the standard that are checked, each with a stable number that can be looked up.

/// What a finding means for the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The object breaks a MUST of the standard: it is not valid.
    Error,
    /// The object goes against a SHOULD of the standard.
    Warning,
}

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident $code:literal $severity:ident $section:literal $title:literal $text:literal)*) => {
        /// A rule of the standard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $title] $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Rule] = &[$(Rule::$name),*];

            /// The rule's stable number, an entry of [`RULE_CODES`].
            #[must_use]
            pub fn code(self) -> u16 {
                match self { $(Rule::$name => $code,)* }
            }

            /// What breaking the rule means.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Rule::$name => Severity::$severity,)* }
            }

            /// The section of STIX 2.1 that has the rule; `None` if it is that of the object's type.
            #[must_use]
            pub fn section(self) -> Option<&'static str> {
                match self { $(Rule::$name => Some($section).filter(|section| !section.is_empty()),)* }
            }
        }

        /// Every rule's number, with a title and an explanation.
        pub const RULE_CODES: &[(u16, &str, &str)] = &[$(($code, $title, $text)),*];
    };
}

rules! {
    Required 1101 Error "" "A required property is missing."
        "The type of the object needs the property at the pointer. Add it, or ask the object's producer to."
    Kind 1102 Error "" "A value is of the wrong kind."
        "The standard fixes the JSON type of each property: a list stays a list with one element, a number is not quoted, and null is never a value. Write the value as the message says, or leave the property out."
    Empty 1103 Error "2.12" "A list or dictionary is empty."
        "Lists and dictionaries hold at least one element. Leave the property out when there is nothing to say."
    Range 1104 Error "" "A number is out of range."
        "Correct the number; the message names the range."
    Timestamp 1105 Error "2.16" "A timestamp is malformed or names no day that exists."
        "Timestamps are of the form YYYY-MM-DDTHH:mm:ss[.s+]Z, in UTC, with a capital T and Z."
    Milliseconds 1106 Error "3.2" "A timestamp is not precise to the millisecond."
        "created and modified have at least three digits after the seconds."
    TimeOrder 1107 Error "" "Two times are in the wrong order."
        "The later time stands before the earlier one. Correct one of the two."
    Identifier 1108 Error "2.9" "An identifier is malformed."
        "Identifiers are the object's type, two hyphens and a UUID of RFC 4122, such as indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f."
    IdentifierType 1109 Error "2.9" "An identifier begins with another type than it may."
        "An object's id begins with its own type, and a reference leads only to objects of the types that the property allows."
    TypeName 1110 Error "3.1" "A type's name is malformed."
        "Names of types have 3 to 250 characters of a-z, 0-9 and hyphen."
    PropertyName 1111 Error "3.1" "A property's name is malformed."
        "Names of properties have 3 to 250 characters of a-z, 0-9 and underscore and begin with a letter."
    Reserved 1112 Error "3.8" "A reserved name is used."
        "The standard keeps severity, username, phone_number and action for its own future use. Name the property otherwise."
    DictionaryKey 1113 Error "2.3" "A dictionary's key is malformed."
        "Keys of dictionaries have at most 250 characters of a-z, A-Z, 0-9, hyphen and underscore."
    Enumeration 1114 Error "10" "A value is not in its enumeration."
        "The property takes the words of its enumeration and no others; the message lists them."
    Hex 1115 Error "2.8" "A hexadecimal value is malformed."
        "Bytes in hexadecimal are an even number of the digits 0-9 and a-f."
    Binary 1116 Error "2.1" "A base64 value is malformed."
        "Bytes are written in the base64 of RFC 4648, section 4, with its padding and without line breaks."
    Digest 1117 Error "2.7" "A digest is not one of its algorithm."
        "The length or the alphabet of the digest does not fit the algorithm that it stands under. Correct the digest or the key."
    Url 1118 Error "2" "A URL is malformed."
        "A URL follows RFC 3986: a scheme, a colon, and no blanks. Defanged URLs do not belong into this property."
    Combination 1119 Error "" "Properties do not go together."
        "Some properties need another, exclude another, or at least one of a group must be there; the message names them."
    ExternalReference 1120 Error "2.5" "An external reference is incomplete."
        "Beside source_name an external reference has a description, url or external_id; those to CVE and CAPEC have an external_id of their form."
    Selector 1121 Error "7.2.3" "A granular marking selects nothing."
        "A selector is a path of names and [index] steps, joined by dots, to something that is in the object."
    Marking 1122 Error "7.2" "A marking is not as the standard has it."
        "The TLP markings exist once, with fixed ids and contents. Other markings have a definition_type and a definition, or an extension, and never mark themselves."
    Pattern 1123 Error "9" "A pattern breaks the grammar."
        "The indicator says that its pattern is a STIX pattern, but it cannot be read as one. The message names the place."
    Extension 1124 Error "7.3" "An extension is malformed."
        "Extensions stand under the id of their extension-definition with an extension_type, or under a name that ends in -ext."
    Language 1125 Error "3.2" "A language is not a language tag."
        "Languages are tags of RFC 5646, such as ar, en-GB or zh-Hans."
    Address 1126 Error "" "An address is malformed."
        "The value is not an address of the object's type: see the message for the form."
    Registered 1127 Error "" "A value is not of its registry."
        "The standard takes this value from a registry (media types, character sets, CPE 2.3, registry hives); the message names it."
    SpecVersion 1128 Error "3.2" "The version of STIX is missing or unknown."
        "Objects of STIX 2.1 say so in spec_version."
    TooMany 1129 Error "3" "There are more findings than are listed."
        "The object has more than a thousand findings. Correct those that are listed and validate again."
    RandomId 1130 Error "2.9" "An observable's id is not random."
        "None of the properties that the id follows from is there, as is always so for a process: the id is a UUIDv4 then."

    Vocabulary 1201 Warning "10" "A word is not in the open vocabulary."
        "Other words are allowed, but receivers may not know them. Prefer a word of the vocabulary."
    VocabularyForm 1202 Warning "2.14" "A word has not the form of vocabulary words."
        "Words of open vocabularies are in lower case, with hyphens in place of blanks and underscores."
    UuidVersion 1203 Warning "2.9" "The UUID is of another version than it should be."
        "Identifiers of observables should be UUIDv5, those of all other objects UUIDv4."
    DeterministicId 1204 Warning "2.9" "The identifier is not the one that follows from the object's properties."
        "Two producers who see one observable should give it one identifier: UUIDv5 over its id-contributing properties. The message gives it."
    CustomProperty 1205 Warning "11.1" "A property is not defined by the standard or an extension."
        "It is kept and passed on. New properties should come by an extension-definition."
    CustomObject 1206 Warning "11.2" "An object's type is not defined by the standard or an extension."
        "It is kept and passed on. New types should come by an extension-definition."
    KillChain 1207 Warning "2.11" "A kill chain's name has not the usual form."
        "Names of kill chains and their phases are in lower case, with hyphens in place of blanks and underscores."
    Relationship 1208 Warning "5.1" "The standard suggests no such relationship between these types."
        "Other relationships are allowed, but receivers may not understand them. See the table of the source's type."
    Deprecated 1209 Warning "" "A property is deprecated."
        "The standard will drop the property in a later version: observed-data refers to observables by object_refs."
    IndicatorText 1210 Warning "4.7" "An indicator has no name or no description."
        "Both tell analysts and products what the indicator is for."
    RegistryWord 1211 Warning "" "A value is not of the registry that it should come from."
        "The standard takes this value from a public registry (media types, protocols, IPFIX elements, HTTP header fields, socket options, PDF keys, country codes); the message names it."
    KeyCase 1212 Warning "2.3" "A dictionary's key has capital letters."
        "Keys of dictionaries in observables should be in lower case."
    Ports 1213 Warning "6.12" "Network traffic has no ports."
        "Source and destination port should both be there."
    HashName 1214 Warning "10.7" "A digest stands under an unusual name."
        "Names of algorithms should be those of hash-algorithm-ov, such as SHA-256; receivers may not find the digest otherwise."
    ProductName 1215 Warning "4.12" "An analysis product's name has not the usual form."
        "Names of products are in lower case, with hyphens in place of blanks."
    ReferenceHashes 1216 Warning "2.5" "A reference to a URL has no hashes."
        "What stands at a URL changes. The hashes tell which content was meant."
    ExtensionText 1217 Warning "7.3" "An extension's definition does not say what it adds."
        "A description, and the names of the properties that it adds at the top level, let receivers use the extension."
    Repeated 1218 Warning "8" "A bundle holds the same version of an object more than once."
        "The same id and modified stands in the bundle twice. Send each version once."
    Creator 1219 Warning "3.5" "An object's creator is not an identity."
        "created_by_ref leads to the identity of whoever made the object. Receivers cannot tell who that is otherwise."
}

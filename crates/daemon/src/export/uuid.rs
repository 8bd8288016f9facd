//! Ids that are the same in every export: UUIDs of version 5 (RFC 9562 §5.5), made of what they name.

use aws_lc_rs::digest;
use mithaq_core::id::to_hex;

/// The namespace of the ids of exports.
const NAMESPACE: [u8; 16] =
    [0x6d, 0x1c, 0x0f, 0x3a, 0x52, 0x9e, 0x4b, 0x7d, 0x8a, 0x21, 0x93, 0x0c, 0x44, 0xe5, 0x7b, 0x16];

/// The id of what is called `name` among those of its kind.
pub(crate) fn of(kind: &str, name: &str) -> String {
    let mut hasher = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hasher.update(&NAMESPACE);
    hasher.update(kind.as_bytes());
    hasher.update(b"\0");
    hasher.update(name.as_bytes());
    let hash = hasher.finish();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = to_hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_of_version_5_and_of_one_name() {
        let id = super::of("event", "cn");
        assert_eq!((id.len(), &id[14..15]), (36, "5"));
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        assert_eq!(id, super::of("event", "cn"));
        assert_ne!(id, super::of("even", "tcn"));
    }
}

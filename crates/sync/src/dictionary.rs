//! The dictionary for groups of few bodies: what STIX objects have in common, which a small group has no room to learn.
//!
//! It is trained on the sample bundle that `mithaq demo` shows, which is made up, and on nobody's data. Its name is its
//! hash, so another can take its place, and both sides know whether they mean the same.

use std::sync::LazyLock;

use mithaq_core::id::sha256;
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

use crate::{
    fault::Fault,
    group::LEVEL,
    limits::{DICTIONARIES_MAX, DICTIONARY_NAME_BYTES},
};

/// The dictionary. `cargo run -p mithaq-sync --example stix-dictionary` makes it and measures what it saves.
pub const DICTIONARY: &[u8] = include_bytes!("../dictionary/stix-1.zdict");

static NAME: LazyLock<[u8; DICTIONARY_NAME_BYTES]> = LazyLock::new(|| {
    let mut name = [0; DICTIONARY_NAME_BYTES];
    name.copy_from_slice(&sha256(DICTIONARY)[..DICTIONARY_NAME_BYTES]);
    name
});

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));

static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

/// The name by which hellos list it and groups tell that they need it.
pub(crate) fn name() -> &'static [u8] {
    &*NAME
}

/// Whether a peer that lists these dictionaries has ours.
pub(crate) fn is_listed(names: &[u8]) -> Result<bool, Fault> {
    let (names, rest) = names.as_chunks::<DICTIONARY_NAME_BYTES>();
    if !rest.is_empty() || names.len() > DICTIONARIES_MAX {
        return Err(Fault::Misbehaved("a list of dictionaries that is cut or too long"));
    }
    Ok(names.contains(&NAME))
}

/// Something that compresses with it, and leaves its number in zstd's own count out: the group's frame has its name.
pub(crate) fn compressor() -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
    compressor.include_dictid(false)?;
    Ok(compressor)
}

/// Something that reads what was compressed with it.
pub(crate) fn decompressor() -> std::io::Result<Decompressor<'static>> {
    Decompressor::with_prepared_dictionary(&DECODER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_strict() {
        let check = |names: &[u8]| is_listed(names).ok();
        assert_eq!(check(b""), Some(false));
        assert_eq!(check(name()), Some(true));
        assert_eq!(check(&[b"another.", name()].concat()), Some(true));
        assert_eq!(check(b"another."), Some(false));
        assert_eq!(check(&name()[1..]), None);
        assert_eq!(check(&name().repeat(DICTIONARIES_MAX)), Some(true));
        assert_eq!(check(&name().repeat(DICTIONARIES_MAX + 1)), None);
    }
}

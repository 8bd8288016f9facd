//! See [`mithaq_fuzz::proof`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::proof(data));

//! See [`mithaq_fuzz::upgrade`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::upgrade(data));

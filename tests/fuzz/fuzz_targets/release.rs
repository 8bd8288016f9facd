//! See [`mithaq_fuzz::release`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::release(data));

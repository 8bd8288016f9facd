//! See [`mithaq_fuzz::json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::json(data));

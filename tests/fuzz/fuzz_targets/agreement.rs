//! See [`mithaq_fuzz::agreement`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::agreement(data));

//! See [`mithaq_fuzz::observable`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::observable(data));

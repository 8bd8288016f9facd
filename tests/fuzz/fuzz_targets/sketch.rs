//! See [`mithaq_fuzz::sketch`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::sketch(data));

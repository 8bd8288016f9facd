//! See [`mithaq_fuzz::object`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::object(data));

//! See [`mithaq_fuzz::frame`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::frame(data));

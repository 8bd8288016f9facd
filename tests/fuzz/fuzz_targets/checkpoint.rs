//! See [`mithaq_fuzz::checkpoint`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::checkpoint(data));

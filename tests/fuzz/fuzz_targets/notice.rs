//! See [`mithaq_fuzz::notice`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::notice(data));

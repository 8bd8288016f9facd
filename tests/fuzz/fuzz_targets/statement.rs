//! See [`mithaq_fuzz::statement`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::statement(data));

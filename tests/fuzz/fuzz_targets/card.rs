//! See [`mithaq_fuzz::card`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::card(data));

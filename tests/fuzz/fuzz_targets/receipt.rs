//! See [`mithaq_fuzz::receipt`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::receipt(data));

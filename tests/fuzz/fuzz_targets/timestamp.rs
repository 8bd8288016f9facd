//! See [`mithaq_fuzz::timestamp`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::timestamp(data));

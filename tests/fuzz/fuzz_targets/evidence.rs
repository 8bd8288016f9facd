//! See [`mithaq_fuzz::evidence`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::evidence(data));

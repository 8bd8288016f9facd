//! See [`mithaq_fuzz::sco_id`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::sco_id(data));

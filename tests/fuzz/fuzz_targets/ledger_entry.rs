//! See [`mithaq_fuzz::ledger_entry`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mithaq_fuzz::ledger_entry(data));

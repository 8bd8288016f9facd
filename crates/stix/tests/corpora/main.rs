//! Other people's data and verdicts. None of it is part of the project: `MITHAQ_CORPORA` names its folder, and without it
//! each test says that nothing was tested.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod agreement;
mod chunks;
mod folder;
mod sco_ids;
mod standard;
mod upgrade;

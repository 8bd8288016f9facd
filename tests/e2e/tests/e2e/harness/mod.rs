//! CERTs, daemons and readers, for the scenarios to play with.

mod cert;
mod daemon;
mod http;
mod objects;
mod program;
mod siem;
mod wait;

pub(crate) use cert::{Cert, Place, activate, activate_both, draft, pair, settle};
pub(crate) use daemon::Daemon;
pub(crate) use http::{Answer, get, get_tcp, open_stream, post_endless};
pub(crate) use objects::{bundle, corpus, domain, indicator, indicators};
pub(crate) use program::{Output, command, mithaq, mithaq_with_input};
pub(crate) use siem::{Line, read_stream, read_taxii};
pub(crate) use wait::{skipped, until};

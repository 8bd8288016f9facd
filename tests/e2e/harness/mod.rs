//! CERTs, daemons and readers, for the scenarios to play with.

mod cert;
mod daemon;
mod http;
mod objects;
mod program;
mod siem;
mod terminal;
mod wait;

pub(crate) use cert::{
    Cert, Place, activate, activate_both, draft, free_port, pair, pair_group, settle, text, two_peers,
};
pub(crate) use daemon::Daemon;
pub(crate) use http::{Answer, get, get_tcp, open_stream, post, post_endless};
pub(crate) use objects::{bundle, corpus, domain, id_of, indicator, indicators, root, unmarked};
pub(crate) use program::{Output, command, mithaq, mithaq_with_input};
pub(crate) use siem::{Line, Told, end_of_stream, read_stream, read_taxii, told_since};
pub(crate) use terminal::{CTRL_C, CTRL_D, Terminal};
pub(crate) use wait::{skipped, until};

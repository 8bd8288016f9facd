//! No other way in: a daemon's sockets are those that are configured.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::harness::{Cert, Daemon, Place, pair, settle, until};

/// A socket that none of the tables has: of another family, or closed between two looks.
const UNKNOWN: &str = "of an unknown family";

/// The sockets that a process has open: of each inode what it is, and where it is bound.
fn sockets(pid: u32) -> BTreeMap<String, String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = links.filter_map(|link| fs::read_link(link.path()).ok());
    let inode = |target: std::path::PathBuf| {
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inode.to_owned())
    };
    let open: BTreeSet<_> = targets.filter_map(inode).collect();
    let mut found: BTreeMap<String, String> = open.iter().map(|inode| (inode.clone(), UNKNOWN.to_owned())).collect();
    // Where the inode and the local address stand in the kernel's tables.
    for (table, inode_at, bound_at) in
        [("udp", 9, 1), ("udp6", 9, 1), ("tcp", 9, 1), ("tcp6", 9, 1), ("raw", 9, 1), ("raw6", 9, 1), ("unix", 6, 7)]
    {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap();
        for row in text.lines().skip(1) {
            let columns: Vec<_> = row.split_whitespace().collect();
            let bound = columns.get(bound_at).copied().unwrap_or("unnamed");
            if open.contains(columns[inode_at]) {
                found.insert(columns[inode_at].to_owned(), format!("{table} {bound}"));
            }
        }
    }
    found
}

/// `127.0.0.1:PORT` as the kernel's tables write it.
fn loopback(port: u16) -> String {
    format!("0100007F:{port:04X}")
}

#[track_caller]
pub(crate) fn check_sockets(cert: &Cert, daemon: &Daemon, tcp: Option<u16>) {
    let lines = cert.home.join("run/siem/default.lines.sock");
    let unix = [cert.control_socket(), cert.siem_socket(), lines].map(|path| format!("unix {}", path.display()));
    let mut expected = BTreeSet::from(unix);
    expected.insert(format!("udp {}", loopback(cert.port)));
    expected.extend(tcp.map(|port| format!("tcp {}", loopback(port))));
    // The runtime wakes itself for signals through a pair of sockets without a name, which nobody can connect to. A
    // connection that was taken has the name of its listener until it is closed.
    until(&format!("the sockets are {expected:#?} alone"), || {
        let found = sockets(daemon.pid());
        let named: Vec<_> = found.into_values().filter(|socket| *socket != "unix unnamed").collect();
        let surplus: Vec<_> = named.iter().filter(|socket| *socket != UNKNOWN && !expected.contains(*socket)).collect();
        assert!(surplus.is_empty(), "{surplus:#?}");
        (named.len() == expected.len()).then_some(())
    });
}

#[test]
fn a_daemon_opens_its_udp_port_and_three_unix_sockets_and_nothing_else() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    let (ours, theirs) = (Daemon::start(pk), Daemon::start(cn));
    check_sockets(pk, &ours, None);
    settle(pk, cn, 1);
    settle(cn, pk, 2);
    check_sockets(pk, &ours, None);
    check_sockets(cn, &theirs, None);
}

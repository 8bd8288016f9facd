//! Inputs that are too large: refused soon, with little memory, and the daemon goes on.

use std::{fs::File, process::Stdio, time::Instant};

use serde_json::{Value, json};

use crate::harness::{Cert, Daemon, Place, bundle, command, indicators, post_endless, until};

/// The most memory that a daemon may take for an input that it refuses, in MiB.
const PEAK_MIB_MAX: u64 = 400;

const GIB: u64 = 1 << 30;

#[test]
fn a_body_of_a_gigabyte_is_refused() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let mut daemon = Daemon::start(pk);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);

    // A file says how large it is, so it is refused before anything is sent.
    let sparse = place.path().join("sparse.json");
    File::create(&sparse).unwrap().set_len(GIB).unwrap();
    let asked = Instant::now();
    let refused = pk.run(&["push", sparse.to_str().unwrap(), "--json"]).refused(1, "MQ-1052");
    assert_eq!(refused.last()["code"], "MQ-1052");
    let at_once = asked.elapsed();

    // Standard input does not.
    let mut push = command(&pk.home, &["push", "-", "--json"]);
    push.stdin(File::open(&sparse).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = push.spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("MQ-1052"), "{stderr}");

    // Nor does whoever writes to the socket without our client have to keep to anything.
    for length_is_told in [true, false] {
        let answer = post_endless(&pk.control_socket(), "/v1/push", GIB, length_is_told);
        assert_eq!((answer.status, &answer.json()["code"]), (413, &Value::from("MQ-1052")));
    }
    assert!(daemon.peak_mib() < PEAK_MIB_MAX, "{} MiB", daemon.peak_mib());
    assert!(daemon.is_alive());
    assert_eq!(pk.objects(), 10);
    assert!(at_once.as_secs() < 10, "{at_once:?}");
    pk.push(bundle(&indicators(1, 0..20)), &[]).exits(0);
}

#[test]
fn more_objects_than_a_push_may_have_are_refused_and_nothing_is_stored() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let mut daemon = Daemon::start(pk);
    let object = |number: u32| {
        let id = format!("ipv4-addr--00000000-0000-4000-8000-{number:012x}");
        json!({"type": "ipv4-addr", "id": id, "value": format!("10.0.{}.{}", number >> 8 & 255, number & 255)})
    };
    let lines: String = (0..100_001).flat_map(|number| [object(number).to_string(), "\n".to_owned()]).collect();
    let refused = pk.push(&lines, &[]).refused(1, "MQ-1052");
    assert_eq!(refused.last()["code"], "MQ-1052");
    assert_eq!(pk.objects(), 0);
    assert!(daemon.peak_mib() < PEAK_MIB_MAX, "{} MiB", daemon.peak_mib());
    assert!(daemon.is_alive());
    // Whoever goes away in the middle of a push leaves nothing behind.
    let mut child = command(&pk.home, &["push", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &lines.as_bytes()[..200_000]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    until("the daemon answers", || pk.try_status());
    assert_eq!(pk.objects(), 0);
}

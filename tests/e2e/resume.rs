//! A large release that is cut in the middle: what came of it does not come again.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cert, Daemon, Place, bundle, indicator, two_peers, until};

/// The objects of the release, and about how many bytes each has.
const OBJECTS: u32 = 100;
const OBJECT_BYTES: u32 = 60_000;

/// How much of it lies in the packs, compressed to half, before the daemon is killed.
const CAME_BYTES: u64 = 600_000;

/// An indicator with a long description that hardly compresses.
pub(crate) fn large(number: u32) -> Value {
    let mut object = indicator(1, number);
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    let digits = (0..OBJECT_BYTES / 8).map(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        format!("{state:08x}")
    });
    object["description"] = json!(digits.collect::<String>());
    object
}

fn packs_bytes(cert: &Cert) -> u64 {
    let Ok(packs) = fs::read_dir(cert.home.join("store/packs")) else { return 0 };
    packs.flatten().filter_map(|pack| pack.metadata().ok()).map(|pack| pack.len()).sum()
}

#[test]
fn a_release_that_was_cut_goes_on_where_it_was() {
    let place = Place::new();
    let [pk, cn] = two_peers(&place);
    let sender = Daemon::start(&pk);
    pk.push(bundle(&(0..OBJECTS).map(large).collect::<Vec<_>>()), &[]).exits(0);
    assert_eq!(pk.status()["releases"], 1);
    let receiver = Daemon::start(&cn);
    let empty = packs_bytes(&cn);
    sender.slow_down("a part of it has arrived", || (packs_bytes(&cn) > empty + CAME_BYTES).then_some(()));
    let status = cn.status();
    assert_eq!((&status["releases"], &status["objects"]), (&json!(0), &json!(0)), "it was to be cut before its end");
    // Nobody is shown what is not whole.
    cn.run(&["search", "h0.s1.example"]).exits(6);
    cn.run(&["store", "check"]).exits(0);
    receiver.kill();

    let _receiver = Daemon::start(&cn);
    sender.thaw();
    until("all of it has arrived", || (cn.objects() == u64::from(OBJECTS)).then_some(()));
    let peer =
        until("the session is told of", || cn.peer(&pk).filter(|peer| peer["objects_received"].as_u64().unwrap() > 0));
    let number = |name: &str| peer[name].as_u64().unwrap();
    let (received, spared) = (number("objects_received"), number("objects_deduplicated"));
    assert_eq!(received + spared, u64::from(OBJECTS), "{peer:#}");
    // What lay in the packs came to at least so many.
    let least = CAME_BYTES / u64::from(OBJECT_BYTES);
    assert!(spared >= least, "{spared} of the objects that came before were not sent again: {peer:#}");
    assert!(number("bytes_received") < received * u64::from(OBJECT_BYTES), "{peer:#}");
    cn.run(&["search", "h0.s1.example"]).exits(0);
    cn.run(&["store", "check"]).exits(0);
    assert_eq!(cn.status()["body_bytes"], pk.status()["body_bytes"]);
}

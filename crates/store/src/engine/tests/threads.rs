//! Which threads give way to commits.

use super::*;

static GAVE_WAY: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note() {
    GAVE_WAY.lock().unwrap().extend(thread::current().name().map(str::to_owned));
}

#[test]
fn who_merges_and_who_helps_to_compress_gives_way_and_nobody_else() {
    Temporary::new(Options { give_way: note, ..lazy() }).close();
    let mut gave_way = GAVE_WAY.lock().unwrap();
    gave_way.sort();
    assert_eq!(*gave_way, ["store-merge", "store-pack"]);
}

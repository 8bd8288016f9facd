//! Recorded sessions: every frame of both sides in the order in which they were sent, for other implementations.
//!
//! `tests/vectors/decode.py` follows them with nothing but the protocol's document. `MITHAQ_VECTORS=write cargo test -p
//! mithaq-sync` writes them anew. Another zstd may compress otherwise: of groups, what they unpack to is compared.

mod documents;
mod tree;

use std::{cell::RefCell, collections::BTreeSet, fmt::Write, ops::Range, path::Path, rc::Rc, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    id::{ContentId, ReleaseId, to_hex},
    notice::Notice,
    release::{Kind as ReleaseKind, ReleaseDraft, VerifiedRelease},
    stix::marking::Tlp,
};
use mithaq_sync::{
    Claims, DICTIONARY, LATER_INTERVAL, Pending, Setup,
    wire::{Bodies, Kind, Manifest, Missing},
};

use crate::{
    fixtures::{Cert, Parcel, Runs, SECRET, cert, decode, green, object, parcel, parcel_of, wall},
    node::Seat,
    pair::{Pair, World},
    prefixes::twin,
};

/// The names of both sides in a recording.
const SIDES: [&str; 2] = ["A", "B"];

/// Two sides and what was recorded of them.
struct Recording {
    pair: Pair,
    text: String,
}

impl Recording {
    /// Begins with what a reader must know: both cards, the clock, the secret of the connections, and whether releases
    /// of third origins are taken.
    fn new(about: &str, adjust: fn(&mut Setup)) -> Self {
        Self::in_world(World::default(), about, adjust)
    }

    fn in_world(world: World, about: &str, adjust: fn(&mut Setup)) -> Self {
        let mut pair = Pair::new(world);
        pair.nodes.iter_mut().for_each(|node| node.adjust = adjust);
        let mut setup = crate::fixtures::setup(1, &cert(2), None);
        adjust(&mut setup);
        let mut text = format!("# {about}\n");
        for (side, node) in SIDES.iter().zip(&pair.nodes) {
            let card = String::from_utf8(node.cert.card.envelope().to_json()).unwrap();
            writeln!(text, "card {side} {}", card.trim_end()).unwrap();
        }
        writeln!(text, "clock {}", wall()).unwrap();
        writeln!(text, "secret {}", to_hex(&SECRET)).unwrap();
        writeln!(text, "third-party {}", if setup.third_party { "accept" } else { "refuse" }).unwrap();
        Self { pair, text }
    }

    /// Tells the sets of the next session's sketch, which its frames cannot tell: A's journal, and what B has of A.
    fn tell_sets(&mut self) {
        let [a, b] = &self.pair.nodes;
        let (journal, held) = (digits(&a.store.journal), digits(&b.store.held()));
        writeln!(self.text, "journal A {journal}\nholds B {held}").unwrap();
    }

    /// Tells what B has of A's releases that no frame tells it has.
    fn tell_held(&mut self, held: &[ReleaseId]) {
        writeln!(self.text, "holds B {}", digits(held)).unwrap();
    }

    /// Tells which contents each side holds of what the other is about to release to it: their whole ids, which frames
    /// do not tell.
    fn tell_contents(&mut self) {
        let [a, b] = &self.pair.nodes;
        for (name, sink, source) in [(SIDES[0], a, b), (SIDES[1], b, a)] {
            let new = source.store.journal.iter().filter(|id| !sink.store.releases.contains_key(id));
            let named = new.flat_map(|id| &source.store.releases[id].contents);
            let held: BTreeSet<_> = named.filter_map(|content| sink.store.content_with(content.prefix())).collect();
            if !held.is_empty() {
                let held: String = held.iter().map(|content| to_hex(content.as_bytes())).collect();
                writeln!(self.text, "contents {name} {held}").unwrap();
            }
        }
    }

    /// Plays a session until nothing is on its way, and ends it.
    fn session(&mut self, play: impl FnOnce(&mut Pair)) {
        self.cut_session(|pair| {
            play(pair);
            pair.run();
            pair.assert_converged();
        });
    }

    /// Plays a session that is cut where `play` ends.
    fn cut_session(&mut self, play: impl FnOnce(&mut Pair)) {
        self.tell_contents();
        self.pair.frames = Some(Vec::new());
        self.pair.connect();
        play(&mut self.pair);
        writeln!(self.text, "session").unwrap();
        for (at, side, channel, frame) in self.pair.frames.take().unwrap() {
            let (at, side, channel) = (at.as_micros(), SIDES[side], format!("{channel:?}").to_lowercase());
            writeln!(self.text, "{at} {side} {channel} {}", to_hex(&frame)).unwrap();
        }
        self.pair.cut();
    }

    /// Compares the recording with the committed one.
    fn check(self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sessions");
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("MITHAQ_VECTORS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &self.text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        if self.text == kept {
            return;
        }
        let (found, kept) = (unpacked(&self.text), unpacked(&kept));
        for (number, (found, kept)) in found.iter().zip(&kept).enumerate() {
            assert_eq!(found, kept, "{name}, line {}, is not what it was", number + 1);
        }
        assert_eq!(found.len(), kept.len(), "{name} is longer or shorter than it was");
    }
}

fn digits<'a>(ids: impl IntoIterator<Item = &'a ReleaseId>) -> String {
    ids.into_iter().map(|id| to_hex(id.as_bytes())).collect()
}

/// The lines of a recording, each frame of which is written as what it unpacks to.
fn unpacked(text: &str) -> Vec<String> {
    let mut runs = [Runs::default(), Runs::default()];
    let line = |line: &str| {
        if line == "session" {
            runs = [Runs::default(), Runs::default()];
        }
        let is_frame = line.starts_with(|first: char| first.is_ascii_digit());
        let side = usize::from(line.contains(" B "));
        if is_frame { unpacked_frame(line, &mut runs[side]) } else { line.to_owned() }
    };
    text.lines().map(line).collect()
}

fn unpacked_frame(line: &str, runs: &mut Runs) -> String {
    let (head, digits) = line.rsplit_once(' ').unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let frame: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect();
    let raw = |group: &Bytes, named: &Bytes| {
        let dictionary = if named.is_empty() { &[] } else { DICTIONARY };
        let mut decompressor = zstd::bulk::Decompressor::with_dictionary(dictionary).unwrap();
        Bytes::from(decompressor.decompress(group, 4 << 20).unwrap())
    };
    match runs.plain(decode(&frame)) {
        Kind::Manifest(manifest) if !manifest.bodies.is_empty() => {
            format!("{head} {:?}", Manifest { bodies: raw(&manifest.bodies, &manifest.dictionary), ..manifest })
        }
        Kind::Bodies(bodies) => {
            format!("{head} {:?}", Bodies { group: raw(&bodies.group, &bodies.dictionary), ..bodies })
        }
        kind => format!("{head} {kind:?}"),
    }
}

/// An object of about `size` bytes that compress to almost nothing.
fn wordy(number: u64, size: usize) -> Vec<u8> {
    let text = String::from_utf8(object(number, 0)).unwrap();
    let name = format!("\"name\":\"{}\"", "beacon ".repeat(size / 7));
    text.replace("\"name\":\"\"", &name).into_bytes()
}

/// A release by which `cert` takes back what another of its releases published.
fn withdrawal(cert: &Cert, of: &Parcel) -> Parcel {
    let contents = of.release.contents().iter().copied().collect();
    let notice = Notice { contents, reason: "false positive".to_owned() }.to_body(wall()).unwrap();
    let label = notice.facts().own_label(green().tlp);
    let draft = ReleaseDraft { kind: ReleaseKind::Withdraw, ..ReleaseDraft::publish(label, vec![notice.id()], wall()) };
    let release = VerifiedRelease::sign(cert.card.cert_id(), &cert.signing, draft).unwrap();
    Parcel { release, bodies: vec![notice.bytes().to_vec()] }
}

fn after(pair: &mut Pair, millis: u64) {
    pair.run_until(pair.now + Duration::from_millis(millis));
}

/// One side has some of what the other releases, by whatever way.
fn hold_bodies(pair: &mut Pair, node: usize, of: &Parcel, which: std::ops::Range<usize>) {
    let contents = &of.release.contents()[which.clone()];
    let bodies = contents.iter().copied().zip(of.bodies[which].iter().cloned());
    pair.nodes[node].store.bodies.extend(bodies);
}

/// What A has before the first session: small and large, wholly new, partly held, held.
fn backlog(pair: &mut Pair) {
    let one = cert(1);
    let new = parcel(&one, vec![object(1, 0), object(2, 0)]);
    let known = parcel(&one, vec![object(3, 0)]);
    let large = parcel(&one, vec![wordy(4, 150_000), wordy(5, 150_000), wordy(6, 150_000)]);
    let partly_held = parcel(&one, vec![object(7, 0), object(8, 0), object(9, 0)]);
    let held = parcel(&one, vec![object(10, 0), object(11, 0)]);
    pair.nodes[1].store.put(&known);
    hold_bodies(pair, 1, &partly_held, 1..2);
    // Of another it has one that begins alike, and is asked for what it took for held.
    let mistaken = parcel(&one, vec![object(12, 0), object(13, 0), object(14, 0), object(15, 0)]);
    let content = mistaken.release.contents()[2];
    pair.nodes[1].store.twins.insert(content.prefix(), twin(content));
    hold_bodies(pair, 1, &mistaken, 0..1);
    hold_bodies(pair, 1, &held, 0..2);
    for parcel in [&new, &known, &large, &partly_held, &held, &mistaken] {
        pair.push(0, parcel);
    }
    pair.push(1, &parcel_of(&cert(2), 100, 2, 400));
}

#[test]
fn catching_up_and_going_live() {
    let (one, two) = (cert(1), cert(2));
    let mut recording = Recording::new("A backlog, fresh releases, a cut, and a journal that is another.", |_| {});
    backlog(&mut recording.pair);
    recording.session(|pair| {
        pair.run();
        pair.push(0, &parcel_of(&one, 20, 3, 400));
        pair.push(1, &parcel_of(&two, 120, 1, 400));
        pair.run();
        pair.push(0, &parcel(&one, vec![wordy(30, 40_000), wordy(31, 40_000)]));
    });
    // Nothing is new: hello and start are all.
    recording.session(|_| {});
    for number in [40, 50, 60] {
        recording.pair.push(0, &parcel_of(&one, number, 2, 400));
    }
    // Bodies are on their way when the connection ends, so the next session offers them again.
    recording.cut_session(|pair| after(pair, 55));
    recording.session(|_| {});
    // A backup was put back at A: its journal is another, and everything in it is at B already.
    recording.pair.nodes[0].store.journal.reverse();
    recording.session(|_| {});
    recording.session(|_| {});
    recording.check("catch-up");
}

#[test]
fn releases_that_may_go_no_longer() {
    let one = cert(1);
    let mut recording =
        Recording::new("Releases that are gone before and after their manifest, and a withdrawal.", |_| {});
    let parcels: Vec<_> = (0..3).map(|number| parcel_of(&one, 10 * number + 1, 2, 400)).collect();
    parcels.iter().for_each(|parcel| recording.pair.push(0, parcel));
    recording.session(|pair| {
        pair.nodes[0].store.withdrawn.insert(parcels[0].id());
        // B has asked for the bodies of the second, and A has not heard it yet.
        after(pair, 45);
        pair.nodes[0].store.withdrawn.insert(parcels[1].id());
        pair.run();
        let fresh = parcel_of(&one, 41, 1, 400);
        pair.nodes[0].store.withdrawn.insert(fresh.id());
        pair.push(0, &fresh);
        pair.run();
        pair.push(0, &withdrawal(&one, &parcels[2]));
    });
    recording.session(|_| {});
    recording.check("gone");
}

#[test]
fn frames_that_overtake_each_other() {
    let millis = Duration::from_millis;
    let world = World { seed: 4, jitter: millis(30), answer: millis(20), short_reads: true, ..World::default() };
    let about = "Streams of different speed, stores that answer when they can, and a release that is gone half sent.";
    let mut recording = Recording::in_world(world, about, |_| {});
    let (one, two) = (cert(1), cert(2));
    let large = parcel(&one, vec![wordy(1, 150_000), wordy(2, 150_000), wordy(3, 150_000)]);
    recording.pair.push(0, &large);
    for number in 1..=4 {
        recording.pair.push(0, &parcel_of(&one, 10 * number, 1, 400));
        recording.pair.push(1, &parcel_of(&two, 100 * number, 1, 400));
    }
    recording.session(|pair| {
        // With this seed, the first group of the large one is being loaded when it may go no longer.
        pair.run_until(Duration::from_micros(187_100));
        pair.nodes[0].store.withdrawn.insert(large.id());
        for number in 5..=8 {
            pair.push(0, &parcel_of(&one, 10 * number, 1, 400));
            pair.push(1, &parcel_of(&two, 100 * number, 1, 400));
            after(pair, 15);
        }
        pair.run();
        let sent = &pair.nodes[0].sent;
        assert!(sent.gone == 1 && sent.bodies.keys().any(|(index, _)| *index == 1), "nothing is gone half sent");
    });
    recording.check("overtaking");
}

#[test]
fn releases_of_third_origins_and_for_some_alone() {
    let (one, two, three) = (cert(1), cert(2), cert(3));
    let accept = |setup: &mut Setup| setup.third_party = true;
    let mut recording = Recording::new("What A passes on of a third CERT, and a release that is for B alone.", accept);
    let relayed = parcel_of(&three, 1, 2, 400);
    let store = &mut recording.pair.nodes[0].store;
    store.origins.insert(three.card.cert_id(), three.card.clone());
    recording.pair.push(0, &relayed);
    recording.pair.push(0, &parcel_of(&three, 11, 1, 400));
    let recipients = BTreeSet::from([two.card.cert_id()]);
    let mut label = green();
    label.tlp = Tlp::Red;
    label.sectors.insert("energy".to_owned());
    let secret = Parcel {
        release: VerifiedRelease::sign(
            one.card.cert_id(),
            &one.signing,
            ReleaseDraft {
                recipients,
                ..ReleaseDraft::publish(label, parcel_of(&one, 21, 1, 400).release.contents().to_vec(), wall())
            },
        )
        .unwrap(),
        ..parcel_of(&one, 21, 1, 400)
    };
    recording.pair.push(0, &secret);
    recording.session(|pair| {
        pair.run();
        // The card goes once more, since there is no order between streams.
        pair.push(0, &parcel_of(&three, 31, 1, 400));
        pair.push(0, &withdrawal(&three, &relayed));
    });
    recording.session(|_| {});
    recording.check("relay");
}

/// A has these releases in its journal, in place of what was in it.
fn set_journal(pair: &mut Pair, numbers: impl IntoIterator<Item = u64>) {
    let parcels: Vec<_> = numbers.into_iter().map(|number| parcel_of(&cert(1), number, 1, 330)).collect();
    let store = &mut pair.nodes[0].store;
    parcels.iter().for_each(|parcel| store.put(parcel));
    store.journal = parcels.iter().map(Parcel::id).collect();
    store.sketched = None;
}

/// B has these releases of A, from whatever agreement.
fn hold(pair: &mut Pair, numbers: Range<u64>) {
    let parcels = numbers.map(|number| parcel_of(&cert(1), number, 1, 330));
    parcels.for_each(|parcel| pair.nodes[1].store.put(&parcel));
}

fn has_sent(pair: &Pair, node: usize, is_such: fn(&Kind) -> bool) -> bool {
    pair.nodes[node].sent.frames.iter().any(|(_, kind)| is_such(kind))
}

/// A release whose bodies B asks for elsewhere first: it says later, twice, until the other session ends.
fn wait_for_another(pair: &mut Pair) {
    let claims = Rc::new(RefCell::new(Claims::default()));
    let other = claims.borrow_mut().open();
    pair.nodes[1].seat = Some(Seat::new(&claims));
    let awaited = parcel(&cert(1), vec![wordy(400, 40_000), wordy(401, 40_000)]);
    let prefixes = awaited.release.contents().iter().map(ContentId::prefix).collect();
    let mut pending = Pending::new(1, awaited.id(), prefixes);
    assert!(claims.borrow_mut().claim(other, &mut pending, &[false; 2], pair.now));
    pair.push(0, &awaited);
    pair.run_until(LATER_INTERVAL * 2 + Duration::from_millis(50));
    claims.borrow_mut().close(other);
    pair.wake();
    pair.run();
    let wants = pair.nodes[1].sent.frames.iter().filter_map(|(_, kind)| match kind {
        Kind::WantBodies(want) if want.index == 72 => Some(want.bitmap[0]),
        _ => None,
    });
    assert_eq!(wants.collect::<Vec<_>>(), [0, 0, 3]);
}

#[test]
fn sketches_that_tell_and_one_that_does_not() {
    let about = "A journal that is another than B knew: by a sketch, then by offers since the sketch is of no use.";
    let mut recording = Recording::new(about, |_| {});
    set_journal(&mut recording.pair, 0..70);
    hold(&mut recording.pair, 8..92);
    let gone = recording.pair.nodes[0].store.journal[3];
    recording.pair.nodes[0].store.withdrawn.insert(gone);
    recording.tell_sets();
    recording.session(|pair| {
        pair.run();
        assert!(has_sent(pair, 0, |kind| matches!(kind, Kind::Cells(_))), "the first cells were enough");
        pair.push(0, &parcel_of(&cert(1), 95, 1, 330));
        pair.run();
        wait_for_another(pair);
    });
    // The cursor is good from here on.
    recording.session(|_| {});
    // Another policy discloses other things, most of which may go no longer when their turn comes.
    hold(&mut recording.pair, 300..340);
    set_journal(&mut recording.pair, (10..35).chain(200..245));
    let store = &mut recording.pair.nodes[0].store;
    store.withdrawn = store.journal[28..].iter().copied().collect();
    recording.tell_sets();
    recording.session(|pair| {
        pair.run();
        assert!(has_sent(pair, 1, |kind| matches!(kind, Kind::Missing(Missing { give_up: true, .. }))));
    });
    recording.session(|_| {});
    recording.check("sketch");
}

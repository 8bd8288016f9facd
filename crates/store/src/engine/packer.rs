//! Compresses the bodies that commits bring.
//!
//! Whoever commits does that for himself, beside the other commits. One thread helps him while it is idle: where a
//! single caller commits, a core would be.

use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
};

use mithaq_core::body::Body;

use crate::pack::group::{GROUP_BYTES, GroupKind, Packed, RawGroup, Zip};

/// From this many bytes of new bodies on, they are compressed before the committer takes them. Fewer are left to it,
/// which puts what several commits bring into groups that compress better.
const PACK_BYTES_MIN: usize = 32 * 1024;

/// Bodies of one arrival, and the places of those that are new.
#[derive(Default)]
pub(super) struct Lot {
    pub(super) bodies: Vec<Body>,
    pub(super) fresh: Vec<usize>,
}

/// The bodies of a commit.
pub(super) struct Load {
    kind: GroupKind,
    lots: Vec<Lot>,
    /// The new ones: numbers of lots, and places in them.
    fresh: Vec<(usize, usize)>,
    /// Which of these make a group each; none if they are too few.
    groups: Vec<Range<usize>>,
    /// The group that nobody has begun.
    next: AtomicUsize,
}

impl Load {
    pub(super) fn new(kind: GroupKind, lots: Vec<Lot>) -> Self {
        let fresh = lots.iter().enumerate();
        let fresh = fresh.flat_map(|(lot, Lot { fresh, .. })| fresh.iter().map(move |place| (lot, *place))).collect();
        let mut load = Self { kind, lots, fresh, groups: Vec::new(), next: AtomicUsize::new(0) };
        load.groups = load.cut();
        load
    }

    /// Cuts the new bodies into groups.
    fn cut(&self) -> Vec<Range<usize>> {
        let (mut groups, mut begun, mut bytes, mut all) = (Vec::new(), 0, 0, 0);
        for (place, body) in self.fresh().enumerate() {
            bytes += body.bytes().len();
            all += body.bytes().len();
            if bytes >= GROUP_BYTES {
                groups.push(begun..place + 1);
                (begun, bytes) = (place + 1, 0);
            }
        }
        if begun < self.fresh.len() {
            groups.push(begun..self.fresh.len());
        }
        if all < PACK_BYTES_MIN { Vec::new() } else { groups }
    }

    /// The new bodies, in order.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &Body> {
        self.fresh.iter().map(|(lot, place)| &self.lots[*lot].bodies[*place])
    }

    /// How many bodies of each lot are new.
    pub(super) fn counts(&self) -> impl Iterator<Item = usize> {
        self.lots.iter().map(|lot| lot.fresh.len())
    }

    /// Whether the new bodies are compressed before the committer takes them.
    pub(super) fn is_packed(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Compresses groups until none is left to begin.
    fn work(&self, zip: &Zip, done: &Sender<(usize, io::Result<Packed>)>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = self.groups.get(number) else { return };
            if done.send((number, self.pack(group.clone(), zip))).is_err() {
                return;
            }
        }
    }

    fn pack(&self, group: Range<usize>, zip: &Zip) -> io::Result<Packed> {
        let bodies = || self.fresh().skip(group.start).take(group.len());
        let mut raw = RawGroup::for_records(bodies().map(|body| body.bytes().len()));
        bodies().for_each(|body| raw.push(body.bytes()));
        zip.pack(self.kind, &mut raw)
    }
}

/// Work for the thread that helps: a load, and where its groups go.
type Offer = (Arc<Load>, Sender<(usize, io::Result<Packed>)>);

/// The thread that helps, as callers see it.
pub(super) struct Packer {
    /// Takes an offer only while the thread waits for one; `None` ends it.
    offers: SyncSender<Option<Offer>>,
}

/// What the thread that helps is asked.
pub(super) struct Offers(Receiver<Option<Offer>>);

impl Offers {
    /// Helps until the store is closed.
    pub(super) fn serve(&self, zip: &Zip) {
        while let Ok(Some((load, done))) = self.0.recv() {
            load.work(zip, &done);
        }
    }
}

impl Packer {
    pub(super) fn new() -> (Self, Offers) {
        // Nothing waits in it: a caller does not wait for the load of another.
        let (offers, offered) = sync_channel(0);
        (Self { offers }, Offers(offered))
    }

    /// Ends the thread that helps.
    pub(super) fn end(&self) {
        // One that has panicked has ended.
        let _is_over = self.offers.send(None);
    }

    /// Compresses a load, and does something else meanwhile.
    pub(super) fn pack<T>(
        &self,
        load: &Arc<Load>,
        zip: &Zip,
        meanwhile: impl FnOnce() -> T,
    ) -> (io::Result<Vec<Packed>>, T) {
        let (done, packed) = channel();
        // Of a small load the caller must not wait for a thread that has to give way.
        if load.groups.len() > 1 {
            // A thread that is busy, or gone, leaves all to the caller.
            let _is_taken = self.offers.try_send(Some((Arc::clone(load), done.clone())));
        }
        let result = meanwhile();
        load.work(zip, &done);
        drop(done);
        (in_order(packed, load.groups.len()), result)
    }
}

/// The groups in their order.
fn in_order(packed: Receiver<(usize, io::Result<Packed>)>, count: usize) -> io::Result<Vec<Packed>> {
    // The thread that helps may come when all is done: nobody waits for it.
    let mut packed: Vec<_> = packed.into_iter().take(count).collect();
    if packed.len() < count {
        return Err(io::Error::other("the thread that compresses has stopped"));
    }
    packed.sort_unstable_by_key(|(number, _)| *number);
    packed.into_iter().map(|(_, packed)| packed).collect()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use mithaq_core::{id::ContentId, stix::Object};

    use super::*;

    fn body(number: usize) -> Body {
        let text = format!(
            r#"{{"id":"x-thing--{number:08x}-0000-4000-8000-000000000000","spec_version":"2.1","text":"{}","type":"x-thing"}}"#,
            "what compresses well ".repeat(50)
        );
        let object = Object::parse(text.as_bytes()).unwrap();
        let bytes = object.canonical().to_vec();
        Body::verify(ContentId::of(&bytes), bytes).unwrap()
    }

    /// Every second of that many bodies is new, in two lots.
    fn load(count: usize) -> Arc<Load> {
        let lot = |first: usize| Lot {
            bodies: (first..first + count).map(body).collect(),
            fresh: (0..count).step_by(2).collect(),
        };
        Arc::new(Load::new(GroupKind::Bodies, vec![lot(0), lot(count)]))
    }

    #[track_caller]
    fn check(packer: &Packer, zip: &Zip, load: &Arc<Load>) {
        let (packed, result) = packer.pack(load, zip, || 7);
        let mut records = Vec::new();
        for Packed { count, raw_bytes, crc, bytes, .. } in packed.unwrap() {
            let group = zip.unpack(&bytes, count, raw_bytes, crc).unwrap();
            records.extend(group.records().map(<[u8]>::to_vec));
        }
        let fresh: Vec<_> = load.fresh().map(|body| body.bytes().to_vec()).collect();
        assert_eq!((records, result), (fresh, 7));
    }

    #[test]
    fn what_is_new_lies_in_groups_in_order_whoever_compresses_it() {
        let (packer, offers) = Packer::new();
        let zip = &Zip::new(3);
        let large = || load(400);
        assert!(large().groups.len() > 2);
        check(&packer, zip, &large());
        thread::scope(|scope| {
            scope.spawn(move || offers.serve(zip));
            (0..20).for_each(|_| check(&packer, zip, &large()));
            packer.end();
        });
        check(&packer, zip, &large());
        assert!(!load(10).is_packed());
    }
}

//! One session whose peer the test plays by hand.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::{
    code::Code,
    id::{ContentId, ReleaseId, StoreId},
    receipt::{Journal, Receipt, ReceiptEntry, Status},
    release::SignedRelease,
    time::Time,
};
use mithaq_sync::{
    AHEAD_MAX, Channel, FRAME_BYTES_MAX, Fault, Input, LOADING_MAX, Now, Output, PROTOCOL, RELEASES_OPEN_MAX, Session,
    Setup, WINDOW_BYTES,
    wire::{Ack, Frame, Hello, Kind, Manifest, Start, Want, frame_length},
};

use crate::fixtures::{AGREEMENT, Cert, Parcel, at, cert, decode, setup, wall};

/// A session with a peer that the test plays.
#[derive(Debug)]
pub(crate) struct Lone {
    pub(crate) session: Session,
    pub(crate) peer: Cert,
    pub(crate) now: Duration,
    pub(crate) wall: Time,
}

/// The hello of an honest peer.
pub(crate) fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        agreement: Bytes::copy_from_slice(AGREEMENT.as_bytes()),
        store: Bytes::from_static(&[2; 16]),
        instance: Bytes::from_static(&[0x22; 16]),
        card_serial: 5,
        cursor: Bytes::new(),
        frame_bytes_max: FRAME_BYTES_MAX as u64,
        window_bytes: WINDOW_BYTES as u64,
        releases_open_max: RELEASES_OPEN_MAX as u64,
        held_card_serial: 1,
        ledger_size: 0,
        seen: Bytes::new(),
        held: 0,
        dictionaries: Bytes::new(),
        ahead_max: AHEAD_MAX,
    }
}

/// The receipt of CERT 2, with its signature, for entries of the journal of CERT 1.
pub(crate) fn receipt(entries: &[(u64, ReleaseId)]) -> Ack {
    let (one, two) = (cert(1), cert(2));
    let store = StoreId::from_bytes([1; 16]);
    let journal = Journal { owner: one.card.cert_id(), store, agreement: AGREEMENT };
    let status = |(index, release): &(u64, ReleaseId)| ReceiptEntry::from((*index, *release, Status::Received));
    let receipt = Receipt::new(two.card.cert_id(), journal, entries.iter().map(status).collect(), wall()).unwrap();
    let signed = receipt.sign(&two.signing).unwrap().into_signed();
    Ack {
        indexes: entries.iter().map(|(index, _)| *index).collect(),
        statuses: vec![1; entries.len()].into(),
        at: u64::try_from(wall().as_micros()).unwrap(),
        key: Bytes::copy_from_slice(signed.key().as_bytes()),
        signature: Bytes::copy_from_slice(signed.signature().as_bytes()),
    }
}

/// A frame without its length.
pub(crate) fn bare(kind: Kind) -> Bytes {
    let frame = Frame::encode_with_length(kind);
    let (skip, _) = frame_length(&frame).unwrap().unwrap();
    frame.slice(skip..)
}

/// How content ids begin.
pub(crate) fn join(ids: &[ContentId]) -> Bytes {
    ids.iter().flat_map(|id| *id.prefix().as_bytes()).collect()
}

/// A group of these bodies.
pub(crate) fn group(bodies: &[Vec<u8>]) -> Bytes {
    let mut raw = Vec::new();
    for body in bodies {
        raw.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        raw.extend(body);
    }
    zstd::bulk::compress(&raw, 3).unwrap().into()
}

/// The manifest frame of a release, without bodies.
pub(crate) fn manifest(index: u64, parcel: &Parcel) -> Manifest {
    let signed = parcel.release.signed();
    Manifest {
        index,
        manifest: signed.manifest.clone().into(),
        signature: Bytes::copy_from_slice(signed.signature.as_bytes()),
        contents: join(&signed.contents),
        bodies: Bytes::new(),
        card: Bytes::new(),
        dictionary: Bytes::new(),
        size: 0,
    }
}

/// The manifest frame of a release, with its bodies.
pub(crate) fn whole(index: u64, parcel: &Parcel) -> Manifest {
    Manifest { contents: Bytes::new(), bodies: group(&parcel.bodies), ..manifest(index, parcel) }
}

impl Lone {
    /// A session that has said hello and heard nothing.
    pub(crate) fn new() -> Self {
        Self::holding(0)
    }

    /// The same of one that says that it has so many releases of the peer.
    pub(crate) fn holding(held: u64) -> Self {
        let peer = cert(2);
        let setup = Setup { held, ..setup(1, &peer, None) };
        let mut session = Session::new(setup, at(Duration::ZERO));
        assert!(matches!(session.poll_output(), Some(Output::Send { .. })));
        Self { session, peer, now: Duration::ZERO, wall: wall() }
    }

    /// A session that has heard an honest hello.
    pub(crate) fn greeted() -> Self {
        let mut lone = Self::new();
        lone.receive(Kind::Hello(hello()));
        assert!(matches!(lone.take_all()[..], [Output::Greeted(_), Output::OpenJournal { cursor: None }]));
        lone
    }

    /// A session in which both journals are open, ours with `head` entries of which the first are asked for.
    pub(crate) fn started(head: u64) -> Self {
        Self::greeted().start(head)
    }

    /// Opens both journals.
    pub(crate) fn start(mut self, head: u64) -> Self {
        let lone = &mut self;
        lone.take_all();
        lone.receive(Kind::Start(Start { after: 0 }));
        lone.give(Input::JournalOpened { after: 0, head });
        assert!(matches!(lone.take_all()[0], Output::Established));
        self
    }

    pub(crate) fn give(&mut self, input: Input) {
        let now = Now { wall: self.wall, monotonic: self.now };
        self.session.handle(input, now);
    }

    pub(crate) fn receive(&mut self, kind: Kind) {
        self.give(Input::Received(bare(kind)));
    }

    pub(crate) fn take_all(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    /// Answers each request for a release with this one, until there is none; says as which entries it was sent, and in
    /// how many bytes.
    pub(crate) fn load_all(&mut self, release: &SignedRelease) -> (Vec<u64>, usize) {
        let (mut sent, mut bytes) = (Vec::new(), 0);
        loop {
            let mut asked = Vec::new();
            for output in self.take_all() {
                if let Output::LoadRelease { index, .. } = output {
                    asked.push(index);
                } else if let Output::Send { frame, .. } = output
                    && let Kind::Manifest(manifest) = decode(&frame)
                {
                    sent.push(manifest.index);
                    bytes += frame.len();
                }
            }
            assert!(asked.len() <= LOADING_MAX, "{} are loaded at a time", asked.len());
            if asked.is_empty() {
                return (sent, bytes);
            }
            for index in asked {
                self.give(Input::ReleaseLoaded { index, release: Some(release.clone()), card: None, inline: None });
            }
        }
    }

    /// The one frame that is to be sent.
    pub(crate) fn take_frame(&mut self) -> (Channel, Kind) {
        let mut outputs = self.take_all();
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        match outputs.pop() {
            Some(Output::Send { channel, frame }) => (channel, decode(&frame)),
            other => panic!("no frame but {other:?}"),
        }
    }

    /// Checks that the session closes with `code` and nothing else, stores nothing, and stays closed.
    pub(crate) fn assert_closed(&mut self, code: Code) -> Fault {
        let mut outputs = self.take_all();
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        let Some(Output::Close(fault)) = outputs.pop() else {
            panic!("it did not close");
        };
        assert_eq!(fault.code(), code, "{fault}");
        self.assert_silent();
        fault
    }

    /// Checks that nothing has any effect.
    pub(crate) fn assert_silent(&mut self) {
        self.receive(Kind::Hello(hello()));
        self.receive(Kind::Start(Start { after: 0 }));
        self.give(Input::JournalGrew { head: 99 });
        self.give(Input::Stored { entries: vec![(1, Status::Received), (2, Status::Received)] });
        self.give(Input::Tick);
        let outputs = self.take_all();
        assert!(outputs.is_empty(), "{outputs:?}");
    }
}

/// What a sink answers to an offer.
pub(crate) fn want(first: u64, bits: &[u8], count: u32) -> Kind {
    let bitmap = Bytes::copy_from_slice(bits);
    Kind::Want(Want { first, bitmap, count })
}

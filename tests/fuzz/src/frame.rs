//! Frames: what a peer may send, fed to a session.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::{
    id::{AgreementId, ContentId, ContentPrefix, ReleaseId},
    receipt::Status,
};
use mithaq_sync::{
    AHEAD_MAX, Brief, BriefKey, DOCUMENTS_OPEN_MAX, Input, Now, OFFERS_OPEN_MAX, Output, RELEASES_OPEN_MAX, Session,
    Setup, WINDOW_BYTES,
    sketch::{Sketch, compare},
    wire::frame_length,
};

use crate::cast::{ONE, TWO, now};

/// The agreement of the session.
pub const AGREEMENT: AgreementId = AgreementId::from_bytes([0xaa; 32]);

/// What stands for releases in its lazy offers.
pub const BRIEFS: BriefKey = BriefKey::new([0x77; 32]);

/// A session of CERT 1 with CERT 2, which may pass on releases of others.
#[must_use]
pub fn session() -> Session {
    let setup = Setup {
        us: ONE.card.cert_id(),
        key: ONE.signing.clone(),
        agreement: AGREEMENT,
        store: [1; 16],
        instance: [0x11; 16],
        card_serial: 1,
        peer: TWO.card.clone(),
        cursor: None,
        held: 3,
        ledger_size: 0,
        seen: None,
        third_party: true,
        briefs: BRIEFS,
    };
    Session::new(setup, at())
}

fn at() -> Now {
    Now { wall: now(), monotonic: Duration::ZERO }
}

/// What CERT 2 sends, frame by frame, to a store that lacks everything: what is held on its behalf stays bounded, and
/// after the session has closed nothing happens any more.
pub fn frame(data: &[u8]) {
    let mut session = session();
    let mut rest = Bytes::copy_from_slice(data);
    let mut documents = 0;
    while let Ok(Some((skip, length))) = frame_length(&rest) {
        if rest.len() < skip + length {
            break;
        }
        let frame = rest.split_to(skip + length).slice(skip..);
        session.handle(Input::Received(frame), at());
        if perform(&mut session, &mut documents) {
            session.handle(Input::Tick, at());
            assert!(session.poll_output().is_none(), "a closed session goes on");
            return;
        }
        // What was offered lazily is looked up once more when it is due.
        if let Some(monotonic) = session.wakes_at() {
            session.handle(Input::Wake, Now { monotonic, ..at() });
            if perform(&mut session, &mut documents) {
                return;
            }
        }
        let flight = session.in_flight();
        assert!(flight.entries_in <= usize::try_from(OFFERS_OPEN_MAX + AHEAD_MAX).unwrap());
        assert!(flight.releases_in <= RELEASES_OPEN_MAX && flight.bytes_in <= WINDOW_BYTES);
        assert!(documents <= DOCUMENTS_OPEN_MAX);
    }
}

/// Of what is offered lazily, every second release is held, whatever it is.
fn found((index, brief): &(u64, Brief)) -> (u64, Option<ReleaseId>) {
    let is_held = brief.as_bytes()[7] & 1 == 1;
    (*index, is_held.then(|| ReleaseId::from_bytes([7; 32])))
}

/// Of every second content that is named something is held that begins alike, and is another.
fn mistaken(prefix: ContentPrefix) -> Option<ContentId> {
    let mut bytes = [0; 32];
    bytes[..ContentPrefix::BYTES].copy_from_slice(prefix.as_bytes());
    (prefix.as_bytes()[0] % 2 == 1).then_some(ContentId::from_bytes(bytes))
}

/// Does what the session asks; says whether it has closed. Every second document is dealt with.
fn perform(session: &mut Session, documents: &mut usize) -> bool {
    while let Some(output) = session.poll_output() {
        let input = match output {
            Output::Close(fault) => {
                assert!(!fault.message().is_empty());
                return true;
            }
            Output::OpenJournal { .. } => Input::JournalOpened { after: 0, head: 0 },
            Output::CheckReleases { first, ids } => Input::ReleasesKnown { first, known: vec![false; ids.len()] },
            Output::FindReleases { offered, .. } => Input::ReleasesFound { found: offered.iter().map(found).collect() },
            Output::ClaimRelease { index, .. } => Input::ReleaseClaimed { index, late: mithaq_sync::Late::Wanted },
            Output::CheckBodies { index, prefixes, .. } => {
                Input::BodiesHeld { index, held: prefixes.into_iter().map(mistaken).collect() }
            }
            Output::Store { index, release, .. } => {
                assert!(!release.manifest().kind.is_local(), "a release that never leaves its store");
                Input::Stored { entries: vec![(index, Status::Received)] }
            }
            Output::CompareSketch { cells, .. } => Input::SketchCompared(compare(&cells, &mut Sketch::<()>::new())),
            Output::Document { .. } => {
                *documents += 1;
                if *documents % 2 == 1 {
                    continue;
                }
                *documents -= 1;
                Input::DocumentTaken
            }
            _ => continue,
        };
        session.handle(input, at());
    }
    false
}

//! Bodies: which of them we ask for, and what of a release is checked once they are here.
//!
//! A manifest that travels alone names its contents by how their ids begin. What we take for held by that may be
//! another content that begins alike, which takes no more than some effort to make. So the tree hash, which was signed,
//! is asked when all ids are known: if they do not fit, what was taken for held is asked for too, and then nobody but
//! the peer is to blame.

use std::{sync::Arc, time::Duration};

use mithaq_core::{
    body::Body,
    card::VerifiedCard,
    id::{ContentId, ContentPrefix},
    release::{Manifest, ReleaseError, VerifiedManifest, VerifiedRelease},
};

use super::{Entry, Sink, State};
use crate::{
    fault::Fault,
    group,
    io::{Channel, Manner, Output, Outputs},
    limits::{RELEASE_BYTES_MAX, WINDOW_BYTES},
    run::{Content, Piece},
    wire::{self, Bodies, Kind, WantBodies},
};

/// A release whose bodies are not all here.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) manifest: VerifiedManifest,
    /// The card of its origin, if that is not the peer.
    pub(super) card: Option<Arc<VerifiedCard>>,
    pub(super) manner: Manner,
    /// Whether its bodies came with its manifest.
    inline: bool,
    /// How its content ids begin.
    prefixes: Vec<ContentPrefix>,
    /// Its contents, as far as they are known.
    contents: Vec<Option<ContentId>>,
    /// Positions of what we took for held and did not ask for.
    held: Vec<usize>,
    /// Positions of the bodies that we asked for, the last first; `None` until we know what we hold.
    pub(super) wanted: Option<Vec<usize>>,
    pub(super) bodies: Vec<Body>,
    /// How many of `bodies` were handed over for staging.
    pub(super) staged: usize,
    pub(super) bytes: usize,
}

impl Open {
    pub(super) fn new(
        manifest: VerifiedManifest,
        card: Option<Arc<VerifiedCard>>,
        manner: Manner,
        inline: bool,
        prefixes: Vec<ContentPrefix>,
    ) -> Self {
        let contents = vec![None; prefixes.len()];
        let (held, bodies) = (Vec::new(), Vec::new());
        Self { manifest, card, manner, inline, prefixes, contents, held, wanted: None, bodies, staged: 0, bytes: 0 }
    }

    /// Which of its bodies to ask for, by position.
    fn want(&self, positions: &[usize]) -> Vec<bool> {
        let mut bits = vec![false; self.prefixes.len()];
        positions.iter().for_each(|position| bits[*position] = true);
        bits
    }

    /// Takes the next bodies that were asked for: all that come together, or none, lest some of a frame that breaks the
    /// protocol be staged.
    fn take(&mut self, bodies: Vec<Vec<u8>>) -> Result<(), Fault> {
        let wanted = self.wanted.as_mut().filter(|wanted| wanted.len() >= bodies.len()).ok_or_else(not_asked)?;
        let mut taken = Vec::with_capacity(bodies.len());
        for (position, bytes) in wanted.iter().rev().copied().zip(bodies) {
            let body = Body::verify_prefix(self.prefixes[position], bytes).map_err(Fault::Body)?;
            check_label(self.manifest.manifest(), &body)?;
            taken.push((position, body));
        }
        wanted.truncate(wanted.len() - taken.len());
        for (position, body) in taken {
            self.contents[position] = Some(body.id());
            self.bodies.push(body);
        }
        Ok(())
    }

    /// The release, once all that was asked for is here, if its contents are those that were signed.
    fn complete(&self) -> Option<Result<VerifiedRelease, ReleaseError>> {
        let contents = self.contents.iter().copied().collect::<Option<Vec<_>>>()?;
        Some(self.manifest.with_contents(contents))
    }
}

impl Sink {
    pub(super) fn open_entry(&mut self, index: u64) -> Option<&mut Open> {
        match self.entries.get_mut(&index) {
            Some(Entry { state: State::Open(open), .. }) => Some(open),
            _ => None,
        }
    }

    /// Notes which bodies we ask for, the last first.
    fn set_wanted(&mut self, index: u64, wanted: Vec<usize>) {
        if let Some(open) = self.open_entry(index)
            && open.wanted.replace(wanted).is_none()
        {
            self.awaited += 1;
        }
    }

    /// Takes the bodies that came with their manifest, which are all of a release.
    pub(super) fn take_inline(
        &mut self,
        index: u64,
        bodies: Vec<Vec<u8>>,
        bytes_max: usize,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        self.set_wanted(index, (0..bodies.len()).rev().collect());
        self.take_bodies(index, bodies, bytes_max)?;
        self.finish_if_complete(index, outputs)
    }

    /// Lets a release wait whose bodies are on their way from elsewhere.
    pub(crate) fn bodies_elsewhere(&mut self, index: u64) {
        if self.open_entry(index).is_some_and(|open| open.wanted.is_none()) {
            self.elsewhere.insert(index);
        }
    }

    /// Tells the peer now and then, by a want of no bodies, that we wait and are alive.
    pub(crate) fn remind(&mut self, now: Duration, outputs: &mut Outputs) {
        if let Some(index) = self.elsewhere.due(now)
            && let Some(open) = self.open_entry(index)
        {
            let bitmap = wire::bitmap(&open.want(&[]));
            outputs.send(Channel::Control, Kind::WantBodies(WantBodies { index, bitmap }));
        }
    }

    pub(crate) fn bodies_held(
        &mut self,
        index: u64,
        held: Vec<Option<ContentId>>,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        self.elsewhere.remove(index);
        let Some(open) = self.open_entry(index).filter(|open| open.wanted.is_none()) else {
            return Ok(());
        };
        let prefixes = open.prefixes.iter();
        let is_it = |(prefix, held): (&ContentPrefix, Option<ContentId>)| held.filter(|held| held.prefix() == *prefix);
        open.contents = prefixes.zip(held.into_iter().chain(std::iter::repeat(None))).map(is_it).collect();
        let (held, lacking): (Vec<_>, Vec<_>) =
            (0..open.contents.len()).partition(|position| open.contents[*position].is_some());
        open.held.clone_from(&held);
        self.objects_deduplicated += held.len() as u64;
        self.ask(index, lacking, outputs);
        self.finish_if_complete(index, outputs)
    }

    /// Asks for bodies, if they are any.
    fn ask(&mut self, index: u64, mut positions: Vec<usize>, outputs: &mut Outputs) {
        let Some(open) = self.open_entry(index) else { return };
        if !positions.is_empty() {
            let bitmap = wire::bitmap(&open.want(&positions));
            outputs.send(Channel::Control, Kind::WantBodies(WantBodies { index, bitmap }));
        }
        positions.reverse();
        self.set_wanted(index, positions);
    }

    pub(crate) fn bodies(&mut self, frame: &Bodies, outputs: &mut Outputs) -> Result<(), Fault> {
        if self.open_entry(frame.index).is_none_or(|open| open.wanted.is_none()) {
            return Err(not_asked());
        }
        let bodies = if frame.size == 0 {
            group::unpack(&frame.group, &frame.dictionary)?
        } else {
            let piece = Piece { bytes: frame.group.clone(), size: frame.size, dictionary: frame.dictionary.clone() };
            group::split(&self.run.unpack(&piece, Content::Group)?)?
        };
        let count = bodies.len();
        self.take_bodies(frame.index, bodies, RELEASE_BYTES_MAX)?;
        self.finish_if_complete(frame.index, outputs)?;
        if self.open_entry(frame.index).is_some() {
            outputs.push(Output::BodiesCame { index: frame.index, bodies: count });
        }
        Ok(())
    }

    /// Checks each body against the prefix that is next.
    fn take_bodies(&mut self, index: u64, bodies: Vec<Vec<u8>>, bytes_max: usize) -> Result<(), Fault> {
        let window_left = WINDOW_BYTES.saturating_sub(self.window_used);
        let open = self.open_entry(index).ok_or_else(not_asked)?;
        let bytes: usize = bodies.iter().map(Vec::len).sum();
        if open.bytes + bytes > bytes_max || bytes > window_left {
            return Err(Fault::Misbehaved("more bytes than we take at once"));
        }
        open.take(bodies)?;
        open.bytes += bytes;
        self.window_used += bytes;
        Ok(())
    }

    /// Hands a release over to the store once all of its bodies are here and its contents are those that were signed.
    /// If they are not, what we took for held may be something else.
    fn finish_if_complete(&mut self, index: u64, outputs: &mut Outputs) -> Result<(), Fault> {
        let Some(open) = self.open_entry(index).filter(|open| open.wanted.as_ref().is_some_and(Vec::is_empty)) else {
            return Ok(());
        };
        match open.complete() {
            Some(Ok(release)) => self.finish(index, release, outputs),
            Some(Err(error)) if open.held.is_empty() => {
                // They are not those that were signed, and none of them is staged.
                open.bodies.clear();
                open.staged = 0;
                return Err(Fault::Release(error));
            }
            Some(Err(_)) => {
                let held = std::mem::take(&mut open.held);
                held.iter().for_each(|position| open.contents[*position] = None);
                self.objects_deduplicated -= held.len() as u64;
                self.ask(index, held, outputs);
            }
            // INVARIANT: what is neither held nor here is wanted.
            None => {}
        }
        Ok(())
    }

    fn finish(&mut self, index: u64, release: VerifiedRelease, outputs: &mut Outputs) {
        let id = release.id();
        let Some(Entry { state: State::Open(open), .. }) = self.put(index, id, State::Done) else {
            return;
        };
        self.objects_received += open.bodies.len() as u64;
        self.storing.insert(index, (id, open.bytes));
        self.settle_missing(index);
        self.advance();
        outputs.push(Output::Store {
            index,
            release: Box::new(release),
            bodies: open.bodies,
            card: open.card,
            cursor: self.cursor,
            manner: open.manner,
            inline: open.inline,
        });
    }
}

fn not_asked() -> Fault {
    Fault::Misbehaved("bodies that were not asked for")
}

/// The label that all of a release share must be at least as strict as what each object says of itself.
fn check_label(manifest: &Manifest, body: &Body) -> Result<(), Fault> {
    if body.facts().is_covered_by(&manifest.label) { Ok(()) } else { Err(Fault::Label) }
}

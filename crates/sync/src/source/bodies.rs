//! Bodies: what the sink wants of a release whose manifest was sent, and how they go.

use std::{collections::VecDeque, time::Duration};

use mithaq_core::id::ContentId;

use super::{Entry, Source, State};
use crate::{
    fault::Fault,
    freight::Weight,
    group::{self, Packed},
    io::{Channel, Output, Outputs},
    limits::{GROUP_BYTES_MAX, PROMPT_WINDOW_BYTES, RELEASE_BYTES_MAX, WINDOW_BYTES_MIN},
    run::{Packer, Piece},
    wire::{self, Bodies, Kind, WantBodies},
};

/// A release of which the manifest was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) channel: Channel,
    pub(super) contents: Vec<ContentId>,
    /// Positions of the bodies that the peer wants and that were not sent yet.
    pub(super) wanted: VecDeque<usize>,
    /// Which of the bodies the peer has asked for, once it has said so.
    pub(super) asked: Option<Vec<bool>>,
    pub(super) weight: Weight,
}

impl Sent {
    /// Takes note of which bodies the peer wants: at first, and once more for what it then took for held.
    fn ask(&mut self, bits: &[bool]) -> Result<(), Fault> {
        let is_the_rest = |asked: &Vec<bool>| asked.iter().zip(bits).all(|(before, now)| before != now);
        if self.asked.as_ref().is_some_and(|asked| !is_the_rest(asked) || !self.wanted.is_empty())
            || !bits.contains(&true)
        {
            return Err(Fault::Misbehaved("a second want of the same bodies"));
        }
        // Nothing is left to be asked for after the second time.
        self.asked = Some(if self.asked.is_some() { vec![true; bits.len()] } else { bits.to_vec() });
        self.wanted = (0..bits.len()).filter(|position| bits[*position]).collect();
        Ok(())
    }
}

impl Source {
    pub(crate) fn want_bodies(&mut self, want: &WantBodies, now: Duration, outputs: &mut Outputs) -> Result<(), Fault> {
        let not_sent = Fault::Misbehaved("a want of bodies of a release that was not sent");
        let sent = match self.entries.get_mut(&want.index).map(|entry| &mut entry.state) {
            Some(State::Sent(sent)) => sent,
            _ => return Err(not_sent),
        };
        let bits = wire::bits(&want.bitmap, sent.contents.len())?;
        self.waiting_since = now;
        if sent.asked.is_none() && !bits.contains(&true) {
            // It waits for them from elsewhere, and will say which ones it wants: nothing else is to wait for that.
            self.unconfirmed.manifests -= std::mem::take(&mut sent.weight.manifests);
            self.pump(outputs);
            return Ok(());
        }
        sent.ask(&bits)?;
        self.hungry.insert((sent.channel, want.index));
        self.pump(outputs);
        Ok(())
    }

    pub(super) fn pump_bodies(&mut self, outputs: &mut Outputs) {
        // A release that has begun must fit, and so must what goes out with its bodies meanwhile.
        let window = self.window_bytes.saturating_sub(PROMPT_WINDOW_BYTES).max(WINDOW_BYTES_MIN);
        if self.loading_bodies || self.unconfirmed.window + GROUP_BYTES_MAX > window {
            return;
        }
        let next = self.begun.or_else(|| self.hungry.pop_first().map(|(_, index)| index));
        let Some(index) = next else { return };
        let Some(Entry { id, state: State::Sent(sent), .. }) = self.entries.get(&index) else {
            return;
        };
        let contents = sent.wanted.iter().map(|position| sent.contents[*position]);
        outputs.push(Output::LoadBodies { index, release: *id, contents: contents.collect() });
        self.begun = Some(index);
        self.loading_bodies = true;
    }

    pub(crate) fn bodies_loaded(&mut self, index: u64, bodies: &[Vec<u8>], outputs: &mut Outputs) -> Result<(), Fault> {
        if self.begun != Some(index) || !std::mem::take(&mut self.loading_bodies) {
            return Ok(());
        }
        let state = self.entries.get_mut(&index).map(|entry| &mut entry.state);
        if let Some(State::Sent(sent)) = state {
            let bodies = group::fitting(&bodies[..bodies.len().min(sent.wanted.len())]);
            let window = bodies.iter().map(Vec::len).sum();
            if bodies.is_empty() || sent.weight.window + window > RELEASE_BYTES_MAX {
                let (channel, weight) = (sent.channel, sent.weight);
                self.withdraw(index, channel, weight, outputs);
            } else {
                sent.wanted.drain(..bodies.len());
                self.objects_sent += bodies.len() as u64;
                let frame = pack_bodies(index, bodies, sent.channel, &mut self.run, self.dictionary)?;
                let wire = outputs.send(sent.channel, Kind::Bodies(frame));
                let weight = Weight { window, wire, manifests: 0 };
                sent.weight.add(weight);
                self.unconfirmed.add(weight);
                self.begun = (!sent.wanted.is_empty()).then_some(index);
            }
        }
        self.pump(outputs);
        Ok(())
    }
}

/// Bodies as they travel on a channel: on the backfill stream as a piece of the run, else as a group of their own.
fn pack_bodies(
    index: u64,
    bodies: &[Vec<u8>],
    channel: Channel,
    run: &mut Packer,
    peer_has_dictionary: bool,
) -> Result<Bodies, Fault> {
    if channel == Channel::Backfill {
        let Piece { bytes: group, size, dictionary } = run.pack(&group::join(bodies), peer_has_dictionary)?;
        return Ok(Bodies { index, group, dictionary, size });
    }
    let Packed { group, dictionary } = group::pack(bodies, peer_has_dictionary)?;
    Ok(Bodies { index, group, dictionary, size: 0 })
}

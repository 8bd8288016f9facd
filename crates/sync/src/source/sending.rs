//! How a release goes out once it was loaded: unasked, as it was wanted, offered, or not at all.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use mithaq_core::{card::VerifiedCard, release::SignedRelease};

use super::{Entry, Loaded, Sent, Source, State};
use crate::{
    fault::Fault,
    freight::{Weight, channel_of},
    group::{self, Packed},
    io::{Channel, Outputs},
    limits::{INLINE_BYTES_MAX, LOADING_MAX, MANIFESTS_BYTES_MAX},
    twins::Twins,
    wire::{self, Gone, Kind, Manifest, Rest},
};

impl Source {
    pub(crate) fn release_loaded(
        &mut self,
        index: u64,
        loaded: Loaded,
        twins: &mut Twins,
        now: Duration,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        if !matches!(self.entries.get(&index), Some(Entry { state: State::Loading, .. })) {
            return Ok(());
        }
        self.loading -= 1;
        let Loaded { release, card, inline } = loaded;
        match release {
            Some(release) if self.is_twin(index, &release, twins) => self.pair(index),
            Some(release) if self.is_lazy(index, &release, card.as_deref()) => self.rest(index, now),
            Some(release) => {
                let channel = channel_of(&release, inline.is_some());
                let card = card.and_then(|card| self.show(channel, &card)).unwrap_or_default();
                self.send_release(index, channel, release, inline, card, outputs)?;
            }
            None => self.withdraw(index, Channel::Control, Weight::default(), outputs),
        }
        self.pump(outputs);
        Ok(())
    }

    /// The card as it travels, if this stream has carried none of that CERT or an older one.
    fn show(&mut self, channel: Channel, card: &VerifiedCard) -> Option<Bytes> {
        let serial = card.card().serial;
        let before = self.shown.insert((channel, card.cert_id()), serial);
        (before != Some(serial)).then(|| card.envelope().to_json().into())
    }

    fn send_release(
        &mut self,
        index: u64,
        channel: Channel,
        release: SignedRelease,
        inline: Option<Vec<Vec<u8>>>,
        card: Bytes,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        let inline = inline.unwrap_or_default();
        let bytes = inline.iter().map(Vec::len).sum();
        let fits = bytes <= INLINE_BYTES_MAX
            && self.unconfirmed.window + bytes <= self.window_bytes
            && inline.len() == release.contents.len();
        let mut manifest = Manifest {
            index,
            signature: Bytes::copy_from_slice(release.signature.as_bytes()),
            card,
            ..Manifest::default()
        };
        if channel == Channel::Backfill {
            let piece = self.run.pack(&release.manifest, self.dictionary)?;
            (manifest.manifest, manifest.size, manifest.dictionary) = (piece.bytes, piece.size, piece.dictionary);
        } else {
            manifest.manifest = release.manifest.into();
        }
        let mut window = 0;
        if fits {
            // Who has all bodies can tell their ids.
            let Packed { group, dictionary } = group::pack(&inline, self.dictionary)?;
            (manifest.bodies, manifest.dictionary, window) = (group, dictionary, bytes);
            self.objects_sent += inline.len() as u64;
        } else {
            manifest.contents = wire::join_prefixes(&release.contents);
        }
        let wire = outputs.send(channel, Kind::Manifest(manifest));
        let weight = Weight { window, wire, manifests: if fits { 0 } else { wire } };
        self.unconfirmed.add(weight);
        if let Some(entry) = self.entries.get_mut(&index) {
            let asked = fits.then(|| vec![true; release.contents.len()]);
            entry.state =
                State::Sent(Sent { channel, contents: release.contents, wanted: VecDeque::new(), asked, weight });
        }
        Ok(())
    }

    /// Ends the run once the sink has everything: it keeps memory on both sides.
    pub(super) fn end_run(&mut self, outputs: &mut Outputs) {
        if self.lag() == 0 && self.run.rest() {
            outputs.send(Channel::Backfill, Kind::Rest(Rest {}));
        }
    }

    /// Whether so many manifests of a backlog are on the way that their bodies should come first.
    pub(super) fn is_full_of_manifests(&self) -> bool {
        self.loading >= LOADING_MAX || self.unconfirmed.manifests >= MANIFESTS_BYTES_MAX
    }

    /// Tells the peer not to wait for an entry that may not go.
    pub(super) fn withdraw(&mut self, index: u64, channel: Channel, weight: Weight, outputs: &mut Outputs) {
        let Some(entry) = self.entries.get_mut(&index) else {
            return;
        };
        entry.state = State::Gone(weight);
        let id = Bytes::copy_from_slice(entry.id.as_bytes());
        outputs.send(channel, Kind::Gone(Gone { index, id }));
        self.begun = self.begun.filter(|begun| *begun != index);
    }
}

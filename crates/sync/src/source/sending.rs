//! How a release goes out once it was loaded: unasked, as it was wanted, offered, or not at all.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use mithaq_core::{card::VerifiedCard, id::ContentId, release::SignedRelease};

use super::{Entry, Loaded, Sent, Source, State};
use crate::{
    fault::Fault,
    freight::{Weight, channel_of},
    group::{self, Packed},
    io::{Channel, Outputs},
    limits::{INLINE_BYTES_MAX, LOADING_MAX, MANIFESTS_BYTES_MAX},
    twins::Twins,
    wire::{self, Gone, Kind, Manifest},
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
        let (window, packed) = if fits {
            self.objects_sent += inline.len() as u64;
            (bytes, group::pack(&inline, self.dictionary)?)
        } else {
            (0, Packed::default())
        };
        let manifest = Manifest {
            index,
            manifest: release.manifest.into(),
            signature: Bytes::copy_from_slice(release.signature.as_bytes()),
            contents: wire::join_ids(release.contents.iter().map(ContentId::as_bytes)),
            bodies: packed.group,
            card,
            dictionary: packed.dictionary,
        };
        let wire = outputs.send(channel, Kind::Manifest(manifest));
        let weight = Weight { window, wire, manifests: if fits { 0 } else { wire } };
        self.unconfirmed.add(weight);
        if let Some(entry) = self.entries.get_mut(&index) {
            entry.state =
                State::Sent(Sent { channel, contents: release.contents, wanted: VecDeque::new(), asked: fits, weight });
        }
        Ok(())
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

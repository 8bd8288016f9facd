//! What a release weighs on its way, and which stream it goes on.

use mithaq_core::release::{Kind, SignedRelease};

use crate::io::Channel;

/// What of one entry is on its way or at the peer, unconfirmed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weight {
    /// Canonical bytes of bodies.
    pub(crate) window: usize,
    /// Bytes of frames.
    pub(crate) wire: usize,
    /// Bytes of manifests that travel without their bodies.
    pub(crate) manifests: usize,
}

impl Weight {
    pub(crate) fn add(&mut self, other: Self) {
        self.window += other.window;
        self.wire += other.wire;
        self.manifests += other.manifests;
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.window -= other.window;
        self.wire -= other.wire;
        self.manifests -= other.manifests;
    }
}

/// Whether a release takes something back.
pub(crate) fn takes_back(release: &SignedRelease) -> bool {
    release.stored_manifest().is_ok_and(|manifest| manifest.kind == Kind::Withdraw)
}

/// The channel of a release that was loaded, with its bodies or without.
pub(crate) fn channel_of(release: &SignedRelease, inline: bool) -> Channel {
    match inline {
        false => Channel::Backfill,
        true if takes_back(release) => Channel::Urgent,
        true => Channel::Live,
    }
}

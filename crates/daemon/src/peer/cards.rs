//! Cards of peers that arrive while the daemon runs.

use std::sync::{Arc, PoisonError};

use mithaq_api::home::{CardRefusal, CardTaken, HomeError};
use mithaq_core::{
    card::{Succession, VerifiedCard},
    dsse::Envelope,
    id::CertId,
};

use super::start_peer;
use crate::{clock, node::Node};

/// Takes a card of the peer `from`, which may have come from anyone: it is checked here. A newer one is in the peer's
/// file, durably, before this returns, and the peer's tasks then start anew with it: the session that brought the card
/// may end by that. Blocks.
///
/// # Errors
/// When the card is damaged, another CERT's or older, and then nothing was changed. When it is proof of two cards with
/// one serial: both are kept, the peer is blocked, and its session ends.
pub(crate) fn take_card(
    node: &Arc<Node>,
    endpoint: &quinn::Endpoint,
    from: CertId,
    envelope: Envelope,
) -> Result<CardTaken, CardRefusal> {
    let card = VerifiedCard::verify(envelope)?;
    // Of a reload and this, the one that read the file first must not be the one that is obeyed last.
    let _turn = node.reloading.lock().unwrap_or_else(PoisonError::into_inner);
    let name = node.peer(from).ok_or(CardRefusal::Unknown(from))?.peer.name.clone();
    let taken = node.home.take_card(&name, &card, clock::wall());
    match &taken {
        Ok(CardTaken { succession: Succession::Same, .. }) => return taken,
        Ok(taken) => tracing::info!(peer = name, serial = taken.serial, "the peer has a new card"),
        Err(refusal @ CardRefusal::Equivocation { .. }) => {
            tracing::error!(peer = name, code = %refusal.code(), %refusal, "the peer is blocked");
        }
        Err(_) => return taken,
    }
    take_up_in_turn(node, endpoint, &name)?;
    taken
}

/// Takes up one peer as its file has it now. Blocks.
pub(super) fn take_up(node: &Arc<Node>, endpoint: &quinn::Endpoint, name: &str) -> Result<(), HomeError> {
    let _turn = node.reloading.lock().unwrap_or_else(PoisonError::into_inner);
    take_up_in_turn(node, endpoint, name)
}

/// The caller holds `node.reloading`.
fn take_up_in_turn(node: &Arc<Node>, endpoint: &quinn::Endpoint, name: &str) -> Result<(), HomeError> {
    if let Some(entry) = node.replace_peer(node.home.peer(name)?) {
        start_peer(node, endpoint, entry);
    }
    Ok(())
}

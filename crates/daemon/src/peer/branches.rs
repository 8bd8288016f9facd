//! What the releases that a session brings tell of its place in the trees of their origins.

use mithaq_core::{id::CertId, release::VerifiedRelease};
use mithaq_store::StoreError;
use mithaq_sync::{Arrival, Input, Manner};

use super::storer::is_here;
use crate::{fetching::Seat, held, node::Node};

/// What there is to note of a release that a peer sent, before it is stored. One that is here and of which the peer may not
/// be told so counts as new where it was asked for, as if it were not here, and is passed over where it came unasked:
/// the peer is told when it brings what others brought before it. Blocks.
pub(super) fn arrival(
    node: &Node,
    from: CertId,
    release: &VerifiedRelease,
    manner: Manner,
) -> Result<Option<Arrival>, StoreError> {
    let (origin, id) = (release.manifest().origin, release.id());
    // What was offered in order is most of what comes, and says nothing of how soon it came.
    if manner == Manner::Asked {
        return Ok(None);
    }
    let is_here = is_here(node, id)?;
    let may_be_told = !is_here || held::is_held(node, from, id)?;
    let is_new = !is_here || (manner == Manner::AskedLate && !may_be_told);
    let is_noted = is_new || may_be_told;
    Ok(is_noted.then_some(Arrival { origin, release: id, is_direct: origin == from, manner, is_new }))
}

/// Notes what has been stored; gives what the session is to be told of it.
pub(super) fn place(seat: &Seat, arrivals: Vec<Arrival>) -> Vec<Input> {
    let placed = |arrival: Arrival| {
        let branch = seat.arrived(arrival)?;
        Some(Input::Placed { origin: arrival.origin, branch })
    };
    arrivals.into_iter().filter_map(placed).collect()
}

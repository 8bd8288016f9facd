//! What is handed over for staging: bodies of releases that are not complete, so that a cut costs what was on its way.

use mithaq_core::body::Body;

use super::{Entry, Open, Sink, State};
use crate::{
    io::{Output, Outputs, Part},
    limits::STAGE_BYTES,
};

impl Sink {
    /// Hands over what came of releases that are not complete, a bounded amount at a time: until it is durable the
    /// session holds it twice.
    pub(crate) fn stage(&mut self, outputs: &mut Outputs) {
        if self.is_staging {
            return;
        }
        let mut room = STAGE_BYTES;
        let mut parts = Vec::new();
        for Entry { id, state } in self.entries.values_mut() {
            let State::Open(open) = state else { continue };
            let bodies = open.unstaged(&mut room);
            if !bodies.is_empty() {
                parts.push(Part { release: *id, bodies });
            }
        }
        if !parts.is_empty() {
            self.is_staging = true;
            outputs.push(Output::Stage(parts));
        }
    }

    /// What was handed over is durable.
    pub(crate) fn staged(&mut self) {
        self.is_staging = false;
    }

    /// Hands over all that is left, when the session is over.
    pub(crate) fn abandon(&mut self, outputs: &mut Outputs) {
        let left = std::mem::take(&mut self.entries).into_values().filter_map(|Entry { id, state }| match state {
            State::Open(open) => {
                Some(Part { release: id, bodies: open.bodies.into_iter().skip(open.staged).collect() })
            }
            _ => None,
        });
        let parts: Vec<_> = left.filter(|part| !part.bodies.is_empty()).collect();
        if !parts.is_empty() {
            outputs.push(Output::Stage(parts));
        }
    }
}

impl Open {
    /// Copies of bodies that were not handed over, as long as there is room; the one that uses it up is the last.
    fn unstaged(&mut self, room: &mut usize) -> Vec<Body> {
        let mut bodies = Vec::new();
        while let Some(body) = self.bodies.get(self.staged).filter(|_| *room > 0) {
            *room = room.saturating_sub(body.bytes().len());
            bodies.push(body.clone());
            self.staged += 1;
        }
        bodies
    }
}

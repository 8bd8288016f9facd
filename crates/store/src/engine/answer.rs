//! What callers wait for.
//!
//! To wake a thread costs as much as to plan a commit, and a group of small commits has many callers. So the committer
//! wakes one of them, which wakes others, while the committer goes on to the next group.

use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use crate::contract::{Committed, StoreError};

/// What came of a commit.
pub(super) type Outcome = Result<Vec<Committed>, StoreError>;

/// What came of a commit, and the answers that whoever receives it passes on.
pub(super) struct Answer {
    outcome: Outcome,
    others: VecDeque<Due>,
}

/// An answer that somebody waits for.
pub(super) struct Due {
    pub(super) waits: Waits,
    pub(super) outcome: Outcome,
}

/// Somebody who waits for an answer.
pub(super) struct Waits(SyncSender<Answer>);

impl Waits {
    /// Somebody who waits, and where the answer comes.
    pub(super) fn new() -> (Self, Receiver<Answer>) {
        let (answer, answered) = sync_channel(1);
        (Self(answer), answered)
    }
}

impl Answer {
    /// Passes on what is others', and gives what came of one's own commit.
    pub(super) fn pass_on(mut self) -> Outcome {
        while !self.others.is_empty() {
            // Each that is woken takes half of what is left.
            give_out(self.others.split_off(self.others.len() / 2));
        }
        self.outcome
    }
}

/// Wakes the first of those who wait, who passes on the others' answers.
pub(super) fn give_out(mut due: VecDeque<Due>) {
    while let Some(Due { waits, outcome }) = due.pop_front() {
        match waits.0.try_send(Answer { outcome, others: due }) {
            Ok(()) => return,
            // This one has gone away and does not want to know.
            Err(TrySendError::Full(answer) | TrySendError::Disconnected(answer)) => due = answer.others,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn committed(seq: u64) -> Outcome {
        Ok(vec![Committed { seq, new: true, bodies_new: 0 }])
    }

    #[test]
    fn everybody_has_his_own_answer_though_some_have_gone_away() {
        for count in [1, 2, 3, 8, 100] {
            let (mut due, mut waiting) = (VecDeque::new(), Vec::new());
            for seq in 0..count {
                let (waits, answered) = Waits::new();
                due.push_back(Due { waits, outcome: committed(seq) });
                if seq % 3 != 1 {
                    waiting.push((seq, answered));
                }
            }
            let receive = |(seq, answered): (u64, Receiver<Answer>)| {
                thread::spawn(move || assert_eq!(answered.recv().unwrap().pass_on().unwrap()[0].seq, seq))
            };
            let waiting: Vec<_> = waiting.into_iter().map(receive).collect();
            give_out(due);
            waiting.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}

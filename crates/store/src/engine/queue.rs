//! The commits that wait for the committer: small ones overtake large ones, which are still taken in time.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// A commit of up to so many bytes overtakes larger ones.
const SMALL_BYTES: usize = 128 * 1024;

/// How many groups of small commits may go before a large one that waits.
const OVERTAKEN_MAX: u32 = 4;

/// Something that waits, of some size.
pub(super) trait Weighed {
    /// How many bytes it adds to a frame, about.
    fn bytes(&self) -> usize;
}

/// A bounded queue of two lanes between many callers and the one committer.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// How many may wait in each lane before callers are held back.
    waiting_max: usize,
    lanes: Mutex<Lanes<T>>,
    /// Something came, or the queue was closed.
    came: Condvar,
    /// Something was taken.
    taken: Condvar,
}

#[derive(Debug)]
struct Lanes<T> {
    small: VecDeque<T>,
    large: VecDeque<T>,
    /// How many groups of small ones have gone while a large one waited.
    overtaken: u32,
    closed: bool,
    /// Whether the committer waits for something to come, and how many callers wait for room: nobody else needs to be
    /// woken.
    is_idle: bool,
    held_back: usize,
}

impl<T: Weighed> Queue<T> {
    pub(super) fn new(waiting_max: usize) -> Self {
        let (small, large) = (VecDeque::new(), VecDeque::new());
        let lanes = Lanes { small, large, overtaken: 0, closed: false, is_idle: false, held_back: 0 };
        Self { waiting_max: waiting_max.max(1), lanes: Mutex::new(lanes), came: Condvar::new(), taken: Condvar::new() }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something, once there is room; gives it back if the queue is closed. Blocks.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let is_small = item.bytes() <= SMALL_BYTES;
        let is_full = |lanes: &mut Lanes<T>| !lanes.closed && lanes.lane(is_small).len() >= self.waiting_max;
        let mut lanes = self.lanes();
        lanes.held_back += 1;
        let mut lanes = self.taken.wait_while(lanes, is_full).unwrap_or_else(PoisonError::into_inner);
        lanes.held_back -= 1;
        if lanes.closed {
            return Err(item);
        }
        lanes.lane(is_small).push_back(item);
        let is_awaited = std::mem::take(&mut lanes.is_idle);
        drop(lanes);
        if is_awaited {
            self.came.notify_one();
        }
        Ok(())
    }

    /// Takes what is committed together next, up to so many bytes, all of it small or all of it large; none once the
    /// queue is closed and empty. Blocks.
    pub(super) fn take(&self, small_bytes_max: usize, large_bytes_max: usize) -> Vec<T> {
        let is_idle = |lanes: &mut Lanes<T>| {
            lanes.is_idle = !lanes.closed && lanes.small.is_empty() && lanes.large.is_empty();
            lanes.is_idle
        };
        let mut lanes = self.came.wait_while(self.lanes(), is_idle).unwrap_or_else(PoisonError::into_inner);
        let is_small = !lanes.small.is_empty() && (lanes.large.is_empty() || lanes.overtaken < OVERTAKEN_MAX);
        lanes.overtaken = if is_small && !lanes.large.is_empty() { lanes.overtaken + 1 } else { 0 };
        let bytes_max = if is_small { small_bytes_max } else { large_bytes_max };
        let group = take_up_to(lanes.lane(is_small), bytes_max);
        let holds_back = lanes.held_back > 0;
        drop(lanes);
        if holds_back {
            self.taken.notify_all();
        }
        group
    }

    /// Takes no more; what waits is still given out.
    pub(super) fn close(&self) {
        self.lanes().closed = true;
        self.came.notify_all();
        self.taken.notify_all();
    }

    /// Drops what waits and takes no more: nobody is left to take it.
    pub(super) fn abandon(&self) {
        let mut lanes = self.lanes();
        lanes.closed = true;
        let waiting = (std::mem::take(&mut lanes.small), std::mem::take(&mut lanes.large));
        drop(lanes);
        drop(waiting);
        self.taken.notify_all();
    }
}

impl<T> Lanes<T> {
    fn lane(&mut self, is_small: bool) -> &mut VecDeque<T> {
        if is_small { &mut self.small } else { &mut self.large }
    }
}

fn take_up_to<T: Weighed>(lane: &mut VecDeque<T>, bytes_max: usize) -> Vec<T> {
    let mut group = Vec::new();
    let mut bytes = 0;
    while let Some(next) = lane.pop_front() {
        bytes += next.bytes();
        group.push(next);
        if bytes >= bytes_max {
            break;
        }
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    const LARGE: usize = SMALL_BYTES + 1;

    fn queue_of(items: &[usize]) -> Queue<usize> {
        let queue = Queue::new(100);
        items.iter().for_each(|item| queue.push(*item).unwrap());
        queue
    }

    #[test]
    fn small_ones_overtake_large_ones_and_share_a_group() {
        let queue = queue_of(&[LARGE, 1, LARGE + 1, 2, 3]);
        assert_eq!(queue.take(1_000, LARGE), [1, 2, 3]);
        assert_eq!(queue.take(1_000, LARGE), [LARGE]);
        assert_eq!(queue.take(1_000, LARGE), [LARGE + 1]);
        queue.close();
        assert!(queue.take(1_000, LARGE).is_empty());
        assert_eq!(queue.push(7), Err(7));
    }

    #[test]
    fn a_large_one_is_taken_in_time() {
        let queue = queue_of(&[LARGE]);
        let mut before = 0;
        while {
            queue.push(1).unwrap();
            queue.take(1, 1) == [1]
        } {
            before += 1;
        }
        assert_eq!(before, OVERTAKEN_MAX);
    }

    #[test]
    fn a_full_lane_holds_its_callers_back_and_no_others() {
        let queue = Queue::new(1);
        queue.push(LARGE).unwrap();
        queue.push(1).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push(LARGE));
            assert_eq!(queue.take(1, 1), [1]);
            assert_eq!(queue.take(1, 1), [LARGE]);
            assert_eq!(waiting.join().unwrap(), Ok(()));
            let left = scope.spawn(|| queue.push(LARGE));
            queue.abandon();
            assert!(left.join().unwrap().is_err());
        });
    }
}

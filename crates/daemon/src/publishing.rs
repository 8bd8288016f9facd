//! Which contents are being published at this moment, so that two pushes of one object release it once, while pushes of
//! different objects share their commits.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use mithaq_core::id::ContentId;

/// The contents of all pushes that are being carried out.
#[derive(Debug, Default)]
pub(crate) struct Publishing {
    contents: Mutex<HashSet<ContentId>>,
    changed: Condvar,
}

/// The right to publish some contents; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    publishing: &'a Publishing,
    contents: HashSet<ContentId>,
}

impl Publishing {
    /// Waits until no other push publishes any of these contents, and claims them all at once, so that no two pushes
    /// can wait for each other. Blocks.
    pub(crate) fn turn(&self, contents: impl IntoIterator<Item = ContentId>) -> Turn<'_> {
        let contents: HashSet<_> = contents.into_iter().collect();
        // All pushes wait for this lock: what was in the way is asked for first, before a bulk looks for more.
        let mut in_the_way: Option<ContentId> = None;
        let is_taken = |taken: &mut HashSet<ContentId>| {
            in_the_way = in_the_way
                .filter(|content| taken.contains(content))
                .or_else(|| contents.iter().copied().find(|content| taken.contains(content)));
            in_the_way.is_some()
        };
        let taken = self.changed.wait_while(self.lock(), is_taken);
        taken.unwrap_or_else(PoisonError::into_inner).extend(&contents);
        Turn { publishing: self, contents }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ContentId>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Gives the right to publish these contents back before the others: they are published, or will not be.
    pub(crate) fn give_back(&mut self, contents: impl IntoIterator<Item = ContentId>) {
        let mut taken = self.publishing.lock();
        for content in contents {
            if self.contents.remove(&content) {
                taken.remove(&content);
            }
        }
        drop(taken);
        self.publishing.changed.notify_all();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.contents);
        let mut taken = self.publishing.lock();
        for content in &left {
            taken.remove(content);
        }
        drop(taken);
        self.publishing.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_content_has_one_publisher_at_a_time() {
        let publishing = Publishing::default();
        let id = |byte| ContentId::from_bytes([byte; 32]);
        let (inside, worst) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (publishing, inside, worst) = (&publishing, &inside, &worst);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let _turn = publishing.turn(vec![id(1), id(number), id(1)]);
                        worst.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(worst.load(Ordering::SeqCst), 1);
        let _one = publishing.turn(vec![id(1)]);
        let _other = publishing.turn(vec![id(2)]);
    }

    #[test]
    fn what_is_given_back_others_publish_and_nothing_else() {
        let publishing = Publishing::default();
        let id = |byte| ContentId::from_bytes([byte; 32]);
        let mut bulk = publishing.turn([id(1), id(2), id(3)]);
        let other = publishing.turn([id(4)]);
        bulk.give_back([id(1), id(4)]);
        let alert = publishing.turn([id(1)]);
        assert_eq!(*publishing.lock(), HashSet::from([1, 2, 3, 4].map(id)), "what is not the bulk's stays taken");
        drop(bulk);
        assert_eq!(*publishing.lock(), HashSet::from([1, 4].map(id)), "what was given back is another's now");
        drop((alert, other));
        assert!(publishing.lock().is_empty());
    }
}

//! In which order callers hear what came of commits that were written together.

use super::*;

#[test]
fn of_commits_in_one_group_the_smallest_is_answered_first() {
    let temporary = Temporary::new(lazy());
    let store = temporary.store();
    let jobs = Queue::new(3);
    let answered = [(0..40, 0), (100..101, 1), (200..208, 2)].map(|(numbers, salt)| {
        let batch = push(indicators(numbers.start, numbers.end), salt);
        let (batch, _) = prepare::prepare(&store.shared, &store.packer, batch, time(salt)).unwrap();
        let (waits, answered) = Waits::new();
        assert!(jobs.push(Job { batch, waits }).is_ok());
        answered
    });
    jobs.close();
    let ((flusher, waiting), (merger, _woken)) = (sync_channel(1), sync_channel(1));
    Committer { shared: Arc::clone(&store.shared), flusher }.run(&jobs);
    Flusher { shared: Arc::clone(&store.shared), merger }.run(&waiting);

    let [large, smallest, small] = answered.map(|answered| move || answered.try_recv().ok());
    let first = smallest();
    assert!(first.is_some(), "the smallest waits for others");
    assert!(small().is_none() && large().is_none(), "who is answered first wakes the others");
    assert_eq!(first.unwrap().pass_on().unwrap()[0].seq, 2);
    for (answer, seq) in [(large(), 1), (small(), 3)] {
        assert_eq!(answer.unwrap().pass_on().unwrap()[0].seq, seq);
    }
}

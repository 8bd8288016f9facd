//! On which thread work runs that blocks: the short steps of an alert where it is, bulk on threads of lower priority.
//!
//! A hop to another thread and back takes longer than most steps of an alert, and where bulk keeps the processor busy,
//! each hop waits for it. A thread of lower priority gets less of a processor that others want too; since the scheduler
//! leaves it its slice all the same, bulk also stands back (`alerts.rs`).

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

/// How much nicer than the daemon the threads are that give way: beside a busy thread of usual priority they get a tenth of
/// a processor, and of an idle one all.
const NICENESS: i32 = 10;

/// The threads of bulk. Nothing but what blocks runs on them.
pub(crate) fn bulk() -> io::Result<Runtime> {
    Builder::new_current_thread().thread_name("bulk").on_thread_start(give_way).build()
}

/// Gives this thread a lower priority, for good: nobody but root may raise it again.
#[cfg(target_os = "linux")]
pub(crate) fn give_way() {
    // By POSIX this is of the process, on Linux of the calling thread.
    let lowered = rustix::process::getpriority_process(None)
        .and_then(|niceness| rustix::process::setpriority_process(None, niceness + NICENESS));
    if let Err(error) = lowered {
        tracing::debug!(%error, "a thread of bulk runs at the priority of everything else");
    }
}

/// Elsewhere there is no priority of a thread that is safe to set.
#[cfg(not(target_os = "linux"))]
pub(crate) fn give_way() {}

/// Runs something short that blocks on this very thread, while another takes over what else this one had to do; `None`
/// if it panicked, which has been told then.
pub(crate) fn at_once<T>(work: impl FnOnce() -> T) -> Option<T> {
    let work = || catch_unwind(AssertUnwindSafe(work)).ok();
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        // Tests, whose one thread nobody could take over from.
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_runs_at_once_runs_here_and_holds_up_no_other_task() {
        let here = std::thread::current().id();
        let (told, heard) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            let other = tokio::spawn(async move { told.send(()) });
            // With one thread for all tasks, the other one has none until this one gives its own away.
            assert_eq!(at_once(|| heard.recv().is_ok()), Some(true));
            other.await
        })
        .await
        .unwrap()
        .unwrap()
        .unwrap();
        assert_eq!(at_once(|| std::thread::current().id()), Some(here));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_goes_no_further() {
        assert_eq!(
            at_once(|| if Handle::try_current().is_ok() {
                panic!("of the test")
            }),
            None
        );
        assert_eq!(at_once(|| 7), Some(7));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn bulk_gives_way_and_nobody_else() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let (here, runtime) = (niceness(), bulk().unwrap());
        let there = runtime.block_on(runtime.handle().spawn_blocking(niceness)).unwrap();
        assert_eq!(there, (here + NICENESS).min(19));
        assert_eq!(niceness(), here);
    }
}

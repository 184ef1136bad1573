//! What calls that are over leave behind on the stack of a thread: the allocator wipes what is freed on the heap, and nobody
//! wipes a stack. Ciphers and hashes keep blocks of what they work on there. It must never run in the middle of something
//! that is fast for a reason: it is for when a thread has nothing to do.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hint::black_box;

/// So deep calls go, below those who wipe: what was measured is less than half of it. Code that is not optimised has frames
/// several times as large.
const DEPTH_BYTES: usize = if cfg!(debug_assertions) { 384 << 10 } else { 96 << 10 };

thread_local! {
    /// Whether this thread had a secret in its hands since its stack was wiped.
    static TOUCHED: Cell<bool> = const { Cell::new(false) };
}

/// A secret was made or looked at by this thread.
pub(super) fn touch() {
    // A thread that is ending has none any more, and its stack is given back to the system.
    let _ = TOUCHED.try_with(|touched| touched.set(true));
}

/// Overwrites what calls that are over left below the caller's frame. It costs some microseconds.
pub fn wipe_stack() {
    let _ = TOUCHED.try_with(|touched| touched.set(false));
    overwrite();
}

/// The same, if this thread had a secret in its hands since it was done last, and nothing otherwise.
pub fn wipe_touched_stack() {
    if TOUCHED.try_with(Cell::get).unwrap_or(false) {
        wipe_stack();
    }
}

/// A frame of its own, as large as that.
#[inline(never)]
fn overwrite() {
    let mut dead = [0_u8; DEPTH_BYTES];
    black_box(&mut dead);
}

/// The same future, with the stack wiped whenever it waits: for a thread that is not one of the runtime's.
pub async fn wiping<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        wipe_touched_stack();
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn is_touched() -> bool {
        TOUCHED.with(Cell::get)
    }

    #[test]
    fn whoever_has_a_secret_in_hand_is_known_until_the_stack_is_wiped() {
        wipe_touched_stack();
        assert!(!is_touched());
        let secret = Secret::new("s");
        assert!(is_touched(), "it was made here");
        wipe_touched_stack();
        assert!(!is_touched());
        let _ = secret.expose();
        assert!(is_touched(), "it was looked at here");
        std::thread::spawn(|| assert!(!is_touched(), "another thread")).join().unwrap();
    }

    #[test]
    fn a_future_is_wiped_after_whenever_it_waits() {
        let mut polls = 0;
        let future = poll_fn(|context| {
            assert!(!is_touched(), "wiped before poll {polls}");
            let _ = Secret::new("s");
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 3 { std::task::Poll::Ready("done") } else { std::task::Poll::Pending }
        });
        wipe_touched_stack();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(wiping(future)), "done");
        assert!(!is_touched());
    }
}

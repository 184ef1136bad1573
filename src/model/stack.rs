//! What calls that are over leave behind on the stack of a thread: the allocator wipes what is freed on the heap, and nobody
//! wipes a stack. Ciphers and hashes keep blocks of what they work on there. It must never run in the middle of something
//! that is fast for a reason: it is for when a thread has nothing to do.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hint::black_box;

/// Below the deepest place where a secret was in somebody's hands, so far is wiped, too: ciphers and hashes work there. (How deep
/// that place is differs: code that is not optimised moves futures through its frames whole, and comes to 1.7 MiB.)
const MARGIN_BYTES: usize = 64 << 10;

/// So much is wiped by one call of many.
const FRAME_BYTES: usize = 16 << 10;

thread_local! {
    /// Where the stack of this thread ended at its deepest while it had a secret in its hands, since it was wiped. Stacks grow
    /// downwards, on every machine that Locum is built for.
    static DEEPEST: Cell<usize> = const { Cell::new(UNTOUCHED) };
}

const UNTOUCHED: usize = usize::MAX;

/// Where the stack ends now.
#[inline(always)]
fn here() -> usize {
    let place = 0_u8;
    std::ptr::from_ref(black_box(&place)).addr()
}

/// A secret was made or looked at by this thread.
pub(super) fn touch() {
    // A thread that is ending has none any more, and its stack is given back to the system.
    let _ = DEEPEST.try_with(|deepest| deepest.set(deepest.get().min(here())));
}

/// Overwrites what calls that are over left below the caller's frame. It costs some microseconds.
pub fn wipe_stack() {
    let deepest = DEEPEST.try_with(|deepest| deepest.replace(UNTOUCHED)).unwrap_or(UNTOUCHED);
    // As deep as this the stack was before, so it has the room; the margin is a thirtieth of it.
    overwrite(here().saturating_sub(deepest) + MARGIN_BYTES);
}

/// The same, if this thread had a secret in its hands since it was done last, and nothing otherwise.
pub fn wipe_touched_stack() {
    if DEEPEST.try_with(Cell::get).unwrap_or(UNTOUCHED) != UNTOUCHED {
        wipe_stack();
    }
}

/// So many bytes, in frames of its own.
#[inline(never)]
fn overwrite(left: usize) {
    let mut dead = [0_u8; FRAME_BYTES];
    black_box(&mut dead);
    if left > FRAME_BYTES {
        overwrite(left - FRAME_BYTES);
    }
    black_box(&mut dead); // else the last call could take this frame over
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
        DEEPEST.with(Cell::get) != UNTOUCHED
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

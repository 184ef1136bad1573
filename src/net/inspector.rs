//! Who looks at what a relay carries. It must never know which protocol that is: what is looked for is the caller's.

use std::task::{Context, Poll};

use super::Side;

/// Looks at all that a relay carries, and says what goes on and when. What it was given and does not give on is lost.
pub trait Inspector {
    /// Whether it looks at anything: where it does not, bytes are copied without it.
    const LOOKS: bool = true;

    /// Takes what a side sent.
    fn take(&mut self, from: Side, bytes: &[u8]);

    /// Told of what a side sent where nobody looks: it goes on all the same.
    fn passes(&mut self, _from: Side, _bytes: &[u8]) {}

    /// That side will send no more.
    fn ended(&mut self, from: Side);

    /// Whether it has room for more from that side.
    fn has_room(&self, from: Side) -> bool;

    /// What goes to that side now; empty for nothing.
    fn give(&mut self, to: Side) -> Vec<u8>;

    /// Asked once the other side has ended and nothing is given: whether nothing more will ever go to that side.
    fn is_done(&self, to: Side) -> bool;

    /// Lets time pass. Ready, with the reason, once the relay has to end; what is still given for the client then are the
    /// last words.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str>;
}

/// Nobody looks.
#[derive(Debug)]
pub(super) struct Unwatched;

impl Inspector for Unwatched {
    const LOOKS: bool = false;

    fn take(&mut self, _: Side, _: &[u8]) {}

    fn ended(&mut self, _: Side) {}

    fn has_room(&self, _: Side) -> bool {
        true
    }

    fn give(&mut self, _: Side) -> Vec<u8> {
        Vec::new()
    }

    fn is_done(&self, _: Side) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<&'static str> {
        Poll::Pending
    }
}

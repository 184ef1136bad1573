//! Turns at the costly part of a TLS handshake. The signature is a millisecond of a core; without turns a thousand strangers
//! that begin at once would stand in the way of every byte that is relayed. It must never keep one address waiting for all
//! that another one has begun: addresses take turns, too.
//!
//! Whoever waits has a place ([`Capacity`](super::capacity::Capacity)) and a deadline, so that is the bound of the line.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::model::network;

/// The turns of a process.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    lines: HashMap<IpAddr, VecDeque<oneshot::Sender<Turn>>>,
    /// The addresses that have a line, in their order.
    order: VecDeque<IpAddr>,
}

/// Somebody's turn; dropped, it is the next one's.
#[derive(Debug)]
struct Turn {
    turns: Turns,
    is_over: bool,
}

impl Turns {
    /// As many at once as half the threads: the others go on relaying.
    pub(super) fn new() -> Self {
        let threads = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        Self::of((threads / 2).max(1))
    }

    fn of(free: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free, lines: HashMap::new(), order: VecDeque::new() })))
    }

    /// Does that, and computes only in turns with others. Waiting for the peer takes none.
    pub(super) async fn take<T>(&self, peer: IpAddr, handshake: impl Future<Output = T>) -> T {
        let mut handshake = pin!(handshake);
        let network = network(peer);
        loop {
            let turn = self.turn(network).await;
            let polled = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
            drop(turn);
            if let Poll::Ready(done) = polled {
                return done;
            }
            // Until the handshake wakes us: it holds the waker of this task.
            let mut is_woken = false;
            poll_fn(|_| if std::mem::replace(&mut is_woken, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }

    async fn turn(&self, network: IpAddr) -> Turn {
        loop {
            let waiting = {
                let mut state = self.state();
                if state.free > 0 {
                    state.free -= 1;
                    return Turn::at(self);
                }
                let (sender, waiting) = oneshot::channel();
                let State { lines, order, .. } = &mut *state;
                let line = lines.entry(network).or_insert_with(|| {
                    order.push_back(network);
                    VecDeque::new()
                });
                line.push_back(sender);
                waiting
            };
            if let Ok(turn) = waiting.await {
                return turn;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl State {
    /// The next one in line, the addresses by turns.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let network = self.order.pop_front()?;
        let line = self.lines.get_mut(&network)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&network);
        } else {
            self.order.push_back(network);
        }
        next
    }
}

impl Turn {
    fn at(turns: &Turns) -> Self {
        Self { turns: turns.clone(), is_over: false }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        loop {
            let next = {
                let mut state = self.turns.state();
                let next = state.next();
                state.free += usize::from(next.is_none());
                next
            };
            let Some(next) = next else { return };
            match next.send(Self::at(&self.turns)) {
                Ok(()) => return,
                // It has given up; the next one, and not by its drop, which would go as deep as there are such.
                Err(mut unused) => unused.is_over = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Takes a turn and tells who had it.
    async fn note(turns: Turns, last: u8, seen: Arc<Mutex<Vec<u8>>>) {
        turns.take(address(last), async { seen.lock().unwrap().push(last) }).await;
    }

    #[tokio::test]
    async fn addresses_take_turns_however_many_one_has_begun() {
        let (turns, seen) = (Turns::of(1), Arc::<Mutex<Vec<u8>>>::default());
        let first = turns.turn(address(9)).await;
        let waiting: Vec<_> =
            [1, 1, 1, 2, 3, 1].map(|last| tokio::spawn(note(turns.clone(), last, Arc::clone(&seen)))).into();
        tokio::task::yield_now().await;
        drop(first);
        futures_util::future::join_all(waiting).await;
        assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 1, 1, 1]);
        let state = turns.state();
        assert!(state.free == 1 && state.lines.is_empty() && state.order.is_empty(), "{state:?}");
    }

    #[tokio::test]
    async fn who_gave_up_loses_no_turn_of_others() {
        let turns = Turns::of(1);
        let first = turns.turn(address(9)).await;
        for _ in 0..10_000 {
            let gave_up = timeout(Duration::ZERO, turns.turn(address(1))).await;
            assert!(gave_up.is_err());
        }
        let next = tokio::spawn({
            let turns = turns.clone();
            async move { drop(turns.turn(address(2)).await) }
        });
        tokio::task::yield_now().await;
        drop(first);
        next.await.unwrap();
        assert_eq!(turns.state().free, 1);
    }

    #[tokio::test]
    async fn who_waits_for_its_peer_takes_no_turn() {
        let (turns, polls) = (Turns::of(1), AtomicUsize::new(0));
        let (peer, words) = oneshot::channel::<()>();
        let mut words = pin!(words);
        let silent = poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            words.as_mut().poll(cx)
        });
        let silent = turns.take(address(1), silent);
        let others = async {
            for _ in 0..100 {
                turns.take(address(2), async {}).await;
            }
            peer.send(()).unwrap();
        };
        let (answered, ()) = tokio::join!(silent, others);
        assert!(answered.is_ok());
        assert!(polls.load(Ordering::Relaxed) < 10);
    }
}

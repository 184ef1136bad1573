//! A gate before each mailbox: no more sessions at once than its provider bears. Who comes later waits at the gate, and
//! not with a 432 from the provider.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::{Protocol, normalise};

/// Upstream, name there, protocol: providers count by mailbox, and two accounts may be one.
type Key = (String, String, Protocol);

/// The gates of all mailboxes that have a session or a waiter.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: Arc<DashMap<Key, Arc<Semaphore>>>,
}

/// A place within a gate.
#[derive(Debug)]
pub struct Place {
    // Option only so that `drop` can give it back before it looks whether the gate is empty.
    permit: Option<OwnedSemaphorePermit>,
    key: Key,
    gates: Arc<DashMap<Key, Arc<Semaphore>>>,
}

impl Gates {
    /// Waits for a place, first come first served.
    pub(super) async fn enter(&self, upstream: &str, identity: &str, protocol: Protocol, places: usize) -> Place {
        let key = (upstream.to_owned(), normalise(identity), protocol);
        let gate = Arc::clone(&*self.gates.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(places))));
        let mut place = Place { permit: None, key, gates: Arc::clone(&self.gates) };
        place.permit = Some(gate.acquire_owned().await.expect("no gate is ever closed"));
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit = None;
        // Holders and waiters each hold the gate; one that only the map holds serves nobody.
        self.gates.remove_if(&self.key, |_, gate| Arc::strong_count(gate) == 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_too_many_waits_for_a_place() {
        let gates = Gates::default();
        let first = gates.enter("lab", "a@x.test", Protocol::Submission, 1).await;
        let waiting = gates.enter("lab", "A@x.test", Protocol::Submission, 1);
        assert!(timeout(Duration::from_secs(60), waiting).await.is_err());
        let _other = gates.enter("lab", "a@x.test", Protocol::Imap, 1).await;
        drop(first);
        gates.enter("lab", "a@x.test", Protocol::Submission, 1).await;
    }

    #[tokio::test]
    async fn an_empty_gate_is_forgotten() {
        let gates = Gates::default();
        let places =
            [gates.enter("lab", "a", Protocol::Imap, 2).await, gates.enter("lab", "a", Protocol::Imap, 2).await];
        assert_eq!(gates.gates.len(), 1);
        drop(places);
        assert!(gates.gates.is_empty());
    }
}

//! Gates that a login passes: of its class of quota, and of its mailbox, before which there are no more sessions at once than
//! its provider bears. Who comes later waits at the gate, and not with a 432 from the provider.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::{Protocol, normalise};

/// What a gate stands before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// All sessions of that class.
    Class(String),
    /// Upstream, name there, protocol: providers count by mailbox, and two accounts may be one. With a class: what is there
    /// for its sessions alone.
    Mailbox { class: Option<String>, upstream: String, identity: String, protocol: Protocol },
}

/// The gates of all classes and mailboxes that have a session or a waiter.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: Arc<DashMap<Key, Arc<Gate>>>,
    waiting: AtomicUsize,
}

/// One gate. How many places it has may change while some are taken.
#[derive(Debug)]
struct Gate {
    places: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    places: usize,
    /// Places that are taken and are none any more: they go when they are given back.
    surplus: usize,
}

/// One that waits, counted until dropped.
struct Waiting<'a>(&'a AtomicUsize);

/// A mailbox, as its provider counts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mailbox<'a> {
    pub(super) upstream: &'a str,
    pub(super) identity: &'a str,
    pub(super) protocol: Protocol,
}

/// A place within a gate.
#[derive(Debug)]
pub(super) struct Place {
    // Option only so that `drop` can give it back before it looks whether the gate is empty.
    permit: Option<OwnedSemaphorePermit>,
    // The same: who holds the place holds the gate.
    gate: Option<Arc<Gate>>,
    key: Key,
    gates: Arc<DashMap<Key, Arc<Gate>>>,
}

impl Gates {
    /// Waits for a place at a mailbox, first come first served.
    pub(super) async fn enter(&self, mailbox: Mailbox<'_>, places: usize) -> Place {
        self.pass(mailbox.key(None), places).await
    }

    /// Waits for a place among those that a mailbox has for a class.
    pub(super) async fn enter_as(&self, class: &str, mailbox: Mailbox<'_>, places: usize) -> Place {
        self.pass(mailbox.key(Some(class)), places).await
    }

    /// Waits for a place in a class.
    pub(super) async fn enter_class(&self, class: &str, places: usize) -> Place {
        self.pass(Key::Class(class.to_owned()), places).await
    }

    /// How many wait now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn pass(&self, key: Key, places: usize) -> Place {
        let gate = Arc::clone(&*self.gates.entry(key.clone()).or_insert_with(|| Arc::new(Gate::new(places))));
        gate.resize(places);
        let free = Arc::clone(&gate.places);
        let mut place = Place { permit: None, gate: Some(gate), key, gates: Arc::clone(&self.gates) };
        if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            place.permit = Some(permit);
            return place;
        }
        let _waiting = Waiting::begin(&self.waiting);
        place.permit = Some(free.acquire_owned().await.expect("no gate is ever closed"));
        place
    }
}

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), size: Mutex::new(Size { places, surplus: 0 }) }
    }

    /// Gives it so many places, as the configuration has it by now.
    fn resize(&self, places: usize) {
        let mut size = self.size.lock().expect("nothing panics while it holds this lock");
        if places > size.places {
            let more = places - size.places;
            let kept = more.min(size.surplus);
            size.surplus -= kept;
            self.places.add_permits(more - kept);
        } else {
            let fewer = size.places - places;
            size.surplus += fewer - self.places.forget_permits(fewer);
        }
        size.places = places;
    }

    fn give_back(&self, permit: OwnedSemaphorePermit) {
        let mut size = self.size.lock().expect("nothing panics while it holds this lock");
        if size.surplus > 0 {
            size.surplus -= 1;
            permit.forget();
        }
    }
}

impl Mailbox<'_> {
    fn key(self, class: Option<&str>) -> Key {
        let (class, upstream) = (class.map(str::to_owned), self.upstream.to_owned());
        Key::Mailbox { class, upstream, identity: normalise(self.identity), protocol: self.protocol }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(gate), Some(permit)) = (&self.gate, self.permit.take()) {
            gate.give_back(permit);
        }
        self.gate = None;
        // Holders and waiters each hold the gate; one that only the map holds serves nobody.
        self.gates.remove_if(&self.key, |_, gate| Arc::strong_count(gate) == 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn mailbox(identity: &str, protocol: Protocol) -> Mailbox<'_> {
        Mailbox { upstream: "lab", identity, protocol }
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_waits_for_a_place() {
        let gates = Gates::default();
        let first = gates.enter(mailbox("a@x.test", Protocol::Submission), 1).await;
        let waiting = gates.enter(mailbox("A@x.test", Protocol::Submission), 1);
        let looking = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            gates.waiting()
        };
        let (waited, seen) = tokio::join!(timeout(Duration::from_secs(60), waiting), looking);
        assert!(waited.is_err());
        assert_eq!((seen, gates.waiting()), (1, 0));
        let _other = gates.enter(mailbox("a@x.test", Protocol::Imap), 1).await;
        drop(first);
        gates.enter(mailbox("a@x.test", Protocol::Submission), 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_places_of_a_class_are_its_own() {
        let gates = Gates::default();
        let box_a = mailbox("a", Protocol::Imap);
        let _here = gates.enter_as("migration", box_a, 1).await;
        assert!(timeout(Duration::from_secs(60), gates.enter_as("migration", box_a, 1)).await.is_err());
        let _others = (gates.enter_as("backup", box_a, 1).await, gates.enter(box_a, 1).await);
        let _class = gates.enter_class("migration", 1).await;
        assert!(timeout(Duration::from_secs(60), gates.enter_class("migration", 1)).await.is_err());
        gates.enter_class("backup", 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_grows_and_shrinks_while_places_are_taken() {
        let (gates, one) = (Gates::default(), mailbox("a", Protocol::Imap));
        let late = async |places| timeout(Duration::from_secs(60), gates.enter(one, places)).await.is_err();
        let (first, second) = (gates.enter(one, 2).await, gates.enter(one, 2).await);
        let third = gates.enter(one, 3).await;
        assert!(late(1).await);
        drop((first, second));
        assert!(late(1).await, "the third still has the only place");
        drop(third);
        let only = gates.enter(one, 1).await;
        assert!(late(1).await);
        let more = gates.enter(one, 2).await;
        drop((only, more));
        assert!(gates.gates.is_empty());
    }

    #[tokio::test]
    async fn an_empty_gate_is_forgotten() {
        let gates = Gates::default();
        let one = mailbox("a", Protocol::Imap);
        let places = [gates.enter(one, 2).await, gates.enter(one, 2).await, gates.enter_class("a", 1).await];
        assert_eq!(gates.gates.len(), 2);
        assert!(timeout(Duration::ZERO, gates.enter(one, 2)).await.is_err(), "and who gave up waiting holds none");
        drop(places);
        assert!(gates.gates.is_empty());
    }
}

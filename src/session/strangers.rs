//! Counts the sessions of each address that have not logged in yet: one address must not take the places of all others
//! by merely connecting.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::model::network;

/// The sessions that have not logged in, by address.
#[derive(Debug)]
pub(super) struct Strangers {
    max: AtomicUsize,
    counts: Arc<DashMap<IpAddr, usize>>,
}

/// One session's part of its address's count, given back when dropped: at login, or at the end.
#[derive(Debug)]
pub(super) struct Stranger {
    network: IpAddr,
    counts: Arc<DashMap<IpAddr, usize>>,
}

impl Strangers {
    /// Of one address no more than `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { max: max.into(), counts: Arc::default() }
    }

    /// No more than so many from now on. Those that are there stay.
    pub(super) fn change(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Counts a session in; `None` if its address has as many as it may.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<Stranger> {
        let network = network(peer);
        let mut count = self.counts.entry(network).or_insert(0);
        if *count >= self.max.load(Ordering::Relaxed) {
            return None;
        }
        *count += 1;
        Some(Stranger { network, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if let Some(mut count) = self.counts.get_mut(&self.network) {
            *count -= 1;
        }
        self.counts.remove_if(&self.network, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let strangers = Strangers::new(2);
        let [one, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let first = strangers.admit(one).unwrap();
        let _second = strangers.admit(one).unwrap();
        assert!(strangers.admit(one).is_none());
        assert!(strangers.admit(other).is_some());
        drop(first);
        assert!(strangers.admit(one).is_some());
    }

    #[test]
    fn an_address_that_is_gone_is_forgotten() {
        let strangers = Strangers::new(2);
        drop(strangers.admit("2001:db8::1".parse().unwrap()));
        assert!(strangers.counts.is_empty());
    }
}

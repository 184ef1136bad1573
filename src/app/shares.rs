//! How many connections of one address are answered at once at the admin listener, so that one that keeps silent in all of them
//! leaves places for others. It must never hold a place for longer than its connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::model::network;

/// Connections of one address: a quarter of all there are ([`CONNECTIONS_MAX`](crate::admin::CONNECTIONS_MAX)). A browser
/// makes six.
const SHARE: usize = 16;

/// The connections that are open, by address. There are no more of them than there are permits.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place; dropped, it is free.
#[derive(Debug)]
pub(super) struct Share {
    shares: Shares,
    /// `None`: it is not counted.
    network: Option<IpAddr>,
}

impl Shares {
    /// A place for a connection from there; `None` if that address has all it may have. What comes from this machine has
    /// no bound of its own: a proxy there speaks for many.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Share> {
        let peer = peer.to_canonical();
        if peer.is_loopback() {
            return Some(Share { shares: self.clone(), network: None });
        }
        let network = network(peer);
        let mut open = self.open();
        let count = open.entry(network).or_default();
        if *count >= SHARE {
            return None;
        }
        *count += 1;
        Some(Share { shares: self.clone(), network: Some(network) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut open = self.shares.open();
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others() {
        let shares = Shares::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut taken: Vec<Share> = (0..SHARE).map(|_| shares.take(one).unwrap()).collect();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(shares.take(one).is_none() && shares.take(mapped).is_none());
        assert!(shares.take(other).is_some());
        taken.pop();
        assert!(shares.take(one).is_some());
        drop(taken);
        assert!(shares.open().is_empty(), "nothing stays behind");
    }

    #[test]
    fn a_network_of_one_customer_is_one_address_and_this_machine_has_no_bound() {
        let shares = Shares::default();
        let address = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let taken: Vec<_> = (0..SHARE as u16).map(|last| shares.take(address(last)).unwrap()).collect();
        assert!(shares.take(address(99)).is_none());
        let here: Vec<_> = (0..2 * SHARE).map(|_| shares.take(IpAddr::from([127, 0, 0, 1])).unwrap()).collect();
        drop((taken, here));
    }
}

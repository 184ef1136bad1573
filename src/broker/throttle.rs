//! Bears with failed logins up to a point. Counts failures only, by address and login together and by address alone;
//! never by login alone, or a stranger could lock a principal out.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use super::Options;
use crate::model::{network, normalise};

/// Counters held at most: a flood of addresses costs bounded memory.
const COUNTERS_MAX: usize = 100_000;

/// Counts failed logins.
#[derive(Debug)]
pub(super) struct Throttle {
    options: ArcSwap<Options>,
    failures: DashMap<Key, Failures>,
    // Keyed by chance per process: a client cannot choose a login that collides with another's.
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Login(IpAddr, u64),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    since: Instant,
    /// Whether it was said already that no more are looked at.
    said: bool,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is looked at.
    Look,
    /// It is not. Only the first in a window is worth a line: a stranger must not fill the disk.
    HoldBack {
        /// Whether this is the first.
        first: bool,
    },
}

impl Throttle {
    pub(super) fn new(options: Options) -> Self {
        Self { options: ArcSwap::from_pointee(options), failures: DashMap::new(), hasher: RandomState::new() }
    }

    /// Bears with so much from now on. What was counted counts.
    pub(super) fn change(&self, options: Options) {
        self.options.store(Arc::new(options));
    }

    /// Whether an attempt is looked at.
    pub(super) fn admit(&self, peer: IpAddr, login: &[u8], now: Instant) -> Admission {
        let [address, pair] = self.keys(peer, login);
        let options = self.options.load();
        let over = [(address, options.failures_per_address_max), (pair, options.failures_per_login_max)]
            .into_iter()
            .find(|&(key, limit)| self.count(key, now) >= limit);
        match over {
            None => Admission::Look,
            Some((key, _)) => {
                let said = self.failures.get_mut(&key).map(|mut failures| std::mem::replace(&mut failures.said, true));
                Admission::HoldBack { first: said != Some(true) }
            }
        }
    }

    /// How many addresses, and logins from one, are held back now.
    pub(super) fn held_back(&self, now: Instant) -> usize {
        let options = self.options.load();
        let is_over = |key: Key| {
            let max = match key {
                Key::Address(_) => options.failures_per_address_max,
                Key::Login(..) => options.failures_per_login_max,
            };
            move |failures: Failures| failures.count >= max
        };
        let window = options.failure_window;
        let lasting = self.failures.iter().filter(|it| now.saturating_duration_since(it.since) < window);
        lasting.filter(|it| is_over(*it.key())(**it)).count()
    }

    /// Notes a failure.
    pub(super) fn failed(&self, peer: IpAddr, login: &[u8], now: Instant) {
        if self.failures.len() >= COUNTERS_MAX {
            let window = self.options.load().failure_window;
            self.failures.retain(|_, failures| now.duration_since(failures.since) < window);
            if self.failures.len() >= COUNTERS_MAX {
                self.failures.clear(); // a flood within one window: start anew rather than grow
            }
        }
        for key in self.keys(peer, login) {
            let mut failures = self.failures.entry(key).or_insert(Failures::since(now));
            if now.duration_since(failures.since) >= self.options.load().failure_window {
                *failures = Failures::since(now);
            }
            failures.count = failures.count.saturating_add(1);
        }
    }

    fn count(&self, key: Key, now: Instant) -> u32 {
        match self.failures.get(&key) {
            Some(failures) if now.duration_since(failures.since) < self.options.load().failure_window => failures.count,
            _ => 0,
        }
    }

    fn keys(&self, peer: IpAddr, login: &[u8]) -> [Key; 2] {
        let network = network(peer);
        // As records are looked up by: with a blank more it is the same login, not another one with as many tries.
        let login = normalise(&String::from_utf8_lossy(login));
        [Key::Address(network), Key::Login(network, self.hasher.hash_one(login))]
    }
}

impl Failures {
    fn since(now: Instant) -> Self {
        Self { count: 0, since: now, said: false }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use super::*;

    fn throttle() -> Throttle {
        let failure_window = Duration::from_secs(60);
        Throttle::new(Options { failures_per_login_max: 2, failures_per_address_max: 3, failure_window })
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn one_login_is_held_back_and_others_are_not() {
        let (throttle, now) = (throttle(), Instant::now());
        for _ in 0..2 {
            assert_eq!(throttle.admit(PEER, b"a", now), Admission::Look);
            throttle.failed(PEER, b"A", now);
        }
        assert_eq!(throttle.admit(PEER, b"a", now), Admission::HoldBack { first: true });
        assert_eq!(throttle.admit(PEER, b"a", now), Admission::HoldBack { first: false });
        assert_eq!(throttle.admit(PEER, b"b", now), Admission::Look);
        assert_eq!(throttle.admit([192, 0, 2, 2].into(), b"a", now), Admission::Look, "the same login from elsewhere");
    }

    #[test]
    fn another_spelling_is_no_other_login() {
        let (throttle, now) = (throttle(), Instant::now());
        throttle.failed(PEER, "b\u{fc}ro".as_bytes(), now);
        throttle.failed(PEER, " B\u{dc}RO ".as_bytes(), now);
        for spelling in ["b\u{fc}ro", "B\u{fc}ro\u{a0}", "  b\u{dc}ro"] {
            assert_ne!(throttle.admit(PEER, spelling.as_bytes(), now), Admission::Look, "{spelling:?}");
        }
    }

    #[test]
    fn many_logins_from_one_address_are_held_back() {
        let (throttle, now) = (throttle(), Instant::now());
        for login in [b"a", b"b", b"c"] {
            throttle.failed(PEER, login, now);
        }
        assert_eq!(throttle.admit(PEER, b"d", now), Admission::HoldBack { first: true });
    }

    #[test]
    fn failures_are_forgotten() {
        let (throttle, now) = (throttle(), Instant::now());
        throttle.failed(PEER, b"a", now);
        throttle.failed(PEER, b"a", now);
        assert_eq!(throttle.admit(PEER, b"a", now + Duration::from_secs(60)), Admission::Look);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let (throttle, now) = (throttle(), Instant::now());
        for host in 1..=3u16 {
            throttle.failed(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into(), b"a", now);
        }
        assert_eq!(throttle.admit("2001:db8:0:1::99".parse().unwrap(), b"z", now), Admission::HoldBack { first: true });
        assert_eq!(throttle.admit("2001:db8:0:2::99".parse().unwrap(), b"z", now), Admission::Look);
    }
}

//! Failed sign-ins. A token cannot be guessed; what is bounded is the work, the lines in the audit and the reads of the
//! store that somebody without one can cause. It must never keep out who has signed in of late from the same address: behind
//! a proxy all have one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ring::hmac;
use ring::rand::SystemRandom;

use crate::model::{Secret, network};

/// The time in which failures are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Failures of one address: more than anybody who pastes the wrong token makes.
const ADDRESS_MAX: u32 = 10;

/// Failures in all: five reads of the store a second, and as many lines in the audit.
const ALL_MAX: u32 = 300;

/// Addresses that are counted: a flood of them costs bounded memory, and runs into [`ALL_MAX`] long before.
const ADDRESSES_MAX: usize = 1_000;

/// Tokens that were good of late: more than there are operators who work at once.
const KNOWN_MAX: usize = 1_000;

/// How long a token is known to have been good.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// Counts failures, and knows whom not to keep out.
#[derive(Debug)]
pub(super) struct Failures {
    /// By chance, for each process, so that the memory of one tells nobody a token. `None` where there is no randomness:
    /// then none is known.
    key: Option<hmac::Key>,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    by_address: HashMap<IpAddr, Window>,
    all: Option<Window>,
    known: HashMap<[u8; 32], Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    count: u32,
}

impl Default for Failures {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self { key, counted: Mutex::default() }
    }
}

impl Failures {
    /// Whether a token from that address is looked at.
    ///
    /// # Errors
    /// In how long one will be.
    pub(super) fn admit(&self, peer: IpAddr, token: &Secret, now: Instant) -> Result<(), Duration> {
        let tag = self.tag(token);
        let counted = self.counted.lock().expect("no holder of this lock panics");
        let left = |window: &Window, max: u32| {
            let left = WINDOW.saturating_sub(now.saturating_duration_since(window.since));
            (window.count >= max && !left.is_zero()).then_some(left)
        };
        let by_address = counted.by_address.get(&network(peer)).and_then(|window| left(window, ADDRESS_MAX));
        let Some(left) = by_address.or_else(|| counted.all.as_ref().and_then(|window| left(window, ALL_MAX))) else {
            return Ok(());
        };
        let since = tag.and_then(|tag| counted.known.get(&tag));
        let is_known = since.is_some_and(|since| now.saturating_duration_since(*since) < KNOWN_FOR);
        if is_known { Ok(()) } else { Err(left) }
    }

    /// Notes a failure from there.
    pub(super) fn failed(&self, peer: IpAddr, now: Instant) {
        let mut counted = self.counted.lock().expect("no holder of this lock panics");
        let Counted { by_address, all, .. } = &mut *counted;
        if by_address.len() >= ADDRESSES_MAX {
            by_address.retain(|_, window| now.saturating_duration_since(window.since) < WINDOW);
            if by_address.len() >= ADDRESSES_MAX {
                by_address.clear(); // within one window: the count of all holds them back
            }
        }
        let fresh = Window { since: now, count: 0 };
        for window in [by_address.entry(network(peer)).or_insert(fresh), all.get_or_insert(fresh)] {
            if now.saturating_duration_since(window.since) >= WINDOW {
                *window = fresh;
            }
            window.count = window.count.saturating_add(1);
        }
    }

    /// Notes that a token is good.
    pub(super) fn proven(&self, token: &Secret, now: Instant) {
        let Some(tag) = self.tag(token) else { return };
        let mut counted = self.counted.lock().expect("no holder of this lock panics");
        if counted.known.len() >= KNOWN_MAX {
            counted.known.clear(); // each is known again at the next sign-in that is looked at
        }
        counted.known.insert(tag, now);
    }

    /// Notes that a token is good for nothing: one that was revoked has no more tries than others.
    pub(super) fn disproven(&self, token: &Secret) {
        let Some(tag) = self.tag(token) else { return };
        self.counted.lock().expect("no holder of this lock panics").known.remove(&tag);
    }

    fn tag(&self, token: &Secret) -> Option<[u8; 32]> {
        hmac::sign(self.key.as_ref()?, token.expose()).as_ref().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_has_so_many_tries_and_then_waits() {
        let (failures, now, token) = (Failures::default(), Instant::now(), Secret::new("x"));
        for _ in 0..ADDRESS_MAX {
            assert!(failures.admit(address(1), &token, now).is_ok());
            failures.failed(address(1), now);
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(failures.admit(address(1), &token, later), Err(Duration::from_secs(40)));
        assert!(failures.admit(address(2), &token, later).is_ok(), "another may");
        assert!(failures.admit(address(1), &token, now + WINDOW).is_ok());
    }

    #[test]
    fn many_addresses_wait_as_one_would() {
        let (failures, now, token) = (Failures::default(), Instant::now(), Secret::new("x"));
        for number in 0..ALL_MAX {
            failures.failed(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(failures.admit(address(1), &token, now).is_err());
    }

    #[test]
    fn who_signed_in_of_late_is_not_kept_out() {
        let (failures, now, good) = (Failures::default(), Instant::now(), Secret::new("good"));
        failures.proven(&good, now);
        for _ in 0..ADDRESS_MAX {
            failures.failed(address(1), now);
        }
        assert!(failures.admit(address(1), &good, now).is_ok());
        assert!(failures.admit(address(1), &Secret::new("guess"), now).is_err());
        failures.disproven(&good);
        assert!(failures.admit(address(1), &good, now).is_err(), "it was revoked");
    }

    #[test]
    fn a_flood_costs_bounded_memory() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..3 * ADDRESSES_MAX as u32 {
            failures.failed(IpAddr::from(number.to_be_bytes()), now);
            failures.proven(&Secret::new(number.to_be_bytes()), now);
        }
        let counted = failures.counted.lock().unwrap();
        assert!(counted.by_address.len() <= ADDRESSES_MAX && counted.known.len() <= KNOWN_MAX);
    }
}

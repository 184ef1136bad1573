//! What the log was told of a login, so that it is not told again at once: a device comes every minute for years. It must never
//! grow with the number of names that strangers think of.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::normalise;

/// Time before the log says the same of a login again.
const AGAIN: Duration = Duration::from_secs(60);

/// Logins that are remembered. Beyond so many in one minute the log says no more of others; the audit and the counters go on.
const TOLD_MAX: usize = 1024;

/// Of whom something was told, and when.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<String, Instant>>);

impl Told {
    /// Whether it is time to tell something of that login, which is remembered then.
    pub(super) fn is_to_be_told(&self, login: &str) -> bool {
        self.at(login, Instant::now())
    }

    fn at(&self, login: &str, now: Instant) -> bool {
        let login = normalise(login);
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |last: &Instant| now.saturating_duration_since(*last) < AGAIN;
        if told.get(&login).is_some_and(is_recent) {
            return false;
        }
        if told.len() >= TOLD_MAX {
            told.retain(|_, last| is_recent(last));
        }
        if told.len() >= TOLD_MAX {
            return false;
        }
        told.insert(login, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute_for_a_login_and_of_so_many_at_most() {
        let (told, now) = (Told::default(), Instant::now());
        assert!(told.at("a", now) && !told.at(" A", now) && told.at("b", now));
        assert!(told.at("a", now + AGAIN));
        for number in 0..TOLD_MAX {
            told.at(&number.to_string(), now + AGAIN);
        }
        assert!(!told.at("one more", now + AGAIN));
        assert!(told.at("one more", now + AGAIN * 2));
    }
}

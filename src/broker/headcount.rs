//! How many sessions each client has open on this node. It must never count one that is over: what is counted is given
//! back when the last hold on it is dropped, wherever a login failed.

use std::sync::Arc;

use dashmap::DashMap;

use crate::model::normalise;

/// The sessions of each client, by login.
#[derive(Debug, Default)]
pub(super) struct Headcount {
    counts: Arc<DashMap<String, u32>>,
}

/// One session's part of its client's count.
#[derive(Debug)]
pub struct Seat {
    login: String,
    counts: Arc<DashMap<String, u32>>,
}

impl Headcount {
    /// Counts a session in; `None` if its client has `max` already. Two that come at once do not get the same seat.
    pub(super) fn seat(&self, login: &str, max: Option<u32>) -> Option<Seat> {
        let login = normalise(login);
        let mut count = self.counts.entry(login.clone()).or_insert(0);
        if max.is_some_and(|max| *count >= max) {
            drop(count);
            // With a bound of none nobody is counted, and nothing is left behind.
            self.counts.remove_if(&login, |_, count| *count == 0);
            return None;
        }
        *count += 1;
        drop(count);
        Some(Seat { login, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(mut count) = self.counts.get_mut(&self.login) {
            *count -= 1;
        }
        self.counts.remove_if(&self.login, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_seats_and_gets_them_back() {
        let headcount = Headcount::default();
        let first = headcount.seat("Scanner", Some(2)).unwrap();
        let second = headcount.seat("scanner ", Some(2)).unwrap();
        assert!(headcount.seat("SCANNER", Some(2)).is_none());
        assert!(headcount.seat("other", Some(2)).is_some());
        drop(first);
        assert!(headcount.seat("scanner", Some(2)).is_some());
        drop(second);
        assert!(headcount.counts.is_empty());
    }

    #[test]
    fn sessions_without_a_bound_are_counted_for_the_day_on_which_there_is_one() {
        let headcount = Headcount::default();
        let _seats = [headcount.seat("a", None), headcount.seat("a", None)];
        assert!(headcount.seat("a", Some(2)).is_none());
        assert!(headcount.seat("b", Some(0)).is_none());
        assert_eq!(headcount.counts.len(), 1);
    }
}

//! Stops trying a credential that the provider has refused: providers lock accounts that are tried too often.

use dashmap::DashMap;

use crate::model::Protocol;

/// A credential version that was refused this often is not tried again; a new version starts anew.
const REFUSALS_MAX: u32 = 2;

/// Counts refusals of each credential version, by protocol: some providers scope app passwords to protocols.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    refusals: DashMap<(String, Protocol), u32>,
}

impl Breaker {
    pub(super) fn is_open(&self, credential: &str, protocol: Protocol) -> bool {
        self.refusals.get(&(credential.to_owned(), protocol)).is_some_and(|count| *count >= REFUSALS_MAX)
    }

    pub(super) fn refused(&self, credential: &str, protocol: Protocol) {
        *self.refusals.entry((credential.to_owned(), protocol)).or_insert(0) += 1;
    }

    pub(super) fn accepted(&self, credential: &str, protocol: Protocol) {
        self.refusals.remove(&(credential.to_owned(), protocol));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_tried_twice_and_a_new_one_is_not_held_for_it() {
        let breaker = Breaker::default();
        breaker.refused("v1", Protocol::Imap);
        assert!(!breaker.is_open("v1", Protocol::Imap));
        breaker.refused("v1", Protocol::Imap);
        assert!(breaker.is_open("v1", Protocol::Imap));
        assert!(!breaker.is_open("v1", Protocol::Submission));
        assert!(!breaker.is_open("v2", Protocol::Imap));
    }

    #[test]
    fn success_wipes_the_slate() {
        let breaker = Breaker::default();
        breaker.refused("v1", Protocol::Imap);
        breaker.accepted("v1", Protocol::Imap);
        breaker.refused("v1", Protocol::Imap);
        assert!(!breaker.is_open("v1", Protocol::Imap));
    }
}

//! Tells that logins use another credential than the current one, because that is refused. It must never change anything:
//! which one is current is for an operator to say, or for a rotation that is under way.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use metrics::{counter, describe_counter};
use tokio::time::Instant;

use crate::broker::Lease;
use crate::model::Slot;

/// Logins by a credential that is not the current one. Label `slot`: `next`, `previous`.
const LOGINS: &str = "locum_overlap_logins_total";

/// Time before the log says the same of a credential again: five hundred devices may be behind it.
const AGAIN: Duration = Duration::from_secs(60);

/// Credentials of which it is remembered that the log told of them. Beyond so many in one minute, something is wrong at the
/// provider that no more lines would explain; the counter and the audit go on.
const TOLD_MAX: usize = 1024;

/// What was told.
#[derive(Debug)]
pub(super) struct Overlap {
    told: Mutex<HashMap<String, Instant>>,
}

impl Overlap {
    pub(super) fn new() -> Self {
        describe_counter!(
            LOGINS,
            "Logins at a provider by a credential that is not the current one of its account, because that is refused, \
             by its place: next or previous"
        );
        Self { told: Mutex::default() }
    }

    /// A login succeeded with that lease.
    pub(super) fn entered(&self, lease: &Lease) {
        let remedy = match lease.slot() {
            Slot::Current => return,
            Slot::Next => "the provider seems to have it already: verify and promote it with `locum rotate run`",
            Slot::Previous => {
                "the current one does not work: see `locum rotate status`, then go back with `locum rotate rollback` or \
                 stage another one, before the grace of this one is over"
            }
        };
        counter!(LOGINS, "slot" => lease.slot().name()).increment(1);
        let Some(reason) = lease.fell_back() else { return };
        if self.is_to_be_told(&lease.stored_version().id, Instant::now()) {
            tracing::warn!(
                account = lease.account(),
                kind = %lease.credential_kind(),
                slot = %lease.slot(),
                credential = lease.stored_version().id,
                reason,
                remedy,
                "logged in with another credential than the current one"
            );
        }
    }

    fn is_to_be_told(&self, credential: &str, now: Instant) -> bool {
        let mut told = self.told.lock().expect("nothing panics while it holds this lock");
        if told.get(credential).is_some_and(|last| now.saturating_duration_since(*last) < AGAIN) {
            return false;
        }
        if told.len() >= TOLD_MAX {
            told.retain(|_, last| now.saturating_duration_since(*last) < AGAIN);
        }
        if told.len() >= TOLD_MAX {
            return false;
        }
        told.insert(credential.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_credential_is_told_of_once_a_minute() {
        let (overlap, now) = (Overlap::new(), Instant::now());
        for (credential, after, is_told) in
            [("a", 0, true), ("a", 59, false), ("b", 59, true), ("a", 60, true), ("a", 61, false)]
        {
            assert_eq!(
                overlap.is_to_be_told(credential, now + Duration::from_secs(after)),
                is_told,
                "{credential} {after}"
            );
        }
    }

    #[test]
    fn what_is_remembered_of_it_is_bounded() {
        let (overlap, now) = (Overlap::new(), Instant::now());
        let told = (0..TOLD_MAX * 2).filter(|number| overlap.is_to_be_told(&number.to_string(), now)).count();
        assert_eq!((told, overlap.told.lock().unwrap().len()), (TOLD_MAX, TOLD_MAX));
        assert!(overlap.is_to_be_told("later", now + AGAIN));
        assert_eq!(overlap.told.lock().unwrap().len(), 1, "what was told long ago is forgotten");
    }
}

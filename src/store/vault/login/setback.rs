//! Why there is no token, and what to do about it. It must never hold a byte of a secret.

use super::super::super::{OpenError, StoreError};
use super::super::failure::Failure;
use super::exchange::known;

/// Why a login had no success. It is kept, and told to all who ask until the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Setback {
    /// It may succeed later with nobody doing anything to Locum or to the server's settings.
    #[error("{0}")]
    Passing(String),
    /// Somebody has to see to the set-up, here or at the server.
    #[error("{0}")]
    Lasting(String),
}

impl Setback {
    /// For what a method has no advice of its own. `about` says what was tried.
    pub(super) fn of(failure: &Failure, about: &str) -> Self {
        if failure.says(known::NO_NAMESPACE) {
            Self::Lasting(format!("{about}: the server has no such namespace: correct namespace in [store]"))
        } else if failure.is_transient() {
            Self::Passing(format!("{about}: {failure}"))
        } else {
            Self::Lasting(format!("{about}: {failure}"))
        }
    }

    /// For what could be read at the start and cannot now: it is read again at each attempt.
    pub(super) fn unreadable(error: &OpenError) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<Setback> for StoreError {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Passing(text) => Self::Unavailable(text),
            Setback::Lasting(text) => Self::Config(text),
        }
    }
}

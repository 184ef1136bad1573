//! When an authority that failed is asked again: never before it said, rarely where a person has to act first, and not by all
//! nodes at once.

use std::time::Duration;

use tokio::time::Instant;

use super::super::failure::{FailureKind, TokenFailure};
use super::life::chance;

/// Pauses where time alone may help.
const TRANSIENT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(2 * 60));

/// Pauses where somebody has to do something at the authority first. They do, and a new application's secret takes minutes
/// to be known there.
const LASTING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15 * 60));

/// Where another refresh token has to come, the store is looked at so often. The authority is not asked.
const LOOK: Duration = Duration::from_secs(15);

/// No authority is obeyed for longer: what stands there may be a mistake.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// For so long after its pause a failure is remembered, so that the next pause is a longer one.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// A failure that stands until it is time to ask again.
#[derive(Debug)]
pub(super) struct Trouble {
    failure: TokenFailure,
    until: Instant,
    step: Duration,
}

impl Trouble {
    /// After a failure, and maybe one before it.
    pub(super) fn after(failure: TokenFailure, before: Option<Self>, now: Instant) -> Self {
        let (min, max) = match failure.kind() {
            _ if failure.wants_other_token() => (LOOK, LOOK),
            FailureKind::Transient => TRANSIENT,
            FailureKind::Permanent | FailureKind::NeedsConsent => LASTING,
        };
        let step = before.map_or(min, |before| (before.step * 2).clamp(min, max));
        let pause = step.mul_f64(0.8 + 0.2 * chance());
        let obeyed = failure.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX);
        Self { failure, until: now + pause.max(obeyed), step }
    }

    /// The failure, while it is too early to ask again.
    pub(super) fn standing(&self, now: Instant) -> Option<&TokenFailure> {
        (now < self.until).then_some(&self.failure)
    }

    /// Whether time alone may end it.
    pub(super) fn passes(&self) -> bool {
        self.failure.kind() == FailureKind::Transient
    }

    /// Whether it is the same trouble: nobody needs to hear of it again.
    pub(super) fn is_like(&self, failure: &TokenFailure) -> bool {
        self.failure.kind() == failure.kind()
            && self.failure.code() == failure.code()
            && self.failure.cause() == failure.cause()
    }

    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        now > self.until + MEMORY
    }
}

/// Pauses between attempts to do something at the store.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(TRANSIENT.0)
    }
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(TRANSIENT.1);
        step.mul_f64(0.8 + 0.2 * chance())
    }
}

//! Ends of applications' secrets and certificates, told weeks ahead: whoever has to make new ones may be on leave.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Wanted;

/// From so long before the end on it is told.
const AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Time before it is told again.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// When the end of a credential was told.
#[derive(Debug, Default)]
pub(super) struct Told(Option<Instant>);

impl Told {
    /// Looks whether the end of the credential is near, and tells it once a day.
    pub(super) fn look(&mut self, wanted: &Wanted, now: Instant) {
        let Some(days) = wanted.credential.expires().and_then(|end| days_to(end, Timestamp::now())) else { return };
        if self.0.is_some_and(|told| now.saturating_duration_since(told) < AGAIN) {
            return;
        }
        self.0 = Some(now);
        tracing::warn!(
            credential = %wanted.version.id,
            client_id = wanted.credential.client_id,
            "the application's secret or certificate ends in {days} days: make a new one at the authority and \
             rotate to it: `locum rotate due` says whose it is, and by which command"
        );
    }
}

/// Whole days to an end that is near, none if it is over.
fn days_to(end: Timestamp, now: Timestamp) -> Option<i64> {
    let left = end.duration_since(now);
    (left <= AHEAD).then(|| (left.as_hours() / 24).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_within_thirty_days_is_near() {
        let now = Timestamp::UNIX_EPOCH;
        let after = |hours| now + SignedDuration::from_hours(hours);
        assert_eq!(days_to(after(31 * 24), now), None);
        assert_eq!(days_to(after(30 * 24), now), Some(30));
        assert_eq!(days_to(after(47), now), Some(1));
        assert_eq!(days_to(after(-50), now), Some(0));
    }
}

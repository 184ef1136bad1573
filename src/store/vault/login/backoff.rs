//! How long to wait before the next attempt. It must never be the same for all nodes: a server that comes back would be
//! met by all of them at once.

use std::time::Duration;

use super::super::super::key::random_bytes;

/// The first pause is about this long, and none is shorter.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause where the next attempt may succeed with nobody doing anything.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The longest pause where somebody has to do something first.
pub(super) const LASTING_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Decorrelated jitter: each pause is somewhere between the shortest and three times the one before
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Backoff {
    /// The next pause.
    pub(super) fn next(&mut self, max: Duration) -> Duration {
        let span = (self.0 * 3).saturating_sub(PAUSE_MIN);
        self.0 = (PAUSE_MIN + span.mul_f64(chance())).min(max);
        self.0
    }
}

/// From 0 to 1. It decides over no secret, so one half is good enough where there is no chance.
pub(super) fn chance() -> f64 {
    random_bytes::<4>().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(*bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_the_shortest_to_the_longest() {
        let mut backoff = Backoff::default();
        assert!((PAUSE_MIN..=PAUSE_MIN * 3).contains(&backoff.next(PAUSE_MAX)));
        let pauses: Vec<Duration> = (0..200).map(|_| backoff.next(PAUSE_MAX)).collect();
        assert!(pauses.iter().all(|pause| (PAUSE_MIN..=PAUSE_MAX).contains(pause)), "{pauses:?}");
        assert!(pauses.contains(&PAUSE_MAX), "{pauses:?}");
    }
}

//! What is known of one subject that fails: how often of late, until when it is held back, and how often it was before. Pure:
//! the time is an argument. It must never hold anybody back for longer than the bound, nor for ever remember that it did.

use std::time::{Duration, Instant};

/// What is borne of a subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Failures within the window before it is held back.
    pub(super) max: u32,
    /// How long a failure counts, and how long the first holding back lasts.
    pub(super) window: Duration,
    /// The longest that it is held back.
    pub(super) hold_max: Duration,
}

/// Failures of one subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    failures: u32,
    /// When the window of these failures began.
    since: Instant,
    /// How often it was held back, less what is forgotten by now.
    strikes: u8,
    /// The end of the last holding back; of the time in which a strike is forgotten, once it is over.
    until: Instant,
    /// Whether it was said already that no more are looked at.
    said: bool,
}

impl Bounds {
    /// For how long a subject is held back at its `strikes`th time: the window, twice as long each time, up to the bound.
    pub(super) fn hold(&self, strikes: u8) -> Duration {
        let doublings = u32::from(strikes.saturating_sub(1));
        let grown = 1u32.checked_shl(doublings).and_then(|times| self.window.checked_mul(times));
        grown.map_or(self.hold_max, |grown| grown.min(self.hold_max))
    }
}

impl Count {
    /// Nothing yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { failures: 0, since: now, strikes: 0, until: now, said: false }
    }

    /// Failures in the window.
    pub(super) fn failures(&self, bounds: &Bounds, now: Instant) -> u32 {
        if now.saturating_duration_since(self.since) < bounds.window { self.failures } else { 0 }
    }

    /// Whether it is held back.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        self.strikes > 0 && now < self.until
    }

    /// Whether it was held back and that is not forgotten yet.
    pub(super) fn is_marked(&self) -> bool {
        self.strikes > 0
    }

    /// Notes a failure. With as many as there may be in a window it is held back: the failures are paid for, and count no more.
    pub(super) fn failed(&mut self, bounds: &Bounds, now: Instant) {
        self.settle(bounds, now);
        if self.is_held(now) {
            return; // it was under way when that began
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= bounds.max {
            // Beyond the bound no strike makes it longer, and each has to be forgotten.
            let is_longest = self.strikes > 0 && bounds.hold(self.strikes) >= bounds.hold_max;
            self.strikes = if is_longest { self.strikes } else { self.strikes.saturating_add(1) };
            self.until = now + bounds.hold(self.strikes);
            (self.failures, self.said) = (0, false);
        }
    }

    /// Holds it back for so long, as somebody else found.
    pub(super) fn hold_for(&mut self, rest: Duration, bounds: &Bounds, now: Instant) {
        let until = now + rest.min(bounds.hold_max);
        if !self.is_held(now) {
            (self.strikes, self.said, self.until) = (self.strikes.max(1), false, until);
        }
        self.until = self.until.max(until);
    }

    /// Whether this is the first time that it is said.
    pub(super) fn say(&mut self) -> bool {
        !std::mem::replace(&mut self.said, true)
    }

    /// Forgets what time has made good: the failures with their window, and one strike for each time as long as it stood for.
    /// `true` if nothing is left.
    pub(super) fn settle(&mut self, bounds: &Bounds, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= bounds.window {
            (self.failures, self.since) = (0, now);
        }
        // As many turns as there are strikes, and these end where doubling does.
        while self.strikes > 0 && now >= self.until + bounds.hold(self.strikes) {
            self.until += bounds.hold(self.strikes);
            self.strikes -= 1;
        }
        self.failures == 0 && self.strikes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { max: 3, window: Duration::from_secs(60), hold_max: Duration::from_secs(3600) };

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How long it is held back when it has failed as often as it may.
    fn held_for(count: &mut Count, now: Instant) -> Duration {
        for _ in 0..BOUNDS.max {
            assert!(!count.is_held(now));
            count.failed(&BOUNDS, now);
        }
        assert!(count.is_held(now));
        count.until - now
    }

    #[test]
    fn each_time_is_twice_as_long_up_to_the_bound() {
        let (mut count, mut now) = (Count::new(Instant::now()), Instant::now());
        for expected in [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600] {
            let held = held_for(&mut count, now);
            assert_eq!(held, secs(expected));
            now += held;
        }
    }

    #[test]
    fn a_strike_is_forgotten_for_each_time_as_long_as_it_stood_for() {
        let (mut count, start) = (Count::new(Instant::now()), Instant::now());
        let mut now = start;
        for _ in 0..3 {
            now += held_for(&mut count, now);
        }
        // Three strikes: the last stood for 240 s, the one before for 120 s.
        let mut after_one = count;
        assert_eq!(held_for(&mut after_one, now + secs(240)), secs(240));
        let mut after_two = count;
        assert_eq!(held_for(&mut after_two, now + secs(240 + 120)), secs(120));
        assert!(!count.settle(&BOUNDS, now + secs(240 + 120 + 60 - 1)));
        assert!(count.settle(&BOUNDS, now + secs(240 + 120 + 60)), "all is forgotten");
    }

    #[test]
    fn failures_count_for_their_window_and_not_beyond() {
        let (mut count, now) = (Count::new(Instant::now()), Instant::now());
        count.failed(&BOUNDS, now);
        count.failed(&BOUNDS, now + secs(59));
        assert_eq!((count.failures(&BOUNDS, now + secs(59)), count.failures(&BOUNDS, now + secs(61))), (2, 0));
        count.failed(&BOUNDS, now + secs(61));
        assert!(!count.is_held(now + secs(61)));
    }

    #[test]
    fn what_was_under_way_does_not_make_it_longer() {
        let (mut count, now) = (Count::new(Instant::now()), Instant::now());
        let held = held_for(&mut count, now);
        for _ in 0..100 {
            count.failed(&BOUNDS, now + secs(1));
        }
        assert_eq!((count.until - now, count.strikes), (held, 1));
    }

    #[test]
    fn what_somebody_else_found_holds_and_is_bounded() {
        let (mut count, now) = (Count::new(Instant::now()), Instant::now());
        count.hold_for(secs(5), &BOUNDS, now);
        assert!(count.is_held(now + secs(4)) && !count.is_held(now + secs(5)));
        count.hold_for(secs(1_000_000), &BOUNDS, now);
        assert!(!count.is_held(now + secs(3600)));
        assert!(count.say() && !count.say());
    }

    #[test]
    fn a_bound_below_the_window_is_the_bound() {
        let bounds = Bounds { hold_max: secs(5), ..BOUNDS };
        assert_eq!((bounds.hold(1), bounds.hold(200)), (secs(5), secs(5)));
    }
}

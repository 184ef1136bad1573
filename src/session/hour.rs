//! How logins ended in the last hour, minute by minute, for people who look at a chart. In memory, of this process, and
//! without any name: what happened stands in the audit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

/// Minutes that are remembered: an hour is what somebody looks at who wonders what is going on.
const MINUTES_MAX: usize = 60;

/// How logins ended within a minute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Minute {
    /// When it began.
    pub at: Timestamp,
    /// Logins that succeeded, at the provider, too.
    pub succeeded: u64,
    /// Those that did not, by cause. Causes are words of the code, so there is a bound to them.
    pub refused: BTreeMap<&'static str, u64>,
}

/// The minutes in which there was a login, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Hour {
    minutes: Mutex<VecDeque<Minute>>,
}

impl Hour {
    /// A login has its answer: why not, if it did not succeed.
    pub(super) fn count(&self, denied: Option<&'static str>) {
        self.add(Timestamp::now(), |minute| match denied {
            None => minute.succeeded += 1,
            Some(cause) => *minute.refused.entry(cause).or_default() += 1,
        });
    }

    /// Each of the last sixty minutes, the oldest first and the one that is not over last.
    pub(super) fn minutes(&self, now: Timestamp) -> Vec<Minute> {
        let known: BTreeMap<i64, Minute> =
            self.lock().iter().map(|minute| (number(minute.at), minute.clone())).collect();
        let last = number(now);
        let each = (0..MINUTES_MAX as i64).rev().map(|ago| last - ago);
        each.map(|number| known.get(&number).cloned().unwrap_or_else(|| of(number))).collect()
    }

    fn add(&self, now: Timestamp, add: impl FnOnce(&mut Minute)) {
        let (mut minutes, current) = (self.lock(), number(now));
        // A clock that was set back counts on in the latest minute.
        if minutes.back().is_none_or(|last| number(last.at) < current) {
            minutes.push_back(of(current));
            let oldest = current - MINUTES_MAX as i64;
            while minutes.front().is_some_and(|first| number(first.at) <= oldest) {
                minutes.pop_front();
            }
        }
        if let Some(last) = minutes.back_mut() {
            add(last);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Minute>> {
        self.minutes.lock().expect("nothing panics while it holds this lock")
    }
}

fn number(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

fn of(number: i64) -> Minute {
    let at = Timestamp::from_second(number * 60).unwrap_or_default();
    Minute { at, ..Minute::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn logins_are_counted_by_the_minute_and_forgotten_after_an_hour() {
        let hour = Hour::default();
        hour.add(at(59), |minute| minute.succeeded += 1);
        hour.add(at(61), |minute| minute.succeeded += 2);
        hour.add(at(62), |minute| *minute.refused.entry("limit").or_default() += 1);
        let minutes = hour.minutes(at(119));
        assert_eq!((minutes.len(), minutes[58].succeeded, minutes[59].succeeded), (60, 1, 2));
        assert_eq!((minutes[59].at, minutes[59].refused["limit"]), (at(60), 1));
        assert_eq!(hour.minutes(at(3600))[0].succeeded, 2, "the first minute is an hour ago");

        hour.add(at(3600), |minute| minute.succeeded += 1);
        assert_eq!(hour.lock().len(), 2);
        hour.add(at(9 * 3600), |minute| minute.succeeded += 1);
        assert_eq!(hour.lock().len(), 1, "what is older is forgotten");
        hour.add(at(0), |minute| minute.succeeded += 1);
        assert_eq!(hour.minutes(at(9 * 3600))[59].succeeded, 2, "a clock may be set back");
    }
}

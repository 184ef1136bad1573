//! What became of the sessions of clients that mean well.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::clients::Failure;
use crate::figures::median_and_worst;

/// Everything that was tried, in the order in which it ended.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Vec<Attempt>>);

struct Attempt {
    /// What for, as failures are told by.
    what: &'static str,
    began: Instant,
    /// When the client was in; or what became of it in place of that.
    outcome: Result<Instant, String>,
}

/// One phase.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phase {
    /// Logins a second that were done within it.
    pub(crate) rate: f64,
    /// Of those that began in it, from the connection to the answer: the middle, and what 99 of a hundred did not exceed.
    pub(crate) times: Option<[Duration; 2]>,
    /// Of those that began in it: why they failed, and how often.
    pub(crate) failures: BTreeMap<String, usize>,
}

impl Phase {
    pub(crate) fn failed(&self) -> usize {
        self.failures.values().sum()
    }
}

impl Tally {
    pub(crate) fn note(&self, what: &'static str, began: Instant, outcome: Result<Instant, Failure>) {
        let outcome = outcome.map_err(|failure| failure.to_string());
        self.0.lock().unwrap().push(Attempt { what, began, outcome });
    }

    /// How many got in between these.
    pub(crate) fn logins_between(&self, from: Instant, to: Instant) -> usize {
        let attempts = self.0.lock().unwrap();
        attempts.iter().filter(|it| it.outcome.as_ref().is_ok_and(|at| (from..to).contains(at))).count()
    }

    /// What there is to say of the time between these.
    pub(crate) fn phase(&self, from: Instant, to: Instant) -> Phase {
        let attempts = self.0.lock().unwrap();
        let within = from..to;
        let done = attempts.iter().filter(|it| it.outcome.as_ref().is_ok_and(|at| within.contains(at))).count();
        let begun = || attempts.iter().filter(|it| within.contains(&it.began));
        let times = begun().filter_map(|it| it.outcome.as_ref().ok().map(|at| at.duration_since(it.began)));
        let mut failures = BTreeMap::new();
        for attempt in begun() {
            if let Err(why) = &attempt.outcome {
                *failures.entry(format!("{}: {why}", attempt.what)).or_default() += 1;
            }
        }
        let rate = done as f64 / to.duration_since(from).as_secs_f64();
        Phase { rate, times: median_and_worst(times.collect()), failures }
    }
}

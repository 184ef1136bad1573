//! How the store is: for health checks, metrics, and the log. It must never be asked whether to try: only a try tells.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::StoreError;

/// How the store is, as seen by the calls that were made to it.
#[derive(Debug)]
pub struct Health {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    condition: Condition,
    since: Instant,
    token_expires: Option<Instant>,
}

/// Whether the store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It has not been reached since the start.
    Unreached {
        /// What the last call was told, if there was one.
        reason: Option<String>,
    },
    /// It answers.
    Up,
    /// It answered once and does not now.
    Down {
        /// What the last call was told.
        reason: String,
    },
}

/// A [`Condition`], and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether the store answers.
    pub condition: Condition,
    /// For how long it has been so.
    pub lasting: Duration,
    /// The time left to this node's token; `None` where there is none, or it does not expire.
    pub token_left: Option<Duration>,
}

impl Default for Health {
    fn default() -> Self {
        let condition = Condition::Unreached { reason: None };
        Self { seen: Mutex::new(Seen { condition, since: Instant::now(), token_expires: None }) }
    }
}

impl Health {
    /// How the store is now.
    pub fn status(&self) -> Status {
        let seen = self.seen.lock().expect("nothing panics while it holds this lock");
        let now = Instant::now();
        Status {
            condition: seen.condition.clone(),
            lasting: now.duration_since(seen.since),
            token_left: seen.token_expires.map(|end| end.saturating_duration_since(now)),
        }
    }

    /// The store answered a call.
    pub(super) fn answered(&self) {
        self.change(|_| Condition::Up);
    }

    /// The store could not answer a call.
    pub(super) fn failed(&self, error: &StoreError) {
        let reason = error.to_string();
        self.change(|before| match before {
            Condition::Unreached { .. } => Condition::Unreached { reason: Some(reason) },
            Condition::Up | Condition::Down { .. } => Condition::Down { reason },
        });
    }

    /// When this node's token ends; `None` if it does not.
    pub(super) fn token_expires(&self, end: Option<Instant>) {
        self.seen.lock().expect("nothing panics while it holds this lock").token_expires = end;
    }

    /// Logs each turn for the better or the worse, once.
    fn change(&self, to: impl FnOnce(&Condition) -> Condition) {
        let mut seen = self.seen.lock().expect("nothing panics while it holds this lock");
        let after = to(&seen.condition);
        if std::mem::discriminant(&after) != std::mem::discriminant(&seen.condition) {
            let lasted = seen.since.elapsed();
            match &after {
                Condition::Up => tracing::info!(after = ?lasted, "the store answers"),
                Condition::Down { reason } => tracing::warn!(reason, "the store does not answer"),
                Condition::Unreached { .. } => {}
            }
            seen.since = Instant::now();
        }
        seen.condition = after;
    }
}

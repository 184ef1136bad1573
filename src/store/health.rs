//! How the store is: for health checks, metrics, and the log. It must never be asked whether to try: only a try tells.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

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
    answered: Option<Instant>,
    stale_since: Option<Instant>,
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
    /// How long ago it answered last; `None` if it never did.
    pub last_answer: Option<Duration>,
    /// For how long records have been used that are older than they should be, for want of an answer; `None` if none is.
    pub stale_for: Option<Duration>,
    /// The time left to this node's token; `None` where there is none, or it does not expire.
    pub token_left: Option<Duration>,
}

impl Default for Health {
    fn default() -> Self {
        let condition = Condition::Unreached { reason: None };
        let since = Instant::now();
        Self { seen: Mutex::new(Seen { condition, since, answered: None, stale_since: None, token_expires: None }) }
    }
}

impl Health {
    /// How the store is now.
    pub fn status(&self) -> Status {
        let seen = self.seen();
        let now = Instant::now();
        Status {
            condition: seen.condition.clone(),
            lasting: now.duration_since(seen.since),
            last_answer: seen.answered.map(|then| now.duration_since(then)),
            stale_for: seen.stale_since.map(|then| now.duration_since(then)),
            token_left: seen.token_expires.map(|end| end.saturating_duration_since(now)),
        }
    }

    /// The store answered a call.
    pub(super) fn answered(&self) {
        let mut seen = self.seen();
        seen.answered = Some(Instant::now());
        let stale_since = seen.stale_since.take();
        let before = seen.turn(Condition::Up);
        drop(seen);
        if let Some(lasted) = before {
            tracing::info!(after = ?lasted, records_were_stale = stale_since.is_some(), "the store answers");
        }
    }

    /// The store could not answer a call.
    pub(super) fn failed(&self, error: &StoreError) {
        let reason = error.to_string();
        let mut seen = self.seen();
        if let Condition::Unreached { .. } = seen.condition {
            seen.condition = Condition::Unreached { reason: Some(reason) };
        } else if seen.turn(Condition::Down { reason: reason.clone() }).is_some() {
            drop(seen);
            tracing::warn!(reason, "the store does not answer");
        }
    }

    /// Whether the store answered a call after that moment.
    pub(super) fn has_answered_since(&self, then: Instant) -> bool {
        self.seen().answered.is_some_and(|answered| answered > then)
    }

    /// A record was used that is older than it should be, for want of an answer.
    pub(super) fn served_stale(&self) {
        self.seen().stale_since.get_or_insert_with(Instant::now);
    }

    /// When this node's token ends; `None` if it does not.
    pub(super) fn token_expires(&self, end: Option<std::time::Instant>) {
        self.seen().token_expires = end.map(Instant::from_std);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nothing panics while it holds this lock")
    }
}

impl Seen {
    /// Takes on a condition; where that is a turn for the better or the worse, says how long the one before lasted.
    fn turn(&mut self, to: Condition) -> Option<Duration> {
        let turned = std::mem::discriminant(&to) != std::mem::discriminant(&self.condition);
        self.condition = to;
        turned.then(|| std::mem::replace(&mut self.since, Instant::now()).elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tokio::time::advance;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    fn away() -> StoreError {
        StoreError::Unavailable("nobody is there".to_owned())
    }

    /// The log of one thread.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        /// The lines since the last call.
        fn lines(&self) -> Vec<String> {
            let text = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn each_turn_is_logged_once() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        let _logging = tracing::subscriber::set_default(subscriber);
        let health = Health::default();
        let said = |turn: &dyn Fn()| {
            (0..3).for_each(|_| turn());
            log.lines()
        };

        assert_eq!(said(&|| health.failed(&away())), [""; 0], "who starts it says so");
        for _ in 0..2 {
            let better = said(&|| health.answered());
            assert!(
                matches!(&better[..], [it] if it.contains("INFO") && it.contains("the store answers")),
                "{better:?}"
            );
            let worse = said(&|| health.failed(&away()));
            assert!(matches!(&worse[..], [it] if it.contains("WARN") && it.contains("nobody is there")), "{worse:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_was_never_reached_is_not_called_down() {
        let health = Health::default();
        assert_eq!(health.status().condition, Condition::Unreached { reason: None });
        health.failed(&away());
        let Condition::Unreached { reason: Some(reason) } = health.status().condition else { panic!("reached") };
        assert!(reason.contains("nobody is there"));
        assert_eq!(health.status().last_answer, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_lasts_from_its_first_call_on_and_the_reason_is_the_last() {
        let (health, second) = (Health::default(), Duration::from_secs(1));
        health.answered();
        advance(second).await;
        health.answered();
        health.failed(&StoreError::Unavailable("sealed".to_owned()));
        advance(second).await;
        health.failed(&away());
        let status = health.status();
        assert_eq!(status.condition, Condition::Down { reason: away().to_string() });
        assert_eq!((status.lasting, status.last_answer), (second, Some(second)));
    }

    #[tokio::test(start_paused = true)]
    async fn stale_records_are_counted_from_the_first_until_the_store_answers() {
        let (health, second) = (Health::default(), Duration::from_secs(1));
        assert_eq!(health.status().stale_for, None);
        health.served_stale();
        advance(second).await;
        health.served_stale();
        assert_eq!(health.status().stale_for, Some(second));
        health.answered();
        assert_eq!(health.status().stale_for, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_answered_since_a_call_began_is_known() {
        let (health, second) = (Health::default(), Duration::from_secs(1));
        let began = Instant::now();
        assert!(!health.has_answered_since(began));
        advance(second).await;
        health.answered();
        assert!(health.has_answered_since(began));
        advance(second).await;
        assert!(!health.has_answered_since(Instant::now()));
    }

    #[test]
    fn a_token_that_is_over_has_no_time_left() {
        let health = Health::default();
        assert_eq!(health.status().token_left, None);
        health.token_expires(Some(std::time::Instant::now()));
        assert_eq!(health.status().token_left, Some(Duration::ZERO));
        health.token_expires(None);
        assert_eq!(health.status().token_left, None);
    }
}

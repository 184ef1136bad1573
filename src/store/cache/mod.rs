//! What a node remembers of a store that is elsewhere. It must never tell more than the store told, nor for longer than
//! it may.
//!
//! - `remembered`: what is known, and when it may be used; pure. `lru`: its bounds.
//! - `fresh`: hearing of changes, and of the store's return.
//!
//! A record that was read lately is used without a question. Any other is asked for, once for all who want it, and where
//! the store does not answer, what is remembered has to do. Nobody waits long for a store that is known to be silent: the
//! poll of the feed finds out when it is back.

mod fresh;
pub(super) mod lru;
pub(super) mod meters;
mod remembered;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use metrics::counter;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use self::remembered::Remembered;
use super::{Expected, Feed, Health, News, Record, Store, StoreError, Version};
use crate::model::{RecordId, RecordKind, Secret};

/// For so long a client waits for the store where there is something older to serve. A store that is well answers in
/// milliseconds; a mail client gives up after some ten seconds, and its provider needs some of those.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pauses before a server that is behind is asked again: standbys were seen to lag by 140 ms at the most.
const BEHIND_PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];

/// The feed is asked at least so often while the store is silent: it is how its return is noticed.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Records that wait to be read again in the background. Those that find no room are read when they are used.
const DUE_MAX: usize = 4096;

/// How long what was read may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For so long a record is used without asking the store, unless the feed tells of a change. An edit that bypasses
    /// Locum is noticed after this, or when a provider refuses the credential.
    pub refresh_after: Duration,
    /// For so long after it was read a record is used while the store does not answer.
    pub max_stale: Duration,
    /// Records remembered at the most. Those unused for longest go first.
    pub records_max: u64,
    /// How often the feed is asked for changes, with a fifth more or less by chance. What is revoked ends within twice as
    /// long, reading included.
    pub poll_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refresh_after: Duration::from_secs(60),
            max_stale: Duration::from_secs(12 * 60 * 60),
            records_max: 100_000,
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// What the store says of a record.
type Answer = Result<Option<Record>, StoreError>;

/// A question to the store, and the same as all have it who want the answer: any of them may leave.
type Call = BoxFuture<'static, Answer>;
type Asks = Shared<Call>;

/// Which question it is.
#[derive(Debug, Clone, Copy)]
struct Asking {
    number: u64,
    since: Instant,
}

/// A store that is elsewhere, and what a node remembers of it. Clones are one.
///
/// It needs [`Cache::keep_fresh`] to run: without, it hears of no change before `refresh_after`, and finds out that the
/// store is back by making a client wait.
pub struct Cache<S>(Arc<Core<S>>);

struct Core<S> {
    inner: Arc<S>,
    health: Arc<Health>,
    poll_interval: Duration,
    /// What the feed told of, for whoever holds something by a record.
    news: News,
    state: Mutex<State>,
    /// Told of a new record in `due`.
    more_due: Notify,
    /// Told that the store did not answer.
    silence: Notify,
}

struct State {
    remembered: Remembered,
    /// To be read again in the background.
    due: BTreeSet<RecordId>,
    /// When the store answered last.
    answered: Option<Instant>,
    /// Until then it is taken to be silent, unless it answers.
    silent_until: Option<Instant>,
}

impl<S: Store + Feed + 'static> Cache<S> {
    /// Remembers nothing yet. The health is told how the feed answers, and of records that are used for want of newer ones.
    pub fn new(inner: Arc<S>, options: &Options, health: Arc<Health>) -> Self {
        meters::describe();
        Self(Arc::new(Core {
            inner,
            health,
            poll_interval: options.poll_interval,
            news: News::default(),
            state: Mutex::new(State {
                remembered: Remembered::new(options),
                due: BTreeSet::new(),
                answered: None,
                silent_until: None,
            }),
            more_due: Notify::new(),
            silence: Notify::new(),
        }))
    }

    /// What was written anywhere, as the feed tells it, remembered or not.
    pub fn news(&self) -> News {
        self.0.news.clone()
    }

    /// Asks the store. Where it does not answer, what is remembered has to do.
    async fn ask_or_recall(&self, id: &RecordId, latest: bool) -> Answer {
        let since = Instant::now();
        let (recalled, silent) = {
            let mut state = self.0.state();
            (state.remembered.recall(id, since), state.is_silent(since))
        };
        let Some(recalled) = recalled else {
            let answer = self.0.ask(id, latest).await;
            count(if answer.is_ok() { "miss" } else { "error" });
            return answer;
        };
        if silent {
            return Ok(Some(self.0.stale(recalled)));
        }
        match timeout(PATIENCE, self.0.ask(id, latest)).await {
            // A login that a person has to see to, or a certificate that ran out, is an outage to clients like any other.
            Ok(Err(error)) if error.is_no_answer() => Ok(Some(self.0.stale(recalled))),
            Ok(answer) => {
                count(if answer.is_ok() { "miss" } else { "error" });
                answer
            }
            Err(_) => {
                self.0.no_answer(since);
                self.0.read_again(id);
                Ok(Some(self.0.stale(recalled)))
            }
        }
    }
}

#[async_trait]
impl<S: Store + Feed + 'static> Store for Cache<S> {
    async fn read(&self, id: &RecordId) -> Answer {
        let fresh = self.0.state().remembered.fresh(id, Instant::now());
        if let Some(answer) = fresh {
            count("hit");
            return Ok(answer);
        }
        self.ask_or_recall(id, false).await
    }

    async fn read_latest(&self, id: &RecordId) -> Answer {
        self.ask_or_recall(id, true).await
    }

    async fn read_certain(&self, id: &RecordId) -> Answer {
        let fresh = self.0.state().remembered.fresh(id, Instant::now());
        match fresh {
            Some(answer) => Ok(answer),
            None => self.0.ask(id, false).await,
        }
    }

    fn is_silent(&self) -> bool {
        self.0.state().is_silent(Instant::now())
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        // Before and after: this may be dropped in between, and a write that failed may still have happened.
        self.0.state().remembered.doubt(id);
        let written = self.0.inner.write(id, value, expected).await;
        let remembered = &mut self.0.state().remembered;
        match &written {
            Ok(version) => {
                remembered.written(id, Record { value: value.clone(), version: *version }, Instant::now());
            }
            Err(_) => remembered.doubt(id),
        }
        written
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        self.0.state().remembered.doubt(id);
        let deleted = self.0.inner.delete(id, expected).await;
        let remembered = &mut self.0.state().remembered;
        match &deleted {
            Ok(()) => remembered.gone(id),
            Err(_) => remembered.doubt(id),
        }
        deleted
    }

    async fn list(
        &self,
        kind: RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        self.0.inner.list(kind, after, limit).await
    }
}

impl<S> Core<S> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// The store did not answer what it was asked then.
    fn no_answer(&self, since: Instant) {
        let mut state = self.state();
        // One call that hangs says nothing of a store that answers others.
        if state.answered.is_none_or(|answered| answered <= since) {
            // Past this without a poll, one client has to find out again.
            state.silent_until = Some(Instant::now() + 3 * self.poll_interval.min(PROBE_INTERVAL) + PATIENCE);
            self.silence.notify_one();
        }
    }

    fn answered(&self) {
        let mut state = self.state();
        state.answered = Some(Instant::now());
        state.silent_until = None;
    }

    fn stale(&self, record: Record) -> Record {
        self.health.served_stale();
        count("stale");
        counter!(meters::STALE_READS).increment(1);
        record
    }

    /// Has the record read in the background, where there is time for it.
    fn read_again(&self, id: &RecordId) {
        let mut state = self.state();
        if state.due.len() < DUE_MAX && state.due.insert(id.clone()) {
            self.more_due.notify_one();
        }
    }
}

impl<S: Store + Feed + 'static> Core<S> {
    /// Asks the store for a record; with others who ask for it now, in one call.
    fn ask(self: &Arc<Self>, id: &RecordId, latest: bool) -> Asks {
        let since = Instant::now();
        let remembered = &mut self.state().remembered;
        if let Some(asks) = remembered.asking(id, latest, since) {
            return asks;
        }
        let asking = Asking { number: remembered.next_number(), since };
        let landing = Landing { core: Arc::clone(self), id: id.clone(), asking };
        let asks = async move { landing.call(latest).await }.boxed().shared();
        let weak = asks.downgrade().expect("it has not been polled");
        remembered.ask(id, asking, latest, weak);
        asks
    }

    /// Reads a record from a server that is not behind what is known already.
    async fn read_settled(&self, id: &RecordId) -> Answer {
        let floor = self.state().remembered.floor(id);
        let mut pauses = BEHIND_PAUSES.into_iter();
        loop {
            let record = self.inner.read(id).await?;
            let version = record.as_ref().map(|record| record.version);
            if version >= floor {
                return Ok(record);
            }
            counter!(meters::BEHIND_READS).increment(1);
            // A record that is gone was deleted more often than a server has not heard of it yet.
            match pauses.next().filter(|_| version.is_some()) {
                Some(pause) => sleep(pause).await,
                // The last word: if it is older, too, the store was restored from a backup.
                None => return self.inner.read_latest(id).await,
            }
        }
    }
}

/// A call on its way. However it ends, nobody joins it afterwards.
struct Landing<S> {
    core: Arc<Core<S>>,
    id: RecordId,
    asking: Asking,
}

impl<S: Store + Feed + 'static> Landing<S> {
    async fn call(&self, latest: bool) -> Answer {
        let answer =
            if latest { self.core.inner.read_latest(&self.id).await } else { self.core.read_settled(&self.id).await };
        match &answer {
            Err(error) if error.is_transient() => self.core.no_answer(self.asking.since),
            _ => self.core.answered(),
        }
        self.core.state().remembered.learn(&self.id, self.asking, &answer);
        answer
    }
}

impl<S> Drop for Landing<S> {
    fn drop(&mut self) {
        self.core.state().remembered.land(&self.id, self.asking.number);
    }
}

impl State {
    fn is_silent(&self, now: Instant) -> bool {
        self.silent_until.is_some_and(|until| now < until)
    }
}

impl<S> Clone for Cache<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: fmt::Debug> fmt::Debug for Cache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.0.state().remembered.len();
        f.debug_struct("Cache").field("inner", &self.0.inner).field("records", &records).finish_non_exhaustive()
    }
}

fn count(outcome: &'static str) {
    counter!(meters::READS, "outcome" => outcome).increment(1);
}

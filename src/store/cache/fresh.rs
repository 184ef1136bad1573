//! Hearing of changes. It asks the feed where it stands, every few seconds and whenever another node says that it moved,
//! and has what changed read again before it is wanted. It must never make a client wait, nor forget anything because the
//! feed cannot be read.

use std::future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use metrics::{counter, gauge};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{BEHIND_PAUSES, Cache, Core, PATIENCE, PROBE_INTERVAL, meters};
use crate::model::RecordId;
use crate::store::key::random_bytes;
use crate::store::notice::Receiver;
use crate::store::{Changes, Feed, Position, Store, StoreError};

/// Time for a call in the background. The store has limits of its own, which are less; this is so that nothing hangs for
/// ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Polls under way at once: while some hang, another finds out that the store is back.
const POLLS_MAX: usize = 8;

/// Between two polls, however many notices come.
const POLLS_APART: Duration = Duration::from_millis(100);

/// Records read again at once. It is no haste, and the store is for clients first.
const READS_MAX: usize = 8;

/// How far one has come in following the feed.
struct Follower {
    /// All up to here has been taken account of.
    seen: Position,
    /// A notice told that the feed has come so far.
    wanted: u64,
    /// Polls begun, and the latest-begun that ended: what an earlier one is told later is old.
    begun: u64,
    ended: u64,
    /// Why the feed cannot be read, where that does not pass by itself; said once.
    refused: Option<StoreError>,
}

/// What a poll found.
struct Poll {
    number: u64,
    wanted: u64,
    /// `None` if nothing has changed.
    found: Result<Option<Changes>, StoreError>,
}

impl<S: Store + Feed + 'static> Cache<S> {
    /// Hears of changes by polling the feed, at once where `notices` tell that there is something, until `stop`.
    pub async fn keep_fresh(&self, notices: Option<Receiver>, stop: CancellationToken) {
        let core = &self.0;
        let mut follower = Follower { seen: Position::default(), wanted: 0, begun: 0, ended: 0, refused: None };
        let (mut polls, mut reads) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut next_poll, mut earliest) = (Instant::now(), Instant::now());
        loop {
            let known = follower.known();
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_until(next_poll), if polls.len() < POLLS_MAX => {
                    polls.push(follower.poll(core));
                    earliest = Instant::now() + POLLS_APART;
                    next_poll = Instant::now() + jittered(core.poll_interval);
                }
                Some(poll) = polls.next() => follower.take(core, poll),
                () = core.silence.notified() => {
                    next_poll = next_poll.min(Instant::now() + jittered(PROBE_INTERVAL));
                }
                sequence = next_notice(notices.as_ref(), &known) => {
                    follower.wanted = sequence;
                    next_poll = next_poll.min(earliest);
                }
                id = core.next_due(), if reads.len() < READS_MAX => reads.push(self.read_in_background(id)),
                Some(()) = reads.next() => {}
            }
        }
    }

    /// Has the next client find the record as it is now.
    async fn read_in_background(&self, id: RecordId) {
        if self.0.state().remembered.is_due(&id, Instant::now()) {
            // Whatever comes of it is remembered, or found out by a client.
            let _ = timeout(ANSWER_TIMEOUT, self.0.ask(&id, false)).await;
        }
    }
}

async fn next_notice(notices: Option<&Receiver>, known: &Position) -> u64 {
    match notices {
        Some(notices) => notices.next(known).await,
        None => future::pending().await,
    }
}

/// A fifth more or less, so that nodes which were started together do not ask together for ever.
fn jittered(interval: Duration) -> Duration {
    let chance = random_bytes::<1>().map_or(128, |byte| byte[0]);
    interval.mul_f64(0.8 + 0.4 * f64::from(chance) / 255.0)
}

impl Follower {
    /// What a notice must be beyond to tell something.
    fn known(&self) -> Position {
        Position { epoch: self.seen.epoch.clone(), sequence: self.seen.sequence.max(self.wanted) }
    }

    /// Begins a poll.
    fn poll<'a, S>(&mut self, core: &'a Core<S>) -> impl Future<Output = Poll> + use<'a, S>
    where
        S: Store + Feed + 'static,
    {
        self.begun += 1;
        let (number, seen, wanted) = (self.begun, self.seen.clone(), self.wanted);
        async move { Poll { number, wanted, found: core.poll(&seen, wanted).await } }
    }

    fn take<S: Store + Feed + 'static>(&mut self, core: &Core<S>, poll: Poll) {
        if poll.number < self.ended {
            return;
        }
        self.ended = poll.number;
        match poll.found {
            Ok(changes) => {
                self.refused = None;
                core.health.answered();
                if let Some(changes) = changes {
                    core.mark(&changes, self.seen.epoch.is_empty());
                    self.seen = changes.position;
                }
                // What the poll did not find by trying is left to the next ones.
                if self.wanted <= poll.wanted.max(self.seen.sequence) {
                    self.wanted = 0;
                }
            }
            Err(error) if error.is_transient() => core.health.failed(&error),
            // The store answers; it is the feed that this node may not read, or cannot.
            Err(error) => {
                if self.refused.as_ref() != Some(&error) {
                    tracing::warn!(%error, "this node hears of no change: each is used when refresh-after is over");
                }
                self.refused = Some(error);
            }
        }
        gauge!(meters::LAG).set(self.wanted.saturating_sub(self.seen.sequence) as f64);
        gauge!(meters::RECORDS).set(core.state().remembered.len() as f64);
    }
}

impl<S: Store + Feed + 'static> Core<S> {
    /// Asks where the feed stands, and where it moved, or must have, what changed.
    async fn poll(&self, seen: &Position, wanted: u64) -> Result<Option<Changes>, StoreError> {
        let position = self.position().await?;
        if position.epoch != seen.epoch {
            return Ok(Some(Changes { position, records: None }));
        }
        let sequence = wanted.max(seen.sequence).max(position.sequence);
        if sequence == position.sequence && sequence == seen.sequence {
            return Ok(None);
        }
        let mut told = self.inner.changes(seen, &Position { sequence, ..position.clone() }).await;
        for pause in BEHIND_PAUSES {
            if told.as_ref().is_err_and(StoreError::is_transient) {
                sleep(pause).await;
                told = self.inner.changes(seen, &Position { sequence, ..position.clone() }).await;
            }
        }
        match told {
            // No server comes as far again as one had been: the feed was restored from a backup.
            Err(error) if error.is_transient() && position.sequence < seen.sequence => {
                Ok(Some(Changes { position, records: None }))
            }
            // The notice was of something that this server does not have yet, but there may be other things.
            Err(error) if error.is_transient() && position.sequence == seen.sequence => Ok(None),
            Err(error) if error.is_transient() && position.sequence < sequence => {
                self.inner.changes(seen, &position).await.map(Some)
            }
            told => told.map(Some),
        }
    }

    /// Where the feed stands. It waits for longer than a client would, but clients need not wait meanwhile.
    async fn position(&self) -> Result<Position, StoreError> {
        let since = Instant::now();
        let mut asked = pin!(self.inner.position());
        let position = match timeout(PATIENCE, &mut asked).await {
            Ok(position) => position,
            Err(_) => {
                self.no_answer(since);
                timeout(ANSWER_TIMEOUT, asked).await.unwrap_or_else(|_| {
                    let waited = (PATIENCE + ANSWER_TIMEOUT).as_secs();
                    Err(StoreError::Unavailable(format!("it has not answered for {waited} seconds")))
                })
            }
        };
        match &position {
            Err(error) if error.is_transient() => self.no_answer(since),
            _ => self.answered(),
        }
        position
    }

    /// Takes account of changes.
    fn mark(&self, changes: &Changes, is_first: bool) {
        let Some(records) = &changes.records else {
            if !is_first {
                tracing::info!(
                    "the change feed does not tell what changed: each record is asked for again when it is used"
                );
                counter!(meters::REVALIDATIONS).increment(1);
            }
            self.state().remembered.doubt_all();
            self.news.anything();
            return;
        };
        counter!(meters::CHANGES).increment(records.len() as u64);
        for (id, version) in records {
            let is_remembered = self.state().remembered.announce(id, *version);
            // Behind the announcement: who reads it for this is told what it is now.
            self.news.of(id);
            if is_remembered {
                self.read_again(id);
            }
        }
    }

    /// The next record to be read in the background. May be dropped at any time: nothing is taken before it returns.
    async fn next_due(&self) -> RecordId {
        loop {
            if let Some(id) = self.state().due.pop_first() {
                return id;
            }
            self.more_due.notified().await;
        }
    }
}

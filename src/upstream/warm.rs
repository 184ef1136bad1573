//! Connections to busy upstreams that are there before the next login: dialled, under TLS, and as far as a login gets without a
//! credential, which is all but one of its round trips. It must never hand out one that the provider may have given up, nor
//! one that was made for somewhere else, nor keep more than a busy moment uses up.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Attempt, Means, UpstreamError, Upstreams, converse, meters};
use crate::model::{CredentialKind, Endpoint, Protocol};
use crate::net::Stream;
use crate::proto::{Client, ClientAction, Goal};

/// So long one is kept: a fraction of what the strictest provider gives a client that has not logged in (a minute).
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Of so many logins within [`KEPT_FOR`] one finds a connection: it is used long before it is too old, and where fewer
/// come none is kept.
const LOGINS_FOR_ONE: usize = 4;

/// How often those that are too old, or were hung up on, are let go.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Time for a goodbye, which nobody waits for.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is kept, for each upstream and protocol that is logged in to.
#[derive(Debug, Default)]
pub(super) struct Warm {
    shelves: Mutex<HashMap<String, BTreeMap<Protocol, Shelf>>>,
    /// Told when there are fewer somewhere than there should be.
    wanting: Notify,
}

/// The connections to one endpoint.
#[derive(Debug)]
struct Shelf {
    endpoint: Endpoint,
    means: Arc<Means>,
    kept: VecDeque<Kept>,
    /// Those that are being made.
    coming: usize,
    /// The last logins.
    logins: VecDeque<Instant>,
    /// The last one could not be made: none is until then.
    not_before: Option<Instant>,
}

/// A connection that waits for a login, and its dialogue.
pub(super) struct Kept {
    pub(super) stream: Stream,
    pub(super) dialogue: Box<dyn Client>,
    since: Instant,
}

/// One that is to be made.
struct Wanted {
    upstream: String,
    protocol: Protocol,
    endpoint: Endpoint,
    means: Arc<Means>,
}

impl Warm {
    /// One for a login that begins now, the oldest that is still good. The login is counted in any case.
    pub(super) fn take(
        &self,
        upstream: &str,
        protocol: Protocol,
        endpoint: &Endpoint,
        means: &Arc<Means>,
    ) -> Option<Kept> {
        if endpoint.warm_max == 0 {
            return None;
        }
        let now = Instant::now();
        let mut stale = VecDeque::new(); // dropped without the lock
        let (taken, is_wanting) = self.with(|shelves| {
            if !shelves.contains_key(upstream) {
                shelves.insert(upstream.to_owned(), BTreeMap::new());
            }
            let shelves = shelves.get_mut(upstream).expect("it was put there if it was not");
            let shelf = shelves.entry(protocol).or_insert_with(|| Shelf::new(endpoint, means));
            if !shelf.leads_to(endpoint, means) {
                stale = std::mem::replace(shelf, Shelf::new(endpoint, means)).kept;
            }
            shelf.count_login(now);
            let mut taken = None;
            while taken.is_none()
                && let Some(mut kept) = shelf.kept.pop_front()
            {
                match kept.is_good(now) {
                    true => taken = Some(kept),
                    false => stale.push_back(kept),
                }
            }
            (taken, shelf.lacks(now) > 0)
        });
        if is_wanting {
            self.wanting.notify_one();
        }
        meters::count_warm(upstream, protocol, meters::UNUSED, stale.len());
        meters::count_warm(upstream, protocol, meters::USED, usize::from(taken.is_some()));
        taken
    }

    /// All that are wanted now; they count as coming.
    fn wanted(&self) -> Vec<Wanted> {
        let now = Instant::now();
        self.with(|shelves| {
            let mut wanted = Vec::new();
            for (upstream, shelves) in shelves {
                for (&protocol, shelf) in shelves {
                    for _ in 0..shelf.lacks(now) {
                        shelf.coming += 1;
                        let (upstream, endpoint) = (upstream.clone(), shelf.endpoint.clone());
                        wanted.push(Wanted { upstream, protocol, endpoint, means: Arc::clone(&shelf.means) });
                    }
                }
            }
            wanted
        })
    }

    /// One of those that were wanted was made, or could not be. What nobody wants any more is given back.
    fn put(&self, wanted: &Wanted, made: Option<Kept>) -> Option<Kept> {
        self.with(|shelves| {
            let shelf = shelves.get_mut(&wanted.upstream).and_then(|shelves| shelves.get_mut(&wanted.protocol));
            let Some(shelf) = shelf.filter(|shelf| shelf.leads_to(&wanted.endpoint, &wanted.means)) else {
                return made;
            };
            shelf.coming = shelf.coming.saturating_sub(1);
            match made {
                Some(kept) => shelf.kept.push_back(kept),
                None => shelf.not_before = Some(Instant::now() + KEPT_FOR),
            }
            None
        })
    }

    /// Takes out all that are no good any more, and forgets where nobody logs in.
    fn sweep(&self) -> Vec<Kept> {
        let now = Instant::now();
        self.with(|shelves| {
            let mut swept = Vec::new();
            shelves.retain(|upstream, shelves| {
                shelves.retain(|&protocol, shelf| {
                    let before = swept.len();
                    for mut kept in std::mem::take(&mut shelf.kept) {
                        match kept.is_good(now) {
                            true => shelf.kept.push_back(kept),
                            false => swept.push(kept),
                        }
                    }
                    meters::count_warm(upstream, protocol, meters::UNUSED, swept.len() - before);
                    shelf.is_used(now)
                });
                !shelves.is_empty()
            });
            swept
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<String, BTreeMap<Protocol, Shelf>>) -> T) -> T {
        look(&mut self.shelves.lock().expect("nothing panics while it holds this lock"))
    }
}

impl Shelf {
    fn new(endpoint: &Endpoint, means: &Arc<Means>) -> Self {
        Self {
            endpoint: endpoint.clone(),
            means: Arc::clone(means),
            kept: VecDeque::new(),
            coming: 0,
            logins: VecDeque::new(),
            not_before: None,
        }
    }

    /// Whether what is here was made for that, in this way: a reload may have changed either.
    fn leads_to(&self, endpoint: &Endpoint, means: &Arc<Means>) -> bool {
        self.endpoint == *endpoint && Arc::ptr_eq(&self.means, means)
    }

    fn count_login(&mut self, now: Instant) {
        if self.logins.len() == self.endpoint.warm_max * LOGINS_FOR_ONE {
            self.logins.pop_front();
        }
        self.logins.push_back(now);
    }

    /// How many more there should be.
    fn lacks(&mut self, now: Instant) -> usize {
        if self.not_before.is_some_and(|until| now < until) {
            return 0;
        }
        while self.logins.front().is_some_and(|at| now.duration_since(*at) >= KEPT_FOR) {
            self.logins.pop_front();
        }
        (self.logins.len() / LOGINS_FOR_ONE).saturating_sub(self.kept.len() + self.coming)
    }

    fn is_used(&self, now: Instant) -> bool {
        let is_late = |at: &Instant| now.duration_since(*at) < KEPT_FOR;
        self.coming > 0 || !self.kept.is_empty() || self.logins.back().is_some_and(is_late)
    }
}

impl Kept {
    pub(super) fn new(stream: Stream, dialogue: Box<dyn Client>) -> Self {
        Self { stream, dialogue, since: Instant::now() }
    }

    /// Whether it is young, and nothing has been said on it: a provider that says something here says goodbye.
    fn is_good(&mut self, now: Instant) -> bool {
        now.duration_since(self.since) < KEPT_FOR && self.stream.read(&mut [0]).now_or_never().is_none()
    }

    /// Says goodbye.
    async fn leave(mut self) {
        let _ = self.dialogue.go_on(Goal::Probe); // where it cannot, it has no goodbye, either
        let leaving = async {
            while let ClientAction::Send(bytes) = self.dialogue.next_action() {
                converse::send(&mut self.stream, bytes.as_bytes()).await?;
            }
            self.stream.shutdown().await
        };
        let _ = timeout(GOODBYE_TIMEOUT, leaving).await; // whoever hung up first hears nothing
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Upstreams {
    /// Has connections there where many log in, until `stop`. Without, each login makes its own.
    pub async fn keep_warm(&self, stop: CancellationToken) {
        stop.run_until_cancelled(self.tend()).await;
        let shelves = self.warm.with(std::mem::take).into_values().flat_map(BTreeMap::into_values);
        join_all(shelves.flat_map(|shelf| shelf.kept).map(Kept::leave)).await;
    }

    async fn tend(&self) {
        let mut work = FuturesUnordered::new();
        let mut sweeping = interval(SWEEP_INTERVAL);
        loop {
            tokio::select! {
                () = self.warm.wanting.notified() => {
                    work.extend(self.warm.wanted().into_iter().map(|wanted| self.make(wanted).boxed()));
                }
                _ = sweeping.tick() => work.extend(self.warm.sweep().into_iter().map(|kept| kept.leave().boxed())),
                Some(()) = work.next(), if !work.is_empty() => {}
            }
        }
    }

    async fn make(&self, wanted: Wanted) {
        let made = self.prepare(&wanted).await;
        if let Err(error) = &made {
            tracing::debug!(%error, "no connection was made ahead of a login");
        }
        if let Some(unwanted) = self.warm.put(&wanted, made.ok()) {
            unwanted.leave().await;
        }
    }

    async fn prepare(&self, wanted: &Wanted) -> Result<Kept, UpstreamError> {
        let Wanted { upstream, protocol, endpoint, .. } = wanted;
        // No credential is shown, so its kind does not matter.
        let (kind, started) = (CredentialKind::AppPassword, Instant::now());
        let attempt = Attempt { upstream, protocol: *protocol, kind, started, is_login: false, tap: None };
        let (stream, name) = self.approach(&attempt, endpoint).await?;
        let mut dialogue = self.dialogue(*protocol, endpoint, Goal::Wait);
        let (stream, _) = self.converse(&attempt, dialogue.as_mut(), stream, &name).await?;
        Ok(Kept::new(stream, dialogue))
    }
}

#[cfg(test)]
mod tests;

//! Requests for tokens, apart from the logins that wait for them: a login that is dropped aborts none.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::super::answer::refresh_token_in;
use super::super::failure::{FailureKind, TokenFailure};
use super::super::{Grant, Granted, HttpError, Request};
use super::life::AccessToken;
use super::shelf::{Entry, Key};
use super::trouble::Trouble;
use super::{ORDERS_MAX, Tokens, Wanted, meters};
use crate::model::Secret;

/// Time at the end for what is under way: an answer may bring a refresh token that is not to be lost.
const STOP_WAIT: Duration = Duration::from_secs(4);

/// A request that somebody waits for.
pub(super) struct Order {
    pub(super) key: Key,
    pub(super) wanted: Wanted,
    pub(super) landing: watch::Sender<Option<Result<AccessToken, TokenFailure>>>,
}

/// What came of a request.
pub(super) struct Answered {
    pub(super) granted: Result<Granted, TokenFailure>,
    /// The new one, if there is one, even where the rest of the answer is of no use.
    pub(super) refresh_token: Option<Secret>,
}

impl Tokens {
    /// Makes the requests, until `stop`. Nothing is asked of an authority unless this runs: what a login began goes on when
    /// the login is dropped, so that no refresh token is lost.
    pub async fn run(&self, stop: CancellationToken) {
        let Some(mut run) = Run::begin(self) else {
            // Another one does it.
            return stop.cancelled().await;
        };
        let mut flights = FuturesUnordered::new();
        let mut savings: FuturesUnordered<_> = self.unsaved().into_iter().map(|key| self.keep_saving(key)).collect();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(order) = run.orders.recv(), if flights.len() < ORDERS_MAX => flights.push(self.fly(order)),
                Some(unsaved) = flights.next() => savings.extend(unsaved.map(|key| self.keep_saving(key))),
                Some(()) = savings.next() => {}
            }
        }
        drop(savings);
        let end = async {
            while flights.next().await.is_some() {}
            let mut last: FuturesUnordered<_> = self.unsaved().into_iter().map(|key| self.save_in_time(key)).collect();
            while last.next().await.is_some() {}
        };
        // What is not stored by then stays as it is at the authority: most let the token before be used again.
        drop(timeout(STOP_WAIT, end).await);
    }

    fn turns(&self, token_url: &str) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().expect("nothing panics while it holds this lock");
        let new = || Arc::new(Semaphore::new(self.options.at_once));
        Arc::clone(turns.entry(token_url.to_owned()).or_insert_with(new))
    }

    fn unsaved(&self) -> Vec<Key> {
        self.shelf().begin_saving_all()
    }

    /// One request with all that belongs to it. The key, if it left a refresh token that is not stored yet.
    async fn fly(&self, order: Order) -> Option<Key> {
        let flight = Flight { tokens: self, order };
        let (key, wanted) = (&flight.order.key, &flight.order.wanted);
        let turns = self.turns(&wanted.authority.token_url);
        let _turn = turns.acquire().await.expect("it is never closed");
        let began = Instant::now();
        let granted = match wanted.credential.grant {
            Grant::ClientCredentials | Grant::ServiceAccount => self.request(wanted, None).await.granted,
            Grant::RefreshToken => self.refresh(key, wanted).await,
        };
        let outcome =
            granted.map(|granted| AccessToken::new(&granted, began, self.options.refresh_ahead, &self.shield));
        self.settle(key, wanted, &outcome);
        flight.order.landing.send_replace(Some(outcome));
        let is_unsaved = self.shelf().get_mut(key).is_some_and(Entry::begin_saving);
        is_unsaved.then(|| key.clone())
    }

    /// Asks the authority; a second time where only the clocks disagree.
    pub(super) async fn request(&self, wanted: &Wanted, refresh_token: Option<&Secret>) -> Answered {
        let answered = self.request_at(wanted, refresh_token, Timestamp::now()).await;
        let Err(failure) = &answered.granted else { return answered };
        let Some(theirs) = failure.clock().and_then(|ahead| Timestamp::now().checked_add(ahead).ok()) else {
            return answered;
        };
        let again = self.request_at(wanted, refresh_token, theirs).await;
        if again.granted.is_ok() {
            tracing::warn!(credential = %wanted.version.id, %failure, "a token was granted by the authority's time only");
        }
        again
    }

    async fn request_at(&self, wanted: &Wanted, refresh_token: Option<&Secret>, now: Timestamp) -> Answered {
        let Wanted { credential, authority, subject, .. } = wanted;
        let request = match Request::new(credential, authority, subject, refresh_token, now) {
            Ok(request) => request,
            Err(failure) => return Answered { granted: Err(failure), refresh_token: None },
        };
        let bound = self.options.request;
        let answer = timeout(bound, self.endpoint.post(&request.url, &request.form)).await;
        let answered = match answer.unwrap_or(Err(HttpError::TimedOut(bound))) {
            Ok(answer) => Answered {
                granted: Granted::from_answer(&answer, &request.form),
                refresh_token: refresh_token_in(&answer),
            },
            Err(error) => Answered { granted: Err(TokenFailure::from_http(&error)), refresh_token: None },
        };
        meters::requested(&answered.granted);
        answered
    }

    fn settle(&self, key: &Key, wanted: &Wanted, outcome: &Result<AccessToken, TokenFailure>) {
        let (id, grant) = (&wanted.version.id, wanted.credential.grant);
        let mut shelf = self.shelf();
        let Some(entry) = shelf.get_mut(key) else { return };
        entry.flight = None;
        let before = entry.trouble.take();
        match outcome {
            Ok(token) => {
                entry.token = Some(token.clone());
                entry.told.look(wanted, Instant::now());
                tracing::debug!(credential = %id, %grant, left = ?token.left(), "a new access token");
                if before.is_some() {
                    tracing::info!(credential = %id, %grant, "access tokens are granted again");
                }
            }
            Err(failure) => {
                let is_known = before.as_ref().is_some_and(|before| before.is_like(failure));
                if failure.kind() == FailureKind::Transient || is_known {
                    tracing::debug!(credential = %id, %grant, %failure, "no access token");
                } else {
                    tracing::warn!(credential = %id, %grant, %failure, "no access token");
                }
                entry.trouble = Some(Trouble::after(failure.clone(), before, Instant::now()));
            }
        }
    }
}

/// A flight under way. If it is dropped before it lands, whoever asks next may order another.
struct Flight<'t> {
    tokens: &'t Tokens,
    order: Order,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if self.order.landing.borrow().is_some() {
            return;
        }
        if let Some(entry) = self.tokens.shelf().get_mut(&self.order.key) {
            entry.flight = None;
        }
    }
}

/// The right to make the requests, given back at the end.
struct Run<'t> {
    tokens: &'t Tokens,
    orders: Orders,
}

struct Orders(Option<Receiver<Order>>);

impl Orders {
    async fn recv(&mut self) -> Option<Order> {
        self.0.as_mut()?.recv().await
    }
}

impl<'t> Run<'t> {
    fn begin(tokens: &'t Tokens) -> Option<Self> {
        let orders = Self::place(tokens).take()?;
        tokens.is_run.store(true, Ordering::Relaxed);
        Some(Self { tokens, orders: Orders(Some(orders)) })
    }

    fn place(tokens: &Tokens) -> MutexGuard<'_, Option<Receiver<Order>>> {
        tokens.ordered.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.tokens.is_run.store(false, Ordering::Relaxed);
        *Self::place(self.tokens) = self.orders.0.take();
    }
}

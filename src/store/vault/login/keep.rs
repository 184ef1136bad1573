//! Renews the token, and logs in anew before it ends, for as long as a node runs. It must never take the token away: while
//! the server is not there, an old one is no worse than none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::super::super::Health;
use super::super::failure::Failure;
use super::super::servers::Servers;
use super::backoff::{Backoff, PAUSE_MAX, chance};
use super::exchange::{Call, Life, known};
use super::method::Method;
use super::{Pilot, Tokens};
use crate::model::Secret;

/// How often a token is looked at that cannot be renewed, or that does not end; the file that it came from, too.
const LOOK_INTERVAL: Duration = Duration::from_secs(2 * 60);

/// No token is looked at more often, however soon it ends.
const LOOK_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Time to tell the server at the end that the token is no longer needed.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is done next for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Renew,
    /// Obtain another one.
    LogIn,
    /// Ask how long it still lives, and see whether there is another one where it came from.
    Look,
}

/// A token, how long it lives, and what is done next for it.
#[derive(Debug)]
pub(super) struct Lease {
    token: Arc<Secret>,
    /// `None` if it does not end.
    ends: Option<Instant>,
    /// What a renewal asks for.
    full: Duration,
    /// It cannot be renewed beyond `ends`.
    is_last: bool,
    step: Step,
    due: Instant,
    /// For steps that fail because the server is not there.
    backoff: Backoff,
}

impl Lease {
    /// As the server granted it in answer to a request that began then. What is not known is asked at once.
    pub(super) fn of(token: Arc<Secret>, life: Option<Life>, began: Instant, method: &Method) -> Self {
        match life {
            Some(life) => Self::new(token, life, !life.renewable, began, method),
            None => {
                let unknown = Life { left: None, full: Duration::ZERO, renewable: false };
                Self { due: began, ..Self::new(token, unknown, false, began, method) }
            }
        }
    }

    fn new(token: Arc<Secret>, life: Life, is_last: bool, began: Instant, method: &Method) -> Self {
        let step = if life.left.is_some() && !is_last { Step::Renew } else { step_without_renewal(method, life) };
        let wait = match life.left {
            // Two thirds, a tenth of that more or less: the nodes of a cluster started together, and do not come together.
            Some(left) => left.mul_f64(2.0 / 3.0 * (0.9 + 0.2 * chance())),
            None => LOOK_INTERVAL,
        };
        let wait = if step == Step::Look { wait.clamp(LOOK_INTERVAL_MIN, LOOK_INTERVAL) } else { wait };
        Self {
            token,
            ends: life.left.map(|left| began + left),
            full: life.full,
            is_last,
            step,
            due: began + wait,
            backoff: Backoff::default(),
        }
    }

    pub(super) fn token(&self) -> &Arc<Secret> {
        &self.token
    }
}

/// What helps a token that cannot be renewed. Of a token that somebody else obtained there is no other to be had, only to
/// be found.
fn step_without_renewal(method: &Method, life: Life) -> Step {
    if life.left.is_none() || method.as_token().is_some() { Step::Look } else { Step::LogIn }
}

impl Tokens {
    /// Keeps a good token until `stop`, and then gives it back.
    pub(in super::super) async fn keep(&self, servers: &Servers, health: &Health, stop: CancellationToken) {
        let _kept = Kept::new(&self.is_kept);
        let keeping = async {
            loop {
                let (step, due) = self.plan(health);
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(due) => self.take(step, servers).await,
                }
            }
        };
        stop.run_until_cancelled(keeping).await;
        self.give_back(servers).await;
    }

    /// What is done next, and when.
    fn plan(&self, health: &Health) -> (Step, Instant) {
        let state = self.state();
        let until = state.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.until);
        health.token_expires(state.lease.as_ref().and_then(|lease| lease.ends).map(Instant::into_std));
        match &state.lease {
            Some(lease) if state.trouble.is_some() => (lease.step, lease.due.max(until)),
            Some(lease) => (lease.step, lease.due),
            None => (Step::LogIn, until),
        }
    }

    async fn take(&self, step: Step, servers: &Servers) {
        let token = servers.token();
        match (step, token) {
            (Step::Renew, Some(token)) => self.renew(servers, token).await,
            (Step::Look, Some(token)) => self.look(servers, token).await,
            // Whatever comes of it is noted, and the plan goes by that.
            (_, token) => drop(self.fly(servers, token.as_ref(), Pilot::Keeper).await),
        }
    }

    async fn renew(&self, servers: &Servers, token: Arc<Secret>) {
        let began = Instant::now();
        let call = Call::post("auth/token/renew-self".to_owned(), &json!({}));
        match call.make(servers, "renew_self", Some(&token)).await.and_then(|answer| Life::granted(&answer)) {
            Ok(life) => self.renewed(token, life, began),
            // It ended, was revoked, or may not renew itself: another one is better in each case.
            Err(Failure::Forbidden) => drop(self.fly(servers, Some(&token), Pilot::Keeper).await),
            Err(failure) if failure.says(known::NOT_RENEWABLE) => self.hasten(),
            Err(failure) => self.postpone(&failure),
        }
    }

    fn renewed(&self, token: Arc<Secret>, life: Life, began: Instant) {
        let full = self.state().lease.as_ref().map_or(life.full, |lease| lease.full);
        // Shorter than asked for: the maximum is near. A little is lost to whole seconds.
        let is_last = !life.renewable || life.left.is_some_and(|left| left < full.mul_f64(0.9));
        if let (true, Some(login)) = (is_last, self.method.as_token()) {
            let left = life.left.unwrap_or_default();
            tracing::warn!(?left, place = %login.place, "the token cannot be renewed any further: put a new one there");
        }
        let life = Life { full, ..life };
        self.hold(Lease::new(token, life, is_last, began, &self.method));
    }

    async fn look(&self, servers: &Servers, token: Arc<Secret>) {
        if self.method.as_token().is_some_and(|login| login.has_other_than(&token)) {
            return drop(self.fly(servers, Some(&token), Pilot::Keeper).await);
        }
        let began = Instant::now();
        match Life::look_up(servers, &token).await {
            Ok(life) => {
                let was_last =
                    self.state().lease.as_ref().is_some_and(|lease| Arc::ptr_eq(&lease.token, &token) && lease.is_last);
                self.hold(Lease::new(token, life, was_last || !life.renewable, began, &self.method));
            }
            Err(Failure::Forbidden) => drop(self.fly(servers, Some(&token), Pilot::Keeper).await),
            Err(failure) => self.postpone(&failure),
        }
    }

    /// The server is not there, or not well: the same step is tried again.
    fn postpone(&self, failure: &Failure) {
        if let Some(lease) = &mut self.state().lease {
            tracing::debug!(%failure, step = ?lease.step, "the token of the store is seen to later");
            lease.due = Instant::now() + lease.backoff.next(PAUSE_MAX);
        }
    }

    /// The token will not do any longer: what helps is done as soon as it may be.
    pub(super) fn hasten(&self) {
        if let Some(lease) = &mut self.state().lease {
            lease.step = if self.method.as_token().is_some() { Step::Look } else { Step::LogIn };
            lease.due = Instant::now();
        }
        self.changed.notify_one();
    }

    /// A token that a login obtained is of no use to anybody once this process ends: whoever finds it later in a copy of
    /// its memory, or in its swap, finds nothing, and the server has one lease less to count. A token that somebody else
    /// obtained is theirs.
    pub(in super::super) async fn give_back(&self, servers: &Servers) {
        let Some(token) = servers.token().filter(|_| self.method.as_token().is_none()) else { return };
        let call = Call::post("auth/token/revoke-self".to_owned(), &json!({}));
        match timeout(REVOKE_TIMEOUT, call.tell(servers, "revoke_self", &token)).await {
            Ok(Ok(())) => servers.set_token(None),
            Ok(Err(failure)) => tracing::debug!(%failure, "the token of the store is left to end by itself"),
            Err(_) => tracing::debug!("the token of the store is left to end by itself: the server does not answer"),
        }
    }
}

/// Says that [`Tokens::keep`] runs, for as long as it does.
struct Kept<'t>(&'t AtomicBool);

impl<'t> Kept<'t> {
    fn new(flag: &'t AtomicBool) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(flag)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

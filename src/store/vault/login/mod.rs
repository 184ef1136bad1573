//! How Locum comes by a token for the server, and keeps it alive. It must never give up, ask the server more often than the
//! pauses allow, or let a byte of a token, a secret id or a service account token into an error, a log or a `Debug`.
//!
//! - [`Tokens::log_in`]: for whoever finds that there is no token, or that it is refused. One login at a time.
//! - [`Tokens::keep`] (`keep`): renews, and logs in anew in time.
//! - `bearer`: whose token it is. `method`: which way leads to it. `token`, `approle`, `kubernetes`, `certificate`: the ways, each with its advice.
//! - `exchange`: the requests. `setback`: why there is no token. `backoff`: when to try again.

mod approle;
mod backoff;
mod bearer;
mod certificate;
mod exchange;
mod keep;
mod kubernetes;
mod method;
mod setback;
#[cfg(test)]
mod tests;
mod token;

use std::ffi::OsString;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use self::backoff::{Backoff, LASTING_PAUSE_MAX, PAUSE_MAX};
use self::bearer::Bearer;
use self::keep::Lease;
use self::method::Method;
use self::setback::Setback;
use super::super::{OpenError, StoreError};
use super::servers::Servers;
use super::{Login, Rights, source};
use crate::model::Secret;

/// The token's keeper.
pub(super) struct Tokens {
    bearer: Bearer,
    method: Method,
    /// One login at a time; who waited finds the token there.
    flight: Semaphore,
    state: Mutex<State>,
    /// There is something new for [`Tokens::keep`] to plan by.
    changed: Notify,
    /// Whether [`Tokens::keep`] runs.
    is_kept: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Of the token that the servers are shown.
    lease: Option<Lease>,
    /// Why there is no better one, if the last login failed.
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    setback: Setback,
    backoff: Backoff,
    /// No attempt before this.
    until: Instant,
}

/// Who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pilot {
    /// A call to the store, which may be dropped at any time.
    Caller,
    /// [`Tokens::keep`].
    Keeper,
}

impl Tokens {
    /// Prepares everything that needs no server.
    pub(super) fn new(login: &Login, rights: Rights) -> Result<Self, OpenError> {
        Self::with(login, rights, &source::variable)
    }

    fn with(login: &Login, rights: Rights, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, OpenError> {
        let (bearer, login) = Bearer::choose(login, rights, variable)?;
        Ok(Self {
            bearer,
            method: Method::new(&login, bearer, variable)?,
            flight: Semaphore::new(1),
            state: Mutex::default(),
            changed: Notify::new(),
            is_kept: AtomicBool::new(false),
        })
    }

    /// Obtains a token, unless there is another one than `refused` already. After an attempt that failed, its error is
    /// told again until the next one is due.
    pub(super) async fn log_in(&self, servers: &Servers, refused: Option<&Arc<Secret>>) -> Result<(), StoreError> {
        Ok(self.fly(servers, refused, Pilot::Caller).await?)
    }

    /// What to do where a token that is good does not permit what was asked.
    pub(super) fn denied(&self) -> String {
        self.bearer.denied(&self.method.token())
    }

    /// What to do where it does not even show whether there is an engine at the mount.
    pub(super) fn unseen(&self, mount: &str) -> String {
        self.bearer.unseen(&self.method.token(), mount)
    }

    async fn fly(&self, servers: &Servers, refused: Option<&Arc<Secret>>, pilot: Pilot) -> Result<(), Setback> {
        let _flight = self.flight.acquire().await.expect("it is never closed");
        if servers.token().is_some_and(|token| refused.is_none_or(|refused| !Arc::ptr_eq(&token, refused))) {
            return Ok(());
        }
        if let Some(setback) = self.standing() {
            return Err(setback);
        }
        if pilot == Pilot::Caller && self.is_kept.load(Ordering::Relaxed) && self.method.is_delicate() {
            self.hasten();
            return Err(Setback::Passing("the login to the store is under way".to_owned()));
        }
        let began = Instant::now();
        match self.method.obtain(servers, refused.map(|token| &**token)).await {
            Ok(granted) => {
                servers.set_token(Some(granted.token));
                if let Some(token) = servers.token() {
                    self.hold(Lease::of(token, granted.life, began, &self.method));
                }
                Ok(())
            }
            Err(setback) => Err(self.note(setback)),
        }
    }

    /// The last setback, while it is too early for another attempt.
    fn standing(&self) -> Option<Setback> {
        let state = self.state();
        let trouble = state.trouble.as_ref().filter(|trouble| Instant::now() < trouble.until)?;
        Some(trouble.setback.clone())
    }

    /// There is a token, or new knowledge of it.
    fn hold(&self, lease: Lease) {
        let mut state = self.state();
        let is_new = state.lease.as_ref().is_none_or(|before| !Arc::ptr_eq(before.token(), lease.token()));
        if state.trouble.take().is_some() || state.lease.is_none() {
            tracing::info!(method = %self.method, "logged in to the store");
        } else if is_new {
            tracing::debug!(method = %self.method, "logged in to the store anew");
        }
        state.lease = Some(lease);
        drop(state);
        self.changed.notify_one();
    }

    /// A login failed: none is tried again before a pause is over. Said in the log once, not at each attempt.
    fn note(&self, setback: Setback) -> Setback {
        let mut state = self.state();
        let before = state.trouble.take();
        if before.as_ref().is_none_or(|before| before.setback != setback) {
            tracing::warn!(method = %self.method, %setback, "cannot log in to the store");
        }
        let mut backoff = before.map_or_else(Backoff::default, |before| before.backoff);
        let max = match setback {
            Setback::Passing(_) => PAUSE_MAX,
            Setback::Lasting(_) => LASTING_PAUSE_MAX,
        };
        let until = Instant::now() + backoff.next(max);
        state.trouble = Some(Trouble { setback: setback.clone(), backoff, until });
        drop(state);
        self.hasten();
        setback
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("method", &format_args!("{}", self.method)).finish_non_exhaustive()
    }
}

//! Access tokens, in memory alone, ready when they are wanted: got ahead of their end, once however many ask, and never
//! thrown away because the authority is in trouble. It must never send a refresh token again that the authority called dead,
//! nor use one that is not stored yet.
//!
//! - `life`: how a token ages. `shelf`: what is known under each key. `trouble`: when to ask again.
//! - `flights`: the requests, run by [`Tokens::run`]. `refresh`: those with a refresh token. `meters`: what is counted.

mod ends;
mod flights;
mod life;
mod meters;
mod refresh;
mod shelf;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use self::flights::Order;
use self::life::Age;
use self::shelf::{Entry, Key, Shelf};
use self::trouble::Trouble;
use super::failure::FailureKind;
use super::{OAuth2, RefreshTokens, TokenEndpoint, TokenFailure};
use crate::credential::CredentialVersion;
use crate::model::{Authority, Shield};

pub use life::AccessToken;

/// Requests that wait for their turn, and as many before they are looked at. Beyond that an authority, or the store, is far
/// too slow for more.
const ORDERS_MAX: usize = 4096;

/// A login that has a token, if one that is about to end, waits no longer for the next: mail clients give up after some ten
/// seconds, and the provider needs some of those.
const SPARE_WAIT: Duration = Duration::from_secs(2);

/// Bounds for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// So long before its end the next token is got, or a quarter of its life if that is less: time enough for an outage of
    /// the authority that nobody notices.
    pub refresh_ahead: Duration,
    /// A provider that refuses a younger token does not refuse it for its age: another one would be no better. It is also
    /// how rarely a mailbox that takes no token makes us ask for one.
    pub young: Duration,
    /// How long a login waits for a token.
    pub wait: Duration,
    /// Time for one request to the authority.
    pub request: Duration,
    /// Tokens kept at the most.
    pub tokens_max: usize,
    /// Requests to one authority at once. One that hangs is not to hold up those to another.
    pub at_once: usize,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            refresh_ahead: Duration::from_secs(15 * 60),
            young: Duration::from_secs(5 * 60),
            wait: Duration::from_secs(20),
            request: Duration::from_secs(15),
            tokens_max: 100_000,
            at_once: 32,
        }
    }
}

/// For what a token is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which version of the credential it is.
    pub version: CredentialVersion,
    /// Under which id its refresh token is kept, if it needs one: versions that differ in their proof alone share one.
    pub kept_under: String,
    /// The credential.
    pub credential: OAuth2,
    /// Who issues the token.
    pub authority: Authority,
    /// The mailbox that it is for. Only a service account's token is for one alone.
    pub subject: String,
}

/// Gets access tokens and keeps them while they live.
pub struct Tokens {
    endpoint: Arc<dyn TokenEndpoint>,
    refresh_tokens: Arc<dyn RefreshTokens>,
    options: TokenOptions,
    /// Tokens are kept under it.
    shield: Shield,
    shelf: Mutex<Shelf>,
    /// The right to ask, by token endpoint. There are as many as the configuration names.
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
    orders: Sender<Order>,
    /// Whoever runs has it.
    ordered: Mutex<Option<Receiver<Order>>>,
    is_run: AtomicBool,
}

/// What there is for who asks.
enum Asked {
    Token(AccessToken),
    Flight {
        flight: watch::Receiver<Option<Result<AccessToken, TokenFailure>>>,
        /// What will do if the flight brings none.
        spare: Option<AccessToken>,
    },
}

impl Tokens {
    /// Tokens from that endpoint, by what is kept there.
    pub fn new(
        endpoint: Arc<dyn TokenEndpoint>,
        refresh_tokens: Arc<dyn RefreshTokens>,
        options: TokenOptions,
    ) -> Self {
        meters::describe();
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        Self {
            endpoint,
            refresh_tokens,
            shelf: Mutex::new(Shelf::new(options.tokens_max)),
            turns: Mutex::default(),
            options,
            shield: shield(),
            orders,
            ordered: Mutex::new(Some(ordered)),
            is_run: AtomicBool::new(false),
        }
    }

    /// A token that can be presented now. One that is about to end will do while there is no other.
    ///
    /// # Errors
    /// If there is none to be had.
    pub async fn access_token(&self, wanted: &Wanted) -> Result<AccessToken, TokenFailure> {
        let asked = self.ask(wanted, None)?;
        self.wait(asked).await
    }

    /// A provider refused that token: one that is newer. `None` if it was new itself, for then it was not refused for its
    /// age.
    ///
    /// # Errors
    /// As [`Tokens::access_token`].
    pub async fn another(&self, wanted: &Wanted, refused: &AccessToken) -> Result<Option<AccessToken>, TokenFailure> {
        let now = Instant::now();
        let is_better = |token: &AccessToken| token.is_newer_than(refused) && token.age(now) != Age::Over;
        let known = self.shelf().get(&Key::of(wanted)).and_then(|entry| entry.token.clone()).filter(is_better);
        if known.is_some() || refused.is_younger_than(self.options.young, now) {
            return Ok(known);
        }
        let asked = self.ask(wanted, Some(refused))?;
        self.wait(asked).await.map(Some)
    }

    /// How many access tokens live, and the least time that one of them has left.
    pub fn living(&self) -> (usize, Option<Duration>) {
        self.shelf().living(Instant::now())
    }

    /// Forgets why there was no token, if it was for something that somebody may have mended: whoever asks next asks the
    /// authority. What the authority asked to wait for stands.
    pub fn forgive(&self, wanted: &Wanted) {
        if let Some(entry) = self.shelf().get_mut(&Key::of(wanted)) {
            entry.trouble = entry.trouble.take().filter(Trouble::passes);
        }
    }

    /// What there is now, with a request ordered if it takes one. `refused` is as good as none.
    fn ask(&self, wanted: &Wanted, refused: Option<&AccessToken>) -> Result<Asked, TokenFailure> {
        let (now, key) = (Instant::now(), Key::of(wanted));
        let mut shelf = self.shelf();
        let Some(entry) = shelf.entry(&key, now) else {
            return Err(ours("more tokens are in use than can be kept", "see how many mailboxes this node serves"));
        };
        let token = entry.token.clone().filter(|token| refused.is_none_or(|refused| token.is_newer_than(refused)));
        let spare = match token.map(|token| (token.age(now), token)) {
            Some((Age::Fresh, token)) => return Ok(Asked::Token(token)),
            Some((Age::Due, token)) => {
                if entry.flight.is_none() && entry.standing(now).is_none() {
                    // If it cannot be ordered now, whoever asks next tries again.
                    drop(self.order(entry, key, wanted));
                }
                return Ok(Asked::Token(token));
            }
            Some((Age::NearlyOver, token)) => Some(token),
            Some((Age::Over, _)) | None => None,
        };
        let flight = match (&entry.flight, entry.standing(now)) {
            (Some(flight), _) => Ok(flight.clone()),
            (None, Some(failure)) => Err(failure),
            (None, None) => self.order(entry, key, wanted),
        };
        match (flight, spare) {
            (Ok(flight), spare) => Ok(Asked::Flight { flight, spare }),
            (Err(_), Some(spare)) => Ok(Asked::Token(spare)),
            (Err(failure), None) => Err(failure),
        }
    }

    fn order(
        &self,
        entry: &mut Entry,
        key: Key,
        wanted: &Wanted,
    ) -> Result<watch::Receiver<Option<Result<AccessToken, TokenFailure>>>, TokenFailure> {
        let (landing, flight) = watch::channel(None);
        let order = Order { key, wanted: wanted.clone(), landing };
        if self.orders.try_send(order).is_err() {
            let remedy = "nothing to do if it passes; else see why the authority or the store is slow";
            return Err(ours("too many requests for tokens are waiting already", remedy));
        }
        entry.flight = Some(flight.clone());
        Ok(flight)
    }

    async fn wait(&self, asked: Asked) -> Result<AccessToken, TokenFailure> {
        let (mut flight, spare) = match asked {
            Asked::Token(token) => return Ok(token),
            Asked::Flight { flight, spare } => (flight, spare),
        };
        let wait = if spare.is_some() { self.options.wait.min(SPARE_WAIT) } else { self.options.wait };
        let landed = timeout(wait, flight.wait_for(Option::is_some)).await;
        let outcome = match landed {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(not_run())),
            Ok(Err(_)) => Err(not_run()),
            Err(_) if !self.is_run.load(Ordering::Relaxed) => Err(not_run()),
            Err(_) => {
                let cause = format!("the authority has not granted a token within {wait:?}");
                Err(ours(&cause, "nothing to do if it passes: the request goes on"))
            }
        };
        outcome.or_else(|failure| spare.filter(|token| token.age(Instant::now()) != Age::Over).ok_or(failure))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().expect("nothing panics while it holds this lock")
    }
}

/// Under a key by lot. One that anybody knows would be worse than none.
fn shield() -> Shield {
    let mut key = Zeroizing::new([0; Shield::KEY_BYTES]);
    SystemRandom::new().fill(key.as_mut_slice()).expect("the system gives random bytes: TLS took some before this");
    Shield::new(&key)
}

fn ours(cause: &str, remedy: &str) -> TokenFailure {
    TokenFailure::of(FailureKind::Transient, cause, remedy)
}

fn not_run() -> TokenFailure {
    ours("nobody asks for tokens in this process: it is starting, or being stopped", "nothing to do if it passes")
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("options", &self.options).finish_non_exhaustive()
    }
}

//! Requests with a token: logging in before the first, and again where the token turns out to be refused. Keeps the health
//! up to date.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vaultrs::client::VaultClient;
use vaultrs::error::ClientError;
use vaultrs::{api, token};

use super::super::StoreError;
use super::Vault;
use super::failure::Failure;
use super::requests::Plain;
use super::servers::{READ_FEED, READ_TICKETS, Reach, WRITE, WRITE_USAGE};
use crate::model::Secret;

/// Between two logins, where the token that the first one obtained was refused as well.
const LOGINS_APART: Duration = Duration::from_secs(10);

/// Why a request had no success: the request itself, or the login before it.
#[derive(Debug)]
pub(super) enum Trouble {
    Request(Failure),
    Login(StoreError),
    /// The token is good, and does not permit it. What to do about that.
    Denied(String),
}

impl Trouble {
    /// Whether a request that changes something may have had its effect all the same.
    pub(super) fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Request(Failure::Failing { .. } | Failure::Unreachable(_)))
    }

    /// For the callers of the store. `about` says what was tried.
    pub(super) fn into_store_error(self, about: &str) -> StoreError {
        match self {
            Self::Request(failure) => failure.into_store_error(about),
            Self::Login(error) => error,
            Self::Denied(advice) => StoreError::Config(format!("{about}: {advice}")),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Request(failure)
    }
}

impl Vault {
    /// A request that changes nothing.
    pub(super) async fn ask<T, F, Fut>(&self, reach: Reach, operation: &'static str, request: F) -> Result<T, Trouble>
    where
        F: Fn(VaultClient) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        self.observed(operation, async {
            self.prove().await?;
            self.read_authorised(reach, operation, request).await
        })
        .await
    }

    /// A request that changes something. If it fails transiently, it may still have had its effect.
    pub(super) async fn order<T, F, Fut>(&self, operation: &'static str, request: F) -> Result<T, Trouble>
    where
        F: Fn(VaultClient) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        self.observed(operation, async {
            self.prove().await?;
            self.authorised(|_| self.servers.write(operation, &request)).await
        })
        .await
    }

    /// The same for a request without a body, before it is proven that there is an engine to ask.
    pub(super) async fn inquire(&self, operation: &'static str, request: Plain) -> Result<Value, Trouble> {
        self.read_authorised(Reach::Any, operation, |client| {
            let request = request.clone();
            async move { api::exec_with_result(&client, request).await }
        })
        .await
    }

    /// A request that changes nothing, of which the health is not told.
    pub(super) async fn read_authorised<T, F, Fut>(
        &self,
        reach: Reach,
        operation: &'static str,
        request: F,
    ) -> Result<T, Trouble>
    where
        F: Fn(VaultClient) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        self.authorised(|is_first| {
            // A standby may not know yet of a token, a policy or a mount that the active server does.
            let reach = if is_first { reach } else { Reach::Active };
            self.servers.read(reach, operation, &request)
        })
        .await
    }

    /// Tells the health what became of a request.
    pub(super) async fn observed<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let began = Instant::now();
        let outcome = request.await.map_err(|trouble| match trouble {
            Trouble::Request(failure) if self.is_proven.load(Ordering::Relaxed) => failure.of_known_server().into(),
            trouble => trouble,
        });
        match &outcome {
            // One call that fails says nothing of a store that has answered others since.
            Err(_) if self.health.has_answered_since(began) => {}
            Err(Trouble::Login(error)) => self.health.failed(error),
            // Records are what clients wait for, and whether these are denied, too, is not known yet.
            Err(Trouble::Denied(_)) if operation == READ_FEED => {}
            // No client waits for what a node tells of itself, nor for keys of tickets: one whose policy is an older one serves
            // as well as before.
            Err(Trouble::Denied(_)) if operation == WRITE_USAGE || operation == READ_TICKETS => {}
            // What a node may not write, such as the clients of a window of enrolment, it may read all the same; and whoever
            // wanted it written is told why it was not.
            Err(Trouble::Denied(_)) if operation == WRITE => {}
            // Where nothing is granted, or mounted, a node is as badly off as without a server.
            Err(Trouble::Denied(advice)) => self.health.failed(&StoreError::Config(advice.clone())),
            Err(Trouble::Request(failure)) if failure.is_of_one_server() || *failure == Failure::NotMounted => {
                self.health.failed(&failure.clone().into_store_error("the store cannot be asked"));
            }
            Ok(_) | Err(Trouble::Request(_)) => self.health.answered(),
        }
        outcome
    }

    /// Makes a request with a token, and with a new one if the token is what was refused.
    async fn authorised<T, F, Fut>(&self, request: F) -> Result<T, Trouble>
    where
        F: Fn(bool) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        if self.servers.token().is_none() {
            self.log_in(None).await?;
        }
        let token = self.servers.token();
        for is_first in [true, false] {
            match request(is_first).await {
                Err(Failure::Forbidden) => {}
                outcome => return Ok(outcome?),
            }
        }
        // An invalid token and a missing right are refused in the same way; the token's own state tells which it was.
        let mut is_anew = false;
        let look_up = |client| async move { token::lookup_self(&client).await.map(drop) };
        let is_shown = || self.servers.token().zip(token.as_ref()).is_some_and(|(now, then)| Arc::ptr_eq(&now, then));
        match self.servers.read(Reach::Active, "lookup_self", look_up).await {
            Ok(()) if is_shown() => return Err(self.denied()),
            // Another request has logged in since, and it is the new token that is good.
            Ok(()) => {}
            Err(Failure::Forbidden) => {
                self.wait_to_log_in_anew()?;
                self.log_in(token.as_ref()).await?;
                is_anew = true;
            }
            Err(other) => return Err(other.into()),
        }
        request(false).await.map_err(|failure| match failure {
            Failure::Forbidden => {
                *self.refused_anew() = is_anew.then(Instant::now);
                self.denied()
            }
            failure => failure.into(),
        })
    }

    fn denied(&self) -> Trouble {
        Trouble::Denied(self.tokens.denied())
    }

    /// A token without the policy `default` may not ask for its own state either, and then a missing right looks like a
    /// dead token at each request. Each login leaves a lease at the server, so there must be few.
    fn wait_to_log_in_anew(&self) -> Result<(), Trouble> {
        if self.refused_anew().is_none_or(|then| then.elapsed() >= LOGINS_APART) {
            return Ok(());
        }
        let text = "the server denies it (403) to a new token, too, and does not let the token ask why: give it the \
                    policies for it (config/deploy/vault), and `default`";
        Err(Trouble::Login(StoreError::Unavailable(text.into())))
    }

    fn refused_anew(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused_anew.lock().expect("nothing panics while it holds this lock")
    }

    /// A login that cannot succeed keeps a node from starting. One that has had its records already goes on as in any
    /// outage: its clients are not to stand still because a role was taken away by mistake, and after `max-stale` they do.
    async fn log_in(&self, refused: Option<&Arc<Secret>>) -> Result<(), Trouble> {
        self.tokens.log_in(&self.servers, refused).await.map_err(|error| match error {
            StoreError::Config(text) if self.is_proven.load(Ordering::Relaxed) => {
                Trouble::Login(StoreError::Unavailable(text))
            }
            error => Trouble::Login(error),
        })
    }
}

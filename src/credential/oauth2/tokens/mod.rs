//! Access tokens, in memory alone, ready when they are wanted: got ahead of their end, once however many ask, and never
//! thrown away because the authority is in trouble.

mod life;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Grant, Granted, OAuth2, RefreshTokens, Request, TokenEndpoint, TokenFailure};
use crate::credential::CredentialVersion;
use crate::model::Authority;

pub use life::AccessToken;

/// Bounds for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// So long before its end the next token is got, or a quarter of its life if that is less: time enough for an outage of
    /// the authority that nobody notices.
    pub refresh_ahead: Duration,
    /// How long a login waits for a token.
    pub wait: Duration,
    /// Time for one request to the authority.
    pub request: Duration,
    /// Tokens kept at the most.
    pub tokens_max: usize,
    /// Requests at once.
    pub at_once: usize,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            refresh_ahead: Duration::from_secs(15 * 60),
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
    /// Which version of the credential it is; its id is what its refresh token is kept under.
    pub version: CredentialVersion,
    /// The credential.
    pub credential: OAuth2,
    /// Who issues the token.
    pub authority: Authority,
    /// The mailbox that it is for. Only a service account's token is for one alone.
    pub subject: String,
}

/// Gets access tokens and keeps them while they live.
#[derive(Debug)]
pub struct Tokens {
    endpoint: Arc<dyn TokenEndpoint>,
    refresh_tokens: Arc<dyn RefreshTokens>,
    options: TokenOptions,
}

impl Tokens {
    /// Tokens from that endpoint, by what is kept there.
    pub fn new(
        endpoint: Arc<dyn TokenEndpoint>,
        refresh_tokens: Arc<dyn RefreshTokens>,
        options: TokenOptions,
    ) -> Self {
        Self { endpoint, refresh_tokens, options }
    }

    /// Makes the requests, until `stop`. Nothing is asked of an authority unless this runs: what a login began goes on when
    /// the login is dropped, so that no refresh token is lost.
    pub async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }

    /// A token that can be presented now.
    ///
    /// # Errors
    /// If there is none to be had.
    pub async fn access_token(&self, wanted: &Wanted) -> Result<AccessToken, TokenFailure> {
        let began = Instant::now();
        let kept = match wanted.credential.grant {
            Grant::RefreshToken => {
                let kept = self.refresh_tokens.read(&wanted.version.id, false).await;
                kept.map_err(|error| TokenFailure::from_kept(&error))?
            }
            Grant::ClientCredentials | Grant::ServiceAccount => None,
        };
        let (credential, authority) = (&wanted.credential, &wanted.authority);
        let request = Request::new(credential, authority, &wanted.subject, kept.as_ref(), Timestamp::now())?;
        let answer = self.endpoint.post(&request.url, &request.form).await;
        let answer = answer.map_err(|error| TokenFailure::from_http(&error))?;
        let granted = Granted::from_answer(&answer, &request.form)?;
        Ok(AccessToken::new(&granted, began, self.options.refresh_ahead))
    }

    /// A provider refused that token: one that is newer. `None` if it was new itself, for then it was not refused for its
    /// age.
    ///
    /// # Errors
    /// As [`Tokens::access_token`].
    pub async fn another(&self, wanted: &Wanted, refused: &AccessToken) -> Result<Option<AccessToken>, TokenFailure> {
        if refused.is_young(Instant::now()) {
            return Ok(None);
        }
        self.access_token(wanted).await.map(Some)
    }
}

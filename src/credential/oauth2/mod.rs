//! OAuth2 (RFC 6749): what an application or a person is known by to a provider's authority, and how access tokens come of
//! it. A record holds an [`OAuth2`]; logins present an access token, which lives in memory alone.
//!
//! - [`OAuth2`]: to and from the record. [`Grant`]: by which right tokens are asked for.
//! - [`Tokens`]: access tokens, ready when they are wanted. [`TokenFailure`]: why there is none.
//! - [`Request`], [`Granted`]: one exchange with a token endpoint, for those who have a grant of their own.
//! - [`DeviceCode`], [`AuthorizationCode`]: the two ways to a refresh token, for a person at a browser.
//! - [`successor`]: the next version, with another proof; [`new_key`]: a proof that is made here.
//! - [`TokenEndpoint`]: the HTTP that is handed in. [`RefreshTokens`]: where refresh tokens are kept, handed in, too.

mod answer;
mod assertion;
mod authorization_code;
mod causes;
mod device_code;
mod failure;
mod keys;
mod member;
mod new_key;
mod record;
mod request;
mod succession;
#[cfg(test)]
mod tests;
mod tokens;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::Secret;

pub use answer::Granted;
pub use authorization_code::{AuthorizationCode, Redirected};
pub use device_code::DeviceCode;
pub use failure::{FailureKind, TokenFailure};
pub use new_key::{KEY_BITS, new_key, thumbprint};
pub use request::Request;
pub use succession::{is_made_here, kept_in, kept_under, proof, successor, with_key_made_here};
pub use tokens::{AccessToken, TokenOptions, Tokens, Wanted};

/// An OAuth2 credential.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2 {
    /// The directory or organisation that the authority knows the application in; in the URLs it stands for `{tenant}`.
    /// Google has none.
    pub tenant: Option<String>,
    /// The application's id at the authority (`client_id`).
    pub client_id: String,
    /// How the application proves itself.
    pub authentication: Authentication,
    /// By which right it asks for tokens.
    pub grant: Grant,
}

/// How an application proves itself to the authority.
#[derive(Debug, Clone, PartialEq)]
pub enum Authentication {
    /// Not at all: a public client (RFC 6749 section 2.1).
    Public,
    /// By a secret (RFC 6749 section 2.3.1).
    Secret {
        /// The secret.
        secret: Secret,
        /// When it ends, as the operator read it in the portal: the authority does not tell.
        expires: Option<Timestamp>,
    },
    /// By a signature that a certificate checks (RFC 7523; Microsoft, "application authentication certificate
    /// credentials").
    Certificate {
        /// The certificate, in PEM form.
        certificate: String,
        /// Its RSA key, in PEM form.
        key: Secret,
    },
    /// By a signature of a key that the authority made (RFC 7523; Google).
    Key {
        /// The RSA key, in PEM form.
        key: Secret,
        /// What the authority calls it.
        id: Option<String>,
    },
}

/// By which right tokens are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The application's own (RFC 6749 section 4.4): it may act as the mailboxes that an administrator gave it.
    ClientCredentials,
    /// A person's, by a refresh token (RFC 6749 section 6). The token is no part of this, since it changes: it is kept under
    /// the id of the version that the person consented to ([`kept_under`]).
    RefreshToken,
    /// A service account's with domain-wide delegation (RFC 7523 section 2.1; Google, "Using OAuth 2.0 for Server to Server
    /// Applications"): `client_id` is its address, and its key signs for one mailbox at a time.
    ServiceAccount,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientCredentials => "client credentials",
            Self::RefreshToken => "refresh token",
            Self::ServiceAccount => "service account",
        })
    }
}

/// HTTP to an authority. Whoever implements it verifies TLS for the URL's host, follows no redirect, and bounds time and
/// size.
#[async_trait]
pub trait TokenEndpoint: Send + Sync + fmt::Debug {
    /// Posts a form (`application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// If there is no answer. An answer of any status is one.
    async fn post(&self, url: &str, form: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError>;
}

/// What an authority answered.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Of `Retry-After`, whichever of its two forms it has (RFC 9110 section 10.2.3).
    pub retry_after: Option<Duration>,
    /// What time it is there.
    pub date: Option<Timestamp>,
    /// The body: tokens are in it.
    pub body: Secret,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It cannot be reached, or breaks off.
    #[error("{0}")]
    Unreachable(String),
    /// It does not prove to be who it should be.
    #[error("its certificate is not trusted: {0}")]
    Untrusted(String),
    /// It takes too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Its answer has no end.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Where refresh tokens are kept, each under the id of the credential that a person consented to. All nodes share it.
#[async_trait]
pub trait RefreshTokens: Send + Sync + fmt::Debug {
    /// The token as it is kept now; as of the last write anywhere if `latest`.
    ///
    /// # Errors
    /// [`KeptError`].
    async fn read(&self, credential: &str, latest: bool) -> Result<Option<Secret>, KeptError>;

    /// Puts `new` in the place of `old`, if that is what is kept now.
    ///
    /// # Errors
    /// [`KeptError`]; the token may have been written nevertheless.
    async fn replace(&self, credential: &str, old: &Secret, new: &Secret) -> Result<Replaced, KeptError>;
}

/// What became of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// It is kept.
    Done,
    /// Another node was faster: this is kept.
    Other(Secret),
    /// None is kept any more: somebody removed it.
    Gone,
}

/// Kept refresh tokens are out of reach; in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeptError(pub String);

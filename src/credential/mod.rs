//! Floor 2: credentials: what a stored one is made of, and how it becomes something to log in with. A kind is one file
//! here and one variant of [`CredentialKind`]. This room knows no store and no protocol.

mod app_password;
pub mod oauth2;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use crate::model::{Account, Authority, CredentialKind, Endpoint, Profile, Protocol, Secret, StoredCredential};
use crate::sasl::Credentials;

use oauth2::{AccessToken, Authentication, OAuth2, TokenFailure, Wanted};

pub use app_password::{new as new_app_password, presented as presented_password, secret as app_password_of};

/// The most bytes that a credential may have; the longest app passwords known have under 40.
pub const SECRET_BYTES_MAX: usize = 1024;

/// Why no credential can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The account has none.
    #[error("the account has no credential; give it one with `locum account set`")]
    None,
    /// The provider takes no password for this protocol.
    #[error("{upstream} takes no password for {protocol}, app passwords included")]
    PasswordsNotTaken {
        /// The upstream profile.
        upstream: String,
        /// The protocol.
        protocol: Protocol,
    },
    /// The provider takes no access token for this protocol, or it is not known who issues them.
    #[error("{upstream} has no OAuth2 for {protocol}; if it has, give [upstream.{upstream}.oauth2] a token-url")]
    TokensNotTaken {
        /// The upstream profile.
        upstream: String,
        /// The protocol.
        protocol: Protocol,
    },
    /// It was tried, and is not to be tried again.
    #[error("the provider refused it")]
    Refused,
    /// No access token can be had.
    #[error(transparent)]
    Token(#[from] TokenFailure),
    /// There is nothing in it.
    #[error("the app password is empty")]
    Empty,
    /// It is longer than any credential is.
    #[error("the app password is longer than {SECRET_BYTES_MAX} bytes; was something else pasted?")]
    TooLong,
    /// It could end the line it stands in.
    #[error("the app password contains a control character or a line break; paste the password alone")]
    ControlCharacter,
    /// A part of it is wrong.
    #[error("the OAuth2 credential cannot be used: {0}")]
    Unusable(String),
    /// The record lacks a part.
    #[error("the {kind} in the record lacks its {part}")]
    Incomplete {
        /// The kind.
        kind: CredentialKind,
        /// What is missing.
        part: &'static str,
    },
}

impl CredentialError {
    /// Whether the provider does not take the kind for the protocol, whatever there is of it.
    pub fn is_not_taken(&self) -> bool {
        matches!(self, Self::PasswordsNotTaken { .. } | Self::TokensNotTaken { .. })
    }
}

/// Another one in each process, so that a fingerprint tells nothing outside of it.
static FINGERPRINTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Which version of a credential it is. Whoever edits a record by hand may put another secret under the same id, and that
/// is another version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialVersion {
    /// The id that it has in the record.
    pub id: String,
    fingerprint: u64,
    retries: u32,
}

impl CredentialVersion {
    /// The version that has this id and this secret.
    pub fn new(id: &str, secret: &Secret) -> Self {
        Self { id: id.to_owned(), fingerprint: FINGERPRINTS.hash_one(secret.expose()), retries: 0 }
    }

    /// The same, after an operator said so often that it is to be tried again: what was known against it is over.
    #[must_use]
    pub fn after_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }
}

/// A credential that can be presented now.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Which version of it.
    pub version: CredentialVersion,
    /// Kind, name and secret.
    pub credentials: Credentials,
    /// Where the secret is an access token: what it came of.
    pub issued: Option<Issued>,
}

/// An access token, and what it was asked for with: to ask for another one if it is refused.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The request.
    pub wanted: Arc<Wanted>,
    /// The answer.
    pub token: AccessToken,
}

impl Ready {
    /// Which version it is in the store: each access token is a version by itself, and many come of one.
    pub fn stored_version(&self) -> &CredentialVersion {
        self.issued.as_ref().map_or(&self.version, |issued| &issued.wanted.version)
    }

    /// The access token for that name.
    pub fn of_token(identity: &str, issued: Issued) -> Self {
        let kind = CredentialKind::OAuth2;
        let secret = issued.token.secret();
        let version = CredentialVersion::new(&issued.wanted.version.id, &secret);
        let credentials = Credentials { identity: identity.to_owned(), secret, kind };
        Self { version, credentials, issued: Some(issued) }
    }
}

/// The account's app password, for an endpoint that takes it.
///
/// # Errors
/// If the endpoint takes none, or it is unusable.
pub fn app_password(
    account: &Account,
    stored: &StoredCredential,
    protocol: Protocol,
    endpoint: &Endpoint,
) -> Result<Ready, CredentialError> {
    if !endpoint.takes(CredentialKind::AppPassword) {
        return Err(CredentialError::PasswordsNotTaken { upstream: account.upstream.clone(), protocol });
    }
    let identity = account.identity(protocol).to_owned();
    let secret = app_password::secret(stored)?;
    let version = CredentialVersion::new(&stored.id, &secret).after_retries(stored.retries);
    let kind = CredentialKind::AppPassword;
    Ok(Ready { version, credentials: Credentials { identity, secret, kind }, issued: None })
}

/// Who issues access tokens for an endpoint.
///
/// # Errors
/// If the endpoint takes none.
pub fn authority<'a>(
    profile: &'a Profile,
    protocol: Protocol,
    endpoint: &Endpoint,
) -> Result<&'a Authority, CredentialError> {
    let takes_tokens = endpoint.takes(CredentialKind::OAuth2);
    let not_taken = || CredentialError::TokensNotTaken { upstream: profile.name.clone(), protocol };
    profile.authority.as_ref().filter(|_| takes_tokens).ok_or_else(not_taken)
}

/// Whether something exists at the provider for the sake of that version alone, to be deleted there when it is used no more:
/// not where it shows nothing to the authority, nor where one of `others` shows the same.
pub fn is_to_be_deleted<'o>(stored: &StoredCredential, others: impl IntoIterator<Item = &'o StoredCredential>) -> bool {
    let Some(proof) = oauth2::proof(stored) else { return true };
    proof != Authentication::Public && others.into_iter().all(|other| oauth2::proof(other).as_ref() != Some(&proof))
}

/// The request for an access token with which to enter the mailbox of that name.
///
/// # Errors
/// If what is stored cannot be used.
pub fn wanted(stored: &StoredCredential, authority: &Authority, identity: &str) -> Result<Wanted, CredentialError> {
    let credential = OAuth2::from_stored(stored)?;
    let version = credential.version(&stored.id).after_retries(stored.retries);
    let kept_under = oauth2::kept_under(stored).unwrap_or(&stored.id).to_owned();
    Ok(Wanted { version, kept_under, credential, authority: authority.clone(), subject: identity.to_owned() })
}

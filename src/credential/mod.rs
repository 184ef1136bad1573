//! Floor 2: credentials: what a stored one is made of, and how it becomes something to log in with. A kind is one file
//! here and one variant of [`CredentialKind`]. This room knows no store and no protocol.

mod app_password;
pub mod oauth2;

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use crate::model::{Account, CredentialKind, Endpoint, Protocol, Secret};
use crate::sasl::Credentials;

pub use app_password::new as new_app_password;

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

/// Another one in each process, so that a fingerprint tells nothing outside of it.
static FINGERPRINTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Which version of a credential it is. Whoever edits a record by hand may put another secret under the same id, and that
/// is another version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialVersion {
    /// The id that it has in the record.
    pub id: String,
    fingerprint: u64,
}

impl CredentialVersion {
    /// The version that has this id and this secret.
    pub fn new(id: &str, secret: &Secret) -> Self {
        Self { id: id.to_owned(), fingerprint: FINGERPRINTS.hash_one(secret.expose()) }
    }
}

/// A credential that can be presented now.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Which version of it.
    pub version: CredentialVersion,
    /// Its kind.
    pub kind: CredentialKind,
    /// Name and secret.
    pub credentials: Credentials,
}

/// The account's best credential for a protocol, made ready.
///
/// # Errors
/// If there is none that the endpoint takes, or it is unusable.
pub fn ready(account: &Account, protocol: Protocol, endpoint: &Endpoint) -> Result<Ready, CredentialError> {
    let kind = CredentialKind::AppPassword;
    let stored =
        account.credentials.get(&kind).and_then(|slots| slots.current.as_ref()).ok_or(CredentialError::None)?;
    if !endpoint.takes_passwords {
        return Err(CredentialError::PasswordsNotTaken { upstream: account.upstream.clone(), protocol });
    }
    let identity = account.identity(protocol).to_owned();
    let secret: Secret = app_password::secret(stored)?;
    let version = CredentialVersion::new(&stored.id, &secret);
    Ok(Ready { version, kind, credentials: Credentials { identity, secret, kind } })
}

//! Why a client is not let in: for the operator in plain words, for the client as a [`Refusal`].

use jiff::Timestamp;

use crate::credential::CredentialError;
use crate::credential::oauth2::FailureKind;
use crate::model::{Protocol, Refusal};

use super::DirectoryError;

/// Why a client is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// Too many failures of late; the secret was not looked at.
    #[error("too many failed logins from this address; they count for the time of failure-window")]
    Throttled,
    /// No client has that login.
    #[error("unknown login")]
    UnknownLogin,
    /// None of the client's secrets is the one presented.
    #[error("wrong client secret")]
    WrongSecret,
    /// The secret was right once.
    #[error("the client secret {id} has expired; issue another with `locum client issue`")]
    SecretExpired {
        /// Its id.
        id: String,
    },
    /// All of the client came to its end.
    #[error("the client's time is over since {end:.0}; give it more with `locum client set --expires`")]
    ClientExpired {
        /// When it ended.
        end: Timestamp,
    },
    /// The client's policy does not let it in now.
    #[error("the client's policy does not include this hour")]
    HourNotAllowed,
    /// The client has as many sessions open as it may.
    #[error("the client has {max} sessions open on this node, as many as its policy lets it have")]
    TooManySessions {
        /// How many it may have.
        max: u32,
    },
    /// The client's policy does not let it speak this.
    #[error("the client's policy does not include {0}")]
    ProtocolNotAllowed(Protocol),
    /// The client's policy does not let it in here.
    #[error("the client's policy does not include the listener {0}")]
    ListenerNotAllowed(String),
    /// The client's policy does not let it in from there.
    #[error("the client's policy does not include the network of its address")]
    NetworkNotAllowed,
    /// It asked to act as an account it is not bound to.
    #[error("the client is not bound to the account it asks for")]
    NotBound,
    /// It has no account, or several and named none.
    #[error("the client is bound to {accounts} accounts and did not say which to act as")]
    NoSoleAccount {
        /// How many.
        accounts: usize,
    },
    /// The account's upstream is not for this listener.
    #[error("the listener does not serve the account's upstream {upstream}")]
    UpstreamNotServed {
        /// The upstream profile.
        upstream: String,
    },
    /// The binding names an account that is not there.
    #[error("there is no account {account}; add it with `locum account add`")]
    AccountMissing {
        /// Its name.
        account: String,
    },
    /// The account names an upstream that the configuration does not have.
    #[error("the configuration has no upstream {upstream}; add [upstream.{upstream}]")]
    UpstreamUnknown {
        /// The upstream profile.
        upstream: String,
    },
    /// The upstream does not speak it.
    #[error("the upstream {upstream} has no {protocol}")]
    ProtocolNotServed {
        /// The upstream profile.
        upstream: String,
        /// The protocol.
        protocol: Protocol,
    },
    /// The account has no credential that can be presented.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The records are out of reach.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Reason {
    /// What the client may be told (design: the table of answers).
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Throttled | Self::TooManySessions { .. } => Refusal::LimitReached,
            Self::UnknownLogin | Self::WrongSecret | Self::SecretExpired { .. } | Self::ClientExpired { .. } => {
                Refusal::WrongCredentials
            }
            Self::ProtocolNotAllowed(_)
            | Self::ListenerNotAllowed(_)
            | Self::NetworkNotAllowed
            | Self::HourNotAllowed
            | Self::NotBound
            | Self::NoSoleAccount { .. }
            | Self::UpstreamNotServed { .. } => Refusal::NotPermitted,
            // The authority is away, or wants us to wait.
            Self::Credential(CredentialError::Token(failure)) if failure.kind() == FailureKind::Transient => {
                Refusal::Unavailable
            }
            Self::AccountMissing { .. }
            | Self::UpstreamUnknown { .. }
            | Self::ProtocolNotServed { .. }
            | Self::Credential(_) => Refusal::ContactAdmin,
            Self::Directory(_) => Refusal::Unavailable,
        }
    }
}

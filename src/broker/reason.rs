//! Why a client is not let in: for the operator in plain words, for the client as a [`Refusal`].

use jiff::Timestamp;

use crate::audit::Unwritten;
use crate::credential::CredentialError;
use crate::credential::oauth2::FailureKind;
use crate::model::{Fingerprint, Protocol, Refusal};

use super::client_secret::Busy;
use super::{DirectoryError, Terms, Unproven};

/// Why a client is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// Too many failures of late; the secret was not looked at.
    #[error("too many failed logins from this address; it is held back for a while, longer each time (hold-back-max)")]
    Throttled,
    /// The same wrong secret so often of late that it was not looked at once more.
    #[error("the same wrong client secret over and over; it is looked at again after failure-window")]
    Repeated,
    /// No client has that login.
    #[error("unknown login")]
    UnknownLogin,
    /// No client has that login, or the client has no secret, and where it came in something may come of it all the same.
    #[error("no client secret proves it; {}", .0.way().plain())]
    Unproven(Box<Unproven>),
    /// The same, but the records say otherwise.
    #[error("it cannot be enrolled: {why}")]
    NotEnrollable {
        /// Why.
        why: &'static str,
    },
    /// None of the client's secrets is the one presented.
    #[error("wrong client secret")]
    WrongSecret,
    /// Too many wait for their secrets to be checked.
    #[error(transparent)]
    ProvingBusy(#[from] Busy),
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
    /// Neither where it comes from nor a certificate says which device it is.
    #[error("it sent mail without a login and is no device that the listener recognises")]
    NotRecognised,
    /// It showed a certificate that no recognition names.
    #[error("the listener recognises no device by the certificate {fingerprint}")]
    CertificateUnknown {
        /// Which one.
        fingerprint: Fingerprint,
    },
    /// The certificate is the right one at the wrong time.
    #[error(
        "the device's certificate is valid from {from} to {until} only; give it another, and the listener its fingerprint"
    )]
    CertificateNotValid {
        /// When it begins.
        from: Timestamp,
        /// When it ends.
        until: Timestamp,
    },
    /// Without a password a device may not send as anybody.
    #[error("a client that is recognised without a password needs senders; name them with `locum client set --sender`")]
    SendersNotPinned,
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
    /// As whom it asked to act cannot be said.
    #[error(
        "the client says in a form that the listener does not take, or twice and differently, which account it acts as; see \
         login-forms"
    )]
    AskedUnclearly,
    /// The only right it would have to that mailbox is over.
    #[error("the delegation of {pattern} has expired; give another end with `locum client bind`")]
    DelegationExpired {
        /// Its pattern.
        pattern: String,
    },
    /// The only right it would have to that mailbox does not hold there.
    #[error("the delegation of {pattern} does not include the network of its address")]
    DelegationNetwork {
        /// Its pattern.
        pattern: String,
    },
    /// It may act as that mailbox, and there is none.
    #[error("the client may act as {mailbox}, and there is neither an account of that name nor a tenant of its domain")]
    MailboxMissing {
        /// The mailbox.
        mailbox: String,
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
    /// It would be let in, and that cannot be put on file first.
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
    /// The records are out of reach.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Reason {
    /// The same for who was let in under these terms: one that may name many mailboxes is not told which of them there are.
    pub(super) fn told_to(self, terms: &Terms) -> Self {
        match self {
            Self::AccountMissing { account } if terms.is_delegated => Self::MailboxMissing { mailbox: account },
            reason => reason,
        }
    }

    /// The cause in a word, for counting the refusals of a client that has proven itself. What has no word of its own counts
    /// as what the client may be told.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::SecretExpired { .. } | Self::ClientExpired { .. } | Self::DelegationExpired { .. } => "expired",
            Self::ProtocolNotAllowed(_) => "protocol",
            Self::ListenerNotAllowed(_) => "listener",
            Self::NetworkNotAllowed | Self::DelegationNetwork { .. } => "network",
            Self::NotBound | Self::NoSoleAccount { .. } | Self::AskedUnclearly | Self::MailboxMissing { .. } => {
                "not-bound"
            }
            Self::Throttled => "throttled",
            Self::Credential(_) => "credential",
            Self::Directory(_) => "store",
            Self::Unwritten(_) => "audit",
            other => other.refusal().name(),
        }
    }

    /// Whether it is told after [`super::told_after`] alone: all that says something about who there is, or would if it came
    /// sooner for some. The store's silence among it, which some logins meet and others, that are remembered, do not.
    pub(super) fn takes_time(&self) -> bool {
        matches!(self.refusal(), Refusal::WrongCredentials | Refusal::NotPermitted)
            || matches!(self, Self::Directory(_))
    }

    /// What the client may be told (design: the table of answers).
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Throttled | Self::TooManySessions { .. } => Refusal::LimitReached,
            Self::UnknownLogin
            | Self::NotEnrollable { .. }
            | Self::WrongSecret
            | Self::Repeated
            | Self::SecretExpired { .. }
            | Self::ClientExpired { .. }
            | Self::NotRecognised
            | Self::CertificateUnknown { .. }
            | Self::CertificateNotValid { .. } => Refusal::WrongCredentials,
            // Nobody has looked yet whether it is right.
            Self::Unproven(_) => Refusal::Unavailable,
            Self::ProtocolNotAllowed(_)
            | Self::ListenerNotAllowed(_)
            | Self::NetworkNotAllowed
            | Self::HourNotAllowed
            | Self::SendersNotPinned
            | Self::NotBound
            | Self::NoSoleAccount { .. }
            | Self::AskedUnclearly
            | Self::DelegationExpired { .. }
            | Self::DelegationNetwork { .. }
            // Whether there is such a mailbox is nothing that a pattern tells.
            | Self::MailboxMissing { .. }
            | Self::UpstreamNotServed { .. } => Refusal::NotPermitted,
            // The authority is away, or wants us to wait.
            Self::Credential(CredentialError::Token(failure)) if failure.kind() == FailureKind::Transient => {
                Refusal::Unavailable
            }
            Self::AccountMissing { .. }
            | Self::UpstreamUnknown { .. }
            | Self::ProtocolNotServed { .. }
            | Self::Credential(_) => Refusal::ContactAdmin,
            Self::ProvingBusy(_) | Self::Unwritten(_) | Self::Directory(_) => Refusal::Unavailable,
        }
    }
}

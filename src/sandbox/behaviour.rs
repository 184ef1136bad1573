//! What can be wrong with an account. It says what, and never in which words: those are in `texts/`.

use crate::model::CredentialKind;

/// What is wrong with an account, or was switched off for it. A behaviour that the provider does not have, or has for
/// another protocol only, changes nothing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// Nothing.
    Normal,
    /// Exchange: an authentication policy switched passwords off.
    BasicAuthDisabled,
    /// Exchange submission: passwords are gone for good (the text announced for the final removal).
    BasicAuthRetired,
    /// Exchange submission: SMTP AUTH is off in the organisation.
    SmtpAuthDisabledForTenant,
    /// Exchange submission: SMTP AUTH is off for this mailbox.
    SmtpAuthDisabledForMailbox,
    /// Exchange: the organisation's security defaults block passwords.
    SecurityDefaults,
    /// Exchange: a Conditional Access policy, or the need of a second factor, blocks passwords.
    ConditionalAccess,
    /// Exchange: locked after too many wrong passwords.
    AccountLocked,
    /// Exchange: disabled, or in need of an administrator.
    AccountHasIssue,
    /// Exchange submission: the organisation's own sign-in service does not answer. It passes.
    FederationUnreachable,
    /// Exchange IMAP: the login succeeds, and the first command says that there is no mailbox behind it.
    NotConnected,
    /// All: the back end is down. It passes.
    ServerUnavailable,
    /// Exchange IMAP: too much was asked for.
    Throttled,
    /// Exchange submission: logins succeed, and every message is one send too many at the same time.
    ConcurrentSends,
    /// Exchange submission: logins succeed, and the sender may not send as that address.
    SendAsDenied,
    /// IMAP: too many sessions of this account.
    TooManyConnections,
    /// Gmail: the password is the account's own, not an app password.
    ApplicationPasswordRequired,
    /// Gmail: the owner must log in with a browser first.
    WebLoginRequired,
    /// Gmail submission: too many logins in a short time.
    TooManyLoginAttempts,
    /// Exchange IMAP: [`NotConnected`](Self::NotConnected) for so many logins, and then no more.
    NotConnectedFor(u32),
    /// Exchange IMAP: a good token that may not open this mailbox is let in, and the first command says that there is no
    /// mailbox behind it. Without this it is refused.
    StrangersNotConnected,
    /// Exchange submission for high volume: the token has too little time left.
    TokenExpiresSoon,
    /// Exchange submission for high volume: the token's time is over, whatever the authority says.
    TokenExpired,
    /// Exchange submission for high volume: the token lacks a permission.
    TokenNotPermitted,
    /// Exchange submission for high volume: the response cannot be read.
    TokenUnreadable,
}

impl Behaviour {
    /// Whether it concerns logins with that kind of credential.
    pub(super) fn hits(self, kind: CredentialKind) -> bool {
        match self {
            Self::BasicAuthDisabled
            | Self::BasicAuthRetired
            | Self::SecurityDefaults
            | Self::ConditionalAccess
            | Self::AccountLocked
            | Self::AccountHasIssue
            | Self::FederationUnreachable
            | Self::ApplicationPasswordRequired
            | Self::WebLoginRequired => kind == CredentialKind::AppPassword,
            Self::StrangersNotConnected
            | Self::TokenExpiresSoon
            | Self::TokenExpired
            | Self::TokenNotPermitted
            | Self::TokenUnreadable => kind == CredentialKind::OAuth2,
            // SMTP AUTH that is off is off for tokens, too.
            Self::Normal
            | Self::SmtpAuthDisabledForTenant
            | Self::SmtpAuthDisabledForMailbox
            | Self::NotConnected
            | Self::NotConnectedFor(_)
            | Self::ServerUnavailable
            | Self::Throttled
            | Self::ConcurrentSends
            | Self::SendAsDenied
            | Self::TooManyConnections
            | Self::TooManyLoginAttempts => true,
        }
    }
}

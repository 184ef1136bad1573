//! What Exchange says. Lines for which no trace is at hand are marked.

use data_encoding::BASE64;

use super::{Refusal, Texts};
use crate::model::Protocol;
use crate::sandbox::Behaviour;
use crate::sandbox::state::Excess;

pub(super) const IMAP_BEFORE_LOGIN_2026: &str =
    "IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+";

pub(super) const IMAP_BEFORE_LOGIN_WITH_PASSWORDS: &str =
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+";

/// On port 143; no trace of the online service at hand.
pub(super) const IMAP_BEFORE_TLS: &str =
    "IMAP4 IMAP4rev1 LOGINDISABLED STARTTLS UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+";

/// The three long words are between Exchange's own machines: a client sees them and must not use them.
pub(super) const IMAP_AFTER_LOGIN: &str = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+";

pub(super) const IMAP_BYE: &str = "* BYE Microsoft Exchange Server IMAP4 server signing off.";

pub(super) const EHLO_BEFORE_TLS: &[&str] = &[
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "STARTTLS",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
];

pub(super) const EHLO: &[&str] = &[
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "AUTH LOGIN XOAUTH2",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
];

/// What a session says that is logged in and has no mailbox: the answer, and the goodbye.
pub(super) const IMAP_NOT_CONNECTED: (&str, &str) =
    ("BAD User is authenticated but not connected.", "* BYE Connection closed. 14");

const POP3_WRONG_PASSWORD: &str = "-ERR Logon failure: unknown user name or bad password.";

/// The blob in greetings: the server's name in UTF-16LE, in base64.
pub(super) fn name_in_base64(host: &str) -> String {
    BASE64.encode(&host.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
}

/// The word that the IMAP server answers with: LOGIN or AUTHENTICATE.
pub(super) fn imap_verb(method: &str) -> &'static str {
    if method.starts_with("AUTHENTICATE") { "AUTHENTICATE" } else { "LOGIN" }
}

pub(super) fn no_passwords(protocol: Protocol, texts: &Texts) -> Refusal {
    match protocol {
        Protocol::Imap => Refusal::new("NO Basic authentication is disabled.").with_bye(IMAP_BYE),
        Protocol::Pop3 => Refusal::new("-ERR Basic authentication is disabled"),
        Protocol::Submission => unsuccessful("basic authentication is disabled.", texts),
    }
}

pub(super) fn wrong_password(protocol: Protocol, method: &str, texts: &Texts) -> Refusal {
    match protocol {
        Protocol::Imap => Refusal::new(format!("NO {} failed.", imap_verb(method))),
        Protocol::Pop3 => Refusal::new(POP3_WRONG_PASSWORD),
        Protocol::Submission => unsuccessful("the user credentials were incorrect.", texts),
    }
}

pub(super) fn wrong_token(protocol: Protocol, texts: &Texts) -> Refusal {
    match protocol {
        Protocol::Imap => Refusal::new("NO AUTHENTICATE failed."),
        Protocol::Pop3 => Refusal::new("-ERR Authentication failure: unknown user name or bad password."),
        Protocol::Submission => Refusal::new(format!("535 5.7.3 Authentication unsuccessful {}", texts.trailer())),
    }
}

/// How a session ends whose token's time is over; behind a tag where a search was asked for. What stands before the text
/// there is not at hand.
pub(super) const IMAP_TOKEN_OVER: &str = "* BYE Session invalidated - AccessTokenExpired";
pub(super) const IMAP_TOKEN_OVER_TAGGED: &str = "BAD Session invalidated - AccessTokenExpired";

pub(super) fn refusal(protocol: Protocol, method: &str, behaviour: Behaviour, texts: &Texts) -> Option<Refusal> {
    match protocol {
        Protocol::Imap => imap(method, behaviour),
        Protocol::Pop3 => pop3(behaviour),
        Protocol::Submission => submission(behaviour, texts),
    }
}

fn imap(method: &str, behaviour: Behaviour) -> Option<Refusal> {
    match behaviour {
        Behaviour::BasicAuthDisabled => Some(Refusal::new("NO Basic authentication is disabled.").with_bye(IMAP_BYE)),
        Behaviour::SecurityDefaults
        | Behaviour::ConditionalAccess
        | Behaviour::AccountLocked
        | Behaviour::AccountHasIssue => Some(Refusal::new(format!("NO {} failed.", imap_verb(method)))),
        Behaviour::ServerUnavailable => {
            Some(Refusal::new("NO Server Unavailable. 15").with_bye("* BYE Connection closed."))
        }
        Behaviour::Throttled => {
            Some(Refusal::new("BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"))
        }
        // The BYE comes in place of an answer.
        Behaviour::TooManyConnections => {
            Some(Refusal { after: Some("* BYE Connection is closed. 10"), closes: true, ..Refusal::default() })
        }
        Behaviour::Normal
        | Behaviour::BasicAuthRetired
        | Behaviour::SmtpAuthDisabledForTenant
        | Behaviour::SmtpAuthDisabledForMailbox
        | Behaviour::FederationUnreachable
        | Behaviour::NotConnected
        | Behaviour::NotConnectedFor(_)
        | Behaviour::StrangersNotConnected
        | Behaviour::TokenExpiresSoon
        | Behaviour::TokenExpired
        | Behaviour::TokenNotPermitted
        | Behaviour::TokenUnreadable
        | Behaviour::ConcurrentSends
        | Behaviour::SendAsDenied
        | Behaviour::ApplicationPasswordRequired
        | Behaviour::WebLoginRequired
        | Behaviour::TooManyLoginAttempts => None,
    }
}

fn pop3(behaviour: Behaviour) -> Option<Refusal> {
    match behaviour {
        Behaviour::BasicAuthDisabled => Some(Refusal::new("-ERR Basic authentication is disabled")),
        Behaviour::SecurityDefaults
        | Behaviour::ConditionalAccess
        | Behaviour::AccountLocked
        | Behaviour::AccountHasIssue => Some(Refusal::new(POP3_WRONG_PASSWORD)),
        // No trace at hand: as IMAP says it.
        Behaviour::ServerUnavailable => Some(Refusal { closes: true, ..Refusal::new("-ERR Server Unavailable. 15") }),
        Behaviour::Normal
        | Behaviour::BasicAuthRetired
        | Behaviour::SmtpAuthDisabledForTenant
        | Behaviour::SmtpAuthDisabledForMailbox
        | Behaviour::FederationUnreachable
        | Behaviour::NotConnected
        | Behaviour::NotConnectedFor(_)
        | Behaviour::StrangersNotConnected
        | Behaviour::TokenExpiresSoon
        | Behaviour::TokenExpired
        | Behaviour::TokenNotPermitted
        | Behaviour::TokenUnreadable
        | Behaviour::Throttled
        | Behaviour::ConcurrentSends
        | Behaviour::SendAsDenied
        | Behaviour::TooManyConnections
        | Behaviour::ApplicationPasswordRequired
        | Behaviour::WebLoginRequired
        | Behaviour::TooManyLoginAttempts => None,
    }
}

fn submission(behaviour: Behaviour, texts: &Texts) -> Option<Refusal> {
    let sentence = match behaviour {
        Behaviour::BasicAuthDisabled => "basic authentication is disabled.",
        Behaviour::SmtpAuthDisabledForTenant => {
            "SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information."
        }
        Behaviour::SmtpAuthDisabledForMailbox => {
            "SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information."
        }
        Behaviour::SecurityDefaults => {
            "user is locked by your organization's security defaults policy. Contact your administrator."
        }
        Behaviour::ConditionalAccess => {
            "the request did not meet the criteria to be authenticated successfully. Contact your administrator."
        }
        Behaviour::AccountLocked => "account locked. Contact your administrator.",
        Behaviour::AccountHasIssue => "account has an issue. Contact your administrator.",
        Behaviour::FederationUnreachable => "federated STS service was unreachable.",
        Behaviour::BasicAuthRetired => {
            let text = "550 5.7.30 Basic authentication is not supported for Client Submission.";
            return Some(Refusal::new(format!("{text} {}", texts.trailer())));
        }
        Behaviour::ServerUnavailable => {
            let text = "451 4.7.0 Temporary server error. Please try again later.";
            return Some(Refusal::new(format!("{text} {}", texts.trailer())));
        }
        Behaviour::TokenExpiresSoon
        | Behaviour::TokenExpired
        | Behaviour::TokenNotPermitted
        | Behaviour::TokenUnreadable => return high_volume(behaviour, texts),
        Behaviour::Normal
        | Behaviour::NotConnected
        | Behaviour::NotConnectedFor(_)
        | Behaviour::StrangersNotConnected
        | Behaviour::Throttled
        | Behaviour::ConcurrentSends
        | Behaviour::SendAsDenied
        | Behaviour::TooManyConnections
        | Behaviour::ApplicationPasswordRequired
        | Behaviour::WebLoginRequired
        | Behaviour::TooManyLoginAttempts => return None,
    };
    Some(unsuccessful(sentence, texts))
}

/// What the endpoint for high volume says of tokens.
fn high_volume(behaviour: Behaviour, texts: &Texts) -> Option<Refusal> {
    let text = match behaviour {
        Behaviour::TokenExpiresSoon => "535 5.7.142 Token will expire soon",
        Behaviour::TokenExpired => "535 5.7.143 Expired token",
        Behaviour::TokenNotPermitted => "535 5.7.144 XOAUTH2 authentication failed. Invalid API permissions",
        Behaviour::TokenUnreadable => "501 5.5.124 Invalid XOAUTH2 auth data",
        _ => return None,
    };
    Some(Refusal::new(format!("{text} {}", texts.trailer())))
}

fn unsuccessful(sentence: &str, texts: &Texts) -> Refusal {
    Refusal::new(format!("535 5.7.139 Authentication unsuccessful, {sentence} {}", texts.trailer()))
}

/// The first as seen in 2026; the second as Microsoft's support names it.
pub(super) fn too_many(excess: Excess, host: &str) -> String {
    match excess {
        Excess::Connections => format!(
            "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname={host}]"
        ),
        Excess::Messages => {
            format!("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname={host}]")
        }
    }
}

pub(super) fn message_refusal(behaviour: Behaviour, login: &str, from: &str, host: &str) -> Option<String> {
    match behaviour {
        Behaviour::ConcurrentSends => Some(too_many(Excess::Connections, host)),
        Behaviour::SendAsDenied => Some(format!(
            "554 5.2.252 SendAsDenied; {login} not allowed to send as {from}; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception [Hostname={host}]"
        )),
        Behaviour::Normal
        | Behaviour::BasicAuthDisabled
        | Behaviour::BasicAuthRetired
        | Behaviour::SmtpAuthDisabledForTenant
        | Behaviour::SmtpAuthDisabledForMailbox
        | Behaviour::SecurityDefaults
        | Behaviour::ConditionalAccess
        | Behaviour::AccountLocked
        | Behaviour::AccountHasIssue
        | Behaviour::FederationUnreachable
        | Behaviour::NotConnected
        | Behaviour::NotConnectedFor(_)
        | Behaviour::StrangersNotConnected
        | Behaviour::TokenExpiresSoon
        | Behaviour::TokenExpired
        | Behaviour::TokenNotPermitted
        | Behaviour::TokenUnreadable
        | Behaviour::ServerUnavailable
        | Behaviour::Throttled
        | Behaviour::TooManyConnections
        | Behaviour::ApplicationPasswordRequired
        | Behaviour::WebLoginRequired
        | Behaviour::TooManyLoginAttempts => None,
    }
}

//! What Gmail says. Lines for which no trace is at hand are marked.

use super::{Refusal, Texts};
use crate::model::Protocol;
use crate::sandbox::Behaviour;

/// Before login, word for word: nothing in it can be used there but the logins.
pub(super) const IMAP_BEFORE_LOGIN: &str = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 XYZZY SASL-IR AUTH=XOAUTH2 AUTH=PLAIN AUTH=PLAIN-CLIENTTOKEN AUTH=OAUTHBEARER AUTH=XOAUTH";

/// Gmail has no port 143; this is for tests of STARTTLS.
pub(super) const IMAP_BEFORE_TLS: &str = "IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN STARTTLS LOGINDISABLED";

/// After login, without what the sandbox cannot do (QUOTA, X-GM-EXT-1, COMPRESS, CONDSTORE, ESEARCH and their kind):
/// a client may use all of these.
pub(super) const IMAP_AFTER_LOGIN: &str =
    "IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN UIDPLUS MOVE LITERAL- SPECIAL-USE";

pub(super) const POP3_BEFORE_LOGIN: &[&str] =
    &["USER", "RESP-CODES", "EXPIRE 0", "LOGIN-DELAY 300", "TOP", "UIDL", "X-GOOGLE-RICO", "SASL PLAIN XOAUTH2"];

pub(super) const EHLO_BEFORE_TLS: &[&str] =
    &["SIZE 35882577", "8BITMIME", "STARTTLS", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"];

pub(super) const EHLO: &[&str] = &[
    "SIZE 35882577",
    "8BITMIME",
    "AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
    "ENHANCEDSTATUSCODES",
    "PIPELINING",
    "CHUNKING",
    "SMTPUTF8",
];

/// `{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`. For OAUTHBEARER no trace is at hand.
const TOKEN_CHALLENGE: &str =
    "eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ==";

/// The refusal is explained first. POP3: no trace at hand, as RFC 5034 has it.
pub(super) fn wrong_token(protocol: Protocol, texts: &Texts) -> Refusal {
    Refusal { challenge: Some(TOKEN_CHALLENGE), ..wrong_password(protocol, texts) }
}

pub(super) fn wrong_password(protocol: Protocol, texts: &Texts) -> Refusal {
    match protocol {
        Protocol::Imap => Refusal::new("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"),
        Protocol::Pop3 => Refusal::new("-ERR [AUTH] Username and password not accepted."),
        Protocol::Submission => Refusal::lines(&[
            "535-5.7.8 Username and Password not accepted. For more information, go to".to_owned(),
            format!("535 5.7.8  https://support.google.com/mail/?p=BadCredentials {} - gsmtp", texts.serial()),
        ]),
    }
}

pub(super) fn refusal(protocol: Protocol, behaviour: Behaviour, texts: &Texts) -> Option<Refusal> {
    match behaviour {
        Behaviour::ApplicationPasswordRequired => Some(application_password_required(protocol, texts)),
        Behaviour::WebLoginRequired => Some(web_login_required(protocol, texts)),
        Behaviour::ServerUnavailable => Some(unavailable(protocol, texts)),
        Behaviour::TooManyConnections if protocol == Protocol::Imap => {
            Some(Refusal::new("NO [ALERT] Too many simultaneous connections. (Failure)"))
        }
        Behaviour::TooManyLoginAttempts if protocol == Protocol::Submission => Some(Refusal {
            closes: true,
            ..Refusal::lines(&[
                "454-4.7.0 Too many login attempts, please try again later. For more".to_owned(),
                format!(
                    "454 4.7.0  information, go to https://support.google.com/mail/answer/7126229 {} - gsmtp",
                    texts.serial()
                ),
            ])
        }),
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
        | Behaviour::Throttled
        | Behaviour::ConcurrentSends
        | Behaviour::SendAsDenied
        | Behaviour::TooManyConnections
        | Behaviour::TooManyLoginAttempts => None,
    }
}

fn application_password_required(protocol: Protocol, texts: &Texts) -> Refusal {
    const TEXT: &str = "Application-specific password required: https://support.google.com/accounts/answer/185833";
    match protocol {
        Protocol::Imap => Refusal::new(format!("NO [ALERT] {TEXT} (Failure)")),
        Protocol::Pop3 => Refusal::new(format!("-ERR [AUTH] {TEXT}")),
        Protocol::Submission => Refusal::lines(&[
            "534-5.7.9 Application-specific password required. For more information, go to".to_owned(),
            format!("534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor {} - gsmtp", texts.serial()),
        ]),
    }
}

fn web_login_required(protocol: Protocol, texts: &Texts) -> Refusal {
    match protocol {
        Protocol::Imap => Refusal {
            before: vec!["* NO [WEBALERT https://accounts.google.com/signin/continue] Web login required.".to_owned()],
            ..Refusal::new(
                "NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)",
            )
        },
        Protocol::Pop3 => {
            Refusal::new("-ERR [AUTH] Please log in via your web browser: https://support.google.com/mail/answer/78754")
        }
        Protocol::Submission => Refusal::lines(&[
            "534-5.7.14 <https://accounts.google.com/signin/continue> Please log in via your web browser".to_owned(),
            "534-5.7.14 and then try again. For more information, go to".to_owned(),
            format!("534 5.7.14  https://support.google.com/mail/answer/78754 {} - gsmtp", texts.serial()),
        ]),
    }
}

/// IMAP and POP3: no trace at hand, worded as RFC 5530 and RFC 3206 have it.
fn unavailable(protocol: Protocol, texts: &Texts) -> Refusal {
    match protocol {
        Protocol::Imap => Refusal::new("NO [UNAVAILABLE] Temporary System Error (Failure)"),
        Protocol::Pop3 => Refusal::new("-ERR [SYS/TEMP] Temporary system problem. Please try again later."),
        Protocol::Submission => Refusal::new(format!(
            "454 4.7.0 Cannot authenticate due to a temporary system problem {} - gsmtp",
            texts.serial()
        )),
    }
}

pub(super) fn auth_line_too_long(serial: &str) -> Vec<String> {
    vec![
        "555-5.5.2 Syntax error, command line too long. For more information, go to".to_owned(),
        format!("555 5.5.2  https://support.google.com/a/answer/3221692 {serial} - gsmtp"),
    ]
}

pub(super) fn unauthenticated(tls: bool, serial: &str) -> Vec<String> {
    if !tls {
        return vec![format!("530 5.7.0 Must issue a STARTTLS command first. {serial} - gsmtp")];
    }
    vec![
        "530-5.7.0 Authentication Required. For more information, go to".to_owned(),
        format!("530 5.7.0  https://support.google.com/mail/?p=WantAuthError {serial} - gsmtp"),
    ]
}

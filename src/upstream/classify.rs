//! What a provider means by its refusal. Providers say different things under one code, so it is the sentence that
//! decides, and the code only where no sentence is known.
//!
//! The sentences are Microsoft's (Microsoft Learn, "Fix issues with printers, scanners, and LOB applications" and the
//! SMTP AUTH articles), Google's (Workspace Admin Help 3726730) and what others were seen to send.

use std::fmt;

/// What kind of trouble an upstream gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The credential is wrong: rotate it. Only this one counts against its version in the breaker.
    AuthBad,
    /// The credential may be right, but the provider does not take this kind of login from this account.
    AuthPolicy,
    /// The protocol is switched off for the mailbox or the tenant.
    ProtocolOff,
    /// Logged in, but there is no mailbox behind it.
    MailboxMap,
    /// Too many connections, logins or messages.
    Limited,
    /// The login was refused in words that Locum does not know.
    Refused,
    /// It does not prove that it is who we dialled, or offers no TLS.
    Untrusted,
    /// Out of reach, or out of order.
    Unavailable,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthBad => "the provider refused the credential",
            Self::AuthPolicy => "the provider does not take this kind of login",
            Self::ProtocolOff => "the provider has this protocol switched off",
            Self::MailboxMap => "the provider let us in but reaches no mailbox",
            Self::Limited => "the provider limits us",
            Self::Refused => "the provider refused the login",
            Self::Untrusted => "the provider could not be verified",
            Self::Unavailable => "the provider is out of reach",
        })
    }
}

struct Rule {
    /// In lower case; the reply contains it.
    sentence: &'static str,
    cause: Cause,
    remedy: &'static str,
}

const fn rule(sentence: &'static str, cause: Cause, remedy: &'static str) -> Rule {
    Rule { sentence, cause, remedy }
}

/// The first that matches decides.
const RULES: &[Rule] = &[
    // Exchange Online
    rule(
        "smtpclientauthentication is disabled for the tenant",
        Cause::ProtocolOff,
        "switch it on: Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
    ),
    rule(
        "smtpclientauthentication is disabled for the mailbox",
        Cause::ProtocolOff,
        "switch it on: Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false",
    ),
    rule("access is disabled for this mailbox", Cause::ProtocolOff, "switch it on with Set-CASMailbox"),
    rule("basic authentication is disabled", Cause::AuthPolicy, "passwords are switched off here: it needs OAuth2"),
    rule("basic authentication is not supported", Cause::AuthPolicy, "passwords are gone here: it needs OAuth2"),
    rule(
        "security defaults policy",
        Cause::AuthPolicy,
        "security defaults block passwords for the whole tenant: use OAuth2, or Conditional Access in their place",
    ),
    rule(
        "did not meet the criteria to be authenticated",
        Cause::AuthPolicy,
        "Conditional Access or MFA blocks it: look at the sign-in log in Entra for this account",
    ),
    rule(
        "account locked",
        Cause::AuthPolicy,
        "Entra locked the account: find who tries wrong passwords, then unlock it",
    ),
    rule("account has an issue", Cause::AuthPolicy, "the account is disabled or needs action: look at it in Entra"),
    rule("the user credentials were incorrect", Cause::AuthBad, "make a new app password and store it"),
    rule("sts url does not support https", Cause::AuthPolicy, "the organisation's AD FS is set up wrongly"),
    rule(
        "federated sts service was unreachable",
        Cause::Unavailable,
        "the organisation's AD FS does not answer Microsoft",
    ),
    rule(
        "authenticated but not connected",
        Cause::MailboxMap,
        "IMAP may be off for the mailbox, or the login is an alias or lacks rights, or too many sessions are open",
    ),
    rule("request is throttled", Cause::Limited, "fewer sessions at once for this mailbox (sessions-max)"),
    rule("concurrent connections limit", Cause::Limited, "lower sessions-max: 3 at once are allowed per mailbox"),
    rule("server unavailable", Cause::Unavailable, "a fault at Microsoft, as a rule over within minutes"),
    // Google
    rule(
        "application-specific password required",
        Cause::AuthPolicy,
        "the account's own password is stored: make an app password at myaccount.google.com/apppasswords",
    ),
    rule("exceeded command or bandwidth limits", Cause::Limited, "Google will serve the account again within a day"),
    rule("not enabled for imap", Cause::ProtocolOff, "switch IMAP on in the settings of the mailbox"),
    rule("not enabled for pop", Cause::ProtocolOff, "switch POP on in the settings of the mailbox"),
    rule("web login required", Cause::AuthPolicy, "Google wants a login by browser: log in there once as this account"),
    rule("log in via your web browser", Cause::AuthPolicy, "log in there once as this account"),
    rule("too many login attempts", Cause::Limited, "Google will take logins again after a while"),
    rule("too many simultaneous connections", Cause::Limited, "lower sessions-max: Google allows 15 per account"),
    // Dovecot and others
    rule("maximum number of connections", Cause::Limited, "lower sessions-max for this upstream"),
    rule("too many concurrent connections", Cause::Limited, "lower sessions-max for this upstream"),
    rule("too many requests", Cause::Limited, "the provider will take logins again after a while"),
    rule("blocked using", Cause::AuthPolicy, "this machine's address is on a block list of the provider"),
    rule("temporarily unavailable", Cause::Unavailable, "try again later"),
    // Response codes, where no sentence is known
    rule("[limit]", Cause::Limited, "lower sessions-max for this upstream"),
    rule("[in-use]", Cause::Limited, "another session has the mailbox: POP3 takes one at a time"),
    rule("[login-delay]", Cause::Limited, "the client polls more often than the provider allows"),
    rule("[unavailable]", Cause::Unavailable, "try again later"),
    rule("[inuse]", Cause::Unavailable, "try again later"),
    rule("[sys/temp]", Cause::Unavailable, "try again later"),
    rule("[serverbug]", Cause::Unavailable, "a fault at the provider"),
    rule("[authorizationfailed]", Cause::AuthPolicy, "the account may not do this at the provider"),
    rule("[expired]", Cause::AuthBad, "make a new app password and store it"),
    rule("[authenticationfailed]", Cause::AuthBad, "make a new app password and store it"),
];

/// Words by which providers without response codes say that name or password are wrong.
const WRONG_CREDENTIAL: &[&str] = &[
    "login failed",
    "authenticate failed",
    "authentication failed",
    "authentication failure",
    "logon failure",
    "incorrect username",
    "invalid credentials",
    "invalid login",
    "login incorrect",
    "bad password",
    "wrong password",
    "username and password not accepted",
];

/// The kind of trouble that a provider's refusal of a login means. Without evidence it is not the credential's: a good
/// one must not be given up for a fault that passes.
pub(super) fn classify(reply: &str) -> Cause {
    match find(reply) {
        Some(rule) => rule.cause,
        // SMTP 4yz: transient (RFC 5321 section 4.2.1). IMAP BAD: it did not understand us.
        None if starts_with_transient_code(reply) || reply.starts_with("BAD ") => Cause::Unavailable,
        None if is_about_the_credential(reply) => Cause::AuthBad,
        None => Cause::Refused,
    }
}

/// SMTP 535 (RFC 4954 section 6), POP3 [AUTH] (RFC 3206 section 4), or plain words.
fn is_about_the_credential(reply: &str) -> bool {
    let words = reply.to_ascii_lowercase();
    reply.starts_with("535") || words.contains("[auth]") || WRONG_CREDENTIAL.iter().any(|wrong| words.contains(wrong))
}

/// What to do about it, where it is known.
pub(super) fn remedy(reply: &str) -> Option<&'static str> {
    find(reply).map(|rule| rule.remedy)
}

fn find(reply: &str) -> Option<&'static Rule> {
    let reply = reply.to_ascii_lowercase();
    RULES.iter().find(|rule| reply.contains(rule.sentence))
}

fn starts_with_transient_code(reply: &str) -> bool {
    matches!(reply.as_bytes(), [b'4', b, c, ..] if b.is_ascii_digit() && c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_own_words() {
        use Cause::*;
        for (reply, cause) in [
            (
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [HOST]",
                ProtocolOff,
            ),
            (
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit",
                ProtocolOff,
            ),
            ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", AuthPolicy),
            ("550 5.7.30 Basic authentication is not supported for Client Submission.", AuthPolicy),
            (
                "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.",
                AuthPolicy,
            ),
            (
                "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.",
                AuthPolicy,
            ),
            ("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.", AuthBad),
            ("535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator.", AuthPolicy),
            ("535 5.7.139 Authentication unsuccessful, federated STS service was unreachable.", Unavailable),
            ("535 5.7.3 Authentication unsuccessful [HOST]", AuthBad),
            ("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", Limited),
            ("451 4.7.0 Temporary server error. Please try again later", Unavailable),
            ("NO Basic authentication is disabled.", AuthPolicy),
            ("NO LOGIN failed.", AuthBad),
            ("NO AUTHENTICATE failed.", AuthBad),
            ("BAD User is authenticated but not connected.", MailboxMap),
            ("NO Server Unavailable. 15", Unavailable),
            ("BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", Limited),
            ("BAD Command Argument Error. 12", Unavailable),
            (
                "NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)",
                AuthPolicy,
            ),
            ("NO [ALERT] Too many simultaneous connections. (Failure)", Limited),
            ("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", AuthBad),
            ("535-5.7.8 Username and Password not accepted. 535 5.7.8 gsmtp", AuthBad),
            ("454 4.7.0 Cannot authenticate due to a temporary system problem", Unavailable),
            ("-ERR [AUTH] Username and password not accepted.", AuthBad),
            ("-ERR Logon failure: unknown user name or bad password.", AuthBad),
            ("-ERR [SYS/TEMP] try later", Unavailable),
            ("-ERR BAD password", AuthBad),
            ("-ERR [SYS/PERM] Your account is not enabled for POP access.", ProtocolOff),
            ("NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page", ProtocolOff),
            ("NO [ALERT] Account exceeded command or bandwidth limits. (Failure)", Limited),
            ("NO Internal server error", Refused),
            ("NO [CONTACTADMIN] call us", Refused),
            ("503 5.5.1 Bad sequence of commands", Refused),
            ("554 5.7.1 Service unavailable; client blocked using zen.example", AuthPolicy),
            ("NO Incorrect username, password or access token.", AuthBad),
            (
                "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=16)",
                Limited,
            ),
        ] {
            assert_eq!(classify(reply), cause, "{reply}");
        }
    }
}

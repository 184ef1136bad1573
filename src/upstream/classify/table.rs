//! What providers say when they refuse, as data. The sentences are Microsoft's (Microsoft Learn, "Fix issues with
//! printers, scanners, and LOB applications", "Authenticate an IMAP, POP or SMTP connection using OAuth", the SMTP AUTH
//! and High Volume Email articles), Google's (Workspace Admin Help 3726730) and what others were seen to send.
//! `tests/sentences` has each of them as it stands on the wire, with the cause that it must be given.

use super::Cause::{self, AuthBad, AuthPolicy, Limited, MailboxMap, ProtocolOff, Refused, Token, Unavailable};
use crate::model::CredentialKind::{self, AppPassword, OAuth2};
use crate::model::Protocol::{self, Imap, Pop3, Submission};

/// A sentence, and what it means.
#[derive(Debug)]
pub(super) struct Row {
    /// In lower case; the reply contains it.
    pub(super) sentence: &'static str,
    /// If it means this in one protocol only.
    pub(super) protocol: Option<Protocol>,
    /// If it means this of one kind of credential only.
    pub(super) kind: Option<CredentialKind>,
    pub(super) cause: Cause,
    /// What happened, for an operator.
    pub(super) plain: &'static str,
    /// What to do about it.
    pub(super) remedy: &'static str,
}

const fn row(sentence: &'static str, cause: Cause, plain: &'static str, remedy: &'static str) -> Row {
    Row { sentence, protocol: None, kind: None, cause, plain, remedy }
}

impl Row {
    const fn on(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    const fn of(mut self, kind: CredentialKind) -> Self {
        self.kind = Some(kind);
        self
    }
}

/// Of an access token that is refused without a word about why.
pub(super) const TOKEN_REMEDY: &str = "look, in this order, at the token's audience and scope (of this provider's mail, \
    and of this protocol), at the name sent as user= (the account's identity: the mailbox's primary address), and, if \
    it is an application's, at its service principal in Exchange: made with the Object ID from Enterprise applications \
    (not that from App registrations) and given the mailbox by Add-MailboxPermission; a change takes up to an hour to \
    spread";

pub(super) const APP_PASSWORD_REMEDY: &str = "make a new app password and store it";

const GOOGLE_TOKEN_REMEDY: &str = "look, in this order, at the token's scope (https://mail.google.com/), at the name sent \
    as user= (the account's identity: the mailbox's address), and, if it is a service account's, at its domain-wide \
    delegation in the Admin console (Security, API controls), which must name that scope";

const NEXT_LOGIN: &str = "nothing: the next login gets a new token";
const PASSES: &str = "a fault at Microsoft, as a rule over within minutes";
const FEWER: &str = "lower sessions-max for this upstream";
const LATER: &str = "the provider will take logins again after a while";
const WRONG: &str = "the name or the secret is wrong";
const NO_PASSWORDS: &str = "passwords are switched off here: it needs OAuth2";
const OAUTH2: &str = "give the account an OAuth2 credential";

/// The first that matches decides.
pub(super) const ROWS: &[Row] = &[
    // Exchange Online: tokens
    row("accesstokenexpired", Token, "the access token expired within the session", NEXT_LOGIN),
    row("session invalidated", Token, "Exchange ended the session for its token's sake", NEXT_LOGIN).of(OAuth2),
    row("session invalidated", Unavailable, "Exchange ended the session", "log in again"),
    row(
        "protocol error. connection is closed. 10",
        Token,
        "Exchange closes POP3 sessions on access tokens of more than 4096 characters",
        "ask for the scopes of one resource only, so that the token is shorter",
    )
    .on(Pop3)
    .of(OAuth2),
    row(
        "protocol error. connection is closed. 10",
        Refused,
        "Exchange takes what was sent for an error",
        "Exchange Online takes no password by POP3, and nothing in one line: see `mechanisms` of the upstream",
    )
    .on(Pop3)
    .of(AppPassword),
    row("5.7.142", Token, "the access token has too little time left", NEXT_LOGIN).on(Submission).of(OAuth2),
    row("5.7.143", Token, "the access token has expired", "look at the clock of this machine")
        .on(Submission)
        .of(OAuth2),
    row(
        "5.7.144",
        Token,
        "the application lacks the permission for this in its API permissions",
        "give it the permission in Entra (API permissions), with an administrator's consent; up to an hour to spread",
    )
    .on(Submission)
    .of(OAuth2),
    row(
        "501 5.5.12",
        Token,
        "what was sent as token or as user= is not what XOAUTH2 data must be",
        "look at the account's identity: an address, and nothing else; and at what its token URL hands out",
    )
    .on(Submission)
    .of(OAuth2),
    row(
        "5.7.240",
        AuthPolicy,
        "High Volume Email does not serve this account",
        "look at the account under High Volume Email in the Exchange admin center",
    )
    .on(Submission),
    // Exchange Online: SMTP AUTH
    row(
        "smtpclientauthentication is disabled for the tenant",
        ProtocolOff,
        "SMTP AUTH is off in the whole organisation, for OAuth2 as for passwords",
        "switch it on: Set-TransportConfig -SmtpClientAuthenticationDisabled $false; or for the mailbox alone: \
         Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false",
    ),
    row(
        "smtpclientauthentication is disabled for the mailbox",
        ProtocolOff,
        "SMTP AUTH is off for this mailbox, for OAuth2 as for passwords",
        "switch it on: Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false",
    ),
    row("basic authentication is disabled", AuthPolicy, NO_PASSWORDS, OAUTH2),
    row(" 5.7.30 ", AuthPolicy, "passwords are gone here: it needs OAuth2", OAUTH2).on(Submission),
    row("basic authentication is not supported", AuthPolicy, "passwords are gone here: it needs OAuth2", OAUTH2),
    row(
        "security defaults policy",
        AuthPolicy,
        "security defaults block passwords for the whole tenant",
        "use OAuth2, or Conditional Access in their place",
    ),
    row(
        "did not meet the criteria to be authenticated",
        AuthPolicy,
        "Conditional Access or MFA blocks it",
        "look at the sign-in log in Entra for this account",
    ),
    row(
        "account locked",
        AuthPolicy,
        "Entra locked the account",
        "find who tries wrong passwords, then unlock it in Entra",
    ),
    row("account has an issue", AuthPolicy, "the account is disabled or needs action", "look at it in Entra"),
    row("the user credentials were incorrect", AuthBad, WRONG, APP_PASSWORD_REMEDY),
    row(
        "sts url does not support https",
        AuthPolicy,
        "the organisation's AD FS is set up wrongly",
        "have its address in Entra begin with https",
    ),
    row(
        "federated sts service was unreachable",
        Unavailable,
        "the organisation's AD FS does not answer Microsoft",
        "look whether the AD FS runs and can be reached from outside",
    ),
    row(
        "unrecognized authentication type",
        AuthPolicy,
        "the provider does not know the mechanism",
        "see `mechanisms` of the upstream",
    ),
    row("504 5.", AuthPolicy, "the provider does not know the mechanism", "see `mechanisms` of the upstream")
        .on(Submission),
    row(
        "5.7.57",
        AuthPolicy,
        "Exchange does not hold the session for logged in",
        "look whether SMTP AUTH is on for the mailbox, and whether the upstream's host is the one for submission",
    )
    .on(Submission),
    // One code for many things: an unknown sentence is no evidence against the credential.
    row(
        "535 5.7.139",
        Refused,
        "Exchange refused the login for a reason that is new",
        "look at the sign-in log in Entra for this account",
    ),
    // Exchange Online: submission after the login
    row(
        "sendasdenied",
        MailboxMap,
        "the account may not send as the address that the client put in From",
        "give it Send As on that mailbox: Add-RecipientPermission",
    ),
    row(
        "5.7.60",
        MailboxMap,
        "the account may not send as the address that the client put in From",
        "give it Send As on that mailbox: Add-RecipientPermission",
    )
    .on(Submission),
    row(
        "concurrent connections limit",
        Limited,
        "too many messages are sent from the mailbox at once",
        "lower sessions-max: 3 at once are allowed per mailbox",
    ),
    row(
        "thread limit exceeded",
        Limited,
        "too many messages go through the mailbox at once",
        "lower sessions-max: 3 at once are allowed per mailbox",
    ),
    row(
        "submissionquotaexceeded",
        Limited,
        "the mailbox has sent to 10,000 recipients within a day",
        "wait, or spread the mail over several mailboxes",
    ),
    row(
        "5.7.232",
        Limited,
        "the organisation has sent to as many outside recipients as it may in a day",
        "wait a day, or send by a service for bulk mail",
    )
    .on(Submission),
    row(
        "5.7.233",
        Limited,
        "the organisation has sent to as many outside recipients as it may in a day",
        "wait a day, or send by a service for bulk mail",
    )
    .on(Submission),
    row(
        "sender throttled",
        Limited,
        "Exchange holds the sender back for the same error again and again",
        "find the error in what this mailbox sent before: full mailbox, Send As, licence, recipients",
    ),
    row(
        "550 5.2.25",
        Limited,
        "Exchange holds the sender back for the same error again and again",
        "find the error in what this mailbox sent before: full mailbox, Send As, licence, recipients",
    ),
    row("mailbox full", Limited, "the mailbox is full", "make room in it, or give it more"),
    row("quotaexceeded", Limited, "the mailbox is full", "make room in it, or give it more"),
    row(
        "bad outbound sender",
        AuthPolicy,
        "Microsoft blocked the account for what it sent",
        "find out whether somebody misuses it, then release it under Restricted entities in Defender",
    ),
    row(
        "barelinefeeds",
        Refused,
        "the message has lines that end in LF alone, which the recipient's server does not take",
        "have the client end lines with CR LF",
    ),
    row("temporary server error", Unavailable, "Exchange is out of order", PASSES),
    row("421 4.3.2", Unavailable, "Exchange is not available", PASSES),
    row("421 4.4.2", Unavailable, "the provider dropped the connection, or waited too long", "log in again"),
    // Exchange Online: IMAP and POP3
    row(
        "access is disabled for this mailbox",
        ProtocolOff,
        "the protocol is off for this mailbox",
        "switch it on: Set-CASMailbox <mailbox> -ImapEnabled $true, or -PopEnabled $true",
    ),
    row(
        "authenticated but not connected",
        MailboxMap,
        "Exchange took the token and opens no mailbox; the causes, most likely first: IMAP may be off for the mailbox, \
         the token belongs to somebody else or user= is an alias, the application or delegate has no Full Access, too \
         many sessions are open, Exchange is out of order",
        "Set-CASMailbox <mailbox> -ImapEnabled $true; make the account's identity the mailbox's primary address; \
         Add-MailboxPermission -AccessRights FullAccess; lower sessions-max",
    )
    .of(OAuth2),
    row(
        "authenticated but not connected",
        MailboxMap,
        "Exchange took the password and opens no mailbox; the causes, most likely first: IMAP may be off for the \
         mailbox, the login is an alias or has no right to it, too many sessions are open, Exchange is out of order",
        "Set-CASMailbox <mailbox> -ImapEnabled $true; make the account's identity the mailbox's primary address; lower \
         sessions-max",
    )
    .of(AppPassword),
    row(
        "request is throttled",
        Limited,
        "Exchange holds the mailbox back for a while",
        "fewer sessions at once for this mailbox (sessions-max)",
    ),
    row("server unavailable", Unavailable, "the mailbox's server does not answer", PASSES),
    row(
        "protocol exchange was canceled",
        Refused,
        "the provider asked for more than the mechanism has to say",
        "see `mechanisms` of the upstream",
    ),
    row("command argument error", Unavailable, "Exchange did not understand a command", "log in again"),
    row(
        "maximum size of appendable message",
        Limited,
        "the message is larger than the mailbox takes",
        "raise it: Set-Mailbox <mailbox> -MaxReceiveSize 150MB",
    ),
    // The numbers differ by cause.
    row("connection is closed. 10", Limited, "too many sessions of the mailbox are open", FEWER).on(Imap),
    row("connection is closed. 11", Unavailable, "Exchange waited too long", "log in again").on(Imap),
    row("connection is closed. 13", Unavailable, "Exchange waited too long", "log in again").on(Imap),
    row(
        "connection is closed. 14",
        Unavailable,
        "Exchange hung up, as it does after logins that it refused",
        "look at what it refused before",
    )
    .on(Imap),
    row(
        "connection closed. 14",
        MailboxMap,
        "Exchange hung up, as it does where it opens no mailbox",
        "look whether IMAP is on for the mailbox, and whether the account's identity is its primary address",
    )
    .on(Imap),
    row("connection closed.", Unavailable, "Exchange hung up", PASSES).on(Imap),
    // Google
    row("invalid credentials (failure)", Token, "Google refused the access token", GOOGLE_TOKEN_REMEDY).of(OAuth2),
    row("[auth] invalid credentials", Token, "Google refused the access token", GOOGLE_TOKEN_REMEDY).of(OAuth2),
    row("username and password not accepted", Token, "Google refused the access token", GOOGLE_TOKEN_REMEDY).of(OAuth2),
    row(
        "application-specific password required",
        AuthPolicy,
        "the account's own password is stored",
        "make an app password at myaccount.google.com/apppasswords",
    ),
    row(
        "exceeded command or bandwidth limits",
        Limited,
        "the account has used up what Google grants it for a day",
        "Google will serve the account again within a day",
    ),
    row(
        "not enabled for imap",
        ProtocolOff,
        "IMAP is off for the mailbox",
        "switch IMAP on in the settings of the mailbox",
    ),
    row(
        "not enabled for pop",
        ProtocolOff,
        "POP is off for the mailbox",
        "switch POP on in the settings of the mailbox",
    ),
    row("web login required", AuthPolicy, "Google wants a login by browser", "log in there once as this account"),
    row("via your web browser", AuthPolicy, "Google wants a login by browser", "log in there once as this account"),
    row("534 5.7.14 ", AuthPolicy, "Google wants a login by browser", "log in there once as this account")
        .on(Submission),
    row(
        "too many login attempts",
        Limited,
        "Google has seen too many logins",
        "Google will take logins again after a while",
    ),
    row(
        "too many simultaneous connections",
        Limited,
        "too many sessions of the mailbox are open",
        "lower sessions-max: Google allows 15 per account",
    ),
    row("due to a temporary system problem", Unavailable, "Google cannot look at logins now", LATER),
    row("try again later, closing connection", Unavailable, "Google takes no more for now", LATER),
    row(
        "user sending limit exceeded",
        Limited,
        "the account has sent as much as Google allows in a day",
        "Google will serve the account again within a day",
    ),
    row(
        "command line too long",
        Refused,
        "a line of the login was longer than the provider takes",
        "shorten the account's identity; tokens go on a line of their own, which may be longer",
    ),
    row("session expired", Token, "the access token expired within the session", NEXT_LOGIN).of(OAuth2),
    row("session expired", Unavailable, "the provider ended the session", "log in again"),
    // Dovecot and others
    row("maximum number of connections", Limited, "too many sessions of the mailbox are open", FEWER),
    row("too many concurrent connections", Limited, "too many sessions of the mailbox are open", FEWER),
    row("too many requests", Limited, "the provider has seen too much of us", LATER),
    row(
        "blocked using",
        AuthPolicy,
        "this machine's address is on a block list of the provider",
        "have it taken off that list",
    ),
    row("temporarily unavailable", Unavailable, "the provider cannot serve the account now", LATER),
    // Response codes (RFC 2449 section 8.1, RFC 3206, RFC 5530), where no sentence is known
    row("[limit]", Limited, "the provider has a limit, and it is reached", FEWER),
    row("[in-use]", Limited, "another session has the mailbox: POP3 takes one at a time", "wait for it to end"),
    row(
        "[login-delay]",
        Limited,
        "the client polls more often than the provider allows",
        "have the client poll less often",
    ),
    row("[unavailable]", Unavailable, "the provider cannot serve the account now", LATER),
    row("[inuse]", Unavailable, "another session has the mailbox", LATER),
    row("[sys/temp]", Unavailable, "the provider cannot serve the account now", LATER),
    row("[serverbug]", Unavailable, "a fault at the provider", LATER),
    row(
        "[clientbug]",
        Unavailable,
        "the provider holds what Locum sent for wrong",
        "look at the account's identity for odd characters",
    ),
    row(
        "[authorizationfailed]",
        AuthPolicy,
        "the account may not do this at the provider",
        "give it the right there, or another identity here",
    ),
    row("[expired]", AuthBad, "the secret has expired", APP_PASSWORD_REMEDY),
    row("[authenticationfailed]", AuthBad, WRONG, APP_PASSWORD_REMEDY),
];

/// Words by which providers without response codes say that name or secret are wrong.
pub(super) const WRONG_CREDENTIAL: &[&str] = &[
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

//! What authorities' errors mean, as data: a plain cause, what to do, and who has to do it. To add one is to add a row.
//!
//! Sources: RFC 6749 section 5.2, RFC 8628 section 3.5; Microsoft, "Microsoft Entra authentication and authorization error
//! codes"; Google, "Using OAuth 2.0 to Access Google APIs" and "Using OAuth 2.0 for Server to Server Applications".

use super::failure::FailureKind::{self, NeedsConsent, Permanent, Transient};

/// What one error means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub(super) kind: FailureKind,
    pub(super) cause: &'static str,
    pub(super) remedy: &'static str,
}

const fn meaning(kind: FailureKind, cause: &'static str, remedy: &'static str) -> Meaning {
    Meaning { kind, cause, remedy }
}

const LOG_IN: &str = "sign in anew with `locum oauth login`";
const NEW_SECRET: &str = "make a new one in the portal and store it with `locum oauth set` or `oauth add-tenant`";
const ACCESS: &str = "exempt the account or this application from that rule, or meet it, then sign in anew with `locum \
                      oauth login`; an application with client credentials is not subject to it";

/// Of an error word (RFC 6749 section 5.2 and what authorities add to it).
pub(super) fn of_word(word: &str) -> Option<Meaning> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

/// Of the number in a Microsoft code.
pub(super) fn of_number(number: u64) -> Option<Meaning> {
    NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, meaning)| *meaning)
}

/// Whether that error word, or the number where there is one that says more, is about the application's own id, secret or
/// key. Clocks that disagree are no fault of these.
pub(super) fn is_about_the_application(word: Option<&str>, number: Option<u64>) -> bool {
    match number {
        Some(number) if APPLICATION_NUMBERS.contains(&number) => true,
        Some(number) if of_number(number).is_some() => false,
        _ => word.is_some_and(|word| APPLICATION_WORDS.contains(&word)),
    }
}

/// Whether that sentence of Google's is about a service account's key, which it knows no better word for than
/// `invalid_grant`.
pub(super) fn is_about_the_key(text: &str) -> bool {
    text.contains(KEY_SENTENCE)
}

const APPLICATION_WORDS: [&str; 2] = ["invalid_client", "deleted_client"];
const APPLICATION_NUMBERS: [u64; 8] = [70002, 700_011, 700_016, 700_025, 700_027, 7_000_215, 7_000_218, 7_000_222];
const KEY_SENTENCE: &str = "Invalid JWT Signature";

/// Of a sentence that Google says. It decides over the words for the operator, and no more than [`is_about_the_key`].
pub(super) fn of_sentence(text: &str) -> Option<Meaning> {
    SENTENCES.iter().find(|(part, _)| text.contains(part)).map(|(_, meaning)| *meaning)
}

/// What `unauthorized_client` says to a service account.
pub(super) const NOT_DELEGATED: Meaning = meaning(
    NeedsConsent,
    "the service account may not act for this mailbox",
    "grant its client id the scope in the Admin console under Security, API controls, Domain-wide delegation; it takes \
     effect within a day",
);

const WORDS: &[(&str, Meaning)] = &[
    ("temporarily_unavailable", meaning(Transient, "the authority is busy", "nothing to do: it is asked again")),
    ("server_error", meaning(Transient, "the authority is in trouble", "nothing to do: it is asked again")),
    ("slow_down", meaning(Transient, "the authority is asked too often", "nothing to do: it is asked again")),
    ("authorization_pending", meaning(Transient, "the person has not signed in yet", "finish signing in")),
    ("interaction_required", meaning(NeedsConsent, "the authority wants the person to sign in", LOG_IN)),
    ("consent_required", meaning(NeedsConsent, "the application has no consent for what it asks", LOG_IN)),
    ("login_required", meaning(NeedsConsent, "the authority wants the person to sign in", LOG_IN)),
    (
        "access_denied",
        meaning(NeedsConsent, "access was denied by the person or an administrator", "grant it, and sign in again"),
    ),
    ("authorization_declined", meaning(NeedsConsent, "the person declined to sign in", LOG_IN)),
    ("invalid_rapt", meaning(NeedsConsent, "Google wants the person to prove themselves again", LOG_IN)),
    (
        "admin_policy_enforced",
        meaning(
            NeedsConsent,
            "a rule of the Google Workspace forbids this application",
            "trust its client id in the Admin console under Security, API controls, App access control",
        ),
    ),
    ("invalid_grant", meaning(Permanent, "the refresh token, code or assertion is no longer accepted", LOG_IN)),
    (
        "invalid_client",
        meaning(Permanent, "the authority does not accept the application's id, secret or certificate", NEW_SECRET),
    ),
    (
        "unauthorized_client",
        meaning(Permanent, "the application may not use this way to get tokens", "allow it in the portal"),
    ),
    (
        "invalid_scope",
        meaning(
            Permanent,
            "the scope asked for does not exist there",
            "correct application-scopes or delegated-scopes in [upstream.<name>.oauth2]",
        ),
    ),
    (
        "invalid_request",
        meaning(
            Permanent,
            "the authority does not understand the request",
            "compare the credential's tenant, client id and grant with the portal, and token-url with the provider's pages",
        ),
    ),
    (
        "unsupported_grant_type",
        meaning(Permanent, "the authority knows no such grant", "correct token-url in [upstream.<name>.oauth2]"),
    ),
    ("expired_token", meaning(Permanent, "the code was not used in time", "begin again with `locum oauth login`")),
    (
        "bad_verification_code",
        meaning(Permanent, "the authority does not know the code", "begin again with `locum oauth login`"),
    ),
    (
        "disabled_client",
        meaning(Permanent, "the application is disabled at Google", "enable the client or service account there"),
    ),
    (
        "deleted_client",
        meaning(Permanent, "the application was deleted at Google", "store another one with `locum oauth set`"),
    ),
];

const SENTENCES: &[(&str, Meaning)] = &[
    (
        "Token has been expired or revoked",
        meaning(
            Permanent,
            "the refresh token has expired, or was revoked, as by a new password of the person",
            "sign in anew with `locum oauth login`; tokens of an application in testing end after 7 days",
        ),
    ),
    (
        "Invalid email or User ID",
        meaning(Permanent, "Google knows no mailbox of this name", "correct the account's identity"),
    ),
    (
        "Token must be a short-lived token",
        meaning(
            Permanent,
            "the signed request is not of this hour by Google's clock",
            "set this machine's clock right",
        ),
    ),
    (
        KEY_SENTENCE,
        meaning(
            Permanent,
            "Google does not know the service account's key",
            "make a new key in the Google Cloud console and store it with `locum oauth set`",
        ),
    ),
];

const NUMBERS: &[(u64, Meaning)] = &[
    (
        28000,
        meaning(Permanent, "scopes of more than one resource are asked for at once", "name scopes of one host only"),
    ),
    (50020, meaning(Permanent, "the person is of another tenant", "correct the tenant of the credential")),
    (50034, meaning(Permanent, "the tenant has no such user", "correct the account, or its tenant")),
    (
        50053,
        meaning(
            Permanent,
            "the user is locked after wrong passwords, or this address is blocked",
            "wait, or unlock the user; the sign-in log of Entra says which it is",
        ),
    ),
    (
        50055,
        meaning(
            NeedsConsent,
            "the user's password has expired",
            "change it, then sign in anew with `locum oauth login`",
        ),
    ),
    (50056, meaning(NeedsConsent, "the user has no password there, or a wrong one", LOG_IN)),
    (50057, meaning(Permanent, "the user is disabled", "enable the user in Entra")),
    (50072, meaning(NeedsConsent, "the user has to enrol for a second factor", LOG_IN)),
    (50074, meaning(NeedsConsent, "a second factor is demanded", LOG_IN)),
    (50076, meaning(NeedsConsent, "a second factor is demanded", LOG_IN)),
    (50078, meaning(NeedsConsent, "the second factor was shown too long ago", LOG_IN)),
    (50079, meaning(NeedsConsent, "the user has to enrol for a second factor", LOG_IN)),
    (50097, meaning(NeedsConsent, "a known device is demanded", ACCESS)),
    (
        50105,
        meaning(
            NeedsConsent,
            "the user is not assigned to the application",
            "assign the user to it under Enterprise applications",
        ),
    ),
    (50126, meaning(Permanent, "the name or the password is wrong", LOG_IN)),
    (50131, meaning(NeedsConsent, "Conditional Access blocks this sign-in", ACCESS)),
    (50133, meaning(NeedsConsent, "the sign-in ended when the user's password was changed", LOG_IN)),
    (
        50144,
        meaning(
            NeedsConsent,
            "the user's password in the local directory has expired",
            "change it, then sign in anew with `locum oauth login`",
        ),
    ),
    (50158, meaning(NeedsConsent, "a check by another service is demanded", ACCESS)),
    (50173, meaning(NeedsConsent, "the grant was revoked, as by a new password", LOG_IN)),
    (
        50194,
        meaning(
            Permanent,
            "the application is of one tenant only, and was asked for through a common one",
            "name its own tenant in the credential",
        ),
    ),
    (
        50196,
        meaning(
            Permanent,
            "the same request was made too often",
            "see who else uses this application without keeping its tokens; it is asked again after a pause",
        ),
    ),
    (53000, meaning(NeedsConsent, "Conditional Access demands a compliant device", ACCESS)),
    (53001, meaning(NeedsConsent, "Conditional Access demands a device of the domain", ACCESS)),
    (53002, meaning(NeedsConsent, "Conditional Access demands an approved application", ACCESS)),
    (53003, meaning(NeedsConsent, "Conditional Access blocks this sign-in", ACCESS)),
    (530035, meaning(NeedsConsent, "the security defaults of the tenant block this sign-in", ACCESS)),
    (
        65001,
        meaning(
            NeedsConsent,
            "nobody has consented to what the application asks for",
            "grant admin consent under API permissions in the portal, or sign in with `locum oauth login`",
        ),
    ),
    (65004, meaning(NeedsConsent, "the person declined to consent", LOG_IN)),
    (70000, meaning(NeedsConsent, "the refresh token is not valid for this", LOG_IN)),
    (
        70001,
        meaning(
            Permanent,
            "the application is disabled or unknown in this tenant",
            "enable it, or correct the client id",
        ),
    ),
    (70002, meaning(Permanent, "the application's secret or certificate is not accepted", NEW_SECRET)),
    (70008, meaning(NeedsConsent, "the refresh token has expired or was not used for too long", LOG_IN)),
    (
        70011,
        meaning(
            Permanent,
            "the scope asked for does not exist",
            "correct application-scopes or delegated-scopes in [upstream.<name>.oauth2]; an application's ends in /.default",
        ),
    ),
    (70016, meaning(Transient, "the person has not signed in yet", "finish signing in")),
    (70018, meaning(Permanent, "the code is not known", "begin again with `locum oauth login`")),
    (70019, meaning(Permanent, "the code was not used in time", "begin again with `locum oauth login`")),
    (70043, meaning(NeedsConsent, "the tenant demands to sign in more often", LOG_IN)),
    (
        90002,
        meaning(Permanent, "there is no such tenant", "correct the tenant, and see that the preset is of its cloud"),
    ),
    (90033, meaning(Transient, "the authority is in trouble", "nothing to do: it is asked again")),
    (
        90094,
        meaning(
            NeedsConsent,
            "an administrator has to consent",
            "grant admin consent under API permissions in the portal",
        ),
    ),
    (
        500011,
        meaning(
            Permanent,
            "the tenant has no Exchange Online, or not under this name",
            "correct application-scopes or delegated-scopes in [upstream.<name>.oauth2], or license the tenant",
        ),
    ),
    (
        650052,
        meaning(
            Permanent,
            "the tenant has not enabled the service that the application asks for",
            "license Exchange Online in the tenant",
        ),
    ),
    (
        650056,
        meaning(
            Permanent,
            "the application is not set up for what it asks",
            "add the permissions of Office 365 Exchange Online in the portal, and grant admin consent",
        ),
    ),
    (
        650057,
        meaning(
            Permanent,
            "the application does not list the service that it asks for",
            "add the permissions of Office 365 Exchange Online in the portal",
        ),
    ),
    (
        700011,
        meaning(
            Permanent,
            "the tenant does not know the application",
            "correct tenant and client id, or grant admin consent there",
        ),
    ),
    (
        700016,
        meaning(
            Permanent,
            "the tenant does not know the application",
            "correct tenant and client id, or grant admin consent there",
        ),
    ),
    (
        700024,
        meaning(
            Permanent,
            "the signed request is not of this hour by the authority's clock",
            "set this machine's clock right",
        ),
    ),
    (
        700025,
        meaning(
            Permanent,
            "the application is a public one and may not show a secret",
            "store it without a secret, or register it as a web application",
        ),
    ),
    (
        700027,
        meaning(
            Permanent,
            "the application has no such certificate, or the signature is not by its key",
            "upload the certificate under Certificates & secrets in the portal",
        ),
    ),
    (700082, meaning(NeedsConsent, "the refresh token has expired: it was not used for 90 days", LOG_IN)),
    (7000112, meaning(Permanent, "the application is disabled", "enable it under Enterprise applications")),
    (
        7000215,
        meaning(
            Permanent,
            "the application's secret is wrong",
            "store its value, not its id, with `locum oauth set` or `oauth add-tenant`",
        ),
    ),
    (
        7000218,
        meaning(
            Permanent,
            "the application must show a secret or a certificate",
            "store one, or allow public client flows under Authentication in the portal",
        ),
    ),
    (7000222, meaning(Permanent, "the application's secret has expired", NEW_SECRET)),
];

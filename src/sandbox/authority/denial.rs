//! Why a token is refused, and how each authority words it. The texts of Entra are those of its published list of errors
//! and of its answers; where no answer is at hand, the sense of that list. Nobody should act on them: `error` is for that.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::digest;
use serde_json::{Value, json};

use super::codes;

/// A refusal: what both authorities know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Denial {
    /// A parameter is not there, is there twice, or cannot be read.
    Missing(&'static str),
    UnknownGrant(String),
    UnknownTenant(String),
    UnknownApplication(String),
    /// Neither secret nor assertion, where one is needed.
    NoProof,
    ProofOfPublicClient,
    WrongSecret,
    ExpiredSecret,
    /// An assertion that is no JWT, or claims too little.
    AssertionMalformed,
    AssertionAudience,
    AssertionSubject,
    /// Signed by another key than that of the registered certificate.
    AssertionKey,
    AssertionSignature,
    AssertionTime,
    Scope(String),
    /// An application must ask for `/.default`.
    NotDefaultScope(String),
    TwoResources,
    UnknownResource(String),
    NotConsented,
    /// A refresh token that was never issued to this client, or is spent.
    RefreshToken,
    RefreshTokenRevoked,
    Code,
    CodeRedeemed,
    CodeRedirect,
    CodeVerifier,
    DevicePending,
    DeviceTooFast,
    DeviceDeclined,
    DeviceUnknown,
    DeviceExpired,
    /// Google: there is no such mailbox.
    UnknownSubject,
    /// Google: the service account may not act as it.
    NotDelegated,
    /// What trouble asks for.
    Listed(u32),
}

/// A refusal in the words of one authority.
pub(super) struct Worded {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) code: Option<u32>,
    pub(super) body: Value,
}

/// What the application and its directory are called in the texts.
pub(super) struct Names<'a> {
    pub(super) client_id: &'a str,
    pub(super) tenant: &'a str,
}

impl Denial {
    /// As Entra answers. Times are the authority's.
    pub(super) fn by_entra(&self, names: &Names<'_>, now: Timestamp) -> Worded {
        let code = self.entra_code();
        let (status, error) = match (self, code) {
            (Self::DeviceTooFast, _) => (400, "slow_down"),
            (Self::DeviceDeclined, _) => (400, "authorization_declined"),
            (_, code) => {
                let code = codes::code(code.unwrap_or_default());
                (code.status, code.error)
            }
        };
        let trace = made_id(&["trace", names.client_id, &now.to_string()]);
        let correlation = made_id(&["correlation", names.client_id, &now.to_string()]);
        let stamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let text = self.entra_text(names, now);
        let text = code.map_or_else(|| text.clone(), |code| format!("AADSTS{code}: {text}"));
        let mut body = json!({
            "error": error,
            "error_description":
                format!("{text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"),
            "error_codes": code.into_iter().collect::<Vec<_>>(),
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        if let Some(code) = code {
            body["error_uri"] = format!("https://login.microsoftonline.com/error?code={code}").into();
        }
        Worded { status, error, code, body }
    }

    fn entra_code(&self) -> Option<u32> {
        Some(match self {
            Self::Missing(_) => 900_144,
            Self::UnknownGrant(_) => 70_003,
            Self::UnknownTenant(_) => 90_002,
            Self::UnknownApplication(_) => 700_016,
            Self::NoProof => 7_000_218,
            Self::ProofOfPublicClient => 700_025,
            Self::WrongSecret => 7_000_215,
            Self::ExpiredSecret => 7_000_222,
            Self::AssertionMalformed => 50_027,
            Self::AssertionAudience => 700_023,
            Self::AssertionSubject => 700_021,
            Self::AssertionKey | Self::AssertionSignature => 700_027,
            Self::AssertionTime => 700_024,
            Self::Scope(_) => 70_011,
            Self::NotDefaultScope(_) => 1_002_012,
            Self::TwoResources => 28_000,
            Self::UnknownResource(_) => 500_011,
            Self::NotConsented | Self::NotDelegated => 65_001,
            Self::RefreshToken | Self::Code => 70_000,
            Self::RefreshTokenRevoked => 50_173,
            Self::CodeRedeemed => 54_005,
            Self::CodeRedirect => 500_112,
            Self::CodeVerifier => 501_481,
            Self::DevicePending => 70_016,
            Self::DeviceUnknown => 70_018,
            Self::DeviceExpired => 70_019,
            Self::UnknownSubject => 50_034,
            Self::Listed(code) => *code,
            Self::DeviceTooFast | Self::DeviceDeclined => return None,
        })
    }

    fn entra_text(&self, names: &Names<'_>, now: Timestamp) -> String {
        let Names { client_id, tenant } = names;
        match self {
            Self::Missing(parameter) => {
                format!("The request body must contain the following parameter: '{parameter}'.")
            }
            Self::UnknownGrant(grant) => format!("The app requested an unsupported grant type '{grant}'."),
            Self::AssertionKey => {
                "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found.]".to_owned()
            }
            Self::AssertionSignature => {
                "Client assertion failed signature validation. [Reason - The key was found, but use of the key to verify the signature failed.]".to_owned()
            }
            Self::AssertionTime => format!(
                "Client assertion is not within its valid time range. Current time: {}. Please review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials.",
                now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
            ),
            Self::Scope(scope) => format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            ),
            Self::NotDefaultScope(scope) => format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            ),
            Self::UnknownResource(resource) => {
                format!("The resource principal named {resource} was not found in the tenant named {tenant}.")
            }
            Self::DeviceTooFast => "The client polls too quickly.".to_owned(),
            Self::DeviceDeclined => "The end user denied the authorization request.".to_owned(),
            _ => {
                let sentence = codes::code(self.entra_code().unwrap_or_default()).sentence;
                sentence.replace("{app}", client_id).replace("{tenant}", tenant)
            }
        }
    }

    /// As Google answers.
    pub(super) fn by_google(&self) -> Worded {
        let (status, error, text) = match self {
            Self::Missing(parameter) => {
                return google(400, "invalid_request", &format!("Missing required parameter: {parameter}"));
            }
            Self::UnknownGrant(grant) => {
                return google(400, "unsupported_grant_type", &format!("Invalid grant_type: {grant}"));
            }
            Self::UnknownTenant(_) | Self::UnknownApplication(_) => {
                (401, "invalid_client", "The OAuth client was not found.")
            }
            Self::NoProof => (400, "invalid_request", "client_secret is missing."),
            Self::ProofOfPublicClient | Self::WrongSecret | Self::ExpiredSecret => {
                (401, "invalid_client", "Unauthorized")
            }
            Self::AssertionMalformed => (400, "invalid_grant", "Invalid JWT: Failed to parse."),
            Self::AssertionAudience => (400, "invalid_grant", "Invalid JWT: Failed audience check."),
            Self::AssertionSubject => (400, "invalid_grant", "Invalid grant: account not found"),
            Self::AssertionKey | Self::AssertionSignature => (400, "invalid_grant", "Invalid JWT Signature."),
            Self::AssertionTime => (
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
            ),
            Self::Scope(_) | Self::NotDefaultScope(_) | Self::TwoResources | Self::UnknownResource(_) => {
                (400, "invalid_scope", "Some requested scopes were invalid.")
            }
            Self::RefreshToken | Self::RefreshTokenRevoked => {
                (400, "invalid_grant", "Token has been expired or revoked.")
            }
            Self::CodeRedirect => (400, "redirect_uri_mismatch", "Bad Request"),
            Self::CodeVerifier => (400, "invalid_grant", "Invalid code verifier."),
            Self::UnknownSubject => (400, "invalid_grant", "Invalid email or User ID"),
            Self::NotDelegated | Self::NotConsented => (
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.",
            ),
            Self::Code | Self::CodeRedeemed | Self::DeviceUnknown => (400, "invalid_grant", "Malformed auth code."),
            Self::DevicePending => (428, "authorization_pending", "Precondition Required"),
            Self::DeviceTooFast => (403, "slow_down", "Forbidden"),
            Self::DeviceDeclined => (403, "access_denied", "Forbidden"),
            Self::DeviceExpired => (400, "expired_token", "Bad Request"),
            Self::Listed(code) => {
                let code = codes::code(*code);
                (code.status, code.error, "Bad Request")
            }
        };
        google(status, error, text)
    }
}

fn google(status: u16, error: &'static str, text: &str) -> Worded {
    Worded { status, error, code: None, body: json!({ "error": error, "error_description": text }) }
}

/// An id as Entra makes them; the same for the same words.
fn made_id(words: &[&str]) -> String {
    let digest = digest::digest(&digest::SHA256, words.join("\0").as_bytes());
    let hex = HEXLOWER.encode(&digest.as_ref()[..16]);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

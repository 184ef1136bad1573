//! Signed requests: JWTs (RFC 7519) that prove an application (RFC 7523 section 2.2; Microsoft, "Microsoft identity platform
//! application authentication certificate credentials") or speak for a service account (RFC 7523 section 2.1; Google, "Using
//! OAuth 2.0 for Server to Server Applications").

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use serde_json::{Value, json};

use super::keys::{self, Certificate};
use crate::credential::CredentialError;
use crate::model::Secret;

/// How long an assertion may be used. Microsoft advises five to ten minutes, Google allows an hour.
const LIFE_SECONDS: i64 = 10 * 60;

/// What an application shows to Microsoft in the place of a secret.
pub(super) fn of_application(
    client_id: &str,
    certificate: &str,
    key: &Secret,
    audience: &str,
    now: Timestamp,
) -> Result<Secret, CredentialError> {
    let certificate = Certificate::read(certificate)?;
    let thumbprint = digest::digest(&digest::SHA256, &certificate.der);
    let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": BASE64URL_NOPAD.encode(thumbprint.as_ref()) });
    let now = now.as_second();
    let claims = json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": random_id()?,
        "nbf": now,
        "iat": now,
        "exp": now + LIFE_SECONDS,
    });
    sign(&header, &claims, &keys::key(key)?, &RSA_PSS_SHA256)
}

/// What a service account of Google shows to act for a mailbox.
pub(super) fn of_service_account(
    account: &ServiceAccount<'_>,
    subject: &str,
    scope: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Secret, CredentialError> {
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(id) = account.key_id {
        header["kid"] = id.into();
    }
    let now = now.as_second();
    let claims = json!({
        "iss": account.client_id,
        "sub": subject,
        "scope": scope,
        "aud": audience,
        "iat": now,
        "exp": now + LIFE_SECONDS,
    });
    sign(&header, &claims, &keys::key(account.key)?, &RSA_PKCS1_SHA256)
}

/// Who signs.
pub(super) struct ServiceAccount<'c> {
    pub(super) client_id: &'c str,
    pub(super) key: &'c Secret,
    pub(super) key_id: Option<&'c str>,
}

/// RFC 7515 section 3.1. Whoever has the result may use it, so it is held as a secret.
fn sign(
    header: &Value,
    claims: &Value,
    key: &KeyPair,
    algorithm: &'static dyn RsaEncoding,
) -> Result<Secret, CredentialError> {
    let (header, claims) = (header.to_string(), claims.to_string());
    let bytes = key.public().modulus_len();
    let length = BASE64URL_NOPAD.encode_len(header.len())
        + BASE64URL_NOPAD.encode_len(claims.len())
        + BASE64URL_NOPAD.encode_len(bytes)
        + 2;
    let mut token = String::with_capacity(length);
    BASE64URL_NOPAD.encode_append(header.as_bytes(), &mut token);
    token.push('.');
    BASE64URL_NOPAD.encode_append(claims.as_bytes(), &mut token);
    let mut signature = vec![0; bytes];
    key.sign(algorithm, &SystemRandom::new(), token.as_bytes(), &mut signature)
        .map_err(|_| CredentialError::Unusable("the private key does not sign: is it damaged?".to_owned()))?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    Ok(Secret::new(token))
}

/// In the form of a UUID of version 4 (RFC 9562 section 5.4), so that no assertion is taken for a repetition of another.
fn random_id() -> Result<String, CredentialError> {
    let mut bytes = [0_u8; 16];
    let no_chance = |_| CredentialError::Unusable("the system gives no random bytes".to_owned());
    SystemRandom::new().fill(&mut bytes).map_err(no_chance)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

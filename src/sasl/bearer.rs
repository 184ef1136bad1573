//! What XOAUTH2 and OAUTHBEARER have in common: fields that end in ^A, one of them with the token (RFC 6750 section 2.1).

use super::SaslError;
use crate::model::Secret;

/// RFC 4954 section 4 bounds a response at 12,288 octets of base64.
pub(super) const TOKEN_BYTES_MAX: usize = 9216;

const AUTH: &[u8] = b"auth=";
const SCHEME: &[u8] = b"Bearer ";

/// The value of a field that is there and not empty.
pub(super) fn field<'a>(fields: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut values = fields.split(|&byte| byte == 1).filter_map(|field| field.strip_prefix(name));
    values.next().filter(|value| !value.is_empty())
}

/// The token. The scheme's name is in any case (RFC 7628 section 3.1).
pub(super) fn token(fields: &[u8]) -> Result<Secret, SaslError> {
    let value = field(fields, AUTH).ok_or(SaslError::Malformed)?;
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty() => match token.len() {
            0..=TOKEN_BYTES_MAX => Ok(Secret::new(token)),
            _ => Err(SaslError::TooLong),
        },
        _ => Err(SaslError::Malformed),
    }
}

/// What comes first, then the token.
pub(super) fn message(first: &[&[u8]], token: &Secret) -> Secret {
    let parts = [first, &[b"\x01", AUTH, SCHEME, token.expose(), b"\x01\x01"]].concat();
    // Built at its full length, so that no half-grown copy of the token stays behind.
    let mut message = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| message.extend_from_slice(part));
    Secret::new(message)
}

//! What a token endpoint grants (RFC 6749 section 5.1), read with suspicion: every member may lack, or be of another type.

use std::time::Duration;

use super::failure::{CORRECT_URL, FailureKind};
use super::member::{Member, Members};
use super::{HttpAnswer, TokenFailure};
use crate::model::Secret;

/// As long as a token can be and still be presented: RFC 4954 section 4 bounds a response at 12,288 octets of base64.
const ACCESS_TOKEN_BYTES_MAX: usize = 9216;

/// A refresh token has no bound of its own but that of the record that it is kept in. Microsoft's have under 2 KiB.
const REFRESH_TOKEN_BYTES_MAX: usize = 32 * 1024;

/// "If omitted, the authorization server SHOULD provide the expiration time via other means": both authorities' tokens
/// live about so long.
const LIFE_UNSAID: Duration = Duration::from_secs(60 * 60);

/// No token is believed to live longer: it would be kept when it is long revoked.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What an authority granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What to present to the provider.
    pub access_token: Secret,
    /// How long it lives from now on.
    pub expires_in: Duration,
    /// What to ask for the next one with, if that is another one now.
    pub refresh_token: Option<Secret>,
}

impl Granted {
    /// Reads the answer to `form`.
    ///
    /// # Errors
    /// If it is a refusal, or no answer that can be used.
    pub fn from_answer(answer: &HttpAnswer, form: &[(&str, Secret)]) -> Result<Self, TokenFailure> {
        let members = match Members::read(&answer.body) {
            Ok(members) if (200..=299).contains(&answer.status) && !members.error.is_there() => members,
            _ => return Err(TokenFailure::from_answer(answer, form)),
        };
        if !matches!(&members.token_type, Member::Absent) && !is_bearer(&members.token_type) {
            return Err(useless("its token_type is not Bearer"));
        }
        Ok(Self {
            access_token: access_token(members.access_token)?,
            expires_in: life(&members.expires_in)?,
            refresh_token: refresh_token(members.refresh_token)?,
        })
    }
}

/// The new refresh token in an answer that grants something, whatever is wrong with the rest: the one that was sent may be
/// dead from then on.
pub(super) fn refresh_token_in(answer: &HttpAnswer) -> Option<Secret> {
    let members = Members::read(&answer.body).ok()?;
    let grants = (200..=299).contains(&answer.status) && !members.error.is_there() && members.access_token.is_there();
    refresh_token(members.refresh_token).ok().flatten().filter(|_| grants)
}

/// "Token type is case insensitive" (RFC 6749 section 5.1).
fn is_bearer(member: &Member) -> bool {
    member.text().is_some_and(|text| text.eq_ignore_ascii_case("bearer"))
}

fn access_token(member: Member) -> Result<Secret, TokenFailure> {
    match member {
        Member::Absent => Err(useless("it has no access_token")),
        Member::Text(token) if token.expose().len() > ACCESS_TOKEN_BYTES_MAX => {
            Err(useless("its access_token is longer than mail protocols can carry (9216 bytes)"))
        }
        Member::Text(token) if is_token(token.expose()) => Ok(token),
        Member::Text(_) => Err(useless("its access_token has characters that no token has")),
        Member::Number(_) | Member::Other => Err(useless("its access_token is no string")),
    }
}

/// RFC 6750 section 2.1. Whatever else stood in it could end the line that it is presented in.
fn is_token(token: &[u8]) -> bool {
    let body = token.iter().position(|&byte| byte == b'=').map_or(token, |padding| &token[..padding]);
    !body.is_empty()
        && body.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte))
        && token[body.len()..].iter().all(|&byte| byte == b'=')
}

/// RFC 6749 appendix A.17: printable ASCII.
fn refresh_token(member: Member) -> Result<Option<Secret>, TokenFailure> {
    match member {
        Member::Absent => Ok(None),
        Member::Text(token) if token.is_empty() => Ok(None),
        Member::Text(token) if token.expose().len() > REFRESH_TOKEN_BYTES_MAX => {
            Err(useless("its refresh_token is longer than 32 KiB"))
        }
        Member::Text(token) if token.expose().iter().all(|byte| (0x20..0x7f).contains(byte)) => Ok(Some(token)),
        Member::Text(_) => Err(useless("its refresh_token has characters that no token has")),
        Member::Number(_) | Member::Other => Err(useless("its refresh_token is no string")),
    }
}

/// Seconds, as a number or, of older endpoints of Microsoft, as text.
fn life(member: &Member) -> Result<Duration, TokenFailure> {
    let seconds = match member {
        Member::Absent => return Ok(LIFE_UNSAID),
        Member::Number(seconds) => Some(*seconds),
        Member::Text(_) => member.text().and_then(|text| text.trim().parse().ok()),
        Member::Other => None,
    };
    match seconds {
        Some(seconds) if seconds >= LIFE_MAX.as_secs_f64() => Ok(LIFE_MAX),
        Some(seconds) if seconds >= 1.0 => Ok(Duration::from_secs_f64(seconds)),
        Some(seconds) if seconds < 1.0 => Err(TokenFailure::of(
            FailureKind::Transient,
            "the authority granted a token that is over already (expires_in)",
            "nothing to do if it passes: it is asked again",
        )),
        _ => Err(useless("its expires_in is no number")),
    }
}

fn useless(why: &str) -> TokenFailure {
    TokenFailure::of(FailureKind::Permanent, format!("the answer of the authority cannot be used: {why}"), CORRECT_URL)
}

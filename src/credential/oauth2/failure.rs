//! Why there is no access token. The authority's `error` and `error_codes` decide what follows; its sentences are for
//! people. Nothing of what was sent may be in a text: authorities quote.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::causes::{self, Meaning};
use super::member::{Member, Members};
use super::{HttpAnswer, HttpError, KeptError};
use crate::model::Secret;

/// The most of an authority's text that is repeated.
const TEXT_CHARS_MAX: usize = 512;

/// The shortest piece of what was sent that is looked for in a text.
const PIECE: usize = 8;

/// Clocks that differ by less are not why an assertion was refused: Microsoft allows five minutes, and `Date` is as old as
/// the answer was slow.
const CLOCK_DIFFERENCE_MIN: SignedDuration = SignedDuration::from_secs(60);

/// Members of a form that are no secret.
const PUBLIC: [&str; 5] = ["grant_type", "client_id", "scope", "client_assertion_type", "redirect_uri"];

/// What has to happen before there can be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Time has to pass.
    Transient,
    /// An operator has to correct something.
    Permanent,
    /// Somebody has to sign in, or to consent, at the provider.
    NeedsConsent,
}

/// Why there is no access token: the plain cause, what to do, and how the authority put it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFailure(Arc<Told>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    kind: FailureKind,
    cause: String,
    remedy: String,
    /// `error`, if it is a word.
    error: Option<String>,
    /// Microsoft's code.
    code: Option<String>,
    /// What the authority said, if nothing better is known.
    text: String,
    trace: Option<String>,
    correlation: Option<String>,
    retry_after: Option<Duration>,
    /// How far the authority's clock is ahead, where that is why.
    clock: Option<SignedDuration>,
    /// Nothing but another refresh token helps.
    wants_other_token: bool,
    about_the_application: bool,
}

impl TokenFailure {
    /// What has to happen.
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// For how long the authority wants not to be asked.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The authority's own name for it: `AADSTS7000222`, or the OAuth2 error word.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref().or(self.0.error.as_deref())
    }

    /// The OAuth2 error word (RFC 6749 section 5.2): what drives a device flow.
    pub fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// Why, without what to do.
    pub fn cause(&self) -> &str {
        &self.0.cause
    }

    /// What to do.
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }

    /// A failure that an authority answered to `form`.
    pub fn from_answer(answer: &HttpAnswer, form: &[(&str, Secret)]) -> Self {
        let told = match Members::read(&answer.body) {
            Ok(members) if members.error.is_there() => of_error(answer, form, members),
            _ => of_status(answer),
        };
        Self(Arc::new(told))
    }

    /// A failure to get any answer.
    pub(super) fn from_http(error: &HttpError) -> Self {
        let (kind, remedy) = match error {
            HttpError::Unreachable(_) | HttpError::TimedOut(_) => (
                FailureKind::Transient,
                "nothing to do if it passes: it is asked again; else see that it can be reached",
            ),
            HttpError::Untrusted(_) => (
                FailureKind::Transient,
                "if something in between ends TLS, name its authority in upstream-ca-files in [tls]; else see that \
                 token-url names the right host",
            ),
            HttpError::TooLong(_) => (FailureKind::Permanent, CORRECT_URL),
        };
        Self::of(kind, format!("the authority does not answer: {error}"), remedy)
    }

    /// Refresh tokens are out of reach.
    pub(super) fn from_kept(error: &KeptError) -> Self {
        Self::of(FailureKind::Transient, format!("the refresh token is out of reach: {error}"), "see to the store")
    }

    /// There is no refresh token.
    pub(super) fn no_refresh_token() -> Self {
        let cause = "no refresh token is kept for this credential".to_owned();
        let told = Told::new(FailureKind::NeedsConsent, cause, "sign in with `locum oauth login`");
        Self(Arc::new(Told { wants_other_token: true, ..told }))
    }

    /// A failure of our own finding.
    pub(super) fn of(kind: FailureKind, cause: impl Into<String>, remedy: &str) -> Self {
        Self(Arc::new(Told::new(kind, cause.into(), remedy)))
    }

    /// Whether nothing but another refresh token helps: what was sent is dead, or there is none.
    pub(super) fn wants_other_token(&self) -> bool {
        self.0.wants_other_token
    }

    /// Whether the authority definitely does not take the application for the one it says it is: what it showed (secret, key
    /// or id) is wrong, has expired, or is not known there. Another secret of the application may do better, and nothing else.
    pub fn is_about_the_application(&self) -> bool {
        self.0.about_the_application
    }

    /// How far the authority's clock is ahead of ours, if the signature was refused for that.
    pub(super) fn clock(&self) -> Option<SignedDuration> {
        self.0.clock
    }
}

impl Told {
    fn new(kind: FailureKind, cause: String, remedy: &str) -> Self {
        Self {
            kind,
            cause,
            remedy: remedy.to_owned(),
            error: None,
            code: None,
            text: String::new(),
            trace: None,
            correlation: None,
            retry_after: None,
            clock: None,
            wants_other_token: false,
            about_the_application: false,
        }
    }
}

/// The cause; what to do; and how to find it at the authority.
impl fmt::Display for TokenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = &*self.0;
        f.write_str(&told.cause)?;
        if let Some(ahead) = told.clock {
            let side = if ahead.is_positive() { "behind" } else { "ahead of" };
            write!(f, " (this machine's clock is {} s {side} the authority's)", ahead.unsigned_abs().as_secs())?;
        }
        write!(f, "; {}", told.remedy)?;
        let named = |name, value: &Option<String>| value.as_ref().map(|value| format!("{name}{value}"));
        let said = (!told.text.is_empty()).then(|| format!("\"{}\"", told.text));
        let code = self.code().map(str::to_owned);
        let details = [code, said, named("trace ", &told.trace), named("correlation ", &told.correlation)];
        let details: Vec<String> = details.into_iter().flatten().collect();
        if details.is_empty() { Ok(()) } else { write!(f, " ({})", details.join(", ")) }
    }
}

impl std::error::Error for TokenFailure {}

pub(super) const CORRECT_URL: &str = "correct token-url in [upstream.<name>.oauth2]";

/// By the status alone: what came is no OAuth2 error.
fn of_status(answer: &HttpAnswer) -> Told {
    let status = answer.status;
    let told = match status {
        300..=399 => Told::new(
            FailureKind::Permanent,
            format!("the authority answered with a redirect ({status}), which is not followed"),
            CORRECT_URL,
        ),
        408 | 429 | 500.. => Told::new(
            FailureKind::Transient,
            format!("the authority answered {status}"),
            "nothing to do if it passes: it is asked again",
        ),
        _ => Told::new(
            FailureKind::Permanent,
            format!("what answered ({status}) is no token endpoint: it sent no answer of OAuth2"),
            CORRECT_URL,
        ),
    };
    Told { retry_after: answer.retry_after, ..told }
}

/// By `error` (RFC 6749 section 5.2) and `error_codes` (Microsoft).
fn of_error(answer: &HttpAnswer, form: &[(&str, Secret)], members: Members) -> Told {
    let sent = |name: &str| form.iter().any(|(known, _)| *known == name);
    let word = |member: &Member| member.text().filter(|text| is_word(text)).map(|text| plain(text, form));
    let (error, detail) = (word(&members.error), word(&members.error_subtype).or_else(|| word(&members.suberror)));
    let text = members.error_description.text().map(|text| plain(text, form)).unwrap_or_default();
    let number = members.error_codes.iter().find(|&&number| causes::of_number(number).is_some());
    let number = number.or(members.error_codes.first()).copied();

    let delegation = error.as_deref() == Some("unauthorized_client") && sent("assertion");
    let of_words =
        || detail.as_deref().and_then(causes::of_word).or_else(|| error.as_deref().and_then(causes::of_word));
    let decided = if delegation { Some(causes::NOT_DELEGATED) } else { number.and_then(causes::of_number) };
    let decided = decided.or_else(of_words);
    let is_passing = matches!(answer.status, 429 | 500..);
    let kind = match decided {
        _ if is_passing => FailureKind::Transient,
        Some(meaning) => meaning.kind,
        None => FailureKind::Permanent,
    };
    // A number in the text, and Google's sentences, explain; they decide nothing.
    let shown_number = number.or_else(|| number_in(&text));
    let explained = shown_number.and_then(causes::of_number).or_else(|| causes::of_sentence(&text)).or(decided);
    let unknown = Meaning { kind, cause: "the authority refused the request", remedy: "see what it says" };
    let Meaning { cause, remedy, .. } = explained.filter(|_| !delegation).or(decided).unwrap_or(unknown);

    let is_known = shown_number.and_then(causes::of_number).is_some() || causes::of_sentence(&text).is_some();
    let id = |member: &Member| member.text().filter(|text| is_id(text)).map(str::to_owned);
    Told {
        error: error.clone(),
        code: shown_number.map(|number| format!("AADSTS{number}")),
        trace: id(&members.trace_id),
        correlation: id(&members.correlation_id),
        retry_after: answer.retry_after,
        clock: clock(answer, form, error.as_deref(), number),
        wants_other_token: error.as_deref() == Some("invalid_grant")
            && sent("refresh_token")
            && kind != FailureKind::Transient,
        about_the_application: kind == FailureKind::Permanent
            && (causes::is_about_the_application(error.as_deref(), number)
                || sent("assertion") && causes::is_about_the_key(&text)),
        text: if is_known { String::new() } else { text },
        ..Told::new(kind, cause.to_owned(), remedy)
    }
}

/// How far the authority's clock is ahead, where the time in what we signed may be why it was refused.
fn clock(
    answer: &HttpAnswer,
    form: &[(&str, Secret)],
    error: Option<&str>,
    number: Option<u64>,
) -> Option<SignedDuration> {
    let sent = |name: &str| form.iter().any(|(known, _)| *known == name);
    let of_time = match error {
        Some("invalid_client") => sent("client_assertion"),
        Some("invalid_grant") => sent("assertion"),
        _ => false,
    };
    if !of_time && number != Some(700_024) {
        return None;
    }
    let ahead = answer.date?.duration_since(Timestamp::now());
    (ahead.abs() >= CLOCK_DIFFERENCE_MIN).then_some(ahead)
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-.".contains(&byte))
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The number in `AADSTS7000222: The provided client secret …`.
fn number_in(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("AADSTS")?;
    let digits = rest.find(|it: char| !it.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

/// An authority's text as one short printable line, without what follows Microsoft's sentences (the ids are told apart from
/// it), and with whatever it repeats of the secrets that were sent masked. Pieces count, too: quotes are cut short.
fn plain(text: &str, form: &[(&str, Secret)]) -> String {
    let said = text.split("Trace ID:").next().unwrap_or_default();
    let words = said.split(|it: char| it.is_control() || it.is_whitespace()).filter(|word| !word.is_empty());
    let line: String = words.collect::<Vec<_>>().join(" ").chars().take(TEXT_CHARS_MAX).collect();
    let mut bytes = line.into_bytes();
    for (name, secret) in form {
        let secret = secret.expose();
        if PUBLIC.contains(name) || secret.is_empty() {
            continue;
        }
        let length = PIECE.min(secret.len());
        let lower = secret.to_ascii_lowercase();
        let found: Vec<usize> = (0..bytes.len().saturating_sub(length - 1))
            .filter(|&at| {
                let piece = bytes[at..at + length].to_ascii_lowercase();
                lower.windows(length).any(|window| window == piece)
            })
            .collect();
        for at in found {
            bytes[at..at + length].fill(b'*');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

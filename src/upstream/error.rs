//! Why an upstream could not be logged in to, for three readers.

use std::fmt;
use std::time::Duration;

use super::classify::{Cause, Verdict, backoff};
use crate::model::{Protocol, Refusal};

/// The state of a login that the breaker held back.
pub(super) const NOT_TRIED: &str = "breaker";

/// An upstream could not be logged in to. `Display` is for the operator: where, in which state, after what time, the
/// provider's own words (Microsoft's support asks for what stands in brackets at their end), the plain cause and its
/// remedy.
#[derive(Debug)]
pub struct UpstreamError {
    upstream: Box<str>,
    protocol: Protocol,
    state: &'static str,
    after: Duration,
    verdict: Verdict,
    detail: Box<str>,
    /// The connection broke before there was an answer.
    is_unanswered: bool,
}

impl UpstreamError {
    pub(super) fn new(
        upstream: &str,
        protocol: Protocol,
        state: &'static str,
        after: Duration,
        verdict: Verdict,
        detail: String,
    ) -> Self {
        Self { upstream: upstream.into(), protocol, state, after, verdict, detail: detail.into(), is_unanswered: false }
    }

    /// The same, where the connection broke before there was an answer.
    pub(super) fn unanswered(mut self) -> Self {
        self.is_unanswered = true;
        self
    }

    pub(super) fn is_unanswered(&self) -> bool {
        self.is_unanswered
    }

    /// What kind of trouble it is.
    pub fn cause(&self) -> Cause {
        self.verdict.cause
    }

    /// What happened, in one sentence for an operator.
    pub fn plain(&self) -> &'static str {
        self.verdict.plain
    }

    /// What an operator can do about it.
    pub fn remedy(&self) -> &'static str {
        self.verdict.remedy
    }

    /// Where the login, or the look behind it, stood: `"greeting"`, `"AUTH LOGIN"`, `"EXAMINE INBOX"` …
    pub fn state(&self) -> &'static str {
        self.state
    }

    /// Whether the provider was asked, or the breaker answered for it.
    pub fn was_tried(&self) -> bool {
        self.state != NOT_TRIED
    }

    /// What the provider said, or what went wrong on the way to it: made printable, and bounded.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// How long the provider asked to be left alone.
    pub fn backoff(&self) -> Option<Duration> {
        backoff(&self.detail)
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What the client may be told.
    pub fn refusal(&self) -> Refusal {
        match self.cause() {
            Cause::AuthBad
            | Cause::Token
            | Cause::AuthPolicy
            | Cause::ProtocolOff
            | Cause::MailboxMap
            | Cause::Refused => Refusal::ContactAdmin,
            Cause::Limited => Refusal::LimitReached,
            Cause::Untrusted | Cause::Unavailable => Refusal::Unavailable,
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upstream, protocol, state, after, verdict: Verdict { cause, plain, remedy }, detail, .. } = self;
        let after = after.as_secs_f32();
        write!(f, "{cause} (upstream={upstream} protocol={protocol} state={state:?} after={after:.1}s): {detail}")?;
        if *plain != Verdict::from(*cause).plain {
            write!(f, "; {plain}")?;
        }
        write!(f, "; {remedy}")
    }
}

impl std::error::Error for UpstreamError {}

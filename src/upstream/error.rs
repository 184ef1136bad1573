//! Why an upstream could not be logged in to, for three readers.

use std::fmt;
use std::time::Duration;

use super::Cause;
use crate::model::{Protocol, Refusal};

/// An upstream could not be logged in to. `Display` is for the operator: where, in which state, after what time, the
/// plain cause with its remedy, and the provider's own words.
#[derive(Debug)]
pub struct UpstreamError {
    upstream: String,
    protocol: Protocol,
    state: &'static str,
    after: Duration,
    cause: Cause,
    detail: String,
}

impl UpstreamError {
    pub(super) fn new(
        upstream: &str,
        protocol: Protocol,
        state: &'static str,
        after: Duration,
        cause: Cause,
        detail: String,
    ) -> Self {
        Self { upstream: upstream.to_owned(), protocol, state, after, cause, detail }
    }

    /// What kind of trouble it is.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What the client may be told.
    pub fn refusal(&self) -> Refusal {
        match self.cause {
            Cause::AuthBad | Cause::AuthPolicy | Cause::ProtocolOff | Cause::MailboxMap | Cause::Refused => {
                Refusal::ContactAdmin
            }
            Cause::Limited => Refusal::LimitReached,
            Cause::Untrusted | Cause::Unavailable => Refusal::Unavailable,
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upstream, protocol, state, after, cause, detail } = self;
        let after = after.as_secs_f32();
        write!(f, "{cause} (upstream={upstream} protocol={protocol} state={state:?} after={after:.1}s): {detail}")?;
        match super::classify::remedy(detail) {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UpstreamError {}

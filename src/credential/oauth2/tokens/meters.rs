//! What is counted of requests to authorities. A label never names a credential.

use metrics::{counter, describe_counter};

use super::super::failure::{FailureKind, TokenFailure};

/// Label `outcome`: `granted`, `transient`, `permanent`, `needs_consent`.
const REQUESTS: &str = "locum_oauth2_token_requests_total";

/// Tells whoever collects them what they mean.
pub(super) fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests to authorities for access tokens, by outcome: granted, or refused for something that passes \
         (transient), that an operator has to correct (permanent), or that somebody has to sign in for (needs_consent)"
    );
}

pub(super) fn requested<T>(outcome: &Result<T, TokenFailure>) {
    let word = match outcome.as_ref().map_err(TokenFailure::kind) {
        Ok(_) => "granted",
        Err(FailureKind::Transient) => "transient",
        Err(FailureKind::Permanent) => "permanent",
        Err(FailureKind::NeedsConsent) => "needs_consent",
    };
    counter!(REQUESTS, "outcome" => word).increment(1);
}

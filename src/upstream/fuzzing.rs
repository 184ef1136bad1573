//! Doors to what only this room sees, for the fuzz targets (`tests/fuzz`). A release has none of them. It must hold nothing
//! but doors.

use std::time::Duration;

use super::Cause;
use super::classify::{backoff, classify, classify_farewell};
use crate::model::{CredentialKind, Protocol};

/// What a refusal of a login means, and what the same words mean in a farewell.
pub fn causes(reply: &str, protocol: Protocol, kind: CredentialKind) -> [Cause; 2] {
    [classify(reply, protocol, kind).cause, classify_farewell(reply, protocol, kind).cause]
}

/// For how long a provider wants to be left alone.
pub fn asked_for(reply: &str) -> Option<Duration> {
    backoff(reply)
}

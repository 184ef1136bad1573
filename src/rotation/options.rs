//! How rotations are made.

use std::time::Duration;

use super::HookOptions;

/// Bounds of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long the one before may be used when the current one is refused. Longer than any node may go on with what it
    /// remembers of the record.
    pub grace: Duration,
    /// Time between a definite refusal of a new credential and the second try: providers take a while to know a new one
    /// everywhere (Exchange Online: half a minute).
    pub second_look: Duration,
    /// How long ago the login may be that a promotion relies on.
    pub verified_within: Duration,
    /// How long a verification goes on where the provider gives no verdict.
    pub patience: Duration,
    /// The program of the site's own, if there is one.
    pub hook: Option<HookOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(24 * 60 * 60),
            second_look: Duration::from_secs(30),
            verified_within: Duration::from_secs(10 * 60),
            patience: Duration::from_secs(2 * 60),
            hook: None,
        }
    }
}

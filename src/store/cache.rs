//! What a node remembers of a store that is elsewhere. It must never tell more than the store told, nor for longer than
//! it may.

use std::time::Duration;

/// How long what was read may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For so long a record is used without asking the store, unless the feed tells of a change. An edit that bypasses
    /// Locum is noticed after this, or when a provider refuses the credential.
    pub refresh_after: Duration,
    /// For so long after it was read a record is used while the store does not answer.
    pub max_stale: Duration,
    /// Records remembered at the most. Those unused for longest go first.
    pub records_max: u64,
    /// How often the feed is asked for changes, with a fifth more or less by chance.
    pub poll_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refresh_after: Duration::from_secs(60),
            max_stale: Duration::from_secs(12 * 60 * 60),
            records_max: 100_000,
            poll_interval: Duration::from_secs(2),
        }
    }
}

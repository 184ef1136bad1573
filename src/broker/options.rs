//! How much guessing is borne.

use std::time::Duration;

/// Bounds on failed logins. Only failures count, and never against a login as such: a stranger must not be able to lock
/// a principal out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Failed logins for one login name from one address within [`Options::failure_window`] before more are refused
    /// unseen. Above what one misconfigured device sends.
    pub failures_per_login_max: u32,
    /// Failed logins from one address (an IPv6 /64) within the window. An address may be a whole site behind one router.
    pub failures_per_address_max: u32,
    /// How long a failure counts.
    pub failure_window: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { failures_per_login_max: 10, failures_per_address_max: 100, failure_window: Duration::from_secs(60) }
    }
}

//! How much guessing is borne.

use std::time::Duration;

use crate::net::ValkeyOptions;
use crate::store::KeySource;

/// Bounds on failed logins. Only failures count, and never against a login as such: a stranger must not be able to lock
/// a principal out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Failed logins for one login name from one address within [`Options::failure_window`] before both together are held
    /// back. Above what one misconfigured device sends.
    pub failures_per_login_max: u32,
    /// Failed logins from one address (an IPv6 /64) within the window. An address may be a whole site behind one router.
    pub failures_per_address_max: u32,
    /// Failed logins from one IPv6 /48 within the window. It may be one customer with 65,536 of the above, or many.
    pub failures_per_site_max: u32,
    /// How long a failure counts, and how long the first holding back lasts. Each further one is twice as long.
    pub failure_window: Duration,
    /// The longest holding back.
    pub hold_back_max: Duration,
    /// Where nodes count together, if they do. Read at the start alone.
    pub shared: Option<SharedOptions>,
}

/// A server at which nodes count together. No secret is here, only the places of some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedOptions {
    /// The server.
    pub server: ValkeyOptions,
    /// Where its password is.
    pub password: Option<KeySource>,
    /// Where the key is that all nodes make the names of their counts with.
    pub key: KeySource,
    /// What each key there begins with.
    pub prefix: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            failures_per_login_max: 10,
            failures_per_address_max: 100,
            failures_per_site_max: 1000,
            failure_window: Duration::from_secs(60),
            hold_back_max: Duration::from_secs(60 * 60),
            shared: None,
        }
    }
}

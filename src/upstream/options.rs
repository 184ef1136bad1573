//! How providers are dialled.

use std::time::Duration;

/// Bounds towards providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The name to greet with in EHLO.
    pub name: String,
    /// Time for name resolution and TCP connection, over all addresses of a host.
    pub dial_timeout: Duration,
    /// Time for one TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Time from the greeting to the answer to the login. Exchange Online takes up to 20 seconds to refuse one.
    pub login_timeout: Duration,
    /// Time that a login may wait for a place at its mailbox's gate.
    pub gate_timeout: Duration,
    /// How long to wait before each further login where one was taken and no mailbox opened, within the time for a login.
    /// Two more do: what has not passed by then is for an operator, and a client waits meanwhile.
    pub not_connected_waits: [Duration; 2],
    /// How often what a provider offers before login is looked at again.
    pub probe_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "localhost".to_owned(),
            dial_timeout: Duration::from_secs(15),
            tls_handshake_timeout: Duration::from_secs(15),
            login_timeout: Duration::from_secs(60),
            gate_timeout: Duration::from_secs(20),
            not_connected_waits: [Duration::from_secs(1), Duration::from_secs(3)],
            probe_interval: Duration::from_secs(15 * 60),
        }
    }
}

//! How providers are dialled.

use std::collections::BTreeMap;
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
    /// The classes of quota by name.
    pub classes: BTreeMap<String, ClassOptions>,
    /// Time that a message may wait for its turn where the mailbox may send so many a minute, and a login for a place
    /// there. A client waits five minutes for the answer to MAIL (RFC 5321 section 4.5.3.2.2), and an upstream as long
    /// for the next command; some devices give up after 10 to 30 seconds, but being told to come again is an error to
    /// them as well, and to the patient ones it would be one that was needless.
    pub pace_timeout: Duration,
    /// What the messages of a minute are counted over: a minute, but in tests.
    pub pace_window: Duration,
    /// How long to wait before each further login where one was taken and no mailbox opened, within the time for a login.
    /// Two more do: what has not passed by then is for an operator, and a client waits meanwhile.
    pub not_connected_waits: [Duration; 2],
    /// How often what a provider offers before login is looked at again.
    pub probe_interval: Duration,
}

/// Bounds of all sessions that are in one class of quota. `None` for no bound but those that hold for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassOptions {
    /// Sessions of the class that are open at once on this node. Who comes later waits at its login, as at a gate.
    pub sessions_max: Option<usize>,
    /// Of the places of a mailbox, so many are for the class at the most: a migration leaves some to the mailbox's owner.
    pub sessions_per_mailbox_max: Option<usize>,
    /// Messages a minute that the class submits on this node.
    pub messages_per_minute: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "localhost".to_owned(),
            dial_timeout: Duration::from_secs(15),
            tls_handshake_timeout: Duration::from_secs(15),
            login_timeout: Duration::from_secs(60),
            gate_timeout: Duration::from_secs(20),
            classes: BTreeMap::new(),
            pace_timeout: Duration::from_secs(4 * 60),
            pace_window: Duration::from_secs(60),
            not_connected_waits: [Duration::from_secs(1), Duration::from_secs(3)],
            probe_interval: Duration::from_secs(15 * 60),
        }
    }
}

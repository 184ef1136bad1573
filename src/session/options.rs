//! How listeners and sessions behave.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::{Entrance, Protocol};

/// One listener: a protocol on one or more addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Its name, in policies and logs.
    pub name: String,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where it listens.
    pub bind: Vec<SocketAddr>,
    /// How TLS begins.
    pub tls: ListenerTls,
    /// Networks from which a client may log in without TLS. Empty: none.
    pub plaintext_networks: Vec<IpNet>,
    /// Networks from which a client may connect at all. Empty: any.
    pub allow: Vec<IpNet>,
    /// Networks whose clients may shake hands by TLS 1.0 and 1.1. Empty: none. Only in a build that has them.
    pub legacy_tls_networks: Vec<IpNet>,
    /// Front ends that speak for clients.
    pub front_ends: FrontEnds,
    /// Whom it lets in, and in which forms of a login.
    pub entrance: Entrance,
}

/// Front ends that a listener believes when they say whose connection it is. Empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontEnds {
    /// Networks from which each connection begins with a header of the PROXY protocol, and is closed without one.
    pub proxy_protocol: Vec<IpNet>,
    /// Networks from which XCLIENT is taken. Submission only.
    pub xclient: Vec<IpNet>,
}

/// How TLS begins on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTls {
    /// From the first byte (RFC 8314 section 3.3): 993, 995, 465.
    Implicit,
    /// By STARTTLS (POP3: STLS): 143, 110, 587.
    StartTls,
    /// Never: for devices that know no TLS, in networks that the listener names.
    None,
}

/// Bounds of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Sessions open at once, over all listeners. Each costs two file descriptors.
    pub sessions_max: usize,
    /// Of these, sessions of one address (an IPv6 /64) that have not logged in: one stranger must not take all places. A
    /// site with hundreds of devices behind one router comes in at once after a power cut.
    pub unproven_per_address_max: usize,
    /// Connections of one address, logged in or not. `None`: as many as there are places, for an address may be a whole
    /// site, or a balancer that keeps the addresses of clients to itself.
    pub connections_per_address_max: Option<usize>,
    /// Time that an unproven connection has before its place may be given to another. Less, and under a flood nobody would
    /// have the time to log in; it is a few round trips of a slow line.
    pub unproven_grace: Duration,
    /// Time for one TLS handshake with a client. Old devices need seconds for a key exchange.
    pub tls_handshake_timeout: Duration,
    /// Time from accept to login. RFC 3501 section 5.4 lets it be shorter than the 30 minutes after login.
    pub login_timeout: Duration,
    /// Time for a client to take one reply: a peer that does not read must not hold a task.
    pub write_timeout: Duration,
    /// Time without a byte either way after login. Over the 29 minutes of IMAP IDLE (RFC 2177) and the 10 minutes that
    /// the end of a message may take (RFC 5321 section 4.5.3.2.6).
    pub idle_timeout: Duration,
    /// Time in which a side of a session that is given bytes takes none at all. A slow one takes some in each minute; over
    /// the two to five minutes that clients and providers wait for each other (RFC 5321 section 4.5.3.2).
    pub stall_timeout: Duration,
    /// Time after which a session ends whatever it does, if anything. Clients that idle may stay for weeks.
    pub session_max_time: Option<Duration>,
    /// Time from when a client that waits for the answer to its login closes its side, until nobody waits for it any more: a
    /// script may close its side and yet read the answer.
    pub hang_up_grace: Duration,
    /// Time that live sessions have to end by themselves once the process is told to stop.
    pub drain_timeout: Duration,
    /// Time that sessions go on in a process that another one has taken the place of: idle ones are worth as much as busy
    /// ones, and cost next to nothing. After a day hardly one is left, and what is revoked ends them in any case.
    pub handover_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sessions_max: 4_000,
            unproven_per_address_max: 500,
            connections_per_address_max: None,
            unproven_grace: Duration::from_secs(2),
            tls_handshake_timeout: Duration::from_secs(15),
            login_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(35 * 60),
            stall_timeout: Duration::from_secs(5 * 60),
            session_max_time: None,
            hang_up_grace: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            handover_timeout: Duration::from_secs(24 * 60 * 60),
        }
    }
}

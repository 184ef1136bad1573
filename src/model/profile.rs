//! What Locum knows of a provider: hosts, mechanisms, limits, and how its app passwords are written.

use std::collections::BTreeMap;

use super::{Mechanism, Protocol};

/// An upstream profile. The credential of an account goes to the hosts named here and to no other.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name in the configuration and in account records.
    pub name: String,
    /// Where each protocol is served; a protocol that is absent is not offered.
    pub endpoints: BTreeMap<Protocol, Endpoint>,
    /// How app passwords are written down.
    pub app_password: AppPasswordFormat,
}

/// Where and how a provider serves one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, resolved at each dial and verified against the certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How TLS begins. There is no way to do without it.
    pub tls: UpstreamTls,
    /// Mechanisms for password credentials, best first. A provider's list of what it offers decides among them.
    pub mechanisms: Vec<Mechanism>,
    /// Whether the provider takes any password here. Exchange Online takes none for IMAP and POP3.
    pub takes_passwords: bool,
    /// What it offers before login (EHLO keywords, POP3 capabilities), as last recorded. Replaced by what a probe sees.
    pub keywords: Vec<String>,
    /// Sessions that one mailbox may hold open at once, below the provider's own limit.
    pub sessions_max: usize,
}

/// How TLS begins towards a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamTls {
    /// From the first byte (RFC 8314).
    Implicit,
    /// By STARTTLS (POP3: STLS) on a plain connection; nothing else is said before it.
    StartTls,
}

/// How a provider writes the app passwords that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppPasswordFormat {
    /// Kept as typed.
    Verbatim,
    /// Spaces are shown for reading only, and are taken out (Google, Yahoo, Zoho).
    SpacesAreCosmetic,
}

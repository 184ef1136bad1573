//! What Locum knows of a provider: hosts, mechanisms, limits, and how its app passwords are written.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{CredentialKind, Mechanism, Protocol};

/// An upstream profile. The credential of an account goes to the hosts named here and to no other.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name in the configuration and in account records.
    pub name: String,
    /// Where each protocol is served; a protocol that is absent is not offered.
    pub endpoints: BTreeMap<Protocol, Endpoint>,
    /// How app passwords are written down.
    pub app_password: AppPasswordFormat,
    /// How many app passwords the provider lets one user have; `None` if that is not known.
    pub app_passwords_max: Option<u32>,
    /// Where its access tokens come from; `None` where it takes none.
    pub authority: Option<Authority>,
    /// From when on it takes less than before, the earliest first.
    pub dates: Vec<ProviderDate>,
}

/// A day from which on a provider behaves otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderDate {
    /// The first day; `None` where it is announced and no day is named.
    pub day: Option<Date>,
    /// By which protocols.
    pub protocols: Vec<Protocol>,
    /// The kind of credential that is not taken from then on; `None` where that concerns none: a notice.
    pub ends: Option<CredentialKind>,
    /// What changes, for people.
    pub what: String,
}

/// Who issues a provider's access tokens, and for what. In each URL `{tenant}` stands for the credential's tenant. An
/// application's secret and a refresh token go to the hosts named here and to no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The token endpoint (RFC 6749 section 3.2).
    pub token_url: String,
    /// The authorization endpoint (RFC 6749 section 3.1), with whatever query it always takes.
    pub authorize_url: Option<String>,
    /// The device authorization endpoint (RFC 8628 section 3.1).
    pub device_url: Option<String>,
    /// What to ask for as an application.
    pub application_scopes: Vec<String>,
    /// What to ask for on behalf of a person.
    pub delegated_scopes: Vec<String>,
}

/// Where and how a provider serves one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, resolved before it is dialled and verified against the certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How TLS begins. There is no way to do without it.
    pub tls: UpstreamTls,
    /// Mechanisms, best first; those that present the credential's kind count. A provider's list of what it offers decides
    /// among them.
    pub mechanisms: Vec<Mechanism>,
    /// Whether the provider takes any password here. Exchange Online takes none for IMAP and POP3.
    pub takes_passwords: bool,
    /// What it offers before login (EHLO keywords, POP3 capabilities), as last recorded. Replaced by what a probe sees.
    pub keywords: Vec<String>,
    /// Sessions that one mailbox may hold open at once, below the provider's own limit.
    pub sessions_max: usize,
    /// Messages that one mailbox may submit within a minute; `None` where the provider is not known to count them so.
    pub messages_per_minute: Option<u32>,
    /// Connections that are made ahead of logins at the most, while many log in. 0 for none.
    pub warm_max: usize,
}

/// Connections that are made ahead of logins at one endpoint, unless the configuration says otherwise.
pub const WARM_MAX: usize = 4;

impl Endpoint {
    /// Whether credentials of that kind can be presented here.
    pub fn takes(&self, kind: CredentialKind) -> bool {
        match kind {
            // Without a mechanism there are still LOGIN in IMAP, and USER and PASS in POP3.
            CredentialKind::AppPassword => self.takes_passwords,
            CredentialKind::OAuth2 => self.mechanisms.iter().any(|mechanism| mechanism.presents() == kind),
        }
    }
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

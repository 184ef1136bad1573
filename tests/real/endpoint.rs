//! Where a client of the tests connects, and as whom. It carries a password, so it has no `Debug`.

use std::fmt;
use std::path::PathBuf;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Implicit,
    Starttls,
    Plain,
}

impl Tls {
    pub(crate) const ALL: [Self; 3] = [Self::Implicit, Self::Starttls, Self::Plain];

    /// The word for it in the clients' job descriptions and in Locum's configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::Starttls => "starttls",
            Self::Plain => "none",
        }
    }
}

/// One service as one client is told of it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) user: String,
    pub(crate) password: String,
    /// The only authority that the client trusts.
    pub(crate) authority: PathBuf,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at {}:{} (TLS: {})", self.user, self.host, self.port, self.tls.word())
    }
}

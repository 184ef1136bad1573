//! Where TLS finds its files.

use std::path::PathBuf;

/// Files for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificate chain shown to clients, PEM, leaf first. Needed if any listener speaks TLS.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Certificate authorities to trust towards upstreams beside those of the system, PEM.
    pub upstream_ca_files: Vec<PathBuf>,
}

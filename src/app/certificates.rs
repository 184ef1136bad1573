//! When the certificates end that this process uses. It must never fail over one that cannot be read: whoever uses it says
//! so, where it is used.

use std::path::Path;

use jiff::Timestamp;

use crate::admin::{CertificateEnd, CertificateUse};
use crate::config::Config;
use crate::net::{TlsError, tls};
use crate::store::{self, vault};

/// Those of that configuration, as their files are now.
pub(super) fn ends(config: &Config) -> Vec<CertificateEnd> {
    let mut found = Vec::new();
    let mut add = |purpose, path: Option<&Path>, end: fn(&Path) -> Result<Timestamp, TlsError>| {
        let ends = path.and_then(|path| end(path).ok());
        found.extend(ends.map(|ends| CertificateEnd { purpose, ends }));
    };
    add(CertificateUse::Listener, config.tls.certificate.as_deref(), tls::first_end);
    for path in &config.tls.upstream_ca_files {
        add(CertificateUse::UpstreamAuthority, Some(path), tls::last_end);
    }
    if let store::Options::Vault(options) = &config.store {
        add(CertificateUse::StoreAuthority, options.ca_file.as_deref(), tls::last_end);
        if let vault::Login::Certificate { certificate, .. } = &options.login {
            add(CertificateUse::StoreClient, Some(certificate), tls::first_end);
        }
    }
    found
}

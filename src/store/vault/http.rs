//! The HTTP client towards the server. It must never follow a redirect (the token would go along), take a setting from the
//! environment (a proxy would see the token), or trust more than it was told to.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::super::OpenError;
use super::source::read_private;
use super::{Login, Options};

/// Time to connect to one server; a part of the time for a request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an idle connection is kept for the next request. TLS decrypts in a buffer that it keeps, and a part of the
/// last record would lie there in clear for as long as its connection lives.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The same where no secret comes by.
const FEED_IDLE_TIMEOUT: Duration = Duration::from_secs(6 * 60);

/// Idle connections kept to each server: as many as a list reads records at once.
const IDLE_MAX: usize = 32;

/// Clients of one set-up, sharing what they trust.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    /// For all but the feed.
    pub(super) records: Client,
    /// For the feed, on connections that are kept from one look at it to the next.
    pub(super) feed: Client,
}

impl Clients {
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        let tls = tls(options)?;
        let client = |idle_timeout: Duration| {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .http1_only()
                .connect_timeout(CONNECT_TIMEOUT.min(options.request_timeout))
                .timeout(options.request_timeout)
                .pool_idle_timeout(idle_timeout)
                .pool_max_idle_per_host(IDLE_MAX)
                .tls_backend_preconfigured(tls.clone())
                .build()
                .map_err(|error| OpenError::Setup(format!("the client for the Vault cannot be made: {error}")))
        };
        Ok(Self { records: client(IDLE_TIMEOUT)?, feed: client(FEED_IDLE_TIMEOUT)? })
    }
}

fn tls(options: &Options) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    match &options.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| OpenError::Setup(format!("{}: {error}", path.display())))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let Login::Certificate { certificate, key, .. } = &options.login else {
        return Ok(builder.with_no_client_auth());
    };
    let unusable = |error| OpenError::Setup(format!("{} and {}: {error}", certificate.display(), key.display()));
    builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?).map_err(unusable)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let unreadable = |error| OpenError::Setup(format!("cannot read the certificates in {}: {error}", path.display()));
    let text = fs::read(path).map_err(unreadable)?;
    match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(OpenError::Setup(format!("there is no certificate in {}: it must be PEM", path.display()))),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, OpenError> {
    let text = read_private(path)?;
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| OpenError::Setup(format!("there is no private key in {}: it must be PEM", path.display())))
}

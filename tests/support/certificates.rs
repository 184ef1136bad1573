//! Certificates, good and bad, and clients that trust one.

use std::sync::Arc;

use locum::net::tls::{self, Pems};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) pems: Pems,
    pub(crate) server: Arc<ServerConfig>,
}

impl Identity {
    /// A good one for that name.
    pub(crate) fn of(name: &str) -> Self {
        Self::from_pems(tls::self_signed(&[name.to_owned()]).unwrap())
    }

    /// One whose time is over.
    pub(crate) fn expired(name: &str) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self::from_pems(Pems { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A client that trusts this certificate and no other.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pems.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    fn from_pems(pems: Pems) -> Self {
        Self { server: tls::server_config_from_pems(&pems).unwrap(), pems }
    }
}

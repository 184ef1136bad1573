//! Certificates, good and bad, and clients that trust one.

use std::sync::Arc;

use locum::model::Fingerprint;
use locum::net::tls::{self, Pems};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
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

    /// The same client, but that it shows this certificate and signs with the key of `signer`: its own, or one that does not
    /// belong to it.
    pub(crate) fn shown_by(&self, client: &ClientConfig, signer: &Self) -> Arc<ClientConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.pems.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(signer.pems.key.as_bytes()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let mut config = client.clone();
        // No check that they belong together: that is for the other side to find.
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        Arc::new(config)
    }

    /// What it is known by.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&CertificateDer::from_pem_slice(self.pems.certificate.as_bytes()).unwrap())
    }

    fn from_pems(pems: Pems) -> Self {
        Self { server: tls::server_config_from_pems(&pems).unwrap(), pems }
    }
}

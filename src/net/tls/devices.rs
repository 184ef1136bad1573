//! TLS that asks clients for a certificate, for devices that are known by one. It must never take a certificate for more than
//! it is: that somebody has its key is proven by the handshake; who it is, the broker says.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};

/// The same, and each client is asked for a certificate that it need not have. No session is resumed: the key is proven in
/// each handshake anew.
///
/// # Errors
/// If the cryptographic provider has no suites for TLS 1.2 and 1.3.
pub fn with_device_certificates(config: &ServerConfig) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::clone(config.crypto_provider());
    let verifier = Arc::new(AnyCertificate { provider: Arc::clone(&provider) });
    let mut asking = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&config.cert_resolver));
    asking.alpn_protocols.clone_from(&config.alpn_protocols);
    asking.session_storage = Arc::new(NoServerSessionStorage {});
    asking.send_tls13_tickets = 0;
    Ok(Arc::new(asking))
}

/// Takes any certificate whose key signed the handshake. Devices make their own, and no authority vouches for them; nothing
/// follows from one until its fingerprint and its dates are looked at.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

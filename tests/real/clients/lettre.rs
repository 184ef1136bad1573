//! lettre, the Rust submission client.

use std::fs;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls as LettreTls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport};

use super::Outgoing;
use crate::endpoint::{Endpoint, Tls};

/// Submits a message with the mechanism that is named.
pub(crate) fn submit(endpoint: &Endpoint, mechanism: Mechanism, mail: &Outgoing<'_>) {
    let authority = Certificate::from_pem(&fs::read(&endpoint.authority).unwrap()).unwrap();
    let parameters = TlsParameters::builder(endpoint.host.clone())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(authority)
        .build_rustls()
        .unwrap();
    let tls = match endpoint.tls {
        Tls::Implicit => LettreTls::Wrapper(parameters),
        Tls::Starttls => LettreTls::Required(parameters),
        Tls::Plain => LettreTls::None,
    };
    let transport = SmtpTransport::builder_dangerous(&endpoint.host)
        .port(endpoint.port)
        .tls(tls)
        .hello_name(ClientId::Domain("client.example.test".to_owned()))
        .authentication(vec![mechanism])
        .credentials(Credentials::new(endpoint.user.clone(), endpoint.password.clone()))
        .timeout(Some(Duration::from_secs(20)))
        .build();
    let envelope = Envelope::new(Some(mail.from.parse().unwrap()), vec![mail.to.parse().unwrap()]).unwrap();
    // lettre ends the last line itself.
    let message = mail.message.strip_suffix(b"\r\n").unwrap();
    let answer = transport.send_raw(&envelope, message).unwrap();
    assert!(answer.is_positive(), "{endpoint}: {answer:?}");
}

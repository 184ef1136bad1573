//! Pitfalls 23, 24, 25 and 27: names in a handshake, other protocols on the same port, oneself as an upstream, and clients that
//! take their time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use locum::model::Protocol;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::answers::accepted;
use crate::hands::nothing_came_of_it;
use crate::support::{Door, Lab, Plan, Wire, present};

/// Believes every certificate, and keeps what it was shown.
#[derive(Debug)]
struct Curious {
    seen: Mutex<Vec<Vec<u8>>>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.seen.lock().unwrap().push(certificate.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn curious() -> (Arc<Curious>, Arc<ClientConfig>) {
    let provider = rustls::crypto::ring::default_provider();
    let verifier = Arc::new(Curious { seen: Mutex::default(), provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier) as _).with_no_client_auth();
    (verifier, Arc::new(config))
}

/// There is one certificate, whichever name a handshake asks for: nothing is looked up, made or kept by it.
#[tokio::test]
async fn pitfall_23_a_name_in_a_handshake_makes_nothing() {
    let lab = Lab::start().await;
    let (verifier, config) = curious();
    let address = lab.address(&Door::Implicit.listener(Protocol::Imap));
    let long = format!("{}.test", ["x".repeat(60), "y".repeat(60), "z".repeat(60), "w".repeat(60)].join("."));
    let names = (0..300).map(|number| match number {
        0 => long.clone(),
        1 => "127.0.0.1".to_owned(),
        2 => "xn--bcher-kva.test".to_owned(),
        number => format!("host-{number}.tenant-{number}.test"),
    });
    for names in names.collect::<Vec<_>>().chunks(50) {
        let each = names.iter().map(async |name| {
            let socket = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from(name.clone()).unwrap();
            TlsConnector::from(Arc::clone(&config)).connect(name, socket).await.unwrap();
        });
        join_all(each).await;
    }
    let seen = verifier.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 300);
    assert!(seen.iter().all(|certificate| *certificate == seen[0]));
    nothing_came_of_it(&lab).await;
}

/// The name that a protocol has in ALPN, if it has one.
fn alpn(protocol: Protocol) -> Option<&'static [u8]> {
    match protocol {
        Protocol::Imap => Some(b"imap"),
        Protocol::Pop3 => Some(b"pop3"),
        Protocol::Submission => None,
    }
}

/// Who is made to speak something else to a listener, as a browser is by ALPACA, gets no handshake; who asks for what is spoken
/// there, or for nothing, gets one.
#[tokio::test]
async fn pitfall_24_another_protocol_gets_no_handshake() {
    let lab = Lab::start().await;
    for protocol in Protocol::ALL {
        for door in [Door::Implicit, Door::StartTls] {
            let offers: [&[&[u8]]; 6] =
                [&[b"http/1.1"], &[b"h2", b"http/1.1"], &[b"ftp"], &[b"imap", b"h2"], &[b"pop3"], &[b"xmpp-client"]];
            for offer in offers {
                let mut config = (*lab.client_tls).clone();
                config.alpn_protocols = offer.iter().map(|it| it.to_vec()).collect();
                let wire = begin(&lab, protocol, door).await.try_tls(&Arc::new(config)).await;
                let is_meant = alpn(protocol).is_some_and(|own| offer.contains(&own));
                assert_eq!(wire.is_some(), is_meant, "{protocol}, {door:?}: {:?}", offer[0]);
            }
            let wire = begin(&lab, protocol, door).await.try_tls(&lab.client_tls).await;
            assert!(wire.is_some(), "{protocol}: most clients ask for nothing");
        }
    }
    nothing_came_of_it(&lab).await;
}

/// A connection on which TLS is next.
async fn begin(lab: &Lab, protocol: Protocol, door: Door) -> Wire {
    let mut wire = Wire::connect(lab.address(&door.listener(protocol))).await;
    if door == Door::StartTls {
        wire.line().await;
        if protocol == Protocol::Submission {
            wire.ehlo().await;
        }
        wire.ask(match protocol {
            Protocol::Imap => "s STARTTLS",
            Protocol::Pop3 => "STLS",
            Protocol::Submission => "STARTTLS",
        })
        .await;
    }
    wire
}

/// A browser that gets as far as to speak, where there is no TLS: its request is no login, whatever is in its body.
#[tokio::test]
async fn pitfall_24b_a_request_of_a_browser_is_no_login() {
    let lab = Lab::start().await;
    for protocol in Protocol::ALL {
        let login = match protocol {
            Protocol::Imap => format!("a LOGIN {} wrong", lab.alice.login),
            Protocol::Pop3 => format!("USER {}\r\nPASS wrong", lab.alice.login),
            Protocol::Submission => "EHLO x\r\nMAIL FROM:<a@b.test>".to_owned(),
        };
        let headers = "Host: x\r\nUser-Agent: x\r\nAccept: */*\r\nAccept-Language: x\r\nAccept-Encoding: x\r\nReferer: x\r\n\
                       Content-Type: text/plain\r\nOrigin: x\r\nConnection: x\r\nContent-Length: 99\r\n";
        let mut wire = Wire::connect(lab.address(&Door::Plain.listener(protocol))).await;
        wire.write(format!("POST / HTTP/1.1\r\n{headers}\r\n{login}\r\n")).await;
        let rest = wire.rest().await;
        assert!(!rest.contains("250-") && !rest.contains("Send the password") && !rest.contains("AUTHENT"), "{rest}");
    }
    nothing_came_of_it(&lab).await;
}

/// A client that takes nothing, says nothing, or half of something, costs a bounded time, and nobody else anything; nor may
/// one take all the places that a mailbox has from another mailbox.
#[tokio::test]
async fn pitfall_27_slow_and_half_open_clients_end_and_others_are_served() {
    let lab = Plan::new()
        .tune(|config| {
            config.session.tls_handshake_timeout = Duration::from_millis(300);
            config.session.login_timeout = Duration::from_millis(1000);
            config.upstream.gate_timeout = Duration::from_millis(50);
        })
        .start()
        .await;
    let mut waiting = Vec::new();
    for protocol in Protocol::ALL {
        let implicit = lab.address(&Door::Implicit.listener(protocol));
        // Nothing at all; half a handshake; a handshake and nothing; a command and no end of it.
        waiting.push(Wire::connect(implicit).await);
        let mut wire = Wire::connect(implicit).await;
        wire.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
        waiting.push(wire);
        waiting.push(Wire::connect(implicit).await.start_tls(&lab.client_tls).await);
        let mut wire = lab.open(protocol).await;
        wire.write("a LOG").await;
        waiting.push(wire);
        // TLS that is begun and not gone on with.
        waiting.push(begin(&lab, protocol, Door::StartTls).await);
    }
    // While they are there, others are served.
    for protocol in Protocol::ALL {
        let mut wire = lab.open(protocol).await;
        let answer = present(&mut wire, protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, accepted(protocol));
    }
    join_all(waiting.into_iter().map(Wire::rest)).await;
    nothing_but_logins(&lab);
}

fn nothing_but_logins(lab: &Lab) {
    assert!(lab.audit().iter().all(|event| event["outcome"] != "deny"));
}

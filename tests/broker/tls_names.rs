//! What a client may say of itself in a TLS handshake: the protocol that it wants to speak, and the name that it wants to
//! speak with.

use std::sync::Arc;
use std::time::Duration;

use locum::model::Protocol;
use locum::net::tls;

use crate::support::{Door, Lab, Wire};

#[tokio::test]
async fn who_wants_another_protocol_is_refused_and_who_names_none_is_not() {
    let lab = Lab::start().await;
    let protocols = [(Protocol::Imap, "imap"), (Protocol::Pop3, "pop3"), (Protocol::Submission, "smtp")];
    for (protocol, own) in protocols {
        let shake = async |door: Door, names: &[&str]| {
            let mut config = (*lab.client_tls).clone();
            config.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            let mut wire = Wire::connect(lab.address(&door.listener(protocol))).await;
            if door == Door::StartTls {
                wire.line().await;
                match protocol {
                    Protocol::Imap => drop(wire.ask("s STARTTLS").await),
                    Protocol::Pop3 => drop(wire.ask("STLS").await),
                    Protocol::Submission => {
                        wire.ehlo().await;
                        wire.ask("STARTTLS").await;
                    }
                }
            }
            wire.try_tls(&Arc::new(config)).await.is_some()
        };
        for door in [Door::Implicit, Door::StartTls] {
            assert!(shake(door, &[]).await, "{protocol} {door:?}: most clients name none");
            assert!(shake(door, &[own]).await && shake(door, &["h2", own]).await, "{protocol} {door:?}");
            for other in protocols.iter().map(|(_, name)| *name).filter(|name| *name != own).chain(["http/1.1", "h2"]) {
                assert!(!shake(door, &[other]).await, "{protocol} {door:?} took {other}");
            }
        }
    }
}

/// Servers that know other names than ours would have to refuse us (RFC 7301 section 3.2), and submission has none.
#[tokio::test]
async fn no_protocol_is_named_to_providers() {
    let lab = Lab::start().await;
    let config = tls::client_config(&lab.config().tls).unwrap();
    assert!(config.alpn_protocols.is_empty());
}

/// There is one certificate, and nothing is kept by name: whatever name is asked for, the handshake is the same.
#[tokio::test]
async fn a_thousand_names_are_one() {
    use rustls::pki_types::ServerName;
    use tokio::net::TcpStream;

    let lab = Lab::start().await;
    let address = lab.address("imaps");
    for number in 0..200 {
        let name = ServerName::try_from(format!("name-{number}.example.com")).unwrap();
        let stream = locum::net::Stream::Plain(TcpStream::connect(address).await.unwrap());
        let shaking = stream.connect_tls(Arc::clone(&lab.client_tls), name);
        let error = tokio::time::timeout(Duration::from_secs(20), shaking).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "it is shown the one certificate: {error}");
    }
    lab.log_in(Protocol::Imap, &lab.alice).await;
}

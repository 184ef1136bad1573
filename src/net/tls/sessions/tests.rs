//! Against rustls' servers.

use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::shaking::shake;
use super::super::{client_config_of, self_signed, server_config_from_pems};
use super::*;

#[test]
fn a_rush_takes_up_as_many_handshakes_as_there_were() {
    let pems = self_signed(&["localhost".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pems.certificate.as_bytes()).unwrap()).unwrap();
    let mut client = (*client_config_of(roots)).clone();
    let sessions = Arc::new(Sessions::new());
    client.resumption = rustls::client::Resumption::store(Arc::clone(&sessions) as _);
    let (client, mut server) = (Arc::new(client), (*server_config_from_pems(&pems).unwrap()).clone());
    (server.ticketer, server.send_tls13_tickets) = (Ticketer::new().unwrap(), 1);
    let server = Arc::new(server);

    let name = ServerName::try_from("localhost").unwrap();
    // As if so many had begun at once, before any was done: each finds none.
    let begun: Vec<_> = (0..TICKETS_MAX + 1)
        .map(|_| {
            let found = sessions.tickets().remove(&name);
            assert_eq!(shake(&client, &server), HandshakeKind::Full);
            (found, sessions.tickets().remove(&name))
        })
        .collect();
    for ticket in begun.into_iter().flat_map(|(found, new)| [found, new]).flatten().flatten() {
        sessions.insert_tls13_ticket(name.clone(), ticket);
    }
    assert_eq!(sessions.tickets()[&name].len(), TICKETS_MAX);

    for left in (0..TICKETS_MAX).rev() {
        assert!(sessions.take_tls13_ticket(&name).is_some(), "{left}");
        assert_eq!(sessions.tickets()[&name].len(), left, "each is given out once");
    }
    assert!(sessions.take_tls13_ticket(&name).is_none());
    assert_eq!(shake(&client, &server), HandshakeKind::Full);
    assert_eq!(shake(&client, &server), HandshakeKind::Resumed);
}

#[test]
fn the_suite_that_processors_do_is_offered_first_and_taken_first() {
    let pems = self_signed(&["localhost".to_owned()]).unwrap();
    let ours = client_config_of(rustls::RootCertStore::empty());
    let server = server_config_from_pems(&pems).unwrap();
    let default = rustls::crypto::ring::default_provider().cipher_suites;
    for suites in [&ours.crypto_provider().cipher_suites, &server.crypto_provider().cipher_suites] {
        assert_eq!(suites[0].suite(), rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert_eq!(suites.len(), default.len(), "and all others after it");
    }
    assert!(server.ignore_client_order);
}

//! Tickets alone, and in the hands of rustls.

use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};

use super::super::shaking::shake;
use super::*;
use crate::net::tls::{
    Pems, self_signed, server_config_from_pems, with_application_protocol, with_device_certificates,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const PLAIN: &[u8] = b"a master secret and what belongs to it";

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn key(ends: i64) -> (String, Secret, Timestamp) {
    let (id, secret) = TicketKey::draw().unwrap();
    (id, secret, after(ends))
}

fn holding(keys: &[&(String, Secret, Timestamp)]) -> Tickets {
    let tickets = Tickets::default();
    tickets.hold(keys.iter().map(|(id, secret, ends)| TicketKey::new(id, secret, *ends).unwrap()).collect());
    tickets
}

#[test]
fn the_first_key_seals_and_all_of_them_open() {
    let (old, new) = (key(100), key(200));
    let before = holding(&[&old]).seal(b"x", PLAIN, NOW).unwrap();
    let both = holding(&[&new, &old]);
    let ticket = both.seal(b"x", PLAIN, NOW).unwrap();
    assert_eq!(ticket[..16], HEXLOWER.decode(new.0.as_bytes()).unwrap()[..], "it begins with the id of its key");
    for sealed in [&before, &ticket] {
        assert_eq!(both.open(b"x", sealed, NOW).as_deref(), Some(PLAIN));
        assert!(!sealed.windows(8).any(|part| PLAIN.starts_with(part)));
    }
    assert_eq!(holding(&[&old]).open(b"x", &ticket, NOW), None, "a key that it does not have");
    assert_ne!(both.seal(b"x", PLAIN, NOW).unwrap(), ticket, "no two are alike");
}

#[test]
fn a_ticket_lives_as_long_as_its_key() {
    let (key, other) = (key(100), key(200));
    let tickets = holding(&[&key, &other]);
    assert_eq!(tickets.lifetime(after(40)), 60);
    let ticket = tickets.seal(b"x", PLAIN, after(99)).unwrap();
    assert!(tickets.open(b"x", &ticket, after(99)).is_some());
    assert_eq!(tickets.open(b"x", &ticket, after(100)), None);
    assert_eq!((tickets.seal(b"x", PLAIN, after(100)), tickets.lifetime(after(101))), (None, 0));
    let none = Tickets::default();
    assert_eq!((none.seal(b"x", PLAIN, NOW), none.lifetime(NOW)), (None, 0));
    assert!(!none.of(b"imap", "imaps").enabled());
}

#[test]
fn a_ticket_is_of_one_listener_and_one_protocol() {
    let tickets = holding(&[&key(i32::MAX.into())]);
    let ticket = tickets.of(b"imap", "a").encrypt(PLAIN).unwrap();
    assert_eq!(tickets.of(b"imap", "a").decrypt(&ticket).as_deref(), Some(PLAIN));
    for (protocol, listener) in [(&b"imap"[..], "b"), (b"pop3", "a"), (b"", "imap\0a"), (b"imap\0a", "")] {
        assert_eq!(tickets.of(protocol, listener).decrypt(&ticket), None, "{listener}");
    }
}

#[test]
fn what_was_altered_cut_or_made_up_does_not_open() {
    let key = key(100);
    let tickets = holding(&[&key]);
    let ticket = tickets.seal(b"x", PLAIN, NOW).unwrap();
    for at in 0..ticket.len() {
        let mut altered = ticket.clone();
        altered[at] ^= 1;
        assert_eq!(tickets.open(b"x", &altered, NOW), None, "byte {at}");
        assert_eq!(tickets.open(b"x", &ticket[..at], NOW), None, "cut at {at}");
    }
    assert_eq!(tickets.open(b"x", &[&ticket[..], &[0]].concat(), NOW), None);
    assert_eq!(tickets.open(b"x", &[&ticket[..28], &[0; TICKET_BYTES_MAX]].concat(), NOW), None);
    assert_eq!(tickets.seal(b"x", &[0; TICKET_BYTES_MAX], NOW), None, "what it would not open it does not seal");
}

#[test]
fn what_is_no_key_is_none() {
    let (id, secret, ends) = key(100);
    assert!(TicketKey::new(&id, &secret, ends).is_some());
    for (id, secret) in [
        ("", secret.clone()),
        (&id[2..], secret.clone()),
        (&id.to_uppercase().replace(|it: char| it.is_ascii_digit(), "A"), secret),
        (&id, Secret::new("canary")),
        (&id, Secret::new(BASE64.encode(&[7; 31]))),
    ] {
        assert!(TicketKey::new(id, &secret, ends).is_none(), "{id}");
    }
    let shown = format!("{:?}", (holding(&[&key(1)]), holding(&[&key(1)]).of(b"imap", "a")));
    assert!(!shown.contains("key:") && shown.contains("TicketKey"), "{shown}");
}

/// A certificate, and what trusts it by that version of TLS alone.
fn trusting(pems: &[&Pems], version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for pems in pems {
        roots.add(CertificateDer::from_pem_slice(pems.certificate.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

fn lasting() -> (String, Secret, Timestamp) {
    let (id, secret) = TicketKey::draw().unwrap();
    (id, secret, Timestamp::now() + Duration::from_secs(3600))
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

#[test]
fn a_session_is_resumed_by_both_versions_at_another_node_and_under_another_certificate() {
    use HandshakeKind::{Full, Resumed};
    for version in VERSIONS {
        let (pems, renewed) =
            (self_signed(&["localhost".into()]).unwrap(), self_signed(&["localhost".into()]).unwrap());
        let (key, other) = (lasting(), lasting());
        let node = |pems, keys: &[&(String, Secret, Timestamp)], listener| {
            let config = with_application_protocol(&server_config_from_pems(pems).unwrap(), "imap");
            with_tickets(&config, &holding(keys), listener)
        };
        let client = trusting(&[&pems, &renewed], version);
        assert_eq!(shake(&client, &node(&pems, &[&key], "imaps")), Full, "{version:?}");
        assert_eq!(
            shake(&client, &node(&pems, &[&key], "imaps")),
            Resumed,
            "{version:?}: it has the key, and knows no more"
        );
        assert_eq!(shake(&client, &node(&renewed, &[&other, &key], "imaps")), Resumed, "{version:?}");
        assert_eq!(
            shake(&client, &node(&renewed, &[&other], "imaps")),
            Resumed,
            "{version:?}: under the newest key by now"
        );
        assert_eq!(shake(&client, &node(&pems, &[&key], "imaps")), Full, "{version:?}: a key that it does not have");
        assert_eq!(shake(&client, &node(&pems, &[&key], "others")), Full, "{version:?}: a ticket of another listener");
    }
}

#[test]
fn without_a_key_and_for_certificates_there_are_no_tickets() {
    use HandshakeKind::{Full, Resumed};
    let pems = self_signed(&["localhost".into()]).unwrap();
    let plain = server_config_from_pems(&pems).unwrap();
    for version in VERSIONS {
        let client = trusting(&[&pems], version);
        let keyless = with_tickets(&plain, &Tickets::default(), "imaps");
        assert_eq!(shake(&client, &keyless), Full);
        assert_eq!(shake(&client, &keyless), Resumed, "it remembers by itself");
        let client = trusting(&[&pems], version);
        let with_tickets = with_tickets(&plain, &holding(&[&lasting()]), "imaps");
        assert_eq!(shake(&client, &with_tickets), Full);
        let asking = with_device_certificates(&with_tickets).unwrap();
        assert_eq!(shake(&client, &asking), Full, "{version:?}: what opens elsewhere does not here");
        assert_eq!(shake(&client, &asking), Full, "{version:?}");
    }
}

#[test]
fn a_client_that_offers_what_it_did_not_get_here_shakes_hands_in_full() {
    let pems = self_signed(&["localhost".into()]).unwrap();
    let elsewhere = server_config_from_pems(&pems).unwrap();
    let here = with_tickets(&elsewhere, &holding(&[&lasting()]), "imaps");
    for version in VERSIONS {
        let client = trusting(&[&pems], version);
        assert_eq!(shake(&client, &elsewhere), HandshakeKind::Full);
        assert_eq!(shake(&client, &here), HandshakeKind::Full, "{version:?}: an id of a session is no ticket");
    }
}

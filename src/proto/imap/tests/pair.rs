//! Our client logs in at our server, one byte at a time.

use super::{client_options, log_in, server_options};
use crate::model::{Attempt, Mechanism};
use crate::proto::imap::{Client, Server};
use crate::proto::{Client as _, ClientAction, Server as _, ServerAction, ServerTls, UpstreamReady};

/// Capabilities that the way from the server to the client blots out, to see the other paths through the client.
const NOTHING: &[&str] = &[];
const PLUS: &[&str] = &["LITERAL+"];
const INLINE: &[&str] = &["SASL-IR"];

/// Runs both to the end and says what the server was asked to believe and what the client learnt.
fn log_in_over(tls: ServerTls, mut client: Client, hidden: &[&str]) -> (Attempt, UpstreamReady) {
    let mut server = Server::new(server_options(tls));
    let mut attempt = None;
    for _ in 0..1_000 {
        let server_waits = match server.next_action() {
            ServerAction::Wait => true,
            ServerAction::Send(bytes) => {
                for byte in blot_out(bytes.as_bytes(), hidden) {
                    client.receive(&[byte]);
                }
                false
            }
            ServerAction::Authenticate(presented) => {
                attempt = Some(presented);
                let keywords = vec!["IMAP4rev1".to_owned(), "AUTH=PLAIN".to_owned(), "IDLE".to_owned()];
                server.accept(&UpstreamReady { keywords, early: Vec::new() });
                false
            }
            ServerAction::StartTls | ServerAction::Relay { .. } => false,
            ServerAction::Close => panic!("the server closed"),
            ServerAction::Recognise | ServerAction::ChangePeer(_) => panic!("that is submission's"),
        };
        match client.next_action() {
            ClientAction::Wait => assert!(!server_waits, "both wait"),
            ClientAction::Send(bytes) => bytes.as_bytes().iter().for_each(|byte| server.receive(&[*byte])),
            ClientAction::StartTls => {
                server.tls_started();
                client.tls_started();
            }
            ClientAction::Ready(ready) => return (attempt.unwrap(), ready),
            ClientAction::Fail(failure) => panic!("{failure}"),
        }
    }
    panic!("no end to it")
}

fn blot_out(bytes: &[u8], hidden: &[&str]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    hidden.iter().fold(text, |text, word| text.replace(&format!(" {word}"), "")).into_bytes()
}

fn passwords() -> Vec<Vec<u8>> {
    vec![
        b"geheim".to_vec(),
        b"a b  c ".to_vec(),
        b"\"quoted\" \\and\\ \"".to_vec(),
        b"{5}".to_vec(),
        b"x{5+}".to_vec(),
        b"*".to_vec(),
        "p\u{e4}ssw\u{f6}rd \u{1f511}".as_bytes().to_vec(),
        b"\xff\xfe latin".to_vec(),
        [b"1 KB \\\"".as_slice(), &[b'x'; 1_017]].concat(),
        vec![0xe4; 1_024],
    ]
}

#[test]
fn every_password_arrives_by_every_way() {
    let ways: [&[Mechanism]; 3] = [&[Mechanism::Plain], &[Mechanism::Login], &[]];
    for way in ways {
        for identity in ["scan@example.com", "CONTOSO\\scan \"3\"", "d\u{fc}sseldorf@example.com"] {
            for password in passwords() {
                for (tls, hidden) in
                    [(ServerTls::Active, NOTHING), (ServerTls::Active, PLUS), (ServerTls::Offered, INLINE)]
                {
                    let client =
                        Client::new(log_in(identity, &password, way), client_options(tls == ServerTls::Offered));
                    let (attempt, ready) = log_in_over(tls, client, hidden);
                    assert_eq!(attempt.authcid, identity.as_bytes());
                    assert_eq!(attempt.proof.expose(), password);
                    assert_eq!(attempt.authzid, None);
                    assert_eq!(ready.keywords, ["IMAP4rev1", "IDLE"]);
                    let method = way.first().map_or("LOGIN command", |&way| super::super::authenticate_by(way));
                    assert_eq!(attempt.method, method);
                }
            }
        }
    }
}

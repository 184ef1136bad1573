//! Locum's client against Locum's server, one byte at a time: what goes in at one end comes out at the other.

use locum::model::{Attempt, CredentialKind, Mechanism, Protocol, Refusal, Secret};
use locum::proto::{ClientFailure, Goal, ServerTls, UpstreamReady};
use locum::sasl::Credentials;

use crate::script::{client_options, server_options};
use crate::wire::{Act, Cut, Side, Wire};

/// How a conversation ended on both sides.
#[derive(Debug)]
struct Ending {
    attempt: Option<Attempt>,
    server: Option<Act>,
    client: Result<UpstreamReady, ClientFailure>,
}

/// Lets both talk until the client is done.
fn converse(protocol: Protocol, goal: Goal, starttls: bool, answer: Option<Refusal>) -> Ending {
    let tls = if starttls { ServerTls::Offered } else { ServerTls::Active };
    let mut options = server_options(tls);
    options.keywords = vec!["PIPELINING".to_owned()];
    let mut server = Wire::new(Side::server(protocol, options), Cut::Bytes);
    let mut client = Wire::new(Side::client(protocol, goal, client_options(starttls)), Cut::Bytes);
    let mut attempt = None;
    let mut ended = None;
    // More turns than any login takes.
    for _ in 0..100 {
        server.drive();
        client.put(&std::mem::take(&mut server.said));
        client.drive();
        server.put(&std::mem::take(&mut client.said));
        match server.take_act() {
            Some(Act::StartTls) => {
                assert!(matches!(client.take_act(), Some(Act::StartTls)), "only one side wants TLS");
                server.tls_started();
                client.tls_started();
            }
            Some(Act::Authenticate(made)) => {
                assert!(attempt.is_none(), "a second attempt");
                attempt = Some(made);
                match answer {
                    None => server.accept(vec!["IMAP4rev1".to_owned()]),
                    Some(refusal) => server.refuse(refusal),
                }
            }
            Some(act) => ended = Some(act),
            None => {}
        }
        match client.take_act() {
            None => {}
            Some(Act::Ready(ready)) => return Ending { attempt, server: ended, client: Ok(ready) },
            Some(Act::Fail(failure)) => return Ending { attempt, server: ended, client: Err(failure) },
            Some(other) => panic!("the client wants {other:?}"),
        }
    }
    panic!("no end: the server is at {:?}, the client at {:?}", server.state(), client.state());
}

fn log_in(identity: &str, password: &[u8], mechanism: Mechanism) -> Goal {
    let (identity, secret) = (identity.to_owned(), Secret::new(password));
    let credentials = Credentials { identity, secret, kind: CredentialKind::AppPassword };
    Goal::LogIn { credentials, mechanisms: vec![mechanism] }
}

fn every_password_arrives_as_it_is(protocol: Protocol) {
    let long = "p".repeat(1000);
    let passwords: [&[u8]; 16] = [
        b"a",
        b"two words",
        b" blanks around ",
        b"abcd efgh ijkl mnop",
        b"\"quoted\"",
        b"back\\slash\\",
        b"{3}",
        b"{3+}",
        b"*",
        b"=",
        b"(NIL) %",
        "p\u{e4}ssw\u{f6}rd \u{1f511}".as_bytes(),
        b"latin1 \xe4\xf6",
        b"]]>\xff\xfe",
        b"AHNjYW4AZ2VoZWlt",
        long.as_bytes(),
    ];
    for mechanism in Mechanism::WITH_PASSWORD {
        for starttls in [false, true] {
            for password in passwords {
                for identity in ["scan", "scan+1@example.com", "contoso\\scan", "m\u{fc}ller@example.com"] {
                    let context = format!("{protocol} {mechanism:?} {}", String::from_utf8_lossy(password));
                    let ending = converse(protocol, log_in(identity, password, mechanism), starttls, None);
                    let Some(Act::Relay { early }) = ending.server else { panic!("{context}: no relay") };
                    assert!(early.is_empty(), "{context}");
                    let attempt = ending.attempt.expect("an attempt");
                    assert_eq!(attempt.authcid, identity.as_bytes(), "{context}");
                    assert_eq!(attempt.authzid, None, "{context}");
                    assert_eq!(attempt.proof.expose(), password, "{context}");
                    assert!(ending.client.expect("a login").early.is_empty(), "{context}");
                }
            }
        }
    }
}

fn every_refusal_reaches_the_client(protocol: Protocol) {
    for refusal in Refusal::ALL {
        let ending = converse(protocol, log_in("scan", b"geheim", Mechanism::Plain), false, Some(refusal));
        let failure = ending.client.expect_err("a refusal");
        match (protocol, refusal) {
            (Protocol::Submission, Refusal::LimitReached) => {
                assert!(matches!(failure, ClientFailure::TurnedAway(_)), "{failure:?}");
            }
            _ => assert!(matches!(failure, ClientFailure::Refused(_)), "{protocol} {refusal:?}: {failure:?}"),
        }
    }
}

#[test]
fn a_probe_learns_what_is_offered_and_leaves() {
    for protocol in [Protocol::Pop3, Protocol::Submission] {
        for starttls in [false, true] {
            let ending = converse(protocol, Goal::Probe, starttls, None);
            assert!(ending.attempt.is_none() && ending.server.is_none());
            let keywords = ending.client.expect("an answer").keywords;
            assert!(keywords.iter().any(|keyword| keyword == "PIPELINING"), "{protocol}: {keywords:?}");
        }
    }
}

macro_rules! for_every_protocol {
    ($($name:ident: $protocol:expr),* $(,)?) => { $(
        mod $name {
            use locum::model::Protocol;

            #[test]
            fn every_password_arrives_as_it_is() {
                super::every_password_arrives_as_it_is($protocol);
            }

            #[test]
            fn every_refusal_reaches_the_client() {
                super::every_refusal_reaches_the_client($protocol);
            }
        }
    )* };
}

for_every_protocol! {
    imap: Protocol::Imap,
    pop3: Protocol::Pop3,
    submission: Protocol::Submission,
}

//! Clients that misbehave: each gets the answer of the dialogue, nothing of it reaches a provider, and the next client is
//! served. What has gone wrong in others is in `tests/pitfalls`.

use locum::model::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Door, Lab, Plan, Wire, plain};

/// Nothing of what came before reached a provider, and a client that behaves is served.
async fn assert_unharmed(lab: &Lab) {
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));
    lab.log_in(Protocol::Imap, &lab.alice).await;
}

#[tokio::test]
async fn nul_and_control_characters() {
    let lab = Lab::start().await;
    let (login, secret) = (&lab.alice.login, &lab.alice.secret);
    let wrong = "[AUTHENTICATIONFAILED] Login or password is wrong";
    let mut imap = lab.open(Protocol::Imap).await;
    assert_eq!(imap.ask(&format!("a LOGIN \"{login}\0\" {secret}")).await, "a BAD NUL is not allowed");
    assert_eq!(imap.ask("b LOGIN {3}").await, "+ Go ahead");
    assert_eq!(imap.ask(&format!("a\0b {secret}")).await, "b BAD NUL is not allowed");
    assert_eq!(imap.ask(&format!("c LOGIN {{{}}}", login.len() + 2)).await, "+ Go ahead");
    assert_eq!(imap.ask(&format!("{login}\r\n {secret}")).await, format!("c NO {wrong}"));
    assert_eq!(imap.ask(&format!("d LOGIN \"{login}\x1b\" {secret}")).await, format!("d NO {wrong}"));

    let mut pop3 = lab.open(Protocol::Pop3).await;
    assert_eq!(pop3.ask(&format!("USER {login}\0")).await, "-ERR NUL is not allowed");
    assert_eq!(pop3.ask(&format!("USER {login}\x07x")).await, "+OK Send the password");
    assert_eq!(pop3.ask(&format!("PASS {secret}")).await, "-ERR [AUTH] Invalid login or password");
    assert_eq!(pop3.ask(&format!("USER {login}")).await, "+OK Send the password");
    assert_eq!(pop3.ask(&format!("PASS {secret}\t")).await, "-ERR [AUTH] Invalid login or password");

    let mut submission = lab.open(Protocol::Submission).await;
    assert_eq!(submission.ask("NOOP\0").await, "500 5.5.2 NUL is not allowed");
    let response = plain("", login, &format!("{secret}\0"));
    let malformed = "501 5.5.2 Malformed authentication response";
    assert_eq!(submission.ask(&format!("AUTH PLAIN {response}")).await, malformed);
    let response = plain("", &format!("{login}\r\nRCPT TO:<a@b>"), secret);
    let refused = "535 5.7.8 Authentication credentials invalid";
    assert_eq!(submission.ask(&format!("AUTH PLAIN {response}")).await, refused);
    assert_unharmed(&lab).await;
}

#[tokio::test]
async fn commands_out_of_order() {
    let lab = Lab::start().await;
    let mut imap = lab.open(Protocol::Imap).await;
    assert_eq!(imap.ask("a SELECT INBOX").await, "a NO Log in first");
    assert_eq!(imap.ask("b STARTTLS").await, "b BAD TLS is active already");
    assert_eq!(imap.ask("c XYZZY").await, "c BAD Unknown command");
    assert_eq!(imap.ask("").await, "* BAD Unknown command");

    let mut pop3 = lab.open(Protocol::Pop3).await;
    assert_eq!(pop3.ask("PASS x").await, "-ERR Send USER first");
    assert_eq!(pop3.ask("STAT").await, "-ERR Log in first");
    assert_eq!(pop3.ask("STLS").await, "-ERR Command not permitted when TLS active");
    assert_eq!(pop3.ask("APOP a b").await, "-ERR APOP is not supported");

    let mut submission = lab.connect(Protocol::Submission, Door::Implicit).await;
    assert_eq!(submission.ask("AUTH PLAIN").await, "503 5.5.1 Send EHLO first");
    submission.ehlo().await;
    assert_eq!(submission.ask("MAIL FROM:<a@b>").await, "530 5.7.0 Authentication required");
    assert_eq!(submission.ask("DATA").await, "530 5.7.0 Authentication required");
    assert_eq!(submission.ask("STARTTLS").await, "503 5.5.1 TLS is active already");
    assert_eq!(submission.ask("BDAT 20").await, "530 5.7.0 Authentication required");
    assert_eq!(submission.rest().await, "", "the octets of BDAT are no commands");
    assert_unharmed(&lab).await;
}

#[tokio::test]
async fn the_wrong_kind_of_port() {
    let lab = Lab::start().await;
    for protocol in Protocol::ALL {
        // Plain text on a TLS port: an alert at most, and none of the protocol's words.
        let mut wire = Wire::connect(lab.address(&Door::Implicit.listener(protocol))).await;
        wire.write("EHLO scanner\r\nUSER alice\r\na LOGIN alice secret\r\n").await;
        let said = wire.rest().await;
        assert!(!said.contains("locum.test") && said.len() < 16, "{protocol}: {said:?}");

        // TLS on a plain port: closed at once, without a word that its TLS could not read.
        for door in [Door::StartTls, Door::Plain] {
            let mut socket = TcpStream::connect(lab.address(&door.listener(protocol))).await.unwrap();
            socket.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
            let mut said = Vec::new();
            let _ = socket.read_to_end(&mut said).await; // a reset is an end too
            let said = String::from_utf8(said).unwrap();
            assert!(said.lines().count() <= 1, "{protocol}, {door:?}: no more than the greeting: {said:?}");
        }
    }
    assert_unharmed(&lab).await;
}

#[tokio::test]
async fn hanging_up_in_every_state() {
    let lab = Lab::start().await;
    for (protocol, states) in [
        (Protocol::Imap, vec!["", "a LOG", "a LOGIN {5}\r\n", "a LOGIN {5}\r\nal", "a AUTHENTICATE PLAIN\r\n"]),
        (Protocol::Pop3, vec!["", "US", "USER alice\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN\r\nYWxpY2U=\r\n"]),
        (Protocol::Submission, vec!["", "AU", "AUTH PLAIN\r\n", "AUTH LOGIN\r\n", "AUTH LOGIN\r\nYWxpY2U=\r\n"]),
    ] {
        for state in states {
            let mut wire = lab.open(protocol).await;
            wire.write(state).await;
            drop(wire);
        }
        for door in Door::ALL {
            drop(Wire::connect(lab.address(&door.listener(protocol))).await);
        }
    }
    assert_unharmed(&lab).await;
}

#[tokio::test]
async fn an_address_that_only_connects_does_not_take_all_places() {
    let lab = Plan::new().tune(|config| config.session.unproven_per_address_max = 2).start().await;
    let first = lab.open(Protocol::Imap).await;
    let known = lab.log_in(Protocol::Pop3, &lab.alice).await; // who has logged in is no stranger
    let second = lab.open(Protocol::Pop3).await;
    let refused = Wire::connect(lab.address(&Door::Plain.listener(Protocol::Submission))).await;
    assert_eq!(refused.rest().await, "421 4.3.2 Too many connections, try again later\r\n");
    let refused = Wire::connect(lab.address(&Door::Implicit.listener(Protocol::Submission))).await;
    assert_eq!(refused.rest().await, "", "words would cost a handshake");
    drop((first, second));
    // Their places are free once the server has seen that they are gone.
    loop {
        let mut next = Wire::connect(lab.address(&Door::Plain.listener(Protocol::Submission))).await;
        if next.line().await.starts_with("220 ") {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(known);
}

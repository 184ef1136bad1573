//! Clients that misbehave: each gets the answer of the dialogue, nothing of it reaches a provider, and the next client is
//! served.

use std::time::Duration;

use locum::model::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Door, Lab, Plan, Wire, base64, plain};

/// Nothing of what came before reached a provider, and a client that behaves is served.
async fn assert_unharmed(lab: &Lab) {
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));
    lab.log_in(Protocol::Imap, &lab.alice).await;
}

/// What is written behind the greeting (and EHLO), and all that is said until the end.
async fn assert_ends(lab: &Lab, protocol: Protocol, said: impl AsRef<[u8]>, answer: &str) {
    let mut wire = lab.open(protocol).await;
    wire.write(&said).await;
    assert_eq!(wire.rest().await, answer, "{protocol}, after {:?}", String::from_utf8_lossy(said.as_ref()));
}

#[tokio::test]
async fn lines_without_end() {
    let lab = Lab::start().await;
    let long = "x".repeat(17 * 1024);
    assert_ends(&lab, Protocol::Imap, &long, "* BYE Line is too long\r\n").await;
    assert_ends(&lab, Protocol::Pop3, &long, "-ERR Line too long\r\n").await;
    assert_ends(&lab, Protocol::Submission, &long, "500 5.5.2 Line too long\r\n").await;
    let response = format!("AUTH PLAIN\r\n{long}");
    assert_ends(&lab, Protocol::Pop3, &response, "+ \r\n-ERR Line too long\r\n").await;
    let answer = "334 \r\n500 5.5.6 Authentication exchange line is too long\r\n";
    assert_ends(&lab, Protocol::Submission, &response, answer).await;
    assert_unharmed(&lab).await;
}

#[tokio::test]
async fn too_much_before_login() {
    let lab = Lab::start().await;
    let noops = |line: &str| line.repeat(256 * 1024 / line.len() + 1);
    for (protocol, line, goodbye) in [
        (Protocol::Imap, "a NOOP ", "* BYE Too much was sent before login\r\n"),
        (Protocol::Pop3, "NOOP ", "-ERR Too much said before login\r\n"),
        (Protocol::Submission, "NOOP ", "421 4.7.0 Too much said before login\r\n"),
    ] {
        let mut wire = lab.open(protocol).await;
        // Long lines: the answers must not fill the way back while nobody reads them.
        let line = format!("{line}{}\r\n", "x".repeat(8000));
        wire.write(noops(&line)).await;
        assert!(wire.rest().await.ends_with(goodbye), "{protocol}");
    }
    assert_unharmed(&lab).await;
}

#[tokio::test]
async fn literals_that_are_too_long_or_out_of_place() {
    let lab = Lab::start().await;
    let mut wire = lab.open(Protocol::Imap).await;
    assert_eq!(wire.ask("a LOGIN {9000}").await, "a NO [TOOBIG] Literal is too long");
    assert_eq!(wire.ask("b LOGIN {99999999999999999999}").await, "b NO [TOOBIG] Literal is too long");
    assert_eq!(wire.ask("c NOOP {5}").await, "c BAD Literal is not expected here");
    assert_eq!(wire.ask("d LOGIN {5").await, "d BAD LOGIN takes a name and a password");
    // What is a literal to the client must not be a command to us.
    wire.write("e NOOP {24+}\r\nx LOGIN alice password\r\n\r\n").await;
    assert_eq!(wire.line().await, "e BAD Literal is not expected here");
    assert_eq!(wire.ask("f NOOP").await, "f OK NOOP completed");
    assert_ends(&lab, Protocol::Imap, "a LOGIN {9000+}\r\n", "* BYE Literal is too long\r\n").await;
    assert_unharmed(&lab).await;
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
async fn broken_base64_and_cancelled_exchanges() {
    let lab = Lab::start().await;
    let mut imap = lab.open(Protocol::Imap).await;
    assert_eq!(imap.ask("a AUTHENTICATE PLAIN !!!").await, "a BAD Response is not base64");
    assert_eq!(imap.ask("b AUTHENTICATE PLAIN").await, "+ ");
    assert_eq!(imap.ask("*").await, "b BAD AUTHENTICATE cancelled");
    assert_eq!(imap.ask("c AUTHENTICATE PLAIN YQ==").await, "c BAD Response is not what the mechanism asks for");
    assert_eq!(imap.ask("d AUTHENTICATE GSSAPI").await, "d NO Mechanism is not supported");

    let mut pop3 = lab.open(Protocol::Pop3).await;
    assert_eq!(pop3.ask("AUTH PLAIN !!!").await, "-ERR Cannot decode base64");
    assert_eq!(pop3.ask("AUTH LOGIN").await, "+ VXNlcm5hbWU6");
    assert_eq!(pop3.ask("*").await, "-ERR Authentication cancelled");
    assert_eq!(pop3.ask("AUTH PLAIN YQ==").await, "-ERR Malformed authentication response");
    assert_eq!(pop3.ask("AUTH GSSAPI").await, "-ERR Unrecognized authentication type");

    let mut submission = lab.open(Protocol::Submission).await;
    assert_eq!(submission.ask("AUTH PLAIN !!!").await, "501 5.5.2 Cannot decode base64");
    assert_eq!(submission.ask("AUTH LOGIN").await, "334 VXNlcm5hbWU6");
    assert_eq!(submission.ask("*").await, "501 5.7.0 Authentication cancelled");
    assert_eq!(submission.ask("AUTH PLAIN YQ==").await, "501 5.5.2 Malformed authentication response");
    assert_eq!(submission.ask("AUTH GSSAPI").await, "504 5.5.4 Unrecognized authentication type");
    let long = base64("x".repeat(1025));
    assert_eq!(submission.ask("AUTH LOGIN").await, "334 VXNlcm5hbWU6");
    assert_eq!(submission.ask(&long).await, "501 5.5.2 Malformed authentication response");
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
async fn too_many_bad_commands() {
    let lab = Lab::start().await;
    let (imap, pop3) = ("a BAD Unknown command\r\n".repeat(10), "-ERR Unknown command\r\n".repeat(10));
    let submission = "500 5.5.2 Unknown command\r\n".repeat(10);
    let junk = "a GET / HTTP/1.1\r\n".repeat(10);
    assert_ends(&lab, Protocol::Imap, &junk, &format!("{imap}* BYE Too many bad commands\r\n")).await;
    assert_ends(&lab, Protocol::Pop3, &junk, &pop3).await;
    assert_ends(&lab, Protocol::Submission, &junk, &format!("{submission}421 4.7.0 Too many unusable commands\r\n"))
        .await;
    assert_unharmed(&lab).await;
}

#[tokio::test]
async fn passwords_in_clear_where_tls_can_be_had() {
    let lab = Lab::start().await;
    let (login, secret) = (&lab.alice.login, &lab.alice.secret);
    let connect = |protocol| Wire::connect(lab.address(&Door::StartTls.listener(protocol)));
    let mut imap = connect(Protocol::Imap).await;
    imap.line().await;
    let privacy = "NO [PRIVACYREQUIRED] Login needs TLS";
    assert_eq!(imap.ask(&format!("a LOGIN {login} {secret}")).await, format!("a {privacy}"));
    assert_eq!(imap.ask("b AUTHENTICATE PLAIN").await, format!("b {privacy}"));
    let mut pop3 = connect(Protocol::Pop3).await;
    pop3.line().await;
    assert_eq!(pop3.ask(&format!("USER {login}")).await, "-ERR [SYS/PERM] TLS is required before login");
    let mut submission = connect(Protocol::Submission).await;
    submission.line().await;
    submission.ehlo().await;
    let encryption = "538 5.7.11 Encryption required for requested authentication mechanism";
    assert_eq!(submission.ask(&format!("AUTH PLAIN {}", plain("", login, secret))).await, encryption);
    assert_eq!(submission.ask("MAIL FROM:<a@b>").await, "530 5.7.0 Must issue a STARTTLS command first");
    assert_eq!(lab.audit(), Vec::<serde_json::Value>::new(), "no secret was looked at");
    assert_unharmed(&lab).await;
}

/// CVE-2011-0411: what came in clear behind STARTTLS must not be taken for what came under TLS.
#[tokio::test]
async fn commands_injected_behind_starttls() {
    let lab = Lab::start().await;
    let (login, secret) = (&lab.alice.login, &lab.alice.secret);
    let injected = |protocol| format!("{}\r\n", plain("", &format!("{login}-{protocol}"), secret));
    for (protocol, before, said, rest) in [
        (
            Protocol::Imap,
            "",
            format!("s STARTTLS\r\na LOGIN {login} {secret}\r\n"),
            "* BYE Nothing may follow STARTTLS\r\n",
        ),
        (Protocol::Pop3, "", format!("STLS\r\nUSER {login}\r\nPASS {secret}\r\n"), ""),
        (
            Protocol::Submission,
            "EHLO scanner\r\n",
            format!("STARTTLS\r\nEHLO x\r\nAUTH PLAIN {}", injected(Protocol::Submission)),
            "",
        ),
    ] {
        let mut wire = Wire::connect(lab.address(&Door::StartTls.listener(protocol))).await;
        wire.line().await;
        if !before.is_empty() {
            wire.ehlo().await;
        }
        wire.write(&said).await;
        assert_eq!(wire.rest().await, rest, "{protocol}");
    }
    assert_eq!(lab.audit(), Vec::<serde_json::Value>::new(), "no command was executed");
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
async fn clients_that_take_too_long() {
    let plan = Plan::new().tune(|config| {
        config.session.login_timeout = Duration::from_millis(400);
        config.session.tls_handshake_timeout = Duration::from_millis(400);
    });
    let lab = plan.start().await;
    let imap = lab.open(Protocol::Imap).await;
    let mut half_way = lab.open(Protocol::Imap).await;
    half_way.write("a LOGIN {5}\r\nal").await;
    let pop3 = lab.open(Protocol::Pop3).await;
    let submission = lab.open(Protocol::Submission).await;
    let silent = Wire::connect(lab.address(&Door::Implicit.listener(Protocol::Imap))).await;
    assert_eq!(imap.rest().await, "* BYE Login took too long\r\n");
    assert_eq!(half_way.rest().await, "+ Go ahead\r\n* BYE Login took too long\r\n");
    assert_eq!(pop3.rest().await, "-ERR [SYS/TEMP] Took too long to log in\r\n");
    assert_eq!(submission.rest().await, "421 4.4.2 Took too long to log in\r\n");
    assert_eq!(silent.rest().await, "", "it never shook hands");
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

//! Exchange's own words, one for one.

use std::time::{Duration, Instant};

use data_encoding::BASE64;
use locum::model::{Protocol, Secret};
use locum::sandbox::{Behaviour, Face, Login, Outcome, Start};
use tokio::net::TcpStream;

use crate::support::{ALICE, END, HOST, PASSWORD, Provider, Wire};

const SIGNING_OFF: &str = "* BYE Microsoft Exchange Server IMAP4 server signing off.";

fn base64(text: &str) -> String {
    BASE64.encode(text.as_bytes())
}

#[tokio::test]
async fn imap_of_2026_takes_no_password() {
    let provider = Provider::new(Face::ExchangeOnline);
    let (mut wire, greeting) = provider.wire(Protocol::Imap).await;
    let name = greeting.strip_prefix("* OK The Microsoft Exchange IMAP4 service is ready. [").unwrap();
    let name = BASE64.decode(name.strip_suffix("]").unwrap().as_bytes()).unwrap();
    let name: Vec<u16> = name.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    assert_eq!(String::from_utf16(&name).unwrap(), HOST);
    assert_eq!(
        wire.imap("CAPABILITY").await,
        [
            "* CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+",
            "T OK CAPABILITY completed."
        ]
    );
    assert_eq!(wire.imap(&format!("LOGIN {ALICE} {PASSWORD}")).await, ["T NO Basic authentication is disabled."]);
    assert_eq!(wire.line().await, SIGNING_OFF);
    assert!(wire.is_closed().await);
    assert!(provider.sandbox.was_presented(&Secret::new(PASSWORD)), "it was, though nobody read it");
    assert_eq!(
        provider.sandbox.logins(),
        [Login {
            protocol: Protocol::Imap,
            identity: ALICE.to_owned(),
            mechanism: "LOGIN command",
            outcome: Outcome::Refused
        }]
    );
}

#[tokio::test]
async fn imap_of_2026_knows_no_plain_and_no_good_token() {
    let provider = Provider::new(Face::ExchangeOnline);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    assert_eq!(wire.imap("AUTHENTICATE PLAIN").await, ["T NO Basic authentication is disabled."]);
    assert_eq!(wire.line().await, SIGNING_OFF);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    let blob = base64(&format!("user={ALICE}\x01auth=Bearer token-1\x01\x01"));
    for _ in 0..3 {
        assert_eq!(wire.imap(&format!("AUTHENTICATE XOAUTH2 {blob}")).await, ["T NO AUTHENTICATE failed."]);
    }
    assert_eq!(wire.line().await, "* BYE Connection is closed. 14");
    assert!(wire.is_closed().await);
    assert!(provider.sandbox.was_presented(&Secret::new("token-1")));
}

#[tokio::test]
async fn pop3_of_2026_takes_no_password() {
    let provider = Provider::new(Face::ExchangeOnline);
    let (mut wire, greeting) = provider.wire(Protocol::Pop3).await;
    assert!(greeting.starts_with("+OK The Microsoft Exchange POP3 service is ready. ["));
    wire.write(b"CAPA\r\n").await;
    let capabilities = wire.until(|line| line == ".").await;
    assert_eq!(capabilities, ["+OK", "TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER", "."]);
    assert_eq!(wire.ask(&format!("USER {ALICE}")).await, "+OK");
    assert_eq!(wire.ask(&format!("PASS {PASSWORD}")).await, "-ERR Basic authentication is disabled");
    let blob = base64(&format!("user={ALICE}\x01auth=Bearer t\x01\x01"));
    assert_eq!(wire.ask("AUTH XOAUTH2").await, "+ ");
    assert_eq!(wire.ask(&blob).await, "-ERR Authentication failure: unknown user name or bad password.");
    let inline = wire.ask(&format!("AUTH XOAUTH2 {blob}")).await;
    assert_eq!(inline, "-ERR Protocol error. Connection is closed. 10");
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn submission_takes_an_app_password_by_auth_login_alone() {
    let provider = Provider::new(Face::ExchangeOnline);
    let (mut wire, greeting) = provider.plain_wire(Protocol::Submission).await;
    assert!(greeting.starts_with(&format!("220 {HOST} Microsoft ESMTP MAIL Service ready at ")), "{greeting}");
    assert_eq!(wire.ask("STARTTLS").await, "503 5.5.2 Send hello first");
    let before = wire.smtp("EHLO device").await;
    assert_eq!(
        before,
        [
            &format!("250-{HOST} Hello [127.0.0.1]"),
            "250-SIZE 157286400",
            "250-PIPELINING",
            "250-DSN",
            "250-ENHANCEDSTATUSCODES",
            "250-STARTTLS",
            "250-8BITMIME",
            "250-BINARYMIME",
            "250-CHUNKING",
            "250 SMTPUTF8"
        ]
    );
    assert_eq!(wire.ask("STARTTLS").await, "220 2.0.0 SMTP server ready");
    let mut wire = Wire::new(provider.shake_hands(wire.into_inner()).await);
    let after = wire.smtp("EHLO device").await;
    assert_eq!(after[5], "250-AUTH LOGIN XOAUTH2");
    assert_eq!((after.len(), &after[6..]), (before.len(), &before[6..]));
    assert_eq!(
        wire.ask(&format!("MAIL FROM:<{ALICE}>")).await,
        format!("530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM [{HOST}]")
    );
    let plain = wire.ask(&format!("AUTH PLAIN {}", base64(&format!("\0{ALICE}\0{PASSWORD}")))).await;
    assert!(plain.starts_with(&format!("504 5.7.4 Unrecognized authentication type [{HOST} ")), "{plain}");
    assert!(provider.sandbox.was_presented(&Secret::new(PASSWORD)));
    assert_eq!(wire.ask("AUTH LOGIN").await, "334 VXNlcm5hbWU6");
    assert_eq!(wire.ask(&base64(ALICE)).await, "334 UGFzc3dvcmQ6");
    assert_eq!(wire.ask(&base64(PASSWORD)).await, "235 2.7.0 Authentication successful");
    let outcomes: Vec<_> = provider.sandbox.logins().iter().map(|login| (login.mechanism, login.outcome)).collect();
    assert_eq!(outcomes, [("AUTH PLAIN", Outcome::Refused), ("AUTH LOGIN", Outcome::Accepted)]);
}

#[tokio::test]
async fn each_refusal_of_submission_has_its_sentence() {
    let provider = Provider::new(Face::ExchangeOnline);
    let sentences = [
        (Behaviour::BasicAuthDisabled, "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. ["),
        (
            Behaviour::SmtpAuthDisabledForTenant,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [",
        ),
        (
            Behaviour::SmtpAuthDisabledForMailbox,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information. [",
        ),
        (
            Behaviour::SecurityDefaults,
            "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator. [",
        ),
        (
            Behaviour::ConditionalAccess,
            "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator. [",
        ),
        (
            Behaviour::AccountLocked,
            "535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator. [",
        ),
        (
            Behaviour::AccountHasIssue,
            "535 5.7.139 Authentication unsuccessful, account has an issue. Contact your administrator. [",
        ),
        (
            Behaviour::FederationUnreachable,
            "535 5.7.139 Authentication unsuccessful, federated STS service was unreachable. [",
        ),
        (Behaviour::BasicAuthRetired, "550 5.7.30 Basic authentication is not supported for Client Submission. ["),
        (Behaviour::ServerUnavailable, "451 4.7.0 Temporary server error. Please try again later. ["),
    ];
    for (behaviour, sentence) in sentences {
        assert!(provider.sandbox.set_behaviour(ALICE, behaviour));
        let reply = log_in(&provider, PASSWORD).await;
        assert!(reply.starts_with(&format!("{sentence}{HOST} ")) && reply.ends_with(']'), "{behaviour:?}: {reply}");
    }
    provider.sandbox.set_behaviour(ALICE, Behaviour::Normal);
    let wrong = log_in(&provider, "wrong").await;
    let sentence = "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [";
    assert!(wrong.starts_with(sentence), "{wrong}");
    assert!(provider.sandbox.set_password(ALICE, Secret::new("rotated")));
    assert!(log_in(&provider, PASSWORD).await.starts_with(sentence));
    assert_eq!(log_in(&provider, "rotated").await, "235 2.7.0 Authentication successful");
}

async fn log_in(provider: &Provider, password: &str) -> String {
    let (mut wire, _) = provider.wire(Protocol::Submission).await;
    wire.smtp("EHLO device").await;
    assert_eq!(wire.ask(&format!("AUTH LOGIN {}", base64(ALICE))).await, "334 UGFzc3dvcmQ6");
    wire.ask(&base64(password)).await
}

#[tokio::test]
async fn junk_is_held_back() {
    const DELAY: Duration = Duration::from_millis(200);
    let provider = Provider::with_delay(Face::ExchangeOnline, DELAY);
    let (mut wire, _) = provider.wire(Protocol::Submission).await;
    let begun = Instant::now();
    let reply = wire.ask("\x16\x03\x01junk").await;
    assert!(begun.elapsed() >= DELAY);
    assert!(reply.starts_with(&format!("500 5.3.3 Unrecognized command 'unknown' [{HOST} ")), "{reply}");
}

#[tokio::test]
async fn imap_with_passwords_fails_in_its_own_ways() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    let login = format!("LOGIN {ALICE} {PASSWORD}");
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    assert_eq!(wire.imap(&format!("LOGIN {ALICE} wrong")).await, ["T NO LOGIN failed."]);
    assert_eq!(wire.imap("LOGIN nobody x").await, ["T NO LOGIN failed."]);
    assert_eq!(wire.imap(&login).await, ["T OK LOGIN completed."]);
    assert_eq!(
        wire.imap("CAPABILITY").await[0],
        "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
    );
    assert_eq!(wire.imap("NAMESPACE").await[0], "* NAMESPACE ((\"\" \"/\")) NIL NIL");
    assert_eq!(
        wire.imap("ID NIL").await[0],
        "* ID (\"name\" \"Microsoft.Exchange.Imap4.Imap4Server\" \"version\" \"15.20\")"
    );
    assert_eq!(wire.imap("LOGOUT").await, [SIGNING_OFF, "T OK LOGOUT completed."]);
    let cases: [(Behaviour, &[&str]); 5] = [
        (Behaviour::ServerUnavailable, &["T NO Server Unavailable. 15", "* BYE Connection closed."]),
        (Behaviour::BasicAuthDisabled, &["T NO Basic authentication is disabled.", SIGNING_OFF]),
        (Behaviour::TooManyConnections, &["* BYE Connection is closed. 10"]),
        (Behaviour::Throttled, &["T BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"]),
        (Behaviour::AccountLocked, &["T NO LOGIN failed."]),
    ];
    for (behaviour, lines) in cases {
        provider.sandbox.set_behaviour(ALICE, behaviour);
        let (mut wire, _) = provider.wire(Protocol::Imap).await;
        wire.write(format!("T {login}\r\n").as_bytes()).await;
        for line in lines {
            assert_eq!(wire.line().await, *line, "{behaviour:?}");
        }
    }
}

#[tokio::test]
async fn a_login_without_a_mailbox_shows_at_the_first_command() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    provider.sandbox.set_behaviour(ALICE, Behaviour::NotConnected);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    let blob = base64(&format!("\0{ALICE}\0{PASSWORD}"));
    assert_eq!(wire.imap(&format!("AUTHENTICATE PLAIN {blob}")).await, ["T OK AUTHENTICATE completed."]);
    assert_eq!(wire.imap("CAPABILITY").await, ["T BAD User is authenticated but not connected."]);
    assert_eq!(wire.line().await, "* BYE Connection closed. 14");
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn before_starttls_no_password_is_taken() {
    let provider = Provider::new(Face::ExchangeWithPasswords);
    let (mut wire, _) = provider.plain_wire(Protocol::Imap).await;
    assert!(wire.imap("CAPABILITY").await[0].contains(" LOGINDISABLED STARTTLS "));
    assert!(wire.imap(&format!("LOGIN {ALICE} {PASSWORD}")).await[0].starts_with("T NO [PRIVACYREQUIRED]"));
    assert_eq!(wire.imap("STARTTLS").await, ["T OK Begin TLS negotiation now."]);
    let mut wire = Wire::new(provider.shake_hands(wire.into_inner()).await);
    assert_eq!(wire.imap(&format!("LOGIN {ALICE} {PASSWORD}")).await, ["T OK LOGIN completed."]);
}

#[tokio::test]
async fn bytes_ahead_of_the_handshake_end_the_connection() {
    let provider = Provider::new(Face::ExchangeOnline);
    for (protocol, lines) in [
        (Protocol::Imap, "T STARTTLS\r\nT NOOP\r\n"),
        (Protocol::Pop3, "STLS\r\nCAPA\r\n"),
        (Protocol::Submission, "EHLO x\r\nSTARTTLS\r\nEHLO y\r\n"),
    ] {
        let address = provider.listen(protocol, Start::StartTls).await;
        let mut wire = Wire::new(TcpStream::connect(address).await.unwrap());
        wire.line().await;
        wire.write(lines.as_bytes()).await;
        if protocol == Protocol::Submission {
            wire.until(|line| line == "250 SMTPUTF8").await;
        }
        // What was to be said about TLS may or may not get out; nothing is said about what came behind.
        wire.until(|line| {
            assert!(!line.contains("NOOP") && !line.contains("UIDL") && !line.contains("Hello"), "{protocol}: {line}");
            line == END
        })
        .await;
    }
}

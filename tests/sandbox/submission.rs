//! Submission after login: what is taken, and where it goes.

use data_encoding::BASE64;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use locum::model::Protocol;
use locum::sandbox::{Behaviour, Face, Start};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::support::{ALICE, HOST, PASSWORD, Provider, Wire, message};

const BOB: &str = "bob@contoso.test";

async fn logged_in(provider: &Provider) -> Wire<TlsStream<TcpStream>> {
    let (mut wire, _) = provider.wire(Protocol::Submission).await;
    wire.smtp("EHLO device").await;
    assert_eq!(wire.ask(&format!("AUTH LOGIN {}", BASE64.encode(ALICE.as_bytes()))).await, "334 UGFzc3dvcmQ6");
    assert!(wire.ask(&BASE64.encode(PASSWORD.as_bytes())).await.starts_with("235 2.7.0 "));
    wire
}

#[tokio::test]
async fn lettre_sends_and_the_mail_arrives() {
    let provider = Provider::new(Face::ExchangeOnline);
    let port = provider.listen(Protocol::Submission, Start::StartTls).await.port();
    let root = Certificate::from_pem(provider.certificate_pem.as_bytes()).unwrap();
    let tls = TlsParameters::builder("localhost".to_owned()).add_root_certificate(root).build().unwrap();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .tls(Tls::Required(tls))
        .authentication(vec![Mechanism::Login])
        .credentials(Credentials::new(ALICE.to_owned(), PASSWORD.to_owned()))
        .build();
    let mail = Message::builder()
        .from(ALICE.parse().unwrap())
        .to(BOB.parse().unwrap())
        .bcc("stranger@elsewhere.test".parse().unwrap())
        .subject("by lettre")
        .body(".a dot\r\n..two".to_owned())
        .unwrap();
    let response = transport.send(mail).await.unwrap();
    assert!(response.message().any(|line| line.ends_with(&format!("[Hostname={HOST}]"))), "{response:?}");
    let inbox = provider.sandbox.messages(BOB, "INBOX");
    let text = String::from_utf8(inbox[0].clone()).unwrap();
    assert!(text.contains("\r\nSubject: by lettre\r\n") && text.ends_with("\r\n\r\n.a dot\r\n..two\r\n"), "{text}");
    assert_eq!(provider.sandbox.messages(ALICE, "Sent Items"), inbox, "Exchange keeps a copy");
    let sent = provider.sandbox.sent();
    assert_eq!((sent.len(), sent[0].account.as_str(), sent[0].from.as_str()), (1, ALICE, ALICE));
    assert_eq!(sent[0].recipients, [BOB, "stranger@elsewhere.test"]);
}

#[tokio::test]
async fn a_pipelined_transaction() {
    let provider = Provider::new(Face::ExchangeOnline);
    let mut wire = logged_in(&provider).await;
    wire.write(format!("MAIL FROM: {ALICE} SIZE=100\r\nRCPT TO: <{BOB}>\r\nDATA\r\n").as_bytes()).await;
    assert_eq!(wire.line().await, "250 2.1.0 Sender OK");
    assert_eq!(wire.line().await, "250 2.1.5 Recipient OK");
    assert_eq!(wire.line().await, "354 Start mail input; end with <CRLF>.<CRLF>");
    let reply = wire.ask("Message-ID: <7@device>\r\n\r\n..\n.\nMAIL FROM:<x@y>\r\n.\r\nNOOP").await;
    assert_eq!(reply, format!("250 2.0.0 OK <7@device> [Hostname={HOST}]"));
    assert_eq!(wire.line().await, "250 2.0.0 OK", "what came behind the message is a command");
    let inbox = provider.sandbox.messages(BOB, "INBOX");
    assert_eq!(inbox, [b"Message-ID: <7@device>\r\n\r\n.\n.\nMAIL FROM:<x@y>\r\n"]);
}

#[tokio::test]
async fn chunks_are_counted() {
    let provider = Provider::new(Face::ExchangeOnline);
    let mut wire = logged_in(&provider).await;
    wire.ask(&format!("MAIL FROM:<{ALICE}> BODY=BINARYMIME")).await;
    wire.ask(&format!("RCPT TO:<{BOB}>")).await;
    assert!(wire.ask("DATA").await.starts_with("503 "), "DATA cannot carry what was announced");
    wire.write(b"BDAT 8\r\n\r\n.\r\n\0a\n").await;
    assert!(wire.line().await.starts_with("250 "));
    let large = message(1024 * 1024);
    wire.write(format!("BDAT {}\r\n", large.len()).as_bytes()).await;
    wire.write(&large).await;
    assert!(wire.line().await.starts_with("250 "));
    assert!(wire.ask("BDAT 0 LAST").await.starts_with("250 2.0.0 OK <"));
    assert!(provider.sandbox.messages(BOB, "INBOX")[0] == [b"\r\n.\r\n\0a\n".as_slice(), &large].concat());
    // Counted even where they are refused, or they would be read as commands.
    assert!(wire.ask("BDAT 6 LAST\r\nQUIT\r\nNOOP").await.starts_with("503 "));
    assert_eq!(wire.line().await, "250 2.0.0 OK");
}

#[tokio::test]
async fn a_message_over_the_size_is_refused() {
    let provider = Provider::new(Face::Gmail);
    let mut wire = logged_in(&provider).await;
    let refused = wire.ask(&format!("MAIL FROM:<{ALICE}> SIZE=35882578")).await;
    assert!(refused.starts_with("552 5.3.4 "), "{refused}");
    wire.ask(&format!("MAIL FROM:<{ALICE}>")).await;
    wire.ask(&format!("RCPT TO:<{BOB}>")).await;
    wire.ask("DATA").await;
    wire.write(&message(37_000_000)).await;
    assert!(wire.ask(".").await.starts_with("552 5.3.4 "));
    assert!(wire.ask("NOOP").await.starts_with("250 "), "the session goes on");
    assert!(provider.sandbox.sent().is_empty());
}

#[tokio::test]
async fn commands_out_of_order() {
    let provider = Provider::new(Face::ExchangeOnline);
    let (mut wire, _) = provider.wire(Protocol::Submission).await;
    assert!(wire.ask("AUTH LOGIN").await.starts_with("503 5.5.2 "));
    wire.smtp("HELO").await;
    assert_eq!(wire.ask("AUTH LOGIN").await, "334 VXNlcm5hbWU6", "HELO is enough for a device");
    assert!(wire.ask("*").await.starts_with("535 5.7.3 Authentication unsuccessful ["));
    assert!(wire.ask("DATA").await.starts_with("503 "));
    let mut wire = logged_in(&provider).await;
    assert!(wire.ask("AUTH LOGIN").await.starts_with("503 "), "once is enough");
    assert!(wire.ask("RCPT TO:<a@b>").await.starts_with("503 "));
    wire.ask(&format!("MAIL FROM:<{ALICE}>")).await;
    assert!(wire.ask("MAIL FROM:<a@b>").await.starts_with("503 "));
    assert!(wire.ask("DATA").await.starts_with("503 "), "for whom?");
    assert!(wire.ask("RCPT TO:<>").await.starts_with("501 "));
    assert!(wire.ask("RSET").await.starts_with("250 "));
    assert!(wire.ask("VRFY bob").await.starts_with("252 "));
    assert_eq!(wire.smtp("EHLO again").await.len(), 10, "greeting again is no harm");
    assert!(wire.ask("QUIT").await.starts_with("221 "));
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn some_refusals_come_with_the_message() {
    let provider = Provider::new(Face::ExchangeOnline);
    let cases = [
        (
            Behaviour::ConcurrentSends,
            format!(
                "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname={HOST}]"
            ),
        ),
        (
            Behaviour::SendAsDenied,
            format!("554 5.2.252 SendAsDenied; {ALICE} not allowed to send as boss@contoso.test; "),
        ),
    ];
    for (behaviour, text) in cases {
        provider.sandbox.set_behaviour(ALICE, behaviour);
        let mut wire = logged_in(&provider).await;
        wire.ask("MAIL FROM:<boss@contoso.test>").await;
        wire.ask(&format!("RCPT TO:<{BOB}>")).await;
        wire.ask("DATA").await;
        let reply = wire.ask("\r\nx\r\n.").await;
        assert!(reply.starts_with(&text), "{reply}");
    }
    assert!(provider.sandbox.messages(BOB, "INBOX").is_empty());
}

#[tokio::test]
async fn serving_ends_when_told_and_takes_its_connections_along() {
    let provider = Provider::new(Face::ExchangeOnline);
    let until = CancellationToken::new();
    let (address, serving) = provider.listen_until(Protocol::Submission, Start::StartTls, until.clone()).await;
    let mut wire = Wire::new(TcpStream::connect(address).await.unwrap());
    wire.line().await;
    until.cancel();
    serving.await.unwrap();
    assert!(wire.is_closed().await);
    assert!(TcpStream::connect(address).await.is_err());
}

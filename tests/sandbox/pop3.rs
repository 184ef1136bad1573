//! POP3 after login.

use data_encoding::BASE64;
use locum::model::Protocol;
use locum::sandbox::{Face, Start};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{ALICE, PASSWORD, Provider, Wire, message};

async fn logged_in(provider: &Provider) -> Wire<TlsStream<TcpStream>> {
    let (mut wire, _) = provider.wire(Protocol::Pop3).await;
    assert_eq!(wire.ask(&format!("USER {ALICE}")).await, "+OK");
    assert_eq!(wire.ask(&format!("PASS {PASSWORD}")).await, "+OK Welcome.");
    wire
}

async fn listing<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    command: &str,
) -> Vec<String> {
    wire.write(format!("{command}\r\n").as_bytes()).await;
    wire.until(|line| line == "." || line.starts_with("-ERR")).await
}

#[tokio::test]
async fn messages_are_listed_read_and_removed() {
    let provider = Provider::new(Face::Gmail);
    for text in ["Subject: 1\r\n\r\n.one\r\n..two\r\nthree\r\n", "Subject: 2\r\n\r\nbody"] {
        provider.sandbox.deliver(ALICE, text.as_bytes());
    }
    let mut wire = logged_in(&provider).await;
    assert_eq!(wire.ask("STAT").await, "+OK 2 52");
    assert_eq!(listing(&mut wire, "LIST").await, ["+OK", "1 34", "2 18", "."]);
    assert_eq!(wire.ask("LIST 2").await, "+OK 2 18");
    let ids = listing(&mut wire, "UIDL").await;
    assert!(ids[1].ends_with("-1") && ids[2].ends_with("-2"), "{ids:?}");
    assert_eq!(wire.ask("UIDL 1").await, format!("+OK {}", ids[1]));
    let one = ["+OK", "Subject: 1", "", "..one", "...two", "three", "."];
    assert_eq!(listing(&mut wire, "RETR 1").await, one);
    assert_eq!(listing(&mut wire, "TOP 1 1").await, ["+OK", "Subject: 1", "", "..one", "."]);
    assert_eq!(listing(&mut wire, "TOP 2 0").await, ["+OK", "Subject: 2", "", "."]);
    assert_eq!(wire.ask("DELE 1").await, "+OK");
    assert!(wire.ask("RETR 1").await.starts_with("-ERR"));
    assert_eq!(listing(&mut wire, "LIST").await, ["+OK", "2 18", "."], "numbers stay");
    assert_eq!(wire.ask("RSET").await, "+OK");
    assert_eq!(wire.ask("DELE 2").await, "+OK");
    assert_eq!(provider.sandbox.messages(ALICE, "INBOX").len(), 2, "nothing goes before QUIT");
    assert!(wire.ask("QUIT").await.starts_with("+OK"));
    assert!(wire.is_closed().await);
    assert_eq!(provider.sandbox.messages(ALICE, "INBOX").len(), 1);
}

#[tokio::test]
async fn a_session_that_breaks_off_removes_nothing() {
    let provider = Provider::new(Face::Gmail);
    provider.sandbox.deliver(ALICE, b"\r\n");
    let mut wire = logged_in(&provider).await;
    assert_eq!(wire.ask("DELE 1").await, "+OK");
    drop(wire);
    let mut wire = logged_in(&provider).await;
    assert_eq!(wire.ask("STAT").await, "+OK 1 2");
}

#[tokio::test]
async fn a_large_message_comes_as_it_is() {
    let provider = Provider::new(Face::Gmail);
    let large = message(4 * 1024 * 1024);
    provider.sandbox.deliver(ALICE, &large);
    let mut wire = logged_in(&provider).await;
    assert_eq!(wire.ask("RETR 1").await, "+OK");
    let dots = large.windows(3).filter(|window| window == b"\r\n." || window == b"\n..").count();
    let wired = wire.bytes(large.len() + dots + 3).await;
    let text = String::from_utf8(wired).unwrap();
    let text = text.strip_suffix(".\r\n").unwrap().replace("\r\n..", "\r\n.");
    assert!(text.as_bytes() == large);
}

#[tokio::test]
async fn sasl_and_stls() {
    let provider = Provider::new(Face::Gmail);
    let (mut wire, _) = provider.plain_wire(Protocol::Pop3).await;
    assert_eq!(listing(&mut wire, "CAPA").await, ["+OK", "TOP", "UIDL", "STLS", "."]);
    assert_eq!(wire.ask("STLS").await, "+OK Begin TLS negotiation.");
    let mut wire = Wire::new(provider.shake_hands(wire.into_inner()).await);
    let capabilities = listing(&mut wire, "CAPA").await;
    assert_eq!(
        capabilities[1..capabilities.len() - 1],
        ["USER", "RESP-CODES", "EXPIRE 0", "LOGIN-DELAY 300", "TOP", "UIDL", "X-GOOGLE-RICO", "SASL PLAIN XOAUTH2"]
    );
    assert_eq!(wire.ask("AUTH PLAIN").await, "+ ");
    assert_eq!(wire.ask("*").await, "-ERR Authentication canceled.");
    let wrong = BASE64.encode(format!("\0{ALICE}\0wrong").as_bytes());
    assert_eq!(wire.ask(&format!("AUTH PLAIN {wrong}")).await, "-ERR [AUTH] Username and password not accepted.");
    let right = BASE64.encode(format!("\0{ALICE}\0{PASSWORD}").as_bytes());
    assert_eq!(wire.ask(&format!("AUTH PLAIN {right}")).await, "+OK Welcome.");
    assert_eq!(listing(&mut wire, "CAPA").await, ["+OK", "RESP-CODES", "TOP", "UIDL", "."]);
}

#[tokio::test]
async fn in_plain_text_no_password_is_taken() {
    let provider = Provider::new(Face::Gmail);
    let address = provider.listen(Protocol::Pop3, Start::StartTls).await;
    let mut wire = Wire::new(TcpStream::connect(address).await.unwrap());
    wire.line().await;
    wire.ask(&format!("USER {ALICE}")).await;
    assert!(wire.ask(&format!("PASS {PASSWORD}")).await.starts_with("-ERR "));
}

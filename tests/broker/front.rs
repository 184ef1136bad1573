//! What stands in front of clients: the PROXY protocol and XCLIENT, from front ends that are named and from others.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use locum::model::{Policy, Protocol, Refusal};
use serde_json::{Value, json};

use crate::answers::{accepted, refused};
use crate::support::{Lab, Plan, Wire, plain, present};

/// The front end of these tests; the others of this machine are none.
const FRONT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));

const LISTENERS: &str = r#"
[[listener]]
name = "proxied"
protocol = "imap"
bind = "127.0.0.1:0"
proxy-protocol-from = "127.0.0.2"
allow = ["192.0.2.0/24", "2001:db8::/32", "127.0.0.1", "127.0.0.2"]
[[listener]]
name = "proxied-plain"
protocol = "submission"
bind = "127.0.0.1:0"
tls = "none"
plaintext-networks = ["192.0.2.0/24", "127.0.0.0/8"]
proxy-protocol-from = "127.0.0.2"
xclient-from = "127.0.0.2"
[[listener]]
name = "front"
protocol = "submission"
bind = "127.0.0.1:0"
tls = "none"
plaintext-networks = ["192.0.2.0/24", "127.0.0.0/8"]
allow = ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32", "127.0.0.0/8"]
xclient-from = "127.0.0.2"
"#;

fn plan() -> Plan {
    Plan::new().toml(LISTENERS)
}

/// A header of version 2 for a TCP connection from that address.
fn v2(client: Ipv4Addr) -> Vec<u8> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice();
    [signature, &client.octets(), &[198, 51, 100, 1, 0xc3, 0x50, 0x03, 0xe1]].concat()
}

fn v1(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 50000 993\r\n").into_bytes()
}

/// A connection to a listener that begins with these bytes.
async fn begin(lab: &Lab, source: IpAddr, listener: &str, header: impl AsRef<[u8]>) -> Wire {
    let mut wire = Wire::connect_from(source, lab.address(listener)).await;
    wire.write(header).await;
    wire
}

/// The last event of alice's login: who came, and by way of whom.
fn came(lab: &Lab, protocol: Protocol) -> (Value, Value) {
    let event = lab.last_event(protocol, "alice");
    (event["peer"].clone(), event["via"].clone())
}

#[tokio::test]
async fn the_header_says_who_comes_and_tls_follows_it() {
    let lab = plan().start().await;
    let v6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 993\r\n".to_vec();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    for (header, peer, via) in [
        (v1("192.0.2.7"), "192.0.2.7", json!(["127.0.0.2"])),
        (v2(Ipv4Addr::new(192, 0, 2, 8)), "192.0.2.8", json!(["127.0.0.2"])),
        (v6, "2001:db8::7", json!(["127.0.0.2"])),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.2", Value::Null),
        (local, "127.0.0.2", Value::Null),
    ] {
        for piece in [header.len(), 1] {
            let mut wire = Wire::connect_from(FRONT, lab.address("proxied")).await;
            for piece in header.chunks(piece) {
                wire.write(piece).await;
            }
            let mut wire = wire.start_tls(&lab.client_tls).await;
            assert!(wire.line().await.starts_with("* OK "));
            let answer = present(&mut wire, Protocol::Imap, "alice", &lab.alice.secret).await;
            assert_eq!(answer, accepted(Protocol::Imap));
            assert_eq!(came(&lab, Protocol::Imap), (json!(peer), via.clone()));
        }
    }
}

#[tokio::test]
async fn all_rules_are_for_the_client_and_not_for_the_front_end() {
    let lab = plan().start().await;
    // `allow`
    let wire = begin(&lab, FRONT, "proxied", v1("203.0.113.1")).await;
    assert!(wire.try_tls(&lab.client_tls).await.is_none());
    // `plaintext-networks`
    let mut wire = begin(&lab, FRONT, "proxied-plain", v1("203.0.113.1")).await;
    wire.line().await;
    assert!(wire.ehlo().await.iter().all(|keyword| !keyword.starts_with("AUTH")));
    // the client's policy
    let networks = vec!["192.0.2.7".parse::<IpAddr>().unwrap().into()];
    lab.alter(&lab.alice, |client| client.policy = Policy { networks, ..Policy::default() }).await;
    for (client, answer) in [
        ("192.0.2.8", refused(Protocol::Submission, Refusal::NotPermitted)),
        ("192.0.2.7", accepted(Protocol::Submission)),
    ] {
        let mut wire = begin(&lab, FRONT, "proxied-plain", v1(client)).await;
        wire.line().await;
        wire.ehlo().await;
        assert_eq!(present(&mut wire, Protocol::Submission, "alice", &lab.alice.secret).await, answer);
    }
    // failures
    let mut wire = begin(&lab, FRONT, "proxied-plain", v1("192.0.2.66")).await;
    wire.line().await;
    wire.ehlo().await;
    let wrong = present(&mut wire, Protocol::Submission, "alice", "wrong").await;
    assert_eq!(wrong, refused(Protocol::Submission, Refusal::WrongCredentials));
    assert_eq!(came(&lab, Protocol::Submission), (json!("192.0.2.66"), json!(["127.0.0.2"])));
}

#[tokio::test]
async fn who_is_no_front_end_is_who_it_is() {
    let lab = plan().start().await;
    // Its header is what it says first: no TLS handshake, and no command.
    for header in [v1("192.0.2.7"), v2(Ipv4Addr::new(192, 0, 2, 7))] {
        let wire = begin(&lab, OTHER, "proxied", header).await;
        assert!(wire.try_tls(&lab.client_tls).await.is_none());
    }
    let mut wire = begin(&lab, OTHER, "proxied-plain", v1("192.0.2.7")).await;
    assert_eq!(wire.line().await, "220 locum.test ESMTP Locum ready");
    assert_eq!(wire.line().await, "500 5.5.2 Unknown command");
    wire.ehlo().await;
    present(&mut wire, Protocol::Submission, "alice", &lab.alice.secret).await;
    assert_eq!(came(&lab, Protocol::Submission), (json!("127.0.0.1"), Value::Null));
    // And without a header it is served as ever.
    let mut wire = Wire::connect_from(OTHER, lab.address("proxied")).await.start_tls(&lab.client_tls).await;
    assert!(wire.line().await.starts_with("* OK "));
}

#[tokio::test]
async fn a_front_end_without_a_proper_header_is_closed_without_a_word() {
    let plan = plan().tune(|config| config.session.tls_handshake_timeout = Duration::from_millis(400));
    let lab = plan.start().await;
    let mut damaged = v2(Ipv4Addr::new(192, 0, 2, 7));
    damaged[13] = 0x12;
    for begun in [
        b"EHLO scanner\r\n".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
        v1("scanner-3f"),
        v1("192.0.2.7 "),
        damaged,
        [b"PROXY ".as_slice(), &[b'x'; 200]].concat(),
    ] {
        let wire = begin(&lab, FRONT, "proxied-plain", &begun).await;
        assert_eq!(wire.rest().await, "", "{}", String::from_utf8_lossy(&begun));
    }
    // Half of one, and its end; half of one, and silence; silence alone.
    let mut wire = begin(&lab, FRONT, "proxied-plain", &v1("192.0.2.7")[..20]).await;
    wire.finish().await;
    assert_eq!(wire.rest().await, "");
    for begun in [&v2(Ipv4Addr::new(192, 0, 2, 7))[..20], b""] {
        assert_eq!(begin(&lab, FRONT, "proxied-plain", begun).await.rest().await, "");
    }
}

#[tokio::test]
async fn a_header_that_never_ends_is_not_waited_for() {
    let plan = plan().tune(|config| config.session.tls_handshake_timeout = Duration::from_millis(400));
    let lab = plan.start().await;
    let mut wire = begin(&lab, FRONT, "proxied-plain", b"PROXY UNKNOWN ").await;
    // As slowly as it may be; each byte is in time, the whole never is.
    for _ in 0..90 {
        if !wire.is_silent_for(Duration::from_millis(50)).await {
            return assert_eq!(wire.rest().await, "");
        }
        wire.write(b"x").await;
    }
    panic!("it is still waited for");
}

#[tokio::test]
async fn a_front_end_is_not_one_stranger() {
    let lab = plan().tune(|config| config.session.unproven_per_address_max = 2).start().await;
    let mut waiting = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"] {
        let mut wire = begin(&lab, FRONT, "proxied-plain", v1(client)).await;
        assert!(wire.line().await.starts_with("220 "));
        waiting.push(wire);
    }
    let said = begin(&lab, FRONT, "proxied-plain", v1("192.0.2.1")).await.rest().await;
    assert_eq!(said, "421 4.3.2 Too many connections, try again later\r\n");
    drop(waiting);

    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::connect_from(FRONT, lab.address("front")).await;
        assert!(wire.line().await.starts_with("220 "));
        waiting.push(wire);
    }
    let mut answers = Vec::new();
    for wire in &mut waiting {
        answers.push(wire.ask("XCLIENT ADDR=192.0.2.40").await);
    }
    assert_eq!(answers[..2], ["220 locum.test ESMTP Locum ready"; 2]);
    assert_eq!(answers[2], "421 4.7.0 This client is not served");
    // Who says it again is the same one.
    assert!(waiting[0].ask("XCLIENT ADDR=192.0.2.40 NAME=again").await.starts_with("220 "));
}

#[tokio::test]
async fn xclient_says_for_whom_a_front_end_speaks() {
    let lab = plan().start().await;
    let mut wire = Wire::connect_from(FRONT, lab.address("front")).await;
    wire.line().await;
    assert!(wire.ehlo().await.contains(&"XCLIENT ADDR PORT NAME PROTO HELO".to_owned()));
    for said in ["NAME=scanner.example.test PROTO=ESMTP", "ADDR=198.51.100.7", "ADDR=192.0.2.7 HELO=scanner-3f"] {
        assert_eq!(wire.ask(&format!("XCLIENT {said}")).await, "220 locum.test ESMTP Locum ready");
    }
    let answer = wire.ask(&format!("AUTH PLAIN {}", plain("", "alice", &lab.alice.secret))).await;
    assert_eq!(answer, "503 5.5.1 Send EHLO first");
    wire.ehlo().await;
    let wrong = present(&mut wire, Protocol::Submission, "alice", "wrong").await;
    assert_eq!(wrong, refused(Protocol::Submission, Refusal::WrongCredentials));
    assert_eq!(came(&lab, Protocol::Submission), (json!("192.0.2.7"), json!(["127.0.0.2"])));
    // The same connection for another client, and for none.
    assert!(wire.ask("XCLIENT ADDR=198.51.100.7").await.starts_with("220 "));
    assert!(wire.ehlo().await.iter().all(|it| !it.starts_with("AUTH")), "plaintext-networks are for the client");
    assert!(wire.ask("XCLIENT ADDR=[UNAVAILABLE]").await.starts_with("220 "));
    wire.ehlo().await;
    let answer = present(&mut wire, Protocol::Submission, "alice", &lab.alice.secret).await;
    assert_eq!(answer, accepted(Protocol::Submission));
    assert_eq!(came(&lab, Protocol::Submission), (json!("127.0.0.2"), Value::Null));
    // After the login it is the provider's to answer.
    assert!(!wire.ask("XCLIENT ADDR=192.0.2.7").await.starts_with("220 "));
}

#[tokio::test]
async fn a_client_that_a_listener_does_not_allow_comes_by_no_front_end_either() {
    let lab = plan().start().await;
    let mut wire = Wire::connect_from(FRONT, lab.address("front")).await;
    wire.line().await;
    assert_eq!(wire.ask("XCLIENT ADDR=203.0.113.1").await, "421 4.7.0 This client is not served");
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn xclient_of_anybody_else_is_refused() {
    let lab = plan().start().await;
    // Behind a front end that takes PROXY headers stands a client, who is not that front end.
    let direct = Wire::connect_from(OTHER, lab.address("front")).await;
    let behind = begin(&lab, FRONT, "proxied-plain", v1("192.0.2.9")).await;
    for (mut wire, peer) in [(direct, "127.0.0.1"), (behind, "192.0.2.9")] {
        wire.line().await;
        assert!(wire.ehlo().await.iter().all(|keyword| !keyword.starts_with("XCLIENT")));
        assert_eq!(wire.ask("XCLIENT ADDR=192.0.2.7").await, "550 5.7.0 XCLIENT is not taken from here");
        let answer = present(&mut wire, Protocol::Submission, "alice", &lab.alice.secret).await;
        assert_eq!(answer, accepted(Protocol::Submission));
        assert_eq!(came(&lab, Protocol::Submission).0, json!(peer));
    }
}

#[tokio::test]
async fn an_address_in_imap_id_is_not_believed() {
    let lab = plan().start().await;
    let wire = begin(&lab, FRONT, "proxied", v1("192.0.2.7")).await;
    let mut wire = wire.start_tls(&lab.client_tls).await;
    wire.line().await;
    wire.write("i ID (\"x-originating-ip\" \"10.0.0.1\")\r\n").await;
    wire.until("i OK").await;
    present(&mut wire, Protocol::Imap, "alice", &lab.alice.secret).await;
    assert_eq!(came(&lab, Protocol::Imap), (json!("192.0.2.7"), json!(["127.0.0.2"])));
}

//! Pitfalls 18 and 20: nobody is who it says it is for having said so, be it an address in a header or a name in a certificate.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use futures::future::join_all;
use locum::config::Config;
use locum::model::{AddressPattern, Policy, Protocol, Refusal};
use serde_json::{Value, json};

use crate::answers::{accepted, refused};
use crate::support::{Identity, Plan, Wire, present};

/// The front end of these tests, a stranger, and where a device stands.
const FRONT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));
const DEVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));

const NO_LOGIN: &str = "530 5.7.0 Authentication required";
const MAIL: &str = "MAIL FROM:<scans@contoso.test>";

fn submission(name: &str, more: &str) -> String {
    format!(
        "[[listener]]\nname = \"{name}\"\nprotocol = \"submission\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
         plaintext-networks = \"127.0.0.0/8\"\n{more}\n"
    )
}

/// Ways to say that one comes from elsewhere, by headers and by commands. (The header of version 2 begins with words that end a
/// conversation with whoever does not know it, by design.)
fn claims(address: &str) -> Vec<Vec<u8>> {
    vec![
        format!("PROXY TCP4 {address} 198.51.100.1 50000 587\r\n").into_bytes(),
        format!("XCLIENT ADDR={address}\r\n").into_bytes(),
        format!("XFORWARD ADDR={address}\r\n").into_bytes(),
        format!("EHLO x\r\nXCLIENT ADDR={address} LOGIN=alice\r\n").into_bytes(),
        format!("EHLO [{address}]\r\n").into_bytes(),
        format!("X-Forwarded-For: {address}\r\n").into_bytes(),
    ]
}

/// Whoever is no front end is who it is, however it says otherwise: in the audit, in the client's policy, and, what counts most,
/// where failures are counted. None is a front end unless the listener names it.
#[tokio::test]
async fn pitfall_18_nobody_is_believed_about_its_address_unless_it_is_named() {
    let front = submission("front", "xclient-from = \"127.0.0.2\"")
        + &submission("proxied", "proxy-protocol-from = \"127.0.0.2\"");
    let lab = Plan::new().toml(&front).tune(|config| config.broker.failures_per_login_max = 7).start().await;
    // A policy that a spoofed address would satisfy.
    let networks = vec!["192.0.2.0/24".parse().unwrap()];
    lab.alter(&lab.scanner, |client| client.policy = Policy { networks, ..Policy::default() }).await;
    let claims_of_it = claims("192.0.2.7");
    let each = claims_of_it.iter().enumerate().map(async |(number, claim)| {
        for listener in ["submission-plain", "front", "proxied"] {
            let mut wire = Wire::connect_from(STRANGER, lab.address(listener)).await;
            wire.write([claim, b"NOOP\r\n".as_slice()].concat()).await;
            wire.until("250 2.0.0 OK").await;
            wire.ehlo().await;
            let answer = present(&mut wire, Protocol::Submission, &lab.scanner.login, &lab.scanner.secret).await;
            assert_eq!(answer, refused(Protocol::Submission, Refusal::NotPermitted), "{listener}, {number}");
            let event = lab.last_event(Protocol::Submission, &lab.scanner.login);
            assert_eq!((&event["peer"], &event["via"]), (&json!("127.0.0.66"), &Value::Null));
        }
    });
    join_all(each).await;
    // Each guess from another address, as it says: they are counted as one stranger's.
    let mut answers = Vec::new();
    for number in 0..8 {
        let mut wire = Wire::connect_from(STRANGER, lab.address("front")).await;
        wire.write([&claims(&format!("192.0.2.{number}"))[number % 6], b"NOOP\r\n".as_slice()].concat()).await;
        wire.until("250 2.0.0 OK").await;
        wire.ehlo().await;
        answers.push(present(&mut wire, Protocol::Submission, "alice", &format!("guess{number}")).await);
    }
    assert!(answers[..7].iter().all(|answer| answer == refused(Protocol::Submission, Refusal::WrongCredentials)));
    assert_eq!(answers[7], refused(Protocol::Submission, Refusal::LimitReached));
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));
}

/// Of a front end that is named, one header is believed, and what stands behind it came from its client.
#[tokio::test]
async fn pitfall_18b_behind_a_front_end_a_client_speaks_for_itself_alone() {
    let both = submission("both", "proxy-protocol-from = \"127.0.0.2\"\nxclient-from = \"127.0.0.2\"");
    let lab = Plan::new().toml(&both).start().await;
    for claim in claims("192.0.2.7") {
        let mut wire = Wire::connect_from(FRONT, lab.address("both")).await;
        let header = b"PROXY TCP4 127.0.0.9 198.51.100.1 50000 587\r\n".as_slice();
        wire.write([header, &claim, b"NOOP\r\n"].concat()).await;
        wire.until("250 2.0.0 OK").await;
        wire.ehlo().await;
        let answer = present(&mut wire, Protocol::Submission, "alice", &lab.alice.secret).await;
        assert_eq!(answer, accepted(Protocol::Submission));
        let event = lab.last_event(Protocol::Submission, "alice");
        assert_eq!((&event["peer"], &event["via"]), (&json!("127.0.0.9"), &json!(["127.0.0.2"])));
    }
    // What IMAP's ID says of an address goes nowhere, in or out.
    let mut wire = lab.open(Protocol::Imap).await;
    wire.write("i ID (\"x-originating-ip\" \"10.0.0.1\" \"x-connected-ip\" \"10.0.0.2\" \"x-proxy-ttl\" \"0\")\r\n")
        .await;
    let said = wire.until("i OK").await;
    assert_eq!(said[0], "* ID (\"name\" \"Locum\")");
    present(&mut wire, Protocol::Imap, "alice", &lab.alice.secret).await;
    assert_eq!(lab.last_event(Protocol::Imap, "alice")["peer"], json!("127.0.0.1"));
}

/// To believe everybody is not to be had, nor is it the default to believe anybody.
#[test]
fn pitfall_18c_no_setting_believes_everybody() {
    let read = |lines: &str| {
        let text = format!(
            "[store]\nkey-file = \"k\"\n[upstream.own.submission]\nhost = \"mail.example.com\"\n\
             [[listener]]\nname = \"in\"\nprotocol = \"submission\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
             plaintext-networks = \"127.0.0.1\"\n{lines}\n"
        );
        Config::parse(&text, Path::new("locum.toml"))
    };
    let front_ends = read("").unwrap().listeners[0].front_ends.clone();
    assert!(front_ends.proxy_protocol.is_empty() && front_ends.xclient.is_empty());
    for key in ["proxy-protocol-from", "xclient-from"] {
        assert!(read(&format!("{key} = \"10.0.0.0/8\"")).is_ok());
        for networks in ["0.0.0.0/0", "::/0", "any", "*", "true"] {
            assert!(read(&format!("{key} = \"{networks}\"")).is_err(), "{key} = {networks}");
        }
        assert!(read(&format!("{key} = true")).is_err());
    }
}

/// A device that shows a certificate is known by all of it or not at all: not by a name in it, which is somebody's who made one
/// himself; nor, where it is unknown, over, or without a name, by the address that it comes from instead.
#[tokio::test]
async fn pitfall_20_a_certificate_that_is_not_the_devices_own_falls_back_on_nothing() {
    let (device, over) = (Identity::of("scanner-3f"), Identity::expired("scanner-3f"));
    let toml = format!(
        "[[listener]]\nname = \"devices\"\nprotocol = \"submission\"\nbind = \"127.0.0.1:0\"\n\
         [[listener.recognise]]\nclient = \"scanner-3f\"\ncertificate = \"{}\"\n\
         [[listener.recognise]]\nclient = \"scanner-3f\"\ncertificate = \"{}\"\n\
         [[listener.recognise]]\nclient = \"scanner-3f\"\nnetwork = \"{DEVICE}\"\n",
        device.fingerprint(),
        over.fingerprint()
    );
    let lab = Plan::new().toml(&toml).start().await;
    let senders: Vec<AddressPattern> = vec!["scans@contoso.test".parse().unwrap()];
    lab.alter(&lab.scanner, |client| client.policy.senders = senders).await;
    let ask = async |source: IpAddr, identity: Option<(&Identity, &Identity)>| {
        let tls =
            identity.map_or_else(|| lab.client_tls.clone(), |(shown, signer)| shown.shown_by(&lab.client_tls, signer));
        let wire = Wire::connect_from(source, lab.address("devices")).await.try_tls(&tls).await;
        let Some(mut wire) = wire else { return "no handshake".to_owned() };
        match answer(&mut wire).await {
            Some(answer) => answer,
            None => "no handshake".to_owned(),
        }
    };
    // The same name, the name of the client, no name, a wildcard, the login with what a parser might cut off.
    for name in ["scanner-3f", "", "*", "scanner-3f.evil.test", "localhost"] {
        let forged = Identity::of(if name.is_empty() { "x" } else { name });
        for source in [STRANGER, DEVICE] {
            assert_eq!(ask(source, Some((&forged, &forged))).await, NO_LOGIN, "{name} from {source}");
        }
    }
    assert_eq!(ask(DEVICE, Some((&over, &over))).await, NO_LOGIN, "its time is over, wherever it stands");
    let forged = Identity::of("scanner-3f");
    assert_eq!(ask(DEVICE, Some((&device, &forged))).await, "no handshake", "the certificate without its key");
    assert_eq!(ask(STRANGER, None).await, NO_LOGIN);
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));
    assert!(ask(STRANGER, Some((&device, &device))).await.starts_with("250 "), "its own is good from anywhere");
    assert!(ask(DEVICE, None).await.starts_with("250 "), "and who shows none is known by where it stands");
}

/// What a device is told that sends mail; `None` if the other side did not take the handshake, which in TLS 1.3 is seen by the
/// first read.
async fn answer(wire: &mut Wire) -> Option<String> {
    wire.try_line().await?;
    wire.ehlo().await;
    Some(wire.ask(MAIL).await)
}

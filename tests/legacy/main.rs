//! The island of TLS 1.0 and 1.1, which only a build with the feature `legacy-tls` has: OpenSSL's own client at a listener
//! that names networks for it. Run it with `cargo test --features legacy-tls --test legacy`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for other tests")]
mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use locum::config::Config;
use locum::model::{Policy, Protocol};
use openssl::ssl::{ShutdownResult, Ssl, SslContext, SslMethod, SslStream, SslVersion};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use support::{Identity, Lab, Plan, Wire};

/// From here old versions are taken; from any other address they are not.
const ISLAND: &str = "127.0.0.9";

/// Time for a handshake and a login.
const PATIENCE: Duration = Duration::from_secs(30);

async fn lab() -> Lab {
    plan("").start().await
}

/// The lab with an island, and with that behind its last listener.
fn plan(more: &str) -> Plan {
    let listener = |name: &str, protocol: &str, tls: &str| {
        format!(
            "\n[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\ntls = \"{tls}\"\n\
             legacy-tls-networks = \"{ISLAND}\"\n"
        )
    };
    let island = listener("old-imaps", "imap", "implicit") + &listener("old-smtp", "submission", "starttls");
    Plan::new().toml(&(island + more))
}

/// What OpenSSL's client gets to read: it says these lines to a listener, from an address, in a version of TLS.
async fn said(lab: &Lab, listener: &str, from: &str, options: &[&str], lines: &str) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_quiet", "-cipher", "DEFAULT:@SECLEVEL=0", "-bind", &format!("{from}:0")])
        .args(["-connect", &lab.address(listener).to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    // Where no handshake comes about, nobody reads this.
    let _ = input.write_all(lines.as_bytes()).await;
    let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
    drop(input);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn imap(lab: &Lab) -> String {
    format!("a1 LOGIN {} {}\r\na2 LOGOUT\r\n", lab.alice.login, lab.alice.secret)
}

#[tokio::test]
async fn an_old_client_logs_in_from_a_network_that_is_named() {
    let lab = lab().await;
    for version in ["-tls1", "-tls1_1", "-tls1_2"] {
        let said = said(&lab, "old-imaps", ISLAND, &[version], &imap(&lab)).await;
        assert!(said.contains("a1 OK") && said.contains("a2 OK"), "{version}: {said:?}");
    }
}

#[tokio::test]
async fn an_old_client_begins_tls_in_a_submission_session() {
    let lab = lab().await;
    let login = support::base64(format!("\0{}\0{}", lab.scanner.login, lab.scanner.secret));
    let lines = format!("EHLO scanner\r\nAUTH PLAIN {login}\r\nQUIT\r\n");
    let said = said(&lab, "old-smtp", ISLAND, &["-tls1", "-starttls", "smtp"], &lines).await;
    assert!(said.contains("235 2.7.0"), "{said:?}");
}

#[tokio::test]
async fn nobody_else_gets_an_old_version() {
    let lab = lab().await;
    let lines = imap(&lab);
    for version in ["-tls1", "-tls1_1"] {
        assert_eq!(said(&lab, "old-imaps", "127.0.0.1", &[version], &lines).await, "", "another network");
        assert_eq!(said(&lab, "imaps", ISLAND, &[version], &lines).await, "", "another listener");
    }
    let new = said(&lab, "old-imaps", "127.0.0.1", &["-tls1_3"], &lines).await;
    assert!(new.contains("a1 OK"), "{new:?}");
}

#[tokio::test]
async fn another_application_protocol_is_refused_as_elsewhere() {
    let lab = lab().await;
    for (offered, is_served) in [("imap", true), ("h2,imap", true), ("http/1.1", false)] {
        let said = said(&lab, "old-imaps", ISLAND, &["-tls1", "-alpn", offered], &imap(&lab)).await;
        assert_eq!(said.contains("a1 OK"), is_served, "{offered}: {said:?}");
    }
}

#[tokio::test]
async fn the_audit_tells_the_version() {
    let lab = lab().await;
    said(&lab, "old-imaps", ISLAND, &["-tls1"], &imap(&lab)).await;
    let event = lab.last_event(Protocol::Imap, "alice");
    assert_eq!(event["tls_version"], "TLSv1", "{event}");
}

#[tokio::test]
async fn a_device_is_known_by_its_certificate_there_too() {
    let (plotter, other) = (Identity::of("plotter"), Identity::of("other"));
    let recognise =
        format!("[[listener.recognise]]\nclient = \"scanner-3f\"\ncertificate = \"{}\"\n", plotter.fingerprint());
    let lab = plan(&recognise).start().await;
    let senders = vec!["scans@contoso.test".parse().unwrap()];
    lab.alter(&lab.scanner, |client| client.policy = Policy { senders, ..Policy::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let show = |identity: &Identity| {
        let path = folder.path().join("device.pem");
        std::fs::write(&path, format!("{}{}", identity.pems.certificate, identity.pems.key.as_str())).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let lines = "EHLO plotter\r\nMAIL FROM:<scans@contoso.test>\r\nQUIT\r\n";
    for (identity, is_known) in [(Some(&plotter), true), (Some(&other), false), (None, false)] {
        let pem = identity.map(show);
        let mut options = vec!["-tls1", "-starttls", "smtp"];
        options.extend(pem.iter().flat_map(|pem| ["-cert", pem, "-key", pem]));
        let said = said(&lab, "old-smtp", ISLAND, &options, lines).await;
        assert_eq!(said.contains("250 2.1.0 Sender OK"), is_known, "{said:?}");
        assert_eq!(said.contains("530 5.7.0 "), !is_known, "{said:?}");
    }
}

/// What a front end says of a client changes nothing in the handshake, which is the front end's own.
#[tokio::test(flavor = "multi_thread")]
async fn who_shakes_hands_is_who_may_be_old() {
    let lab = plan("xclient-from = [\"127.0.0.9\", \"127.0.0.8\"]\n").start().await;
    for (front_end, client, is_old) in [(ISLAND, "127.0.0.1", true), ("127.0.0.8", ISLAND, false)] {
        let shaken = aside(|| {
            let mut socket = dial(&lab, "old-smtp", front_end);
            for (said, code) in [
                ("", "220 "),
                (&*format!("XCLIENT ADDR={client}\r\n"), "220 "),
                ("EHLO x\r\n", "250 "),
                ("STARTTLS\r\n", "220 "),
            ] {
                socket.write_all(said.as_bytes()).unwrap();
                until(&mut socket, code);
            }
            old(socket)
        });
        assert_eq!(shaken.is_some(), is_old, "{front_end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_understood_however_it_ends() {
    let lab = lab().await;
    let log_in = || {
        let mut stream = old(dial(&lab, "old-imaps", ISLAND)).unwrap();
        until(&mut stream, "* OK ");
        write!(stream, "a1 LOGIN {} {}\r\n", lab.alice.login, lab.alice.secret).unwrap();
        until(&mut stream, "a1 OK ");
        stream
    };
    // It says that it has said all, and still reads.
    aside(|| {
        let mut stream = log_in();
        stream.write_all(b"a2 LOGOUT\r\n").unwrap();
        assert_eq!(stream.shutdown().unwrap(), ShutdownResult::Sent);
        until(&mut stream, "a2 OK ");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the other side says so, too");
    });
    ended(&lab, 1).await;
    // It closes TCP without a word of TLS.
    aside(|| log_in().get_ref().shutdown(Shutdown::Write).unwrap());
    assert_eq!(ended(&lab, 2).await, "the client closed");
}

/// The reason in the latest of so many ends of sessions.
async fn ended(lab: &Lab, count: usize) -> String {
    let waiting = async {
        loop {
            let mut ends: Vec<_> = lab.audit().into_iter().filter(|event| event["event"] == "end").collect();
            match ends.pop() {
                Some(end) if ends.len() + 1 == count => return end["reason"].as_str().unwrap().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(PATIENCE, waiting).await.unwrap()
}

#[tokio::test]
async fn nobody_shakes_hands_twice() {
    let lab = lab().await;
    let mut client = Command::new("openssl")
        .args(["s_client", "-verify_quiet", "-tls1_2", "-bind", &format!("{ISLAND}:0")])
        .args(["-connect", &lab.address("old-imaps").to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut input, mut output) = (client.stdin.take().unwrap(), BufReader::new(client.stdout.take().unwrap()));
    let mut line = String::new();
    while !line.starts_with("* OK ") {
        line.clear();
        assert_ne!(timeout(PATIENCE, output.read_line(&mut line)).await.unwrap().unwrap(), 0);
    }
    // Its word for another handshake.
    input.write_all(b"R\n").await.unwrap();
    let mut errors = String::new();
    let mut stderr = client.stderr.take().unwrap();
    timeout(PATIENCE, stderr.read_to_string(&mut errors)).await.unwrap().unwrap();
    assert!(errors.contains("no renegotiation"), "{errors}");
}

#[tokio::test]
async fn a_handshake_that_stalls_is_not_waited_for() {
    let lab = plan("").tune(|config| config.session.tls_handshake_timeout = Duration::from_millis(300)).start().await;
    let mut wire = Wire::connect_from(ISLAND.parse().unwrap(), lab.address("old-imaps")).await;
    // The beginning of a hello.
    wire.write(b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x01").await;
    assert!(wire.is_silent_for(Duration::from_millis(100)).await, "it has its time");
    assert_eq!(wire.rest().await, "");
}

/// Blocks the thread of the test alone: what it speaks to is on the others of its runtime.
fn aside<T>(talk: impl FnOnce() -> T) -> T {
    talk()
}

fn dial(lab: &Lab, listener: &str, from: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from((from.parse::<IpAddr>().unwrap(), 0)).into()).unwrap();
    socket.connect(&lab.address(listener).into()).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A handshake in TLS 1.0 and nothing newer, whatever the certificate; `None` where that is refused.
fn old(socket: TcpStream) -> Option<SslStream<TcpStream>> {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_cipher_list("DEFAULT:@SECLEVEL=0").unwrap();
    context.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    context.set_max_proto_version(Some(SslVersion::TLS1)).unwrap();
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), socket).unwrap();
    stream.connect().is_ok().then_some(stream)
}

/// Reads, byte by byte, up to the end of a line that begins so.
fn until(stream: &mut impl Read, start: &str) {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{start:?} did not come: {error}, {line:?}"));
        line.push(byte[0]);
        if byte[0] == b'\n' {
            if line.starts_with(start.as_bytes()) {
                return;
            }
            line.clear();
        }
    }
}

#[test]
fn a_listener_without_tls_has_no_versions_of_it() {
    let text = "name = \"locum.test\"\n[store]\npath = \"locum.db\"\nkey-file = \"locum.key\"\n[upstream.gmail]\n\
                preset = \"gmail\"\n[[listener]]\nname = \"l\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
                plaintext-networks = \"127.0.0.0/8\"\nlegacy-tls-networks = \"127.0.0.0/8\"\n";
    let error = Config::parse(text, "locum.toml".as_ref()).unwrap_err().to_string();
    assert!(error.contains("legacy-tls-networks"), "{error}");
}

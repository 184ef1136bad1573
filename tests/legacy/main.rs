//! The island of TLS 1.0 and 1.1, which only a build with the feature `legacy-tls` has: OpenSSL's own client at a listener
//! that names networks for it. Run it with `cargo test --features legacy-tls --test legacy`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for other tests")]
mod support;

use std::process::Stdio;
use std::time::Duration;

use locum::config::Config;
use locum::model::Protocol;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use support::{Lab, Plan};

/// From here old versions are taken; from any other address they are not.
const ISLAND: &str = "127.0.0.9";

/// Time for a handshake and a login.
const PATIENCE: Duration = Duration::from_secs(30);

async fn lab() -> Lab {
    let listener = |name: &str, protocol: &str, tls: &str| {
        format!(
            "\n[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\ntls = \"{tls}\"\n\
             legacy-tls-networks = \"{ISLAND}\"\n"
        )
    };
    let island = listener("old-imaps", "imap", "implicit") + &listener("old-smtp", "submission", "starttls");
    Plan::new().toml(&island).start().await
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
    let login = support::base64(&format!("\0{}\0{}", lab.scanner.login, lab.scanner.secret));
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

#[test]
fn a_listener_without_tls_has_no_versions_of_it() {
    let text = "name = \"locum.test\"\n[store]\npath = \"locum.db\"\nkey-file = \"locum.key\"\n[upstream.gmail]\n\
                preset = \"gmail\"\n[[listener]]\nname = \"l\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
                plaintext-networks = \"127.0.0.0/8\"\nlegacy-tls-networks = \"127.0.0.0/8\"\n";
    let error = Config::parse(text, "locum.toml".as_ref()).unwrap_err().to_string();
    assert!(error.contains("legacy-tls-networks"), "{error}");
}

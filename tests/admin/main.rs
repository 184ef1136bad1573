//! The admin listener of a whole broker, over its socket: what it says, when it says that it is not ready, and what is in
//! none of its answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is made for the tests of the broker, and a part of it does here")]
mod support;

mod lifecycle;

use std::time::Duration;

use jiff::SignedDuration;
use locum::model::{CredentialKind, Protocol};
use support::{Lab, Plan, credential, previous};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn lab() -> Lab {
    Plan::new().toml("[admin]\nbind = \"127.0.0.1:0\"\n").start().await
}

/// The answer to one request: its head and its body.
async fn request(lab: &Lab, method: &str, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(lab.address("admin")).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Asks until the answer begins so. Before the first probe of its upstreams has ended a process is not ready.
async fn until(lab: &Lab, path: &str, status: &str) -> (String, String) {
    let asking = async {
        loop {
            let (head, body) = request(lab, "GET", path).await;
            if head.starts_with(status) {
                return (head, body);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap()
}

#[tokio::test]
async fn a_process_is_alive_and_ready() {
    let lab = lab().await;
    let (head, body) = request(&lab, "GET", "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "alive\n");

    let (head, body) = until(&lab, "/readyz", "HTTP/1.1 200 ").await;
    assert!(head.contains("content-type: application/json") && head.contains("cache-control: no-store"), "{head}");
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&said["ready"], &said["degraded"]), (&true.into(), &false.into()));
    assert_eq!(said["checks"][0]["state"], "serving");
    let names: Vec<_> =
        said["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    let expected = ["process", "listeners", "sessions", "descriptors", "certificates", "audit"];
    assert_eq!(names, expected, "a store in a file has no state of its own: {said}");
}

#[tokio::test]
async fn sessions_are_counted_and_nobody_is_named() {
    let lab = lab().await;
    let session = lab.log_in(Protocol::Imap, &lab.alice).await;
    let (head, body) = request(&lab, "GET", "/metrics").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.lines().any(|line| line == "# TYPE locum_sessions gauge"), "{body}");
    assert!(body.lines().any(|line| line == "locum_sessions{protocol=\"imap\",state=\"relay\"} 1"), "{body}");
    let (_, readiness) = request(&lab, "GET", "/readyz").await;
    for name in [&lab.alice.login, &lab.alice.address, &lab.alice.secret, &lab.alice.app_password] {
        assert!(!body.contains(name.as_str()) && !readiness.contains(name.as_str()), "{name}");
    }
    drop(session);
}

#[tokio::test]
async fn logins_by_the_credential_before_are_counted() {
    let lab = lab().await;
    lab.place(&lab.alice, CredentialKind::AppPassword, |slots| {
        let before = slots.current.replace(credential("lkjhgfdsamnbvcxz")).unwrap();
        slots.previous = Some(previous(before, SignedDuration::from_hours(1)));
    })
    .await;
    for _ in 0..2 {
        lab.log_in(Protocol::Imap, &lab.alice).await;
    }
    let (_, body) = request(&lab, "GET", "/metrics").await;
    assert!(body.lines().any(|line| line == "locum_overlap_logins_total{slot=\"previous\"} 2"), "{body}");
    for name in [&lab.alice.address, &lab.alice.app_password] {
        assert!(!body.contains(name.as_str()), "{name}");
    }
}

#[tokio::test]
async fn a_process_that_drains_says_so_until_it_ends() {
    let mut lab = lab().await;
    until(&lab, "/readyz", "HTTP/1.1 200 ").await;
    let mut session = lab.log_in(Protocol::Imap, &lab.alice).await;
    lab.drain();
    let (_, body) = until(&lab, "/readyz", "HTTP/1.1 503 ").await;
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&said["ready"], &said["checks"][0]["state"]), (&false.into(), &"draining".into()));
    assert!(request(&lab, "GET", "/healthz").await.0.starts_with("HTTP/1.1 200 "));

    session.write("c LOGOUT\r\n").await;
    session.rest().await;
    lab.stopped().await;
    assert!(TcpStream::connect(lab.address("admin")).await.is_err());
}

#[tokio::test]
async fn head_has_no_body_and_what_is_not_there_says_what_is() {
    let lab = lab().await;
    let (head, body) = request(&lab, "HEAD", "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-length: 6") && body.is_empty(), "{head}");
    let (head, body) = request(&lab, "GET", "/health").await;
    assert!(head.starts_with("HTTP/1.1 404 ") && body.contains("/healthz, /readyz and /metrics"), "{head} {body}");
    for method in ["POST", "DELETE", "OPTIONS"] {
        let (head, _) = request(&lab, method, "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET,HEAD"), "{method}: {head}");
    }
}

//! The audit as its users see it.

use std::net::IpAddr;

use super::*;
use crate::model::Protocol;

pub(super) fn origin() -> Origin {
    Origin {
        session: 7,
        listener: "imaps".into(),
        protocol: Protocol::Imap,
        peer: IpAddr::from([192, 0, 2, 1]),
        via: Vec::new(),
        tls: true,
        tls_version: Some("TLSv1.3"),
    }
}

pub(super) fn decision(login: &[u8]) -> Event {
    Event::Decision {
        outcome: "deny",
        reason: Some("unknown login".into()),
        login: name(login),
        method: "LOGIN command",
        way: None,
        client_secret: None,
        account: None,
        delegated: false,
        asked: None,
        duration_ms: 1,
    }
}

#[test]
fn each_event_is_one_line_whatever_a_name_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let audit = Audit::open(&Options { path: Some(path.clone()), ..Options::default() }).unwrap();
    (0..2).for_each(|_| audit.record(&origin(), &decision(b"x\r\n{\"event\":\"forged\"}\xff")));
    audit.settle();
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["event"], "decision");
    assert_eq!(lines[0]["peer"], "192.0.2.1");
    assert_eq!((&lines[0]["seq"], &lines[1]["seq"]), (&1.into(), &2.into()));
}

#[test]
fn a_file_that_does_not_open_is_named() {
    let options = Options { path: Some("/nonexistent/audit.jsonl".into()), ..Options::default() };
    let error = Audit::open(&options).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/audit.jsonl"), "{error}");
}

#[test]
fn what_waits_is_written_when_the_last_handle_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let audit = Audit::open(&Options { path: Some(path.clone()), ..Options::default() }).unwrap();
    (0..100).for_each(|_| audit.record(&origin(), &decision(b"a")));
    drop(audit);
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 100);
}

#[tokio::test]
async fn a_commit_fails_while_the_file_cannot_be_written_and_what_is_lost_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("audit");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("audit.jsonl");
    let audit = Audit::open(&Options { path: Some(path.clone()), fail_closed: true, ..Options::default() }).unwrap();
    audit.commit(&origin(), &decision(b"first")).await.unwrap();
    // A folder of that name cannot be opened as a file, by nobody.
    std::fs::rename(&path, folder.join("gone")).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(audit.commit(&origin(), &decision(b"second")).await, Err(Unwritten));
    assert!(audit.status().error.is_some());
    audit.record(&origin(), &decision(b"third"));
    std::fs::remove_dir(&path).unwrap();
    drop(audit);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains("\"event\":\"lost\",\"count\":1"), "{text}");
    assert!(text.contains("third") && !text.contains("second"), "{text}");
    assert!(text.starts_with("{\"seq\":2,"), "the chain goes on: {text}");
}

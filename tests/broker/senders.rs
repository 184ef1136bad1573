//! A client that may name some senders alone: what it submits is looked at. What would get round that is in `tests/pitfalls`.

use std::time::Duration;

use locum::model::Protocol;
use locum::sandbox::Start;
use tokio::time::timeout;

use crate::support::{Fake, Identity, Lab, Plan, Step, Wire};

const REFUSED: &str = "550 5.7.1 This login may not send as that address";

/// Alice may send as herself alone.
async fn lab() -> Lab {
    let lab = Lab::start().await;
    pin(&lab).await;
    lab
}

async fn pin(lab: &Lab) {
    lab.alter(&lab.alice, |client| client.policy.senders = vec!["alice.liddell@gmail.test".parse().unwrap()]).await;
}

/// Up to the text of a message of hers.
async fn in_message(lab: &Lab) -> Wire {
    let mut wire = lab.log_in(Protocol::Submission, &lab.alice).await;
    wire.write("MAIL FROM:<alice.liddell@gmail.test>\r\nRCPT TO:<alice.liddell@gmail.test>\r\nDATA\r\n").await;
    for code in ["250 ", "250 ", "354 "] {
        assert!(wire.line().await.starts_with(code));
    }
    wire
}

/// The end of the session in the audit.
async fn end(lab: &Lab, login: &str) -> serde_json::Value {
    let wait = async {
        loop {
            let event = lab.last_event(Protocol::Submission, login);
            if event["event"] == "end" {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // looked at again, until it is there
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap()
}

#[tokio::test]
async fn what_is_hers_arrives_byte_for_byte_and_is_counted() {
    let lab = lab().await;
    let mut wire = in_message(&lab).await;
    let body = "Subject: x\r\n\r\nMAIL FROM:<boss@gmail.test>\r\n..dot\r\nbare \n feed, bare \r return\r\nQUIT\r\n";
    assert!(wire.ask(&format!("{body}.")).await.starts_with("250 2.0.0 OK "));
    assert_eq!(wire.ask("MAIL FROM:<boss@gmail.test>").await, REFUSED);
    wire.write("QUIT\r\n").await;
    wire.rest().await;
    let sent = lab.gmail.sandbox.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(String::from_utf8_lossy(&sent[0].message), body.replace("..dot", ".dot"));
    let end = end(&lab, &lab.alice.login).await;
    assert_eq!((&end["messages"], &end["reason"]), (&1.into(), &"the upstream closed".into()), "{end}");
}

#[tokio::test]
async fn who_has_no_policy_is_not_looked_at() {
    let lab = Lab::start().await;
    let mut wire = lab.log_in(Protocol::Submission, &lab.alice).await;
    assert!(wire.ask("MAIL FROM:<boss@gmail.test>").await.starts_with("250 "));
    wire.write("QUIT\r\n").await;
    wire.rest().await;
    assert!(end(&lab, &lab.alice.login).await.get("messages").is_none());
}

#[tokio::test]
async fn an_upstream_that_says_goodbye_or_hangs_up_in_between_is_followed() {
    use Step::{Hear, Say, Tls};
    let identity = Identity::of("localhost");
    let log_in = [
        Tls(identity.server.clone()),
        Say("220 mx\r\n"),
        Hear("EHLO"),
        Say("250-mx\r\n250 AUTH PLAIN\r\n"),
        Hear("AUTH"),
        Say("235 2.7.0 in\r\n"),
        Hear("MAIL"),
    ];
    let ends = [
        ("goodbye", vec![Say("250 ok\r\n421 4.4.2 going\r\n")], "250 ok\r\n421 4.4.2 going\r\n"),
        ("half", vec![Say("250 o")], "250 o"),
        (
            "unasked",
            vec![Say("250 ok\r\n250 more\r\n"), Hear("never")],
            "250 ok\r\n250 more\r\n421 4.3.0 The upstream's replies cannot be followed\r\n",
        ),
    ];
    for (name, steps, expected) in ends {
        let script: Vec<_> = log_in.iter().cloned().chain(steps).collect();
        let fake = Fake::play(name, Protocol::Submission, Start::Implicit, &script).await;
        let lab = Plan::new().fake(&fake).trust(&identity).start().await;
        let carol = lab.enrol("carol", name, "zkvqxjwpbmfhygtd").await;
        lab.alter(&carol, |client| client.policy.senders = vec!["*@mail.test".parse().unwrap()]).await;
        let mut wire = lab.log_in(Protocol::Submission, &carol).await;
        wire.write("MAIL FROM:<carol@mail.test>\r\n").await;
        assert_eq!(wire.rest().await, expected, "{name}");
        fake.all_closed().await;
    }
}

//! A mailbox's gate: no more sessions at once than its provider bears, and who comes later waits for a place.

use std::time::Duration;

use locum::config::Config;
use locum::model::{Protocol, Refusal};

use crate::answers::{accepted, refused};
use crate::support::{Lab, Plan, plain};

/// One session for each mailbox at Gmail.
fn narrow(config: &mut Config) {
    for profile in config.upstreams.values_mut() {
        std::sync::Arc::make_mut(profile).endpoints.values_mut().for_each(|endpoint| endpoint.sessions_max = 1);
    }
}

async fn narrow_lab(gate_timeout: Duration) -> Lab {
    Plan::new()
        .tune(move |config| {
            narrow(config);
            config.upstream.gate_timeout = gate_timeout;
        })
        .start()
        .await
}

#[tokio::test]
async fn the_second_client_waits_and_gets_in_when_the_first_quits() {
    let lab = narrow_lab(Duration::from_secs(15)).await;
    let mut first = lab.log_in(Protocol::Submission, &lab.alice).await;
    let mut second = lab.open(Protocol::Submission).await;
    let response = plain("", &lab.alice.login, &lab.alice.secret);
    second.write(format!("AUTH PLAIN {response}\r\n")).await;
    assert!(second.is_silent_for(Duration::from_millis(150)).await);
    assert_eq!(lab.gmail.logins().len(), 1, "the provider is spared");

    first.write("QUIT\r\n").await;
    assert!(first.line().await.starts_with("221 2.0.0 closing connection"));
    first.rest().await;
    assert_eq!(second.line().await, accepted(Protocol::Submission));
    assert_eq!(lab.gmail.logins().len(), 2);
}

#[tokio::test]
async fn who_waits_too_long_is_told_to_try_again() {
    let lab = narrow_lab(Duration::from_millis(50)).await;
    for protocol in Protocol::ALL {
        let _first = lab.log_in(protocol, &lab.alice).await;
        let (_second, answer) = lab.present(protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::Unavailable));
    }
    assert_eq!(lab.gmail.logins().len(), 3, "one for each protocol");
    let audit = lab.audit();
    let failed: Vec<_> = audit.iter().filter(|event| event["outcome"] == "failed").collect();
    assert_eq!(failed.len(), 3);
    for event in failed {
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.contains("state=\"gate\"") && reason.contains("all 1 places"), "{reason}");
    }
}

#[tokio::test]
async fn who_hangs_up_while_it_waits_leaves_its_place_to_the_next() {
    let lab = narrow_lab(Duration::from_secs(15)).await;
    let first = lab.log_in(Protocol::Imap, &lab.alice).await;
    let mut second = lab.open(Protocol::Imap).await;
    second.write(format!("a LOGIN {} {}\r\n", lab.alice.login, lab.alice.secret)).await;
    assert!(second.is_silent_for(Duration::from_millis(50)).await);
    drop(second);
    drop(first);
    lab.log_in(Protocol::Imap, &lab.alice).await;
}

#[tokio::test]
async fn one_mailbox_does_not_keep_another_waiting() {
    let lab = narrow_lab(Duration::from_millis(50)).await;
    let bob = lab.enrol("bob", "gmail", "mnbvcxzlkjhgfdsa").await;
    lab.gmail.add_mailbox(&bob.address, &bob.app_password, locum::sandbox::Behaviour::Normal);
    let _alice = lab.log_in(Protocol::Imap, &lab.alice).await;
    let _bob = lab.log_in(Protocol::Imap, &bob).await;
}

//! Promise 7: a dead credential is tried twice and no more, and a new one is used at once.

use std::sync::Arc;

use locum::model::{Protocol, Refusal, Secret};
use locum::sandbox::{Behaviour, Outcome, Start};
use tokio::sync::Notify;

use crate::answers::{accepted, refused};
use crate::support::{Fake, Identity, Lab, Plan, Step, base64};

const NEW: &str = "poiuytrewqasdfgh";

#[tokio::test]
async fn a_dead_credential_is_tried_twice_and_its_successor_at_once() {
    for protocol in Protocol::ALL {
        let lab = Lab::start().await;
        let alice = &lab.alice;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(NEW));
        for _ in 0..10 {
            let (_wire, answer) = lab.present(protocol, &alice.login, &alice.secret).await;
            assert_eq!(answer, refused(protocol, Refusal::ContactAdmin));
        }
        assert_eq!(lab.gmail.logins().len(), 2, "{protocol}");

        lab.rotate(alice, NEW).await;
        let (_wire, answer) = lab.present(protocol, &alice.login, &alice.secret).await;
        assert_eq!(answer, accepted(protocol));
        let outcomes: Vec<_> = lab.gmail.logins().into_iter().map(|login| login.outcome).collect();
        assert_eq!(outcomes, [Outcome::Refused, Outcome::Refused, Outcome::Accepted], "{protocol}");
    }
}

#[tokio::test]
async fn a_storm_of_logins_does_not_try_a_dead_credential_more_often() {
    let lab = Lab::start().await;
    lab.gmail.sandbox.set_password(&lab.alice.address, Secret::new(NEW));
    let mut wires = Vec::new();
    for _ in 0..10 {
        wires.push(lab.open(Protocol::Imap).await);
    }
    for wire in &mut wires {
        wire.write(format!("a LOGIN {} {}\r\n", lab.alice.login, lab.alice.secret)).await;
    }
    for wire in &mut wires {
        assert_eq!(wire.line().await, refused(Protocol::Imap, Refusal::ContactAdmin));
    }
    assert_eq!(lab.gmail.logins().len(), 2);
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_credential_does_not_count_against_it() {
    let lab = Lab::start().await;
    let alice = &lab.alice;
    lab.gmail.sandbox.set_behaviour(&alice.address, Behaviour::ServerUnavailable);
    for _ in 0..4 {
        let (_wire, answer) = lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::Unavailable));
    }
    lab.gmail.sandbox.set_behaviour(&alice.address, Behaviour::Normal);
    let (_wire, answer) = lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
    assert_eq!(answer, accepted(Protocol::Imap));
}

#[tokio::test]
async fn a_refusal_by_policy_is_not_asked_for_again_at_once() {
    let lab = Lab::start().await;
    let alice = &lab.alice;
    lab.gmail.sandbox.set_behaviour(&alice.address, Behaviour::ApplicationPasswordRequired);
    for _ in 0..5 {
        let (_wire, answer) = lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    }
    assert_eq!(lab.gmail.logins().len(), 1);
    let reason = lab.audit().pop().unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("state=\"breaker\"") && reason.contains("not tried for another"), "{reason}");

    // A new version is not held for the old one's sake.
    lab.gmail.sandbox.set_behaviour(&alice.address, Behaviour::Normal);
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(NEW));
    lab.rotate(alice, NEW).await;
    lab.log_in(Protocol::Imap, alice).await;
}

/// The operator replaces the credential while the provider is refusing the old one.
#[tokio::test]
async fn a_credential_changed_during_a_login_is_picked_up_by_that_login() {
    let identity = Identity::of("localhost");
    let (asked, changed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let greeting = Step::Say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n");
    let old = vec![
        Step::Tls(identity.server.clone()),
        greeting.clone(),
        Step::Hear("AUTHENTICATE PLAIN"),
        Step::Tell(asked.clone()),
        Step::Await(changed.clone()),
        Step::Say("L1 NO [AUTHENTICATIONFAILED] no\r\n"),
        Step::Silence,
    ];
    let new = vec![
        Step::Tls(identity.server.clone()),
        greeting,
        Step::Hear("AUTHENTICATE PLAIN"),
        Step::Say("L1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
        Step::Silence,
    ];
    let fake = Fake::play_all("own", Protocol::Imap, Start::Implicit, vec![old, new]).await;
    let lab = Plan::new().trust(&identity).fake(&fake).start().await;
    let bob = lab.enrol("bob", "own", "mnbvcxzlkjhgfdsa").await;

    let mut wire = lab.open(Protocol::Imap).await;
    wire.write(format!("a LOGIN {} {}\r\n", bob.login, bob.secret)).await;
    asked.notified().await;
    assert!(fake.has_heard(&base64(format!("\0{}\0{}", bob.address, bob.app_password))));
    lab.rotate(&bob, NEW).await;
    changed.notify_one();
    assert_eq!(wire.line().await, "a OK [CAPABILITY IMAP4rev1 IDLE] Logged in");
    assert!(fake.has_heard(&base64(format!("\0{}\0{NEW}", bob.address))));
    assert_eq!(fake.connections(), 2);

    let outcomes: Vec<_> = lab.audit().iter().map(|event| event["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["allow", "failed", "accepted"]);
}

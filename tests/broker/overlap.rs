//! While one app password takes the place of another: which of them a login tries, and that no client notices.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use locum::model::CredentialKind::AppPassword;
use locum::model::{NextState, Protocol, Refusal, Secret, Slots};
use locum::rotation::machine::{self, Actor as Step, Promotion, Staging};
use locum::sandbox::{Behaviour, Outcome, Start};
use serde_json::Value;
use tokio::sync::Notify;

use crate::answers::{accepted, refused};
use crate::support::{Actor, Fake, Identity, Lab, Plan, Step as Does, Wire, base64, credential, next, previous};

const OLD: &str = "poiuytrewqasdfgh";
const NEW: &str = "lkjhgfdsamnbvcxz";
const OTHER: &str = "zaqxswcdevfrbgtn";

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const GRACE: Duration = Duration::from_secs(3600);
const APPLIED: NextState = NextState::Applied { verified: None };

/// An operator, now.
fn operator() -> Step<'static> {
    Step { by: "operator@test", at: Timestamp::now() }
}

/// Stages and promotes, as two writes of an operator would.
fn promote(slots: &mut Slots, app_password: &str) {
    let credential = credential(app_password);
    let id = credential.id.clone();
    machine::stage(slots, Staging { credential, op: id.clone(), replaces: false }, operator()).unwrap();
    machine::promote(slots, Promotion { id: &id, grace: GRACE, verified_within: None }, operator()).unwrap();
}

async fn assert_in(lab: &Lab, protocol: Protocol, actor: &Actor) -> Wire {
    let (wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
    assert_eq!(answer, accepted(protocol));
    wire
}

async fn assert_refused(lab: &Lab, protocol: Protocol, actor: &Actor, refusal: Refusal) {
    let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
    assert_eq!(answer, refused(protocol, refusal));
}

fn outcomes(lab: &Lab) -> Vec<Outcome> {
    lab.gmail.logins().into_iter().map(|login| login.outcome).collect()
}

fn refusals(lab: &Lab) -> usize {
    outcomes(lab).into_iter().filter(|outcome| *outcome == Outcome::Refused).count()
}

fn last_upstream(lab: &Lab) -> Value {
    lab.audit().into_iter().rfind(|event| event["event"] == "upstream").unwrap()
}

/// Something that only a session which still stands can answer.
async fn is_alive(wire: &mut Wire, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Imap => wire.ask("n NOOP").await.starts_with("n OK"),
        Protocol::Pop3 => wire.ask("NOOP").await.starts_with("+OK"),
        Protocol::Submission => wire.ask("NOOP").await.starts_with("250"),
    }
}

#[tokio::test]
async fn the_one_before_is_used_where_the_current_one_is_refused_and_that_one_is_tried_twice_in_all() {
    for protocol in Protocol::ALL {
        let lab = Lab::start().await;
        let alice = &lab.alice;
        let mut ids = (String::new(), String::new());
        lab.place(alice, AppPassword, |slots| {
            promote(slots, OTHER);
            let of = |it: &locum::model::StoredCredential| it.id.clone();
            ids = (
                slots.current.as_ref().map(of).unwrap(),
                slots.previous.as_ref().map(|it| of(&it.credential)).unwrap(),
            );
        })
        .await;
        for _ in 0..4 {
            assert_in(&lab, protocol, alice).await;
        }
        use Outcome::{Accepted, Refused};
        assert_eq!(outcomes(&lab), [Refused, Accepted, Refused, Accepted, Accepted, Accepted], "{protocol}");

        let found = lab.directory.account(&alice.address).await.unwrap().unwrap().record;
        let slots = &found.credentials[&AppPassword];
        assert_eq!(slots.current.as_ref().unwrap().id, ids.0, "{protocol}: a login promotes nothing");
        let event = last_upstream(&lab);
        assert_eq!((&event["slot"], &event["credential"]), (&"previous".into(), &ids.1.as_str().into()), "{event}");
        assert!(event["fell_back"].as_str().unwrap().contains("the current one: the provider refused it"), "{event}");
        let of_breaker = |event: &&Value| event["reason"].as_str().is_some_and(|reason| reason.contains("breaker"));
        assert_eq!(lab.audit().iter().filter(of_breaker).count(), 0, "what another takes the place of is not told");
    }
}

#[tokio::test]
async fn the_current_one_is_presented_without_a_word_about_places() {
    let lab = Lab::start().await;
    lab.place(&lab.alice, AppPassword, |slots| {
        slots.previous = Some(previous(credential(OLD), HOUR));
        slots.next = Some(next(credential(NEW), APPLIED));
    })
    .await;
    assert_in(&lab, Protocol::Imap, &lab.alice).await;
    let event = last_upstream(&lab);
    assert_eq!((event.get("slot"), event.get("fell_back")), (None, None), "{event}");
    assert!(!lab.gmail.has_seen(OLD) && !lab.gmail.has_seen(NEW));
}

#[tokio::test]
async fn past_its_grace_or_replaced_at_the_provider_it_is_not_used() {
    for protocol in Protocol::ALL {
        for (left, usable) in [(-SignedDuration::from_secs(1), true), (HOUR, false)] {
            let lab = Lab::start().await;
            let alice = &lab.alice;
            lab.place(alice, AppPassword, |slots| {
                slots.previous = Some(previous(slots.current.take().unwrap(), left));
                slots.previous.as_mut().unwrap().usable = usable;
                slots.current = Some(credential(OTHER));
            })
            .await;
            for _ in 0..3 {
                assert_refused(&lab, protocol, alice, Refusal::ContactAdmin).await;
            }
            assert!(lab.gmail.has_seen(OTHER) && !lab.gmail.has_seen(&alice.app_password), "{protocol}");
            assert_eq!(lab.gmail.logins().len(), 2, "{protocol}");
        }
    }
}

#[tokio::test]
async fn what_is_staged_is_not_tried_and_what_is_in_force_is_tried_before_the_previous_one() {
    let long_ago = Timestamp::UNIX_EPOCH;
    let states = [
        (NextState::Staged, false),
        (NextState::Failed { at: long_ago, cause: "refused".into() }, false),
        (NextState::Applying { until: Timestamp::now() + HOUR }, true),
        (NextState::Applying { until: long_ago }, true),
        (NextState::Applied { verified: None }, true),
        (NextState::Applied { verified: Some(long_ago) }, true),
    ];
    for (state, is_tried) in states {
        let lab = Lab::start().await;
        let alice = &lab.alice;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(NEW));
        lab.place(alice, AppPassword, |slots| {
            slots.previous = Some(previous(credential(OLD), HOUR));
            slots.next = Some(next(credential(NEW), state.clone()));
        })
        .await;
        if is_tried {
            assert_in(&lab, Protocol::Imap, alice).await;
            assert_eq!(last_upstream(&lab)["slot"], "next");
        } else {
            assert_refused(&lab, Protocol::Imap, alice, Refusal::ContactAdmin).await;
        }
        let seen = [&alice.app_password, NEW, OLD].map(|secret| lab.gmail.has_seen(secret));
        assert_eq!(seen, [true, is_tried, !is_tried], "{state:?}");
    }
}

#[tokio::test]
async fn of_three_the_last_is_reached_within_one_login_and_a_fourth_is_not() {
    for (protocol, good) in Protocol::ALL.into_iter().flat_map(|protocol| [(protocol, true), (protocol, false)]) {
        let lab = Lab::start().await;
        let alice = &lab.alice;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(if good { OLD } else { "none-of-these" }));
        lab.place(alice, AppPassword, |slots| {
            slots.previous = Some(previous(credential(OLD), HOUR));
            slots.next = Some(next(credential(NEW), APPLIED));
        })
        .await;
        if good {
            assert_in(&lab, protocol, alice).await;
            assert_eq!(last_upstream(&lab)["slot"], "previous");
        } else {
            assert_refused(&lab, protocol, alice, Refusal::ContactAdmin).await;
        }
        assert_eq!(lab.gmail.logins().len(), 3, "{protocol}: three logins at the provider for one of a client");
        if !good {
            // Each has one life left; after that the provider is asked no more.
            for _ in 0..3 {
                assert_refused(&lab, protocol, alice, Refusal::ContactAdmin).await;
            }
            assert_eq!(lab.gmail.logins().len(), 6, "{protocol}");
        }
    }
}

#[tokio::test]
async fn another_trouble_than_a_wrong_password_is_no_reason_to_try_the_one_before() {
    for (behaviour, refusal) in [
        (Behaviour::ServerUnavailable, Refusal::Unavailable),
        (Behaviour::TooManyConnections, Refusal::LimitReached),
        (Behaviour::ApplicationPasswordRequired, Refusal::ContactAdmin),
        (Behaviour::WebLoginRequired, Refusal::ContactAdmin),
    ] {
        let lab = Lab::start().await;
        let alice = &lab.alice;
        lab.place(alice, AppPassword, |slots| slots.previous = Some(previous(credential(OLD), HOUR))).await;
        lab.gmail.sandbox.set_behaviour(&alice.address, behaviour);
        for _ in 0..2 {
            assert_refused(&lab, Protocol::Imap, alice, refusal).await;
        }
        assert!(!lab.gmail.has_seen(OLD), "{behaviour:?}");
    }
}

#[tokio::test]
async fn sessions_stay_through_promotion_rollback_and_retirement_and_new_ones_use_what_is_current() {
    for protocol in Protocol::ALL {
        let lab = Lab::start().await;
        let alice = &lab.alice;
        let mut open = vec![assert_in(&lab, protocol, alice).await];

        lab.place(alice, AppPassword, |slots| promote(slots, NEW)).await;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(NEW));
        open.push(assert_in(&lab, protocol, alice).await);

        lab.place(alice, AppPassword, |slots| {
            let to = slots.previous.as_ref().unwrap().credential.id.clone();
            machine::roll_back(slots, &to, "a test", GRACE, operator()).unwrap();
        })
        .await;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(alice.app_password.as_str()));
        open.push(assert_in(&lab, protocol, alice).await);

        lab.place(alice, AppPassword, |slots| {
            let id = slots.previous.as_ref().unwrap().credential.id.clone();
            machine::retire(slots, &id, true, operator()).unwrap();
        })
        .await;
        open.push(assert_in(&lab, protocol, alice).await);

        for wire in &mut open {
            assert!(is_alive(wire, protocol).await, "{protocol}");
        }
        assert_eq!(outcomes(&lab), [Outcome::Accepted; 4], "{protocol}: each with the one that is current");
    }
}

/// A provider that refuses the first password when the test says so, and takes the second.
async fn refusing_once(asked: &Arc<Notify>, go_on: &Arc<Notify>, then: &'static str) -> (Identity, Fake) {
    let identity = Identity::of("localhost");
    let greeting = Does::Say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n");
    let first = vec![
        Does::Tls(identity.server.clone()),
        greeting.clone(),
        Does::Hear("AUTHENTICATE PLAIN"),
        Does::Tell(Arc::clone(asked)),
        Does::Await(Arc::clone(go_on)),
        Does::Say("L1 NO [AUTHENTICATIONFAILED] no\r\n"),
        Does::Silence,
    ];
    let second = vec![
        Does::Tls(identity.server.clone()),
        greeting,
        Does::Hear("AUTHENTICATE PLAIN"),
        Does::Say(then),
        Does::Silence,
    ];
    let fake = Fake::play_all("own", Protocol::Imap, Start::Implicit, vec![first, second]).await;
    (identity, fake)
}

#[tokio::test]
async fn a_login_that_races_a_promotion_goes_on_with_the_new_one() {
    let (asked, promoted) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let accepts = "L1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n";
    let (identity, fake) = refusing_once(&asked, &promoted, accepts).await;
    let lab = Plan::new().trust(&identity).fake(&fake).start().await;
    let bob = lab.enrol("bob", "own", OLD).await;
    let mut wire = lab.open(Protocol::Imap).await;
    wire.write(format!("a LOGIN {} {}\r\n", bob.login, bob.secret)).await;
    asked.notified().await;
    lab.place(&bob, AppPassword, |slots| promote(slots, NEW)).await;
    promoted.notify_one();
    assert_eq!(wire.line().await, "a OK [CAPABILITY IMAP4rev1 IDLE] Logged in");
    assert!(fake.has_heard(&base64(format!("\0{}\0{NEW}", bob.address))));
    let event = last_upstream(&lab);
    assert_eq!((event.get("slot"), event.get("fell_back")), (None, None), "{event}");
}

#[tokio::test]
async fn what_was_refused_in_a_login_is_not_tried_again_in_it_when_it_has_become_the_one_before() {
    let (asked, promoted) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (identity, fake) = refusing_once(&asked, &promoted, "L1 NO [AUTHENTICATIONFAILED] no\r\n").await;
    let lab = Plan::new().trust(&identity).fake(&fake).start().await;
    let bob = lab.enrol("bob", "own", OLD).await;
    let mut wire = lab.open(Protocol::Imap).await;
    wire.write(format!("a LOGIN {} {}\r\n", bob.login, bob.secret)).await;
    asked.notified().await;
    lab.place(&bob, AppPassword, |slots| promote(slots, NEW)).await;
    promoted.notify_one();
    assert_eq!(wire.line().await, refused(Protocol::Imap, Refusal::ContactAdmin));
    assert_eq!(fake.connections(), 2);
}

#[tokio::test]
async fn of_a_crowd_on_a_bad_current_one_all_get_in_and_two_are_refused() {
    let crowd = Plan::new().tune(|config| {
        config.session.sessions_max = 1000;
        let gmail = config.upstreams.get_mut("gmail").unwrap();
        for endpoint in Arc::make_mut(gmail).endpoints.values_mut() {
            endpoint.sessions_max = 200;
        }
    });
    let lab = crowd.start().await;
    let alice = &lab.alice;
    lab.place(alice, AppPassword, |slots| promote(slots, OTHER)).await;
    let mut wires = Vec::new();
    for _ in 0..200 {
        wires.push(lab.open(Protocol::Imap).await);
    }
    for wire in &mut wires {
        wire.write(format!("a LOGIN {} {}\r\n", alice.login, alice.secret)).await;
    }
    for wire in &mut wires {
        assert_eq!(wire.line().await, accepted(Protocol::Imap));
    }
    assert_eq!(refusals(&lab), 2);
    assert_eq!(lab.gmail.logins().len(), 202);
}

#[tokio::test]
async fn a_version_that_was_refused_twice_is_tried_again_when_an_operator_says_so() {
    for protocol in Protocol::ALL {
        let lab = Lab::start().await;
        let alice = &lab.alice;
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(NEW));
        for _ in 0..3 {
            assert_refused(&lab, protocol, alice, Refusal::ContactAdmin).await;
        }
        lab.gmail.sandbox.set_password(&alice.address, Secret::new(alice.app_password.as_str()));
        assert_refused(&lab, protocol, alice, Refusal::ContactAdmin).await;
        assert_eq!(outcomes(&lab), [Outcome::Refused; 2], "{protocol}");

        lab.place(alice, AppPassword, |slots| {
            machine::try_again(slots, operator()).unwrap();
        })
        .await;
        assert_in(&lab, protocol, alice).await;
        assert_eq!(outcomes(&lab).len(), 3, "{protocol}");
    }
}

/// The order that the runbook warns of: promoted before the provider knew it.
#[tokio::test]
async fn a_current_one_that_the_provider_learns_late_is_used_once_an_operator_says_so() {
    let lab = Lab::start().await;
    let alice = &lab.alice;
    lab.place(alice, AppPassword, |slots| promote(slots, NEW)).await;
    for _ in 0..3 {
        assert_in(&lab, Protocol::Imap, alice).await;
    }
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(NEW));
    for _ in 0..3 {
        assert_refused(&lab, Protocol::Imap, alice, Refusal::ContactAdmin).await;
    }
    assert_eq!(refusals(&lab), 4, "each version twice");
    lab.place(alice, AppPassword, |slots| {
        machine::try_again(slots, operator()).unwrap();
    })
    .await;
    assert_in(&lab, Protocol::Imap, alice).await;
    assert_eq!(last_upstream(&lab).get("slot"), None);
}

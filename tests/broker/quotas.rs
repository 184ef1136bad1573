//! How many sessions a client, a class and a mailbox may have, when a client may log in, and that one address with many
//! mailboxes is none too many.

use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use locum::model::{Binding, Client, Delegation, LoginForm, Policy, Protocol, Refusal, Secret};
use locum::sandbox::Behaviour;

use crate::answers::{accepted, refused};
use crate::support::{Door, Lab, Plan, plain};

/// Until a login gets that answer: a place is free a moment after the one who had it is gone.
async fn answered(lab: &Lab, protocol: Protocol, login: (&str, &str), expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (_wire, answer) = lab.present(protocol, login.0, login.1).await;
        if answer == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_sessions_and_gets_them_back() {
    let lab = Lab::start().await;
    let alice = lab.alice.clone();
    lab.alter(&alice, |client| client.policy.sessions_max = Some(3)).await;
    let logins = join_all((0..8).map(|_| lab.present(Protocol::Imap, &alice.login, &alice.secret))).await;
    let (mut inside, outside): (Vec<_>, Vec<_>) =
        logins.into_iter().partition(|(_, answer)| answer == accepted(Protocol::Imap));
    assert_eq!((inside.len(), outside.len()), (3, 5));
    for (_, answer) in &outside {
        assert_eq!(answer, refused(Protocol::Imap, Refusal::LimitReached));
    }
    assert_eq!(lab.gmail.logins().len(), 3, "the provider is spared");
    let reason = "the client has 3 sessions open on this node, as many as its policy lets it have";
    assert!(lab.audit().iter().any(|event| event["reason"] == reason && event["outcome"] == "deny"));
    for protocol in Protocol::ALL {
        let (_wire, answer) = lab.present(protocol, &alice.login, &alice.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::LimitReached), "whatever it speaks");
    }
    // Others do not count, and who is gone does not.
    lab.log_in(Protocol::Submission, &lab.scanner).await;
    drop(inside.pop());
    answered(&lab, Protocol::Pop3, (&alice.login, &alice.secret), accepted(Protocol::Pop3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_later_gives_its_session_back() {
    let lab = Lab::start().await;
    let alice = lab.alice.clone();
    lab.alter(&alice, |client| client.policy.sessions_max = Some(1)).await;
    lab.gmail.sandbox.set_password(&alice.address, Secret::new("another"));
    for _ in 0..3 {
        let (_wire, answer) = lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
        assert_ne!(answer, accepted(Protocol::Imap));
        assert!(!lab.audit().last().unwrap()["reason"].as_str().unwrap().contains("sessions open"), "{answer}");
    }
}

/// All clients of the lab in that class.
async fn in_class(lab: &Lab, class: &str) {
    for actor in [&lab.alice, &lab.scanner] {
        lab.alter(actor, |client| client.policy.class = Some(class.to_owned())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_has_so_many_sessions_and_who_comes_later_waits() {
    let lab = Plan::new().toml("[limits.class.migration]\nsessions-max = 2\n").start().await;
    in_class(&lab, "migration").await;
    let mut first = lab.log_in(Protocol::Imap, &lab.alice).await;
    let _second = lab.log_in(Protocol::Pop3, &lab.alice).await;
    let mut third = lab.open(Protocol::Submission).await;
    let response = plain("", &lab.scanner.login, &lab.scanner.secret);
    third.write(format!("AUTH PLAIN {response}\r\n")).await;
    assert!(third.is_silent_for(Duration::from_millis(150)).await);
    assert_eq!(lab.exchange.logins(), [], "the provider is spared");
    first.write("z LOGOUT\r\n").await;
    first.rest().await;
    assert_eq!(third.line().await, accepted(Protocol::Submission));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_for_its_class_is_told_to_come_again() {
    let plan = Plan::new().toml("[limits.class.migration]\nsessions-max = 1\n");
    // Submission waits as long as a message may.
    let plan = plan.tune(|config| config.upstream.pace_timeout = Duration::from_millis(50));
    let lab = plan.tune(|config| config.upstream.gate_timeout = Duration::from_millis(50)).start().await;
    in_class(&lab, "migration").await;
    let _first = lab.log_in(Protocol::Imap, &lab.alice).await;
    let (_wire, answer) = lab.present(Protocol::Submission, &lab.scanner.login, &lab.scanner.secret).await;
    assert_eq!(answer, refused(Protocol::Submission, Refusal::Unavailable));
    let reason = lab.audit().pop().unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("all 1 places of the class migration stayed taken"), "{reason}");
    // A class that the configuration lacks bounds nobody.
    lab.alter(&lab.scanner, |client| client.policy.class = Some("no-such-class".into())).await;
    lab.log_in(Protocol::Submission, &lab.scanner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_leaves_places_of_a_mailbox_to_others() {
    let plan = Plan::new().toml("[limits.class.migration]\nsessions-per-mailbox-max = 1\n");
    let lab = plan.tune(|config| config.upstream.gate_timeout = Duration::from_millis(50)).start().await;
    let alice = lab.alice.clone();
    lab.alter(&alice, |client| client.policy.class = Some("migration".into())).await;
    let _migrating = lab.log_in(Protocol::Imap, &alice).await;
    let (_wire, answer) = lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::Unavailable));
    let reason = lab.audit().pop().unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("all 1 places of the mailbox for the class migration stayed taken"), "{reason}");
    lab.alter(&alice, |client| client.policy.class = None).await;
    lab.log_in(Protocol::Imap, &alice).await;
}

/// One refused login for each protocol, and what the operator reads.
async fn assert_refused(lab: &Lab, policy: Policy, refusal: Refusal, reason: &str) {
    let alice = &lab.alice;
    lab.alter(alice, |client| client.policy = policy).await;
    for protocol in Protocol::ALL {
        let (_wire, answer) = lab.present(protocol, &alice.login, &alice.secret).await;
        assert_eq!(answer, refused(protocol, refusal), "{reason}");
        assert_eq!(lab.last_event(protocol, &alice.login)["reason"], reason);
    }
    assert_eq!(lab.gmail.logins(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_its_hours_and_behind_its_end_a_client_is_not_let_in() {
    let lab = Plan::new().tune(|config| config.broker.failures_per_login_max = 100).start().await;
    let now = Timestamp::now();
    let in_three_days = now.to_zoned(TimeZone::UTC).weekday().wrapping_add(3);
    let name = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][in_three_days.to_monday_zero_offset() as usize];
    let hours = vec![format!("{name} 00:00-24:00 UTC").parse().unwrap()];
    let reason = "the client's policy does not include this hour";
    assert_refused(&lab, Policy { hours, ..Policy::default() }, Refusal::NotPermitted, reason).await;
    let reason = format!("the client's time is over since {now:.0}; give it more with `locum client set --expires`");
    let over = Policy { expires: Some(now), ..Policy::default() };
    assert_refused(&lab, over, Refusal::WrongCredentials, &reason).await;

    let hours = vec![format!("{name} 00:00-24:00 UTC").parse().unwrap(), "daily 00:00-24:00 UTC".parse().unwrap()];
    lab.alter(&lab.alice, |client| client.policy = Policy { hours, ..Policy::default() }).await;
    lab.log_in(Protocol::Imap, &lab.alice).await;
}

/// A migration tool: one address, one client, 200 mailboxes at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_many_mailboxes_open() {
    const MAILBOXES: usize = 200;
    let lab = Plan::new()
        .tune(|config| {
            config.session.sessions_max = 1000;
            config.session.unproven_per_address_max = 16;
            config.broker.failures_per_address_max = 2;
            config.listeners.iter_mut().for_each(|it| it.entrance.login_forms = LoginForm::ALL.to_vec());
        })
        .start()
        .await;
    let password = "mnbvcxzlkjhgfdsa";
    for number in 0..MAILBOXES {
        let actor = lab.enrol(&format!("box{number}"), "gmail", password).await;
        lab.gmail.add_mailbox(&actor.address, password, Behaviour::Normal);
    }
    let pattern = "*@mail.test".parse().unwrap();
    let everyone = Delegation { pattern, expires: None, networks: vec![], class: None };
    lab.alter(&lab.alice, |client: &mut Client| client.bindings = vec![Binding::Delegation(everyone)]).await;

    let logins = (0..MAILBOXES).map(async |number| {
        let mut wire = lab.connect(Protocol::Imap, Door::Plain).await;
        let mailbox = format!("box{number}@mail.test");
        let response = plain(&mailbox, &lab.alice.login, &lab.alice.secret);
        let answer = wire.ask(&format!("a AUTHENTICATE PLAIN {response}")).await;
        assert_eq!(answer, accepted(Protocol::Imap), "{mailbox}");
        wire
    });
    let mut wires: Vec<_> = stream::iter(logins).buffer_unordered(8).collect().await;
    assert_eq!(lab.gmail.logins().len(), MAILBOXES);
    assert!(wires[0].ask("n NOOP").await.starts_with("n OK"), "the first is still there");
}

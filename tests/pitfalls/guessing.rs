//! Pitfalls 16, 17 and 19: who guesses learns nothing, locks nobody out, and finds no secret that is worth more than others and
//! guarded less.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use locum::broker::client_secret;
use locum::model::{AddressPattern, Binding, Client, Delegation, Policy, Protocol, Refusal, Secret};
use locum::sandbox::{Behaviour, Outcome};
use serde_json::json;

use crate::answers::{accepted, refused};
use crate::hands::{APP_PASSWORD, by_plain, is_in};
use crate::support::{Door, Lab, Plan, Wire, plain, present};

/// Where guesses come from; clients of the lab come from 127.0.0.1.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));

/// Whoever does not prove who it is is told the same: that there is no such login, that the secret is wrong, revoked, another
/// one's or over, that the client's own time is over; in the same words, and not before a time that none of it falls short of.
#[tokio::test]
async fn pitfall_16_whoever_does_not_prove_who_it_is_is_told_the_same() {
    let lab = Plan::new().tune(|config| config.broker.failures_per_login_max = 100).start().await;
    let (alice, now) = (lab.alice.clone(), Timestamp::now());
    let (mut expired, expired_secret) = client_secret::issue("", None, now).unwrap();
    expired.expires = Some(now);
    let expired_id = expired.id.clone();
    let (other, revoked) = client_secret::issue("", None, now).unwrap();
    lab.alter(&alice, |client| client.secrets.extend([expired, other])).await;
    let (mut wire, answer) = lab.present(Protocol::Imap, &alice.login, revoked.expose_text().unwrap()).await;
    assert_eq!(answer, accepted(Protocol::Imap), "it is good until it is revoked");
    wire.write("z LOGOUT\r\n").await;
    wire.rest().await;
    let before = lab.gmail.logins().len();
    lab.alter(&alice, |client| client.secrets.retain(|secret| secret.expires.is_some() || secret.label == "lab")).await;
    let over = lab.enrol("over", "gmail", APP_PASSWORD).await;
    lab.alter(&over, |client| client.policy.expires = Some(now)).await;
    let bare = lab.enrol("bare", "gmail", APP_PASSWORD).await;
    lab.alter(&bare, |client| client.secrets.clear()).await;

    let revoked = revoked.expose_text().unwrap();
    let expired = expired_secret.expose_text().unwrap();
    let (unknown, wrong) = ("unknown login", "wrong client secret");
    let ended = format!("the client secret {expired_id} has expired; issue another with `locum client issue`");
    let cases = [
        ("nobody", alice.secret.as_str(), unknown),
        (&alice.login, "wrong", wrong),
        (&alice.login, revoked, wrong),
        (&alice.login, &lab.scanner.secret, wrong),
        (&alice.login, &alice.app_password, wrong),
        (&alice.address, &alice.app_password, unknown),
        (&alice.login, expired, &ended),
        (&over.login, "wrong", wrong),
        (&over.login, &over.secret, "the client's time is over"),
        (&bare.login, "wrong", wrong),
    ];
    let lab = &lab;
    let checks = Protocol::ALL.map(async |protocol| {
        for (login, secret, reason) in cases {
            let mut wire = lab.open(protocol).await;
            let began = Instant::now();
            let answer = present(&mut wire, protocol, login, secret).await;
            assert!(began.elapsed() >= Duration::from_millis(250), "{reason}: it was told sooner than others");
            assert_eq!(answer, refused(protocol, Refusal::WrongCredentials), "{reason}");
            let told = lab.last_event(protocol, login)["reason"].as_str().unwrap().to_owned();
            let is_known = reason == "the client's time is over" || told == reason;
            assert!(is_known, "the operator is told: {told}");
            // And what else can be asked before login says no more.
            let noop = wire.ask(if protocol == Protocol::Imap { "b NOOP" } else { "NOOP" }).await;
            assert!(noop.contains("OK"), "{noop}");
        }
    });
    join_all(checks).await;
    assert_eq!(lab.gmail.logins().len(), before);
}

/// Names that may be asked for without a secret lead to the same answer, whoever they are.
#[tokio::test]
async fn pitfall_16b_no_command_before_login_tells_who_there_is() {
    let lab = Lab::start().await;
    for (there, not_there) in [(&*lab.alice.login, "nobody"), (&*lab.alice.address, "nobody@gmail.test")] {
        let mut answers = Vec::new();
        for name in [there, not_there] {
            let mut pop3 = lab.open(Protocol::Pop3).await;
            let mut submission = lab.open(Protocol::Submission).await;
            answers.push([
                pop3.ask(&format!("USER {name}")).await,
                pop3.ask(&format!("APOP {name} 00")).await,
                submission.ask(&format!("VRFY {name}")).await,
                submission.ask(&format!("EXPN {name}")).await,
                submission.ask(&format!("MAIL FROM:<{name}>")).await,
                submission.ask(&format!("RCPT TO:<{name}>")).await,
                submission.ask(&format!("AUTH LOGIN {}", crate::support::base64(name))).await,
            ]);
        }
        assert_eq!(answers[0], answers[1]);
    }
}

/// One guess from there.
async fn guess(lab: &Lab, from: IpAddr, login: &str, secret: &str) -> String {
    let address = lab.address(&Door::Plain.listener(Protocol::Pop3));
    let mut wire = Wire::connect_from(from, address).await;
    wire.line().await;
    present(&mut wire, Protocol::Pop3, login, secret).await
}

/// A stranger's guesses are held back where the stranger is. They lock out neither the client from where it is, nor the
/// account at the provider, which hears of none.
#[tokio::test]
async fn pitfall_17_guesses_lock_nobody_out() {
    let lab = Plan::new().tune(|config| config.broker.failures_per_login_max = 3).start().await;
    let alice = &lab.alice;
    for number in 0..5 {
        let guesses = ["one", "two", "three", &alice.app_password].map(|text| format!("{text}{number}"));
        join_all(guesses.iter().map(|secret| guess(&lab, STRANGER, &alice.login, secret))).await;
    }
    let answer = guess(&lab, STRANGER, &alice.login, "x").await;
    assert_eq!(answer, refused(Protocol::Pop3, Refusal::LimitReached), "the stranger is held back");
    assert_eq!(lab.gmail.logins(), [], "the provider has heard of none of it");
    for protocol in Protocol::ALL {
        let (_wire, answer) = lab.present(protocol, &alice.login, &alice.secret).await;
        assert_eq!(answer, accepted(protocol), "the client is let in as ever");
    }
    // By another spelling of the name it is the same stranger.
    let answer = guess(&lab, STRANGER, &alice.login.to_uppercase(), "x").await;
    assert_eq!(answer, refused(Protocol::Pop3, Refusal::LimitReached));
}

/// A credential that the provider does not take is shown to it twice, however many clients come with their good secrets and by
/// however many connections; the next version at once. So the provider has no reason to lock the account.
#[tokio::test]
async fn pitfall_17b_no_client_makes_a_provider_lock_an_account() {
    let lab = Lab::start().await;
    lab.gmail.sandbox.set_password(&lab.alice.address, Secret::new("poiuytrewqasdfgh"));
    let (record, secret) = client_secret::issue("", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Account(lab.alice.address.clone())];
    let client = Client { login: "second".into(), secrets: vec![record], bindings, policy: Policy::default() };
    lab.directory.put_client(&client, None).await.unwrap();
    let second = secret.expose_text().unwrap();
    let storm = (0..24).map(|number| match number % 2 {
        0 => lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret),
        _ => lab.present(Protocol::Imap, "second", second),
    });
    for (_wire, answer) in join_all(storm).await {
        assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin), "never that its own secret is wrong");
    }
    assert_eq!(lab.gmail.logins().len(), 2);
    lab.rotate(&lab.alice, "poiuytrewqasdfgh").await;
    let (_wire, answer) = lab.present(Protocol::Imap, "second", second).await;
    assert_eq!(answer, accepted(Protocol::Imap));
    assert_eq!(lab.gmail.logins().pop().unwrap().outcome, Outcome::Accepted);
}

/// A client with such a delegation; its secret.
async fn delegate(lab: &Lab, login: &str, pattern: &str, network: &str, hours: i64) -> String {
    let (record, secret) = client_secret::issue("", None, Timestamp::now()).unwrap();
    let expires = Some(Timestamp::now() + SignedDuration::from_hours(hours));
    let networks = vec![network.parse().unwrap()];
    let delegation = Delegation { pattern: pattern.parse().unwrap(), expires, networks, class: None };
    let bindings = vec![Binding::Delegation(delegation)];
    let client = Client { login: login.into(), secrets: vec![record], bindings, policy: Policy::default() };
    lab.directory.put_client(&client, None).await.unwrap();
    secret.expose_text().unwrap().to_owned()
}

/// Who may act as others has been given that by name, from a network and for a time; each use is in the audit with both names;
/// and its secret is guarded as any other is.
#[tokio::test]
async fn pitfall_19_acting_as_others_takes_a_grant_a_network_and_is_audited() {
    let lab = Plan::new().tune(|config| config.broker.failures_per_login_max = 3).start().await;
    let eve = lab.enrol("eve", "gmail", APP_PASSWORD).await;
    lab.gmail.add_mailbox(&eve.address, APP_PASSWORD, Behaviour::Normal);
    let good = delegate(&lab, "backup", "*@mail.test", "127.0.0.0/8", 1).await;
    let far = delegate(&lab, "far", "*@mail.test", "192.0.2.0/24", 1).await;
    let over = delegate(&lab, "over", "*@mail.test", "127.0.0.0/8", -1).await;
    let ask = async |login: &str, secret: &str, mailbox: &str| {
        let mut wire = lab.open(Protocol::Imap).await;
        by_plain(&mut wire, Protocol::Imap, &plain(mailbox, login, secret)).await
    };
    let not_permitted = refused(Protocol::Imap, Refusal::NotPermitted);
    for (login, secret, mailbox) in [
        // No grant at all, not that one, not from here, not any more.
        (lab.alice.login.as_str(), lab.alice.secret.as_str(), eve.address.as_str()),
        ("backup", &good, &lab.alice.address),
        ("backup", &good, "eve@mail.test.evil.test"),
        ("backup", &good, "*@mail.test"),
        ("far", &far, &eve.address),
        ("over", &over, &eve.address),
        // And whoever has a grant for many has to say which.
        ("backup", &good, ""),
    ] {
        assert_eq!(ask(login, secret, mailbox).await, not_permitted, "{login} as {mailbox:?}");
        let event = lab.last_event(Protocol::Imap, login);
        assert_eq!((&event["outcome"], &event["login"]), (&json!("deny"), &json!(login)));
        if !mailbox.is_empty() {
            assert_eq!(event["asked"], json!(mailbox), "{event}");
        }
    }
    assert_eq!(lab.gmail.logins(), []);
    assert!(is_in(&ask("backup", &good, &eve.address).await));
    let audit = lab.audit();
    let event = audit.iter().rfind(|event| event["event"] == "decision").unwrap();
    let told = [&event["outcome"], &event["login"], &event["account"], &event["delegated"], &event["peer"]];
    assert_eq!(told, [&json!("allow"), &json!("backup"), &json!(eve.address), &json!(true), &json!("127.0.0.1")]);

    // Guesses at it count, whatever mailbox is named beside.
    for number in 0..3 {
        let answer = ask("backup", &format!("guess{number}"), &format!("m{number}@mail.test")).await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    }
    assert_eq!(
        ask("backup", "another guess", "another@mail.test").await,
        refused(Protocol::Imap, Refusal::LimitReached)
    );
}

/// Nor is there a pattern for everybody.
#[test]
fn pitfall_19b_no_grant_is_for_all() {
    assert!("*@mail.test".parse::<AddressPattern>().is_ok());
    for pattern in ["*", "*@*", "*@*.*", "@", "*@", "**", "", "%", ".*", "*@mail*", "*@*mail.test"] {
        assert!(pattern.parse::<AddressPattern>().is_err(), "{pattern}");
    }
}

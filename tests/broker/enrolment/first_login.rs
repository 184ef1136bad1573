//! `first-login`: who comes first for an account that an operator made, and nobody after.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use locum::model::{Enrolment, Protocol, Refusal, SecretSource};
use locum::sandbox::Behaviour;

use super::{
    PASSWORD, assert_accepted, assert_unseen, enrolments, first_login, has_client, open, pair, stage, stage_with,
    was_accepted,
};
use crate::answers::refused;
use crate::support::{Actor, Lab, Provider};

/// An account with a credential, and no client of its name.
async fn account(lab: &Lab, provider: &Provider, name: &str) -> Actor {
    let actor = lab.enrol(name, "own", "of-the-operator").await;
    let found = lab.directory.client(name).await.unwrap().unwrap();
    lab.directory.remove_client(name, found.version).await.unwrap();
    provider.add_mailbox(&actor.address, "of-the-operator", Behaviour::Normal);
    actor
}

#[tokio::test]
async fn the_first_password_is_taken_and_no_provider_sees_it() {
    let (lab, provider) = stage(first_login()).await;
    for (protocol, login) in
        [(Protocol::Imap, "one"), (Protocol::Pop3, "two@mail.test"), (Protocol::Submission, "three")]
    {
        account(&lab, &provider, login.trim_end_matches("@mail.test")).await;
        assert_accepted(lab.present(protocol, login, PASSWORD).await);
        let client = lab.directory.client(login).await.unwrap().unwrap().record;
        assert_eq!(client.secrets[0].source, SecretSource::FirstLogin);
        assert_accepted(lab.present(protocol, login, PASSWORD).await);
        let (_wire, answer) = lab.present(protocol, login, "second").await;
        assert_eq!(answer, refused(protocol, Refusal::WrongCredentials));
    }
    assert_eq!(enrolments(&lab), vec![pair("first-login", "enrolled"); 3]);
    assert!(provider.has_seen("of-the-operator"));
    assert!(!provider.has_seen(PASSWORD) && !provider.has_seen("second"));
}

/// The same account has two names in a window with a domain; only one of them is first.
#[tokio::test]
async fn an_account_is_taken_once_under_whichever_name() {
    let (lab, provider) = stage(first_login()).await;
    for (first, second) in [("one", "ONE@mail.test"), ("two@mail.test", "two")] {
        account(&lab, &provider, first.trim_end_matches("@mail.test")).await;
        assert_accepted(lab.present(Protocol::Imap, first, PASSWORD).await);
        let logins = provider.logins().len();
        for password in ["of-a-stranger", PASSWORD] {
            let (_wire, answer) = lab.present(Protocol::Imap, second, password).await;
            assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials), "{second}");
        }
        assert_eq!(provider.logins().len(), logins);
        assert!(!has_client(&lab, second).await);
        assert_accepted(lab.present(Protocol::Imap, first, PASSWORD).await);
    }
    // The name before another domain is another account.
    account(&lab, &provider, "three").await;
    lab.enrol("three@fabrikam.test", "own", "x").await;
    assert_accepted(lab.present(Protocol::Imap, "three", PASSWORD).await);
}

#[tokio::test]
async fn outside_of_the_window_nobody_is_first() {
    let now = Timestamp::now();
    for closed in [
        Enrolment { until: now, ..first_login() },
        Enrolment { from: Some(now + SignedDuration::from_mins(1)), ..first_login() },
        Enrolment { networks: vec!["192.0.2.0/24".parse().unwrap()], ..first_login() },
    ] {
        let (lab, provider) = stage(closed).await;
        account(&lab, &provider, "one").await;
        assert_unseen(&lab, &provider, "one", PASSWORD).await;
        assert!(!has_client(&lab, "one").await);
    }
}

#[tokio::test]
async fn without_an_account_here_that_has_a_credential_there_is_nothing_to_be_first_for() {
    let (lab, provider) = stage_with(|config| {
        open(config, &first_login());
        for listener in &mut config.listeners {
            listener.entrance.upstreams.retain(|name| name != "gmail");
        }
    })
    .await;
    assert_unseen(&lab, &provider, "nobody", PASSWORD).await;
    // At an upstream that the listener does not serve.
    assert_unseen(&lab, &provider, &lab.alice.address, PASSWORD).await;
    let bare = account(&lab, &provider, "bare").await;
    lab.alter_account(&bare, |account| account.credentials.clear()).await;
    assert_unseen(&lab, &provider, "bare", PASSWORD).await;
    account(&lab, &provider, "one").await;
    for unfit in ["", "\t", "a\u{1}b", "a\nb"] {
        assert_unseen(&lab, &provider, "one", unfit).await;
    }
    assert_unseen(&lab, &provider, "one", &lab.alice.secret).await;
    assert!(enrolments(&lab).is_empty());
    assert!(!has_client(&lab, "one").await && !has_client(&lab, "bare").await);
}

#[tokio::test]
async fn of_a_crowd_that_is_first_at_once_one_wins_and_the_rest_are_wrong() {
    let (lab, provider) = stage_with(|config| {
        open(config, &first_login());
        config.broker.failures_per_login_max = 100;
    })
    .await;
    account(&lab, &provider, "one").await;
    let other = lab.node(|_| {}).await;
    let passwords: Vec<String> = (0..12).map(|number| format!("password-{number}")).collect();
    let crowd = passwords.iter().enumerate().map(|(number, password)| {
        let node = if number % 2 == 0 { &*lab } else { &other };
        node.present(Protocol::Imap, "one", password)
    });
    let answers: Vec<String> = join_all(crowd).await.into_iter().map(|(_, answer)| answer).collect();
    let winners: Vec<usize> = (0..12).filter(|number| was_accepted(&answers[*number])).collect();
    let [winner] = winners[..] else { panic!("{answers:?}") };
    for answer in answers.iter().filter(|answer| !was_accepted(answer)) {
        assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    }
    let client = lab.directory.client("one").await.unwrap().unwrap().record;
    assert_eq!(client.secrets.len(), 1);
    assert_accepted(other.present(Protocol::Imap, "one", &passwords[winner]).await);
}

/// Who is first is one thing, and whether the provider takes the account's own credential is another.
#[tokio::test]
async fn a_refusal_of_the_account_s_credential_undoes_nothing() {
    let (lab, provider) = stage(first_login()).await;
    let one = account(&lab, &provider, "one").await;
    provider.sandbox.set_behaviour(&one.address, Behaviour::ServerUnavailable);
    let (_wire, answer) = lab.present(Protocol::Imap, "one", PASSWORD).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::Unavailable), "it is not told that it is wrong");
    let (_wire, answer) = lab.present(Protocol::Imap, "one", "second").await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    provider.sandbox.set_behaviour(&one.address, Behaviour::Normal);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let (_wire, answer) = lab.present(Protocol::Imap, "one", PASSWORD).await;
        if was_accepted(&answer) {
            break;
        }
        assert!(std::time::Instant::now() < until, "{answer}");
    }
}

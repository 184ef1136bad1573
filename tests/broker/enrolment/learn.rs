//! `learn`: the provider says whether the password is right, and is asked about no other.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use locum::broker::client_secret::{self, Alphabet, Form};
use locum::model::{
    Client, CredentialKind, Enrolment, EnrolmentMode, Policy, Protocol, Refusal, Secret, SecretSource, Verifier,
};
use locum::sandbox::{Behaviour, Face, Outcome, Start};

use super::{
    PASSWORD, add_mailboxes, assert_accepted, assert_unseen, enrolments, has_client, learning, open, pair,
    present_plain, stage, stage_with, window,
};
use crate::answers::refused;
use crate::support::{Door, Plan, Provider, credential, present};

#[tokio::test]
async fn what_the_provider_takes_is_the_client_s_from_then_on() {
    let (lab, provider) = stage(learning()).await;
    for (protocol, login) in
        [(Protocol::Imap, "imap-device"), (Protocol::Pop3, "pop3@mail.test"), (Protocol::Submission, "Scan@Mail.test")]
    {
        let mailbox = if login.contains('@') { login.to_owned() } else { format!("{login}@mail.test") };
        provider.add_mailbox(&mailbox, PASSWORD, Behaviour::Normal);
        let before = provider.logins().len();
        let mut wire = assert_accepted(lab.present(protocol, login, PASSWORD).await);
        assert_eq!(provider.logins().len(), before + 1, "the login that was asked about is the one that goes on");
        let noop = match protocol {
            Protocol::Imap => "b NOOP",
            Protocol::Pop3 | Protocol::Submission => "NOOP",
        };
        let alive = wire.ask(noop).await;
        assert!(["b OK", "+OK", "250"].iter().any(|start| alive.starts_with(start)), "{alive}");

        let client = lab.directory.client(login).await.unwrap().unwrap().record;
        let [secret] = &client.secrets[..] else { panic!("one secret") };
        assert_eq!((client.login.as_str(), secret.source), (login, SecretSource::Learnt));
        assert!(matches!(&secret.verifier, Verifier::Chosen { hash } if hash.starts_with("$argon2id$")));
        assert_eq!(client.bindings[0].account(), Some(mailbox.as_str()));
        let account = lab.directory.account(&mailbox).await.unwrap().unwrap().record;
        let current = account.credentials[&CredentialKind::AppPassword].current.clone().unwrap();
        assert_eq!((account.upstream.as_str(), current.label.as_str()), ("own", "learnt from its client"));
        assert!(current.verified.is_some());
        let event = lab.audit().into_iter().rfind(|event| event["event"] == "enrolment").unwrap();
        assert_eq!(event["client_secret"], secret.id);
        assert_eq!((&event["outcome"], &event["new_account"]), (&"enrolled".into(), &true.into()));

        assert_accepted(lab.present(protocol, login, PASSWORD).await);
        let decision = lab.audit().into_iter().rfind(|event| event["event"] == "decision").unwrap();
        assert_eq!((&decision["outcome"], &decision["client_secret"]), (&"allow".into(), &secret.id.as_str().into()));

        // The account goes another way from now on, and the client does not notice.
        provider.sandbox.set_password(&mailbox, Secret::new("of-the-operator"));
        let mut found = lab.directory.account(&mailbox).await.unwrap().unwrap();
        found.record.credentials.get_mut(&CredentialKind::AppPassword).unwrap().current =
            Some(credential("of-the-operator"));
        lab.directory.put_account(&found.record, Some(found.version)).await.unwrap();
        assert_accepted(lab.present(protocol, login, PASSWORD).await);
    }
    let tried = lab.audit().into_iter().filter(|event| event["outcome"] == "try" && event["way"] == "learn").count();
    assert_eq!((tried, enrolments(&lab)), (3, vec![pair("learn", "enrolled"); 3]));
    let audit = std::fs::read_to_string(lab.path("audit.jsonl")).unwrap();
    assert!(!audit.contains(PASSWORD));
}

#[tokio::test]
async fn what_the_provider_refuses_is_wrong_and_is_asked_about_seldom() {
    let (lab, provider) = stage(learning()).await;
    add_mailboxes(&provider, &["scan"]);
    let wrong = refused(Protocol::Imap, Refusal::WrongCredentials);
    for guess in ["one", "one", "two", "three", "two"] {
        let (_wire, answer) = lab.present(Protocol::Imap, "scan", guess).await;
        assert_eq!(answer, wrong, "{guess}");
    }
    assert_eq!(provider.logins().len(), 3, "each once");
    let (_wire, answer) = lab.present(Protocol::Imap, "SCAN@mail.test", "four").await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::LimitReached), "nobody says that it is wrong");
    assert!(!provider.has_seen("four"));
    assert!(lab.directory.client("scan").await.unwrap().is_none());
    assert!(lab.directory.account("scan@mail.test").await.unwrap().is_none());
    assert_eq!(enrolments(&lab).iter().filter(|(_, outcome)| outcome == "refused").count(), 5);
}

#[tokio::test]
async fn refusals_are_counted_as_any_wrong_login() {
    let (lab, provider) = stage_with(|config| {
        open(config, &learning());
        config.broker.failures_per_login_max = 2;
    })
    .await;
    for (guess, refusal) in
        [("one", Refusal::WrongCredentials), ("two", Refusal::WrongCredentials), (PASSWORD, Refusal::LimitReached)]
    {
        let (_wire, answer) = lab.present(Protocol::Pop3, "scan", guess).await;
        assert_eq!(answer, refused(Protocol::Pop3, refusal), "{guess}");
    }
    assert_eq!(provider.logins().len(), 2);
}

#[tokio::test]
async fn outside_of_the_window_and_the_networks_nothing_is_asked() {
    let now = Timestamp::now();
    let hour = SignedDuration::from_hours(1);
    for closed in [
        Enrolment { until: now, ..learning() },
        Enrolment { from: Some(now + hour), until: now + hour + hour, ..learning() },
        Enrolment { networks: vec!["10.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()], ..learning() },
    ] {
        let (lab, provider) = stage(closed).await;
        add_mailboxes(&provider, &["scan"]);
        assert_unseen(&lab, &provider, "scan@mail.test", PASSWORD).await;
        assert!(lab.directory.client("scan@mail.test").await.unwrap().is_none());
        assert!(enrolments(&lab).is_empty());
    }
}

#[tokio::test]
async fn another_listener_is_not_open() {
    let (lab, provider) = stage_with(|config| {
        let listener = config.listeners.iter_mut().find(|listener| listener.name == "imap").unwrap();
        listener.entrance.enrolment = Some(learning());
    })
    .await;
    add_mailboxes(&provider, &["scan"]);
    assert_unseen(&lab, &provider, "scan", PASSWORD).await;
    let mut wire = lab.connect(Protocol::Imap, Door::StartTls).await;
    let answer = present(&mut wire, Protocol::Imap, "scan", PASSWORD).await;
    assert!(answer.starts_with("a OK"), "{answer}");
}

#[tokio::test]
async fn what_cannot_be_a_password_or_is_somebody_else_s_is_shown_to_nobody() {
    let (lab, provider) = stage_with(|config| {
        open(config, &learning());
        config.broker.failures_per_login_max = 100;
    })
    .await;
    add_mailboxes(&provider, &["scan", "boss"]);
    let long = "x".repeat(300);
    // As the keyboard of a telephone begins it.
    let capital = lab.alice.secret.replacen("lo_", "Lo_", 1);
    for unfit in
        ["", " ", "a\r\nb", "a\u{7}b", "tab\there", "c\u{85}1", &long, &lab.alice.secret, &lab.scanner.secret, &capital]
    {
        assert_unseen(&lab, &provider, "scan@mail.test", unfit).await;
    }
    for name in ["scan@mail.test/boss@mail.test", "MAIL\\scan", "scan*boss", "a b@mail.test", "scan@mail.test@x", "@"] {
        assert_unseen(&lab, &provider, name, PASSWORD).await;
    }
    // A secret that was typed where the name goes.
    let misplaced = lab.alice.secret.clone();
    assert_unseen(&lab, &provider, &misplaced, PASSWORD).await;
    assert!(!std::fs::read_to_string(lab.path("audit.jsonl")).unwrap().contains(&misplaced));
    // As somebody else.
    let answer = present_plain(&lab, Protocol::Imap, "boss@mail.test", "scan@mail.test", PASSWORD).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    assert!(provider.logins().is_empty());
    assert!(enrolments(&lab).is_empty());
    // The password of another mailbox is the provider's to judge.
    provider.add_mailbox("other@mail.test", "of-the-other", Behaviour::Normal);
    let answer = present_plain(&lab, Protocol::Imap, "", "scan@mail.test", "of-the-other").await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    assert!(!has_client(&lab, "scan@mail.test").await && !has_client(&lab, "other@mail.test").await);
}

/// A device was given the secret of a picky form, and the login with the domain behind it, or without.
#[tokio::test]
async fn a_short_secret_of_the_same_name_with_or_without_its_domain_is_shown_to_nobody() {
    let (lab, provider) = stage(learning()).await;
    let form = Form { alphabet: Alphabet::Digits, length: Some(20) };
    for (login, typed) in [("short", "short@mail.test"), ("long@mail.test", "LONG")] {
        let known = lab.enrol(login, "own", "of-the-operator").await;
        let (record, secret) = client_secret::issue_as(form, "", None, &[], Timestamp::now()).await.unwrap();
        lab.alter(&known, |client| client.secrets.push(record)).await;
        assert_unseen(&lab, &provider, typed, secret.expose_text().unwrap()).await;
        // Even without its last digit.
        assert_unseen(&lab, &provider, typed, &secret.expose_text().unwrap()[..19]).await;
        assert!(enrolments(&lab).is_empty());
    }
    // What is not one is the provider's to judge, and other devices of the mailbox may come by its other name.
    provider.add_mailbox("short@mail.test", PASSWORD, Behaviour::Normal);
    assert_accepted(lab.present(Protocol::Imap, "short@mail.test", PASSWORD).await);
}

#[tokio::test]
async fn a_known_login_is_proven_by_its_secrets_alone() {
    let (lab, provider) = stage(learning()).await;
    let known = lab.enrol("known", "own", PASSWORD).await;
    provider.add_mailbox(&known.address, PASSWORD, Behaviour::Normal);
    // Its mailbox's own password is none of its secrets.
    assert_unseen(&lab, &provider, "known", PASSWORD).await;
    // Nor is that of a client whose last secret has expired.
    lab.alter(&known, |client| client.secrets[0].expires = Some(Timestamp::now())).await;
    assert_unseen(&lab, &provider, "known", PASSWORD).await;
    assert!(enrolments(&lab).is_empty());
}

#[tokio::test]
async fn a_client_without_secrets_learns_for_its_own_account_and_within_its_policy() {
    let (lab, provider) = stage(learning()).await;
    let bound = lab.enrol("bound", "own", "of-the-operator").await;
    provider.add_mailbox(&bound.address, PASSWORD, Behaviour::Normal);
    let other = lab.enrol("elsewhere", "gmail", "x").await;
    provider.add_mailbox(&other.address, PASSWORD, Behaviour::Normal);
    for actor in [&bound, &other] {
        lab.alter(actor, |client| client.secrets.clear()).await;
    }
    lab.alter(&bound, |client| client.policy.protocols = vec![Protocol::Pop3]).await;
    assert_unseen(&lab, &provider, "bound", PASSWORD).await;
    lab.alter(&bound, |client| client.policy = Policy { expires: Some(Timestamp::now()), ..Policy::default() }).await;
    assert_unseen(&lab, &provider, "bound", PASSWORD).await;
    // Its account is at another provider than is asked.
    assert_unseen(&lab, &provider, "elsewhere", PASSWORD).await;
    // Its account is another mailbox there.
    lab.alter(&bound, |client| client.policy = Policy::default()).await;
    lab.alter_account(&bound, |account| account.identity.all = Some("boss@mail.test".into())).await;
    assert_unseen(&lab, &provider, "bound", PASSWORD).await;
    // It has two accounts.
    lab.alter_account(&bound, |account| account.identity.all = None).await;
    let (own, more) = (bound.address.clone(), other.address.clone());
    lab.alter(&bound, |client| client.bindings.push(locum::model::Binding::Account(more))).await;
    assert_unseen(&lab, &provider, "bound", PASSWORD).await;

    lab.alter(&bound, |client| client.bindings = vec![locum::model::Binding::Account(own)]).await;
    assert_accepted(lab.present(Protocol::Imap, "bound", PASSWORD).await);
    assert!(has_client(&lab, "bound").await);
    let account = lab.directory.account(&bound.address).await.unwrap().unwrap().record;
    let stored = account.credentials[&CredentialKind::AppPassword].current.clone().unwrap();
    assert_eq!(stored.label, "lab", "the account keeps the credential that it has");
    let event = lab.audit().into_iter().rfind(|event| event["event"] == "enrolment").unwrap();
    assert_eq!(event["new_account"], false);
}

#[tokio::test]
async fn while_the_provider_is_away_nothing_is_written_down() {
    let (lab, provider) = stage(learning()).await;
    provider.add_mailbox("scan@mail.test", PASSWORD, Behaviour::ServerUnavailable);
    let later = refused(Protocol::Imap, Refusal::Unavailable);
    for _ in 0..5 {
        let (_wire, answer) = lab.present(Protocol::Imap, "scan", PASSWORD).await;
        assert_eq!(answer, later);
    }
    provider.sandbox.set_behaviour("scan@mail.test", Behaviour::Normal);
    provider.add_mailbox("late@mail.test", PASSWORD, Behaviour::Normal);
    assert_accepted(lab.present(Protocol::Imap, "late", PASSWORD).await);
    assert!(!has_client(&lab, "scan").await, "but by a login");
    provider.vanish().await;
    let (_wire, answer) = lab.present(Protocol::Imap, "scan", PASSWORD).await;
    assert_eq!(answer, later);
    assert!(!has_client(&lab, "scan").await);
    assert!(lab.directory.account("scan@mail.test").await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_not_about_the_password_is_not_told_as_its_fault() {
    let (lab, provider) = stage(learning()).await;
    provider.add_mailbox("scan@mail.test", PASSWORD, Behaviour::BasicAuthDisabled);
    for _ in 0..4 {
        let (_wire, answer) = lab.present(Protocol::Imap, "scan", PASSWORD).await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    }
    assert_eq!(provider.logins().len(), 1);
    assert_eq!(enrolments(&lab), vec![pair("learn", "failed"); 4]);
}

#[tokio::test]
async fn a_provider_that_takes_no_password_is_shown_none() {
    let lab = Plan::new()
        .tune(|config| open(config, &window(EnrolmentMode::Learn { upstream: "exchange-online".into() })))
        .start()
        .await;
    let (_wire, answer) = lab.present(Protocol::Imap, "scan", PASSWORD).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    assert!(lab.exchange.logins().is_empty() && !lab.exchange.has_seen(PASSWORD));
    let event = lab.audit().pop().unwrap();
    assert_eq!(event["outcome"], "failed");
    assert!(event["reason"].as_str().unwrap().contains("takes no password for imap"), "{event}");
}

#[tokio::test]
async fn of_many_that_come_at_once_one_is_asked_about() {
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    add_mailboxes(&provider, &["scan"]);
    let lab = Plan::new().provider(&provider).tune(|config| open(config, &learning())).start().await;
    let all = join_all((0..8).map(|_| lab.present(Protocol::Submission, "scan", PASSWORD))).await;
    for came in all {
        assert_accepted(came);
    }
    assert_eq!(enrolments(&lab), [pair("learn", "enrolled")]);
    // Many wrong ones are one wrong one.
    let before = provider.logins().len();
    let all = join_all((0..8).map(|_| lab.present(Protocol::Submission, "wrong", PASSWORD))).await;
    for (_wire, answer) in all {
        assert_eq!(answer, refused(Protocol::Submission, Refusal::WrongCredentials));
    }
    let refusals: Vec<_> = provider.logins()[before..].iter().map(|login| login.outcome).collect();
    assert_eq!(refusals, [Outcome::Refused]);
}

#[tokio::test]
async fn two_nodes_that_learn_at_once_write_one_client() {
    let (lab, provider) = stage(learning()).await;
    add_mailboxes(&provider, &["scan"]);
    provider.sandbox.add_password("scan@mail.test", Secret::new("another"));
    let other = lab.node(|_| {}).await;
    let (one, two) =
        tokio::join!(lab.present(Protocol::Imap, "scan", PASSWORD), other.present(Protocol::Imap, "scan", "another"),);
    let client: Client = lab.directory.client("scan").await.unwrap().unwrap().record;
    assert_eq!(client.secrets.len(), 1);
    let accepted = [one, two].iter().filter(|(_, answer)| super::was_accepted(answer)).count();
    assert_eq!(accepted, 1, "the other is judged by the record");
}

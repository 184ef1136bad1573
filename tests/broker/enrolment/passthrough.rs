//! Unknown logins that are shown to a provider as they came, for as long as clients are being moved.

use std::net::IpAddr;

use locum::config::Config;
use locum::model::{Protocol, Refusal, UnknownLogins};
use locum::sandbox::Behaviour;

use super::{
    PASSWORD, add_mailboxes, assert_accepted, assert_unseen, enrolments, has_client, learning, open, pair,
    present_plain, stage_with,
};
use crate::answers::refused;

fn pass(config: &mut Config, from: &str) {
    for listener in &mut config.listeners {
        let networks = vec![from.parse::<IpAddr>().map(Into::into).unwrap_or_else(|_| from.parse().unwrap())];
        listener.entrance.unknown_logins = UnknownLogins::Passthrough { upstream: "own".into(), networks };
    }
}

#[tokio::test]
async fn an_unknown_login_goes_to_the_provider_as_it_came_and_that_is_told() {
    let (lab, provider) = stage_with(|config| pass(config, "127.0.0.0/8")).await;
    provider.add_mailbox("scan", PASSWORD, Behaviour::Normal);
    for protocol in Protocol::ALL {
        assert_accepted(lab.present(protocol, "scan", PASSWORD).await);
        let audit = lab.audit();
        let decision = audit.iter().rfind(|event| event["event"] == "decision").unwrap();
        assert_eq!((&decision["way"], &decision["outcome"]), (&"passthrough".into(), &"allow".into()));
        assert_eq!(audit.iter().rfind(|event| event["event"] == "upstream").unwrap()["outcome"], "accepted");
    }
    assert_eq!(provider.logins().len(), 3);
    assert!(lab.directory.client("scan").await.unwrap().is_none());
    assert!(lab.directory.account("scan").await.unwrap().is_none());
    let (_wire, answer) = lab.present(Protocol::Imap, "scan", "wrong").await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    for _ in 0..3 {
        let (_wire, answer) = lab.present(Protocol::Imap, "scan", "wrong").await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    }
    assert_eq!(provider.logins().len(), 4, "it is asked once");
    assert_accepted(lab.present(Protocol::Imap, "scan", PASSWORD).await);
}

#[tokio::test]
async fn a_known_login_is_never_passed_through() {
    let (lab, provider) = stage_with(|config| pass(config, "127.0.0.0/8")).await;
    let known = lab.enrol("known", "own", "of-the-operator").await;
    for name in ["known", "KNOWN "] {
        provider.add_mailbox(name, PASSWORD, Behaviour::Normal);
        assert_unseen(&lab, &provider, name, PASSWORD).await;
    }
    lab.alter(&known, |client| client.secrets.clear()).await;
    assert_unseen(&lab, &provider, "known", PASSWORD).await;
    for unfit in ["", "a\r\nb", &lab.alice.secret] {
        assert_unseen(&lab, &provider, "unknown", unfit).await;
    }
    let answer = present_plain(&lab, Protocol::Imap, "boss", "unknown", PASSWORD).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials));
    assert!(provider.logins().is_empty());
}

/// Whoever meant a client of ours by a form of the login has come to the wrong listener, or a moment too soon.
#[tokio::test]
async fn what_is_meant_for_a_client_that_a_form_names_is_never_passed_through() {
    let (lab, provider) = stage_with(|config| pass(config, "127.0.0.0/8")).await;
    lab.enrol("admin@mail.test", "own", "of-the-operator").await;
    for name in [
        "scan@mail.test*admin@mail.test",
        "admin@mail.test\\scan",
        "admin@mail.test/scan@mail.test",
        "mail.test\\admin",
        "mail.test\\admin\\scan",
    ] {
        provider.add_mailbox(name, PASSWORD, Behaviour::Normal);
        assert_unseen(&lab, &provider, name, PASSWORD).await;
    }
    let long = format!("{}@mail.test", "x".repeat(400));
    provider.add_mailbox(&long, PASSWORD, Behaviour::Normal);
    assert_unseen(&lab, &provider, &long, PASSWORD).await;
    // Where no client is meant, it is the provider's affair what it means.
    provider.add_mailbox("scan*master", PASSWORD, Behaviour::Normal);
    assert_accepted(lab.present(Protocol::Imap, "scan*master", PASSWORD).await);
}

#[tokio::test]
async fn from_another_network_nothing_is_passed_through() {
    let (lab, provider) = stage_with(|config| pass(config, "127.0.0.2")).await;
    add_mailboxes(&provider, &["scan"]);
    assert_unseen(&lab, &provider, "scan@mail.test", PASSWORD).await;
}

#[tokio::test]
async fn a_window_of_enrolment_comes_before_it() {
    let (lab, provider) = stage_with(|config| {
        pass(config, "127.0.0.0/8");
        open(config, &learning());
    })
    .await;
    add_mailboxes(&provider, &["scan"]);
    assert_accepted(lab.present(Protocol::Imap, "scan@mail.test", PASSWORD).await);
    assert_eq!(enrolments(&lab), [pair("learn", "enrolled")]);
    assert!(has_client(&lab, "scan@mail.test").await);
}

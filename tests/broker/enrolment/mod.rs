//! Clients that make themselves known: what windows of enrolment let in, and all that they do not. What reaches a provider,
//! and what is written down, is told by the provider and by the store.

mod first_login;
mod learn;
mod passthrough;

use jiff::{SignedDuration, Timestamp};
use locum::config::Config;
use locum::model::{Enrolment, EnrolmentMode, Protocol, Refusal};
use locum::sandbox::{Behaviour, Face, Start};
use serde_json::Value;

use crate::answers::refused;
use crate::support::{Lab, Plan, Provider, Wire, plain};

/// What a device was set up with long ago.
const PASSWORD: &str = "Winter-2019!";

/// A window that is open to everybody here.
fn window(mode: EnrolmentMode) -> Enrolment {
    Enrolment {
        mode,
        domain: Some("mail.test".into()),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        from: None,
        until: Timestamp::now() + SignedDuration::from_hours(1),
    }
}

fn learning() -> Enrolment {
    window(EnrolmentMode::Learn { upstream: "own".into() })
}

fn first_login() -> Enrolment {
    window(EnrolmentMode::FirstLogin)
}

/// The same for every listener.
fn open(config: &mut Config, enrolment: &Enrolment) {
    for listener in &mut config.listeners {
        listener.entrance.enrolment = Some(enrolment.clone());
    }
}

/// A provider that takes passwords, with that window before it.
async fn stage(enrolment: Enrolment) -> (Lab, Provider) {
    stage_with(move |config| open(config, &enrolment)).await
}

async fn stage_with(tune: impl FnOnce(&mut Config) + 'static) -> (Lab, Provider) {
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    let lab = Plan::new().provider(&provider).tune(tune).start().await;
    (lab, provider)
}

fn was_accepted(answer: &str) -> bool {
    ["a OK ", "+OK ", "235 "].iter().any(|start| answer.starts_with(start))
}

#[track_caller]
fn assert_accepted((wire, answer): (Wire, String)) -> Wire {
    assert!(was_accepted(&answer), "{answer}");
    wire
}

/// One login by SASL PLAIN, which can hold any octets, and what it is answered.
async fn present_plain(lab: &Lab, protocol: Protocol, authzid: &str, login: &str, secret: &str) -> String {
    let mut wire = lab.open(protocol).await;
    let response = plain(authzid, login, secret);
    match protocol {
        Protocol::Imap => wire.ask(&format!("a AUTHENTICATE PLAIN {response}")).await,
        Protocol::Pop3 | Protocol::Submission => wire.ask(&format!("AUTH PLAIN {response}")).await,
    }
}

/// That login is told that it is wrong, no provider hears of it, and nothing is written down.
async fn assert_unseen(lab: &Lab, provider: &Provider, login: &str, secret: &str) {
    let answer = match secret {
        // RFC 4616 section 2 has no empty password.
        "" => lab.open(Protocol::Imap).await.ask(&format!("a LOGIN \"{}\" \"\"", login.replace('\\', "\\\\"))).await,
        _ => present_plain(lab, Protocol::Imap, "", login, secret).await,
    };
    assert_eq!(answer, refused(Protocol::Imap, Refusal::WrongCredentials), "{login:?} {secret:?}");
    assert!(provider.logins().is_empty(), "{login:?} {secret:?}");
    assert!(secret.is_empty() || !provider.has_seen(secret));
}

async fn has_client(lab: &Lab, login: &str) -> bool {
    lab.directory.client(login).await.unwrap().is_some_and(|found| !found.record.secrets.is_empty())
}

/// The enrolments in the audit: mode, outcome.
fn enrolments(lab: &Lab) -> Vec<(String, String)> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let all = lab.audit().into_iter().filter(|event| event["event"] == "enrolment");
    all.map(|event| (text(&event, "mode"), text(&event, "outcome"))).collect()
}

fn pair(mode: &str, outcome: &str) -> (String, String) {
    (mode.to_owned(), outcome.to_owned())
}

/// Mailboxes with that password, and none of them known to Locum.
fn add_mailboxes(provider: &Provider, names: &[&str]) {
    for name in names {
        provider.add_mailbox(&format!("{name}@mail.test"), PASSWORD, Behaviour::Normal);
    }
}

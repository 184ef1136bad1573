//! Windows of enrolment on nodes whose store is a Vault: with the rights that are shipped for it, without them, and where the
//! server is away.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use locum::model::{Enrolment, EnrolmentMode, Protocol};
use locum::sandbox::{Behaviour, Face, Start};

use crate::house::House;
use crate::openbao::{Dev, eventually};
use crate::support::{Lab, Provider};
use crate::traffic::Verdict;

const PASSWORD: &str = "Winter-2019!";

fn policy(names: &[&str]) -> String {
    let file = |name: &&str| format!("{}/config/deploy/vault/{name}.hcl", env!("CARGO_MANIFEST_DIR"));
    names.iter().map(|name| fs::read_to_string(file(name)).unwrap()).collect()
}

async fn stage(mode: EnrolmentMode) -> (Dev, House, Lab, Provider) {
    let dev = Dev::start().await;
    let house = House::found(&dev, &[dev.address().to_owned()], None, "1h").await;
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    let plan = house.plan("").await.provider(&provider).tune(move |config| {
        for listener in &mut config.listeners {
            listener.entrance.enrolment = Some(Enrolment {
                mode: mode.clone(),
                domain: Some("mail.test".into()),
                networks: vec!["127.0.0.0/8".parse().unwrap()],
                from: None,
                until: Timestamp::now() + SignedDuration::from_hours(1),
            });
        }
    });
    (dev, house, plan.start().await, provider)
}

async fn verdict(lab: &Lab, login: &str, password: &str) -> Verdict {
    let (_wire, answer) = lab.present(Protocol::Imap, login, password).await;
    Verdict::of(Protocol::Imap, &answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_write_it_down_a_proven_client_is_let_in_each_time_and_that_is_told() {
    let (dev, _house, lab, provider) = stage(EnrolmentMode::Learn { upstream: "own".into() }).await;
    provider.add_mailbox("scan@mail.test", PASSWORD, Behaviour::Normal);
    for _ in 0..2 {
        assert_eq!(verdict(&lab, "scan", PASSWORD).await, Verdict::LetIn);
        let event = lab.audit().into_iter().rfind(|event| event["event"] == "enrolment").unwrap();
        assert_eq!(event["outcome"], "let-in");
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.contains("403") && reason.contains("config/deploy/vault/locum-enrolment.hcl"), "{reason}");
    }
    assert_eq!(verdict(&lab, "scan", "wrong").await, Verdict::Wrong);
    assert!(lab.directory.client("scan").await.unwrap().is_none());
    assert!(lab.directory.account("scan@mail.test").await.unwrap().is_none());

    // What the record of a known one says holds all the same, and it ends with that.
    let held = lab.enrol("held", "own", "of-the-operator").await;
    provider.add_mailbox(&held.address, PASSWORD, Behaviour::Normal);
    lab.alter(&held, |client| {
        client.secrets.clear();
        client.policy.senders = vec![held.address.parse().unwrap()];
    })
    .await;
    let mut wire = eventually("its record is known", async || {
        let (wire, answer) = lab.present(Protocol::Submission, "held", PASSWORD).await;
        answer.starts_with("235").then_some(wire)
    })
    .await;
    let answer = wire.ask("MAIL FROM:<boss@mail.test>").await;
    assert!(answer.starts_with("550 5.7.1"), "{answer}");
    let found = lab.directory.client("held").await.unwrap().unwrap();
    lab.directory.remove_client("held", found.version).await.unwrap();
    wire.rest().await;

    dev.write_policy("locum-node", &policy(&["locum-node", "locum-enrolment"])).await;
    eventually("the client is made", async || {
        assert_eq!(verdict(&lab, "scan", PASSWORD).await, Verdict::LetIn);
        lab.directory.client("scan").await.unwrap().map(|_| ())
    })
    .await;
    let event = lab.audit().into_iter().rfind(|event| event["event"] == "enrolment").unwrap();
    assert_eq!(event["outcome"], "enrolled");
    // The window and the rights are gone, and the client is there.
    dev.write_policy("locum-node", &policy(&["locum-node"])).await;
    let logins = provider.logins().len();
    assert_eq!(verdict(&lab, "scan", PASSWORD).await, Verdict::LetIn);
    assert_eq!(provider.logins().len(), logins + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_write_it_down_nobody_is_first() {
    let (dev, _house, lab, provider) = stage(EnrolmentMode::FirstLogin).await;
    let one = lab.enrol("one", "own", "of-the-operator").await;
    lab.alter(&one, |client| client.secrets.clear()).await;
    provider.add_mailbox(&one.address, "of-the-operator", Behaviour::Normal);
    for password in [PASSWORD, "another"] {
        assert_ne!(verdict(&lab, "one", password).await, Verdict::LetIn);
    }
    assert!(provider.logins().is_empty());
    let event = lab.audit().into_iter().rfind(|event| event["event"] == "enrolment").unwrap();
    assert_eq!(event["outcome"], "failed");

    dev.write_policy("locum-node", &policy(&["locum-node", "locum-enrolment"])).await;
    eventually("it is taken", async || (verdict(&lab, "one", PASSWORD).await == Verdict::LetIn).then_some(())).await;
    assert_eq!(verdict(&lab, "one", "another").await, Verdict::Wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_no_provider_is_asked() {
    let (dev, _house, lab, provider) = stage(EnrolmentMode::Learn { upstream: "own".into() }).await;
    provider.add_mailbox("scan@mail.test", PASSWORD, Behaviour::Normal);
    drop(dev);
    assert_eq!(verdict(&lab, "scan", PASSWORD).await, Verdict::Later);
    assert!(provider.logins().is_empty() && !provider.has_seen(PASSWORD));
}

//! What a node does by itself about the OAuth2 credential of a domain: it is found dead before a client finds it, whether
//! or not an account here is of the domain, and who uses the one before is known.

use std::time::Duration;

use jiff::Timestamp;
use locum::config::Config;
use locum::model::{Protocol, Slots, Tenant, UsagePlace};
use locum::rotation::Subject;
use locum::rotation::machine::{self, Actor as Step, Promotion, Staging};
use serde_json::Value;

use crate::keeper::{alerts, events, until, verifying};
use crate::overlap_by_token::{SECRET, places, stage_of, stored};
use crate::support::{Lab, Plan};
use crate::usage::{often, operator, used_when};

/// A node whose keeper looks at all again and again, and does nothing else.
fn plan() -> Plan {
    Plan::new().tune(verifying)
}

async fn put(lab: &Lab, domain: &str, oauth2: Slots) {
    let tenant = Tenant { domain: domain.into(), upstream: "own".into(), oauth2 };
    lab.directory.put_tenant(&tenant, None).await.unwrap();
}

/// What was told of a domain, once something was.
async fn told(lab: &Lab, domain: &str) -> Vec<Value> {
    let of = || events(lab, "alert").into_iter().filter(|it| it["subject"] == format!("@{domain}")).collect::<Vec<_>>();
    until("it is told", async || !of().is_empty()).await;
    of()
}

#[tokio::test]
async fn a_dead_secret_of_a_domain_without_accounts_is_found_before_any_client() {
    let (lab, provider, _) = stage_of(plan()).await;
    put(&lab, "dead.test", Slots::of(stored("dead", "wrong"))).await;
    put(&lab, "good.test", Slots::of(stored("good", SECRET))).await;
    let told = told(&lab, "dead.test").await;
    assert_eq!((&told[0]["kind"], &told[0]["credential"]), (&"refused".into(), &"dead".into()), "{told:?}");
    let said = told[0].to_string();
    assert!(said.contains("AADSTS7000215") && said.contains("locum rotate run @dead.test"), "{said}");
    assert!(!said.contains("wrong\""), "{said}");

    let seen = lab.exchange.logins().len();
    until("more rounds", async || lab.exchange.logins().len() >= seen + 2).await;
    assert_eq!((told.len(), alerts(&lab, "refused")), (1, 1));
    let asked = provider.sandbox.token_requests().len();
    assert!(asked <= 3, "the authority is asked once for each of them, and for bob: {asked}");
}

#[tokio::test]
async fn where_the_one_before_gets_tokens_it_is_told_that_clients_are_let_in() {
    let (lab, _provider, bob) = stage_of(plan()).await;
    put(&lab, "mail.test", places("wrong", SECRET)).await;
    let told = told(&lab, "mail.test").await;
    assert_eq!((&told[0]["kind"], &told[0]["credential"]), (&"fell-back".into(), &"now".into()), "{told:?}");
    assert!(told[0]["cause"].as_str().unwrap().contains("with the previous one"), "{told:?}");
    lab.log_in(Protocol::Imap, &bob).await;
    assert_eq!(alerts(&lab, "refused"), 0);
}

#[tokio::test]
async fn who_uses_the_one_before_of_a_domain_is_told_by_its_node() {
    let quiet = |config: &mut Config| config.rotation.keeper.verify_every = None;
    let (lab, _provider, bob) = stage_of(Plan::new().tune(often).tune(quiet)).await;
    put(&lab, "mail.test", Slots::of(stored("before", SECRET))).await;
    let open = lab.log_in(Protocol::Imap, &bob).await;

    let found = lab.directory.latest_tenant("mail.test").await.unwrap().unwrap();
    let mut tenant = found.record;
    let step = || Step { by: "operator@test", at: Timestamp::now() };
    let staging = Staging { credential: stored("now", "another"), op: "now".into(), replaces: false };
    machine::stage(&mut tenant.oauth2, staging, step()).unwrap();
    let how = Promotion { id: "now", grace: Duration::from_secs(3600), verified_within: None };
    machine::promote(&mut tenant.oauth2, how, step()).unwrap();
    lab.directory.put_tenant(&tenant, Some(found.version)).await.unwrap();

    let (directory, _) = operator(&lab);
    let subject = Subject::Tenant { domain: "mail.test".into() };
    let used = used_when(&directory, &subject, "before", |used| used.iter().any(|it| it.live == 1)).await;
    assert_eq!(used[0].logins[0].login, bob.login);
    let page = directory.usage_page(None, 100).await.unwrap();
    assert_eq!(page.records[0].record.entries[0].place, UsagePlace::Previous);
    drop(open);
    used_when(&directory, &subject, "before", |used| used.iter().all(|it| it.live == 0)).await;
}

//! A node tells who still uses a credential with the rights that are shipped for it, an operator reads it with his; and a
//! node with the policy of an earlier version serves as well as before.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use locum::broker::Directory;
use locum::credential;
use locum::model::{
    Account, AppPasswordFormat, CredentialKind, Holder, Identity, Preference, Previous, Protocol, Secret, Slot, Slots,
    StoredCredential, UsageReport,
};
use locum::rotation::{Subject, UsageOptions, UsageWriter, still_used};
use locum::store::{self, Condition, Options, Served};
use locum::usage::{Entered, Ledger, Use};
use tokio_util::sync::CancellationToken;

use crate::openbao::{Dev, eventually};
use crate::place::Place;

const SCAN: &str = "scan@contoso.test";

fn policy(name: &str) -> String {
    fs::read_to_string(format!("{}/config/deploy/vault/{name}.hcl", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The records as somebody with that policy has them.
async fn with_policy(dev: &Dev, name: &str, text: &str) -> Place {
    dev.write_policy(name, text).await;
    Place::new(&[dev.address()], None, &dev.token(&[name], "1h").await)
}

fn stored(id: &str) -> StoredCredential {
    let (secret, format) = (Secret::new("an app password"), AppPasswordFormat::Verbatim);
    credential::new_app_password(&secret, format, id.into(), "", Timestamp::now()).unwrap()
}

/// An account whose credential was replaced a moment ago.
fn account() -> Account {
    let (since, op) = (Timestamp::now(), "op".to_owned());
    let previous = Previous { credential: stored("c1"), op, since, retire_at: since, usable: true };
    let slots = Slots { previous: Some(previous), ..Slots::of(stored("c2")) };
    Account {
        name: SCAN.into(),
        upstream: "exchange-online".into(),
        identity: Identity::default(),
        credentials: BTreeMap::from([(CredentialKind::AppPassword, slots)]),
        preference: Preference::default(),
        class: None,
    }
}

/// A session that was opened before.
fn enter(ledger: &Ledger) -> Use {
    ledger.entered(Entered {
        holder: Holder::Account(SCAN.into()),
        kind: CredentialKind::AppPassword,
        credential: "c1".into(),
        slot: Slot::Current,
        passed_over: None,
        login: "scanner-3f".into(),
        protocol: Protocol::Imap,
    })
}

fn writer(served: &Served, ledger: &Ledger) -> UsageWriter {
    let often = Duration::from_millis(20);
    let options = UsageOptions { interval: often, look_again: often, ..UsageOptions::default() };
    UsageWriter::new(Directory::new(Arc::clone(&served.store)), ledger.clone(), "n1".into(), "mail1", options)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_tells_an_operator_reads_and_forgets() {
    let dev = Dev::start().await;
    dev.mount_kv2("locum").await;
    let of_operator = with_policy(&dev, "locum-operator", &policy("locum-operator")).await;
    let directory = Directory::of_operator(of_operator.connected().await, "alice@desk");
    directory.put_account(&account(), None).await.unwrap();

    let of_node = with_policy(&dev, "locum-node", &policy("locum-node")).await;
    let served = store::serve(&Options::Vault(of_node.options.clone())).await.unwrap();
    let (ledger, stop) = (Ledger::default(), CancellationToken::new());
    let open = enter(&ledger);
    let running = tokio::spawn(writer(&served, &ledger).run(stop.clone()));

    let subject = Subject::app_password(SCAN);
    let live = async || {
        let used = still_used(&directory, &subject, "c1", Timestamp::now()).await.unwrap();
        used.first().map(|used| (used.live, used.logins[0].login.clone()))
    };
    let expected = |live| Some((live, "scanner-3f".to_owned()));
    eventually("a session is told of", async || (live().await == expected(1)).then_some(())).await;
    drop(open);
    eventually("its end is told of", async || (live().await == expected(0)).then_some(())).await;
    stop.cancel();
    running.await.unwrap();
    let found = directory.usage("n1").await.unwrap().unwrap();
    assert!(found.record.ended);
    directory.remove_usage("n1", found.version).await.unwrap();
    assert_eq!(live().await, None);

    // Who there is, a node may not find out.
    let node = Directory::new(Arc::clone(&served.store));
    assert!(still_used(&node, &subject, "c1", Timestamp::now()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_right_is_as_well_as_before() {
    let dev = Dev::start().await;
    dev.mount_kv2("locum").await;
    let root = Place::new(&[dev.address()], None, dev.token_text());
    Directory::new(root.connected().await).put_account(&account(), None).await.unwrap();

    let shipped = policy("locum-node");
    let (before, _) = shipped.split_once("path \"locum/data/usage/+\"").unwrap();
    let of_node = with_policy(&dev, "locum-node", before).await;
    let served = store::serve(&Options::Vault(of_node.options.clone())).await.unwrap();
    let (node, health) = (Directory::new(Arc::clone(&served.store)), served.health.clone().unwrap());
    assert!(node.latest_account(SCAN).await.unwrap().is_some());
    let now = Timestamp::now();
    let report = UsageReport {
        node: "n1".into(),
        host: "mail1".into(),
        started: now,
        written: now,
        ended: false,
        entries: Vec::new(),
        omitted: 0,
    };
    let denied = node.put_usage(&report, None).await.unwrap_err();
    assert!(denied.to_string().contains("the server denied it (403)"), "{denied}");
    assert_eq!(health.status().condition, Condition::Up, "no client waits for it");

    // A client of a window of enrolment, on a node without the rights for one.
    let denied = node.put_account(&Account { name: "new@gmail.test".into(), ..account() }, None).await.unwrap_err();
    assert!(denied.to_string().contains("the server denied it (403)"), "{denied}");
    assert_eq!(health.status().condition, Condition::Up, "what a node may read it can read all the same");
}

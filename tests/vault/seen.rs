//! A node puts down which clients it saw with the rights that are shipped for it, an operator reads and forgets it with his; and
//! a node with the policy of an earlier version serves as well as before.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use locum::broker::Directory;
use locum::model::{CredentialKind, Protocol, SeenKey, SeenUpstream, Sighting};
use locum::rotation::{SeenOptions, SeenWriter, Sightings};
use locum::store::{self, Condition, Options};
use locum::usage::{Visit, Visitors};
use tokio_util::sync::CancellationToken;

use crate::openbao::{Dev, eventually};
use crate::place::Place;

fn policy(name: &str) -> String {
    fs::read_to_string(format!("{}/config/deploy/vault/{name}.hcl", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The records as somebody with that policy has them.
async fn with_policy(dev: &Dev, name: &str, text: &str) -> Place {
    dev.write_policy(name, text).await;
    Place::new(&[dev.address()], None, &dev.token(&[name], "1h").await)
}

fn key() -> SeenKey {
    SeenKey {
        login: "scanner-3f".into(),
        account: Some("scan@contoso.test".into()),
        protocol: Protocol::Submission,
        listener: "submission".into(),
        tls: None,
        method: "AUTH LOGIN".into(),
        secret: Some("s1".into()),
    }
}

/// A session that is over.
fn come(visitors: &Visitors) {
    let visit = Visit { key: key(), source: None, delegated: false, peer: IpAddr::from([192, 0, 2, 1]), via: vec![] };
    let (kind, at) = (CredentialKind::AppPassword, Timestamp::now());
    let upstream = SeenUpstream { profile: "exchange-online".into(), kind, credential: "c1".into(), at };
    drop(visitors.entered(visit, upstream));
}

fn often() -> SeenOptions {
    let often = Duration::from_millis(20);
    SeenOptions { interval: often, again: often, ..SeenOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_saw_adds_up_and_an_operator_reads_and_forgets_it() {
    let dev = Dev::start().await;
    dev.mount_kv2("locum").await;
    let of_node = with_policy(&dev, "locum-node", &policy("locum-node")).await;
    let stop = CancellationToken::new();
    let mut running = Vec::new();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let served = store::serve(&Options::Vault(of_node.options.clone())).await.unwrap();
        let visitors = Visitors::default();
        let writer = SeenWriter::new(Directory::new(Arc::clone(&served.store)), visitors.clone(), often());
        running.push(tokio::spawn(writer.run(stop.clone())));
        come(&visitors);
        nodes.push((served, visitors));
    }
    let of_operator = with_policy(&dev, "locum-operator", &policy("locum-operator")).await;
    let directory = Directory::of_operator(of_operator.connected().await, "alice@desk");
    let logins = async || Sightings::read(&directory).await.unwrap().seen.first().map(|seen| seen.logins);
    eventually("both are told of", async || (logins().await == Some(2)).then_some(())).await;
    nodes.iter().for_each(|(_, visitors)| come(visitors));
    eventually("both again", async || (logins().await == Some(4)).then_some(())).await;
    stop.cancel();
    for running in running {
        running.await.unwrap();
    }
    // Who there is, a node may not find out.
    assert!(Sightings::read(&Directory::new(Arc::clone(&nodes[0].0.store))).await.is_err());

    let now = Timestamp::now();
    assert_eq!(Sightings::forget(&directory, now, now).await.unwrap(), 0, "it was there a moment ago");
    let later = now + Duration::from_secs(48 * 60 * 60);
    assert_eq!(Sightings::forget(&directory, later, later).await.unwrap(), 1);
    assert_eq!(logins().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_right_is_as_well_as_before() {
    let dev = Dev::start().await;
    dev.mount_kv2("locum").await;
    let shipped = policy("locum-node");
    let (before, after) = shipped.split_once("path \"locum/data/seen/+\"").unwrap();
    let (_, after) = after.split_once('}').unwrap();
    let of_node = with_policy(&dev, "locum-node", &format!("{before}{after}")).await;
    let served = store::serve(&Options::Vault(of_node.options.clone())).await.unwrap();
    let (node, health) = (Directory::new(Arc::clone(&served.store)), served.health.clone().unwrap());
    assert!(node.latest_account("scan@contoso.test").await.unwrap().is_none());
    let denied = node.put_seen(&Sighting::new(key(), Timestamp::now()), None).await.unwrap_err();
    assert!(denied.to_string().contains("the server denied it (403)"), "{denied}");
    assert_eq!(health.status().condition, Condition::Up, "no client waits for it");
}

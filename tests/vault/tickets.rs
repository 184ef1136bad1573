//! Nodes share the keys of TLS tickets with the rights that are shipped for it; an operator, who throws them away, cannot read
//! them; and a node with the policy of an earlier version serves as well as before.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use locum::broker::Directory;
use locum::model::{RecordId, RecordKind, TicketKeys};
use locum::net::tls::Tickets;
use locum::rotation::TicketKeeper;
use locum::store::{self, Condition, Options, Served, StoreError};
use serde_json::Value;

use crate::openbao::{Api, Dev};
use crate::place::Place;

/// Longer than a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn policy(name: &str) -> String {
    fs::read_to_string(format!("{}/config/deploy/vault/{name}.hcl", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The same without what it says of tickets.
fn of_earlier_version(policy: &str) -> String {
    let (before, after) = policy.split_once("path \"locum/data/tickets/+\"").unwrap();
    format!("{before}{}", after.split_once('}').unwrap().1)
}

async fn holder(dev: &Dev, name: &str, text: &str) -> (Place, Api) {
    dev.write_policy(name, text).await;
    let token = dev.token(&[name], "1h").await;
    (Place::new(&[dev.address()], None, &token), dev.with_token(&token))
}

/// A node that has just begun.
async fn node(place: &Place) -> (Served, Tickets) {
    let served = store::serve(&Options::Vault(place.options.clone())).await.unwrap();
    let tickets = Tickets::default();
    TicketKeeper::new(Directory::new(Arc::clone(&served.store)), tickets.clone()).begin(PATIENCE).await;
    (served, tickets)
}

/// Whether a ticket of the one opens at the other.
fn is_open_to(sealed_at: &Tickets, opened_at: &Tickets) -> bool {
    let ticket = sealed_at.of(b"imap", "imaps").encrypt(b"session").unwrap();
    opened_at.of(b"imap", "imaps").decrypt(&ticket).as_deref() == Some(b"session")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_keys_that_an_operator_throws_away_and_cannot_read() {
    let dev = Dev::start().await;
    dev.mount_kv2("locum").await;
    let (of_node, _) = holder(&dev, "locum-node", &policy("locum-node")).await;
    let (_, first) = node(&of_node).await;
    let (_, second) = node(&of_node).await;
    assert!(is_open_to(&first, &second) && is_open_to(&second, &first));

    let (_, operator) = holder(&dev, "locum-operator", &policy("locum-operator")).await;
    let record = RecordId::new(RecordKind::Tickets, TicketKeys::NAME);
    assert_eq!(operator.status("GET", &format!("locum/data/{record}"), Value::Null).await, 403);
    operator.ok("DELETE", &format!("locum/metadata/{record}"), Value::Null).await;
    let (_, third) = node(&of_node).await;
    assert!(!is_open_to(&first, &third), "those are gone");
    let (_, fourth) = node(&of_node).await;
    assert!(is_open_to(&third, &fourth), "and there are others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_right_has_keys_of_its_own_and_is_as_well_as_before() {
    let dev = Dev::start().await;
    dev.mount_kv2("locum").await;
    let (of_node, _) = holder(&dev, "locum-node", &of_earlier_version(&policy("locum-node"))).await;
    let (served, first) = node(&of_node).await;
    let (_, second) = node(&of_node).await;
    assert!(is_open_to(&first, &first) && !is_open_to(&first, &second));
    let directory = Directory::new(Arc::clone(&served.store));
    assert!(directory.account("scan@contoso.test").await.unwrap().is_none());
    let denied = served.store.read_latest(&RecordId::new(RecordKind::Tickets, TicketKeys::NAME)).await.unwrap_err();
    assert!(matches!(denied, StoreError::Config(_)), "{denied}");
    let health = served.health.clone().unwrap();
    assert_eq!(health.status().condition, Condition::Up, "no client waits for it");
}

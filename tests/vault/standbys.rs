//! What standbys answer may be old, for a moment or, where they are cut off, for long; and who must know the latest is told.

use locum::model::Secret;
use locum::store::{Feed, Store};
use serde_json::{Value, json};

use crate::impostor::{Impostor, entry};
use crate::openbao::{Cluster, eventually};
use crate::place::{Place, account};

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_is_read_though_a_standby_is_asked_first() {
    const WRITES: usize = 20;
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let root = cluster.on(leader);
    root.mount_kv2("locum").await;
    let addresses = cluster.addresses();
    let (id, standby) = (account("a"), (leader + 1) % 3);
    let key = format!("locum/data/{id}");
    // Without the feed, whose entries would give the standby time.
    let write = async |version: usize| {
        let body = json!({"options": {"cas": version}, "data": {"record": version.to_string()}});
        root.ok("POST", &key, body).await;
    };
    write(0).await;
    eventually("the record at the standby", async || {
        (cluster.on(standby).status("GET", &key, Value::Null).await == 200).then_some(())
    })
    .await;
    for version in 1..=WRITES {
        // A new one each time, which knows nothing of who leads.
        let place = Place::new(&[&addresses[standby], &addresses[leader]], Some(cluster.ca_file()), root.token_text());
        let reader = place.connected().await;
        write(version).await;
        let read = reader.read_latest(&id).await.unwrap();
        assert_eq!(read.map(|record| record.value), Some(Secret::new(version.to_string())));
    }
}

/// A server that is as `standby` says and has a head of that sequence.
async fn server(standby: bool, sequence: u64) -> Impostor {
    Impostor::behind_proof(move |request| {
        if request.contains("/sys/health") {
            let state = json!({"initialized": true, "sealed": false, "standby": standby});
            return Some(("200 OK".into(), state.to_string()));
        }
        Some(entry(1, &json!({"epoch": "e", "sequence": sequence})))
    })
    .await
}

#[tokio::test]
async fn a_standby_that_is_cut_off_is_not_believed_for_long() {
    let (cut_off, active) = (server(true, 5).await, server(false, 6).await);
    let place = Place::new(&[cut_off.address(), active.address()], None, "s.token");
    let vault = place.connected().await;
    let mut looks = 0;
    while vault.position().await.unwrap().sequence < 6 {
        looks += 1;
        assert!(looks < 20, "the standby is believed");
    }
    assert_eq!(vault.position().await.unwrap().sequence, 6, "from now on the active one is asked first");
}

#[tokio::test]
async fn without_an_active_server_the_latest_is_what_a_standby_has() {
    let (one, other) = (server(true, 5).await, server(true, 5).await);
    let place = Place::new(&[one.address(), other.address()], None, "s.token");
    let vault = place.connected().await;
    assert_eq!(vault.position().await.unwrap().sequence, 5);
}

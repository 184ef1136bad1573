//! What is put down of clients, when, and what a node does that may not.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::model::{CredentialKind, Protocol, RecordId, Secret, SeenKey, SeenUpstream};
use crate::store::memory::Memory;
use crate::store::{Expected, Record, Store, Version};
use crate::usage::Visit;

/// A store that counts writes, and may be as a node finds it without the right to write, or away.
#[derive(Debug, Default)]
struct Counting {
    store: Memory,
    writes: AtomicUsize,
    mode: AtomicUsize,
}

const DENIED: usize = 1;
const AWAY: usize = 2;

#[async_trait]
impl Store for Counting {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.store.read(id).await
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        match self.mode.load(Ordering::SeqCst) {
            DENIED => Err(StoreError::Config("the server denied it (403)".into())),
            AWAY => Err(StoreError::Unavailable("away".into())),
            _ => self.store.write(id, value, expected).await,
        }
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        self.store.delete(id, expected).await
    }

    async fn list(
        &self,
        kind: crate::model::RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        self.store.list(kind, after, limit).await
    }
}

fn visit(login: &str) -> Visit {
    let key = SeenKey {
        login: login.into(),
        account: Some("a@x.test".into()),
        protocol: Protocol::Imap,
        listener: "imaps".into(),
        tls: None,
        method: "LOGIN command".into(),
        secret: Some("s1".into()),
    };
    Visit { key, source: None, delegated: false, peer: IpAddr::from([192, 0, 2, 1]), via: vec![] }
}

fn upstream() -> SeenUpstream {
    let (kind, profile, credential) = (CredentialKind::AppPassword, "gmail".into(), "c1".into());
    SeenUpstream { profile, kind, credential, at: Timestamp::UNIX_EPOCH }
}

/// A node on that store.
fn node(store: &Arc<Counting>) -> (SeenWriter, Visitors) {
    let (directory, visitors) = (Directory::new(Arc::clone(store) as Arc<dyn Store>), Visitors::default());
    (SeenWriter::new(directory, visitors.clone(), SeenOptions::default()), visitors)
}

async fn put_down(store: &Arc<Counting>, login: &str) -> Option<Sighting> {
    let directory = Directory::new(Arc::clone(store) as Arc<dyn Store>);
    directory.seen(&visit(login).key.name()).await.unwrap().map(|found| found.record)
}

fn hours(count: u64) -> Timestamp {
    Timestamp::now() + Duration::from_secs(count * 3600)
}

#[tokio::test]
async fn what_two_nodes_count_adds_up_and_a_node_that_starts_again_goes_on() {
    let store = Arc::new(Counting::default());
    let (mut one, seen_by_one) = node(&store);
    let (mut other, seen_by_other) = node(&store);
    drop(seen_by_one.entered(visit("scan"), upstream()));
    one.round(hours(0)).await;
    let first = put_down(&store, "scan").await.unwrap().first_seen;
    (0..3).for_each(|_| drop(seen_by_other.entered(visit("scan"), upstream())));
    seen_by_other.refused(visit("scan"), "limit");
    other.round(hours(0)).await;
    drop(seen_by_one.entered(visit("scan"), upstream()));
    one.round(hours(2)).await;
    other.round(hours(2)).await;
    let (mut again, seen_again) = node(&store);
    drop(seen_again.entered(visit("scan"), upstream()));
    again.round(hours(3)).await;
    let seen = put_down(&store, "scan").await.unwrap();
    assert_eq!((seen.logins, seen.refusals(), seen.first_seen), (6, 1, first));
}

#[tokio::test]
async fn a_round_writes_so_many_and_nothing_that_has_not_changed() {
    let store = Arc::new(Counting::default());
    let (mut writer, visitors) = node(&store);
    (0..WRITES_MAX + 5).for_each(|number| drop(visitors.entered(visit(&format!("l{number}")), upstream())));
    let mut writes = async |now| {
        let before = store.writes.load(Ordering::SeqCst);
        writer.round(now).await;
        store.writes.load(Ordering::SeqCst) - before
    };
    assert_eq!(writes(hours(0)).await, WRITES_MAX);
    assert_eq!(writes(hours(0)).await, 5);
    assert_eq!(writes(hours(9)).await, 0);
    drop(visitors.entered(visit("l0"), upstream()));
    assert_eq!(writes(hours(9)).await, 1);
    drop(visitors.entered(visit("l0"), upstream()));
    assert_eq!(writes(hours(9)).await, 0, "it was put down less than an hour ago");
}

#[tokio::test]
async fn what_cannot_be_written_now_is_written_later_and_counts_once() {
    let store = Arc::new(Counting::default());
    let (mut writer, visitors) = node(&store);
    drop(visitors.entered(visit("scan"), upstream()));
    store.mode.store(AWAY, Ordering::SeqCst);
    for _ in 0..3 {
        writer.round(hours(0)).await;
    }
    assert!(matches!(writer.trouble, Some(Trouble::Away)));
    store.mode.store(0, Ordering::SeqCst);
    writer.round(hours(0)).await;
    assert!(writer.trouble.is_none());
    assert_eq!(put_down(&store, "scan").await.unwrap().logins, 1);
}

#[tokio::test]
async fn a_node_that_may_not_write_asks_again_after_a_while() {
    let store = Arc::new(Counting::default());
    let (mut writer, visitors) = node(&store);
    (0..5).for_each(|number| drop(visitors.entered(visit(&format!("l{number}")), upstream())));
    store.mode.store(DENIED, Ordering::SeqCst);
    let now = hours(0);
    writer.round(now).await;
    writer.round(now + DENIED_PAUSE - Duration::from_secs(1)).await;
    assert_eq!(store.writes.load(Ordering::SeqCst), 1, "one is enough to know");
    store.mode.store(0, Ordering::SeqCst);
    writer.round(now + DENIED_PAUSE).await;
    assert!(put_down(&store, "l4").await.is_some());
}

#[tokio::test]
async fn the_end_puts_down_what_is_left() {
    let store = Arc::new(Counting::default());
    let (writer, visitors) = node(&store);
    drop(visitors.entered(visit("scan"), upstream()));
    let stop = CancellationToken::new();
    stop.cancel();
    writer.run(stop).await;
    assert_eq!(put_down(&store, "scan").await.unwrap().logins, 1);
}

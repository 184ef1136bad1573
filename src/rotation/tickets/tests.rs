//! Nodes over one store, and what a node does that is alone with its keys.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use data_encoding::HEXLOWER;

use super::*;
use crate::model::{RecordId, RecordKind, Secret, TicketKeys};
use crate::store::memory::Memory;
use crate::store::{Expected, Record, Store, Version};

/// A store that counts writes, and may be as a node finds it that has no rights, or away, or that is second.
#[derive(Debug, Default)]
struct Moody {
    store: Memory,
    writes: AtomicUsize,
    mode: AtomicUsize,
    /// Written by another node just before the next write.
    rival: Mutex<Option<Secret>>,
}

const WELL: usize = 0;
const DENIED: usize = 1;
const AWAY: usize = 2;
const READ_ONLY: usize = 3;

fn denied() -> StoreError {
    StoreError::Config("the server denied it (403)".into())
}

#[async_trait]
impl Store for Moody {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        match self.mode.load(Ordering::SeqCst) {
            DENIED => Err(denied()),
            AWAY => Err(StoreError::Unavailable("away".into())),
            _ => self.store.read(id).await,
        }
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let rival = self.rival.lock().unwrap().take();
        if let Some(rival) = rival {
            self.store.write(id, &rival, expected).await?;
        }
        match self.mode.load(Ordering::SeqCst) {
            WELL => self.store.write(id, value, expected).await,
            _ => Err(denied()),
        }
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        self.store.delete(id, expected).await
    }

    async fn list(
        &self,
        kind: RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        self.store.list(kind, after, limit).await
    }
}

impl Moody {
    fn is(&self, mode: usize) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    async fn kept(self: &Arc<Self>) -> Vec<KeptTicketKey> {
        directory(self).ticket_keys().await.unwrap().unwrap().record.keys
    }
}

fn directory(store: &Arc<Moody>) -> Directory {
    Directory::new(Arc::clone(store) as Arc<dyn Store>)
}

fn node(store: &Arc<Moody>) -> TicketKeeper {
    TicketKeeper::new(directory(store), Tickets::default())
}

/// A ticket of that node, and the id of the key that it is sealed under.
fn ticket(node: &TicketKeeper) -> (Vec<u8>, String) {
    let ticket = node.tickets.of(b"imap", "imaps").encrypt(b"session").unwrap();
    let id = HEXLOWER.encode(&ticket[..16]);
    (ticket, id)
}

fn opens(node: &TicketKeeper, ticket: &[u8]) -> bool {
    node.tickets.of(b"imap", "imaps").decrypt(ticket).is_some()
}

fn ago(minutes: u64) -> Timestamp {
    Timestamp::now() - Duration::from_secs(minutes * 60)
}

#[tokio::test]
async fn nodes_share_keys_and_one_of_them_makes_the_next() {
    let store = Arc::new(Moody::default());
    let mut nodes = [node(&store), node(&store)];
    for node in &mut nodes {
        node.round(ago(361)).await;
    }
    assert_eq!(store.writes(), 1, "the second took what the first had made");
    for node in &mut nodes {
        node.round(Timestamp::now()).await;
    }
    let kept = store.kept().await;
    assert_eq!((store.writes(), kept.len()), (2, 2));
    for (own, other) in [(0, 1), (1, 0)] {
        let (sealed, id) = ticket(&nodes[own]);
        assert_eq!(id, kept[0].id, "the new one lies there until all have read it");
        assert!(opens(&nodes[other], &sealed));
    }
    let mut third = node(&store);
    third.begin(Duration::from_secs(20)).await;
    assert_eq!((ticket(&third).1, store.writes()), (kept[0].id.clone(), 2), "one that begins takes them as they are");
}

#[tokio::test]
async fn who_loses_the_race_takes_what_the_other_made() {
    let store = Arc::new(Moody::default());
    let rival = TicketKeys { keys: vec![draw(Timestamp::now()).unwrap()] };
    *store.rival.lock().unwrap() = Some(Secret::new(serde_json::to_vec(&rival).unwrap()));
    let mut node = node(&store);
    node.round(Timestamp::now()).await;
    assert_eq!((store.kept().await, ticket(&node).1), (rival.keys.clone(), rival.keys[0].id.clone()));
    assert!(node.own.is_empty() && node.trouble.is_none());
}

#[tokio::test]
async fn without_a_record_a_node_has_keys_of_its_own_and_lets_them_open_afterwards() {
    for mode in [AWAY, DENIED] {
        let store = Arc::new(Moody::default());
        let (mut first, mut second) = (node(&store), node(&store));
        store.is(mode);
        first.round(ago(11)).await;
        second.round(ago(11)).await;
        let (sealed, _) = ticket(&first);
        assert!(opens(&first, &sealed) && !opens(&second, &sealed));
        let id = ticket(&first).1;
        first.round(ago(5)).await;
        assert_eq!((ticket(&first).1, first.own.len()), (id, 1), "it makes no other each time");
        store.is(WELL);
        first.round(Timestamp::now()).await;
        assert!(opens(&first, &sealed), "mode {mode}");
        let shared = store.kept().await;
        assert_eq!((ticket(&first).1, first.trouble.is_none()), (shared[0].id.clone(), true));
    }
}

#[tokio::test]
async fn a_node_that_may_not_is_asked_again_later_and_lives_by_the_keys_of_others() {
    let store = Arc::new(Moody::default());
    node(&store).round(ago(420)).await;
    store.is(READ_ONLY);
    let mut reader = node(&store);
    reader.round(ago(5)).await;
    assert_eq!((store.writes(), ticket(&reader).1), (2, store.kept().await[0].id.clone()));
    reader.round(ago(4)).await;
    assert_eq!(store.writes(), 2, "it was told a minute ago");
    reader.round(ago(0) + DENIED_PAUSE).await;
    assert_eq!(store.writes(), 3);
}

#[tokio::test]
async fn a_record_that_is_damaged_is_replaced_and_what_is_no_key_is_passed_over() {
    let id = RecordId::new(RecordKind::Tickets, TicketKeys::NAME);
    let made = ago(1);
    for damaged in [
        "{".to_owned(),
        "[]".to_owned(),
        format!(r#"{{"keys":[{{"id":"00","made":"{made}","secret":"AAAA"}}]}}"#),
        format!(
            r#"{{"keys":[{{"id":"{}","made":"9999-12-30T22:00:00Z","secret":"{}"}}]}}"#,
            "0".repeat(32),
            "A".repeat(43) + "="
        ),
    ] {
        let store = Arc::new(Moody::default());
        store.store.write(&id, &Secret::new(damaged.clone()), Expected::Absent).await.unwrap();
        let mut node = node(&store);
        node.round(Timestamp::now()).await;
        assert_eq!(store.kept().await.len(), 1, "{damaged}");
        assert_eq!(ticket(&node).1, store.kept().await[0].id, "{damaged}");
    }
}

#[tokio::test]
async fn a_record_that_is_thrown_away_is_made_anew_and_its_keys_open_no_more() {
    let store = Arc::new(Moody::default());
    let mut node = node(&store);
    node.round(ago(30)).await;
    let (sealed, _) = ticket(&node);
    let id = RecordId::new(RecordKind::Tickets, TicketKeys::NAME);
    let version = store.store.read(&id).await.unwrap().unwrap().version;
    store.delete(&id, version).await.unwrap();
    node.round(ago(1)).await;
    assert!(!opens(&node, &sealed));
    assert_eq!(ticket(&node).1, store.kept().await[0].id);
}

#[tokio::test]
async fn clocks_that_are_days_apart_cost_a_write_in_ten_minutes_and_no_tickets() {
    let store = Arc::new(Moody::default());
    let (mut slow, mut fast) = (node(&store), node(&store));
    for minute in 0..60 {
        slow.round(ago(60 - minute)).await;
        fast.round(ago(60 - minute) + Duration::from_secs(3 * 24 * 60 * 60)).await;
        assert!(slow.tickets.of(b"imap", "imaps").enabled(), "in minute {minute}");
    }
    assert!(store.writes() <= 2 * 6, "{}", store.writes());
}

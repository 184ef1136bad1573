//! With a file that two have open.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use tempfile::TempDir;

use super::super::{Options, Sqlite};
use super::*;
use crate::model::{RecordKind, Secret};
use crate::store::{Expected, KeySource, Store, generate_key_file};

/// A file that two have open, as a node and the command line do.
struct Shared {
    _folder: TempDir,
    one: Sqlite,
    other: Sqlite,
}

impl Shared {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("locum.db"), folder.path().join("locum.key"));
        generate_key_file(&key).unwrap();
        let options = Options { path, key: KeySource::File(key) };
        let one = Sqlite::create(&options).await.unwrap();
        Self { _folder: folder, one, other: Sqlite::open(&options).await.unwrap() }
    }

    /// What the one reads.
    async fn read(&self, name: &str) -> Option<String> {
        let record = self.one.read(&id(name)).await.unwrap();
        record.map(|record| String::from_utf8(record.value.expose().to_vec()).unwrap())
    }

    fn remembered(&self) -> usize {
        self.one.recent.state().rows.len()
    }
}

fn id(name: &str) -> RecordId {
    RecordId::new(RecordKind::Client, name)
}

async fn put(store: &Sqlite, name: &str, value: &str) {
    let expected = match store.read(&id(name)).await.unwrap() {
        Some(record) => Expected::Version(record.version),
        None => Expected::Absent,
    };
    store.write(&id(name), &Secret::new(value), expected).await.unwrap();
}

async fn remove(store: &Sqlite, name: &str) {
    let version = store.read(&id(name)).await.unwrap().unwrap().version;
    store.delete(&id(name), version).await.unwrap();
}

#[tokio::test]
async fn what_another_writes_is_read_at_once() {
    let shared = Shared::new().await;
    assert_eq!(shared.read("a").await, None);
    for value in ["first", "second"] {
        put(&shared.other, "a", value).await;
        assert_eq!(shared.read("a").await.as_deref(), Some(value));
        assert_eq!(shared.read("a").await.as_deref(), Some(value), "when it is remembered, too");
    }
    remove(&shared.other, "a").await;
    assert_eq!(shared.read("a").await, None);
}

#[tokio::test]
async fn a_write_of_our_own_makes_nothing_else_forgotten() {
    let shared = Shared::new().await;
    for name in ["a", "b", "c"] {
        put(&shared.one, name, "first").await;
        shared.read(name).await;
    }
    assert_eq!(shared.remembered(), 3);
    put(&shared.one, "a", "second").await;
    remove(&shared.one, "b").await;
    assert_eq!(shared.read("a").await.as_deref(), Some("second"));
    assert_eq!((shared.read("b").await, shared.remembered()), (None, 3));
    put(&shared.other, "d", "first").await;
    shared.read("a").await;
    assert_eq!(shared.remembered(), 1, "what somebody else did is not known: all is read again");
}

#[tokio::test]
async fn what_was_read_before_a_write_is_not_learnt_after_it() {
    let shared = Shared::new().await;
    put(&shared.one, "a", "old").await;
    let recent = &shared.one.recent;
    for writer in [&shared.one, &shared.other] {
        put(writer, "a", "old").await;
        recent.state().rows.clear();
        let Look::Unknown(ticket) = recent.look(&id("a")) else { panic!("it is forgotten") };
        let old = shared.one.readers.run(|connection| rows::read(connection, &id("a"))).await.unwrap();
        put(writer, "a", "new").await;
        recent.learn(ticket, &id("a"), &old);
        assert_eq!(shared.read("a").await.as_deref(), Some("new"));
    }
}

/// What is written by a thread of another store, waited for where nothing can be awaited.
fn at_once<T>(writing: impl Future<Output = T>) -> T {
    let mut writing = pin!(writing);
    loop {
        if let Poll::Ready(written) = writing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return written;
        }
        thread::yield_now();
    }
}

#[tokio::test]
async fn what_others_write_while_we_do_is_not_taken_for_ours() {
    let shared = Shared::new().await;
    for name in ["a", "b"] {
        put(&shared.one, name, "old").await;
        shared.read(name).await;
    }
    let (recent, other) = (&shared.one.recent, &shared.other);
    let written = recent.write(&id("a"), || {
        at_once(put(other, "b", "new"));
        at_once(put(other, "a", "new")); // stands for ours
        assert!(matches!(recent.look(&id("b")), Look::Unknown(_)), "whose it was will be known in a moment");
        rows::stamp(&mut recent.state().watch).map(Version)
    });
    written.unwrap();
    assert_eq!(shared.read("b").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_write_that_may_have_failed_makes_all_forgotten() {
    let shared = Shared::new().await;
    for name in ["a", "b"] {
        put(&shared.one, name, "old").await;
        shared.read(name).await;
    }
    let failed = StoreError::Unavailable("the disk is gone".to_owned());
    let writing = shared.one.recent.write(&id("a"), || Err(failed.clone()));
    assert_eq!(writing, Err(failed));
    put(&shared.other, "b", "new").await; // stands for what was written all the same
    assert_eq!(shared.read("b").await.as_deref(), Some("new"));
}

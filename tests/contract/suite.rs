//! The contract: checks that hold for every store, through the trait alone.

use std::sync::Arc;

use locum::{
    model::{RecordId, RecordKind, Secret},
    store::{Expected, Record, Store, StoreError, VALUE_BYTES_MAX, Version},
};

use crate::Fixture;
pub(crate) use crate::operators::of_operators_at_once_one_wins_and_the_others_are_told;

pub(crate) fn account(name: &str) -> RecordId {
    RecordId::new(RecordKind::Account, name)
}

/// The version that a conflict was told of; panics if it was no conflict.
#[track_caller]
fn found_by<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> Option<Version> {
    match outcome.unwrap_err() {
        error @ StoreError::Conflict { found, .. } => {
            assert!(!error.is_transient());
            found
        }
        other => panic!("no conflict: {other}"),
    }
}

pub(crate) async fn nothing_is_found_where_nothing_was_written(Fixture { store, .. }: &Fixture) {
    assert_eq!(store.read(&account("a")).await.unwrap(), None);
    assert_eq!(store.list(RecordKind::Account, None, 10).await.unwrap(), []);
}

pub(crate) async fn what_is_written_is_read(Fixture { store, again, .. }: &Fixture) {
    let value = Secret::new("value");
    let version = store.write(&account("a"), &value, Expected::Absent).await.unwrap();
    for store in [store, again] {
        assert_eq!(store.read(&account("a")).await.unwrap(), Some(Record { value: value.clone(), version }));
    }
    assert_eq!(store.read(&account("b")).await.unwrap(), None);
}

pub(crate) async fn values_of_any_size_and_bytes_come_back_whole(Fixture { store, .. }: &Fixture) {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(1000).collect();
    for (name, value) in [("empty", vec![]), ("bytes", every_byte), ("large", vec![0xa5; VALUE_BYTES_MAX])] {
        let value = Secret::new(value);
        store.write(&account(name), &value, Expected::Absent).await.unwrap();
        assert_eq!(store.read(&account(name)).await.unwrap().unwrap().value, value, "{name}");
    }
}

pub(crate) async fn a_value_over_the_limit_is_refused(Fixture { store, .. }: &Fixture) {
    let value = Secret::new(vec![0; VALUE_BYTES_MAX + 1]);
    let error = store.write(&account("a"), &value, Expected::Absent).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { bytes, .. } if bytes == VALUE_BYTES_MAX + 1), "{error}");
    assert!(!error.is_transient());
    assert_eq!(store.read(&account("a")).await.unwrap(), None);
}

pub(crate) async fn a_record_is_made_once(Fixture { store, again, .. }: &Fixture) {
    let made = store.write(&account("a"), &Secret::new("first"), Expected::Absent).await.unwrap();
    for store in [store, again] {
        let outcome = store.write(&account("a"), &Secret::new("second"), Expected::Absent).await;
        assert_eq!(found_by(outcome), Some(made));
    }
    assert_eq!(store.read(&account("a")).await.unwrap().unwrap().value, Secret::new("first"));
}

pub(crate) async fn a_write_replaces_the_version_that_was_read(Fixture { store, again, .. }: &Fixture) {
    let first = store.write(&account("a"), &Secret::new("first"), Expected::Absent).await.unwrap();
    let second = again.write(&account("a"), &Secret::new("second"), Expected::Version(first)).await.unwrap();
    assert!(second > first);
    let record = store.read(&account("a")).await.unwrap();
    assert_eq!(record, Some(Record { value: Secret::new("second"), version: second }));
}

pub(crate) async fn a_stale_write_is_told_the_version_found(Fixture { store, .. }: &Fixture) {
    let first = store.write(&account("a"), &Secret::new("first"), Expected::Absent).await.unwrap();
    let second = store.write(&account("a"), &Secret::new("second"), Expected::Version(first)).await.unwrap();
    let stale = store.write(&account("a"), &Secret::new("third"), Expected::Version(first)).await;
    assert!(stale.as_ref().unwrap_err().to_string().contains(&format!("found version {second}")));
    assert_eq!(found_by(stale), Some(second));
    assert_eq!(store.read(&account("a")).await.unwrap().unwrap().value, Secret::new("second"));
}

pub(crate) async fn a_write_to_what_is_not_there_conflicts(Fixture { store, .. }: &Fixture) {
    let version = store.write(&account("a"), &Secret::new("a"), Expected::Absent).await.unwrap();
    let outcome = store.write(&account("b"), &Secret::new("b"), Expected::Version(version)).await;
    assert_eq!(found_by(outcome), None);
    assert_eq!(store.read(&account("b")).await.unwrap(), None);
}

pub(crate) async fn a_record_is_deleted_at_its_version_alone(Fixture { store, again, .. }: &Fixture) {
    let first = store.write(&account("a"), &Secret::new("first"), Expected::Absent).await.unwrap();
    let second = store.write(&account("a"), &Secret::new("second"), Expected::Version(first)).await.unwrap();
    assert_eq!(found_by(store.delete(&account("a"), first).await), Some(second));
    assert!(store.read(&account("a")).await.unwrap().is_some());

    again.delete(&account("a"), second).await.unwrap();
    assert_eq!(store.read(&account("a")).await.unwrap(), None);
    assert_eq!(store.read_latest(&account("a")).await.unwrap(), None);
    for id in store.list(RecordKind::Account, None, 10).await.unwrap() {
        assert_eq!(store.read(&id).await.unwrap(), None, "a list may name what was deleted");
    }
    assert_eq!(found_by(store.delete(&account("a"), second).await), None);
}

pub(crate) async fn versions_do_not_come_back_with_a_deleted_record(Fixture { store, .. }: &Fixture) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let made = store.write(&account("a"), &Secret::new("made"), Expected::Absent).await.unwrap();
        let changed = store.write(&account("a"), &Secret::new("changed"), Expected::Version(made)).await.unwrap();
        assert!(seen.iter().all(|&old| old < made), "{made} after {seen:?}");
        for &old in &seen {
            let outcome = store.write(&account("a"), &Secret::new("stale"), Expected::Version(old)).await;
            assert_eq!(found_by(outcome), Some(changed));
            assert_eq!(found_by(store.delete(&account("a"), old).await), Some(changed));
        }
        store.delete(&account("a"), changed).await.unwrap();
        seen.extend([made, changed]);
        let outcome = store.write(&account("a"), &Secret::new("stale"), Expected::Version(changed)).await;
        assert_eq!(found_by(outcome), None);
    }
}

pub(crate) async fn records_of_one_name_and_two_kinds_are_apart(Fixture { store, .. }: &Fixture) {
    let client = RecordId::new(RecordKind::Client, "a");
    let version = store.write(&account("a"), &Secret::new("account"), Expected::Absent).await.unwrap();
    store.write(&client, &Secret::new("client"), Expected::Absent).await.unwrap();
    store.delete(&account("a"), version).await.unwrap();
    assert_eq!(store.read(&client).await.unwrap().unwrap().value, Secret::new("client"));
}

pub(crate) async fn lists_come_in_ordered_pages_of_one_kind(Fixture { store, .. }: &Fixture) {
    let mut written: Vec<RecordId> = (0..25).map(|number| account(&format!("user{number}"))).collect();
    for id in &written {
        store.write(id, &Secret::new("account"), Expected::Absent).await.unwrap();
    }
    let client = RecordId::new(RecordKind::Client, "user0");
    store.write(&client, &Secret::new("client"), Expected::Absent).await.unwrap();

    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(RecordKind::Account, after.as_ref(), 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        pages.push(page);
    }
    written.sort();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(pages.concat(), written);
    assert_eq!(store.list(RecordKind::Client, None, usize::MAX).await.unwrap(), [client]);
    assert_eq!(store.list(RecordKind::Account, None, 0).await.unwrap(), []);
}

pub(crate) async fn concurrent_increments_are_all_kept(Fixture { store, again, .. }: &Fixture) {
    const WRITERS: usize = 8;
    const INCREMENTS: usize = 25;
    let counter = account("counter");
    store.write(&counter, &Secret::new("0"), Expected::Absent).await.unwrap();
    let writers = (0..WRITERS).map(|number| {
        let store = Arc::clone(if number % 2 == 0 { store } else { again });
        let counter = counter.clone();
        tokio::spawn(async move { increment(store.as_ref(), &counter, INCREMENTS).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(count(store.as_ref(), &counter).await.0, WRITERS * INCREMENTS);
}

/// Adds one to a counter, so many times, with as many attempts as that takes.
pub(crate) async fn increment(store: &dyn Store, counter: &RecordId, times: usize) {
    let mut done = 0;
    while done < times {
        let (value, version) = count(store, counter).await;
        let next = Secret::new((value + 1).to_string());
        match store.write(counter, &next, Expected::Version(version)).await {
            Ok(_) => done += 1,
            Err(StoreError::Conflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// What a counter shows, and its version.
pub(crate) async fn count(store: &dyn Store, counter: &RecordId) -> (usize, Version) {
    let record = store.read(counter).await.unwrap().unwrap();
    (record.value.expose_text().unwrap().parse().unwrap(), record.version)
}

pub(crate) async fn of_concurrent_makers_one_wins(Fixture { store, again, .. }: &Fixture) {
    let makers = (0..8).map(|number| {
        let store = Arc::clone(if number % 2 == 0 { store } else { again });
        tokio::spawn(
            async move { store.write(&account("a"), &Secret::new(number.to_string()), Expected::Absent).await },
        )
    });
    let mut made = Vec::new();
    for (number, maker) in makers.collect::<Vec<_>>().into_iter().enumerate() {
        match maker.await.unwrap() {
            Ok(version) => made.push(Record { value: Secret::new(number.to_string()), version }),
            Err(error) => assert!(matches!(error, StoreError::Conflict { found: Some(_), .. }), "{error}"),
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(store.read(&account("a")).await.unwrap().as_ref(), made.first());
}

pub(crate) async fn conflicts_hold_no_value(Fixture { store, .. }: &Fixture) {
    let value = Secret::new("canary-in-the-store");
    store.write(&account("canary-name"), &value, Expected::Absent).await.unwrap();
    let error = store.write(&account("canary-name"), &value, Expected::Absent).await.unwrap_err();
    let record = store.read(&account("canary-name")).await.unwrap();
    let seen = format!("{error} {error:?} {store:?} {record:?}");
    assert!(!seen.contains("canary"), "{seen}");
}

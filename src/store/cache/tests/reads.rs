//! What is asked of the store, and what is not.

use super::*;
use futures_util::future::join_all;
use futures_util::poll;
use metrics_exporter_prometheus::PrometheusBuilder;

#[tokio::test(start_paused = true)]
async fn a_fresh_record_is_served_without_asking() {
    let node = Node::with_a_record(options()).await;
    advance(MINUTE - SECOND).await;
    assert_eq!((node.read("a").await, node.wire.reads()), (found("1"), 1));
    node.edit("a", "2").await;
    advance(SECOND).await;
    assert_eq!((node.read("a").await, node.wire.reads()), (found("2"), 2));
}

#[tokio::test(start_paused = true)]
async fn readers_of_one_record_at_once_cause_one_read() {
    let node = Node::new();
    node.edit("a", "1").await;
    node.wire.set(Mode::Held);
    let readers = join_all((0..50).map(|_| node.read("a")));
    let (answers, ()) = tokio::join!(readers, async { node.wire.let_pass() });
    assert_eq!(answers, vec![found("1"); 50]);
    assert_eq!(node.wire.reads(), 1);

    // And each of them is told of a failure.
    let readers = join_all((0..50).map(|_| node.read("b")));
    let outage = async {
        node.wire.fail();
        node.wire.let_pass();
    };
    let (answers, ()) = tokio::join!(readers, outage);
    assert!(answers.iter().all(|answer| *answer == Err(wire::away())));
    assert_eq!(node.wire.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn readers_of_the_latest_at_once_cause_one_read_and_readers_join_them() {
    let node = Node::with_a_record(options()).await;
    node.edit("a", "2").await;
    advance(MINUTE).await;
    node.wire.set(Mode::Held);
    let mut early = Box::pin(node.read("a"));
    assert!(poll!(&mut early).is_pending());
    let latest = join_all((0..50).map(|_| node.read_latest("a")));
    let late = async {
        let answer = node.read("a");
        node.wire.let_pass();
        node.wire.let_pass();
        answer.await
    };
    let (early, latest, late) = tokio::join!(early, latest, late);
    assert_eq!((early, late), (found("2"), found("2")));
    assert_eq!(latest, vec![found("2"); 50]);
    assert_eq!((node.wire.reads(), node.wire.latest_reads()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_harms_nobody() {
    let node = Node::new();
    node.edit("a", "1").await;
    node.wire.set(Mode::Held);
    let mut first = Box::pin(node.read("a"));
    let mut second = Box::pin(node.read("a"));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    drop(first);
    node.wire.let_pass();
    assert_eq!((second.await, node.wire.reads()), (found("1"), 1));

    // All leave: the next asks anew.
    let mut only = Box::pin(node.read("b"));
    assert!(poll!(&mut only).is_pending());
    drop(only);
    node.wire.let_pass();
    assert_eq!((node.read("b").await, node.wire.reads()), (Ok(None), 3));
    assert!(node.wire.gate_is_shut(), "nobody passed for those who left");

    let mut stranger = Box::pin(node.read("c"));
    assert!(poll!(&mut stranger).is_pending());
    drop(stranger);
    let remembered = format!("{:?}", node.cache.0.state().remembered);
    assert!(remembered.contains("asking: {}"), "{remembered}");
}

#[tokio::test(start_paused = true)]
async fn the_latest_is_always_asked_for_and_remembered() {
    let node = Node::with_a_record(options()).await;
    node.edit("a", "2").await;
    assert_eq!(node.read("a").await, found("1"));
    assert_eq!((node.read_latest("a").await, node.wire.latest_reads()), (found("2"), 1));
    assert_eq!((node.read("a").await, node.wire.reads()), (found("2"), 1));
    assert_eq!((node.read_latest("a").await, node.wire.latest_reads()), (found("2"), 2));
}

#[tokio::test(start_paused = true)]
async fn that_there_is_no_record_is_remembered_for_seconds_only() {
    let node = Node::new();
    assert_eq!((node.read("a").await, node.read("a").await), (Ok(None), Ok(None)));
    assert_eq!(node.wire.reads(), 1);
    node.edit("a", "1").await;
    advance(5 * SECOND).await;
    assert_eq!((node.read("a").await, node.wire.reads()), (found("1"), 2));
}

#[tokio::test(start_paused = true)]
async fn what_strangers_ask_for_pushes_out_no_client() {
    let node = Node::with_a_record(options()).await;
    for stranger in 0..11_000 {
        assert_eq!(node.read(&stranger.to_string()).await, Ok(None));
    }
    assert_eq!((node.read("a").await, node.wire.reads()), (found("1"), 11_001));
    // The last is remembered, the first is not.
    assert_eq!((node.read("10999").await, node.wire.reads()), (Ok(None), 11_001));
    assert_eq!((node.read("0").await, node.wire.reads()), (Ok(None), 11_002));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_remembered_than_may_be() {
    let node = Node::with(Options { records_max: 2, ..options() });
    for name in ["a", "b", "c"] {
        node.edit(name, name).await;
    }
    for name in ["a", "b", "a", "c"] {
        assert_eq!(node.read(name).await, found(name));
    }
    assert_eq!((node.cache.0.state().remembered.len(), node.wire.reads()), (2, 3));
    assert_eq!((node.read("a").await, node.read("c").await), (found("a"), found("c")));
    assert_eq!(node.wire.reads(), 3, "b was unused for longest");
    node.read("b").await.unwrap();
    assert_eq!((node.cache.0.state().remembered.len(), node.wire.reads()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn an_error_about_the_record_is_passed_on_and_the_record_forgotten() {
    let error = StoreError::Corrupt { id: id("a"), version: Version(1) };
    let node = Node::with_a_record(options()).await;
    advance(MINUTE).await;
    node.wire.set(Mode::Failing(error.clone()));
    assert_eq!(node.read("a").await, Err(error));
    assert_eq!(node.cache.0.state().remembered.len(), 0);
    node.wire.fail();
    assert_eq!(node.read("a").await, Err(wire::away()), "nothing is left to serve");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_a_person_must_see_to_says_nothing_of_a_record() {
    let denied = StoreError::Config("denied".to_owned());
    let node = Node::with_a_record(options()).await;
    node.wire.set(Mode::Failing(denied.clone()));
    for _ in 0..3 {
        advance(MINUTE).await;
        assert_eq!(node.read("a").await, found("1"));
        assert!(node.health.status().stale_for.is_some());
    }
    assert_eq!(node.read("b").await, Err(denied.clone()), "of others nothing is known");
    advance(HOUR).await;
    assert_eq!(node.read("a").await, Err(denied), "for no longer than max_stale");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_gone_is_forgotten() {
    let node = Node::with_a_record(options()).await;
    node.remove("a").await;
    advance(MINUTE).await;
    assert_eq!(node.read("a").await, Ok(None));
    node.wire.fail();
    advance(5 * SECOND).await;
    assert_eq!(node.read("a").await, Err(wire::away()), "no answer is not the answer that there is none");
}

#[tokio::test(start_paused = true)]
async fn what_this_node_writes_and_deletes_it_knows() {
    let node = Node::with_a_record(options()).await;
    let version = node.cache.read(&id("a")).await.unwrap().unwrap().version;
    let written = node.cache.write(&id("a"), &Secret::new("2"), Expected::Version(version)).await.unwrap();
    assert_eq!((node.read("a").await, node.wire.reads()), (found("2"), 1));

    let conflict = node.cache.write(&id("a"), &Secret::new("3"), Expected::Version(version)).await;
    assert!(matches!(conflict, Err(StoreError::Conflict { .. })));
    assert_eq!((node.read("a").await, node.wire.reads()), (found("2"), 2), "who lost asks again");

    node.cache.delete(&id("a"), written).await.unwrap();
    assert_eq!((node.read("a").await, node.cache.0.state().remembered.len()), (Ok(None), 0));
    node.cache.write(&id("a"), &Secret::new("4"), Expected::Absent).await.unwrap();
    assert_eq!(node.read("a").await, found("4"), "it is not thought absent");
    assert_eq!(node.cache.list(RecordKind::Client, None, 10).await, Ok(vec![id("a")]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_write_overtook_is_not_remembered() {
    let node = Node::with_a_record(options()).await;
    let before = node.cache.read(&id("a")).await.unwrap();
    advance(MINUTE).await;
    node.wire.set(Mode::Held);
    let mut reader = Box::pin(node.read("a"));
    assert!(poll!(&mut reader).is_pending());
    node.wire.lag("a", before.clone(), 1);
    node.wire.set(Mode::Up);
    let expected = Expected::Version(before.unwrap().version);
    node.cache.write(&id("a"), &Secret::new("2"), expected).await.unwrap();
    node.wire.let_pass();
    assert_eq!(reader.await, found("1"), "so it was when it asked");
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_happened_has_the_record_asked_for_again() {
    let node = Node::with_a_record(options()).await;
    node.wire.fail();
    let expected = Expected::Version(node.cache.read(&id("a")).await.unwrap().unwrap().version);
    node.cache.write(&id("a"), &Secret::new("2"), expected).await.unwrap_err();
    assert_eq!(node.read("a").await, found("1"), "an outage after it is survived");
    node.wire.set(Mode::Up);
    node.edit("a", "2").await;
    advance(8 * SECOND).await;
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_during_a_write_that_may_have_happened_is_asked_for_again() {
    let node = Node::with_a_record(options()).await;
    let expected = Expected::Version(node.cache.read(&id("a")).await.unwrap().unwrap().version);
    let value = Secret::new("2");
    node.wire.set(Mode::Held);
    let a = id("a");
    let mut write = node.cache.write(&a, &value, expected);
    assert!(poll!(&mut write).is_pending());
    node.wire.set(Mode::Up);
    assert_eq!(node.read("a").await, found("1"));
    node.edit("a", "2").await;
    node.wire.fail();
    node.wire.let_pass();
    write.await.unwrap_err();
    node.wire.set(Mode::Up);
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_behind_is_asked_again_and_then_the_leader() {
    let node = Node::with_a_record(options()).await;
    let old = node.cache.read(&id("a")).await.unwrap();
    node.edit("a", "2").await;
    assert_eq!(node.read_latest("a").await, found("2"));
    for (behind, reads, latest, takes) in [(2, 3, 1, 150), (100, 4, 2, 350)] {
        advance(MINUTE).await;
        node.wire.lag("a", old.clone(), behind);
        let before = node.wire.reads();
        assert_eq!(node.timed_read("a").await, (Duration::from_millis(takes), found("2")));
        assert_eq!((node.wire.reads() - before, node.wire.latest_reads()), (reads, latest));
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_record_is_never_replaced_by_an_older_one() {
    let node = Node::with_a_record(options()).await;
    let old = node.cache.read(&id("a")).await.unwrap();
    node.edit("a", "2").await;
    assert_eq!(node.read_latest("a").await, found("2"));
    advance(MINUTE).await;
    // The standby is behind, and the leader is lost while it is asked.
    node.wire.lag("a", old, 100);
    let outage = async {
        sleep(Duration::from_millis(300)).await;
        node.wire.fail();
    };
    let (answer, ()) = tokio::join!(node.read("a"), outage);
    assert_eq!(answer, found("2"));
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_restored_has_the_last_word() {
    let node = Node::with_a_record(options()).await;
    node.edit("a", "2").await;
    assert_eq!(node.read_latest("a").await, found("2"));
    let restored = Node::new();
    restored.edit("a", "1").await;
    advance(MINUTE).await;
    *node.wire.restored.lock().unwrap() = Some(Arc::clone(&restored.wire.memory));
    assert_eq!(node.timed_read("a").await, (Duration::from_millis(350), found("1")));
    advance(MINUTE).await;
    assert_eq!(node.timed_read("a").await, (Duration::ZERO, found("1")), "the old version is no measure any more");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_record_is_not_brought_back_by_a_server_that_is_behind() {
    let node = Node::with_a_record(options()).await;
    let old = node.cache.read(&id("a")).await.unwrap();
    node.remove("a").await;
    assert_eq!(node.read_latest("a").await, Ok(None));
    advance(5 * SECOND).await;
    node.wire.lag("a", old, 100);
    assert_eq!(node.read("a").await, Ok(None));
    node.edit("a", "2").await;
    node.wire.lag("a", None, 0);
    advance(5 * SECOND).await;
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn reads_are_counted_by_what_came_of_them() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let node = Node::with_a_record(options()).await;
    node.read("a").await.unwrap();
    node.wire.fail();
    node.read_latest("a").await.unwrap();
    node.read("b").await.unwrap_err();
    let text = recorder.handle().render();
    for outcome in ["hit", "miss", "stale", "error"] {
        let line = format!("locum_store_cache_reads_total{{outcome=\"{outcome}\"}} 1");
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert!(text.contains("locum_store_stale_reads_total 1") && text.contains("# HELP locum_store_stale_reads_total"));
}

#[tokio::test(start_paused = true)]
async fn debug_shows_no_record() {
    let node = Node::new();
    node.edit("a", "S3CRET").await;
    node.read("a").await.unwrap();
    let remembered = format!("{:?}", node.cache.0.state().remembered);
    let shown = format!("{:?} {remembered}", node.cache);
    assert!(shown.contains("records: 1") && !shown.contains("S3CRET"), "{shown}");
}

//! Hearing of changes.

use std::net::Ipv4Addr;

use super::*;
use crate::store::Heard;
use crate::store::notice;

/// The first poll has been taken account of.
async fn first_poll(node: &Node) {
    let before = node.wire.positions();
    sleep(Duration::from_millis(1)).await;
    assert!(node.wire.positions() > before || before > 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_record_is_read_before_it_is_wanted() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    node.read("a").await.unwrap();
    let before = node.wire.reads();
    node.edit("a", "2").await;
    node.edit("unknown", "x").await;
    sleep(Duration::from_millis(2401)).await;
    assert_eq!(node.wire.reads() - before, 1, "only what is remembered is read");
    node.wire.fail();
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn the_feed_is_asked_for_changes_only_when_it_moved() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    node.wire.set(Mode::SilentForRecords);
    sleep(MINUTE).await;
    let polls = node.wire.positions();
    assert!((25..=38).contains(&polls), "{polls} polls in a minute");
    assert_eq!(node.wire.changes(), 0);
    node.edit("b", "1").await;
    sleep(Duration::from_millis(2401)).await;
    assert_eq!(node.wire.changes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_record_is_served_old_while_it_cannot_be_read() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    node.read("a").await.unwrap();
    node.edit("a", "2").await;
    node.wire.set(Mode::SilentForRecords);
    sleep(Duration::from_millis(2401)).await;
    assert_eq!(node.timed_read("a").await, (PATIENCE, found("1")));
    node.wire.set(Mode::Up);
    sleep(Duration::from_millis(2401)).await;
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_comes_is_not_thought_absent() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    assert_eq!(node.read("b").await, Ok(None));
    node.edit("b", "1").await;
    sleep(Duration::from_millis(2401)).await;
    assert_eq!(node.read("b").await, found("1"));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_goes_is_forgotten() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    node.read("a").await.unwrap();
    node.remove("a").await;
    sleep(Duration::from_millis(2401)).await;
    assert_eq!(node.read("a").await, Ok(None));
    assert_eq!(node.cache.0.state().remembered.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_announced_version_is_demanded_of_servers_that_are_behind() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    node.edit("unknown", "1").await;
    let old = node.wire.memory.read(&id("unknown")).await.unwrap();
    node.edit("unknown", "2").await;
    sleep(Duration::from_millis(2401)).await;
    node.wire.lag("unknown", old, 100);
    assert_eq!(node.read("unknown").await, found("2"), "though it was never read before");
}

/// Whatever makes the feed useless, all that is remembered is asked for again, and served meanwhile.
async fn everything_is_asked_for_again(break_feed: impl AsyncFnOnce(&Node)) {
    let node = Node::with_a_record(options()).await;
    for count in 0..9 {
        node.edit("b", &count.to_string()).await;
    }
    node.read("b").await.unwrap();
    let _following = node.follow(None);
    first_poll(&node).await;
    node.read("a").await.unwrap();
    node.read("b").await.unwrap();
    let before = node.wire.reads();
    assert_eq!((node.read("a").await, node.read("b").await), (found("1"), found("8")));
    assert_eq!(node.wire.reads(), before);

    break_feed(&node).await;
    sleep(3 * SECOND).await;
    assert_eq!(node.wire.reads(), before, "nobody scans");
    node.read("a").await.unwrap();
    node.read("b").await.unwrap();
    assert_eq!(node.wire.reads(), before + 2);
    node.read("a").await.unwrap();
    sleep(10 * SECOND).await;
    node.read("a").await.unwrap();
    assert_eq!(node.wire.reads(), before + 2, "once");
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_everything_is_asked_for_again() {
    everything_is_asked_for_again(async |node| {
        let version = node.edit("c", "0").await;
        node.wire.memory.delete(&id("c"), version).await.unwrap();
        for count in 0..1001 {
            node.edit("c", &count.to_string()).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn in_another_epoch_everything_is_asked_for_again() {
    everything_is_asked_for_again(async |node| {
        node.wire.set_feed(Position { epoch: "another".to_owned(), sequence: 10 });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn when_the_sequence_goes_back_everything_is_asked_for_again() {
    everything_is_asked_for_again(async |node| {
        let position = node.wire.memory.position().await.unwrap();
        node.wire.set_feed(Position { sequence: position.sequence - 1, ..position });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_lags_for_a_moment_is_no_feed_that_went_back() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    node.read("a").await.unwrap();
    let before = node.wire.reads();
    let position = node.wire.memory.position().await.unwrap();
    node.wire.set_feed(Position { sequence: position.sequence - 1, ..position });
    let polls = node.wire.positions();
    until(async || node.wire.positions() > polls).await;
    node.wire.follow_feed();
    sleep(5 * SECOND).await;
    node.read("a").await.unwrap();
    assert_eq!(node.wire.reads(), before);
}

#[tokio::test(start_paused = true)]
async fn if_the_poll_fails_the_health_is_told_and_nothing_is_forgotten() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    node.read("a").await.unwrap();
    assert_eq!(node.health.status().condition, Condition::Up);
    let before = node.wire.reads();
    node.wire.fail();
    sleep(30 * SECOND).await;
    assert!(matches!(node.health.status().condition, Condition::Down { .. }));
    assert_eq!((node.read("a").await, node.wire.reads()), (found("1"), before), "it is fresh still");
    assert_eq!(node.health.status().stale_for, None);
}

/// A node that is told of writes, and where.
async fn told_node(memory: &Arc<Memory>) -> (Node, Following, String) {
    let receiver = Receiver::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = receiver.local_address().unwrap().to_string();
    let node = Node::at(Arc::clone(memory), Options { poll_interval: HOUR, ..options() });
    let following = node.follow(Some(receiver));
    until(async || node.cache.0.state().answered.is_some()).await;
    (node, following, address)
}

#[tokio::test]
async fn a_write_on_one_node_reaches_the_other_at_once() {
    let memory = Arc::<Memory>::default();
    let writer = Node::at(Arc::clone(&memory), options());
    let first = writer.cache.write(&id("a"), &Secret::new("1"), Expected::Absent).await.unwrap();
    let (reader, _following, address) = told_node(&memory).await;
    assert_eq!(reader.read("a").await, found("1"));

    writer.cache.write(&id("a"), &Secret::new("2"), Expected::Version(first)).await.unwrap();
    assert_eq!(reader.read("a").await, found("1"), "it has not been told");
    notice::send(&memory.position().await.unwrap(), &[address]).await;
    until(async || reader.read("a").await == found("2")).await;
}

#[tokio::test]
async fn forged_and_replayed_notices_cause_no_poll() {
    let memory = Arc::<Memory>::default();
    let (node, _following, address) = told_node(&memory).await;
    let peers = [address];
    let position = memory.position().await.unwrap();
    let polls = node.wire.positions();
    for sequence in 1..50 {
        notice::send(&Position { epoch: "guessed".to_owned(), sequence }, &peers).await;
        notice::send(&position, &peers).await;
    }
    // What comes last proves that the others were received, and what they were taken for.
    node.edit("a", "1").await;
    notice::send(&memory.position().await.unwrap(), &peers).await;
    until(async || node.wire.changes() == 1).await;
    assert_eq!(node.wire.positions(), polls + 1);
}

#[tokio::test]
async fn a_notice_is_insisted_on_while_the_feed_lags() {
    let memory = Arc::<Memory>::default();
    memory.write(&id("a"), &Secret::new("1"), Expected::Absent).await.unwrap();
    let (node, _following, address) = told_node(&memory).await;
    node.read("a").await.unwrap();
    let before = memory.position().await.unwrap();
    node.wire.set_feed(before);
    node.edit("a", "2").await;
    notice::send(&memory.position().await.unwrap(), &[address]).await;
    until(async || node.wire.changes() > 0).await;
    node.wire.follow_feed();
    until(async || node.read("a").await == found("2")).await;
}

#[tokio::test]
async fn notices_cause_so_many_polls_and_no_more() {
    let memory = Arc::<Memory>::default();
    let (node, _following, address) = told_node(&memory).await;
    let (start, polls) = (Instant::now(), node.wire.positions());
    for _ in 0..50 {
        node.edit("a", "1").await;
        notice::send(&memory.position().await.unwrap(), std::slice::from_ref(&address)).await;
    }
    until(async || node.read("a").await.unwrap().is_some() && node.wire.changes() > 0).await;
    let most = start.elapsed().as_millis() / 100 + 1;
    let polls = (node.wire.positions() - polls) as u128;
    assert!((1..=most).contains(&polls), "{polls} polls, {most} at the most");
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_may_not_be_read_is_no_outage() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    first_poll(&node).await;
    assert_eq!(node.health.status().condition, Condition::Up);
    node.wire.set(Mode::Failing(StoreError::Config("denied".to_owned())));
    sleep(MINUTE).await;
    assert_eq!(node.health.status().condition, Condition::Up, "records are what clients wait for");
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_told_to_who_lives_by_it() {
    let node = Node::with_a_record(options()).await;
    let news = node.cache.news();
    let _following = node.follow(None);
    assert_eq!(news.next().await, Heard::Anything, "what was before is not known");
    node.edit("never read", "1").await;
    assert_eq!(news.next().await, Heard::Records([id("never read")].into()));
    node.remove("a").await;
    assert_eq!(news.next().await, Heard::Records([id("a")].into()));
    assert_eq!(node.cache.read_certain(&id("a")).await, Ok(None));
}

//! The store does not answer.

use super::wire::away;
use super::*;
use futures_util::future::join_all;
use futures_util::poll;

#[tokio::test(start_paused = true)]
async fn an_outage_costs_a_known_client_nothing() {
    let node = Node::with_a_record(options()).await;
    node.wire.fail();
    advance(MINUTE).await;
    assert_eq!(node.timed_read("a").await, (Duration::ZERO, found("1")));
    advance(HOUR - MINUTE - SECOND).await;
    assert_eq!(node.timed_read("a").await, (Duration::ZERO, found("1")));
    advance(SECOND).await;
    assert_eq!(node.read("a").await, Err(away()), "it was read an hour ago");
}

#[tokio::test(start_paused = true)]
async fn with_no_staleness_allowed_an_outage_is_told() {
    let node = Node::with_a_record(Options { max_stale: Duration::ZERO, ..options() }).await;
    node.edit("a", "2").await;
    assert_eq!(node.read("a").await, found("2"), "it is asked for each time");
    node.wire.fail();
    assert_eq!(node.read_latest("a").await, Err(away()));
    assert_eq!(node.read("a").await, Err(away()));
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_is_looked_at_often_however_seldom_it_is_polled() {
    let node = Node::with_a_record(Options { poll_interval: HOUR, refresh_after: SECOND, ..options() }).await;
    let _following = node.follow(None);
    sleep(SECOND).await;
    node.wire.set(Mode::Silent);
    assert_eq!(node.timed_read("a").await, (PATIENCE, found("1")));
    node.edit("a", "2").await;
    node.wire.set(Mode::Up);
    let back = Instant::now();
    until(async || node.read("a").await == found("2")).await;
    assert!(back.elapsed() < 2 * PROBE_INTERVAL, "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_record_during_an_outage_is_a_transient_error() {
    let node = Node::new();
    assert_eq!(node.read("b").await, Ok(None));
    node.wire.fail();
    advance(5 * SECOND).await;
    for name in ["a", "b"] {
        assert!(node.read(name).await.unwrap_err().is_transient(), "{name}");
        assert!(node.read_latest(name).await.unwrap_err().is_transient(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_latest_is_recalled_in_an_outage() {
    let node = Node::with_a_record(options()).await;
    node.wire.fail();
    assert_eq!(node.read_latest("a").await, found("1"));
    node.wire.set(Mode::Silent);
    advance(8 * SECOND).await;
    assert_eq!(timed(node.read_latest("a")).await, (PATIENCE, found("1")));
    assert_eq!(timed(node.read_latest("a")).await, (Duration::ZERO, found("1")));
}

async fn timed<T>(call: impl Future<Output = T>) -> (Duration, T) {
    let start = Instant::now();
    let answer = call.await;
    (start.elapsed(), answer)
}

#[tokio::test(start_paused = true)]
async fn silence_costs_a_known_client_the_patience_once() {
    let node = Node::with(options());
    for name in ["a", "b"] {
        node.edit(name, name).await;
        node.read(name).await.unwrap();
    }
    node.wire.set(Mode::Silent);
    advance(MINUTE).await;
    let at_once = join_all((0..10).map(|_| node.timed_read("a"))).await;
    assert!(at_once.iter().all(|it| *it == (PATIENCE, found("a"))), "{at_once:?}");
    assert_eq!(node.timed_read("a").await, (Duration::ZERO, found("a")));
    assert_eq!(node.timed_read("b").await, (Duration::ZERO, found("b")));
    assert_eq!(node.wire.reads(), 3);
}

#[tokio::test(start_paused = true)]
async fn while_the_poll_goes_on_no_client_waits_for_a_silent_store() {
    let node = Node::with_a_record(Options { refresh_after: Duration::ZERO, ..options() }).await;
    let _following = node.follow(None);
    sleep(SECOND).await;
    node.wire.set(Mode::Silent);
    sleep(4 * SECOND).await;
    for _ in 0..600 {
        assert_eq!(node.timed_read("a").await, (Duration::ZERO, found("1")));
        sleep(SECOND).await;
    }
    assert_eq!(node.wire.reads(), 1, "the store is not asked by clients");
    let Condition::Down { reason } = node.health.status().condition else { panic!("{:?}", node.health.status()) };
    assert_eq!(reason, "the store is unavailable for now: it has not answered for 16 seconds");
    assert!(node.health.status().stale_for.unwrap() >= 599 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_return_of_the_store_is_noticed_within_a_poll() {
    for outage in [Mode::Silent, Mode::Failing(away())] {
        let node = Node::with_a_record(options()).await;
        let _following = node.follow(None);
        node.wire.set(outage);
        for _ in 0..100 {
            sleep(SECOND).await;
            assert_eq!(node.read("a").await, found("1"));
        }
        node.wire.set(Mode::Up);
        // A poll comes every 2 s with a fifth more or less.
        sleep(Duration::from_millis(2401)).await;
        node.edit("b", "2").await;
        assert_eq!(node.health.status().condition, Condition::Up);
        assert_eq!(node.health.status().stale_for, None);
        let before = node.wire.reads();
        assert_eq!((node.read("a").await, node.wire.reads() - before), (found("1"), 1), "it is asked again");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_poll_one_client_finds_out_that_the_store_is_back() {
    let node = Node::with_a_record(options()).await;
    node.wire.fail();
    advance(MINUTE).await;
    assert_eq!(node.read("a").await, found("1"));
    node.wire.set(Mode::Up);
    node.edit("a", "2").await;
    assert_eq!(node.read("a").await, found("1"));
    advance(7 * SECOND).await;
    assert_eq!(node.read("a").await, found("2"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_client_is_answered_as_soon_as_the_store_is_back_and_all_profit() {
    let node = Node::with_a_record(options()).await;
    node.wire.fail();
    advance(MINUTE).await;
    assert_eq!(node.read("a").await, found("1"));
    node.wire.set(Mode::Up);
    node.edit("a", "2").await;
    assert_eq!((node.read("b").await, node.read("a").await), (Ok(None), found("2")));
}

#[tokio::test(start_paused = true)]
async fn one_call_that_hangs_is_no_outage() {
    let node = Node::with_a_record(options()).await;
    node.edit("b", "b").await;
    node.read("b").await.unwrap();
    advance(MINUTE).await;
    node.wire.set(Mode::Silent);
    let others = async {
        sleep(SECOND / 2).await;
        node.wire.set(Mode::Up);
        assert_eq!(node.read("c").await, Ok(None));
        node.edit("b", "b2").await;
    };
    let (hanging, ()) = tokio::join!(node.timed_read("a"), others);
    assert_eq!(hanging, (PATIENCE, found("1")));
    assert_eq!(node.read("b").await, found("b2"), "the store is asked");
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_a_call_that_hangs() {
    let node = Node::with_a_record(options()).await;
    node.wire.set(Mode::Silent);
    let mut hanging = Box::pin(node.read("b"));
    assert!(poll!(&mut hanging).is_pending());
    advance(PATIENCE).await;
    node.wire.set(Mode::Up);
    assert_eq!(timeout(SECOND, node.read("b")).await, Ok(Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_did_not_wait_for_is_read_in_the_background() {
    let node = Node::with_a_record(options()).await;
    let _following = node.follow(None);
    advance(MINUTE).await;
    sleep(SECOND).await;
    node.wire.set(Mode::Held);
    let answer = node.timed_read("a").await;
    assert_eq!(answer, (PATIENCE, found("1")));
    node.wire.set(Mode::Up);
    until(async || node.wire.reads() == 3).await;
    assert_eq!((node.read("a").await, node.wire.reads()), (found("1"), 3));
}

#[tokio::test(start_paused = true)]
async fn who_has_to_be_certain_is_told_what_is_so_or_nothing() {
    let node = Node::with_a_record(options()).await;
    let certain = async || node.cache.read_certain(&id("a")).await.map(text);
    node.wire.fail();
    assert_eq!(certain().await, found("1"), "it was read a moment ago, and nothing was heard of it");
    advance(MINUTE).await;
    assert_eq!((node.read("a").await, certain().await), (found("1"), Err(away())));
    node.wire.set(Mode::Up);
    node.edit("a", "2").await;
    assert_eq!(certain().await, found("2"));
}

//! How long a node does without the store: for max-stale, and no longer.

use std::time::{Duration, Instant};

use crate::looks::Look;
use crate::scene::{Scene, hasty};
use crate::traffic::{Traffic, Verdict};

const MAX_STALE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn past_max_stale_known_clients_are_told_to_try_later() {
    let mut scene = Scene::set(1, "1h", |options| {
        hasty(options);
        options.cache.max_stale = MAX_STALE;
    })
    .await;
    let lab = &scene.lab;
    let known = Traffic::start(lab, lab);
    known.all(Verdict::LetIn).await;

    let struck = Instant::now();
    scene.cluster.kill(0);
    let look = Look::until(lab, "down", "no answer").await;
    assert_eq!(look.verdict(), (200, true, true), "{look:?}");
    known.all(Verdict::Later).await;
    let over = Instant::now();
    let look = crate::openbao::eventually("a node that is not ready", async || {
        let look = Look::at(lab).await;
        (look.status == 503).then_some(look)
    })
    .await;
    assert_eq!(look.verdict(), (503, false, false), "{look:?}");

    scene.cluster.restart(0).await;
    scene.cluster.unseal(0).await;
    Look::until(lab, "up", "").await;
    known.all(Verdict::LetIn).await;
    let known = known.end().await;
    known.are_all("past max-stale", &[Verdict::LetIn, Verdict::Later]);
    let told = |verdict| known.iter().filter(move |answer| answer.verdict == verdict).map(|answer| answer.began);
    let first = told(Verdict::Later).min().unwrap();
    let last = told(Verdict::LetIn).filter(|began| *began < over).max().unwrap();
    println!(
        "max-stale at {MAX_STALE:?}: the first was told to try later {:.1?} after the fault, the last let in {:.1?}",
        first - struck,
        last - struck,
    );
    // What was read last was read a little before the fault.
    assert!(first - struck > MAX_STALE - Duration::from_secs(1), "{:?}", first - struck);
    assert!(last - struck < MAX_STALE + Duration::from_secs(1), "{:?}", last - struck);
}

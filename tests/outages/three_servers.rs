//! Faults of one of three servers, and of all.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::house::House;
use crate::looks::Look;
use crate::openbao::Cluster;
use crate::scene::{Scene, Witness, hasty, tell};
use crate::traffic::Verdict;

/// For one write, with the election of another leader in it.
const WRITE_TIME_MAX: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn known_clients_log_in_through_every_fault_of_three_servers() {
    let mut scene = Scene::set(3, "1h", hasty).await;
    scene.nuisance("the leader of three killed", lose_the_leader).await;
    scene.nuisance("each of three silent in turn", silence_each).await;
    scene
        .nuisance("the leader of three sealed", async |cluster, witness| {
            let leader = cluster.leader().await;
            cluster.seal(leader).await;
            witness.sees_nothing().await;
            cluster.unseal(leader).await;
            cluster.leader().await;
            witness.goes_on().await;
        })
        .await;
    scene
        .outage(
            "all three silent",
            "no answer",
            async |cluster, _| (0..3).for_each(|node| cluster.pause(node)),
            async |cluster, _| {
                (0..3).for_each(|node| cluster.resume(node));
                cluster.wait_for_quorum().await;
            },
        )
        .await;
    scene.outage("all three sealed", "sealed", seal_all, unseal_all).await;
    ask_one_that_was_cut_off(&mut scene).await;
}

/// It does not have what was written meanwhile, and nobody else answers.
async fn ask_one_that_was_cut_off(scene: &mut Scene) {
    let name = "a follower that was cut off";
    let leader = scene.cluster.leader().await;
    let [follower, other] = [(leader + 1) % 3, (leader + 2) % 3];
    scene.cluster.pause(follower);
    let newcomer = scene.newcomer().await;
    scene.cluster.pause(leader);
    scene.cluster.pause(other);
    scene.cluster.resume(follower);
    scene.cluster.wait_for(follower, 429).await;
    tell(&scene.lab, &newcomer, Verdict::Later, name).await;
    tell(&scene.lab, &scene.lab.alice, Verdict::LetIn, name).await;

    scene.cluster.resume(leader);
    scene.cluster.resume(other);
    scene.cluster.leader().await;
    Look::until(&scene.lab, "up", "").await;
    tell(&scene.lab, &newcomer, Verdict::LetIn, name).await;
}

/// An operator writes while the leader is killed, and after.
async fn lose_the_leader(cluster: &mut Cluster, witness: &Witness<'_>) {
    let leader = cluster.leader().await;
    let directory = &witness.lab.directory;
    let mut account = directory.account(&witness.lab.scanner.address).await.unwrap().unwrap();
    let mut slowest = Duration::ZERO;
    for round in 0..5 {
        if round == 1 {
            cluster.kill(leader);
        }
        let began = Instant::now();
        account.version = directory.put_account(&account.record, Some(account.version)).await.unwrap();
        slowest = slowest.max(began.elapsed());
    }
    println!("an operator's slowest write while the leader was killed: {slowest:.1?}");
    assert!(slowest < WRITE_TIME_MAX, "{slowest:?}");
    witness.sees_nothing().await;
    assert_ne!(cluster.leader().await, leader);
    cluster.restart(leader).await;
    cluster.unseal(leader).await;
    cluster.wait_for(leader, 429).await;
    witness.goes_on().await;
}

/// The leader, and whichever server a node likes best, among them.
async fn silence_each(cluster: &mut Cluster, witness: &Witness<'_>) {
    for node in 0..3 {
        cluster.pause(node);
        witness.sees_nothing().await;
        cluster.resume(node);
        cluster.leader().await;
    }
}

/// The leader by the operator; the others as they come up again, for only who leads can be told to.
async fn seal_all(cluster: &mut Cluster, _: &House) {
    let leader = cluster.leader().await;
    cluster.seal(leader).await;
    for node in (0..3).filter(|node| *node != leader) {
        cluster.kill(node);
        cluster.restart(node).await;
    }
}

async fn unseal_all(cluster: &mut Cluster, _: &House) {
    join_all((0..3).map(|node| cluster.unseal(node))).await;
    cluster.leader().await;
}

//! Faults of the only server.

use crate::house::House;
use crate::openbao::Cluster;
use crate::scene::{Scene, hasty};

/// Shorter than some of the faults: a token that ends meanwhile is replaced by a login afterwards.
const TOKEN_TTL: &str = "3s";

/// A policy that permits nothing that a node does; an empty one is not taken.
const NOTHING: &str = r#"path "elsewhere" { capabilities = ["read"] }"#;

async fn unseal(cluster: &mut Cluster, _: &House) {
    cluster.unseal(0).await;
    cluster.wait_for(0, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_clients_log_in_through_every_fault_of_the_only_server() {
    let mut scene = Scene::set(1, TOKEN_TTL, hasty).await;
    scene.outage("sealed", "sealed", async |cluster, _| cluster.seal(0).await, unseal).await;
    scene
        .outage(
            "killed, and started again",
            "no answer",
            async |cluster, _| cluster.kill(0),
            async |cluster, house| {
                cluster.restart(0).await;
                unseal(cluster, house).await;
            },
        )
        .await;
    scene
        .outage(
            "silent",
            "no answer",
            async |cluster, _| cluster.pause(0),
            async |cluster, _| {
                cluster.resume(0);
                cluster.wait_for(0, 200).await;
            },
        )
        .await;
    scene
        .nuisance("token revoked", async |cluster, witness| {
            // Several times: who finds it revoked while another logs in must not take that for a denial.
            for _ in 0..5 {
                witness.house.revoke_tokens(&cluster.on(0)).await;
                witness.goes_on().await;
            }
            witness.sees_nothing().await;
        })
        .await;
    scene
        .outage(
            "secret id revoked, and the token",
            "secret id",
            async |cluster, house| {
                house.revoke_secret_id(&cluster.on(0)).await;
                house.revoke_tokens(&cluster.on(0)).await;
            },
            async |cluster, house| house.issue_secret_id(&cluster.on(0)).await,
        )
        .await;
    scene
        .outage(
            "policy taken away",
            "denied",
            async |cluster, _| cluster.on(0).write_policy("locum-node", NOTHING).await,
            async |cluster, house| house.write_policies(&cluster.on(0)).await,
        )
        .await;
}

/// As an operator who configures nothing has it.
#[tokio::test(flavor = "multi_thread")]
async fn known_clients_log_in_through_a_silence_with_the_defaults() {
    let mut scene = Scene::set(1, "1h", |_| ()).await;
    scene
        .outage(
            "silent, with the defaults",
            "no answer",
            async |cluster, _| cluster.pause(0),
            async |cluster, _| {
                cluster.resume(0);
                cluster.wait_for(0, 200).await;
            },
        )
        .await;
}

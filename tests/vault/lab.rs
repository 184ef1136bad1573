//! The servers of the lab do what the other tests rely on.

use serde_json::{Value, json};

use crate::openbao::{Authority, Cluster, Dev, Kubernetes, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_memory_is_there_at_once_and_obeys_the_real_program() {
    let dev = Dev::start_with_audit().await;
    dev.mount_kv2("locum").await;
    dev.bao(&["kv", "put", "-cas=0", "locum/accounts/one", "record={}"]).await;
    assert_eq!(dev.bao(&["kv", "get", "-field=record", "locum/accounts/one"]).await.trim_end(), "{}");
    assert!(!dev.try_bao(&["kv", "put", "locum/accounts/one", "record={}"]).await.status.success(), "without cas");
    assert!(dev.audit().iter().any(|event| event["request"]["path"] == "locum/data/accounts/one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_roles_log_in_as_whom_they_were_made_for() {
    let dev = Dev::start().await;
    dev.write_policy("some", r#"path "some/*" { capabilities = ["read"] }"#).await;
    let guest = dev.with_token(&dev.token(&["some"], "1h").await);
    assert_eq!(guest.ok("GET", "auth/token/lookup-self", Value::Null).await["data"]["policies"][1], "some");

    let (role_id, secret_id) = dev.approle("node", &["some"], "7s").await;
    let stranger = dev.with_token("");
    let login = async |secret_id: &str| {
        let login = json!({"role_id": role_id, "secret_id": secret_id});
        stranger.ok("POST", "auth/approle/login", login).await["auth"]["lease_duration"].as_u64()
    };
    assert_eq!(login(&secret_id).await, Some(7));
    let wrapped = dev.wrapped_secret_id("node").await;
    let unwrapped = dev.with_token(&wrapped).ok("POST", "sys/wrapping/unwrap", Value::Null).await;
    assert_eq!(login(unwrapped["data"]["secret_id"].as_str().unwrap()).await, Some(7));

    let team = dev.in_namespace("team").await;
    team.mount_kv2("locum").await;
    assert_eq!(dev.status("GET", "locum/config", Value::Null).await, 404);
    assert_eq!(dev.status("GET", "team/locum/config", Value::Null).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_logs_in_and_a_forger_does_not() {
    let (dev, kubernetes) = (Dev::start().await, Kubernetes::start().await);
    dev.kubernetes_role(&kubernetes, "node", &["some"], "1h").await;
    let stranger = dev.with_token("");
    let login =
        async |jwt: String| stranger.api("POST", "auth/kubernetes/login", json!({"role": "node", "jwt": jwt})).await;
    let (status, answer) = login(kubernetes.service_account_token()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(login(kubernetes.forged_token()).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_logs_in_and_that_of_another_authority_does_not() {
    let cluster = Cluster::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| Authority::new(name, folder.path()));
    let root = cluster.on(0);
    root.cert_role("node", &ours.pem(), &["some"], "1h").await;
    let stranger = root.with_token("");
    let login = async |authority: &Authority| {
        let node = stranger.with_certificate(&authority.client("node1"));
        node.status("POST", "auth/cert/login", json!({"name": "node"})).await
    };
    assert_eq!(login(&ours).await, 200);
    assert_eq!(login(&theirs).await, 400);
    assert_eq!(stranger.status("POST", "auth/cert/login", json!({"name": "node"})).await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_seals_unseals_and_comes_back_from_the_dead() {
    let mut cluster = Cluster::start(1).await;
    let root = cluster.on(0);
    root.mount_kv2("locum").await;
    root.ok("POST", "locum/data/a", json!({"options": {"cas": 0}, "data": {"record": "1"}})).await;
    let read = async || root.api("GET", "locum/data/a", Value::Null).await;

    cluster.seal(0).await;
    assert_eq!(read().await.0, 503);
    cluster.unseal(0).await;
    cluster.wait_for(0, 200).await;
    assert_eq!(read().await.0, 200);

    cluster.kill(0);
    assert_eq!(cluster.health(0).await, None);
    cluster.restart(0).await;
    cluster.unseal(0).await;
    cluster.wait_for(0, 200).await;
    assert_eq!(read().await.1["data"]["data"]["record"], "1");

    cluster.pause(0);
    assert_eq!(cluster.health(0).await, None);
    cluster.resume(0);
    cluster.wait_for(0, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_servers_another_leads_when_the_leader_is_killed() {
    let mut cluster = Cluster::start(3).await;
    assert_eq!(cluster.addresses().len(), 3);
    let first = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|node| *node != first).collect();
    cluster.on(others[0]).mount_kv2("locum").await;
    let write = json!({"options": {"cas": 0}, "data": {"record": "1"}});
    cluster.on(others[1]).ok("POST", "locum/data/a", write).await;

    cluster.kill(first);
    let second = cluster.leader().await;
    assert_ne!(first, second);
    let read = cluster.on(second).ok("GET", "locum/data/a", Value::Null).await;
    assert_eq!(read["data"]["data"]["record"], "1");

    cluster.restart(first).await;
    cluster.unseal(first).await;
    cluster.wait_for(first, 429).await;
    let back = cluster.on(first);
    eventually("the record on the one that came back", async || {
        (back.status("GET", "locum/data/a", Value::Null).await == 200).then_some(())
    })
    .await;
}

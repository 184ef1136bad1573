//! The policies of `config/deploy/vault`, as they are shipped: each lets do its job, and not the others'.

use serde_json::{Value, json};

use crate::openbao::{Api, Dev};

/// Where records lie. The hash is of no meaning here.
const FOLDERS: [&str; 8] = ["accounts", "clients", "tenants", "tokens", "usage", "seen", "tickets", "operators"];
const HASH: &str = "p7retqmrh3aapwznlmu6dmkuf74cvkn3";
const SECRET: &str = "the-app-password";

/// A server with a record of each kind and a feed, and somebody with the policy of that name.
async fn as_holder_of(policy: &str) -> (Dev, Api) {
    let dev = Dev::start().await;
    dev.mount_kv2("locum").await;
    for path in records() {
        dev.ok("POST", &path, write(0)).await;
    }
    let file = format!("{}/config/deploy/vault/{policy}.hcl", env!("CARGO_MANIFEST_DIR"));
    dev.write_policy(policy, &std::fs::read_to_string(file).unwrap()).await;
    let token = dev.token(&[policy], "1h").await;
    let holder = dev.with_token(&token);
    (dev, holder)
}

fn records() -> Vec<String> {
    let kinds = FOLDERS.map(|folder| format!("locum/data/{folder}/{HASH}"));
    [&kinds[..], &feed()].concat()
}

fn feed() -> [String; 2] {
    ["head", "ring"].map(|key| format!("locum/data/changes/{key}"))
}

fn write(version: u64) -> Value {
    json!({"options": {"cas": version}, "data": {"record": SECRET}})
}

/// Panics unless all of these calls are refused for want of rights.
async fn refuses(holder: &Api, calls: &[(&str, String, Value)]) {
    for (method, path, body) in calls {
        let (status, answer) = holder.api(method, path, body.clone()).await;
        assert_eq!(status, 403, "{method} {path}: {answer}");
    }
}

/// What none of them may do: touch rights, logins, mounts, or the settings of this one, or leave the places of records.
async fn keeps_to_the_records(holder: &Api) {
    let call = |method, path: &str, body| (method, path.to_owned(), body);
    let mut calls = vec![
        call("LIST", "locum/metadata/", Value::Null),
        call("GET", "sys/policies/acl/locum-node", Value::Null),
        call("PUT", "sys/policies/acl/locum-node", json!({"policy": "path \"*\" { capabilities = [\"sudo\"] }"})),
        call("GET", "sys/mounts", Value::Null),
        call("POST", "sys/mounts/locum/tune", json!({"default_lease_ttl": "1h"})),
        call("DELETE", "sys/mounts/locum", Value::Null),
        call("POST", "sys/auth/other", json!({"type": "approle"})),
        call("POST", "auth/token/create", json!({"policies": ["root"]})),
        call("POST", "locum/config", json!({"cas_required": false})),
    ];
    for folder in FOLDERS.iter().chain(&["changes"]) {
        calls.push(call("GET", &format!("locum/data/{folder}/deeper/{HASH}"), Value::Null));
        calls.push(call("POST", &format!("locum/data/{folder}/deeper/{HASH}"), write(0)));
        // It would lift the demand for compare-and-set.
        calls.push(call("POST", &format!("locum/metadata/{folder}/{HASH}"), json!({"cas_required": false})));
        // A deleted version can be brought back, so neither is of use: records are written over, and destroyed.
        calls.push(call("DELETE", &format!("locum/data/{folder}/{HASH}"), Value::Null));
        calls.push(call("POST", &format!("locum/undelete/{folder}/{HASH}"), json!({"versions": [1]})));
    }
    refuses(holder, &calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_reads_records_and_the_feed_keeps_refresh_tokens_and_tells_of_use() {
    let (_dev, node) = as_holder_of("locum-node").await;
    for path in records() {
        assert_eq!(node.ok("GET", &path, Value::Null).await["data"]["data"]["record"], SECRET);
    }
    for folder in ["tokens", "usage", "seen", "tickets"] {
        let own = format!("locum/data/{folder}/{HASH}");
        node.ok("POST", &own, write(1)).await;
        assert_eq!(node.status("POST", &own, write(1)).await, 400, "that version is gone");
        node.ok("POST", &own.replace('7', "2"), write(0)).await;
    }

    let config = node.ok("GET", "locum/config", Value::Null).await;
    assert_eq!(config["data"]["cas_required"], true);
    // For this it needs no grant but that of some path below the mount.
    let mount = node.ok("GET", "sys/internal/ui/mounts/locum", Value::Null).await;
    assert_eq!(mount["data"]["options"]["version"], "2");
    node.ok("GET", "auth/token/lookup-self", Value::Null).await;
    node.ok("POST", "auth/token/renew-self", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_writes_no_app_password_and_sees_no_more_than_it_is_asked_for() {
    let (dev, node) = as_holder_of("locum-node").await;
    let mut calls = Vec::new();
    for folder in ["accounts", "clients", "tenants", "operators"] {
        for hash in [HASH.to_owned(), HASH.replace('7', "2")] {
            for version in [0, 1] {
                calls.push(("POST", format!("locum/data/{folder}/{hash}"), write(version)));
            }
            calls.push(("PATCH", format!("locum/data/{folder}/{hash}"), write(1)));
        }
    }
    calls.extend(feed().map(|path| ("POST", path, write(1))));
    for folder in FOLDERS {
        calls.push(("LIST", format!("locum/metadata/{folder}"), Value::Null));
        calls.push(("LIST", format!("locum/metadata/{folder}/"), Value::Null));
        calls.push(("LIST", format!("locum/detailed-metadata/{folder}"), Value::Null));
        calls.push(("GET", format!("locum/metadata/{folder}/{HASH}"), Value::Null));
        calls.push(("DELETE", format!("locum/metadata/{folder}/{HASH}"), Value::Null));
        calls.push(("POST", format!("locum/destroy/{folder}/{HASH}"), json!({"versions": [1]})));
        calls.push(("POST", format!("locum/delete/{folder}/{HASH}"), json!({"versions": [1]})));
    }
    refuses(&node, &calls).await;
    keeps_to_the_records(&node).await;
    for path in records() {
        let kept = dev.ok("GET", &path, Value::Null).await;
        assert_eq!(
            (&kept["data"]["metadata"]["version"], &kept["data"]["data"]["record"]),
            (&json!(1), &json!(SECRET))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_lists_and_writes_accounts_and_domains_and_makes_or_forgets_none() {
    let (_dev, keeper) = as_holder_of("locum-keeper").await;
    for folder in ["accounts", "tenants"] {
        let listed = keeper.ok("LIST", &format!("locum/metadata/{folder}"), Value::Null).await;
        assert_eq!(listed["data"]["keys"], json!([HASH]));
        let path = format!("locum/data/{folder}/{HASH}");
        assert_eq!(keeper.ok("GET", &path, Value::Null).await["data"]["data"]["record"], SECRET);
        keeper.ok("POST", &path, write(1)).await;
        assert_eq!(keeper.status("POST", &path, write(1)).await, 400, "that version is gone");
    }
    for path in feed() {
        keeper.ok("POST", &path, write(1)).await;
    }
    let listed = keeper.ok("LIST", "locum/metadata/usage", Value::Null).await;
    assert_eq!(listed["data"]["keys"], json!([HASH]));
    let told = format!("locum/data/usage/{HASH}");
    assert_eq!(keeper.ok("GET", &told, Value::Null).await["data"]["data"]["record"], SECRET);
    let mut calls = vec![("POST", told, write(1))];
    for folder in ["accounts", "tenants", "usage"] {
        calls.push(("POST", format!("locum/data/{folder}/{}", HASH.replace('7', "2")), write(0)));
    }
    for folder in ["clients", "tokens", "seen", "tickets", "operators"] {
        calls.push(("GET", format!("locum/data/{folder}/{HASH}"), Value::Null));
        calls.push(("POST", format!("locum/data/{folder}/{HASH}"), write(1)));
        calls.push(("LIST", format!("locum/metadata/{folder}"), Value::Null));
    }
    for folder in FOLDERS {
        calls.push(("DELETE", format!("locum/metadata/{folder}/{HASH}"), Value::Null));
        calls.push(("POST", format!("locum/destroy/{folder}/{HASH}"), json!({"versions": [1]})));
    }
    refuses(&keeper, &calls).await;
    keeps_to_the_records(&keeper).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_window_makes_clients_and_accounts_and_lists_or_forgets_none() {
    let (_dev, node) = as_holder_of("locum-enrolment").await;
    for folder in ["accounts", "clients"] {
        let path = format!("locum/data/{folder}/{HASH}");
        node.ok("POST", &path, write(1)).await;
        assert_eq!(node.status("POST", &path, write(1)).await, 400, "that version is gone");
        node.ok("POST", &path.replace('7', "2"), write(0)).await;
        assert_eq!(node.ok("GET", &path, Value::Null).await["data"]["data"]["record"], SECRET);
    }
    for path in feed() {
        node.ok("POST", &path, write(1)).await;
    }
    let mut calls = Vec::new();
    for folder in FOLDERS.iter().filter(|folder| !["accounts", "clients"].contains(folder)) {
        calls.push(("GET", format!("locum/data/{folder}/{HASH}"), Value::Null));
        calls.push(("POST", format!("locum/data/{folder}/{HASH}"), write(1)));
    }
    for folder in FOLDERS {
        calls.push(("LIST", format!("locum/metadata/{folder}"), Value::Null));
        calls.push(("DELETE", format!("locum/metadata/{folder}/{HASH}"), Value::Null));
        calls.push(("POST", format!("locum/destroy/{folder}/{HASH}"), json!({"versions": [1]})));
    }
    refuses(&node, &calls).await;
    keeps_to_the_records(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_writes_lists_and_destroys_records_and_nothing_else() {
    let (_dev, operator) = as_holder_of("locum-operator").await;
    let is_of_nodes_alone = |path: &String| path.contains("/tickets/");
    for path in records().iter().filter(|path| is_of_nodes_alone(path)) {
        refuses(&operator, &[("GET", path.clone(), Value::Null), ("POST", path.clone(), write(1))]).await;
    }
    for path in records().into_iter().filter(|path| !is_of_nodes_alone(path)) {
        operator.ok("POST", &path, write(1)).await;
        assert_eq!(operator.ok("GET", &path, Value::Null).await["data"]["metadata"]["version"], 2);
    }
    for folder in FOLDERS {
        let listed = operator.ok("LIST", &format!("locum/metadata/{folder}"), Value::Null).await;
        assert_eq!(listed["data"]["keys"], json!([HASH]));
        let metadata = format!("locum/metadata/{folder}/{HASH}");
        operator.ok("POST", &format!("locum/destroy/{folder}/{HASH}"), json!({"versions": [1]})).await;
        let versions = operator.ok("GET", &metadata, Value::Null).await;
        assert_eq!(versions["data"]["versions"]["1"]["destroyed"], true);
    }
    operator.ok("GET", "locum/config", Value::Null).await;
    keeps_to_the_records(&operator).await;
    for folder in FOLDERS {
        operator.ok("DELETE", &format!("locum/metadata/{folder}/{HASH}"), Value::Null).await;
        // What nodes tell is theirs to make.
        let made = if matches!(folder, "usage" | "seen" | "tickets") { 403 } else { 200 };
        let path = format!("locum/data/{folder}/{HASH}");
        assert_eq!(operator.status("POST", &path, write(0)).await, made, "{folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_sees_when_records_were_written_and_none_of_them() {
    let (_dev, auditor) = as_holder_of("locum-auditor").await;
    for folder in FOLDERS {
        let listed = auditor.ok("LIST", &format!("locum/metadata/{folder}"), Value::Null).await;
        assert_eq!(listed["data"]["keys"], json!([HASH]));
        let metadata = auditor.ok("GET", &format!("locum/metadata/{folder}/{HASH}"), Value::Null).await;
        assert!(metadata["data"]["versions"]["1"]["created_time"].is_string(), "{metadata}");
        assert!(!metadata.to_string().contains(SECRET));
    }
    auditor.ok("GET", "locum/metadata/changes/head", Value::Null).await;

    let mut calls = Vec::new();
    for path in records() {
        calls.push(("GET", path.clone(), Value::Null));
        calls.push(("GET", format!("{path}?version=1"), Value::Null));
        calls.push(("POST", path.clone(), write(1)));
        calls.push(("DELETE", path.replace("/data/", "/metadata/"), Value::Null));
        calls.push(("POST", path.replace("/data/", "/destroy/"), json!({"versions": [1]})));
    }
    refuses(&auditor, &calls).await;
    keeps_to_the_records(&auditor).await;
}

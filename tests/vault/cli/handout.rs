//! A secret that is handed out once: by a token of the server, which takes it out and no second time.

use serde_json::json;

use super::{APP_PASSWORD, CONFIG, Office};

const ALICE: &str = "alice@gmail.test";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_taken_out_once() {
    let office = Office::open().await;
    office.add_account(ALICE);
    let issued = office.run(&["client", "issue", "scan", "--account", ALICE, "--wrap", "10m"]).succeeded();
    issued.said("takes it out, once, within 10 minutes, with `bao unwrap TOKEN` or `vault unwrap TOKEN`");
    let token = issued.stdout.trim_end();
    assert!(!issued.stdout.contains("lo_") && !issued.stderr.contains("lo_") && !issued.stderr.contains(token));
    let shown = office.run(&["client", "show", "scan", "--json"]).succeeded().json();
    // Who is handed it has nothing but the token.
    let holder = office.server.with_token(token);
    let unwrapped = holder.ok("POST", "sys/wrapping/unwrap", json!({})).await;
    let data = &unwrapped["data"];
    assert_eq!((&data["login"], &data["id"]), (&json!("scan"), &shown["secrets"][0]["id"]));
    let id = data["id"].as_str().unwrap();
    let secret = data["secret"].as_str().unwrap();
    assert!(secret.starts_with(&format!("lo_{id}_")) && secret.len() == 38, "it is the secret");
    assert_eq!(holder.status("POST", "sys/wrapping/unwrap", json!({})).await, 400, "once, and no more");

    let issued = office.run(&["client", "issue", "scan", "--wrap", "1h", "--json"]).succeeded().json();
    assert_eq!((&issued["ttl"], issued.get("secret")), (&json!(3600), None), "{issued}");
    let token = issued["wrapping_token"].as_str().unwrap();
    let printed = office.server.bao(&["unwrap", "-field=secret", token]).await;
    assert!(printed.trim_end().starts_with(&format!("lo_{}_", issued["id"].as_str().unwrap())), "as it is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_wrap_issues_nothing() {
    let office = Office::open().await;
    office.add_account(ALICE);
    office.run(&["client", "issue", "scan", "--account", ALICE]).succeeded();
    let before = office.records().await;
    office
        .server
        .ok(
            "POST",
            "sys/policies/acl/no-wrapping",
            json!({
                "policy": "path \"sys/wrapping/wrap\" { capabilities = [\"deny\"] }"
            }),
        )
        .await;
    let lesser = office.server.token(&["locum-operator", "no-wrapping"], "1h").await;
    let denied = office.desk.run_as(&lesser, &["client", "issue", "scan", "--wrap", "1h"], APP_PASSWORD).ended(CONFIG);
    denied.said("cannot wrap a secret (sys/wrapping/wrap)");
    assert!(denied.stdout.is_empty(), "{denied:#?}");
    assert_eq!(office.records().await, before);
}

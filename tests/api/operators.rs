//! The life of an operator by the API.

use serde_json::{Value, json};

use super::{here, lab, operator, signed_in};

#[tokio::test]
async fn an_operator_is_made_changed_and_revoked() {
    let (lab, api) = lab().await;
    let admin = signed_in(&lab, &api, "admin").await;
    let new =
        json!({"name": "alice@example.com", "role": "viewer", "label": "laptop", "expires": "2099-01-01T00:00:00Z"});
    let answer = admin.post("/v1/operators", new.clone()).await.is(201);
    assert_eq!(answer.header("location"), Some("/v1/operators/alice@example.com"));
    let made = answer.value();
    admin.post("/v1/operators", new).await.is(409);
    let alice = api.with(made["token"].as_str().unwrap());
    assert_eq!(alice.get("/v1/whoami").await.is(200).value()["expires"], "2099-01-01T00:00:00Z");

    let path = "/v1/operators/alice@example.com";
    let second = admin.post(&format!("{path}/tokens"), json!({})).await.is(201).value();
    assert_ne!(second["id"], made["id"]);
    let shown = admin.get(path).await.is(200);
    assert!(!shown.body.contains(made["token"].as_str().unwrap()), "it was shown once");
    let tokens = shown.value()["tokens"].as_array().unwrap().clone();
    assert_eq!((tokens.len(), &tokens[0]["label"], &tokens[0]["expired"]), (2, &"laptop".into(), &false.into()));

    admin.json("PATCH", path, json!({"role": "operator"})).await.is(200);
    assert_eq!(alice.get("/v1/whoami").await.is(200).value()["role"], "operator");
    admin.delete(path).await.is(204);
    alice.get("/v1/whoami").await.is(401);
    admin.get(path).await.is(404);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (lab, _) = lab().await;
    let admin = here(&lab);
    let long = "x".repeat(65);
    for name in ["", " alice", "a b", "a/b", "locum", "ä", long.as_str()] {
        admin.post("/v1/operators", json!({"name": name, "role": "viewer"})).await.is(422);
    }
    let past = json!({"name": "alice", "role": "viewer", "expires": "2020-01-01T00:00:00Z"});
    admin.post("/v1/operators", past).await.is(422);
    operator(&lab, "alice", "viewer").await;
    for _ in 1..16 {
        admin.post("/v1/operators/alice/tokens", json!({})).await.is(201);
    }
    admin.post("/v1/operators/alice/tokens", json!({})).await.is(409);
}

#[tokio::test]
async fn the_last_admin_stays_unless_it_is_said() {
    let (lab, api) = lab().await;
    let made = operator(&lab, "root", "admin").await;
    let (root, id) = (api.with(made["token"].as_str().unwrap()), made["id"].as_str().unwrap());
    root.json("PATCH", "/v1/operators/root", json!({"role": "viewer"})).await.is(409);
    root.delete("/v1/operators/root").await.is(409);
    root.delete(&format!("/v1/operators/root/tokens/{id}")).await.is(409);
    let second = root.post("/v1/operators/root/tokens", json!({})).await.is(201).value();
    root.delete(&format!("/v1/operators/root/tokens/{}", second["id"].as_str().unwrap())).await.is(204);
    operator(&lab, "other", "admin").await;
    root.json("PATCH", "/v1/operators/root", json!({"role": "viewer"})).await.is(200);
    here(&lab).delete("/v1/operators/other").await.is(409);
    here(&lab).delete("/v1/operators/other?even_last_admin=true").await.is(204);
}

#[tokio::test]
async fn a_list_has_parts() {
    let (lab, _) = lab().await;
    for name in ["a", "b", "c"] {
        operator(&lab, name, "viewer").await;
    }
    let (admin, mut names, mut after) = (here(&lab), Vec::new(), Value::Null);
    for _ in 0..3 {
        let cursor = after.as_str().map(|after| format!("&after={after}")).unwrap_or_default();
        let page = admin.get(&format!("/v1/operators?limit=2{cursor}")).await.is(200).value();
        names.extend(page["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

//! A POST that is sent again with its key is done once.

use serde_json::json;

use super::{here, lab};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn what_was_made_with_a_key_is_made_once_and_its_secret_is_told_once() {
    let (lab, _) = lab().await;
    let (admin, key) = (here(&lab), ("idempotency-key", "5f1c"));
    let new = json!({"name": "alice", "role": "viewer"}).to_string();
    let made = admin.send("POST", "/v1/operators", &[JSON, key], &new).await.is(201).value();
    let again = admin.send("POST", "/v1/operators", &[JSON, key], &new).await.is(409);
    assert!(again.value()["detail"].as_str().unwrap().contains("/v1/operators/alice"), "{again:?}");
    assert!(!again.body.contains(made["token"].as_str().unwrap()));
    let other = json!({"name": "bob", "role": "viewer"}).to_string();
    admin.send("POST", "/v1/operators", &[JSON, key], &other).await.is(422);
    admin.get("/v1/operators/bob").await.is(404);
    let third = ("idempotency-key", "");
    admin.send("POST", "/v1/operators", &[JSON, third], &other).await.is(400);
}

#[tokio::test]
async fn what_failed_may_be_tried_again() {
    let (lab, _) = lab().await;
    let (admin, key) = (here(&lab), ("idempotency-key", "5f1c"));
    let body = json!({"label": "laptop"}).to_string();
    admin.send("POST", "/v1/operators/alice/tokens", &[JSON, key], &body).await.is(404);
    super::operator(&lab, "alice", "viewer").await;
    admin.send("POST", "/v1/operators/alice/tokens", &[JSON, key], &body).await.is(201);
}

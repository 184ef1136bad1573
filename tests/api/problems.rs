//! Whatever is wrong with a request, the answer is a problem document that says so, without what was sent.

use serde_json::json;

use super::support::Answer;
use super::{here, lab, signed_in};

#[track_caller]
fn is_problem(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    let problem = answer.value();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    assert!(!answer.body.contains("canary"), "{answer:?}");
}

#[tokio::test]
async fn what_is_not_there_or_not_so_is_said() {
    let (lab, api) = lab().await;
    let admin = signed_in(&lab, &api, "admin").await;
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/operators/", "/v1/operators/a/b/c/d"] {
        is_problem(&admin.get(path).await, 404, "nothing at this path");
        is_problem(&api.get(path).await, 401, "Authorization");
    }
    let answer = admin.json("PUT", "/v1/operators", json!({})).await;
    is_problem(&answer, 405, "not with this method");
    assert_eq!(answer.header("allow"), Some("get,head,post"), "{answer:?}");
    is_problem(&admin.get("/v1/operators/nobody").await, 404, "no operator nobody");
    is_problem(&admin.get("/v1/operators/%00canary").await, 422, "letters, digits");
    is_problem(&admin.get("/v1/operators/%ff").await, 400, "path");
}

#[tokio::test]
async fn a_query_is_read_to_the_letter() {
    let (lab, _) = lab().await;
    let admin = here(&lab);
    for query in ["limit=0", "limit=201", "limit=canary", "limit=-1", "after=canary", "limit=1&limit=2"] {
        is_problem(&admin.get(&format!("/v1/operators?{query}")).await, 400, "");
    }
    is_problem(&admin.get("/v1/operators?limt=canary").await, 400, "what is read: after, limit");
    is_problem(&admin.get("/v1/whoami?canary").await, 400, "nothing reads it");
    admin.get("/v1/operators?limit=200").await.is(200);
}

#[tokio::test]
async fn a_body_is_json_of_the_form_that_belongs_there() {
    let (lab, _) = lab().await;
    let (admin, json) = (here(&lab), ("content-type", "application/json"));
    let path = "/v1/operators";
    for (body, status, says) in [
        ("", 400, "ends too early"),
        ("{\"name\":\"canary\"", 400, "ends too early"),
        ("canary", 400, "no JSON"),
        ("{\"name\":\"canary\",\"role\":\"viewer\"}}", 400, "no JSON"),
        ("[\"canary\",\"viewer\"]", 422, "object"),
        ("{\"name\":\"canary\"}", 422, "missing field `role`"),
        ("{\"name\":\"canary\",\"role\":\"canary\"}", 422, "`role`: expected one of"),
        ("{\"name\":\"canary\",\"role\":\"viewer\",\"roel\":1}", 422, "unknown field `roel`"),
        ("{\"name\":\"canary\",\"role\":\"viewer\",\"expires\":\"canary\"}", 422, "`expires`"),
    ] {
        is_problem(&admin.send("POST", path, &[json], body).await, status, says);
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    is_problem(&admin.send("POST", path, &[form], "name=canary").await, 415, "application/json");
    is_problem(&admin.send("POST", path, &[], "{}").await, 415, "application/json");
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    is_problem(&admin.send("POST", path, &[json], &long).await, 413, "1048576 bytes");
}

#[tokio::test]
async fn the_probes_are_as_they_were() {
    let (_lab, api) = lab().await;
    assert_eq!(api.get("/healthz").await.is(200).body, "alive\n");
    api.get("/metrics").await.is(200);
    assert!(api.get("/other").await.is(404).body.contains("/healthz, /readyz and /metrics"));
}

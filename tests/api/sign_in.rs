//! Signing in: with what, for how long, and what becomes of those who try.

use std::time::{Duration, Instant};

use locum::model::Protocol;
use locum::net::Stream;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::support::{Api, Lab, Plan, exchange};
use super::{ADMIN, here, lab, operator, signed_in};

/// The audit, once there is an event about each of these: it is written by a thread of its own.
async fn audited(lab: &Lab, subjects: &[&str]) -> Vec<Value> {
    let is_about = |event: &Value, subject: &str| event["subject"].as_str().is_some_and(|it| it.starts_with(subject));
    let began = Instant::now();
    loop {
        let audit = lab.audit();
        if subjects.iter().all(|subject| audit.iter().any(|event| is_about(event, subject))) {
            return audit;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{audit:?}");
        tokio::task::yield_now().await;
    }
}

fn token(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

#[tokio::test]
async fn a_token_signs_in_until_it_is_revoked() {
    let (lab, api) = lab().await;
    let made = operator(&lab, "alice", "operator").await;
    let alice = api.with(token(&made));
    let who = alice.get("/v1/whoami").await.is(200).value();
    let expected = json!({
        "name": "alice", "role": "operator", "token": made["id"], "expires": null, "from": "127.0.0.1"
    });
    assert_eq!(who, expected);
    here(&lab).delete(&format!("/v1/operators/alice/tokens/{}", made["id"].as_str().unwrap())).await.is(204);
    let began = Instant::now();
    while alice.get("/v1/whoami").await.status != 401 {
        assert!(began.elapsed() < Duration::from_secs(2), "it is still good");
    }
}

#[tokio::test]
async fn by_the_socket_an_admin_asks() {
    let (lab, _) = lab().await;
    let who = here(&lab).get("/v1/whoami").await.is(200).value();
    assert_eq!((&who["role"], &who["token"], &who["from"]), (&"admin".into(), &Value::Null, &Value::Null));
    assert!(who["name"].as_str().unwrap().contains('@'), "{who}");
    let made = operator(&lab, "bob", "viewer").await;
    let bob = here(&lab).with(token(&made));
    assert_eq!(bob.get("/v1/whoami").await.is(200).value()["name"], "bob", "a token is more than a socket");
}

#[tokio::test]
async fn what_is_no_token_is_borne_with_some_times() {
    let (lab, api) = lab().await;
    let made = operator(&lab, "alice", "viewer").await;
    let alice = api.with(token(&made));
    alice.get("/v1/whoami").await.is(200);
    let late = operator(&lab, "late", "viewer").await;
    let of_form = format!("{}{}", &token(&made)[..47], "a".repeat(26));
    let mut refused = 0;
    let held_back = loop {
        let answer = api.with(["locum_", "canary", &of_form][refused % 3]).get("/v1/whoami").await;
        match answer.status {
            401 => refused += 1,
            _ => break answer.is(429),
        }
    };
    assert_eq!(refused, 10);
    assert!((1..=60).contains(&held_back.header("retry-after").unwrap().parse::<u32>().unwrap()));
    alice.get("/v1/whoami").await.is(200); // who was here of late is not kept out
    api.with(token(&late)).get("/v1/whoami").await.is(429);

    // What is put down last stands behind all that was put down before.
    operator(&lab, "last", "viewer").await;
    let audit = audited(&lab, &["last (viewer)"]).await;
    let failed: Vec<_> = audit.iter().filter(|event| event["action"] == "sign-in").collect();
    assert_eq!(failed.len(), 10, "what nobody looks at is no line");
    assert!(failed.iter().all(|event| event["outcome"] == "failed" && event["peer"] == "127.0.0.1"), "{failed:?}");
    let text = std::fs::read_to_string(lab.path("audit.jsonl")).unwrap();
    for secret in ["canary", &of_form, token(&made), token(&late)] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn what_operators_change_stands_in_the_audit() {
    let (lab, api) = lab().await;
    let made = operator(&lab, "alice", "viewer").await;
    api.with(token(&made)).post("/v1/reload", json!({})).await.is(403);
    here(&lab).delete("/v1/operators/nobody").await.is(404);
    let audit = audited(&lab, &["alice (viewer)", "/v1/reload", "/v1/operators/nobody"]).await;
    let find =
        |action: &str| audit.iter().find(|event| event["action"] == action).unwrap_or_else(|| panic!("{audit:?}"));
    let added = find("POST /v1/operators");
    assert_eq!((&added["outcome"], &added["peer"]), (&"done".into(), &Value::Null));
    assert_eq!(find("operator-add")["subject"], format!("alice (viewer), token {}", made["id"].as_str().unwrap()));
    let refused = find("POST /v1/reload");
    assert_eq!((&refused["outcome"], &refused["actor"]), (&"refused".into(), &"alice".into()));
    assert_eq!((&refused["token"], &refused["peer"]), (&made["id"], &"127.0.0.1".into()));
    let failed = find("DELETE /v1/operators/{name}");
    assert_eq!((&failed["outcome"], &failed["reason"]), (&"failed".into(), &"there is no operator nobody".into()));
    assert_eq!(failed["subject"], "/v1/operators/nobody");
}

#[tokio::test]
async fn under_tls_the_same_is_said() {
    let lab = Plan::new().toml(&format!("{ADMIN}tls = true\n")).start().await;
    let made = operator(&lab, "alice", "viewer").await;
    let socket = TcpStream::connect(lab.address("admin")).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = Stream::Plain(socket).connect_tls(lab.client_tls.clone(), name).await.unwrap();
    let head = "GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let answer = exchange(stream, &format!("{head}authorization: Bearer {}\r\n\r\n", token(&made))).await;
    assert_eq!(answer.is(200).value()["name"], "alice");
}

/// A proxy on this machine asks for others, who are not on it.
#[tokio::test]
async fn behind_a_proxy_numbers_and_reasons_are_for_operators() {
    let plan = Plan::new().toml(ADMIN).tune(|config| config.session.sessions_max = 4);
    let lab = plan.start().await;
    let (api, viewer) =
        (Api::at(lab.address("admin")), signed_in(&lab, &Api::at(lab.address("admin")), "viewer").await);
    let mut full = Vec::new();
    for _ in 0..4 {
        full.push(lab.log_in(Protocol::Imap, &lab.alice).await);
    }
    let why = "as many as there may be";
    assert!(api.get("/readyz").await.is(200).body.contains(why), "on this machine, nobody has to sign in");
    for name in ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"] {
        let headers = [(name, "192.0.2.7")];
        api.send("GET", "/metrics", &headers, "").await.is(401);
        let told = api.send("GET", "/readyz", &headers, "").await.is(200);
        assert!(
            told.body.contains("\"full\"") && !told.body.contains(why) && !told.body.contains("remedy"),
            "{told:?}"
        );
        api.send("GET", "/healthz", &headers, "").await.is(200);
        viewer.send("GET", "/metrics", &headers, "").await.is(200);
        assert!(viewer.send("GET", "/readyz", &headers, "").await.is(200).body.contains(why));
    }
    api.with("locum_op_nobody").send("GET", "/readyz", &[("Via", "x")], "").await.is(401);
}

#[tokio::test]
async fn a_node_says_what_it_is() {
    let (lab, _) = lab().await;
    let node = here(&lab).get("/v1/node").await.is(200).value();
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(node["store"], json!({"kind": "sqlite", "state": "up", "lasting_seconds": null}));
    let listeners = node["listeners"].as_array().unwrap();
    let imaps = listeners.iter().find(|it| it["name"] == "imaps").unwrap();
    assert_eq!((&imaps["protocol"], &imaps["tls"]), (&"imap".into(), &"implicit".into()));
    assert_eq!(imaps["addresses"][0], lab.address("imaps").to_string());
    assert!(node["config"].as_str().unwrap().ends_with("locum.toml"), "{node}");
}

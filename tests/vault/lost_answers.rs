//! Writes whose answer never comes, and writers that leave in the middle: what was done is neither denied nor forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use locum::model::Secret;
use locum::store::{Expected, Store, StoreError};
use serde_json::{Value, json};

use crate::impostor::{Impostor, absent, conflict, entry, written};
use crate::openbao::{Dev, eventually};
use crate::place::{Place, account};

/// The requests that begin so.
fn sent(server: &Impostor, beginning: &str) -> Vec<String> {
    server.requests().into_iter().filter(|request| request.starts_with(beginning)).collect()
}

#[tokio::test]
async fn a_writer_that_leaves_takes_no_change_of_others_along() {
    let looks = AtomicUsize::new(0);
    let server = Impostor::behind_proof(move |request| match request {
        look if look.starts_with("GET") && look.contains("/changes/ring") => {
            let is_first = looks.fetch_add(1, Ordering::Relaxed) == 0;
            (!is_first).then(absent)
        }
        look if look.starts_with("GET") => Some(absent()),
        _ => Some(written(1)),
    })
    .await;
    let place = Place::new(&[server.address()], None, "s.token");
    let vault = place.connected().await;
    let write = |name: &str| {
        let (vault, id) = (Arc::clone(&vault), account(name));
        tokio::spawn(async move { vault.write(&id, &Secret::new("x"), Expected::Absent).await })
    };

    let first = write("first");
    let looked = async || (!sent(&server, "GET /v1/locum/data/changes/ring").is_empty()).then_some(());
    eventually("the first to have the feed's turn", looked).await;
    first.abort();
    write("second").await.unwrap().unwrap();
    let [ring] = &sent(&server, "POST /v1/locum/data/changes/ring")[..] else { panic!("{:?}", server.requests()) };
    for name in ["first", "second"] {
        assert!(ring.contains(&account(name).to_string()), "{name} is not in the feed: {ring}");
    }
}

/// What a request to write says its name is.
fn attempt(request: &str) -> String {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    body["data"]["attempt"].as_str().unwrap().to_owned()
}

/// A server that loses the answer to the first write. Somebody else has made version 2 since then, which is `now`; what was
/// version 1 is told by `before`, which is given the name of the write.
async fn forgetful(now: Value, before: impl Fn(String) -> (String, String) + Send + Sync + 'static) -> Impostor {
    let first = std::sync::Mutex::new(None::<String>);
    Impostor::behind_proof(move |request| {
        let mut first = first.lock().unwrap();
        Some(match request {
            it if it.contains("/changes/") => absent(),
            it if it.starts_with("POST") && first.is_none() => {
                *first = Some(attempt(it));
                ("502 Bad Gateway".into(), String::new())
            }
            it if it.starts_with("POST") => conflict(),
            it if it.contains("version=1") => before(first.clone().unwrap_or_default()),
            _ => entry(2, &now),
        })
    })
    .await
}

fn theirs() -> Value {
    json!({"record": "theirs", "attempt": "theirs"})
}

fn ours(attempt: String) -> (String, String) {
    entry(1, &json!({"record": "ours", "attempt": attempt}))
}

#[tokio::test]
async fn a_write_that_was_replaced_before_its_answer_came_was_one() {
    let server = forgetful(theirs(), ours).await;
    let place = Place::new(&[server.address()], None, "s.token");
    let written = place.connected().await.write(&account("a"), &Secret::new("ours"), Expected::Absent).await;
    assert_eq!(written.unwrap().to_string(), "1");
}

#[tokio::test]
async fn a_write_whose_version_is_somebody_elses_was_none() {
    let server = forgetful(theirs(), |_| entry(1, &theirs())).await;
    let place = Place::new(&[server.address()], None, "s.token");
    let written = place.connected().await.write(&account("a"), &Secret::new("ours"), Expected::Absent).await;
    assert!(matches!(written, Err(StoreError::Conflict { .. })), "{written:?}");
}

#[tokio::test]
async fn what_was_made_and_deleted_before_the_answer_came_is_not_made_again() {
    const DESTROYED: &str = r#"{"data":{"data":null,"metadata":{"destroyed":true,"version":1}}}"#;
    let befores: [fn(String) -> (String, String); 2] = [ours, |_| ("404 Not Found".into(), DESTROYED.into())];
    for before in befores {
        let server = forgetful(json!({"deleted": "true", "attempt": "theirs"}), before).await;
        let place = Place::new(&[server.address()], None, "s.token");
        let written = place.connected().await.write(&account("a"), &Secret::new("ours"), Expected::Absent).await;
        assert!(written.as_ref().map_or_else(StoreError::is_transient, |_| true), "{written:?}");
        assert_eq!(sent(&server, "POST /v1/locum/data/accounts").len(), 2);
    }
}

#[tokio::test]
async fn who_is_told_of_a_conflict_by_a_server_that_is_behind_waits_for_it() {
    let server =
        Impostor::behind_proof(|request| Some(if request.starts_with("POST") { conflict() } else { absent() })).await;
    let place = Place::new(&[server.address()], None, "s.token");
    let vault = place.connected().await;
    let (id, value) = (account("a"), Secret::new("x"));
    let writing = vault.write(&id, &value, Expected::Absent);
    assert!(tokio::time::timeout(Duration::from_secs(1), writing).await.is_err(), "it may know better soon");
    let tries = sent(&server, "POST").len();
    assert!((2..=10).contains(&tries), "{tries} tries in a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_denied_is_not_said_to_be_possible() {
    let server = Dev::start().await;
    server.mount_kv2("locum").await;
    server.write_policy("reader", r#"path "locum/data/accounts/+" { capabilities = ["read"] }"#).await;
    let place = Place::new(&[server.address()], None, &server.token(&["reader"], "1h").await);
    let error = place.connected().await.write(&account("a"), &Secret::new("x"), Expected::Absent).await.unwrap_err();
    assert!(error.to_string().contains("cannot write") && !error.to_string().contains("may have"), "{error}");
}

//! The traps of the client library and of the servers, each with the test that shows it closed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use locum::model::{RecordId, RecordKind, Secret};
use locum::store::vault::{Login, Rights, Vault};
use locum::store::{self, Condition, Expected, Feed, KeySource, Options, Position, Store, StoreError};
use serde_json::json;

use crate::impostor::{Impostor, entry};
use crate::openbao::Dev;
use crate::place::{Place, account};

const TOKEN: &str = "s.canary-token-5c1e";

async fn dev() -> Dev {
    let server = Dev::start().await;
    server.mount_kv2("locum").await;
    server
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_does_not_go_along() {
    let other = Impostor::start(|_| Some(("200 OK".into(), "{}".into()))).await;
    let elsewhere = other.address().replace("127.0.0.1", "localhost");
    let server =
        Impostor::start(move |_| Some((format!("307 Temporary Redirect\r\nLocation: {elsewhere}/v1/x"), "".into())))
            .await;
    let place = Place::new(&[server.address()], None, TOKEN);
    let error = place.vault().connect().await.unwrap_err();
    assert!(error.to_string().contains("a redirect (307), which is not followed"), "{error}");
    assert!(server.requests()[0].contains(TOKEN), "the first server is the one configured");
    assert_eq!(other.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_of_another_form_is_not_quoted() {
    const ANSWERS: [(&str, &str); 6] = [
        (
            "200 OK",
            r#"{"request_id":"r","lease_id":"","lease_duration":0,"renewable":false,"data":{"data":{"record":77012},"metadata":{"created_time":"","deletion_time":"","custom_metadata":null,"destroyed":false,"version":1}}}"#,
        ),
        ("200 OK", r#"{"data":{"data":"canary-answer","metadata":{"version":"canary-answer"}}}"#),
        ("200 OK", "canary-answer"),
        ("200 OK", ""),
        ("404 Not Found", "<html>canary-answer</html>"),
        ("502 Bad Gateway", "<html>canary-answer</html>"),
    ];
    for (status, body) in ANSWERS {
        let server = Impostor::with(status, body).await;
        let place = Place::new(&[server.address()], None, TOKEN);
        let vault = place.vault();
        let error = vault.read(&account("a")).await.unwrap_err();
        let said = format!("{error} {error:?} {:?}", vault.health().status());
        assert!(!said.contains("canary") && !said.contains("77012"), "{said}");
        // It was a Vault a moment ago, and known clients are to get over whatever it is now.
        assert_eq!(error.is_transient(), !matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_known_client_gets_over_the_page_of_a_balancer() {
    static IS_AWAY: AtomicBool = AtomicBool::new(false);
    let server = Impostor::behind_proof(|_| {
        let away = ("404 Not Found".into(), "<html>no such service</html>".into());
        let record = entry(1, &json!({"record": "known", "epoch": "e", "sequence": 0}));
        Some(if IS_AWAY.load(Ordering::Relaxed) { away } else { record })
    })
    .await;
    let mut place = Place::new(&[server.address()], None, TOKEN);
    place.options.cache.refresh_after = Duration::ZERO;
    let node = store::serve(&Options::Vault(place.options.clone())).await.unwrap();
    let known = node.store.read(&account("a")).await.unwrap();
    assert!(known.is_some());
    IS_AWAY.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(node.store.read(&account("a")).await.unwrap(), known);
    }
    assert!(node.store.read(&account("b")).await.unwrap_err().is_transient());
    assert!(matches!(node.health.unwrap().status().condition, Condition::Down { .. }));
}

#[tokio::test]
async fn what_the_server_says_of_a_write_is_not_repeated() {
    let server = Impostor::with("400 Bad Request", r#"{"errors":["cannot take canary-record"]}"#).await;
    let place = Place::new(&[server.address()], None, TOKEN);
    let vault = place.vault();
    let error = vault.write(&account("a"), &Secret::new("canary-record"), Expected::Absent).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    assert!(error.to_string().contains("(400)"), "{error}");
    assert!(server.requests().iter().any(|request| request.contains("canary-record")), "it was sent");
}

#[tokio::test]
async fn debug_shows_no_token() {
    let server = Impostor::with("403 Forbidden", r#"{"errors":["permission denied"]}"#).await;
    let place = Place::new(&[server.address()], None, TOKEN);
    let vault = place.vault();
    let error = vault.read(&account("a")).await.unwrap_err();
    let said = format!("{vault:?} {error:?} {error} {:?} {:?}", place.options, vault.health());
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_missing_and_unmounted_are_told_apart() {
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let vault = place.connected().await;
    assert_eq!(vault.read(&account("never")).await.unwrap(), None);

    // Deleted and destroyed with other tools: gone, and to be made anew.
    for (name, command) in [("deleted", "delete"), ("destroyed", "destroy"), ("purged", "metadata")] {
        let id = account(name);
        let first = vault.write(&id, &Secret::new("first"), Expected::Absent).await.unwrap();
        let key = format!("locum/{id}");
        match command {
            "delete" => server.bao(&["kv", "delete", &key]).await,
            "destroy" => server.bao(&["kv", "destroy", "-versions=1", &key]).await,
            _ => server.bao(&["kv", "metadata", "delete", &key]).await,
        };
        assert_eq!(vault.read(&id).await.unwrap(), None, "{name}");
        let again = vault.write(&id, &Secret::new("again"), Expected::Absent).await.unwrap();
        assert!(again > first || command == "metadata", "{name}");
        assert_eq!(vault.read(&id).await.unwrap().unwrap().value, Secret::new("again"), "{name}");
    }

    server.bao(&["secrets", "disable", "locum"]).await;
    let error = vault.read(&account("never")).await.unwrap_err();
    assert!(matches!(error, StoreError::Config(_)), "an unmounted store is not an empty one: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_passes_and_a_missing_right_does_not() {
    let server = dev().await;
    server
        .write_policy(
            "blind",
            r#"path "sys/internal/ui/mounts/locum/*" { capabilities = ["read"] }
        path "locum/config" { capabilities = ["read"] }"#,
        )
        .await;
    let place = Place::new(&[server.address()], None, &server.token(&["blind"], "1h").await);
    let vault = place.connected().await;
    let denied = vault.read(&account("a")).await.unwrap_err();
    assert!(matches!(denied, StoreError::Config(_)), "{denied}");
    assert!(denied.to_string().contains("403"), "{denied}");
    let Condition::Down { reason } = vault.health().status().condition else { panic!("no client can log in") };
    assert!(reason.contains("403"), "{reason}");

    let token = server.token(&["root"], "1h").await;
    place.put_token(&token);
    let vault = place.connected().await;
    assert_eq!(vault.read(&account("a")).await.unwrap(), None);
    server.ok("POST", "auth/token/revoke", json!({ "token": token })).await;
    let dead = vault.read(&account("a")).await.unwrap_err();
    assert!(dead.is_transient(), "somebody will put another one there: {dead}");
    assert!(matches!(vault.health().status().condition, Condition::Down { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_makes_no_flood_of_logins() {
    let server = Dev::start_with_audit().await;
    server.mount_kv2("locum").await;
    server.write_policy("blind", r#"path "locum/config" { capabilities = ["read"] }"#).await;
    let (role_id, secret_id) = server.approle("node", &["blind"], "1h").await;
    server.ok("POST", "auth/approle/role/node", json!({"token_no_default_policy": true})).await;
    let mut place = Place::new(&[server.address()], None, &secret_id);
    place.options.login = Login::AppRole {
        mount: "approle".into(),
        role_id,
        secret_id: KeySource::File(place.folder.path().join("token")),
        wrapped: false,
    };
    let vault = place.connected().await;
    for _ in 0..20 {
        vault.read(&account("a")).await.unwrap_err();
    }
    let logins = server.audit().iter().filter(|it| it["request"]["path"] == "auth/approle/login").count() / 2;
    assert!(logins <= 2, "{logins} logins");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_describes_the_store_finds_a_policy_that_lacks_something() {
    let server = dev().await;
    let rights = |folders: &[&str]| {
        let path = |folder| format!(r#"path "locum/data/{folder}/+" {{ capabilities = ["read"] }}"#);
        folders.iter().map(path).collect::<Vec<_>>().join("\n")
    };
    let all = ["accounts", "clients", "changes"];
    for missing in all {
        server.write_policy("some", &rights(&all.map(|it| if it == missing { "none" } else { it }))).await;
        let place = Place::new(&[server.address()], None, &server.token(&["some"], "1h").await);
        let error = place.vault().describe().await.unwrap_err();
        assert!(
            matches!(error, StoreError::Config(_)) && error.to_string().contains("the policy"),
            "{missing}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_of_version_1_and_one_of_another_kind_are_refused() {
    let server = Dev::start().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let missing = place.vault().connect().await.unwrap_err();
    assert!(matches!(missing, StoreError::Config(_)), "{missing}");
    assert!(missing.to_string().contains("nothing is mounted at locum"), "{missing}");
    for (kind, text) in [("kv", "of version 1, and version 2 is needed"), ("transit", "of the kind transit")] {
        server.bao(&["secrets", "enable", "-path=locum", kind]).await;
        let error = place.vault().connect().await.unwrap_err();
        assert!(matches!(error, StoreError::Config(_)) && error.to_string().contains(text), "{error}");
        let read = place.vault().read(&account("a")).await;
        assert!(read.is_err(), "a record that cannot be looked for is not missing");
        server.bao(&["secrets", "disable", "locum"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_of_another_kind_in_place_of_the_one_that_was_there_is_not_believed() {
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let vault = place.connected().await;
    vault.write(&account("a"), &Secret::new("a"), Expected::Absent).await.unwrap();
    assert_eq!(vault.position().await.unwrap().sequence, 1);
    server.bao(&["secrets", "disable", "locum"]).await;
    server.bao(&["secrets", "enable", "-path=locum", "kv"]).await;
    assert_eq!(vault.position().await.unwrap(), Position::default());
    let error = vault.read(&account("a")).await.unwrap_err();
    assert!(error.to_string().contains("of version 1, and version 2 is needed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn openbao_says_how_it_is() {
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let vault = place.vault();
    let described = vault.describe().await.unwrap();
    assert!(
        described.starts_with("server 2.") && described.contains("unsealed, active; KV version 2 at locum"),
        "{described}"
    );
}

#[test]
fn a_token_that_would_break_a_header_is_refused_before_the_library_panics() {
    let place = Place::new(&["http://127.0.0.1:9"], None, "s.canary\r\nX-Other: 1");
    let error = Vault::new(&place.options, Rights::Node).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("holds no token"), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    let place = Place::new(&["http://127.0.0.1:9"], None, "s.canary");
    let path = place.folder.path().join("token");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Vault::new(&place.options, Rights::Node).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("open to everybody"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_look_like_paths_are_records_like_others() {
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let vault = place.connected().await;
    let names = ["a", "../accounts/a", "./a", "a/b", "a%2fb", "a?b", "a#b", "a b", "a+b", "..", "ä", ""];
    for name in names {
        vault.write(&account(name), &Secret::new(name), Expected::Absent).await.unwrap();
    }
    for name in names {
        assert_eq!(vault.read(&account(name)).await.unwrap().unwrap().value, Secret::new(name), "{name}");
    }
    assert_eq!(vault.list(RecordKind::Account, None, 100).await.unwrap().len(), names.len());
    let listed = server.ok("LIST", "locum/metadata/accounts", json!(null)).await.to_string();
    assert!(!names[1..].iter().any(|name| name.len() > 1 && listed.contains(name)), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_deleted_record_is_destroyed() {
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let vault = place.connected().await;
    let id = account("a");
    let mut version = vault.write(&id, &Secret::new("canary-0"), Expected::Absent).await.unwrap();
    for number in 1..4 {
        let value = Secret::new(format!("canary-{number}"));
        version = vault.write(&id, &value, Expected::Version(version)).await.unwrap();
    }
    vault.delete(&id, version).await.unwrap();
    for number in 1..=5 {
        let (_, answer) = server.api("GET", &format!("locum/data/{id}?version={number}"), json!(null)).await;
        assert!(!answer.to_string().contains("canary"), "version {number}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_version_is_kept_a_deleted_record_leaves_nothing_to_destroy() {
    let server = dev().await;
    server.bao(&["write", "locum/config", "max_versions=1"]).await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let vault = place.connected().await;
    let first = vault.write(&account("a"), &Secret::new("1"), Expected::Absent).await.unwrap();
    let second = vault.write(&account("a"), &Secret::new("2"), Expected::Version(first)).await.unwrap();
    vault.delete(&account("a"), second).await.unwrap();
    assert_eq!(vault.read(&account("a")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_form_is_damaged_and_not_quoted() {
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let vault = place.connected().await;
    let id = RecordId::new(RecordKind::Client, "a");
    for (version, field) in ["password=canary", "record-base64=canary!", "other=canary"].into_iter().enumerate() {
        server.bao(&["kv", "put", &format!("-cas={version}"), &format!("locum/{id}"), field]).await;
        let error = vault.read(&id).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{field}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_is_in_the_feed() {
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let (vault, other) = (place.connected().await, place.connected().await);
    assert_eq!(vault.position().await.unwrap(), Position::default());
    let first = vault.write(&account("a"), &Secret::new("1"), Expected::Absent).await.unwrap();
    let begun = other.position().await.unwrap();
    assert_eq!(begun.sequence, 1);

    let second = vault.write(&account("a"), &Secret::new("2"), Expected::Version(first)).await.unwrap();
    let made = vault.write(&account("b"), &Secret::new("b"), Expected::Absent).await.unwrap();
    vault.delete(&account("b"), made).await.unwrap();
    let changes = other.changes(&begun, &begun).await.unwrap();
    let records = changes.records.unwrap();
    let ids: Vec<_> = records.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids, [account("a"), account("b"), account("b")]);
    assert_eq!(records[0].1, second);
    assert!(records[2].1 > made);
    assert_eq!(changes.position, other.position().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once_are_all_in_the_feed() {
    const WRITERS: u32 = 24;
    let server = dev().await;
    let place = Place::new(&[server.address()], None, server.token_text());
    let stores = [place.connected().await, place.connected().await];
    let writers = (0..WRITERS).map(|number| {
        let store = stores[number as usize % 2].clone();
        tokio::spawn(
            async move { store.write(&account(&number.to_string()), &Secret::new("x"), Expected::Absent).await },
        )
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    let position = stores[0].position().await.unwrap();
    assert_eq!(position.sequence, u64::from(WRITERS));
    let begun = Position { sequence: 0, ..position.clone() };
    let mut told: Vec<_> = stores[0].changes(&begun, &position).await.unwrap().records.unwrap();
    told.sort();
    let mut written: Vec<_> = (0..WRITERS).map(|number| account(&number.to_string())).collect();
    written.sort();
    assert_eq!(told.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), written);
}

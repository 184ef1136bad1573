//! Records that cannot be read: they are named, and can be removed, by name and by id, and no others can in that way.

use locum::model::{RecordId, RecordKind};
use rusqlite::Connection;
use serde_json::Value;

use super::{DATA, NOT_FOUND, Office, USAGE};

const ALICE: &str = "alice@gmail.test";
const BOB: &str = "bob@gmail.test";

/// A record of that kind and name is made to be of no form that Locum knows.
async fn damage(office: &Office, kind: RecordKind, name: &str, field: &str) -> RecordId {
    let id = RecordId::new(kind, name);
    let found = office.server.ok("GET", &format!("locum/data/{id}"), Value::Null).await;
    let cas = format!("-cas={}", found["data"]["metadata"]["version"]);
    office.server.bao(&["kv", "put", &cas, &format!("locum/{id}"), field]).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_vault() {
    let office = Office::open().await;
    for account in [ALICE, BOB, "carol@gmail.test"] {
        office.add_account(account);
        office.run(&["client", "issue", account, "--account", account]).succeeded();
    }
    let alice = damage(&office, RecordKind::Account, ALICE, "record={").await;
    let bob = damage(&office, RecordKind::Account, BOB, "password=x").await;
    let client = damage(&office, RecordKind::Client, BOB, "record=[]").await;
    let list = office.run(&["account", "list"]).ended(DATA);
    list.said(&format!("the record {alice} does not have the form of its kind"));
    list.said(&format!("the record {bob} is damaged or was tampered with"));
    list.said("what no backup has can be removed: locum account remove --damaged ID");

    office.run(&["account", "remove", ALICE]).succeeded().said("alice@gmail.test: removed; its record was damaged");
    office.run(&["account", "remove", "--damaged", &bob.to_string()]).succeeded().said(&format!("{bob}: removed"));
    office.run(&["client", "revoke", "--damaged", client.hash()]).succeeded();
    assert_eq!(office.all("locum.toml").map(|list| list.as_array().unwrap().len()), [1, 2]);
    office.add_account(ALICE);

    office.run(&["account", "remove", "--damaged", &bob.to_string()]).ended(NOT_FOUND).said("there is no record");
    let carol = RecordId::new(RecordKind::Account, "carol@gmail.test").to_string();
    office.run(&["account", "remove", "--damaged", &carol]).ended(DATA).said("is not damaged, so it is left");
    office.run(&["client", "revoke", "--damaged", &carol]).ended(USAGE).said("--damaged takes an id such as clients/");
    office.run(&["account", "remove", "carol@gmail.test", "--damaged", &carol]).ended(USAGE);
    office.run(&["account", "remove"]).ended(USAGE);
    office.run(&["client", "revoke", "--all"]).ended(USAGE);
    office.run(&["client", "revoke", BOB]).ended(USAGE);
    office.run(&["account", "show", "carol@gmail.test"]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_file() {
    let office = Office::open().await;
    let file = office.desk.file_store("file");
    let run = |arguments: &[&str]| office.desk.run_as("", &[&["--config", "file.toml"], arguments].concat(), "x1y2z3");
    for account in [ALICE, BOB] {
        run(&["account", "add", account, "--upstream", "gmail", "--secret-stdin"]).succeeded();
    }
    run(&["client", "issue", "scan", "--account", BOB]).succeeded();
    let database = Connection::open(&file.path).unwrap();
    assert_eq!(database.execute("UPDATE records SET sealed = x'00'", []).unwrap(), 3);
    drop(database);
    run(&["account", "remove", ALICE]).succeeded().said("removed; its record was damaged");
    let bob = RecordId::new(RecordKind::Account, BOB).to_string();
    run(&["account", "list"]).ended(DATA).said(&bob);
    run(&["account", "remove", "--damaged", &bob]).succeeded();
    run(&["client", "revoke", "scan", "--all"]).succeeded().said("scan: removed; its record was damaged");
    run(&["account", "list"]).succeeded().said("no accounts yet");
    run(&["client", "list"]).succeeded().said("no clients yet");
}

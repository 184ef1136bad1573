//! Recognisable secrets are planted wherever a node and its store have secrets, everything is made to fail with the log
//! at TRACE, and then none of them may be found: not in log, audit, arguments, environment, metrics, or what commands say.

use std::fs;
use std::io::ErrorKind;

use locum::model::{RecordId, RecordKind};
use serde_json::{Value, json};

use super::post::{Answer, Post, get};
use super::{CONFIG, Office};
use crate::openbao::eventually;
use crate::program::{Canaries, Run, Served};

const APP_PASSWORD: &str = "qzKw7pXv 9mTbRgH2 cJfD4sNy";
const OTHER_PASSWORD: &str = "wVb3nQk8 5tGhY7zP xLr6dSmC";
const WRONG_PASSWORD: &str = "wr0ngTyp3d-Fh7Kq2Zx9";
/// In records that are of no form that Locum knows.
const IN_RECORD: &str = "d4m4g3d-Rm5Yt3Gj7Lp";
const WRONG_SECRET_ID: &str = "7d1f0b0a-b5f5-9d6e-4c2b-8a3e1d9f2a7f";

const EVERYTHING: &str =
    "trace,vaultrs=trace,vaultrs::client=trace,rustify=trace,hyper=trace,reqwest=trace,rustls=trace";

/// Finds none of these.
fn canaries(post: &Post) -> Canaries {
    let mut canaries = Canaries::default();
    for (name, secret) in [
        ("an app password as shown", APP_PASSWORD),
        ("an app password", &APP_PASSWORD.replace(' ', "")),
        ("another app password", &OTHER_PASSWORD.replace(' ', "")),
        ("a wrong password", WRONG_PASSWORD),
        ("a secret in a damaged record", IN_RECORD),
        ("a wrong secret id", WRONG_SECRET_ID),
        ("a secret id", post.office.desk.home.read("secret-id").trim()),
        ("the operator's token", &post.office.operator),
        ("the root token", post.office.server.token_text()),
    ] {
        canaries.add(name, secret);
    }
    canaries
}

/// Neither arguments nor environment of the node show a secret.
fn search_process(canaries: &Canaries, served: &Served) {
    canaries.assert_absent("the command line", fs::read(format!("/proc/{}/cmdline", served.pid())).unwrap());
    match fs::read(format!("/proc/{}/environ", served.pid())) {
        Ok(environment) => canaries.assert_absent("the environment", environment),
        // A process that may not be dumped shows it to root alone.
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
    }
}

fn search_faces(canaries: &Canaries, served: &Served) {
    for path in ["/readyz", "/healthz", "/metrics"] {
        let answer = get(served, path);
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        canaries.assert_absent(path, answer);
    }
}

impl Post {
    /// Ends the token that the node has.
    async fn revoke_the_nodes_token(&self) {
        let token = self.tap().tokens().pop().expect("the node has logged in");
        self.office.server.ok("POST", "auth/token/revoke", json!({ "token": token })).await;
    }

    /// Makes the account's record be of no form that Locum knows; what it was is put back by another version.
    async fn damage(&self, login: &str, field: &str) {
        let id = RecordId::new(RecordKind::Account, &format!("{login}@gmail.test"));
        let found = self.office.server.ok("GET", &format!("locum/data/{id}"), Value::Null).await;
        let cas = format!("-cas={}", found["data"]["metadata"]["version"]);
        self.office.server.bao(&["kv", "put", &cas, &format!("locum/{id}"), field]).await;
    }
}

async fn nothing_is_shown(log: &str, format: &str) {
    let rest = format!("[audit]\npath = \"audit.jsonl\"\n[telemetry]\nlog = \"{log}\"\nlog-format = \"{format}\"\n");
    let post = Post::set("refresh-after = \"0s\"\n", &rest).await;
    let mut canaries = canaries(&post);
    let good = post.enrol("good", APP_PASSWORD);
    let other = post.enrol("other", OTHER_PASSWORD);
    for secret in [&good, &other] {
        canaries.add("a client secret", secret.rsplit('_').next().unwrap());
    }
    let served = post.serve();
    assert_eq!(post.log_in(&served, "good", &good), Answer::In);
    assert_eq!(post.log_in(&served, "good", WRONG_PASSWORD), Answer::Wrong);
    assert_eq!(post.log_in(&served, "nobody", &good), Answer::Wrong);

    for field in
        [format!("password={IN_RECORD}"), format!("record={{\"name\":\"{IN_RECORD}\"}}"), format!("record={IN_RECORD}")]
    {
        post.damage("other", &field).await;
        assert_eq!(post.log_in(&served, "other", &other), Answer::Later, "{field}");
    }

    post.revoke_the_nodes_token().await;
    assert_eq!(post.log_in(&served, "good", &good), Answer::In, "it logs in anew");
    let right = post.office.desk.home.read("secret-id");
    for wrong in [format!("{WRONG_SECRET_ID}\n"), format!("{WRONG_SECRET_ID} {WRONG_SECRET_ID}\n")] {
        post.office.desk.home.write("secret-id", wrong);
        post.revoke_the_nodes_token().await;
        assert_eq!(post.log_in(&served, "good", &good), Answer::In, "from memory");
        search_faces(&canaries, &served);
        post.office.desk.home.write("secret-id", &right);
        let tokens = post.tap().tokens().len();
        eventually("another login", async || (post.tap().tokens().len() > tokens).then_some(())).await;
    }
    post.office.server.ok("PUT", "sys/seal", json!({})).await;
    assert_eq!(post.log_in(&served, "good", &good), Answer::In, "from memory");
    assert_eq!(post.log_in(&served, "stranger", &good), Answer::Later);

    for token in post.tap().tokens() {
        canaries.add("a token of the node", token);
    }
    search_faces(&canaries, &served);
    search_process(&canaries, &served);
    let run = served.stop().succeeded();
    canaries.assert_absent("the log", &run.stderr);
    canaries.assert_absent("standard output", &run.stdout);
    let audit = post.office.desk.home.read("audit.jsonl");
    canaries.assert_absent("the audit", &audit);

    // All of that proves something only if it happened, and was logged.
    assert!(post.tap().tokens().len() >= 4, "the node logged in too seldom");
    let passed = String::from_utf8_lossy(&post.tap().passed()).into_owned();
    for sent in [right.trim(), WRONG_SECRET_ID, &APP_PASSWORD.replace(' ', ""), IN_RECORD] {
        assert!(passed.contains(sent), "never on the wire: {sent}");
    }
    for (what, times) in [("TRACE", 10), ("cannot log in to the store", 1), ("a request to the store failed", 3)] {
        assert!(run.stderr.matches(what).count() >= times, "not logged: {what}\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("vaultrs") && !run.stderr.contains("rustify"), "they have a say\n{}", run.stderr);
    assert!(audit.contains("does not have the form of its kind") || audit.contains("\"outcome\":\"deny\""), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_log_for_people() {
    nothing_is_shown("trace", "text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_log_for_collectors() {
    nothing_is_shown("trace", "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_log_that_libraries_are_told_to_write() {
    nothing_is_shown(EVERYTHING, "text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_wrapped_secret_id() {
    let rest = format!("[telemetry]\nlog = \"{EVERYTHING}\"\n");
    let post = Post::set("", &rest).await;
    let mut canaries = canaries(&post);
    let home = &post.office.desk.home;
    let good = post.enrol("good", APP_PASSWORD);
    home.write(
        "node.toml",
        home.read("node.toml").replace("secret-id-file", "secret-id-wrapped = true\nsecret-id-file"),
    );
    let wrapped = post.office.server.wrapped_secret_id("locum-node").await;
    canaries.add("a wrapping token", &wrapped);
    home.write("secret-id", &wrapped);
    let served = post.serve();
    assert_eq!(post.log_in(&served, "good", &good), Answer::In);
    search_faces(&canaries, &served);
    search_process(&canaries, &served);
    let log = served.stop().succeeded().stderr;
    let passed = String::from_utf8_lossy(&post.tap().passed()).into_owned();
    let (_, secret_id) = passed.split_once("\"secret_id\":\"").unwrap();
    canaries.add("the secret id that was wrapped", secret_id.split('"').next().unwrap());
    canaries.add("the node's token", post.tap().tokens().pop().unwrap());
    canaries.assert_absent("the log", &log);
    assert!(log.matches("TRACE").count() > 10, "{log}");

    // Used up: the alarm is raised, and quotes nothing.
    let again = post.office.desk.run(&["--config", "node.toml", "serve"]).ended(CONFIG);
    again.said("the wrapping token in ").said("was used, or has expired");
    canaries.assert_absent("the log of the alarm", &again.stderr);
}

/// What commands say, right or wrong.
#[tokio::test(flavor = "multi_thread")]
async fn by_any_verb() {
    let office = Office::open().await;
    let mut canaries = Canaries::default();
    for (name, secret) in [
        ("the operator's token", office.operator.as_str()),
        ("a wrong token", "s.wr0ng-T0k3n-Fh7Kq2Zx9"),
        ("a secret id", office.desk.home.read("secret-id").trim()),
        ("a wrong secret id", WRONG_SECRET_ID),
        ("an app password", "abcdefghijklmnop"),
        ("a secret in a damaged record", IN_RECORD),
    ] {
        canaries.add(name, secret);
    }
    let search = |run: &Run| {
        canaries.assert_absent("standard output", &run.stdout);
        canaries.assert_absent("standard error", &run.stderr);
    };
    office.add_account("alice@gmail.test");
    let all = |token: &str| {
        for arguments in [
            &["check"][..],
            &["check", "--dial"],
            &["init"],
            &["account", "list", "--json"],
            &["account", "show", "alice@gmail.test"],
            &["account", "set", "alice@gmail.test", "--label", "l"],
            &["account", "add", "bob@gmail.test", "--upstream", "gmail", "--secret-stdin"],
            &["account", "remove", "bob@gmail.test"],
            &["client", "list"],
            &["store", "backup", "backup.db", "--key-file", "backup.key"],
        ] {
            search(&office.desk.run_as(token, arguments, super::APP_PASSWORD));
            let _ = fs::remove_file(office.desk.home.path("backup.db"));
        }
    };
    all(&office.operator);
    for wrong in ["s.wr0ng-T0k3n-Fh7Kq2Zx9", "s.wr0ng-T0k3n-Fh7Kq2Zx9 s.wr0ng-T0k3n-Fh7Kq2Zx9", ""] {
        all(wrong);
    }
    office.desk.home.write("secret-id", WRONG_SECRET_ID);
    all("");
    let id = RecordId::new(RecordKind::Account, "alice@gmail.test");
    let found = office.server.ok("GET", &format!("locum/data/{id}"), Value::Null).await;
    let cas = format!("-cas={}", found["data"]["metadata"]["version"]);
    office
        .server
        .bao(&["kv", "put", &cas, &format!("locum/{id}"), &format!("record={{\"name\":\"{IN_RECORD}\"")])
        .await;
    all(&office.operator);

    // Nor does a process show it while it runs, but for the variable that it was given it in.
    let mut command = office.desk.command(&["account", "set", "alice@gmail.test", "--secret-stdin"]);
    let mut child = command.env("VAULT_TOKEN", &office.operator).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let read = || fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    let arguments = std::iter::repeat_with(read).find(|arguments| !arguments.is_empty()).unwrap();
    canaries.assert_absent("the command line", arguments);
    drop(child.stdin.take());
    search(&crate::program::finish(child));
}

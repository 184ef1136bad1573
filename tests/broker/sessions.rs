//! What operators see of sessions and do with them, by `locum session` and a node's admin socket.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use locum::model::Protocol;
use serde_json::Value;

use crate::support::{Lab, Plan, present};

async fn lab() -> Lab {
    Plan::new().toml("[admin]\nsocket = \"admin.sock\"\napi = true\n").start().await
}

fn command(lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
    command.arg("--config").arg(lab.path("locum.toml")).arg("session").args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn run(lab: &Lab, arguments: &[&str]) -> Output {
    let mut command = command(lab, arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn sessions(lab: &Lab) -> Vec<Value> {
    let listed = run(lab, &["list", "--json"]).await;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    serde_json::from_slice(&listed.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_listed_and_closed_and_the_audit_says_by_whom() {
    let lab = lab().await;
    let mut wire = lab.log_in(Protocol::Imap, &lab.alice).await;
    wire.ask("a NOOP").await;
    let listed = sessions(&lab).await;
    assert_eq!((listed.len(), &listed[0]["login"], &listed[0]["state"]), (1, &"alice".into(), &"relaying".into()));
    assert!(listed[0]["credential"].is_string() && listed[0]["client_secret"].is_string(), "{listed:?}");
    assert!(listed[0]["bytes_up"].as_u64() >= Some(8) && listed[0]["bytes_down"].as_u64() > Some(0), "{listed:?}");

    let id = listed[0]["id"].to_string();
    assert!(run(&lab, &["close", &id]).await.status.success());
    wire.rest().await;
    assert_eq!(run(&lab, &["close", &id]).await.status.code(), Some(66), "it is closed");
    assert_eq!(run(&lab, &["close", "--login", "nobody"]).await.status.code(), Some(66));
    let wire = lab.log_in(Protocol::Pop3, &lab.alice).await;
    assert!(run(&lab, &["close", "--account", &lab.alice.address.to_uppercase()]).await.status.success());
    wire.rest().await;
    let audit = lab.audit();
    let closed = audit.iter().find(|event| event["step"] == "closed").unwrap();
    assert!(closed["actor"].as_str().is_some_and(|actor| actor.contains('@')), "{closed}");
    assert!(audit.iter().any(|event| event["event"] == "end" && event["reason"] == "it was closed by an operator"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_shows_what_is_said_and_no_secret() {
    let lab = lab().await;
    let mut tracing = command(&lab, &["trace", "--login", "ALICE", "--seconds", "3", "--json"]).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !lab.audit().iter().any(|event| event["step"] == "traced") {
        assert!(Instant::now() < until, "it does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut wire = lab.open(Protocol::Imap).await;
    wire.ask("a1 AUTHENTICATE NTLM").await;
    present(&mut wire, Protocol::Imap, "alice", "canary-wrong").await;
    drop(wire);
    lab.log_in(Protocol::Submission, &lab.alice).await.finish().await;
    // Somebody else, who is not meant.
    lab.present(Protocol::Pop3, "scanner-3f", "canary-other").await.0.finish().await;
    let out = tokio::task::spawn_blocking(move || {
        let status = tracing.wait().unwrap();
        (status, std::io::read_to_string(tracing.stdout.take().unwrap()).unwrap())
    });
    let (status, told) = out.await.unwrap();
    assert!(status.success());
    for secret in [&lab.alice.secret, &lab.alice.app_password, "canary", "a1", &lab.alice.address] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
    for line in
        ["login by NTLM", "NO [AUTHENTICATIONFAILED]", "has let us in", "235 2.7.0", "dial: over after", "over: "]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut of: Vec<u64> = lines.map(|line| line["session"].as_u64().unwrap()).collect();
    of.dedup();
    of.sort_unstable();
    of.dedup();
    assert_eq!(of.len(), 2, "the third is not alice's: {told}");
}

#[tokio::test]
async fn who_asks_a_node_that_does_not_run_is_told_so() {
    let lab = Lab::start().await;
    let said = run(&lab, &["list"]).await;
    assert_eq!(said.status.code(), Some(78), "there is no socket: {}", String::from_utf8_lossy(&said.stderr));
    let toml =
        std::fs::read_to_string(lab.path("locum.toml")).unwrap() + "[admin]\nsocket = \"none.sock\"\napi = true\n";
    std::fs::write(lab.path("locum.toml"), toml).unwrap();
    let said = run(&lab, &["list"]).await;
    assert_eq!(said.status.code(), Some(75));
    assert!(String::from_utf8_lossy(&said.stderr).contains("is `locum serve` running?"));
}

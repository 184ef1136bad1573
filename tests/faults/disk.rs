//! The disks of store and audit: full, or read-only all of a sudden, as a file system makes itself after an error. Locum has
//! file systems of its own there, mounted for it alone, in files: one in memory does not turn read-only under a program that
//! writes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use futures::future::join_all;
use locum::model::Protocol;

use crate::child;
use crate::page::{self, code};
use crate::stage::{Bystanders, Client, Plan, Provider, Stage, View};

const ROW: &str = "served";

/// What makes the two file systems, and runs the program with them.
const MOUNTS: &str = r#"
set -e
cp -a "$0/locum" "$0/kept"
for name in locum audit; do
    truncate -s 4M "$0/$name.img"
    mkfs.ext4 -q "$0/$name.img"
    mount -o loop "$0/$name.img" "$0/$name"
done
cp -a "$0/kept/." "$0/locum"
exec "$@"
"#;

fn launch(provider: &Provider) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "/bin/sh", "-c", MOUNTS]);
    command.arg(provider.scratch.path("")).arg(env!("CARGO_BIN_EXE_locum"));
    command
}

async fn stage(audit: &'static str) -> Stage {
    let mut plan = Plan::new(&[ROW]);
    (plan.launch, plan.audit) = (launch, audit);
    let mut stage = plan.start().await;
    let audit = inside(&stage, "audit/audit.jsonl");
    stage.node.audit_is_at(audit);
    stage
}

/// A path of the test's folder as Locum sees it.
fn inside(stage: &Stage, name: &str) -> PathBuf {
    let path = stage.provider.scratch.path(name);
    Path::new(&format!("/proc/{}/root", stage.node.pid())).join(path.strip_prefix("/").unwrap())
}

/// Runs something where Locum's mounts are.
fn beside(stage: &Stage, program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new("nsenter");
    command.arg(format!("--mount=/proc/{}/ns/mnt", stage.node.pid())).arg(program).args(arguments);
    child::run(&mut command, input)
}

/// Not one more byte finds room there.
fn fill(stage: &Stage, folder: &str) {
    let path = inside(stage, folder).join("filler");
    let mut file = fs::File::create(path).unwrap();
    for size in [64 * 1024, 1024, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

fn empty(stage: &Stage, folder: &str) {
    fs::remove_file(inside(stage, folder).join("filler")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_or_read_only_locks_nobody_out_unless_told_to() {
    let (open, closed) = tokio::join!(stage(""), stage("fail-closed = true"));
    let bystanders = Bystanders::of(&open).await;
    let (mut seen, strict) = tokio::join!(
        async {
            let mut seen = vec![store_full(&open).await, audit_full(&open, View::LetIn).await];
            seen.push(audit_read_only(&open, View::LetIn).await);
            // The last, as nothing makes it writable again.
            seen.insert(1, store_read_only(&open).await);
            seen
        },
        async { [audit_full(&closed, View::Later).await, audit_read_only(&closed, View::Later).await] }
    );
    bystanders.end(5).await;
    seen.extend(strict);
    let head = ["Fault", "IMAP", "POP3", "submission", "sessions that are open", "the operator reads", "afterwards"];
    page::holds("disk", &head, &seen);
}

/// All that is read there is read; what is to be written is not, and is told to whoever wanted it.
async fn store_full(stage: &Stage) -> Vec<String> {
    let mut open = enter_all(stage).await;
    fill(stage, "locum");
    let mut cells = vec!["The store's disk is full".to_owned()];
    cells.extend(log_in(stage, View::LetIn).await);
    cells.push(go_on(&mut open).await);
    // One finds no room in what the store's file has to spare.
    let mut adding = (0..200).map(|number| add_client(stage, &format!("client{number}")));
    let refused = adding.find(|output| !output.status.success());
    let refused = refused.expect("a full disk takes no record");
    let said = String::from_utf8_lossy(&refused.stderr).trim().to_owned();
    assert!(said.contains("full"), "{said}");
    cells.push(format!("a command that writes ends with {}: {}", refused.status.code().unwrap(), code(&said)));
    empty(stage, "locum");
    assert!(add_client(stage, "another").status.success());
    cells.push("commands write again".to_owned());
    log_in(stage, View::LetIn).await;
    cells
}

/// The same where the disk takes nothing at all any more.
async fn store_read_only(stage: &Stage) -> Vec<String> {
    let mut open = enter_all(stage).await;
    abort(stage, "locum");
    let mut cells = vec!["The store's disk is read-only".to_owned()];
    cells.extend(log_in(stage, View::LetIn).await);
    cells.push(go_on(&mut open).await);
    let refused = add_client(stage, "one-more");
    let said = String::from_utf8_lossy(&refused.stderr).trim().to_owned();
    assert!(!refused.status.success(), "a disk that is read-only takes no record");
    cells.push(format!("a command that writes ends with {}: {}", refused.status.code().unwrap(), code(&said)));
    cells.push("let in; commands write once the disk was repaired".to_owned());
    cells
}

/// An error, as the file system itself tells of one: it takes no byte more until it was repaired.
fn abort(stage: &Stage, folder: &str) {
    let path = stage.provider.scratch.path(folder).display().to_string();
    let aborted = beside(stage, "mount", &["-o", "remount,abort", &path], b"");
    assert!(aborted.status.success(), "{}", String::from_utf8_lossy(&aborted.stderr));
}

fn add_client(stage: &Stage, login: &str) -> Output {
    let config = stage.provider.scratch.path("locum/locum.toml").display().to_string();
    let add = ["client", "add", login, "--account", "served@example.test", "--config", &config];
    beside(stage, env!("CARGO_BIN_EXE_locum"), &add, b"")
}

async fn audit_full(stage: &Stage, view: View) -> Vec<String> {
    let open = enter_all(stage).await;
    fill(stage, "audit");
    let words = format!("The audit's disk is full{}", strict(&view));
    let mut cells = befall(stage, words, view, open).await;
    empty(stage, "audit");
    stage.node.look_until("audit", "written").await;
    log_in(stage, View::LetIn).await;
    let verified = stage.node.verify_audit();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let lost = stage.node.audit().into_iter().find(|event| event["event"] == "lost");
    let lost = if lost.is_some() { ", with `\"event\":\"lost\"` for what it lacks" } else { "" };
    cells.push(format!("let in; the audit is written, and whole{lost}"));
    cells
}

async fn audit_read_only(stage: &Stage, view: View) -> Vec<String> {
    let open = enter_all(stage).await;
    abort(stage, "audit");
    let words = format!("The audit's disk is read-only{}", strict(&view));
    let mut cells = befall(stage, words, view, open).await;
    // Another disk in its place.
    let folder = stage.provider.scratch.path("audit").display().to_string();
    assert!(beside(stage, "mount", &["-t", "tmpfs", "tmpfs", &folder], b"").status.success());
    stage.node.look_until("audit", "written").await;
    log_in(stage, View::LetIn).await;
    cells.push("let in; with another disk there the audit is written".to_owned());
    cells
}

fn strict(view: &View) -> &'static str {
    if *view == View::LetIn { "" } else { ", `fail-closed = true`" }
}

async fn befall(stage: &Stage, words: String, view: View, mut open: Vec<Client>) -> Vec<String> {
    let mut cells = vec![words];
    // What the last block of a file has to spare takes a few lines yet.
    for _ in 0..32 {
        if stage.node.look().await.check("audit").0 == "failing" {
            break;
        }
        stage.log_in(ROW, Protocol::Imap).await.0.finish().await;
    }
    cells.extend(log_in(stage, view.clone()).await);
    let look = stage.node.look_until("audit", "failing").await;
    let status = if view == View::LetIn { 200 } else { 503 };
    assert_eq!(look.status, status, "{look:?}");
    assert_eq!(look.said["degraded"], view == View::LetIn, "{look:?}");
    cells.push(go_on(&mut open).await);
    cells.push(format!("`/readyz` {}: {}", look.status, code(look.check("audit").1)));
    cells
}

async fn enter_all(stage: &Stage) -> Vec<Client> {
    join_all(Protocol::ALL.map(|protocol| stage.enter(ROW, protocol))).await
}

async fn go_on(open: &mut [Client]) -> String {
    for client in open {
        assert!(client.is_answered().await, "a session that was open ended: {client:?}");
    }
    "go on".to_owned()
}

async fn log_in(stage: &Stage, view: View) -> Vec<String> {
    let told = join_all(Protocol::ALL.map(|protocol| stage.log_in(ROW, protocol))).await;
    let words = Protocol::ALL.into_iter().zip(told).map(|(protocol, (_, told, _))| {
        assert_eq!(told, view, "by {protocol}; {}", stage.node.log_tail());
        told.words(protocol)
    });
    words.collect()
}

//! `locum rotate import`, the program itself, on the store of a node that serves clients meanwhile.

mod file;
mod load;
mod stops;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use locum::model::{CredentialKind, Secret, Slots};
use locum::sandbox::Behaviour;

use crate::support::{Actor, Lab, Plan};

/// What is to come comes long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// An account that gets a new password.
struct Turned {
    actor: Actor,
    new: String,
    /// Whether the provider takes the new one.
    is_right: bool,
}

/// How a run of the program ended.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn said(self, text: &str) -> Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(all.contains(text), "not said: {text}\n{all}");
        self
    }
}

/// A lab whose rotations take a second look after a second, and whose node bears many clients.
async fn lab() -> Lab {
    let plan = Plan::new().toml("[rotation]\nsecond-look = \"1s\"\n");
    plan.tune(|config| config.session.sessions_max = 400).start().await
}

/// So many accounts at Gmail, each with a client, and the new passwords that their owners made. At the provider the old one
/// and the new one are valid, as app passwords are.
async fn accounts(lab: &Lab, count: usize, is_right: impl Fn(usize) -> bool) -> Vec<Turned> {
    let mut turned = Vec::with_capacity(count);
    for number in 0..count {
        let (old, new, is_right) = (format!("old-{number:05}"), format!("new-{number:05}"), is_right(number));
        let actor = lab.enrol(&format!("scanner-{number}"), "gmail", &old).await;
        lab.gmail.add_mailbox(&actor.address, &old, Behaviour::Normal);
        if is_right {
            lab.gmail.sandbox.add_password(&actor.address, Secret::new(new.as_str()));
        }
        turned.push(Turned { actor, new, is_right });
    }
    turned
}

/// The file that an operator would import.
fn write_csv(lab: &Lab, turned: &[Turned]) {
    let rows = turned.iter().map(|it| format!("{},{},{} 2026\n", it.actor.address, it.new, it.actor.login));
    write(lab, "new.csv", &format!("account,secret,label\n{}", rows.collect::<String>()));
}

/// Writes a file that its owner alone can read.
fn write(lab: &Lab, name: &str, text: &str) {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(lab.path(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn start(lab: &Lab, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
    command.args(["rotate", "import"]).args(arguments).current_dir(lab.path("")).env_remove("LOCUM_CONFIG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn end_of(child: Child) -> Run {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!stderr.contains("panicked"), "{stderr}");
    Run { code: output.status.code(), stdout, stderr }
}

async fn import(lab: &Lab, arguments: &[&str]) -> Run {
    end_of(start(lab, arguments)).await
}

/// The rows of the result file, by account: outcome, cause, id, and id and label of the one before.
fn results(lab: &Lab) -> BTreeMap<String, [String; 5]> {
    let mut found = BTreeMap::new();
    let mut reader = csv::Reader::from_path(lab.path("new.csv.result.csv")).unwrap();
    for record in reader.records() {
        let record = record.unwrap();
        let fields = [2, 3, 4, 5, 6].map(|column| record[column].to_owned());
        let twice = found.insert(record[1].to_owned(), fields);
        assert!(twice.is_none(), "{} stands there twice", &record[1]);
    }
    found
}

/// Waits until so many rows are in the result file.
async fn wait_for_rows(lab: &Lab, count: usize) {
    wait_for(&format!("{count} rows"), || {
        fs::read_to_string(lab.path("new.csv.result.csv")).is_ok_and(|text| text.lines().count() > count)
    })
    .await;
}

async fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < until, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await; // between two looks
    }
}

/// The places of an account's app password.
async fn slots(lab: &Lab, actor: &Actor) -> Slots {
    let found = lab.directory.latest_account(&actor.address).await.unwrap().unwrap();
    found.record.credentials[&CredentialKind::AppPassword].clone()
}

/// Whether the account's current password is that one.
fn is_current(slots: &Slots, secret: &str) -> bool {
    let current = slots.current.as_ref().and_then(|current| current.material.part("secret"));
    current == Some(&Secret::new(secret))
}

/// How often a step stands in an account's history.
fn times(slots: &Slots, step: &str) -> usize {
    slots.history.iter().filter(|entry| entry.step == step).count()
}

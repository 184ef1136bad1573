//! `locum report rotation`, on what nodes are made to have told.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use locum::broker::Directory;
use locum::config::Config;
use locum::model::{
    CredentialKind, Holder, Next, NextState, Previous, Slots, StoredCredential, UsageEntry, UsageLogin, UsagePlace,
    UsageReport,
};
use locum::store;
use tokio::runtime::Runtime;

use crate::support::Home;

const HOUR: Duration = Duration::from_secs(3600);
const SECRET: &str = "abcdefghijklmnop";

/// A store with accounts of Gmail, and what an operator and a node write there.
struct Scene {
    home: Home,
    runtime: Runtime,
    directory: Directory,
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn before(time: Duration) -> Timestamp {
    now().checked_sub(time).unwrap()
}

impl Scene {
    /// With accounts of these names, each with an app password.
    fn set(accounts: &[&str]) -> Self {
        let home = Home::with_config("[upstream.gmail]\npreset = \"gmail\"\n");
        home.write("upstream.crt", home.read("tls.crt"));
        for account in accounts {
            let add = ["account", "add", account, "--upstream", "gmail", "--secret-file", "secret", "--label", "first"];
            home.write("secret", SECRET);
            home.run(&add).succeeded();
        }
        let runtime = Runtime::new().unwrap();
        let config = Config::load(&home.path("locum.toml")).unwrap();
        let store = runtime.block_on(store::open(&config.store)).unwrap();
        Self { home, runtime, directory: Directory::of_operator(Arc::clone(&store), "operator@test") }
    }

    /// Changes what is in the places of an account's app password. Its id before.
    fn place(&self, account: &str, change: impl FnOnce(&mut Slots, StoredCredential)) -> String {
        self.runtime.block_on(async {
            let mut found = self.directory.account(account).await.unwrap().unwrap();
            let slots = found.record.credentials.get_mut(&CredentialKind::AppPassword).unwrap();
            let current = slots.current.clone().unwrap();
            let id = current.id.clone();
            change(slots, current);
            self.directory.put_account(&found.record, Some(found.version)).await.unwrap();
            id
        })
    }

    /// What was current is previous, until then.
    fn promote(&self, account: &str, retire_at: Timestamp) -> String {
        self.place(account, |slots, current| {
            slots.current = Some(StoredCredential { id: format!("new-of-{account}"), ..current.clone() });
            let (op, since) = ("op".to_owned(), before(2 * HOUR));
            slots.previous = Some(Previous { credential: current, op, since, retire_at, usable: true });
        })
    }

    fn tell(&self, node: &str, entries: Vec<UsageEntry>) {
        let (node, host) = (node.to_owned(), format!("host-of-{node}"));
        let (started, written) = (before(3 * HOUR), now());
        let report = UsageReport { node, host, started, written, ended: false, entries, omitted: 0 };
        self.runtime.block_on(self.directory.put_usage(&report, None)).unwrap();
    }
}

fn entry(account: &str, credential: &str, login: &str, live: u32, last_seen: Timestamp) -> UsageEntry {
    UsageEntry {
        holder: Holder::Account(account.to_owned()),
        kind: CredentialKind::AppPassword,
        credential: credential.to_owned(),
        place: UsagePlace::Previous,
        live,
        last_seen,
        logins: vec![UsageLogin { login: login.to_owned(), live, last_seen }],
        more: false,
    }
}

#[test]
fn it_tells_who_still_uses_what_and_what_may_be_retired() {
    let scene = Scene::set(&["a@one.test", "b@one.test", "c@two.test", "d@two.test"]);
    let (a, b) = (scene.promote("a@one.test", before(HOUR)), scene.promote("b@one.test", before(HOUR)));
    scene.promote("c@two.test", now() + HOUR);
    scene.tell(
        "n1",
        vec![entry("a@one.test", &a, "scanner", 2, now()), entry("b@one.test", &b, "fax", 0, before(HOUR))],
    );

    let told = scene.home.run(&["report", "rotation"]).succeeded();
    let line = |account: &str| {
        told.stdout.lines().map(str::trim).find(|line| line.starts_with(account)).unwrap_or_default().to_owned()
    };
    assert!(line("a@one.test").contains("2 sessions on host-of-n1 (scanner, last seen "), "{}", told.stdout);
    assert!(!line("a@one.test").contains("may be retired"), "{}", told.stdout);
    assert!(line("b@one.test").contains("no session on host-of-n1 (fax, last seen "), "{}", told.stdout);
    assert!(line("b@one.test").ends_with(": may be retired"), "{}", told.stdout);
    assert!(line("c@two.test").contains("until ") && line("c@two.test").ends_with("nobody"), "{}", told.stdout);
    assert_eq!(line("d@two.test"), "", "nothing is being replaced there");
    assert!(!format!("{}{}", told.stdout, told.stderr).contains(SECRET));

    let of_domain = scene.home.run(&["report", "rotation", "--domain", "two.test", "--json"]).succeeded().json();
    assert_eq!(of_domain["rotations"].as_array().unwrap().len(), 1, "{of_domain}");
    let of_one = scene.home.run(&["report", "rotation", "--account", "a@one.test", "--json"]).succeeded();
    assert!(!of_one.stdout.contains(SECRET));
    let row = &of_one.json()["rotations"][0];
    assert_eq!((&row["account"], &row["current"]["id"]), (&"a@one.test".into(), &"new-of-a@one.test".into()));
    let previous = &row["previous"];
    assert_eq!((&previous["id"], &previous["label"]), (&a.into(), &"first".into()));
    assert_eq!((&previous["live"], &previous["may_be_retired"]), (&2.into(), &false.into()));
    assert_eq!(previous["used"][0]["logins"][0]["login"], "scanner");
    assert_eq!(previous["used"][0]["host"], "host-of-n1");
}

#[test]
fn what_is_staged_is_told_with_who_did_it() {
    let scene = Scene::set(&["a@one.test"]);
    scene.place("a@one.test", |slots, current| {
        slots.next = Some(Next {
            credential: StoredCredential { id: "c2".into(), label: "second".into(), ..current },
            op: "op".into(),
            by: "bob@desk".into(),
            since: now(),
            state: NextState::Staged,
            replaces: false,
            refused: None,
        });
    });
    let told = scene.home.run(&["report", "rotation"]).succeeded();
    assert!(
        told.stdout.contains("next: c2 (second)") && told.stdout.contains("staged by bob@desk, "),
        "{}",
        told.stdout
    );
}

#[test]
fn where_nothing_is_replaced_it_says_so() {
    let scene = Scene::set(&["a@one.test"]);
    scene.home.run(&["report", "rotation"]).succeeded().said("nothing is being replaced");
    let json = scene.home.run(&["report", "rotation", "--json"]).succeeded().json();
    assert_eq!(json, serde_json::json!({"usage_known": true, "usage_omitted": 0, "rotations": []}));
    scene.home.run(&["report", "rotation", "--account", "b@one.test"]).ended(66).said("there is no account b@one.test");
}

#[test]
fn what_is_in_use_is_not_retired_unless_somebody_insists() {
    let scene = Scene::set(&["a@one.test"]);
    let id = scene.promote("a@one.test", before(HOUR));
    scene.tell("n1", vec![entry("a@one.test", &id, "scanner", 1, now())]);
    let refused = scene.home.run(&["rotate", "retire", "a@one.test"]).ended(75);
    refused.said("the one before is still in use: 1 session on host-of-n1 (scanner, last seen ");
    refused.said("next: locum report rotation --account a@one.test");
    let retired = scene.home.run(&["rotate", "retire", "a@one.test", "--now", "--yes"]).succeeded();
    retired.said("it is in use still, and these sessions stay open: 1 session on host-of-n1 (scanner");
    scene.home.run(&["report", "rotation"]).succeeded().said("nothing is being replaced");
}

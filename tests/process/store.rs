//! The store as an operator handles it: lists of many records, and the verbs that move it, copy it, change its key.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use locum::broker::Directory;
use locum::model::{Binding, Client, Policy, RecordKind};
use locum::store::{self, KeySource, Options, Store, sqlite};
use rusqlite::Connection;
use serde_json::Value;

use crate::support::{Home, Run};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const CANNOT_CREATE: i32 = 73;
const CONFIG: i32 = 78;

/// A folder with a configuration and a store, and within it a folder with another.
fn two_stores() -> Home {
    let home = Home::made();
    fs::create_dir(home.path("other")).unwrap();
    home.run(&["init", "--config", OTHER]).succeeded();
    home
}

const OTHER: &str = "other/locum.toml";

async fn open(home: &Home, folder: &str) -> Arc<dyn Store> {
    let key = KeySource::File(home.path(&format!("{folder}locum.key")));
    store::open(&Options::Sqlite(sqlite::Options { path: home.path(&format!("{folder}locum.db")), key })).await.unwrap()
}

/// Puts that many clients into the store.
async fn fill(home: &Home, count: usize) {
    let directory = Directory::of_operator(open(home, "").await, "test@here");
    for number in 0..count {
        let (login, bindings) = (format!("client{number:05}"), vec![Binding::Account("a".into())]);
        let client = Client { login, secrets: Vec::new(), bindings, policy: Policy::default() };
        directory.put_client(&client, None).await.unwrap();
    }
}

fn add(home: &Home, config: &str, name: &str) {
    let arguments = ["--config", config, "account", "add", name, "--upstream", "gmail", "--secret-stdin"];
    home.run_with(&arguments, "abcd efgh ijkl mnop").succeeded();
}

/// Everything that can be seen of a store through the command line.
fn all(home: &Home, config: &str) -> [Value; 2] {
    ["account", "client"]
        .map(|kind| home.run(&["--config", config, kind, "list", "--all", "--json"]).succeeded().json())
}

fn migrate(home: &Home, more: &[&str]) -> Run {
    home.run(&[&["store", "migrate", "--to", OTHER], more].concat())
}

fn damage_one(home: &Home) {
    let database = Connection::open(home.path("locum.db")).unwrap();
    let sql = "UPDATE records SET sealed = x'00' WHERE hash = (SELECT max(hash) FROM records WHERE folder = 'clients')";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
}

fn mode(home: &Home, name: &str) -> u32 {
    fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o7777
}

// lists

fn logins(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|view| view["login"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_long_list_comes_in_parts() {
    let home = Home::made();
    fill(&home, 25).await;
    let (mut seen, mut sizes, mut after) = (BTreeSet::new(), Vec::new(), None::<String>);
    loop {
        let go_on = after.iter().flat_map(|cursor| ["--after", cursor.as_str()]);
        let arguments: Vec<&str> = ["client", "list", "--json", "--limit", "10"].into_iter().chain(go_on).collect();
        let run = home.run(&arguments).succeeded();
        let part = logins(&run.json());
        assert!(part.is_sorted());
        sizes.push(part.len());
        seen.extend(part);
        let Some((_, rest)) = run.stderr.split_once(" shown; more: --after ") else {
            assert_eq!(run.stderr, "");
            break;
        };
        after = Some(rest.strip_suffix(", or --all\n").unwrap().to_owned());
    }
    assert_eq!((seen.len(), sizes), (25, vec![10, 10, 5]));
    for everything in [&["--all"][..], &["--limit", "0"], &["--limit", "25"], &[]] {
        let run = home.run(&[&["client", "list", "--json"], everything].concat()).succeeded();
        assert_eq!((logins(&run.json()).len(), run.stderr.as_str()), (25, ""), "{everything:?}");
    }
    home.run(&["client", "list", "--limit", "7"]).succeeded().said("7 shown; more: --after ");
    home.run(&["client", "list", "--after", "client00001"]).ended(USAGE).said("what an earlier list said");
}

#[tokio::test]
async fn a_damaged_record_is_named_and_the_others_are_listed() {
    let home = Home::made();
    fill(&home, 5).await;
    damage_one(&home);
    let run = home.run(&["client", "list", "--json"]).ended(DATA);
    run.said("locum: the record clients/").said("is damaged").said("all others are");
    assert_eq!(logins(&run.json()).len(), 4);
    assert_eq!(home.run(&["client", "list"]).ended(DATA).stdout.lines().count(), 1 + 4);
}

// migrate

#[test]
fn a_store_moves_to_another_and_back() {
    let home = two_stores();
    add(&home, "locum.toml", "alice@gmail.test");
    add(&home, "locum.toml", "bob@gmail.test");
    home.run(&["client", "issue", "scan", "--account", "bob@gmail.test"]).succeeded();

    let run = migrate(&home, &["--dry-run"]).succeeded();
    assert_eq!(run.stdout, "3 records: 3 to copy, 0 to replace, 0 there already; nothing was written\n");
    assert_eq!(all(&home, OTHER), [serde_json::json!([]), serde_json::json!([])]);

    let run = migrate(&home, &[]).succeeded();
    assert_eq!(run.stdout, "3 records: 3 copied, 0 replaced, 0 there already; each was compared\n");
    assert_eq!(run.stderr, "");
    assert_eq!(all(&home, OTHER), all(&home, "locum.toml"));
    let run = migrate(&home, &[]).succeeded();
    assert_eq!(run.stdout, "3 records: 0 copied, 0 replaced, 3 there already; each was compared\n");

    home.run(&["--config", OTHER, "account", "set", "alice@gmail.test", "--identity", "x"]).succeeded();
    let back = home.run(&["--config", OTHER, "store", "migrate", "--to", "locum.toml", "--replace"]).succeeded();
    assert_eq!(back.stdout, "3 records: 0 copied, 1 replaced, 2 there already; each was compared\n");
    assert_eq!(all(&home, OTHER), all(&home, "locum.toml"));
}

#[test]
fn what_differs_is_kept_and_what_is_there_alone_is_named() {
    let home = two_stores();
    add(&home, "locum.toml", "alice@gmail.test");
    add(&home, "locum.toml", "bob@gmail.test");
    add(&home, OTHER, "alice@gmail.test");
    add(&home, OTHER, "carol@gmail.test");
    let before = all(&home, "locum.toml");
    let run = migrate(&home, &[]).ended(DATA);
    run.said("1 records have another content there and keep it").said("  accounts/");
    run.said("1 records are in that store alone and stay there").said("not all records are there");
    assert!(run.stdout.starts_with("2 records: 1 copied, 0 replaced, 0 there already"), "{run:#?}");
    migrate(&home, &["--replace"]).succeeded().said("1 records are in that store alone");
    let [accounts, _] = all(&home, OTHER);
    assert_eq!(accounts.as_array().unwrap()[..2], before[0].as_array().unwrap()[..]);
    assert_eq!(accounts[2]["name"], "carol@gmail.test");
    assert_eq!(all(&home, "locum.toml"), before, "the source is as it was");
}

#[test]
fn a_move_to_nowhere_is_refused() {
    let home = Home::made();
    let to = |config: &str| home.run(&["store", "migrate", "--to", config]);
    to("locum.toml").ended(USAGE).said("names the same store");
    to("nope.toml").ended(CONFIG).said("nope.toml");
    home.write("other.toml", home.read("locum.toml").replace("locum.db", "other.db"));
    to("other.toml").ended(CONFIG).said("there is no store at ").said("other.db: run `locum init`");
}

#[tokio::test]
async fn a_damaged_record_does_not_keep_the_others_from_moving() {
    let home = two_stores();
    fill(&home, 5).await;
    damage_one(&home);
    let run = migrate(&home, &[]).ended(DATA);
    run.said("locum: the store to copy from: the record clients/").said("1 failed, 0 have another content");
    assert_eq!(logins(&all(&home, OTHER)[1]).len(), 4);
}

#[tokio::test]
async fn a_move_that_was_killed_goes_on_where_it_was() {
    const CLIENTS: usize = 1500;
    let home = two_stores();
    fill(&home, CLIENTS).await;
    let target = open(&home, "other/").await;
    let mut child = home.command(&["store", "migrate", "--to", OTHER]).spawn().unwrap();
    while target.list(RecordKind::Client, None, 100).await.unwrap().len() < 100 {
        assert!(child.try_wait().unwrap().is_none_or(|status| status.success()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let there = target.list(RecordKind::Client, None, usize::MAX).await.unwrap().len();
    let run = migrate(&home, &[]).succeeded();
    let copied = CLIENTS - there;
    assert_eq!(
        run.stdout,
        format!("{CLIENTS} records: {copied} copied, 0 replaced, {there} there already; each was compared\n")
    );
    assert_eq!(all(&home, OTHER), all(&home, "locum.toml"));
}

// backup

#[test]
fn a_backup_is_a_store_that_the_same_key_opens() {
    let home = Home::made();
    add(&home, "locum.toml", "alice@gmail.test");
    let served = home.serve();
    let run = home.run(&["store", "backup", "backup.db"]).succeeded();
    assert_eq!(run.stdout, "backup.db: made, 1 records; each opens\n");
    run.said("it opens with the key file locum.key");
    served.stop();
    assert_eq!(mode(&home, "backup.db"), 0o600);
    let names: Vec<_> = home.folder().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let beside = names.iter().filter(|name| name.to_str().unwrap().starts_with("backup.db"));
    assert_eq!(beside.count(), 1, "one file: {names:?}");

    let before = all(&home, "locum.toml");
    home.write("restored.toml", home.read("locum.toml").replace("locum.db", "backup.db"));
    assert_eq!(all(&home, "restored.toml"), before);

    home.write("mine", "mine");
    home.run(&["store", "backup", "mine"]).ended(CANNOT_CREATE).said("mine exists already and is left as it is");
    assert_eq!(home.read("mine"), "mine");
    home.run(&["store", "backup", "nowhere/backup.db"]).ended(CONFIG).said("No such file or directory");
}

#[test]
fn a_backup_may_have_a_key_of_its_own() {
    let home = Home::made();
    add(&home, "locum.toml", "alice@gmail.test");
    let run = home.run(&["store", "backup", "backup.db", "--key-file", "backup.key"]).succeeded();
    run.said("backup.key: made; without it nothing opens");
    assert_eq!((mode(&home, "backup.db"), mode(&home, "backup.key")), (0o600, 0o600));
    let restored = home.read("locum.toml").replace("locum.db", "backup.db").replace("locum.key", "backup.key");
    home.write("restored.toml", restored);
    assert_eq!(all(&home, "restored.toml"), all(&home, "locum.toml"));
    // The key is used again, not made again.
    let run = home.run(&["store", "backup", "second.db", "--key-file", "backup.key"]).succeeded();
    assert_eq!(run.stderr, "");
}

#[tokio::test]
async fn a_backup_of_a_damaged_store_says_so() {
    let home = Home::made();
    fill(&home, 3).await;
    damage_one(&home);
    let run = home.run(&["store", "backup", "backup.db"]).ended(DATA);
    run.said("is damaged").said("1 failed");
    assert_eq!(run.stdout, "backup.db: made, 2 records; each opens\n");
}

// rekey

#[test]
fn a_store_gets_another_key_while_it_is_served() {
    let home = Home::made();
    add(&home, "locum.toml", "alice@gmail.test");
    let before = all(&home, "locum.toml");
    home.run(&["store", "backup", "backup.db"]).succeeded();
    let served = home.serve();
    let run = home.run(&["store", "rekey", "--new-key-file", "new.key"]).succeeded();
    run.said("new.key: made").said("what runs goes on").said("backups from before open with the key ");
    assert!(run.stdout.starts_with("locum.db: sealed with the key file "), "{run:#?}");
    assert_eq!(mode(&home, "new.key"), 0o600);

    home.run(&["check"]).ended(CONFIG).said("this key does not open the store");
    // As after a crash between that and the change of the configuration.
    home.run(&["store", "rekey", "--new-key-file", "new.key"]).succeeded().said("key-file = \"");
    let (_, setting) = run.stderr.split_once("must be: ").unwrap();
    let old = home.read("locum.toml");
    home.write("locum.toml", old.replace("key-file = \"locum.key\"", setting));
    assert_eq!(all(&home, "locum.toml"), before);
    add(&home, "locum.toml", "bob@gmail.test");
    served.stop().succeeded();
    home.serve().stop().succeeded();

    home.write("backup.toml", old.replace("locum.db", "backup.db"));
    assert_eq!(all(&home, "backup.toml"), before);
}

#[test]
fn a_new_key_may_come_from_the_environment() {
    let home = Home::made();
    let key = home.read("locum.key");
    home.write("spare.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    home.run(&["store", "rekey", "--new-key-environment", "LOCUM_NEW"]).ended(CONFIG).said("LOCUM_NEW is not set");
    let mut command = home.command(&["store", "rekey", "--new-key-environment", "LOCUM_NEW"]);
    let run = crate::support::finish(command.env("LOCUM_NEW", home.read("spare.key")).spawn().unwrap()).succeeded();
    run.said("must be: key-environment = \"LOCUM_NEW\"");
    assert!(!format!("{run:?}").contains(key.trim()) && !format!("{run:?}").contains("AAECAw"));
    home.run(&["check"]).ended(CONFIG);
    home.run(&["store", "rekey", "--new-key-file", "a", "--new-key-environment", "B"]).ended(USAGE);
}

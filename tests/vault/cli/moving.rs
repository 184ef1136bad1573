//! Records move from a file to a Vault and back, are backed up, and survive whatever comes in between.

use std::process::Child;
use std::sync::Arc;

use locum::broker::Directory;
use locum::model::{Binding, Client, Policy, RecordKind};
use locum::store::{self, Options, Store};

use super::{CONFIG, DATA, Desk, Office, TEMPORARY, USAGE, open, records, records_in, write_policies};
use crate::openbao::Cluster;
use crate::place::Place;
use crate::program::{Run, finish};

const ALICE: &str = "alice@gmail.test";

/// Puts that many clients into a store.
async fn fill(store: Arc<dyn Store>, count: usize) {
    let directory = Directory::of_operator(store, "test@here");
    for number in 0..count {
        let (login, bindings) = (format!("client{number:05}"), vec![Binding::Account("a".into())]);
        let client = Client { login, secrets: Vec::new(), bindings, policy: Policy::default() };
        directory.put_client(&client, None).await.unwrap();
    }
}

async fn file_with(desk: &Desk, clients: usize) -> store::sqlite::Options {
    let file = desk.file_store("file");
    fill(store::open(&Options::Sqlite(file.clone())).await.unwrap(), clients).await;
    file
}

fn summary(total: usize, copied: usize, replaced: usize, same: usize) -> String {
    format!("{total} records: {copied} copied, {replaced} replaced, {same} there already; each was compared\n")
}

const TO_VAULT: [&str; 6] = ["--config", "file.toml", "store", "migrate", "--to", "locum.toml"];

#[tokio::test(flavor = "multi_thread")]
async fn a_file_moves_to_a_vault_and_back_byte_for_byte() {
    let office = Office::open().await;
    let file = file_with(&office.desk, 20).await;
    for account in [ALICE, "bob@gmail.test"] {
        let add = ["--config", "file.toml", "account", "add", account, "--upstream", "gmail", "--secret-stdin"];
        office.run_with(&add, super::APP_PASSWORD).succeeded();
    }
    office.run(&["--config", "file.toml", "client", "issue", "scan", "--account", ALICE]).succeeded();
    let before = records_in(file.clone()).await;
    assert_eq!(before.len(), 23);

    let dry = office.run(&[&TO_VAULT[..], &["--dry-run"]].concat()).succeeded();
    assert_eq!(dry.stdout, "23 records: 23 to copy, 0 to replace, 0 there already; nothing was written\n");
    assert!(office.records().await.is_empty());
    assert_eq!(office.run(&TO_VAULT).succeeded().stdout, summary(23, 23, 0, 0));
    assert_eq!(office.records().await, before);
    assert_eq!(office.all("locum.toml"), office.all("file.toml"));
    assert_eq!(office.run(&TO_VAULT).succeeded().stdout, summary(23, 0, 0, 23), "all of it is there");

    let back = office.desk.file_store("back");
    let to_file = ["store", "migrate", "--to", "back.toml"];
    assert_eq!(office.run(&to_file).succeeded().stdout, summary(23, 23, 0, 0));
    assert_eq!(office.run(&to_file).succeeded().stdout, summary(23, 0, 0, 23));
    assert_eq!(records_in(back).await, before);
    assert_eq!(records_in(file).await, before, "the source is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_in_the_vault_is_kept_and_named() {
    let office = Office::open().await;
    file_with(&office.desk, 3).await;
    office.add_account(ALICE);
    office.run(&TO_VAULT).succeeded().said("1 records are in that store alone and stay there");
    let limited = ["client", "issue", "client00001", "--label", "there"];
    office.run(&limited).succeeded();
    let there = office.records().await;
    let run = office.run(&TO_VAULT).ended(DATA);
    run.said("1 records have another content there and keep it, unless --replace is given:\n  clients/");
    assert_eq!(office.records().await, there);
    let run = office.run(&[&TO_VAULT[..], &["--replace"]].concat()).succeeded();
    assert_eq!(run.stdout, summary(3, 0, 1, 2));
    assert_eq!(office.all("locum.toml")[1], office.all("file.toml")[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operators_token_nothing_moves() {
    let office = Office::open().await;
    file_with(&office.desk, 40).await;
    let run = office.desk.run(&TO_VAULT).ended(CONFIG);
    run.said("locum: the store to copy to: ")
        .said("cannot write clients/")
        .said("put an operator's token into VAULT_TOKEN");
    assert!(office.records().await.is_empty());
    let back = office.desk.file_store("back");
    let run = office.desk.run(&["store", "migrate", "--to", "back.toml"]).ended(CONFIG);
    run.said("locum: the store to copy from: ").said("cannot list the records").said("put an operator's token");
    assert!(records_in(back).await.is_empty());
}

/// Waits until so many clients are there, while the child goes on.
async fn until_there(store: &dyn Store, count: usize, child: &mut Child) {
    while store.list(RecordKind::Client, None, usize::MAX).await.unwrap().len() < count {
        assert!(child.try_wait().unwrap().is_none_or(|status| status.success()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_killed_goes_on_where_it_was() {
    const CLIENTS: usize = 600;
    let office = Office::open().await;
    let file = file_with(&office.desk, CLIENTS).await;
    let vault = open(&office.server).await;
    let mut child = office.desk.command(&TO_VAULT).env("VAULT_TOKEN", &office.operator).spawn().unwrap();
    until_there(&*vault, 50, &mut child).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let there = records(&*vault).await.len();
    assert!(there < CLIENTS, "it was not killed in the middle");
    assert_eq!(office.run(&TO_VAULT).succeeded().stdout, summary(CLIENTS, CLIENTS - there, 0, there));
    assert_eq!(office.records().await, records_in(file).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_is_waited_for_and_then_told_of() {
    const CLIENTS: usize = 600;
    let mut cluster = Cluster::start(1).await;
    let root = cluster.on(0);
    root.mount_kv2("locum").await;
    write_policies(&root).await;
    let desk = Desk::at(&root, &format!("ca-file = \"{}\"\n", cluster.ca_file().display())).await;
    let file = file_with(&desk, CLIENTS).await;
    let operator = root.token(&["locum-operator"], "1h").await;
    let place = Place::new(&[root.address()], Some(cluster.ca_file()), root.token_text());
    let vault = place.connected().await;
    let mut child = desk.command(&TO_VAULT).env("VAULT_TOKEN", &operator).spawn().unwrap();
    until_there(&*vault, 50, &mut child).await;
    cluster.kill(0);
    let run = finish(child).ended(TEMPORARY);
    run.said(" of 600 records were done; run it again to go on");
    run.said("locum: the store to copy to: the store is unavailable for now: ");

    let again = || -> Run { desk.run_as(&operator, &TO_VAULT, "") };
    again().ended(TEMPORARY).said("Connection refused");
    cluster.restart(0).await;
    again().ended(TEMPORARY).said("the server is sealed: unseal it");
    cluster.unseal(0).await;
    cluster.wait_for(0, 200).await;
    let there = records(&*vault).await.len();
    assert!((50..CLIENTS).contains(&there), "{there}");
    assert_eq!(again().succeeded().stdout, summary(CLIENTS, CLIENTS - there, 0, there));
    assert_eq!(records(&*vault).await, records_in(file).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_sealed_file_and_restores_the_vault() {
    let office = Office::open().await;
    fill(open(&office.server).await, 30).await;
    office.add_account(ALICE);
    let before = office.records().await;
    let run = office.run(&["store", "backup", "backup.db", "--key-file", "backup.key"]).succeeded();
    assert_eq!(run.stdout, "backup.db: made, 31 records; each opens\n");
    run.said("backup.key: made; without it nothing opens");
    let sealed = std::fs::read(office.desk.home.path("backup.db")).unwrap();
    assert!(!sealed.windows(16).any(|bytes| bytes == b"abcdefghijklmnop"));

    office.server.bao(&["secrets", "disable", "locum"]).await;
    office.server.mount_kv2("locum").await;
    let backup = "path = \"backup.db\"\nkey-file = \"backup.key\"\n[upstream.gmail]\npreset = \"gmail\"\n";
    office.desk.configure("backup.toml", backup);
    let restore = ["--config", "backup.toml", "store", "migrate", "--to", "locum.toml"];
    assert_eq!(office.run(&restore).succeeded().stdout, summary(31, 31, 0, 0));
    assert_eq!(office.records().await, before);

    let run = office.run(&["store", "backup", "second.db"]).ended(USAGE);
    run.said("the backup of this store is a sealed file, which needs a key of its own: name it with --key-file FILE");
    let run = office.run(&["store", "rekey", "--new-key-file", "new.key"]).ended(USAGE);
    run.said("this store is not sealed by Locum but by its server").said("`bao operator rotate-keys`");
    assert!(!office.desk.home.path("second.db").exists() && !office.desk.home.path("new.key").exists());
}

//! Accounts and clients in a Vault: whose token is used, what one with fewer rights is told, and what comes of several
//! operators at once.

use serde_json::{Value, json};

use super::{APP_PASSWORD, CONFIG, Office, TEMPORARY};
use crate::openbao::{Cluster, Dev};
use crate::program::{Run, finish};

use super::{Desk, write_policies};

const ALICE: &str = "alice@gmail.test";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_all_verbs() {
    let office = Office::open().await;
    office.add_account(ALICE);
    let issued = office.run(&["client", "issue", "scan", "--account", ALICE, "--json"]).succeeded().json();
    office.run(&["client", "issue", "scan", "--label", "second"]).succeeded();
    office.run(&["account", "set", ALICE, "--identity", "alice"]).succeeded().said("the app password stays");
    let shown = office.run(&["account", "show", ALICE, "--json"]).succeeded().json();
    assert_eq!((&shown["identity"]["all"], &shown["upstream"]), (&json!("alice"), &json!("gmail")));
    assert!(shown["changed"]["by"].as_str().unwrap().starts_with("olga@"), "{shown}");
    let [accounts, clients] = office.all("locum.toml");
    assert_eq!((accounts.as_array().unwrap().len(), &accounts[0]["name"]), (1, &json!(ALICE)));
    assert_eq!(clients[0]["secrets"].as_array().unwrap().len(), 2);

    let id = issued["id"].as_str().unwrap();
    office.run(&["client", "revoke", "scan", "--secret", id]).succeeded();
    let shown = office.run(&["client", "show", "scan", "--json"]).succeeded().json();
    assert_eq!(shown["secrets"][0]["label"], "second");
    office.run(&["client", "revoke", "scan", "--all"]).succeeded();
    office.run(&["account", "remove", ALICE]).succeeded();
    assert_eq!(office.all("locum.toml"), [json!([]), json!([])]);
    office.run(&["account", "show", ALICE]).ended(66).said("there is no account alice@gmail.test");
    // A new one under the name of the old goes on from it.
    office.add_account(ALICE);
}

/// An operator's token is good, an auditor's is good and may read no record: whose was used is seen by what is said.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_that_of_the_first_place_where_there_is_one() {
    let office = Office::open().await;
    office.add_account(ALICE);
    let auditor = office.server.token(&["locum-auditor"], "1h").await;
    let (good, lesser) = (office.operator.as_str(), auditor.as_str());
    let show = |variables: &[(&str, &str)], home: Option<&str>| -> Run {
        let file = office.desk.home.path(".vault-token");
        match home {
            Some(token) => office.desk.home.write(".vault-token", format!("{token}\n")),
            None => drop(std::fs::remove_file(&file)),
        }
        office.desk.run_in(variables, &["account", "show", ALICE])
    };
    for (variables, home) in [
        (&[("VAULT_TOKEN", good), ("BAO_TOKEN", lesser)][..], Some(lesser)),
        (&[("VAULT_TOKEN", ""), ("BAO_TOKEN", good)], Some(lesser)),
        (&[("BAO_TOKEN", good)], Some(lesser)),
        (&[], Some(good)),
    ] {
        show(variables, home).succeeded();
    }
    let file = office.desk.home.path(".vault-token").display().to_string();
    for (variables, home, used) in [
        (&[("VAULT_TOKEN", lesser), ("BAO_TOKEN", good)][..], Some(good), "the environment variable VAULT_TOKEN"),
        (&[("BAO_TOKEN", lesser)], Some(good), "the environment variable BAO_TOKEN"),
        (&[], Some(lesser), file.as_str()),
    ] {
        let denied = show(variables, home).ended(CONFIG);
        denied.said(&format!("the server denied it (403) to the token in {used}: give it the policy for operators"));
        let home = home.map(|_| "s.dead");
        let dead: Vec<_> = variables.iter().map(|(name, _)| (*name, "s.dead")).collect();
        show(&dead, home).ended(CONFIG).said(&format!("the server refused the token in {used}, which has expired"));
    }
    let odd = show(&[("VAULT_TOKEN", "s.a s.b")], None).ended(CONFIG);
    odd.said("the environment variable VAULT_TOKEN holds no token");
    office.desk.home.write(".vault-token", good);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(office.desk.home.path(".vault-token"), open).unwrap();
    office.desk.run(&["account", "show", ALICE]).ended(CONFIG).said("is open to everybody (mode 0644): run `chmod o=");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_nodes_rights_nothing_is_written_and_the_way_out_is_said() {
    let office = Office::open().await;
    office.add_account(ALICE);
    office.run(&["client", "issue", "scan", "--account", ALICE]).succeeded();
    let before = office.records().await;
    for arguments in [
        &["account", "add", "bob@gmail.test", "--upstream", "gmail", "--secret-file", "password"][..],
        &["account", "set", ALICE, "--label", "x"],
        &["account", "remove", ALICE],
        &["account", "list"],
        &["client", "issue", "scan"],
        &["client", "revoke", "scan", "--all"],
        &["client", "list"],
        &["store", "backup", "backup.db", "--key-file", "backup.key"],
    ] {
        office.desk.home.write("password", APP_PASSWORD);
        let run = office.desk.run(arguments).ended(CONFIG);
        run.said("the server denied it (403) to the token of the AppRole login in [store.login], which is a node's");
        run.said("put an operator's token into VAULT_TOKEN or BAO_TOKEN, or run `bao login` or `vault login`");
        assert!(!run.stderr.contains("may have been written"), "a refusal leaves no doubt: {run:#?}");
        assert_eq!(run.stdout, "");
    }
    assert!(!office.desk.home.path("backup.db").exists());
    // What a node may read, a guest may, too.
    office.desk.run(&["account", "show", ALICE]).succeeded();
    assert_eq!(office.records().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_secret_id_is_left_to_the_node() {
    let office = Office::open().await;
    let wrapped = office.server.wrapped_secret_id("locum-node").await;
    office.desk.home.write("secret-id", &wrapped);
    let config = office.desk.config.replace("secret-id-file", "secret-id-wrapped = true\nsecret-id-file");
    office.desk.configure("locum.toml", &config);
    let refused = office.desk.run(&["account", "list"]).ended(CONFIG);
    refused.said("the wrapped secret id in [store.login] is good for one login, and left to the node");
    office.run(&["account", "list"]).succeeded();
    office.desk.run(&["check", "--dial"]);
    let (status, answer) =
        office.server.with_token(&wrapped).api("POST", "sys/wrapping/lookup", json!({ "token": wrapped })).await;
    assert_eq!(status, 200, "it is as good as new: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_and_what_does_not_have_exit_codes_of_their_own() {
    let mut cluster = Cluster::start(1).await;
    let root = cluster.on(0);
    root.mount_kv2("locum").await;
    write_policies(&root).await;
    let trusted = format!("ca-file = \"{}\"\n", cluster.ca_file().display());
    let desk = Desk::at(&root, &trusted).await;
    let token = root.token(&["locum-operator"], "1h").await;
    let list = || desk.run_as(&token, &["account", "list"], "");
    list().succeeded();

    desk.configure("locum.toml", &desk.config.replace(&trusted, ""));
    list().ended(CONFIG).said("its certificate is not trusted").said("ca-file");
    let file = cluster.ca_file().display().to_string();
    desk.configure("locum.toml", &desk.config.replace(&file, &desk.home.path("none.pem").display().to_string()));
    list().ended(CONFIG).said("cannot read the certificates in ").said("none.pem: No such");
    desk.configure("locum.toml", &desk.config.replace(&trusted, &format!("{trusted}mount = \"other\"\n")));
    list()
        .ended(CONFIG)
        .said("nothing is mounted at other, or the token in the environment variable VAULT_TOKEN may not");
    desk.configure("locum.toml", &desk.config);
    cluster.seal(0).await;
    list().ended(TEMPORARY).said("the server is sealed: unseal it");
    cluster.unseal(0).await;
    cluster.wait_for(0, 200).await;
    list().succeeded();
    cluster.kill(0);
    list().ended(TEMPORARY).said("Connection refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_of_version_1_is_refused_to_an_operator() {
    let dev = Dev::start().await;
    dev.bao(&["secrets", "enable", "-path=locum", "kv"]).await;
    write_policies(&dev).await;
    let desk = Desk::at(&dev, "").await;
    let token = dev.token(&["locum-operator"], "1h").await;
    let run = desk.run_as(&token, &["account", "list"], "").ended(CONFIG);
    run.said("the KV engine at locum is of version 1, and version 2 is needed: upgrade it (`bao kv enable-versioning locum`)");
}

/// Processes, not tasks: each reads, decides and writes by itself.
#[tokio::test(flavor = "multi_thread")]
async fn of_operators_at_once_each_wins_or_is_told_who_did() {
    const OPERATORS: usize = 12;
    let office = Office::open().await;
    office.add_account(ALICE);
    let set = |number: usize| {
        let identity = format!("identity{number}");
        let mut command = office.desk.command(&["account", "set", ALICE, "--identity", &identity]);
        command.env("VAULT_TOKEN", &office.operator).env("USER", format!("operator{number}")).spawn().unwrap()
    };
    let started: Vec<_> = (0..OPERATORS).map(set).collect();
    let runs: Vec<Run> = started.into_iter().map(finish).collect();
    let mut won = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        match run.code {
            Some(0) => won.push(number),
            _ => {
                assert_eq!(run.code, Some(TEMPORARY), "{run:#?}");
                let (who, rest) = run.stderr.split_once(" changed the account alice@gmail.test at 20").unwrap();
                assert!(who.starts_with("locum: operator") && who.contains('@'), "{run:#?}");
                assert!(rest.ends_with("nothing was changed here: look at it and run it again\n"), "{run:#?}");
            }
        }
    }
    let id = locum::model::RecordId::new(locum::model::RecordKind::Account, ALICE);
    let record = office.server.ok("GET", &format!("locum/data/{id}"), Value::Null).await;
    assert_eq!(record["data"]["metadata"]["version"], json!(1 + won.len()), "a write was lost, or made twice");
    let shown = office.run(&["account", "show", ALICE, "--json"]).succeeded().json();
    let last = won.iter().find(|number| shown["identity"]["all"] == format!("identity{number}"));
    let by = format!("operator{}@", last.expect("one of those who were told that they won"));
    assert!(shown["changed"]["by"].as_str().unwrap().starts_with(&by), "{shown}");
}

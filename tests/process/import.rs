//! Clients and accounts from files, and secrets for devices with picky fields: what is taken over, what is refused with which
//! words, and that no hash and no password is ever quoted.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{Home, Run};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;
const CANNOT_CREATE: i32 = 73;
const DENIED: i32 = 77;
const PARTIAL: i32 = 79;

/// What must be read in no output.
const HASHES: [&str; 3] = [
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    "$2y$05$D9nePZSNb/uZEQpoV305LuEOPzhzfzvNLqShXZVVQGPxgHaWtYGq6",
    "{SSHA}eJ6KEIjkUqAMpAT1twwd4l50VdjhZ9bu",
];

#[track_caller]
fn assert_silent(run: &Run) {
    for canary in HASHES.map(|hash| &hash[12..30]).into_iter().chain(["abcd efgh", "abcdefgh"]) {
        assert!(!run.stdout.contains(canary) && !run.stderr.contains(canary), "{canary} in {run:#?}");
    }
}

fn run(home: &Home, arguments: &[&str]) -> Run {
    let run = home.run(arguments);
    assert_silent(&run);
    run
}

fn list(home: &Home, what: &str) -> Vec<Value> {
    run(home, &[what, "list", "--json"]).succeeded().json().as_array().unwrap().clone()
}

fn open_to_all(home: &Home, file: &str) {
    fs::set_permissions(home.path(file), Permissions::from_mode(0o644)).unwrap();
}

/// With the accounts `a@gmail.test` and `b@gmail.test`.
fn home() -> Home {
    let home = Home::made();
    home.write(
        "accounts.csv",
        "account,upstream,secret\na@gmail.test,gmail,abcd efgh ijkl mnop\nb@gmail.test,gmail,abcd efgh ijkl mnoq\n",
    );
    run(&home, &["account", "import", "accounts.csv"]).succeeded();
    home
}

#[test]
fn accounts_are_imported_and_a_second_run_changes_nothing() {
    let home = Home::made();
    let rows = "account;upstream;identity;identity-submission;password;label\n\
        a@gmail.test;gmail;;;abcd efgh ijkl mnop;locum 2026\n\
        shared@gmail.test;;a@gmail.test;b@gmail.test;;\n";
    home.write("accounts.csv", rows);
    let all = ["account", "import", "accounts.csv", "--upstream", "gmail"];
    let foreseen = run(&home, &[&all[..], &["--dry-run"]].concat()).succeeded();
    assert_eq!(foreseen.stdout, "2 accounts: 2 would be added; nothing was done\n");
    assert_eq!(list(&home, "account"), Vec::<Value>::new());
    assert!(!home.path("accounts.csv.result.csv").exists());

    let done = run(&home, &all).succeeded();
    assert_eq!(done.stdout, "2 accounts: 2 added\neach row: accounts.csv.result.csv\n");
    let accounts = list(&home, "account");
    assert_eq!((accounts.len(), &accounts[0]["credentials"][0]["label"]), (2, &"locum 2026".into()));
    assert_eq!(accounts[1]["identity"]["submission"], "b@gmail.test", "{accounts:#?}");
    let results = home.read("accounts.csv.result.csv");
    let results: Vec<&str> = results.lines().collect();
    assert_eq!(results[0], "line,name,outcome,cause,secret");
    assert!(results[1].starts_with("2,a@gmail.test,added,,"), "{results:?}");

    assert_eq!(run(&home, &all).succeeded().stdout.lines().next(), Some("2 accounts: 2 there already"));
    assert_eq!(list(&home, "account"), accounts);
    home.write("accounts.csv", rows.replace("mnop", "mnoz") + "new@gmail.test;;;;;\n");
    run(&home, &all).ended(PARTIAL).said("line 2: a@gmail.test: there is such an account, with something else in it");
    assert_eq!(list(&home, "account").len(), 3);
}

#[test]
fn a_file_of_accounts_is_read_to_its_end_before_anything_is_done() {
    let home = Home::made();
    let text = "account,upstream,secret\n\
        a@gmail.test,gmail,abcd efgh ijkl mnop\n\
        A@Gmail.test,gmail,abcd efgh ijkl mnop\n\
        ,gmail,abcd efgh ijkl mnop\n\
        c@gmail.test,abcd efgh ijkl mnop,gmail\n\
        d@gmail.test,gmail,"
        .to_owned()
        + &"x".repeat(1100)
        + "\n";
    home.write("accounts.csv", &text);
    let refused = run(&home, &["account", "import", "accounts.csv"]).ended(DATA);
    for line in [
        "accounts.csv:3: its account stands in line 2, too",
        "accounts.csv:4: it names no account",
        "accounts.csv:5: column upstream: the configuration has no such upstream; it has: ",
        "accounts.csv:6: column secret: ",
        "accounts.csv has 4 lines that cannot be used; nothing was done",
    ] {
        refused.said(line);
    }
    assert_eq!(list(&home, "account"), Vec::<Value>::new());
    open_to_all(&home, "accounts.csv");
    run(&home, &["account", "import", "accounts.csv"]).ended(DENIED).said("has the passwords in it");
    // Without passwords anybody may read it.
    home.write("accounts.csv", "account,upstream\ne@gmail.test,gmail\n");
    open_to_all(&home, "accounts.csv");
    run(&home, &["account", "import", "accounts.csv"]).succeeded();
}

#[test]
fn clients_are_imported_with_their_hashes_and_a_second_run_goes_on() {
    let home = home();
    let text = format!(
        "login,hash,account,label,expires\n\
         scan,{},a@gmail.test,3rd floor,2100-01-31T00:00:00Z\n\
         b@gmail.test,{{BLF-CRYPT}}{},,,\n\
         SCAN,{},,second,\n\
         door,{},c@gmail.test,,\n\
         many,{},a@gmail.test b@gmail.test,,\n\
         late,{},a@gmail.test,,2020-01-31T00:00:00Z\n",
        HASHES[0], HASHES[1], HASHES[2], HASHES[2], HASHES[2], HASHES[2]
    );
    home.write("clients.csv", text);
    let import = ["client", "import", "clients.csv"];
    let foreseen = run(&home, &[&import[..], &["--dry-run"]].concat()).ended(PARTIAL);
    foreseen.said("line 5: door: there is no account c@gmail.test; add it with `locum account add` or");
    assert_eq!(foreseen.stdout, "6 secrets of clients: 3 would be added, 3 refused; nothing was done\n");
    assert_eq!(list(&home, "client"), Vec::<Value>::new());

    let done = run(&home, &import).ended(PARTIAL);
    done.said("line 6: many: it would be bound to 2 accounts");
    done.said("line 7: late: its secret has expired");
    let results = home.read("clients.csv.result.csv");
    assert_eq!(results.lines().filter(|line| line.contains(",added,,")).count(), 3, "{results}");
    assert!(HASHES.iter().all(|hash| !results.contains(&hash[12..30])), "{results}");
    let clients = list(&home, "client");
    assert_eq!(clients.len(), 2);
    let scan = clients.iter().find(|client| client["login"] == "scan").unwrap();
    assert_eq!(scan["secrets"].as_array().unwrap().len(), 2, "one client, whatever the case of its name");
    assert_eq!((&scan["secrets"][0]["label"], &scan["accounts"][0]), (&"3rd floor".into(), &"a@gmail.test".into()));
    assert_eq!(scan["secrets"][0]["expires"], "2100-01-31T00:00:00Z");

    home.write("more.csv", "account,upstream,secret\nc@gmail.test,gmail,abcd efgh ijkl mnor\n");
    run(&home, &["account", "import", "more.csv"]).succeeded();
    let again = run(&home, &[&import[..], &["--several"]].concat()).ended(PARTIAL);
    assert!(again.stdout.starts_with("6 secrets of clients: 2 added, 1 refused, 3 there already\n"), "{again:#?}");
    assert_eq!(list(&home, "client").len(), 4);
    // One of many is revoked alone.
    let id = scan["secrets"][1]["id"].as_str().unwrap();
    run(&home, &["client", "revoke", "scan", "--secret", id]).succeeded();
    let shown = run(&home, &["client", "show", "scan", "--json"]).succeeded().json();
    assert_eq!((shown["secrets"].as_array().unwrap().len(), &shown["secrets"][0]["label"]), (1, &"3rd floor".into()));
}

#[test]
fn a_file_of_clients_is_read_to_its_end_before_anything_is_done() {
    let home = home();
    let text = format!("login,hash,account\nscan,{},a@gmail.test\ndoor,{}x,a@gmail.test\n", HASHES[0], HASHES[1]);
    home.write("clients.csv", &text);
    let refused = run(&home, &["client", "import", "clients.csv"]).ended(DATA);
    refused.said("clients.csv:3: column hash: it begins as bcrypt and is damaged");
    refused.said("clients.csv has a line that cannot be used; nothing was done");
    assert_eq!(list(&home, "client"), Vec::<Value>::new());
    open_to_all(&home, "clients.csv");
    run(&home, &["client", "import", "clients.csv"]).ended(DENIED).said("has the hashes of passwords in it");
    let well = text.lines().take(2).collect::<Vec<_>>().join("\n");
    let stdin = home.run_with(&["client", "import", "-"], &well);
    assert_silent(&stdin);
    stdin.ended(USAGE).said("say with --result FILE");
}

#[test]
fn a_directory_is_imported() {
    let home = home();
    let encoded = data_encoding::BASE64.encode(HASHES[0].as_bytes());
    let (first, rest) = encoded.split_at(40);
    let text = format!(
        "version: 1\n\ndn: ou=people,dc=x\nou: people\n\ndn: uid=anna,ou=people,dc=x\nuid: anna\nmail: a@gmail.test\n\
         mail: alias@gmail.test\nuserPassword:: {first}\n {rest}\n\ndn: uid=ben,ou=people,dc=x\nuid: ben\n\
         mail: b@gmail.test\nuserPassword: {}\n\ndn: uid=eve,dc=x\nuid: eve\nmail: e@x.test\nuserPassword: {}\n",
        HASHES[2], HASHES[2]
    );
    home.write("people.ldif", text);
    let done = run(&home, &["client", "import", "people.ldif"]).ended(PARTIAL);
    done.said("line 21: eve: there is no account e@x.test");
    let accounts: Vec<_> = list(&home, "client").iter().map(|client| client["accounts"].clone()).collect();
    assert_eq!(accounts, [serde_json::json!(["a@gmail.test"]), serde_json::json!(["b@gmail.test"])]);
    let by_mail = ["client", "import", "people.ldif", "--login-attribute", "mail"];
    run(&home, &by_mail).ended(PARTIAL);
    let logins: Vec<_> = list(&home, "client").iter().map(|client| client["login"].clone()).collect();
    assert_eq!(logins, ["a@gmail.test", "anna", "b@gmail.test", "ben"]);
}

#[test]
fn a_secret_is_issued_as_the_device_can_take_it() {
    let home = home();
    let issue = |more: &[&str]| home.run(&[&["client", "issue", "scan", "--account", "a@gmail.test"], more].concat());
    for (more, length, is_of) in [
        (&["--alphabet", "digits"][..], 38, char::is_numeric as fn(char) -> bool),
        (&["--alphabet", "lower"], 28, char::is_lowercase),
        (&["--alphabet", "letters"], 24, char::is_alphabetic),
        (&["--alphabet", "alphanumeric", "--length", "40"], 40, char::is_alphanumeric),
    ] {
        let issued = issue(more).succeeded();
        let secret = issued.stdout.trim_end();
        assert!(secret.len() == length && secret.chars().all(is_of), "{more:?}: {secret}");
        let id = issued.stderr.split(' ').nth(2).unwrap();
        assert!(secret.starts_with(id) && !issued.stderr.contains("note:"), "{issued:#?}");
    }
    let short = issue(&["--alphabet", "alphanumeric", "--length", "12"]).succeeded();
    short.said("note: its 12 characters have 52 random bits in them, where 112 are good");
    assert_eq!(short.stdout.trim_end().len(), 12);
    let refused = issue(&["--alphabet", "digits", "--length", "8"]).ended(USAGE);
    refused.said(
        "8 characters have 13 random bits in them beside the id, and fewer than 40 are guessed; 17 would do, and 38",
    );
    issue(&["--alphabet", "hex"]).ended(USAGE).said("expected \"default\", \"letters\", \"digits\"");
    issue(&["--length", "129"]).ended(USAGE).said("no more than 128 characters");
    for _ in 1..8 {
        issue(&["--length", "30"]).succeeded();
    }
    issue(&["--length", "30"]).ended(CANNOT_CREATE).said("has 8 chosen secrets already");
    issue(&[]).succeeded();
    let shown = home.run(&["client", "show", "scan", "--json"]).succeeded().json();
    assert_eq!(shown["secrets"].as_array().unwrap().len(), 13);
}

#[test]
fn a_secret_is_handed_out_once_by_a_vault_alone() {
    let home = home();
    let issue = |ttl| home.run(&["client", "issue", "scan", "--account", "a@gmail.test", "--wrap", ttl]);
    issue("8h").ended(USAGE).said("--wrap needs a store that is a Vault or OpenBao");
    for wrong in ["8", "1s", "169h", "-1h", "soon"] {
        let refused = home.run(&["client", "issue", "scan", "--account", "a@gmail.test", &format!("--wrap={wrong}")]);
        refused.ended(USAGE).said("expected a time from 1m to 168h");
    }
    assert_eq!(list(&home, "client"), Vec::<Value>::new());
}

#[test]
fn a_file_that_could_be_taken_for_more_than_it_says_is_told_of() {
    let home = home();
    // As Dovecot writes it, and as a spreadsheet does not leave it.
    let argon2id =
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    home.write("clients.csv", format!("login,hash,account,label\nscan,{argon2id},a@gmail.test,door\n"));
    let refused = run(&home, &["client", "import", "clients.csv"]).ended(DATA);
    refused.said("clients.csv:2: column hash: it ends at its first comma: put quotes around a hash of argon2id");
    assert!(!refused.stderr.contains("aGFza"), "{refused:#?}");

    let text = format!("login,hash,account,network,expiry\nscan,{},a@gmail.test,10.0.0.0/8,2100-01-31\n", HASHES[2]);
    home.write("clients.csv", text);
    let done = run(&home, &["client", "import", "clients.csv"]).succeeded();
    done.said("note: what stands in column 4, 5 is not looked at");
    home.write("more.csv", "account,upstream,colour\nc@gmail.test,gmail,red\n");
    let done = run(&home, &["account", "import", "more.csv"]).succeeded();
    done.said("note: what stands in column 3 is not looked at");

    fs::create_dir(home.path("folder")).unwrap();
    let refused = run(&home, &["client", "import", "folder"]).ended(NOT_FOUND);
    refused.said("cannot read folder: it is a folder");
    assert!(!refused.stderr.contains("chmod"), "{refused:#?}");
}

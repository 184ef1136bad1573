//! What is wrong with configuration, keys, certificates and store: each with its place and what to do, all at once, and
//! exit code 78.
//!
//! "Unreadable" is played by links that lead nowhere and by folders: modes do not stop root, who may run this.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rusqlite::Connection;

use crate::support::{Home, Run};

const CONFIG: i32 = 78;

/// Every verb that reads the configuration and opens the store.
const VERBS: [&[&str]; 11] = [
    &["check"],
    &["check", "--dial"],
    &["serve"],
    &["account", "list", "--json"],
    &["account", "show", "x"],
    &["client", "list"],
    &["client", "bind", "x", "--mailboxes", "*@x.test"],
    &["client", "unbind", "x", "--mailboxes", "*@x.test"],
    &["probe", "--all"],
    &["client", "issue", "x"],
    &["client", "revoke", "x", "--all"],
];

/// What `check` and `serve` say, without the "locum: " before each line. Both must find the same.
#[track_caller]
fn problems(home: &Home) -> Vec<String> {
    let said = |verb: &str| lines(&home.run(&[verb]).ended(CONFIG));
    let checked = said("check");
    assert_eq!(checked, said("serve"));
    checked
}

fn lines(run: &Run) -> Vec<String> {
    assert_eq!(run.stdout, "");
    run.stderr.lines().map(|line| line.strip_prefix("locum: ").unwrap_or(line).to_owned()).collect()
}

fn chmod(home: &Home, file: &str, mode: u32) {
    fs::set_permissions(home.path(file), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn all_that_is_wrong_with_the_configuration_is_said_by_every_verb() {
    let home = Home::made();
    home.write(
        "locum.toml",
        "nmae = \"mail.example.com\"\n\
         [store]\n\
         key-file = 7\n\
         password = \"hunter2\"\n\
         [tls]\n\
         certificate = \"tls.crt\"\n\
         key = \"tls.key\"\n\
         [upstream.gmail]\n\
         preset = \"gmail\"\n\
         [[listener]]\n\
         name = \"imap\"\n\
         protocol = \"imap\"\n\
         bind = \"127.0.0.1:0\"\n\
         upstream = \"gmial\"\n",
    );
    let said = home.run(&["check"]).ended(CONFIG).stderr;
    for problem in [
        "locum.toml:1:1: unknown key \"nmae\" at the top level; did you mean \"name\"?\n",
        "locum.toml:3:12: \"key-file\" must be a string",
        "locum.toml:4:1: \"password\" looks like a secret; secrets do not belong in the configuration\n",
        "locum.toml:14:12: there is no upstream of this name\n    the upstreams are: gmail\n",
    ] {
        assert!(said.contains(problem), "{problem}\n{said}");
    }
    assert!(!said.contains("hunter2") && !said.contains("gmial"));
    assert!(said.lines().all(|line| line.starts_with("locum.toml:") || line.starts_with("    ")), "{said}");
    for verb in VERBS {
        let run = home.run(verb).ended(CONFIG);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", said.as_str()), "{verb:?}");
    }
}

#[test]
fn all_that_is_wrong_with_the_files_is_said_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = Home::with_config(&format!(
        "[audit]\npath = \"nowhere/audit.jsonl\"\n[upstream.gmail]\npreset = \"gmail\"\n[[listener]]\nname = \"imap\"\n\
         protocol = \"imap\"\nbind = \"{address}\"\n"
    ));
    chmod(&home, "locum.key", 0o640);
    chmod(&home, "tls.key", 0o644);
    let of_files = [
        "the key file locum.key is open to others (mode 0640): run `chmod 600 locum.key`",
        "cannot read upstream.crt: No such file or directory (os error 2)",
        "tls.key is readable by every user of this machine; run `chmod o-rwx tls.key`",
    ];
    let checked = lines(&home.run(&["check"]).ended(CONFIG));
    let served = lines(&home.run(&["serve"]).ended(CONFIG));
    for problem in of_files {
        for said in [&checked, &served] {
            assert!(said.iter().any(|line| line.starts_with(problem)), "{problem}\n{said:#?}");
        }
    }
    // What only who serves can know.
    for problem in [
        "cannot append to the audit file nowhere/audit.jsonl: No such file or directory (os error 2)".to_owned(),
        format!(
            "listener imap: {address} is in use by another process; find it with `ss -ltnp` or choose another port"
        ),
    ] {
        assert!(served.contains(&problem), "{problem}\n{served:#?}");
    }
    assert_eq!((checked.len(), served.len()), (3, 5), "{checked:#?} {served:#?}");
}

/// One home for each case, with a configuration that is good but for the case.
fn good() -> Home {
    let home = Home::made();
    home.run(&["check"]).succeeded();
    home
}

#[track_caller]
fn assert_said(home: &Home, words: &[&str]) {
    let said = problems(home);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(words.iter().all(|word| said[0].contains(word)), "{words:?}\n{said:#?}");
}

#[test]
fn a_bad_store_key_is_said_by_every_verb() {
    type Spoil = fn(&Home);
    let cases: [(Spoil, &[&str]); 7] = [
        (|home| fs::remove_file(home.path("locum.key")).unwrap(), &["no key file at locum.key", "restore it"]),
        (
            |home| {
                fs::remove_file(home.path("locum.key")).unwrap();
                symlink("nowhere", home.path("locum.key")).unwrap();
            },
            &["no key file at locum.key", "restore it"],
        ),
        (
            |home| {
                fs::remove_file(home.path("locum.key")).unwrap();
                fs::create_dir(home.path("locum.key")).unwrap();
            },
            &["locum.key is not a plain file: name the key file itself"],
        ),
        (|home| chmod(home, "locum.key", 0o644), &["locum.key is open to others", "run `chmod 600 locum.key`"]),
        (|home| home.write("locum.key", "no key at all"), &["is not base64: it must hold 32 bytes in base64"]),
        (|home| home.write("locum.key", "c2hvcnQ="), &["holds 5 bytes: it must be exactly 32 bytes in base64"]),
        (
            |home| home.write("locum.key", data_encoding::BASE64.encode(&[7; 32])),
            &[
                "this key does not open the store at",
                "locum.db",
                "name that one, or the store that belongs to this one",
            ],
        ),
    ];
    for (spoil, words) in cases {
        let home = good();
        spoil(&home);
        assert_said(&home, words);
        for verb in &VERBS[3..] {
            let run = home.run(verb).ended(CONFIG);
            assert!(words.iter().all(|word| run.stderr.contains(word)), "{verb:?} {words:?}\n{run:#?}");
        }
    }
}

#[test]
fn a_bad_store_is_said_by_every_verb() {
    type Spoil = fn(&Home);
    let cases: [(Spoil, &[&str]); 6] = [
        (|home| fs::remove_file(home.path("locum.db")).unwrap(), &["there is no store at", "run `locum init`"]),
        (
            |home| home.write("locum.db", "SQLite format 4\0 or so, and something more"),
            &["is not a Locum store: correct the path"],
        ),
        (|home| home.write("locum.db", ""), &["is not a Locum store"]),
        (
            |home| {
                fs::remove_file(home.path("locum.db")).unwrap();
                fs::create_dir(home.path("locum.db")).unwrap();
            },
            &["is not a Locum store"],
        ),
        (|home| chmod(home, "locum.db", 0o660), &["locum.db is open to others (mode 0660): run `chmod 600 "]),
        (
            |home| {
                let store = Connection::open(home.path("locum.db")).unwrap();
                store.pragma_update(None, "user_version", 99).unwrap();
            },
            &["has schema 99, and this Locum knows schema 1: run a newer Locum"],
        ),
    ];
    for (spoil, words) in cases {
        let home = good();
        spoil(&home);
        assert_said(&home, words);
        for verb in &VERBS[3..] {
            let run = home.run(verb).ended(CONFIG);
            assert!(words.iter().all(|word| run.stderr.contains(word)), "{verb:?} {words:?}\n{run:#?}");
        }
    }
}

#[test]
fn a_damaged_store_is_told_with_its_cause() {
    let home = good();
    let store = Connection::open(home.path("locum.db")).unwrap();
    store.execute("UPDATE store SET data_key = zeroblob(72)", []).unwrap();
    drop(store);
    assert_said(
        &home,
        &["cannot open the store at", "its key is the right one, but its data key does not open", "backup"],
    );
}

#[test]
fn a_bad_certificate_is_said() {
    type Spoil = fn(&Home);
    let cases: [(Spoil, &[&str]); 9] = [
        (
            |home| fs::remove_file(home.path("tls.crt")).unwrap(),
            &["cannot read tls.crt: No such file", "correct the path"],
        ),
        (
            |home| fs::remove_file(home.path("tls.key")).unwrap(),
            &["cannot read tls.key: No such file", "correct the path"],
        ),
        (
            |home| {
                fs::remove_file(home.path("tls.key")).unwrap();
                symlink("nowhere", home.path("tls.key")).unwrap();
            },
            &["cannot read tls.key: No such file"],
        ),
        (
            |home| {
                fs::remove_file(home.path("tls.key")).unwrap();
                fs::create_dir(home.path("tls.key")).unwrap();
            },
            &["cannot read tls.key: Is a directory"],
        ),
        (|home| chmod(home, "tls.key", 0o604), &["tls.key is readable by every user", "run `chmod o-rwx tls.key`"]),
        (|home| home.write("tls.key", home.read("tls.crt")), &["tls.key holds no private key in PEM form"]),
        (|home| home.write("tls.crt", home.read("tls.key")), &["tls.crt holds no certificate in PEM form"]),
        (
            |home| home.write("tls.key", KeyPair::generate().unwrap().serialize_pem()),
            &["the key in tls.key is not the key of the certificate in tls.crt", "from the same issue"],
        ),
        (expire, &["the certificate in tls.crt expired on 2020-01-02T00:00:00Z; renew it"]),
    ];
    for (spoil, words) in cases {
        let home = good();
        spoil(&home);
        assert_said(&home, words);
        home.run(&["account", "list"]).succeeded(); // which needs no certificate
    }
}

fn expire(home: &Home) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 1, 2));
    home.write("tls.crt", params.self_signed(&key).unwrap().pem());
    home.write("tls.key", key.serialize_pem());
}

#[test]
fn a_damaged_record_is_told_by_whoever_reads_it() {
    let home = good();
    home.run_with(&["account", "add", "a", "--upstream", "gmail", "--secret-stdin"], "secret").succeeded();
    home.run_with(&["account", "add", "b", "--upstream", "gmail", "--secret-stdin"], "secret").succeeded();
    let store = Connection::open(home.path("locum.db")).unwrap();
    let id = locum::model::RecordId::new(locum::model::RecordKind::Account, "a");
    let changed = store.execute("UPDATE records SET sealed = zeroblob(length(sealed)) WHERE hash = ?1", [id.hash()]);
    assert_eq!(changed.unwrap(), 1);
    drop(store);
    for verb in [&["account", "list"][..], &["account", "show", "a"], &["account", "set", "a", "--label", "x"]] {
        home.run(verb).ended(65).said(&format!("the record {id} is damaged or was tampered with: restore it"));
    }
    home.run(&["account", "show", "b"]).succeeded();
    home.run(&["check"]).succeeded();
}

#[test]
fn a_secret_in_a_file_that_others_can_read_is_refused() {
    let home = Home::made();
    home.write("secret", "abcd efgh ijkl mnop");
    let add = ["account", "add", "a@gmail.test", "--upstream", "gmail", "--secret-file", "secret"];
    for mode in [0o644, 0o640, 0o604] {
        chmod(&home, "secret", mode);
        let refused = home.run(&add).ended(77);
        refused.said("secret is open to others");
        refused.said("run `chmod 600 secret`; whoever could read it has the secret in it");
    }
    chmod(&home, "secret", 0o400);
    home.run(&add).succeeded();
}

#[test]
fn a_listener_needs_something_to_listen_to() {
    let home = Home::with_config("[upstream.gmail]\npreset = \"gmail\"\n");
    home.write("upstream.crt", home.read("tls.crt"));
    home.run(&["check"]).succeeded();
    home.run(&["serve"]).ended(CONFIG).said("no [[listener]], and no api in [admin], so there is nothing to serve");
}

#[test]
fn a_folder_or_a_device_is_no_configuration() {
    let home = Home::empty();
    for (file, says) in [(".", "this is a folder"), ("/dev/zero", "larger than 1 MiB"), ("nope", "no such file")] {
        home.run(&["check", "--config", file]).ended(CONFIG).said(says);
    }
}

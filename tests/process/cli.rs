//! The command line as an operator meets it: what it makes, shows and refuses, with which words and which exit code.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::support::{Home, Run, finish};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;
const CANNOT_CREATE: i32 = 73;
const IO_ERROR: i32 = 74;
const TEMPORARY: i32 = 75;
const CONFIG: i32 = 78;

/// As Google's portal shows it.
const APP_PASSWORD: &str = "abcd efgh ijkl mnop\n";

/// A folder after `locum init`, with the account `alice@gmail.test`.
fn home() -> Home {
    let home = Home::made();
    add(&home, "alice@gmail.test", &["--label", "locum 2026"]).succeeded();
    home
}

fn add(home: &Home, name: &str, more: &[&str]) -> Run {
    let arguments = [&["account", "add", name, "--upstream", "gmail", "--secret-stdin"], more].concat();
    home.run_with(&arguments, APP_PASSWORD)
}

fn account(home: &Home) -> serde_json::Value {
    home.run(&["account", "show", "alice@gmail.test", "--json"]).succeeded().json()
}

fn issue(home: &Home, more: &[&str]) -> Run {
    home.run(&[&["client", "issue", "scan"], more].concat())
}

// init and check

#[test]
fn init_makes_what_is_needed_and_keeps_what_is_there() {
    let home = Home::empty();
    let run = home.run(&["init", "--name", "mail.example.com"]).succeeded();
    let made = ["locum.toml: made", "tls.crt: made", "tls.key: made", "locum.key: made", "locum.db: made"];
    assert!(made.iter().all(|line| run.stdout.contains(line)), "{run:#?}");
    let files = ["locum.toml", "tls.crt", "tls.key", "locum.key", "locum.db"];
    let look = || files.map(|file| (fs::metadata(home.path(file)).unwrap().permissions().mode() & 0o777, file));
    assert_eq!(
        look(),
        [(0o644, "locum.toml"), (0o644, "tls.crt"), (0o600, "tls.key"), (0o600, "locum.key"), (0o600, "locum.db")]
    );
    assert_eq!(names_in_certificate(&home), ["mail.example.com", "localhost"]);
    assert!(home.read("locum.toml").contains("name = \"mail.example.com\""));
    home.run(&["check"]).succeeded();

    let read = || files.map(|file| fs::read(home.path(file)).unwrap());
    let before = read();
    let run = home.run(&["init", "--name", "other.example.com"]).succeeded();
    assert!(files.iter().all(|file| run.stdout.contains(&format!("{file}: kept"))), "{run:#?}");
    assert_eq!(read(), before);
    assert_eq!(look()[2..].iter().map(|(mode, _)| *mode).collect::<Vec<_>>(), [0o600; 3]);
}

fn names_in_certificate(home: &Home) -> Vec<String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(home.read("tls.crt").as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.iter();
    names
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None })
        .collect()
}

#[test]
fn init_makes_nothing_at_all_where_it_cannot_make_all() {
    let home = Home::empty();
    home.run(&["init", "--name", "no host name"]).ended(CONFIG).said("\"name\" must be a host name");
    home.run(&["init", "--config", "nowhere/locum.toml"]).ended(CANNOT_CREATE).said("make its directory first");
    assert_eq!(home.folder().read_dir().unwrap().count(), 0);
}

#[test]
fn init_does_not_put_a_new_key_beside_an_old_certificate() {
    let home = Home::made();
    fs::remove_file(home.path("tls.key")).unwrap();
    home.run(&["init"]).ended(CONFIG).said("tls.crt is there but tls.key is not");
    assert!(!home.path("tls.key").exists());
}

#[test]
fn init_does_not_make_a_key_for_a_store_that_has_another() {
    let home = Home::made();
    fs::remove_file(home.path("locum.key")).unwrap();
    home.run(&["init"]).ended(CONFIG).said("there is no key file at locum.key: restore it");
    assert!(!home.path("locum.key").exists());
}

#[test]
fn check_says_good() {
    let run = Home::made().run(&["check"]).succeeded();
    assert_eq!(run.stdout, "locum.toml: good (3 listeners, 2 upstreams)\n");
    assert_eq!(run.stderr, "");
}

#[test]
fn check_says_that_the_hook_is_not_here() {
    let home = Home::made();
    let config = home.read("locum.toml");
    let with =
        |program: &str| home.write("locum.toml", format!("{config}\n[rotation.hook]\ncommand = [\"{program}\"]\n"));
    with("/nowhere/hook");
    home.run(&["check"]).succeeded().said("note: the hook /nowhere/hook cannot be run here");
    with("/etc/passwd");
    home.run(&["check"]).succeeded().said("note: the hook /etc/passwd cannot be run here (it is no program)");
    with("/bin/sh");
    assert_eq!(home.run(&["check"]).succeeded().stderr, "");
}

#[test]
fn the_configuration_is_found_by_argument_and_by_environment() {
    let (home, elsewhere) = (Home::made(), Home::empty());
    let file = home.path("locum.toml");
    elsewhere.run(&["check"]).ended(CONFIG).said("locum.toml: no such file").said("`locum init`");
    elsewhere.run(&["check", "--config", file.to_str().unwrap()]).succeeded();
    finish(elsewhere.command(&["check"]).env("LOCUM_CONFIG", &file).spawn().unwrap()).succeeded();
    let both = ["check", "--config", "nope.toml"];
    finish(elsewhere.command(&both).env("LOCUM_CONFIG", &file).spawn().unwrap()).ended(CONFIG).said("nope.toml");
}

// account

#[test]
fn an_account_is_added_shown_and_removed() {
    let home = Home::made();
    let run = home.run(&["account", "list"]).succeeded();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", "no accounts yet; add one with `locum account add`\n"));
    let run = add(
        &home,
        " alice@gmail.test ",
        &["--label", "locum 2026", "--identity-for", "submission=delegate@gmail.test"],
    );
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "", "alice@gmail.test: added\n"));

    let shown = account(&home);
    let credential = &shown["credentials"][0];
    let (id, created) = (credential["id"].as_str().unwrap(), credential["created"].as_str().unwrap());
    assert_eq!(
        shown,
        serde_json::json!({
            "name": "alice@gmail.test",
            "upstream": "gmail",
            "identity": { "submission": "delegate@gmail.test" },
            "credentials": [{ "kind": "app-password", "id": id, "label": "locum 2026", "created": created }],
            "changed": shown["changed"],
        })
    );
    let text = home.run(&["account", "show", "ALICE@gmail.test"]).succeeded().stdout;
    let day = &created[..10];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        ["account     alice@gmail.test", "upstream    gmail", "identity    delegate@gmail.test (submission)",]
    );
    assert!(lines[3].starts_with(&format!("credential  app password {id}, since {day} ")), "{text}");
    assert!(lines[3].ends_with(" UTC, called \"locum 2026\" in the portal"), "{text}");
    assert!(lines[4].starts_with(&format!("changed     {day} ")), "{text}");

    assert_eq!(home.run(&["account", "list", "--json"]).succeeded().json(), serde_json::json!([shown]));
    let table = home.run(&["account", "list"]).succeeded().stdout;
    let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        cells,
        [
            vec!["ACCOUNT", "UPSTREAM", "CREDENTIAL", "SINCE", "ROTATION", "PREFERS", "ENDS"],
            vec!["alice@gmail.test", "gmail", "app", "password", day],
        ]
    );

    home.run(&["account", "remove", "alice@gmail.test"]).succeeded().said("removed; delete its app password");
    home.run(&["account", "show", "alice@gmail.test"]).ended(NOT_FOUND);
}

#[test]
fn wrong_accounts_are_refused_with_what_to_do() {
    let home = home();
    let add_to = |upstream| home.run(&["account", "add", "bob@gmail.test", "--upstream", upstream, "--secret-stdin"]);
    add_to("gmial").ended(USAGE).said("has no upstream gmial; it has: exchange-online, gmail");
    add(&home, "Alice@gmail.test ", &[]).ended(CANNOT_CREATE).said("`locum account set`");
    for verb in ["show", "remove", "set"] {
        home.run(&["account", verb, "bob@gmail.test"]).ended(NOT_FOUND).said("see `locum account list`");
    }
    home.run(&["account", "set", "alice@gmail.test", "--upstream", "gmial"])
        .ended(USAGE)
        .said("it has: exchange-online");
    for name in ["", " ", "a\x1b[31mb", "a\nb", "a\u{85}b"] {
        let run = add(&home, name, &[]).ended(DATA);
        assert!(!run.stderr.trim_end().contains(char::is_control), "{run:#?}");
        for verb in ["show", "remove", "set"] {
            let run = home.run(&["account", verb, name]).ended(DATA);
            assert!(!run.stderr.trim_end().contains(char::is_control), "{run:#?}");
        }
        // An empty name takes the one that was there away.
        for option in ["--identity", "--identity-for"].into_iter().filter(|_| !name.is_empty()) {
            let value = if option == "--identity" { name.to_owned() } else { format!("imap={name}") };
            home.run(&["account", "set", "alice@gmail.test", option, &value]).ended(DATA);
        }
    }
    for identity in ["smtp=x", "x"] {
        home.run(&["account", "set", "alice@gmail.test", "--identity-for", identity]).ended(USAGE);
    }
    assert_eq!(account(&home)["identity"], serde_json::json!({}), "nothing of it was kept");
}

#[test]
fn wrong_secrets_are_refused_with_what_is_wrong() {
    let home = Home::made();
    let arguments = ["account", "add", "bob@gmail.test", "--upstream", "gmail"];
    let with = |more: &[&str], stdin: &[u8]| home.run_with(&[&arguments[..], more].concat(), stdin);
    with(&[], b"")
        .ended(USAGE)
        .said("no terminal to ask for the app password of bob@gmail.test")
        .said("--secret-stdin");
    for (secret, why) in [
        (&b""[..], "is empty"),
        (b" \r\n", "is empty"),
        (b"\xc2\xa0 ", "is empty"),
        (b"two\nlines", "a line break"),
        (b"nul\0", "a control character"),
        (b"not \xff utf-8", "a control character"),
        (&[b'x'; 1025], "longer than 1024 bytes"),
        (&[b'x'; 1 << 20], "longer than 1024 bytes"),
    ] {
        with(&["--secret-stdin"], secret).ended(DATA).said(why);
        home.write("secret", secret);
        with(&["--secret-file", "secret"], b"").ended(DATA).said(why);
    }
    with(&["--secret-file", "nowhere"], b"").ended(NOT_FOUND).said("cannot read the secret from nowhere: No such file");
    with(&["--secret-file", "."], b"").ended(NOT_FOUND).said("cannot read the secret from .: Is a directory");
    with(&["--secret-file", "secret", "--secret-stdin"], b"x").ended(USAGE).said("cannot be used with");
    home.run(&["account", "show", "bob@gmail.test"]).ended(NOT_FOUND);
}

#[test]
fn a_secret_may_come_from_a_file() {
    let home = Home::made();
    home.write("secret", APP_PASSWORD);
    home.run(&["account", "add", "b", "--upstream", "gmail", "--secret-file", "secret"]).succeeded();
}

#[test]
fn a_provider_that_takes_no_passwords_is_named() {
    let home = Home::made();
    let run =
        home.run_with(&["account", "add", "b", "--upstream", "exchange-online", "--secret-stdin"], "x").succeeded();
    run.said("takes no password for imap, app passwords included").said("for pop3");
    let home = self::home();
    let moved = ["account", "set", "alice@gmail.test", "--upstream", "exchange-online", "--secret-stdin"];
    home.run_with(&moved, "x").succeeded().said("takes no password for imap");
}

#[test]
fn set_changes_what_is_named_and_nothing_else() {
    let home = home();
    let before = account(&home);
    let set = |more: &[&str]| home.run(&[&["account", "set", "alice@gmail.test"], more].concat());

    // A label alone: the same secret under another name.
    set(&["--label", "new label"]).succeeded();
    let after = account(&home);
    assert_eq!(after["credentials"][0]["label"], "new label");
    assert_eq!(after["credentials"][0]["id"], before["credentials"][0]["id"]);
    set(&["--label", ""]).succeeded();
    assert_eq!(account(&home)["credentials"][0]["label"], "");

    // Names: no secret is asked for.
    set(&["--identity", "shared@gmail.test", "--identity-for", "imap=i", "--identity-for", "pop=p"]).succeeded();
    set(&["--upstream", "gmail"]).succeeded();
    let after = account(&home);
    assert_eq!(after["identity"], serde_json::json!({ "all": "shared@gmail.test", "imap": "i", "pop3": "p" }));
    assert_eq!(after["credentials"][0]["id"], before["credentials"][0]["id"]);

    // Empty: the account's own name again.
    set(&["--identity-for", "imap="]).succeeded().said("the app password stays");
    let after = account(&home);
    assert_eq!(after["identity"], serde_json::json!({ "all": "shared@gmail.test", "pop3": "p" }));

    // Another upstream: never with the password of the one before.
    set(&["--upstream", "exchange-online"]).ended(USAGE).said("no terminal to ask for the app password");
    assert_eq!(account(&home), after);

    // Nothing named: the secret, which there is no terminal to ask for.
    set(&[]).ended(USAGE).said("no terminal to ask for the app password of alice@gmail.test");
    let secret = ["account", "set", "alice@gmail.test", "--secret-stdin"];
    home.run_with(&secret, "another").succeeded();
    let after = account(&home);
    assert_ne!(after["credentials"][0]["id"], before["credentials"][0]["id"]);
    assert_eq!(after["credentials"][0]["label"], "", "the old label named the old secret");

    // All at once.
    home.run_with(
        &[&secret[..], &["--upstream", "exchange-online", "--label", "l", "--identity", "x"]].concat(),
        "third",
    )
    .succeeded();
    let after = account(&home);
    let now = (&after["upstream"], &after["identity"]["all"], &after["credentials"][0]["label"]);
    assert_eq!(now, (&"exchange-online".into(), &"x".into(), &"l".into()));

    // A bad secret changes nothing of what came with it.
    home.run_with(&[&secret[..], &["--identity", "y"]].concat(), "").ended(DATA);
    assert_eq!(account(&home), after);
}

#[test]
fn a_record_says_who_changed_it() {
    let home = home();
    let as_whom = |sudo: &str, user: &str| {
        let mut command = home.command(&["account", "set", "alice@gmail.test", "--identity", "x"]);
        finish(command.env("SUDO_USER", sudo).env("USER", user).spawn().unwrap()).succeeded();
        account(&home)["changed"]["by"].as_str().unwrap().to_owned()
    };
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert_eq!(as_whom("", "bob"), format!("bob@{host}"));
    assert_eq!(as_whom("carol", "root"), format!("carol@{host}"));
    assert_eq!(as_whom("", ""), format!("{}@{host}", rustix::process::getuid().as_raw()));
    assert_eq!(as_whom("", "e\x1b[31mve\n"), format!("e[31mve@{host}"));
    let text = home.run(&["account", "show", "alice@gmail.test"]).succeeded().stdout;
    assert!(text.lines().last().unwrap().ends_with(&format!(" UTC by e[31mve@{host}")), "{text}");
}

// client

#[test]
fn a_client_is_issued_shown_and_revoked() {
    let home = home();
    let run = home.run(&["client", "list"]).succeeded();
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("", "no clients yet; make one with `locum client issue`\n")
    );

    let limits = ["--protocol", "imap", "--listener", "imaps", "--network", "10.0.0.0/8", "--network", "192.0.2.7"];
    let first = issue(&home, &[&["--account", "ALICE@gmail.test", "--label", "3rd floor"], &limits[..]].concat());
    let secret = first.stdout.trim_end();
    let id = secret.split('_').nth(1).unwrap();
    assert_eq!(first.code, Some(0));
    assert_eq!(first.stdout.lines().count(), 1, "the secret alone, fit for a pipe");
    assert_eq!(first.stderr, format!("scan: secret {id} issued; it is shown this once:\n"));

    let second = issue(&home, &["--json", "--expires", "2100-01-01T00:00:00Z"]).succeeded().json();
    let other = second["id"].as_str().unwrap();
    assert_eq!(second["login"], "scan");
    assert!(second["secret"].as_str().unwrap().starts_with(&format!("lo_{other}_")), "{second}");
    assert_eq!(second.as_object().unwrap().len(), 3);

    // Limits are the client's, and the first device is not to be cut off for the second.
    issue(&home, &["--network", "10.5.0.0/16"]).ended(USAGE).said("use another login for other limits");

    let shown = home.run(&["client", "show", "SCAN", "--json"]).succeeded().json();
    let created = |number: usize| shown["secrets"][number]["created"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        serde_json::json!({
            "login": "scan",
            "accounts": ["alice@gmail.test"],
            "secrets": [
                { "id": id, "label": "3rd floor", "created": created(0), "source": "issued" },
                { "id": other, "label": "", "created": created(1), "expires": "2100-01-01T00:00:00Z", "source": "issued" },
            ],
            "policy": {
                "protocols": ["imap"], "listeners": ["imaps"], "networks": ["10.0.0.0/8", "192.0.2.7/32"],
            },
            "changed": shown["changed"],
        })
    );
    assert_eq!(home.run(&["client", "list", "--json"]).succeeded().json(), serde_json::json!([shown]));
    let text = home.run(&["client", "show", "scan"]).succeeded().stdout;
    for line in [
        "login       scan\n",
        "account     alice@gmail.test\n",
        "protocols   only imap\n",
        "listeners   only imaps\n",
        "networks    only 10.0.0.0/8, 192.0.2.7/32\n",
        &format!("secret      {id} \"3rd floor\", since "),
        ", until 2100-01-01 00:00 UTC\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let table = home.run(&["client", "list"]).succeeded().stdout;
    let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells, [vec!["LOGIN", "ACCOUNTS", "SECRETS", "CLASS", "ENDS"], vec!["scan", "alice@gmail.test", "2"]]);

    home.run(&["client", "revoke", "scan", "--secret", id]).succeeded().said(&format!("secret {id} revoked"));
    home.run(&["client", "revoke", "scan", "--secret", id]).ended(NOT_FOUND).said("see `locum client show scan`");
    let shown = home.run(&["client", "show", "scan", "--json"]).succeeded().json();
    assert_eq!(shown["secrets"].as_array().unwrap().len(), 1);
    home.run(&["client", "revoke", "scan", "--all"]).succeeded().said("revoked with all its secrets");
    home.run(&["client", "show", "scan"]).ended(NOT_FOUND);
}

#[test]
fn wrong_clients_are_refused_with_what_to_do() {
    let home = home();
    issue(&home, &[]).ended(USAGE).said("scan is a new client: say which account it acts as with --account");
    issue(&home, &["--account", "bob@gmail.test"]).ended(NOT_FOUND).said("see `locum account list`");
    let known = ["--account", "alice@gmail.test"];
    home.run_with(&["account", "add", "bob@gmail.test", "--upstream", "gmail", "--secret-stdin"], "x").succeeded();
    let both = ["--account", "alice@gmail.test", "--account", "bob@gmail.test"];
    issue(&home, &both).ended(USAGE).said("only SASL PLAIN can").said("--several");
    home.run(&["client", "show", "scan"]).ended(NOT_FOUND);
    let with = |more: &[&str]| issue(&home, &[&known[..], more].concat());
    with(&["--listener", "smtp"]).ended(USAGE).said("has no listener smtp; it has: imaps, pop3s, submission");
    with(&["--protocol", "smtp"]).ended(USAGE).said("expected \"imap\", \"pop3\" or \"submission\"");
    with(&["--network", "ten"]).ended(USAGE).said("such as 10.0.0.0/8");
    with(&["--expires", "tomorrow"]).ended(USAGE).said("such as 2027-01-31T00:00:00Z");
    with(&["--expires", "2020-01-01T00:00:00Z"]).ended(DATA).said("would never work");
    for login in ["", "a\nb", "a\x1b[31mb"] {
        home.run(&["client", "issue", login, "--account", "alice@gmail.test"]).ended(DATA).said("control characters");
        home.run(&["client", "show", login]).ended(DATA);
        home.run(&["client", "revoke", login, "--all"]).ended(DATA);
    }
    assert_eq!(home.run(&["client", "list", "--json"]).succeeded().json(), serde_json::json!([]), "none was made");
    home.run(&["client", "show", "scan"]).ended(NOT_FOUND).said("see `locum client list`");
    home.run(&["client", "revoke", "scan", "--all"]).ended(NOT_FOUND);
    let neither = home.run(&["client", "revoke", "scan"]).ended(USAGE);
    neither.said("--secret <ID>|--all");
    home.run(&["client", "revoke", "scan", "--all", "--secret", "x"]).ended(USAGE);
}

#[test]
fn two_operators_at_once_lose_nothing() {
    let home = home();
    issue(&home, &["--account", "alice@gmail.test"]).succeeded();
    let running: Vec<_> =
        (0..8).map(|_| home.command(&["client", "issue", "scan", "--json"]).spawn().unwrap()).collect();
    let (done, conflicts): (Vec<Run>, Vec<Run>) = running.into_iter().map(finish).partition(|run| run.code == Some(0));
    assert!(!done.is_empty(), "somebody is always first: {conflicts:#?}");
    for run in conflicts {
        assert_eq!(run.stdout, "", "no secret that does not work");
        run.ended(TEMPORARY).said(" changed the client scan at 20").said("look at it and run it again");
    }
    let shown = home.run(&["client", "show", "scan", "--json"]).succeeded().json();
    let kept: Vec<&str> = shown["secrets"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(kept.len(), 1 + done.len());
    assert!(done.iter().all(|run| kept.contains(&run.json()["id"].as_str().unwrap())));
}

// the line itself

#[test]
fn wrong_arguments_are_usage_errors() {
    let home = Home::empty();
    for arguments in [
        &[][..],
        &["account"],
        &["client"],
        &["serf"],
        &["serve", "now"],
        &["check", "--nonsense"],
        &["account", "add"],
        &["account", "add", "x"],
        &["account", "add", "x", "--upstream"],
        &["account", "show"],
        &["client", "issue"],
        &["store", "migrate"],
        &["store", "backup"],
        &["store", "rekey"],
        &["account", "list", "--all", "--limit", "1"],
        &["account", "set"],
        &["oauth"],
        &["oauth", "login"],
        &["oauth", "set"],
        &["oauth", "add-tenant"],
        &["oauth", "remove-tenant"],
        &["oauth", "status", "x", "--all"],
        &["init", "--name"],
    ] {
        let run = home.run(arguments).ended(USAGE);
        assert!(run.stdout.is_empty() && run.stderr.contains("help"), "{arguments:?} {run:#?}");
    }
}

#[test]
fn help_says_what_each_verb_does() {
    let home = Home::empty();
    for (verb, does) in [
        ("", "mail clients that cannot change"),
        ("init", "Make a configuration"),
        ("check", "everything that is wrong"),
        ("serve", "until SIGTERM"),
        ("demo", "look-alike provider"),
        ("account", "mailboxes at a provider"),
        ("account add", "Add an account"),
        ("account set", "Change what is named of an account"),
        ("account list", "List all accounts"),
        ("account show", "Show one account"),
        ("account remove", "can log in no more"),
        ("oauth", "for accounts and for whole domains"),
        ("oauth login", "Let the owner of a mailbox consent"),
        ("oauth set", "Give one account an application's credential"),
        ("oauth add-tenant", "Give a whole domain"),
        ("oauth remove-tenant", "Remove a domain's credential"),
        ("oauth status", "which of them end soon"),
        ("client", "the accounts they may act as"),
        ("client issue", "print it, once"),
        ("client list", "List all clients"),
        ("client show", "Show one client"),
        ("client revoke", "Revoke one secret"),
        ("store", "move it, back it up, change its key"),
        ("store migrate", "Copy all records"),
        ("store backup", "while it is in use"),
        ("store rekey", "Give the store another key"),
    ] {
        let arguments: Vec<&str> = verb.split_whitespace().chain(["--help"]).collect();
        let run = home.run(&arguments).succeeded();
        let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(does) && text.contains("Usage: locum"), "{verb}\n{}", run.stdout);
        // A wrapped secret option would be seen here, too.
        assert!(!text.contains("--password") && !text.contains("--secret <SECRET>"), "{verb} takes a secret");
    }
    assert!(home.run(&["--version"]).succeeded().stdout.starts_with("locum "));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let home = home();
    for arguments in [&["account", "list"][..], &["account", "list", "--json"], &["--help"], &["check"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = finish(home.command(arguments).stdout(Stdio::from(writer)).spawn().unwrap());
        assert_eq!(run.succeeded().stderr, "", "{arguments:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let home = home();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [&["account", "list"][..], &["client", "issue", "scan", "--account", "alice@gmail.test"]] {
        let run = finish(home.command(arguments).stdout(full()).spawn().unwrap());
        run.ended(IO_ERROR).said("the result could not be written: No space left");
    }
}

#[test]
fn nobody_to_talk_to_at_all_is_no_panic() {
    let home = home();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = home.command(&["account", "show", "nobody"]);
    let child = child.stderr(Stdio::from(writer.try_clone().unwrap())).stdout(Stdio::from(writer)).spawn().unwrap();
    assert_eq!(finish(child).code, Some(NOT_FOUND));
}

#[test]
fn a_secret_on_standard_input_may_come_slowly() {
    let home = Home::made();
    let mut command = home.command(&["account", "add", "b", "--upstream", "gmail", "--secret-stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for piece in APP_PASSWORD.split_inclusive(' ') {
        stdin.write_all(piece.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }
    drop(stdin);
    finish(child).succeeded();
}

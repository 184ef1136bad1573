//! `locum probe` as an operator meets it: what it shows of mailboxes that open and of those that do not, in a table and in
//! JSON, and with which exit code.

use locum::model::Secret;
use locum::sandbox::{Account, Behaviour, Face};
use serde_json::json;

use crate::support::{Canaries, Home, Provider, Run, trusted};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;
const TEMPORARY: i32 = 75;
const CONFIG: i32 = 78;

const APP_PASSWORD: &str = "pr0be-Kq7Zx9Fh2Lw";

/// A folder with a provider that takes passwords everywhere, and accounts there.
struct Scene {
    home: Home,
    provider: Provider,
}

impl Scene {
    fn set(accounts: &[&str]) -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        home.configure(&format!("[upstream.work]\n{}\n{LISTENER}", provider.serve()));
        let scene = Self { home, provider };
        for account in accounts {
            let add = ["account", "add", account, "--upstream", "work", "--secret-stdin"];
            scene.home.run_with(&add, APP_PASSWORD).succeeded();
            scene.serve(account, APP_PASSWORD, Behaviour::Normal);
        }
        scene
    }

    /// The mailbox of an account, with one message.
    fn serve(&self, address: &str, password: &str, behaviour: Behaviour) {
        let (address, password) = (address.to_owned(), Secret::new(password));
        self.provider.sandbox.add_account(Account { address: address.clone(), password, behaviour });
        self.provider.sandbox.deliver(&address, b"Subject: Welcome\r\n\r\nGood to see you.\r\n");
    }

    /// Runs it; whatever it says, it says no secret.
    fn probe(&self, arguments: &[&str]) -> Run {
        let run = self.home.run(&[&["probe"], arguments].concat());
        let mut canaries = Canaries::default();
        canaries.add("the app password", APP_PASSWORD);
        canaries.assert_absent("standard output", &run.stdout);
        canaries.assert_absent("standard error", &run.stderr);
        run
    }
}

const LISTENER: &str = "[[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n";

/// A table without its layout and the ids of credentials.
fn cells(run: &Run) -> Vec<Vec<String>> {
    let table = run.stdout.lines().take_while(|line| !line.is_empty());
    let columns = |line: &str| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let without_id =
            |cell: &str| if cell.starts_with("app password ") { "app password".into() } else { cell.into() };
        cells.map(without_id).collect()
    };
    table.map(columns).collect()
}

#[test]
fn mailboxes_that_open_are_shown_with_their_messages() {
    let scene = Scene::set(&["bob@x.test", "alice@x.test"]);
    let run = scene.probe(&["--all"]).succeeded();
    let expected = [
        ["ACCOUNT", "PROTOCOL", "CREDENTIAL", "RESULT"],
        ["alice@x.test", "imap", "app password", "ok, 1 message"],
        ["alice@x.test", "pop3", "app password", "ok, 1 message"],
        ["alice@x.test", "submission", "app password", "ok"],
        ["bob@x.test", "imap", "app password", "ok, 1 message"],
        ["bob@x.test", "pop3", "app password", "ok, 1 message"],
        ["bob@x.test", "submission", "app password", "ok"],
    ];
    assert_eq!(cells(&run), expected, "{run:#?}");
    assert_eq!(run.stderr, "6 probed: 6 ok, 0 failed\n");
}

#[test]
fn what_does_not_open_is_shown_with_cause_and_remedy() {
    let scene = Scene::set(&["good@x.test", "stale@x.test", "off@x.test"]);
    scene.serve("stale@x.test", "another", Behaviour::Normal);
    scene.serve("off@x.test", APP_PASSWORD, Behaviour::SmtpAuthDisabledForTenant);
    let run = scene.probe(&["--all", "--protocol", "submission"]).ended(DATA);
    let results: Vec<String> = cells(&run).into_iter().skip(1).map(|row| format!("{} {}", row[0], row[3])).collect();
    assert_eq!(
        results,
        [
            "good@x.test ok",
            "off@x.test the provider has this protocol switched off",
            "stale@x.test the provider refused the credential",
        ]
    );
    for line in [
        "off@x.test submission\n  cause   SMTP AUTH is off in the whole organisation, for OAuth2 as for passwords\n",
        "  remedy  switch it on: Set-TransportConfig -SmtpClientAuthenticationDisabled $false;",
        "  seen    at AUTH LOGIN: refused: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled",
        "stale@x.test submission\n  cause   the name or the secret is wrong\n  remedy  make a new app password and store it\n",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{run:#?}");
    }
    run.said("locum: 3 probed: 1 ok, 2 failed");
}

#[test]
fn json_has_it_all() {
    let scene = Scene::set(&["good@x.test", "locked@x.test"]);
    scene.serve("locked@x.test", APP_PASSWORD, Behaviour::AccountLocked);
    let shown = scene.home.run(&["account", "show", "locked@x.test", "--json"]).succeeded().json();
    let locked = scene.probe(&["locked@x.test", "--protocol", "submission", "--json"]).ended(DATA).json();
    let detail = locked[0]["trouble"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("refused: 535 5.7.139 ") && detail.ends_with(']'), "{detail}");
    let expected = json!([{
        "account": "locked@x.test",
        "protocol": "submission",
        "credential": { "kind": "app-password", "id": shown["credentials"][0]["id"] },
        "ok": false,
        "trouble": {
            "cause": "auth-policy",
            "passes": false,
            "plain": "Entra locked the account",
            "remedy": "find who tries wrong passwords, then unlock it in Entra",
            "state": "AUTH LOGIN",
            "detail": detail,
        },
    }]);
    assert_eq!(locked, expected);
    let good = scene.probe(&["good@x.test", "--protocol", "imap", "--json"]).succeeded().json();
    assert_eq!((&good[0]["ok"], &good[0]["messages"]), (&json!(true), &json!(1)));
    assert!(good[0].get("trouble").is_none());
}

#[test]
fn what_may_pass_asks_for_another_try() {
    let scene = Scene::set(&["down@x.test", "stale@x.test"]);
    scene.serve("down@x.test", APP_PASSWORD, Behaviour::ServerUnavailable);
    scene.serve("stale@x.test", "another", Behaviour::Normal);
    let imap = ["--protocol", "imap"];
    scene.probe(&[&["down@x.test"], &imap[..]].concat()).ended(TEMPORARY).said("1 probed: 0 ok, 1 failed");
    scene.probe(&[&["--all"], &imap[..]].concat()).ended(DATA).said("2 probed: 0 ok, 2 failed");
}

#[test]
fn some_are_probed_by_name_by_domain_and_by_protocol() {
    let scene = Scene::set(&["a@x.test", "b@x.test", "c@y.test"]);
    let probed = |arguments: &[&str]| {
        let run = scene.probe(arguments).succeeded();
        cells(&run).into_iter().skip(1).map(|row| format!("{} {}", row[0], row[1])).collect::<Vec<_>>()
    };
    assert_eq!(probed(&["C@y.test", "--protocol", "pop"]), ["c@y.test pop3"]);
    assert_eq!(probed(&["b@x.test", "a@x.test", "b@x.test", "--protocol", "imap"]), ["a@x.test imap", "b@x.test imap"]);
    let two = ["--domain", "X.test", "--protocol", "imap", "--protocol", "submission", "--at-once", "1"];
    assert_eq!(probed(&two), ["a@x.test imap", "a@x.test submission", "b@x.test imap", "b@x.test submission"]);

    scene.probe(&[]).ended(USAGE);
    scene.probe(&["--all", "a@x.test"]).ended(USAGE);
    scene.probe(&["--all", "--at-once", "0"]).ended(USAGE);
    scene.probe(&["--all", "--protocol", "smtp"]).ended(USAGE);
    scene.probe(&["nobody@x.test"]).ended(NOT_FOUND).said("there is no account nobody@x.test");
    scene.probe(&["--domain", "z.test"]).ended(NOT_FOUND).said("nothing to probe");
}

#[test]
fn an_account_that_no_login_can_be_made_for_says_why() {
    let scene = Scene::set(&["a@x.test"]);
    let config = scene.home.read("locum.toml").replace("[upstream.work]", "[upstream.other]");
    scene.home.write("locum.toml", config);
    let run = scene.probe(&["a@x.test", "--protocol", "imap"]).ended(DATA);
    assert!(run.stdout.contains("  cause   the configuration has no upstream work\n"), "{run:#?}");
    assert!(run.stdout.contains("  remedy  add [upstream.work]\n"), "{run:#?}");
    scene.home.write("upstream.crt", "no certificate");
    scene.probe(&["--all"]).ended(CONFIG);
}

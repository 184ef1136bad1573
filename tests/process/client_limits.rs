//! What a client may do, as an operator sets it and reads it back.

use serde_json::{Value, json};

use crate::support::Home;

const USAGE: i32 = 64;
const NOT_FOUND: i32 = 66;
const CANNOT_CREATE: i32 = 73;

fn home() -> Home {
    let home = Home::with_config(
        "[upstream.gmail]\npreset = \"gmail\"\n[limits.class.migration]\nsessions-max = 20\n[limits.class.scanners]\n",
    );
    home.write("secret", "abcdefghijklmnop");
    home.run(&["account", "add", "alice@one.test", "--upstream", "gmail", "--secret-file", "secret"]).succeeded();
    home
}

fn policy(home: &Home, login: &str) -> Value {
    home.run(&["client", "show", login, "--json"]).succeeded().json()["policy"].clone()
}

#[test]
fn a_client_is_added_without_a_secret_and_not_twice() {
    let home = home();
    home.run(&["client", "add", "Alice", "--account", "ALICE@one.test", "--protocol", "imap", "--class", "migration"])
        .succeeded()
        .said("Alice: added; it cannot log in before it has a secret");
    let shown = home.run(&["client", "show", "alice", "--json"]).succeeded().json();
    assert_eq!((&shown["accounts"], &shown["secrets"]), (&json!(["alice@one.test"]), &json!([])));
    assert_eq!(shown["policy"], json!({"protocols": ["imap"], "class": "migration"}));
    home.run(&["client", "add", "alice"]).ended(CANNOT_CREATE).said("there is a client alice already");
    home.run(&["client", "add", "bob", "--account", "nobody"]).ended(NOT_FOUND);
    home.run(&["client", "add", "bob", "--class", "printers"])
        .ended(NOT_FOUND)
        .said("no class printers; add [limits.class.printers], or name one that it has: migration, scanners");
    home.run(&["client", "show", "bob"]).ended(NOT_FOUND);
}

#[test]
fn limits_are_set_shown_and_taken_away() {
    let home = home();
    home.run(&["client", "issue", "scanner", "--account", "alice@one.test", "--protocol", "pop3"]).succeeded();
    let set = |arguments: &[&str]| home.run(&[&["client", "set", "scanner"], arguments].concat());
    set(&["--protocol", "imap", "--protocol", "submission", "--network", "10.1.0.0/24", "--sessions-max", "3"])
        .succeeded()
        .said("its sessions that this does not let go on end within 2 s");
    set(&["--hours", "MON-fri 07:00-19:00 Europe/Berlin", "--sender", "*@One.test", "--class", "scanners"]).succeeded();
    set(&["--expires", "2090-01-31T00:00:00Z"]).succeeded();
    let all = json!({
        "protocols": ["imap", "submission"],
        "networks": ["10.1.0.0/24"],
        "hours": ["mon-fri 07:00-19:00 Europe/Berlin"],
        "expires": "2090-01-31T00:00:00Z",
        "sessions_max": 3,
        "senders": ["*@one.test"],
        "class": "scanners",
    });
    assert_eq!(policy(&home, "scanner"), all);
    let shown = home.run(&["client", "show", "scanner"]).succeeded().stdout;
    for line in [
        "protocols   only imap, submission",
        "networks    only 10.1.0.0/24",
        "hours       only mon-fri 07:00-19:00 Europe/Berlin",
        "senders     only *@one.test",
        "sessions    at most 3 at once on each node",
        "class       scanners",
        "ends        2090-01-31",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let listed = home.run(&["client", "list"]).succeeded().stdout;
    assert!(listed.contains("scanners") && listed.contains("2090-01-31"), "{listed}");
    set(&["--class", "scanners"]).succeeded().said("it is so already");

    let clear = ["protocols", "networks", "hours", "expires", "sessions-max", "senders"];
    let clear: Vec<&str> = clear.iter().flat_map(|part| ["--clear", part]).collect();
    set(&[&clear[..], &["--network", "10.2.0.1"]].concat()).succeeded();
    assert_eq!(policy(&home, "scanner"), json!({"networks": ["10.2.0.1/32"], "class": "scanners"}));
    set(&["--clear", "class", "--clear", "networks"]).succeeded();
    assert_eq!(policy(&home, "scanner"), json!({}));
}

#[test]
fn what_cannot_hold_changes_nothing() {
    let home = home();
    home.run(&["client", "issue", "scanner", "--account", "alice@one.test"]).succeeded();
    for (arguments, said) in [
        (&[][..], "say what to change"),
        (&["--hours", "mon 07:00-07:00 UTC"], "expected days, a begin and an end, and a time zone"),
        (&["--hours", "mon 07:00-08:00 Mars/Olympus"], "there is no such time zone"),
        (&["--sessions-max", "0"], "0 is not in 1.."),
        (&["--sender", "*"], "expected an address or a pattern"),
        (&["--listener", "imaps"], "the configuration has no listener imaps"),
        (&["--expires", "tomorrow"], "expected a time such as"),
        (&["--clear", "secrets"], "invalid value"),
    ] {
        home.run(&[&["client", "set", "scanner"], arguments].concat()).ended(USAGE).said(said);
    }
    home.run(&["client", "set", "nobody", "--sessions-max", "1"]).ended(NOT_FOUND);
    home.run(&["client", "set", "scanner", "--network", "10.0.0.1", "--class", "x"]).ended(NOT_FOUND);
    assert_eq!(policy(&home, "scanner"), json!({}));
}

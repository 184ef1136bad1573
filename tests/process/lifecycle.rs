//! The whole life of an account by the command line alone, with a node that serves throughout: it is added, a client is issued a
//! secret and logs in, it is watched, rotated step by step, and everything is revoked and removed again.

use locum::sandbox::Face;

use crate::support::{Canaries, Home, Provider, Run, Served, Wire, trusted};

const ALICE: &str = "alice@x.test";
const OLD: &str = "0ld-Kb5Nq8Wt2Xr7Vz";
const NEW: &str = "n3w-Gd4Ls9Ph6Mc1Jf";

const NOT_FOUND: i32 = 66;

const LISTENER: &str = "[[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n";

struct Scene {
    home: Home,
    provider: Provider,
    canaries: Canaries,
}

impl Scene {
    fn set() -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        home.configure(&format!(
            "[rotation]\nsecond-look = \"1s\"\n[admin]\nsocket = \"admin.sock\"\napi = true\n[audit]\npath = \"audit.jsonl\"\n[upstream.work]\n{}\n{LISTENER}",
            provider.serve()
        ));
        provider.add(ALICE, OLD);
        let mut canaries = Canaries::default();
        canaries.add("the old one", OLD);
        canaries.add("the new one", NEW);
        Self { home, provider, canaries }
    }

    /// An operator's command. Whatever it says, it says no password of the provider.
    fn run(&self, arguments: &[&str], stdin: &str) -> Run {
        let run = self.home.run_with(arguments, stdin);
        self.canaries.assert_absent("standard output", &run.stdout);
        self.canaries.assert_absent("standard error", &run.stderr);
        run
    }

    fn does(&self, arguments: &[&str]) -> Run {
        self.run(arguments, "").succeeded()
    }

    fn log_in(&self, node: &Served, secret: &str, answer: &str) -> Wire {
        let mut wire = Wire::tls(node.port("imap"), &self.home.trust());
        wire.expect("* OK");
        wire.ask(&format!("a LOGIN scan {secret}"), answer);
        wire
    }
}

#[test]
fn an_account_lives_and_ends_by_the_command_line_alone() {
    let scene = Scene::set();
    // It is there, and a client of it.
    scene.run(&["account", "add", ALICE, "--upstream", "work", "--label", "old", "--secret-stdin"], OLD).succeeded();
    let issued = scene.does(&["client", "issue", "scan", "--account", ALICE, "--label", "door", "--json"]).json();
    let secret = issued["secret"].as_str().unwrap().to_owned();
    let id = issued["id"].as_str().unwrap();
    let node = scene.home.serve();
    let mut session = scene.log_in(&node, &secret, "a OK");

    // It is watched, while it is in and from what it leaves: a node that stops has told all that it saw.
    let live = scene.does(&["session", "list", "--json"]).json();
    assert_eq!((&live[0]["login"], &live[0]["account"]), (&"scan".into(), &ALICE.into()), "{live}");
    session.ask("b LOGOUT", "* BYE");
    node.stop();
    let usage = scene.does(&["report", "usage", "--client", "scan", "--json"]).json();
    let seen = &usage[0];
    assert_eq!(seen["logins"], 1, "{usage}");
    assert_eq!((&seen["account"], &seen["secret"], &seen["protocol"]), (&ALICE.into(), &id.into(), &"imap".into()));
    let credential = seen["upstream"]["credential"].as_str().unwrap().to_owned();
    let inventory = scene.does(&["report", "inventory", "--json"]).json();
    assert_eq!(
        (&inventory["credentials"][0]["current"], &inventory["credentials"][0]["at_provider"]),
        (&"old".into(), &1.into())
    );

    // Its credential is replaced, and the client notices nothing.
    let node = scene.home.serve();
    let mut session = scene.log_in(&node, &secret, "a OK");
    scene.run(&["rotate", "stage", ALICE, "--label", "new", "--secret-stdin"], NEW).succeeded();
    scene.provider.add(ALICE, NEW);
    scene.does(&["rotate", "verify", ALICE]);
    scene.does(&["rotate", "promote", ALICE]);
    session.ask("b NOOP", "b OK");
    let mut later = scene.log_in(&node, &secret, "a OK");
    let rotation = scene.does(&["report", "rotation", "--json"]).json();
    assert_eq!(rotation["rotations"][0]["previous"]["id"], credential.as_str());
    for wire in [&mut session, &mut later] {
        wire.ask("c LOGOUT", "* BYE");
    }
    scene.does(&["rotate", "retire", ALICE, "--now", "--yes"]);
    scene.does(&["rotate", "deleted", ALICE, "old"]);
    assert_eq!(scene.does(&["report", "rotation", "--json"]).json()["rotations"], serde_json::json!([]));
    scene.log_in(&node, &secret, "a OK").ask("c LOGOUT", "* BYE");

    // Another secret takes the place of the first, which ends the session by it.
    let another = scene.does(&["client", "issue", "scan", "--json"]).json();
    let mut by_first = scene.log_in(&node, &secret, "a OK");
    let mut by_second = scene.log_in(&node, another["secret"].as_str().unwrap(), "a OK");
    scene.does(&["client", "revoke", "scan", "--secret", id]);
    by_first.end();
    scene.log_in(&node, &secret, "a NO [AUTHENTICATIONFAILED]");
    by_second.ask("d NOOP", "d OK");

    // And all of it ends.
    scene.does(&["client", "revoke", "scan", "--all"]);
    by_second.end();
    scene.does(&["account", "remove", ALICE]).said("new");
    scene.run(&["account", "show", ALICE], "").ended(NOT_FOUND);
    scene.run(&["client", "show", "scan"], "").ended(NOT_FOUND);
    let log = node.stop().stderr;
    let done = scene.does(&["audit", "search", "--event", "end", "--login", "scan"]);
    assert!(done.stdout.contains(ALICE), "{done:#?}");
    scene.does(&["audit", "verify"]);
    for (place, text) in [("the log", log), ("the audit", scene.home.read("audit.jsonl"))] {
        scene.canaries.assert_absent(place, &text);
        assert!(!text.contains(&secret), "{place}");
    }
}

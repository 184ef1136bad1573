//! `locum rotate` as operators meet it at night: each verb, what it says, what it refuses and with which exit code; two of
//! them at one account; and the provider's limit.

use std::process::Stdio;

use locum::sandbox::{Behaviour, Face};
use serde_json::Value;

use crate::support::{Canaries, Home, Provider, Run, finish, trusted};

const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;
const USAGE: i32 = 64;
const CANNOT_CREATE: i32 = 73;
const TEMPORARY: i32 = 75;

const ALICE: &str = "alice@x.test";
const OLD: &str = "0ld-Hq8Vb2Nw5Zt7Lk";
const NEW: &str = "n3w-Xc4Mj9Rp6Ds1Gf";
const WRONG: &str = "wr0ng-Ty5Bn3Qa8Wu2";

/// A provider with one account, whose old app password is the current one here.
struct Scene {
    home: Home,
    provider: Provider,
    canaries: Canaries,
}

impl Scene {
    fn set() -> Self {
        Self::with("")
    }

    /// With more keys for the upstream.
    fn with(keys: &str) -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        home.configure(&format!(
            "[rotation]\nsecond-look = \"1s\"\n[audit]\npath = \"audit.jsonl\"\n[upstream.work]\n{}\n{keys}\n{LISTENER}",
            provider.serve()
        ));
        let mut canaries = Canaries::default();
        for (what, secret) in [("the old one", OLD), ("the new one", NEW), ("a wrong one", WRONG)] {
            canaries.add(what, secret);
        }
        let scene = Self { home, provider, canaries };
        let add = ["account", "add", ALICE, "--upstream", "work", "--label", "locum old", "--secret-stdin"];
        scene.run_with(&add, OLD).succeeded();
        scene.provider_takes(OLD);
        scene
    }

    /// What the provider takes from now on, for the one account.
    fn provider_takes(&self, password: &str) {
        self.provider.add(ALICE, password);
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.run_as("carol", arguments, "")
    }

    fn run_with(&self, arguments: &[&str], secret: &str) -> Run {
        self.run_as("carol", arguments, secret)
    }

    /// Runs it in the name of somebody; whatever it says, it says no secret.
    fn run_as(&self, operator: &str, arguments: &[&str], stdin: &str) -> Run {
        use std::io::Write;
        let mut command = self.home.command(arguments);
        command.env_remove("SUDO_USER").env("USER", operator).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that does not want it has ended before it was written.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let run = finish(child);
        self.canaries.assert_absent("standard output", &run.stdout);
        self.canaries.assert_absent("standard error", &run.stderr);
        run
    }

    fn rotate(&self, verb: &str, rest: &[&str]) -> Run {
        self.run(&[&["rotate", verb, ALICE], rest].concat())
    }

    fn stage(&self, secret: &str, label: &str) -> Run {
        self.run_with(&["rotate", "stage", ALICE, "--label", label, "--secret-stdin"], secret)
    }

    fn status(&self) -> Value {
        let run = self.run(&["rotate", "status", ALICE, "--json"]).succeeded();
        run.json()[0].clone()
    }

    /// The labels in the places, and of what is to be deleted.
    fn places(&self) -> (String, String, String, Vec<String>) {
        let status = self.status();
        let label = |place: &str| status[place]["label"].as_str().unwrap_or("-").to_owned();
        let left = status["to_delete"].as_array().unwrap();
        let left = left.iter().map(|left| left["label"].as_str().unwrap().to_owned()).collect();
        (label("current"), label("next"), label("previous"), left)
    }

    fn logins(&self) -> usize {
        self.provider.sandbox.logins().len()
    }
}

const LISTENER: &str = "[[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n";

/// What was said, without ids, times and the name of the machine.
fn said(run: &Run) -> Vec<String> {
    run.stderr.lines().map(plain).collect()
}

fn plain(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let shown = words.iter().enumerate().map(|(at, word)| {
        let bare = word.trim_matches(['(', ')', ',', ';', ':']);
        let next = words.get(at + 1).copied().unwrap_or_default();
        // By its form alone an id may be a word; it stands in brackets, or before what is said of it.
        let is_placed = word.starts_with('(') || next == "(no" || next == "by";
        let is_id = is_placed && bare.len() == 8 && bare.bytes().all(|it| matches!(it, b'a'..=b'z' | b'2'..=b'7'));
        let is_time = bare.len() >= 5 && bare.bytes().all(|it| it.is_ascii_digit() || b"-:TZ".contains(&it));
        let is_operator = ["carol@", "dave@"].iter().any(|name| bare.starts_with(name));
        match (is_id, is_time, is_operator) {
            (true, ..) => word.replace(bare, "ID"),
            (_, true, _) => word.replace(bare, "TIME"),
            (.., true) => word.replace(bare, bare.split('@').next().unwrap()),
            _ => (*word).to_owned(),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn places(current: &str, next: &str, previous: &str, left: &[&str]) -> (String, String, String, Vec<String>) {
    (current.into(), next.into(), previous.into(), left.iter().map(|it| (*it).into()).collect())
}

#[track_caller]
fn assert_said(run: &Run, expected: &[&str]) {
    assert_eq!(said(run), expected, "{run:#?}");
}

#[test]
fn one_step_after_the_other() {
    let scene = Scene::set();
    let run = scene.stage(NEW, "locum new").succeeded();
    assert_said(
        &run,
        &[
            "alice@x.test: staged \"locum new\" (ID); logins still use \"locum old\" (ID)",
            "next: locum rotate verify alice@x.test",
        ],
    );
    assert_eq!(scene.places(), places("locum old", "locum new", "-", &[]));
    let run = scene.rotate("promote", &[]).ended(CANNOT_CREATE);
    assert_said(
        &run,
        &[
            "locum: alice@x.test: nobody has logged in with it yet: verify it first, or say --no-verify",
            "next: locum rotate verify alice@x.test",
        ],
    );
    scene.provider_takes(NEW);
    let run = scene.rotate("verify", &[]).succeeded();
    assert_eq!(run.stdout, "  imap        logged in\n  pop3        logged in\n  submission  logged in\n");
    assert_said(
        &run,
        &[
            "alice@x.test: verified; logins do not use it before it is promoted",
            "next: locum rotate promote alice@x.test",
        ],
    );
    assert_eq!(scene.status()["state"], "verified");
    let run = scene.rotate("promote", &[]).succeeded();
    assert_said(
        &run,
        &[
            "alice@x.test: promoted: logins use \"locum new\" (ID) from now on; open sessions stay as they are",
            "\"locum old\" (ID) may be used until TIME TIME UTC, where the new one is refused",
            "to go back to it: locum rotate rollback alice@x.test",
            "next: locum rotate retire alice@x.test, after TIME TIME UTC",
        ],
    );
    assert_eq!(scene.places(), places("locum new", "-", "locum old", &[]));
    let run = scene.rotate("retire", &[]).ended(TEMPORARY);
    assert_said(
        &run,
        &[
            "locum: alice@x.test: the one before may be used until TIME: wait, or retire it now with `locum rotate \
             retire --now`",
            "next: locum rotate retire alice@x.test --now",
        ],
    );
    let run = scene.rotate("retire", &["--now"]).ended(USAGE);
    run.said("locum: no terminal to ask whether that is meant; say --yes");
    let run = scene.rotate("retire", &["--now", "--yes"]).succeeded();
    assert_said(
        &run,
        &[
            "alice@x.test: after this there is no way back to \"locum old\" (ID)",
            "alice@x.test: retired \"locum old\" (ID); delete it in the provider's portal, then tick it off",
            "next: locum rotate deleted alice@x.test 'locum old'",
        ],
    );
    assert_eq!(scene.places(), places("locum new", "-", "-", &["locum old"]));
    let run = scene.rotate("deleted", &["locum old"]).succeeded();
    assert_said(
        &run,
        &[
            "alice@x.test: ticked off \"locum old\" (ID)",
            "alice@x.test: nothing is left to delete in the provider's portal",
        ],
    );
    let status = scene.status();
    let steps: Vec<&str> =
        status["history"].as_array().unwrap().iter().map(|it| it["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["staged", "verified", "promoted", "retired", "deleted"]);
    assert_eq!(status["next_command"], Value::Null, "{status}");
    let audit = scene.home.read("audit.jsonl");
    scene.canaries.assert_absent("the audit", &audit);
    for step in steps {
        assert!(audit.contains(&format!("\"step\":\"{step}\"")), "{step}: {audit}");
    }
}

#[test]
fn run_does_it_all_and_goes_on_with_what_is_staged() {
    let scene = Scene::set();
    let run = scene.rotate("run", &[]).ended(NOT_FOUND);
    assert_said(
        &run,
        &[
            "locum: alice@x.test: nothing is staged; begin with `locum rotate stage`",
            "next: locum rotate stage alice@x.test",
        ],
    );
    scene.provider_takes(NEW);
    let run = scene.run_with(&["rotate", "run", ALICE, "--label", "locum new", "--secret-stdin"], NEW).succeeded();
    run.said("alice@x.test: promoted: logins use \"locum new\"").said("next: locum rotate retire alice@x.test, after ");
    assert_eq!(scene.places(), places("locum new", "-", "locum old", &[]));
    let run = scene.run_with(&["rotate", "run", ALICE, "--secret-stdin"], NEW).succeeded();
    assert_said(&run, &["alice@x.test: this is the current one already; nothing is done"]);
    scene.rotate("retire", &["--now", "--yes"]).succeeded();
    scene.stage(OLD, "locum third").succeeded();
    scene.provider_takes(OLD);
    let run = scene.rotate("run", &[]).succeeded();
    assert!(
        said(&run)[0].starts_with("alice@x.test: goes on with \"locum third\" (ID), staged TIME TIME UTC by carol")
    );
    assert_eq!(scene.places(), places("locum third", "-", "locum new", &["locum old"]));
}

#[test]
fn what_the_provider_refuses_is_looked_at_twice_and_given_up() {
    let scene = Scene::set();
    scene.stage(WRONG, "locum wrong").succeeded();
    let before = scene.logins();
    let run = scene.rotate("verify", &["--protocol", "imap"]).ended(DATA);
    run.said("locum: alice@x.test: the provider refuses it: imap: the provider refused the credential (at ")
        .said("; logins go on with the current one\nnext: locum rotate discard alice@x.test");
    assert_eq!(scene.logins() - before, 2, "refused twice, and not tried again");
    assert_eq!(scene.status()["state"], "failed");
    scene.rotate("promote", &[]).ended(DATA).said("the provider refuses it");
    assert_eq!(scene.logins() - before, 2);
    let run = scene.rotate("discard", &["--reason", "a typo"]).succeeded();
    assert_said(
        &run,
        &[
            "alice@x.test: discarded \"locum wrong\" (ID); delete it in the provider's portal, then tick it off",
            "next: locum rotate deleted alice@x.test 'locum wrong'",
        ],
    );
    assert_eq!(scene.places(), places("locum old", "-", "-", &["locum wrong"]));
    let run = scene.run_with(&["rotate", "run", ALICE, "--label", "again", "--secret-stdin"], WRONG).ended(DATA);
    run.said("it is discarded, and logins go on with the current one; delete it in the provider's portal\n")
        .said("next: locum rotate deleted alice@x.test again");
    assert_eq!(scene.places(), places("locum old", "-", "-", &["locum wrong", "again"]));
    scene.rotate("discard", &[]).succeeded().said("nothing is staged, so there is nothing to discard");
}

#[test]
fn what_the_provider_says_nothing_about_stays_staged() {
    let scene = Scene::set();
    scene.stage(NEW, "locum new").succeeded();
    scene.provider_takes(NEW);
    scene.provider.sandbox.set_behaviour(ALICE, Behaviour::SmtpAuthDisabledForTenant);
    let run = scene.rotate("verify", &["--protocol", "submission"]).ended(DATA);
    run.said("it could not be verified").said("it stays staged").said("next: locum probe alice@x.test");
    assert_eq!(scene.status()["state"], "staged");
    // By the others it is known.
    let run = scene.rotate("verify", &[]).succeeded();
    assert!(run.stdout.contains("  not because of it: submission: "), "{run:#?}");
    assert_eq!(scene.status()["state"], "verified");
}

#[test]
fn going_back_is_tried_first() {
    let scene = Scene::set();
    let run = scene.rotate("rollback", &[]).ended(NOT_FOUND);
    assert_said(
        &run,
        &["locum: alice@x.test: there is no previous one to go back to", "next: locum rotate status alice@x.test"],
    );
    scene.stage(NEW, "locum new").succeeded();
    scene.rotate("promote", &["--no-verify"]).succeeded().said("note: nobody has logged in with it");
    scene.provider_takes(NEW);
    let run = scene.rotate("rollback", &[]).ended(DATA);
    run.said("nothing is rolled back: clients would be locked out; stage another one\n")
        .said("next: locum rotate stage alice@x.test");
    assert_eq!(scene.places(), places("locum new", "-", "locum old", &[]));
    scene.provider_takes(OLD);
    let run = scene.rotate("rollback", &["--reason", "mails are missing"]).succeeded();
    assert_eq!(run.stdout, "  imap        logged in\n  pop3        logged in\n  submission  logged in\n");
    assert_said(
        &run,
        &[
            "alice@x.test: rolled back: logins use \"locum old\" (ID) again; open sessions stay as they are",
            "\"locum new\" (ID) may be used until TIME TIME UTC, where the other one is refused",
            "next: locum rotate retire alice@x.test --now, if it is of no use",
        ],
    );
    assert_eq!(scene.places(), places("locum old", "-", "locum new", &[]));
    let entry = &scene.status()["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&entry["step"], &entry["reason"]), (&"rolled back".into(), &"mails are missing".into()));
    let before = scene.logins();
    // Typed again by somebody who is not sure that it was done.
    for again in [&[][..], &["--no-verify"], &["--to", "locum old"]] {
        let run = scene.rotate("rollback", again).succeeded();
        run.said("alice@x.test: logins use \"locum old\" (").said("; nothing is done\nto let them use \"locum new\" (");
        run.said(" after all: locum rotate rollback alice@x.test --to ");
        assert_eq!(scene.places(), places("locum old", "-", "locum new", &[]));
    }
    scene.rotate("rollback", &["--to", "nobody"]).ended(CANNOT_CREATE).said("changed meanwhile");
    scene.rotate("rollback", &["--to", "locum new", "--no-verify"]).succeeded();
    assert_eq!(scene.places(), places("locum new", "-", "locum old", &[]));
    assert_eq!(scene.logins(), before);
}

#[test]
fn a_promotion_that_is_typed_again_says_that_it_was_made() {
    let scene = Scene::set();
    scene.stage(NEW, "locum new").succeeded();
    scene.rotate("promote", &["--no-verify"]).succeeded();
    for verb in ["promote", "run"] {
        let run = scene.rotate(verb, &[]).ended(NOT_FOUND);
        run.said("nothing is staged").said("logins use \"locum new\"").said("next: locum rotate status alice@x.test");
    }
}

#[test]
fn of_two_operators_the_second_is_told() {
    let scene = Scene::set();
    let stage = ["rotate", "stage", ALICE, "--secret-stdin"];
    scene.run_as("carol", &stage, NEW).succeeded().said("note: it has no label, so nobody will find it in the portal");
    let run = scene.run_as("dave", &stage, WRONG).ended(CANNOT_CREATE);
    assert_said(
        &run,
        &[
            "locum: alice@x.test: carol staged another one at TIME (staged); finish that one, or discard it",
            "next: locum rotate status alice@x.test",
        ],
    );
    // The same one again is no other.
    let run = scene.run_as("dave", &stage, NEW).succeeded();
    assert_eq!(said(&run)[0], "alice@x.test: ID (no label) is this one, staged TIME TIME UTC by carol (staged)");
    scene.run_as("carol", &stage, WRONG).ended(CANNOT_CREATE).said("next: locum rotate discard alice@x.test");
    let run = scene.run_as("dave", &["account", "set", ALICE, "--secret-stdin"], WRONG).ended(CANNOT_CREATE);
    run.said("staged another one at").said("next: locum rotate status alice@x.test");
    scene.run(&["rotate", "label", ALICE, "locum new"]).succeeded();
    assert_eq!(scene.places(), places("locum old", "locum new", "-", &[]));
    let run = scene.run(&["rotate", "status", ALICE]).succeeded();
    let lines: Vec<String> = run.stdout.lines().map(plain).collect();
    assert_eq!(
        lines,
        [
            "account     alice@x.test at work, app password",
            "current     \"locum old\" (ID), since TIME TIME UTC",
            "next        \"locum new\" (ID), staged TIME TIME UTC by carol",
            "at provider 2 there, as far as is known",
            "history     TIME TIME UTC  labelled ID by carol",
            "            TIME TIME UTC  staged ID by carol",
            "to type     locum rotate verify alice@x.test",
        ]
    );
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let scene = Scene::set();
    let stage = ["rotate", "stage", ALICE, "--secret-stdin"];
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let operators = [("carol", NEW), ("dave", WRONG)];
        let runs = operators.map(|(operator, secret)| scope.spawn(|| scene.run_as(operator, &stage, secret)));
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut codes: Vec<_> = runs.iter().map(|run| run.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(CANNOT_CREATE)], "{runs:#?}");
}

/// The provider allows so many; `others` of them are there already, besides the one that is known.
fn tight(max: u32, others: u32) -> Scene {
    let scene = Scene::with(&format!("app-passwords-max = {max}"));
    scene.rotate("count", &[&(others + 1).to_string()]).succeeded();
    scene
}

#[test]
fn room_at_the_provider_is_told_before_there_is_none() {
    for max in [40, 25] {
        let scene = tight(max, max - 7);
        let run = scene.stage(NEW, "locum new").succeeded();
        assert_eq!(
            said(&run)[0],
            format!(
                "note: {} of the {max} app passwords that work allows are taken: 5 more can be made there",
                max - 5
            )
        );
        let scene = tight(max, max - 2);
        scene.stage(NEW, "locum new").succeeded().said("allows are taken: this is the last one");
        // One that is given up may still be there.
        scene.rotate("discard", &[]).succeeded();
        let run = scene.stage(WRONG, "locum third").ended(CANNOT_CREATE);
        assert_said(
            &run,
            &[
                &format!(
                    "locum: alice@x.test: {max} of the {max} app passwords that work allows are taken, so nothing is staged"
                ),
                "delete in the portal, then tick off by `locum rotate deleted alice@x.test 'locum new'`:",
                "  \"locum new\" (ID), discarded TIME TIME UTC by carol",
            ],
        );
        scene.rotate("deleted", &["locum new"]).succeeded();
        scene.stage(WRONG, "locum third").succeeded();
    }
}

#[test]
fn a_count_is_of_what_the_portal_shows() {
    let scene = tight(40, 39);
    let run = scene.stage(NEW, "locum new").ended(CANNOT_CREATE);
    run.said("delete some in the portal, then say how many there are: locum rotate count alice@x.test N");
    let run = scene.rotate("count", &["0"]).ended(DATA);
    run.said("0 were counted at the provider, and there are 1 of ours alone");
    scene.rotate("count", &["12"]).succeeded().said("12 there of 40 that it allows, 11 of them none of ours");
    scene.stage(NEW, "locum new").succeeded();
}

#[test]
fn what_is_in_use_is_not_ticked_off() {
    let scene = Scene::set();
    scene.stage(NEW, "locum new").succeeded();
    scene.rotate("deleted", &["locum new"]).ended(DATA).said("next: locum rotate discard alice@x.test");
    scene.rotate("promote", &["--no-verify"]).succeeded();
    scene.rotate("deleted", &["locum old"]).ended(DATA).said("next: locum rotate retire alice@x.test --now");
    let scene = Scene::set();
    let run = scene.rotate("deleted", &["locum old"]).ended(DATA);
    run.said("locum old is the current one, and logins may use it").said("next: locum rotate run alice@x.test");
    scene.rotate("deleted", &["nope"]).ended(NOT_FOUND).said("there is none called nope");
    scene.run(&["rotate", "verify", "nobody@x.test"]).ended(NOT_FOUND).said("there is no account nobody@x.test");
    scene.rotate("verify", &[]).ended(NOT_FOUND).said("nothing is staged");
    scene.rotate("retire", &[]).succeeded().said("there is no previous one, so there is nothing to retire");
    scene.run(&["rotate", "retire", "--due"]).succeeded().said("nothing is due");
    scene.rotate("retry", &[]).succeeded().said("next: locum probe alice@x.test");
}

#[test]
fn a_wrong_paste_is_survived() {
    let scene = Scene::set();
    let set = ["account", "set", ALICE, "--label", "pasted", "--secret-stdin"];
    let run = scene.run_with(&set, WRONG).succeeded();
    assert_said(
        &run,
        &[
            "alice@x.test: changed, the app password with it",
            "\"locum old\" (ID) is kept, and may be used until TIME TIME UTC where the new one is refused",
            "to go back to it: locum rotate rollback alice@x.test",
            "next: locum probe alice@x.test",
        ],
    );
    scene.rotate("rollback", &[]).succeeded();
    assert_eq!(scene.places(), places("locum old", "-", "pasted", &[]));
    let run = scene.run_with(&set[..3], "").ended(USAGE);
    run.said("no terminal to ask for the app password");
    scene
        .run_with(&["account", "set", ALICE, "--secret-stdin"], OLD)
        .succeeded()
        .said("this is its app password already");
    assert!(scene.home.read("audit.jsonl").contains("\"step\":\"replaced\""));
}

#[test]
fn whoever_moves_shows_nothing_of_the_one_provider_to_the_other() {
    let scene = Scene::set();
    scene.stage(NEW, "locum new").succeeded();
    let other = scene.home.read("locum.toml").replace("[upstream.work]", "[upstream.other]");
    let (_, other) = other.split_once("[upstream.other]").unwrap();
    let config = scene.home.read("locum.toml");
    let other = other.split("[[listener]]").next().unwrap();
    scene.home.write("locum.toml", format!("{config}\n[upstream.other]\n{other}"));
    let set = ["account", "set", ALICE, "--upstream", "other", "--label", "third", "--secret-stdin"];
    let run = scene.run_with(&set, WRONG).succeeded();
    run.said("note: to be deleted: its app password \"locum old\"").said(" at work, left behind ");
    assert_eq!(scene.places(), places("third", "-", "-", &["locum old", "locum new"]));
    assert_eq!(scene.status()["at_provider"], 1);
    let run = scene.run(&["account", "remove", ALICE]).succeeded();
    let lines = said(&run);
    for line in [
        "  app password \"third\" (ID) at other",
        "  app password \"locum old\" (ID) at work",
        "  app password \"locum new\" (ID) at work",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line}: {lines:#?}");
    }
}

#[test]
fn what_exists_is_reported() {
    let scene = tight(40, 34);
    scene.stage(NEW, "locum new").succeeded();
    scene.rotate("discard", &[]).succeeded();
    let run = scene.run(&["report", "inventory"]).succeeded();
    for part in ["ACCOUNT", "36 of 40 (nearly full)", "to be deleted in the providers' portals", "\"locum new\""] {
        assert!(run.stdout.contains(part), "{part}: {run:#?}");
    }
    let row = scene.run(&["report", "inventory", "--json", "--domain", "x.test"]).succeeded().json();
    let row = row["credentials"][0].clone();
    assert_eq!((&row["current"], &row["at_provider"], &row["left"]), (&"locum old".into(), &36.into(), &4.into()));
    assert_eq!(row["to_delete"][0]["label"], "locum new");
    let run = scene.run(&["report", "inventory", "--json", "--domain", "y.test"]).succeeded();
    assert_eq!(run.json()["credentials"], serde_json::json!([]));
    let run = scene.run(&["rotate", "status", "--all"]).succeeded();
    assert!(run.stdout.contains("1 to delete") && run.stdout.contains("locum rotate deleted alice@x.test"), "{run:#?}");
    let run = scene.run(&["account", "show", ALICE]).succeeded();
    assert!(run.stdout.contains("\nto delete   \"locum new\""), "{run:#?}");
}

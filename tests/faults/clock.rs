//! The clock of the machine jumps: by days, either way, and by years. What ends by the calendar does so late by half a minute at
//! the most, what is measured does not notice, and all is as it was once the clock is right again. The program runs under
//! libfaketime, which moves the wall clock alone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use locum::model::Protocol;

use crate::page;
use crate::stage::{Actor, Bystanders, Client, Plan, Provider, Reason, Stage, View};

const PLAIN: &str = "plain";
const ENDS: &str = "ends-tomorrow";
const THROTTLED: &str = "throttled";

/// Wrong passwords until no more are looked at, by default.
const FAILURES: usize = 10;

fn launch(provider: &Provider) -> Command {
    let library =
        fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let library = library.into_iter().find(|path| path.is_file());
    let library = library.unwrap_or_else(|| panic!("libfaketime is not installed: run tests/install as root"));
    set(provider, "+0");
    let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file(provider)).env("FAKETIME_NO_CACHE", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
    command
}

fn file(provider: &Provider) -> PathBuf {
    provider.scratch.path("clock")
}

/// From now on the clock is so much ahead, or behind.
fn set(provider: &Provider, ahead: &str) {
    let draft = provider.scratch.write("clock.new", format!("{ahead}\n"));
    fs::rename(draft, file(provider)).unwrap();
}

struct Row {
    words: &'static str,
    ahead: &'static str,
    plain: View,
    ends: View,
    throttled: View,
    said: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |words, ahead, plain, ends, throttled, said| Row { words, ahead, plain, ends, throttled, said };
    vec![
        row("Two days ahead", "+2d", View::LetIn, View::Wrong, View::Limit, ""),
        row("Two days behind", "-2d", View::LetIn, View::LetIn, View::Limit, ""),
        row("Thirty years ahead", "+30y", View::Later, View::Wrong, View::Limit, "expired"),
        row("Six years behind", "-6y", View::Later, View::Later, View::Limit, "not valid yet"),
        row("Right again", "+0", View::LetIn, View::LetIn, View::Limit, ""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_costs_no_session_and_no_credential() {
    let mut plan = Plan::new(&[PLAIN, ENDS, THROTTLED]);
    plan.launch = launch;
    let stage = plan.start().await;
    let mut found = stage.directory.client(ENDS).await.unwrap().unwrap();
    found.record.secrets[0].expires = Some(Timestamp::now() + SignedDuration::from_hours(24));
    stage.directory.put_client(&found.record, Some(found.version)).await.unwrap();
    fail_often(&stage).await;
    let bystanders = Bystanders::of(&stage).await;
    let mut open = join_all(Protocol::ALL.map(|protocol| stage.enter(PLAIN, protocol))).await;
    let mut ending = join_all(Protocol::ALL.map(|protocol| stage.enter(ENDS, protocol))).await;

    let (mut seen, mut bystanders) = (Vec::new(), Some(bystanders));
    for (number, row) in rows().into_iter().enumerate() {
        if row.plain != View::LetIn
            && let Some(bystanders) = bystanders.take()
        {
            bystanders.end(5).await;
        }
        seen.push(befall(&stage, &row, &mut open).await);
        if number == 0 {
            for client in &mut ending {
                assert!(client.is_ended().await, "a session outlives the secret that it began with");
            }
        }
    }
    let verified = stage.node.verify_audit();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let head = [
        "The clock is",
        "new logins",
        "of a client whose secret ends tomorrow",
        "of one that is throttled",
        "sessions that are open",
        "the audit says",
    ];
    page::holds("clock", &head, &seen);
}

async fn fail_often(stage: &Stage) {
    for number in 0..FAILURES {
        // Each another one: a wrong password that is repeated counts once.
        let wrong = Actor { secret: format!("not-its-secret-{number}"), ..stage.actor(THROTTLED).clone() };
        let mut client = stage.client(Protocol::Imap).await;
        assert_eq!(client.log_in(&wrong).await, View::Wrong);
    }
}

async fn befall(stage: &Stage, row: &Row, open: &mut [Client]) -> Vec<String> {
    set(&stage.provider, row.ahead);
    let mut cells = vec![row.words.to_owned()];
    let mut reasons = Vec::new();
    for (name, view) in [(PLAIN, &row.plain), (ENDS, &row.ends), (THROTTLED, &row.throttled)] {
        let before = Protocol::ALL.map(|protocol| stage.failures(name, protocol));
        let told = join_all(Protocol::ALL.map(|protocol| stage.log_in(name, protocol))).await;
        let mut words = Vec::new();
        for (protocol, (_, told, _)) in Protocol::ALL.into_iter().zip(told) {
            assert_eq!(told, *view, "{}: {name} by {protocol}; {}", row.words, stage.node.log_tail());
            words.push(told.words(protocol));
        }
        if name == PLAIN && *view == View::Later {
            for (protocol, before) in Protocol::ALL.into_iter().zip(before) {
                let reason = stage.reason(name, protocol, before).await;
                assert!(reason.detail.contains(row.said), "{}: {reason:?}", row.words);
                reasons.push(reason);
            }
        }
        words.dedup();
        cells.push(words.join(", "));
    }
    for client in open {
        assert!(client.is_answered().await, "{}: a session that was open ended", row.words);
    }
    cells.push("go on".to_owned());
    cells.push(Reason::cell(&reasons));
    cells
}

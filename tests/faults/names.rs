//! The provider's name: there is none, nobody answers, the name server is in trouble, the name leads elsewhere; before it was ever known,
//! and after that. Asked by the
//! system's own resolver: Locum runs with an `/etc/resolv.conf` of its own, mounted for it alone.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use locum::model::Protocol;

use crate::page;
use crate::stage::{Answer, Bound, Bystanders, Nameserver, Plan, Provider, Reason, Stage, View};

const ROW: &str = "named";
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What is asked for the name: an address of this machine for each process of tests, port 53.
fn nameserver() -> Ipv4Addr {
    let pid = std::process::id();
    Ipv4Addr::new(127, 53, (pid >> 8) as u8, pid as u8 | 1)
}

/// The program in a mount namespace of its own.
fn launch(provider: &Provider) -> Command {
    let resolver = provider.scratch.write("resolv.conf", format!("nameserver {}\n", nameserver()));
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "/bin/sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""]);
    command.arg(resolver).arg(env!("CARGO_BIN_EXE_locum"));
    command
}

struct Row {
    words: &'static str,
    answer: Answer,
    /// Where the provider is meanwhile.
    at: Ipv4Addr,
    view: View,
    bound: Bound,
    said: &'static str,
}

const NOT_KNOWN: &str = "There is no such name";
const TROUBLE: &str = "The name server is in trouble";
const SILENCE: &str = "The name server does not answer";

/// Before the name was known. Silence is last: who comes later waits for the same answer.
fn rows_at_first() -> Vec<Row> {
    let row = |words, answer, bound, said| Row { words, answer, at: HERE, view: View::Later, bound, said };
    vec![
        row(NOT_KNOWN, Answer::NoSuchName, Bound::AtOnce, "not known"),
        row(TROUBLE, Answer::Failure, Bound::AtOnce, "Temporary failure"),
        row(SILENCE, Answer::Silence, Bound::Dial, "within 2s"),
    ]
}

/// Within an hour of its being known.
fn rows_later() -> Vec<Row> {
    let row = |words, answer, at| Row { words, answer, at, view: View::LetIn, bound: Bound::AtOnce, said: "" };
    vec![
        row("The provider moved, the name leads there", Answer::Is(ELSEWHERE), ELSEWHERE),
        row("The name leads where nobody is, and led to the provider within the hour", Answer::Is(ELSEWHERE), HERE),
        row("There is no such name, and there was within the hour", Answer::NoSuchName, HERE),
        row("The name server is in trouble, and was not within the hour", Answer::Failure, HERE),
        row("The name server does not answer, and did within the hour", Answer::Silence, HERE),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_never_known_is_an_outage_and_one_that_was_is_followed_or_remembered() {
    let nameserver = Nameserver::start(nameserver(), Answer::NoSuchName).await;
    let start = || Plan { host: "mail.faults.test", launch, ..Plan::new(&[ROW]) }.start();
    let mut seen = Vec::new();
    {
        let stage = start().await;
        let bystanders = Bystanders::of(&stage).await;
        for row in rows_at_first() {
            seen.push(befall(&stage, &nameserver, &row).await);
        }
        bystanders.end(5).await;
    }
    nameserver.say(Answer::Is(HERE));
    let stage = start().await;
    let bystanders = Bystanders::of(&stage).await;
    let mut open = Vec::new();
    for protocol in Protocol::ALL {
        open.push(stage.enter(ROW, protocol).await);
    }
    for row in rows_later() {
        seen.push(befall(&stage, &nameserver, &row).await);
        nameserver.say(Answer::Is(HERE));
        move_to(&stage, HERE).await;
        for protocol in Protocol::ALL {
            stage.enter(ROW, protocol).await.finish().await;
        }
        for client in &mut open {
            assert!(client.is_answered().await, "{}: a session that was open ended", row.words);
        }
    }
    bystanders.end(2).await;
    let head = ["Fault", "IMAP", "POP3", "submission", "at the latest after", "the audit says"];
    page::holds("names", &head, &seen);
}

async fn befall(stage: &Stage, nameserver: &Nameserver, row: &Row) -> Vec<String> {
    nameserver.say(row.answer);
    move_to(stage, row.at).await;
    let (mut cells, mut reasons) = (vec![row.words.to_owned()], Vec::new());
    for protocol in Protocol::ALL {
        let before = stage.failures(ROW, protocol);
        let (_, view, took) = stage.log_in(ROW, protocol).await;
        assert_eq!(view, row.view, "{} by {protocol}; {}", row.words, stage.node.log_tail());
        assert!(took < row.bound.longest(), "{} by {protocol}: {took:?}", row.words);
        cells.push(view.words(protocol));
        if view != View::LetIn {
            let reason = stage.reason(ROW, protocol, before).await;
            assert!(reason.detail.contains(row.said), "{}: {reason:?}", row.words);
            reasons.push(reason);
        }
    }
    cells.push(row.bound.word().to_owned());
    cells.push(Reason::cell(&reasons));
    cells
}

async fn move_to(stage: &Stage, address: Ipv4Addr) {
    for protocol in Protocol::ALL {
        stage.front(ROW).of(protocol).move_to(&[IpAddr::V4(address)]).await;
    }
}

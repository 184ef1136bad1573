//! The provider's name: there is none, nobody answers, the name server is in trouble, the name leads elsewhere. Asked by the
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

fn rows() -> Vec<Row> {
    let row = |words, answer, at, view, bound, said| Row { words, answer, at, view, bound, said };
    let at_once = Bound::AtOnce;
    vec![
        row("There is no such name", Answer::NoSuchName, HERE, View::Later, at_once, "not known"),
        row("The name server is in trouble", Answer::Failure, HERE, View::Later, at_once, "Temporary failure"),
        row("The name server does not answer", Answer::Silence, HERE, View::Later, Bound::Dial, "within 2s"),
        row("The provider moved, the name leads there", Answer::Is(ELSEWHERE), ELSEWHERE, View::LetIn, at_once, ""),
        row("The name leads where nobody is", Answer::Is(ELSEWHERE), HERE, View::Later, at_once, "Connection refused"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_resolve_is_an_outage_and_a_new_address_is_followed() {
    let nameserver = Nameserver::start(nameserver(), Answer::Is(HERE)).await;
    let mut plan = Plan::new(&[ROW]);
    (plan.host, plan.launch) = ("mail.faults.test", launch);
    let stage = plan.start().await;
    let bystanders = Bystanders::of(&stage).await;
    let mut open = Vec::new();
    for protocol in Protocol::ALL {
        open.push(stage.enter(ROW, protocol).await);
    }
    let mut seen = Vec::new();
    for row in rows() {
        seen.push(befall(&stage, &nameserver, &row).await);
        for client in &mut open {
            assert!(client.is_answered().await, "{}: a session that was open ended", row.words);
        }
    }
    bystanders.end(5).await;
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
    nameserver.say(Answer::Is(HERE));
    move_to(stage, HERE).await;
    for protocol in Protocol::ALL {
        stage.enter(ROW, protocol).await.finish().await;
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

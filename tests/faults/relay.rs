//! A provider, or a client, that fails in the middle of a session: in a message that is fetched, in one that is submitted. The
//! session sees what it would see without Locum; others of the same mailbox go on, and nothing that was cut off counts as done.

use std::time::Duration;

use futures::future::join_all;
use locum::model::Protocol;

use crate::mail;
use crate::openbao::eventually;
use crate::page::{self, code};
use crate::stage::{Act, Bystanders, Client, Ending, Fault, Plan, Stage, When, settled};

/// What a session may stay silent for until the harness believes that nothing more comes. Locum itself waits for half an
/// hour at the least (`idle-timeout`).
const SILENCE: Duration = Duration::from_secs(4);
/// It strikes in the middle of a message of a megabyte.
const MIDDLE: usize = 100_000;
const SIZE: usize = 1 << 20;

/// Who fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Provider(Act),
    /// The client is gone without a word.
    ClientGone,
    /// The client says that no more will be said, and reads on.
    ClientFinishes,
}

struct Row {
    name: &'static str,
    words: &'static str,
    who: Who,
    ending: Ending,
    latest: &'static str,
}

const ROWS: [Row; 6] = [
    Row {
        name: "cut-reset",
        words: "The provider resets in the middle of a message",
        who: Who::Provider(Act::Reset),
        ending: Ending::Cut,
        latest: "at once",
    },
    Row {
        name: "cut-close",
        words: "The provider ends the stream in the middle of a message",
        who: Who::Provider(Act::Close),
        ending: Ending::Cut,
        latest: "at once",
    },
    Row {
        name: "cut-alert",
        words: "The provider breaks TLS in the middle of a message",
        who: Who::Provider(Act::Alert),
        ending: Ending::Cut,
        latest: "at once",
    },
    Row {
        name: "silent",
        words: "The provider falls silent in the middle of a message",
        who: Who::Provider(Act::Silence),
        ending: Ending::Silent,
        latest: "`idle-timeout`",
    },
    Row {
        name: "client-gone",
        words: "The client resets in the middle of a message",
        who: Who::ClientGone,
        ending: Ending::Cut,
        latest: "-",
    },
    Row {
        name: "client-finishes",
        words: "The client ends its side of the stream behind its last command",
        who: Who::ClientFinishes,
        ending: Ending::Whole,
        latest: "-",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_breaks_takes_no_other_with_it() {
    let stage = Plan::new(&ROWS.map(|row| row.name)).start().await;
    let message = message();
    for row in &ROWS {
        let small = mail::simple("of a few lines");
        let planted = if row.who == Who::ClientFinishes { &small } else { &message };
        stage.provider.mailbox(row.name).plant("INBOX", planted, "");
    }
    let bystanders = Bystanders::of(&stage).await;
    let seen = join_all(ROWS.iter().map(|row| befall(&stage, row, &message))).await;
    bystanders.end(5).await;
    let head =
        ["Fault", "IMAP, in FETCH", "POP3, in RETR", "submission, in DATA", "at the latest after", "the audit says"];
    page::holds("relay", &head, &seen);
}

fn message() -> Vec<u8> {
    let mut message = mail::simple("of a megabyte");
    while message.len() < SIZE {
        message.extend_from_slice(b"One more line that says nothing, so that there is a middle to be cut off in.\r\n");
    }
    message
}

async fn befall(stage: &Stage, row: &Row, message: &[u8]) -> Vec<String> {
    if let Who::Provider(act) = row.who {
        stage.front(row.name).strike(Some(Fault::at(When::Bytes(MIDDLE), act))).await;
    }
    let seen = join_all(Protocol::ALL.map(|protocol| one(stage, row, protocol, message))).await;
    stage.front(row.name).strike(None).await;
    for protocol in Protocol::ALL {
        stage.enter(row.name, protocol).await.finish().await;
    }
    let stored = stage.provider.mailbox(row.name).stored("INBOX").len();
    assert_eq!(stored, 1, "{}: half a message was taken for a whole one", row.name);
    let mut cells = vec![row.words.to_owned()];
    cells.extend(seen.iter().map(|(said, _)| said.clone()));
    cells.push(row.latest.to_owned());
    let mut reasons: Vec<_> = seen.into_iter().map(|(_, reason)| reason).filter(|it| it != "-").collect();
    reasons.sort();
    reasons.dedup();
    cells.push(if reasons.is_empty() { "-".to_owned() } else { reasons.join(", ") });
    cells
}

/// What one session sees, and what the audit says of its end.
async fn one(stage: &Stage, row: &Row, protocol: Protocol, message: &[u8]) -> (String, String) {
    let mut other = stage.enter(row.name, protocol).await;
    let mut client = stage.enter(row.name, protocol).await;
    let (got, ending) = match row.who {
        Who::Provider(_) => transfer(&mut client, row, protocol, message).await,
        Who::ClientGone => {
            client.begin(&address(row), message).await;
            client.vanish();
            (0, Ending::Cut)
        }
        Who::ClientFinishes => {
            let said = finish(stage, row, protocol, &mut client).await;
            return (said, code(&end(stage, row, protocol).await));
        }
    };
    assert_eq!(ending, row.ending, "{} by {protocol}, after {got} bytes", row.name);
    let said = match (row.who, ending, protocol) {
        (Who::ClientGone, ..) => "the provider's side ends",
        (_, Ending::Cut, Protocol::Submission) => "closed before the answer, nothing is sent",
        (_, Ending::Silent, Protocol::Submission) => "silence, nothing is sent",
        (_, Ending::Cut, _) => "part of it, closed",
        (_, Ending::Silent, _) => "part of it, silence",
        (_, Ending::Whole, _) => "all of it",
    };
    assert!(protocol == Protocol::Submission || got < message.len(), "{}: all of it came", row.name);
    assert!(other.is_answered().await, "{}: another session of the mailbox by {protocol} ended, too", row.name);
    if row.ending == Ending::Silent {
        return (said.to_owned(), "-".to_owned());
    }
    // To one whose provider has ended in peace the other direction stays open.
    client.finish().await;
    (said.to_owned(), code(&end(stage, row, protocol).await))
}

fn address(row: &Row) -> String {
    format!("{}@example.test", row.name)
}

async fn transfer(client: &mut Client, row: &Row, protocol: Protocol, message: &[u8]) -> (usize, Ending) {
    match protocol {
        Protocol::Submission => (0, client.submit(&address(row), message, SILENCE).await),
        _ => client.fetch(message.len(), SILENCE).await,
    }
}

/// Says that this was all, once it has the answer to what it asked for: the session ends in peace. (Dovecot and Postfix drop
/// what they have not yet written to who has ended its side; that a relay keeps the other side open is seen in memory,
/// in `src/net/relay.rs`.)
async fn finish(stage: &Stage, row: &Row, protocol: Protocol, client: &mut Client) -> String {
    let size = stage.provider.mailbox(row.name).stored("INBOX")[0].content.len();
    match protocol {
        Protocol::Imap | Protocol::Pop3 => assert_eq!(client.fetch(size, SILENCE).await.1, row.ending),
        Protocol::Submission => assert!(client.is_answered().await, "{protocol}"),
    }
    client.finish().await;
    assert!(client.is_ended().await);
    "the answer, closed".to_owned()
}

/// The latest end of a session of that row that broke, as the audit has it.
async fn end(stage: &Stage, row: &Row, protocol: Protocol) -> String {
    let what = format!("the end of {} by {protocol} in the audit", row.name);
    eventually(&what, async || {
        let events = stage.node.audit();
        let is_meant = |event: &&serde_json::Value| {
            event["event"] == "end" && event["login"] == row.name && event["protocol"] == protocol.name()
        };
        events.iter().find(is_meant).map(|event| settled(event["reason"].as_str().unwrap()))
    })
    .await
}

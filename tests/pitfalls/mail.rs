//! Pitfalls 14, 15 and 26: what is said behind the login. Mail goes through byte by byte where nobody looks at it, and where
//! somebody does, what two could read differently goes no further; early words wait for their turn; and senders are those that
//! a client may name.

use std::sync::Arc;
use std::time::Duration;

use locum::model::Protocol;
use locum::sandbox::Start;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::hands::{APP_PASSWORD, Part, WORDS, say, stage, until};
use crate::support::{Identity, Lab, Plan, Step, Wire, plain};

/// A lone dot between all the line ends that somebody takes for one.
const DOTS: [&str; 9] =
    ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r\r\n.\r\r\n", "\r\n\0.\r\n"];

/// A provider of submission that lets everybody in and keeps what it is told.
fn listening(name: &str, identity: &Identity) -> Part {
    let words = WORDS[2];
    let script = [words.until_login(identity), vec![say(words.welcome), Step::Silence]].concat();
    Part::new(name, Protocol::Submission, Start::Implicit, script)
}

/// Where no policy has it looked at, what is submitted is not read: every octet arrives, none is added, none is taken for an
/// end that is none.
#[tokio::test]
async fn pitfall_14_mail_is_relayed_byte_for_byte() {
    let identity = Identity::of("localhost");
    let parts = vec![listening("fake", &identity)];
    let (lab, fakes) = stage(Plan::new(), &identity, parts).await;
    let actor = lab.enrol("carol", "fake", APP_PASSWORD).await;
    let mut wire = lab.log_in(Protocol::Submission, &actor).await;
    let mut said = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nSubject: x\r\n\r\n".to_owned();
    for (number, dot) in DOTS.iter().enumerate() {
        said += &format!("{number}{dot}MAIL FROM:<evil@b.test>\r\nRCPT TO:<victim@d.test>\r\nDATA\r\n");
    }
    said +=
        "bare \n feed, bare \r return, \0, \u{7f}, \u{1b}[31m\r\n..\r\n.\r\nBDAT 5\r\n.\r\n\r\nBDAT 0 LAST\r\nthe end";
    for piece in said.as_bytes().chunks(7) {
        wire.write(piece).await;
    }
    until("the end of what was said", async || fakes[0].has_heard("the end")).await;
    assert!(fakes[0].has_heard(&said), "something was added, left out, or changed");
}

/// Alice may send as herself alone.
async fn pinned() -> Lab {
    let lab = Lab::start().await;
    lab.alter(&lab.alice, |client| client.policy.senders = vec!["alice.liddell@gmail.test".parse().unwrap()]).await;
    lab
}

/// Up to the text of a message of hers.
async fn in_message(lab: &Lab) -> Wire {
    let mut wire = lab.log_in(Protocol::Submission, &lab.alice).await;
    wire.write("MAIL FROM:<alice.liddell@gmail.test>\r\nRCPT TO:<alice.liddell@gmail.test>\r\nDATA\r\n").await;
    for code in ["250 ", "250 ", "354 "] {
        assert!(wire.line().await.starts_with(code));
    }
    wire
}

/// Where it is looked at, a message ends by CRLF, a dot, CRLF, and by nothing else; what others might take for the end is the
/// end of the session.
#[tokio::test]
async fn pitfall_14b_what_is_looked_at_ends_by_one_line_end_alone() {
    let lab = pinned().await;
    for dot in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r"] {
        let mut wire = in_message(&lab).await;
        wire.write(format!("Subject: x{dot}MAIL FROM:<boss@gmail.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n")).await;
        let rest = wire.rest().await;
        assert!(rest.starts_with("521 5.5.2 ") && rest.lines().count() == 1, "{rest}");
    }
    // In two pieces, at each place.
    for cut in 1..4 {
        let mut wire = in_message(&lab).await;
        let (one, other) = "\n.\r\n".split_at(cut);
        wire.write(format!("Subject: x{one}")).await;
        tokio::task::yield_now().await; // lets Locum have the first piece
        wire.write(format!("{other}MAIL FROM:<boss@gmail.test>\r\n")).await;
        assert!(wire.rest().await.starts_with("521 5.5.2 "), "{cut}");
    }
    let mut wire = lab.log_in(Protocol::Submission, &lab.alice).await;
    wire.write("x".repeat(5000)).await;
    assert_eq!(wire.rest().await, "500 5.5.2 Line too long\r\n");
    assert!(lab.gmail.sandbox.sent().is_empty());
    let ends = lab.audit().into_iter().filter(|it| it["event"] == "end").map(|it| it["reason"].to_string());
    assert_eq!(ends.filter(|reason| reason.contains("single dot")).count(), 7);
}

/// Octets of BDAT are counted, and are no commands, whatever they look like; a count that cannot be followed leads nowhere.
#[tokio::test]
async fn pitfall_14c_octets_of_bdat_are_counted() {
    let lab = pinned().await;
    let begin = async || {
        let mut wire = lab.log_in(Protocol::Submission, &lab.alice).await;
        wire.write("MAIL FROM:<alice.liddell@gmail.test>\r\nRCPT TO:<alice.liddell@gmail.test>\r\n").await;
        wire.until("250 2.1.5").await;
        wire
    };
    let mut wire = begin().await;
    let chunk = "\n.\r\nMAIL FROM:<boss@gmail.test>\r\nBDAT 3\r\n.\r\n";
    wire.write(format!("BDAT {}\r\n{chunk}BDAT {} LAST\r\n{chunk}", chunk.len(), chunk.len())).await;
    assert!(wire.line().await.starts_with("250 "));
    assert!(wire.line().await.starts_with("250 2.0.0 OK "));
    let sent = lab.gmail.sandbox.sent();
    assert_eq!(String::from_utf8_lossy(&sent[0].message), chunk.repeat(2));
    assert_eq!(sent[0].from, lab.alice.address);
    for count in ["-1", "0x10", "18446744073709551616", "99999999999999999999999", "1 1", "LAST", "", "1e3", "+5"] {
        let mut wire = begin().await;
        wire.write(format!("BDAT {count}\r\nMAIL FROM:<boss@gmail.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n")).await;
        wire.finish().await;
        let answers = wire.rest().await;
        assert!(!answers.contains("\r\n354 ") && !answers.starts_with("354 "), "{count}: {answers}");
    }
    assert_eq!(lab.gmail.sandbox.sent().len(), 1);
}

/// What a client says before its login is answered waits with us, in order, and no more of it than a buffer holds; if the login
/// is refused, it is said to us and to nobody else.
#[tokio::test]
async fn pitfall_15_what_is_pipelined_behind_a_login_waits_for_its_answer() {
    let identity = Identity::of("localhost");
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let words = WORDS[2];
    let wait = [Step::Tell(Arc::clone(&asked)), Step::Await(Arc::clone(&answer))];
    let end = [say(words.welcome), Step::Hear("the end"), say("250 heard\r\n")];
    let script = [&words.until_login(&identity), &wait[..], &end].concat();
    let refusing = [&words.until_login(&identity)[..], &[say("535 5.7.8 no\r\n"), Step::Silence]].concat();
    let parts = vec![
        Part::new("slow", Protocol::Submission, Start::Implicit, script),
        Part::new("refusing", Protocol::Submission, Start::Implicit, refusing),
    ];
    let (lab, fakes) = stage(Plan::new(), &identity, parts).await;
    let actor = lab.enrol("carol", "slow", APP_PASSWORD).await;
    let mut wire = Wire::connect(lab.address("submission-plain")).await;
    wire.line().await;
    wire.ehlo().await;
    wire.write(format!("AUTH PLAIN {}\r\nMAIL FROM:<first@b.test>\r\n", plain("", "carol", &actor.secret))).await;
    asked.notified().await;
    assert!(!fakes[0].has_heard("first@b.test"), "it was passed on before the provider took the login");
    // More than any socket on the way holds.
    let much = format!("NOOP {}\r\n", "x".repeat(256 * 1024)).repeat(64);
    let mut unwritten = Box::pin(wire.write(&much));
    assert!(timeout(Duration::from_millis(500), &mut unwritten).await.is_err(), "all of it was taken in");
    assert!(!fakes[0].has_heard("NOOP"));
    answer.notify_one();
    unwritten.await;
    assert_eq!(wire.line().await, "235 2.7.0 Authentication succeeded");
    wire.write("the end\r\n").await;
    assert_eq!(wire.line().await, "250 heard");

    let actor = lab.enrol("dave", "refusing", APP_PASSWORD).await;
    let mut wire = lab.open(Protocol::Submission).await;
    let mail = "MAIL FROM:<second@b.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nQUIT\r\n";
    wire.write(format!("AUTH PLAIN {}\r\n{mail}", plain("", "dave", &actor.secret))).await;
    assert!(wire.line().await.starts_with("454 4.7.0 "));
    for _ in 0..3 {
        assert_eq!(wire.line().await, "530 5.7.0 Authentication required");
    }
    assert_eq!(wire.rest().await, "221 2.0.0 Bye\r\n");
    assert!(!fakes[1].has_heard("second@b.test") && !fakes[1].has_heard("DATA"));
}

const REFUSED: &str = "550 5.7.1 This login may not send as that address";

/// A client that may name some senders names no other, however the address is written: each way of writing it that a provider
/// could read as another sender is refused, or the sender's own.
#[tokio::test]
async fn pitfall_26_a_client_sends_as_the_senders_of_its_policy_alone() {
    let lab = pinned().await;
    let mut wire = lab.log_in(Protocol::Submission, &lab.alice).await;
    for sender in [
        "<boss@gmail.test>",
        " boss@gmail.test SIZE=10",
        "<>",
        "<alice.liddell@gmail.test.evil.test>",
        "<evil@alice.liddell@gmail.test>",
        "<@evil.test:boss@gmail.test>",
        "<@gmail.test,@evil.test:boss@gmail.test>",
        "<\"alice.liddell@gmail.test\"@evil.test>",
        "<\"boss\"@gmail.test>",
        "<boss@gmail.test> AUTH=<alice.liddell@gmail.test>",
        "<boss@gmail.test><alice.liddell@gmail.test>",
        "alice.liddell@gmail.test <boss@gmail.test>",
        "<alice.liddell@gmail.test,boss@gmail.test>",
        "<alice.liddell%gmail.test@evil.test>",
        "<evil.test!alice.liddell@gmail.test>",
        "<alice.liddell@gmail.test\0@evil.test>",
        "<alice.liddell@gmail.te\u{17f}t>",
        "<(alice.liddell@gmail.test)boss@gmail.test>",
        "<alice.liddell@[127.0.0.1]>",
    ] {
        wire.write(format!("MAIL FROM:{sender}\r\n")).await;
        let answer = wire.line().await;
        let is_refused = ["550 5.7.1 ", "501 ", "500 ", "553 "].iter().any(|start| answer.starts_with(start));
        assert!(is_refused, "{sender}: {answer}");
        assert!(wire.ask("RCPT TO:<a@b.test>").await.starts_with("503 "), "{sender}");
    }
    for command in ["mail from:<boss@gmail.test>", "MaIl FrOm:<boss@gmail.test>", "MAIL  FROM : <boss@gmail.test>"] {
        let answer = wire.ask(command).await;
        assert!(answer.starts_with('5'), "{command}: {answer}");
    }
    assert!(lab.gmail.sandbox.sent().is_empty());
    // Her own, in capitals, too; and a second sender is no way in.
    assert!(wire.ask("MAIL FROM:<Alice.Liddell@GMAIL.test>").await.starts_with("250 "));
    assert!(!wire.ask("MAIL FROM:<boss@gmail.test>").await.starts_with("250 "));
}

/// Neither do pipelining, chunks, a second try, or another connection get round it.
#[tokio::test]
async fn pitfall_26b_no_way_of_sending_gets_round_the_senders() {
    let lab = pinned().await;
    let mut wire = lab.log_in(Protocol::Submission, &lab.alice).await;
    wire.write("MAIL FROM:<boss@gmail.test>\r\nRCPT TO:<alice.liddell@gmail.test>\r\nDATA\r\nRSET\r\n").await;
    assert_eq!(wire.line().await, REFUSED);
    for start in ["503 ", "503 ", "250 "] {
        let line = wire.line().await;
        assert!(line.starts_with(start), "{line}");
    }
    assert_eq!(wire.ask("mail from: boss@gmail.test SIZE=10").await, REFUSED);
    assert_eq!(wire.ask("MAIL FROM:<>").await, REFUSED);
    wire.write("RCPT TO:<alice.liddell@gmail.test>\r\nBDAT 29 LAST\r\nMAIL FROM:<boss@gmail.test>\r\n").await;
    assert!(wire.line().await.starts_with("503 "));
    assert!(wire.line().await.starts_with("503 5.5.1 No recipient"));
    assert_eq!(wire.ask("XYZZY").await, "500 5.5.2 Command not recognized");
    // By chunks, and with a body that looks like commands, what is hers is taken.
    wire.write("MAIL FROM:<alice.liddell@gmail.test>\r\nRCPT TO:<alice.liddell@gmail.test>\r\n").await;
    assert!(wire.until("250 2.1.5").await.len() == 2);
    wire.write("BDAT 29\r\nMAIL FROM:<boss@gmail.test>\r\nBDAT 5 LAST\r\n\n.\n\r\n").await;
    assert!(wire.line().await.starts_with("250 "));
    assert!(wire.line().await.starts_with("250 2.0.0 OK "));
    let sent = lab.gmail.sandbox.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(String::from_utf8_lossy(&sent[0].message), "MAIL FROM:<boss@gmail.test>\r\n\n.\n\r\n");
}

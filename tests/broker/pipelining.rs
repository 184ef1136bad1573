//! Clients and providers that say more than they were asked: what comes behind a login is relayed, in order and whole,
//! however it was cut.

use locum::model::Protocol;
use locum::sandbox::Start;

use crate::answers::accepted;
use crate::support::{Fake, Identity, Lab, Plan, Step, Wire, plain};

/// Places to cut a text of that many bytes: within words, line ends and the first and last byte.
fn cuts(bytes: usize) -> impl Iterator<Item = usize> {
    (1..bytes).step_by(bytes / 11 + 1).chain([bytes - 1])
}

/// Writes a text in pieces: all at once, in two by each cut, or byte by byte.
async fn write_cut(wire: &mut Wire, text: &str, cut: Cut) {
    match cut {
        Cut::Not => wire.write(text).await,
        Cut::At(place) => {
            wire.write(&text[..place]).await;
            tokio::task::yield_now().await; // lets Locum have the first piece
            wire.write(&text[place..]).await;
        }
        Cut::Everywhere => {
            for byte in text.as_bytes() {
                wire.write([*byte]).await;
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    Not,
    At(usize),
    Everywhere,
}

fn all_cuts(bytes: usize) -> impl Iterator<Item = Cut> {
    [Cut::Not, Cut::Everywhere].into_iter().chain(cuts(bytes).map(Cut::At))
}

#[tokio::test]
async fn fifty_imap_commands_behind_a_login() {
    let lab = Lab::start().await;
    let mut text = format!("a LOGIN {} {}\r\n", lab.alice.login, lab.alice.secret);
    text.extend((0..50).map(|number| format!("n{number} NOOP\r\n")));
    text += "z LOGOUT\r\n";
    for cut in all_cuts(text.len()) {
        let mut wire = lab.open(Protocol::Imap).await;
        write_cut(&mut wire, &text, cut).await;
        assert_eq!(wire.line().await, accepted(Protocol::Imap), "{cut:?}");
        for number in 0..50 {
            assert_eq!(wire.line().await, format!("n{number} OK Success"), "{cut:?}");
        }
        assert_eq!(wire.rest().await, "* BYE LOGOUT Requested\r\nz OK Success\r\n", "{cut:?}");
    }
}

#[tokio::test]
async fn a_whole_submission_behind_its_login() {
    const MESSAGE: &str = "Subject: Scan\r\n\r\n.dot\r\nPage 1\r\n";
    let lab = Lab::start().await;
    let response = plain("", &lab.alice.login, &lab.alice.secret);
    let text = format!(
        "AUTH PLAIN {response}\r\nMAIL FROM:<{0}>\r\nRCPT TO:<print@shop.test>\r\nDATA\r\n{1}.\r\nQUIT\r\n",
        lab.alice.address,
        MESSAGE.replace("\r\n.", "\r\n..")
    );
    for (number, cut) in all_cuts(text.len()).enumerate() {
        let mut wire = lab.open(Protocol::Submission).await;
        write_cut(&mut wire, &text, cut).await;
        let mut codes = Vec::new();
        for _ in 0..6 {
            codes.push(wire.line().await[..4].to_owned());
        }
        assert_eq!(codes, ["235 ", "250 ", "250 ", "354 ", "250 ", "221 "], "{cut:?}");
        assert_eq!(wire.rest().await, "");
        let sent = lab.gmail.sandbox.sent();
        assert_eq!(sent.len(), number + 1, "{cut:?}");
        assert_eq!(sent[number].message.as_slice(), MESSAGE.as_bytes(), "{cut:?}");
        assert_eq!((&sent[number].from, &sent[number].account), (&lab.alice.address, &lab.alice.address));
    }
}

#[tokio::test]
async fn pop3_commands_behind_a_password() {
    let lab = Lab::start().await;
    let text = format!("USER {}\r\nPASS {}\r\nSTAT\r\nLIST\r\nQUIT\r\n", lab.alice.login, lab.alice.secret);
    for cut in all_cuts(text.len()) {
        let mut wire = lab.open(Protocol::Pop3).await;
        write_cut(&mut wire, &text, cut).await;
        for expected in ["+OK Send the password", "+OK Logged in", "+OK 1 38"] {
            assert_eq!(wire.line().await, expected, "{cut:?}");
        }
        assert!(wire.line().await.starts_with("+OK"));
        assert_eq!(wire.rest().await, "1 38\r\n.\r\n+OK Server signing off.\r\n", "{cut:?}");
    }
}

/// A client that writes and closes its side at once, as scripts do, still gets all answers.
#[tokio::test]
async fn a_client_that_says_all_and_waits_for_the_end_gets_all_answers() {
    let lab = Lab::start().await;
    let mut wire = lab.open(Protocol::Pop3).await;
    wire.write(format!("USER {}\r\nPASS {}\r\nSTAT\r\n", lab.alice.login, lab.alice.secret)).await;
    wire.finish().await;
    assert_eq!(wire.rest().await, "+OK Send the password\r\n+OK Logged in\r\n+OK 1 38\r\n");
}

#[tokio::test]
async fn what_the_provider_says_behind_its_answer_arrives_in_order() {
    let identity = Identity::of("localhost");
    let tls = || Step::Tls(identity.server.clone());
    let imap = [
        tls(),
        Step::Say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n"),
        Step::Hear("AUTHENTICATE"),
        Step::Say("L1 OK [CAPABILITY IMAP4rev1] in\r\n* 23 EXISTS\r\n* 1 RECENT\r\n* OK [ALERT] "),
        Step::Say("over quota\r\n"),
        Step::Hear("b NOOP"),
        Step::Say("b OK done\r\n"),
    ];
    let pop3 = [
        tls(),
        Step::Say("+OK ready\r\n"),
        Step::Hear("CAPA"),
        Step::Say("+OK\r\nSASL PLAIN\r\n.\r\n"),
        Step::Hear("AUTH PLAIN"),
        Step::Say("+ \r\n"),
        Step::Hear(""),
        Step::Say("+OK in\r\n+OK news "),
        Step::Say("from nowhere\r\n"),
        Step::Hear("NOOP"),
        Step::Say("+OK done\r\n"),
    ];
    let submission = [
        tls(),
        Step::Say("220 ready\r\n"),
        Step::Hear("EHLO"),
        Step::Say("250-mx\r\n250 AUTH PLAIN\r\n"),
        Step::Hear("AUTH PLAIN"),
        Step::Say("235 in\r\n250 news "),
        Step::Say("from nowhere\r\n"),
        Step::Hear("NOOP"),
        Step::Say("250 done\r\n"),
    ];
    let fakes = [
        Fake::play("eager-imap", Protocol::Imap, Start::Implicit, &imap).await,
        // Probes come first, and end where a login would begin.
        Fake::play("eager-pop3", Protocol::Pop3, Start::Implicit, &pop3).await,
        Fake::play("eager-submission", Protocol::Submission, Start::Implicit, &submission).await,
    ];
    let plan = fakes.iter().fold(Plan::new().trust(&identity), |plan, fake| plan.fake(fake));
    let lab = plan.start().await;
    for (protocol, fake, login, news) in [
        (
            Protocol::Imap,
            &fakes[0],
            "a OK [CAPABILITY IMAP4rev1] Logged in",
            "* 23 EXISTS\r\n* 1 RECENT\r\n* OK [ALERT] over quota\r\nb OK done\r\n",
        ),
        (Protocol::Pop3, &fakes[1], accepted(Protocol::Pop3), "+OK news from nowhere\r\n+OK done\r\n"),
        (Protocol::Submission, &fakes[2], accepted(Protocol::Submission), "250 news from nowhere\r\n250 done\r\n"),
    ] {
        let actor = lab.enrol(&fake.name, &fake.name, "mnbvcxzlkjhgfdsa").await;
        let (mut wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
        assert_eq!(answer, login);
        wire.write(if protocol == Protocol::Imap { "b NOOP\r\n" } else { "NOOP\r\n" }).await;
        assert_eq!(wire.rest().await, news, "{protocol}");
        fake.all_closed().await;
    }
}

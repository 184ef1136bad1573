//! Pitfall 10: all that a client can make grow before it has logged in is bounded, and so is what it costs.

use std::time::Duration;

use locum::model::Protocol;
use locum::sandbox::Start;

use crate::hands::{APP_PASSWORD, Part, in_time, is_in, nothing_came_of_it, say, stage};
use crate::support::{Door, Identity, Lab, Plan, Step, Wire};

/// What is written behind the greeting (and EHLO), and all that is said until the end.
async fn assert_ends(lab: &Lab, protocol: Protocol, said: impl AsRef<[u8]>, answer: &str) {
    let mut wire = lab.open(protocol).await;
    wire.write(&said).await;
    assert_eq!(wire.rest().await, answer, "{protocol}, after {:.60?}", String::from_utf8_lossy(said.as_ref()));
}

/// A line has 16 KiB, complete or not, wherever it stands.
#[tokio::test]
async fn pitfall_10_a_line_without_end_is_not_held() {
    let lab = Lab::start().await;
    let long = "x".repeat(17 * 1024);
    let whole = format!("a NOOP {long}\r\na NOOP\r\n");
    for long in [&long, &whole] {
        assert_ends(&lab, Protocol::Imap, long, "* BYE Line is too long\r\n").await;
        assert_ends(&lab, Protocol::Pop3, long, "-ERR Line too long\r\n").await;
        assert_ends(&lab, Protocol::Submission, long, "500 5.5.2 Line too long\r\n").await;
    }
    assert_ends(&lab, Protocol::Imap, format!("a AUTHENTICATE PLAIN\r\n{long}"), "+ \r\n* BYE Line is too long\r\n")
        .await;
    assert_ends(&lab, Protocol::Imap, format!("a LOGIN {{1+}}\r\nx{long}"), "* BYE Line is too long\r\n").await;
    let response = format!("AUTH PLAIN\r\n{long}");
    assert_ends(&lab, Protocol::Pop3, &response, "+ \r\n-ERR Line too long\r\n").await;
    let answer = "334 \r\n500 5.5.6 Authentication exchange line is too long\r\n";
    assert_ends(&lab, Protocol::Submission, &response, answer).await;
    nothing_came_of_it(&lab).await;
}

/// All of it together has 256 KiB, in lines or in literals.
#[tokio::test]
async fn pitfall_10b_all_that_is_said_before_login_is_bounded() {
    let lab = Lab::start().await;
    for (protocol, line, goodbye) in [
        (Protocol::Imap, "a NOOP ", "* BYE Too much was sent before login\r\n"),
        (Protocol::Pop3, "NOOP ", "-ERR Too much said before login\r\n"),
        (Protocol::Submission, "NOOP ", "421 4.7.0 Too much said before login\r\n"),
    ] {
        let mut wire = lab.open(protocol).await;
        // Long lines: the answers must not fill the way back while nobody reads them.
        let line = format!("{line}{}\r\n", "x".repeat(8000));
        wire.write(line.repeat(256 * 1024 / line.len() + 1)).await;
        assert!(wire.rest().await.ends_with(goodbye), "{protocol}");
    }
    // Good literals in one endless command, of which no line is long.
    let mut wire = lab.open(Protocol::Imap).await;
    let literal = format!(" {{8000+}}\r\n{}", "x".repeat(8000));
    wire.write(format!("a ID (\"a\"{}", literal.repeat(33))).await;
    assert_eq!(wire.rest().await, "* BYE Too much was sent before login\r\n");
    nothing_came_of_it(&lab).await;
}

/// A literal has 8 KiB; nothing is set aside for one that is announced, and what is no literal to us is no command either.
#[tokio::test]
async fn pitfall_10c_literals_are_bounded_and_what_is_in_one_is_no_command() {
    let lab = Lab::start().await;
    let mut wire = lab.open(Protocol::Imap).await;
    for size in ["8193", "9000", "4294967296", "18446744073709551616", "99999999999999999999999999"] {
        let mut wire = lab.open(Protocol::Imap).await;
        assert_eq!(wire.ask(&format!("a LOGIN {{{size}}}")).await, "a NO [TOOBIG] Literal is too long");
        assert_eq!(wire.ask(&format!("a LOGIN x {{{size}}}")).await, "a NO [TOOBIG] Literal is too long");
        for command in ["LOGIN", "ID", "NOOP", "XYZZY", "SELECT"] {
            let bomb = format!("a {command} {{{size}+}}\r\na LOGIN alice x\r\n");
            assert_ends(&lab, Protocol::Imap, bomb, "* BYE Literal is too long\r\n").await;
        }
    }
    for size in ["-1", "0x10", "1e9", "", "+", "5-", "\u{665}"] {
        let answer = wire.ask(&format!("a LOGIN {{{size}}}")).await;
        assert_eq!(answer, "a BAD LOGIN takes a name and a password", "{size:?}");
    }
    let mut wire = lab.open(Protocol::Imap).await;
    assert_eq!(wire.ask("c NOOP {5}").await, "c BAD Literal is not expected here");
    assert_eq!(wire.ask("d LOGIN {5").await, "d BAD LOGIN takes a name and a password");
    wire.write("e NOOP {24+}\r\nx LOGIN alice password\r\n\r\n").await;
    assert_eq!(wire.line().await, "e BAD Literal is not expected here");
    // A third argument is none, and is read all the same.
    wire.write("f LOGIN a {1+}\r\nb {24+}\r\nx LOGIN alice password\r\n\r\n").await;
    assert_eq!(wire.line().await, "f BAD LOGIN takes a name and a password");
    assert_eq!(wire.ask("g NOOP").await, "g OK NOOP completed");
    nothing_came_of_it(&lab).await;
}

/// Brackets within brackets cost no stack, from a client and from a provider: nothing that is nested is read before login.
#[tokio::test]
async fn pitfall_10d_nesting_costs_nothing() {
    let lab = Lab::start().await;
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("\"", "\""), ("((", "\\")] {
        let mut wire = lab.open(Protocol::Imap).await;
        let (open, close) = (open.repeat(16_000 / open.len() / 2), close.repeat(7_000 / close.len()));
        for command in ["ID", "LOGIN", "AUTHENTICATE", "SELECT", "XYZZY"] {
            let answer = wire.ask(&format!("a {command} {open}{close}")).await;
            assert!(answer.starts_with(if command == "ID" { "* ID" } else { "a " }), "{answer:.80}");
            if command == "ID" {
                wire.until("a OK").await;
            }
        }
    }
    nothing_came_of_it(&lab).await;

    let identity = Identity::of("localhost");
    let deep = |head: &str| say(format!("{head}{}\r\n", "(".repeat(16_000)));
    let script = vec![
        Step::Tls(identity.server.clone()),
        Step::Say("* OK ready\r\n"),
        Step::Hear("CAPABILITY"),
        deep("* 1 FETCH (BODYSTRUCTURE "),
        deep("* LIST "),
        deep("* OK [ALERT] "),
        deep("* ID "),
        Step::Say("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nL1 OK done\r\n"),
        Step::Hear("AUTHENTICATE"),
        deep("* 1 FETCH (BODYSTRUCTURE "),
        Step::Say("L2 OK [CAPABILITY IMAP4rev1] in\r\n"),
        Step::Silence,
    ];
    let parts = vec![Part::new("deep", Protocol::Imap, Start::Implicit, script)];
    let (lab, _fakes) = stage(Plan::new(), &identity, parts).await;
    let actor = lab.enrol("carol", "deep", APP_PASSWORD).await;
    let (_wire, answer) = lab.present(Protocol::Imap, &actor.login, &actor.secret).await;
    assert!(is_in(&answer), "{answer}");
}

/// A client has so much time in all, be it silent, half way through a command, or busy all along.
#[tokio::test]
async fn pitfall_10e_a_client_has_so_much_time_before_login_however_busy_it_is() {
    let plan = Plan::new().tune(|config| {
        config.session.login_timeout = Duration::from_millis(400);
        config.session.tls_handshake_timeout = Duration::from_millis(400);
    });
    let lab = plan.start().await;
    let imap = lab.open(Protocol::Imap).await;
    let mut half_way = lab.open(Protocol::Imap).await;
    half_way.write("a LOGIN {5}\r\nal").await;
    let mut exchange = lab.open(Protocol::Submission).await;
    exchange.write("AUTH LOGIN\r\nYWxp").await;
    let (pop3, submission) = (lab.open(Protocol::Pop3).await, lab.open(Protocol::Submission).await);
    let silent = Wire::connect(lab.address(&Door::Implicit.listener(Protocol::Imap))).await;
    assert_eq!(imap.rest().await, "* BYE Login took too long\r\n");
    assert_eq!(half_way.rest().await, "+ Go ahead\r\n* BYE Login took too long\r\n");
    assert_eq!(exchange.rest().await, "334 VXNlcm5hbWU6\r\n421 4.4.2 Took too long to log in\r\n");
    assert_eq!(pop3.rest().await, "-ERR [SYS/TEMP] Took too long to log in\r\n");
    assert_eq!(submission.rest().await, "421 4.4.2 Took too long to log in\r\n");
    assert_eq!(silent.rest().await, "", "it never shook hands");
    for (protocol, noop) in [(Protocol::Imap, "a NOOP"), (Protocol::Pop3, "NOOP"), (Protocol::Submission, "NOOP")] {
        let mut wire = lab.open(protocol).await;
        let busy = async {
            loop {
                let answer = wire.ask(noop).await;
                if !answer.contains("OK") || answer.contains("BYE") {
                    return answer;
                }
            }
        };
        let answer = in_time("the end of a busy client", busy).await;
        assert!(answer.contains("too long"), "{protocol}: {answer}");
    }
    nothing_came_of_it(&lab).await;
}

/// Commands that nobody can use end a connection after ten.
#[tokio::test]
async fn pitfall_10f_so_many_bad_commands_and_no_more() {
    let lab = Lab::start().await;
    let (imap, pop3) = ("a BAD Unknown command\r\n".repeat(10), "-ERR Unknown command\r\n".repeat(10));
    let submission = "500 5.5.2 Unknown command\r\n".repeat(10);
    let junk = "a GET / HTTP/1.1\r\n".repeat(10);
    assert_ends(&lab, Protocol::Imap, &junk, &format!("{imap}* BYE Too many bad commands\r\n")).await;
    assert_ends(&lab, Protocol::Pop3, &junk, &pop3).await;
    assert_ends(&lab, Protocol::Submission, &junk, &format!("{submission}421 4.7.0 Too many unusable commands\r\n"))
        .await;
    nothing_came_of_it(&lab).await;
}

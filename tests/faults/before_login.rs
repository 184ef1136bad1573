//! A provider that fails before it has let us in: at each place of a login, in each way, by each protocol. Clients are told to
//! try again, the operator reads where and why, and the next login after the fault succeeds: no credential is given up for it.
//! It takes longest (`upstream-login-timeout` is half a minute at the least), and tests begin in the order of their names.

use futures::future::join_all;
use locum::model::Protocol;

use crate::page;
use crate::stage::{Act, Bound, Bystanders, Fault, Plan, Reason, Stage, View, When};

/// One fault, and what must come of it.
struct Row {
    name: &'static str,
    words: &'static str,
    fault: Fault,
    by_starttls: bool,
    view: View,
    /// What stands in the audit.
    said: &'static str,
}

fn row(name: &'static str, words: &'static str, when: When, act: Act, said: &'static str) -> Row {
    let view = if act == Act::Slow && when != When::Handshake { View::LetIn } else { View::Later };
    Row { name, words, fault: Fault::at(when, act), by_starttls: when == When::StartTls, view, said }
}

fn rows() -> Vec<Row> {
    use Act::{Alert, Close, Expired, Garbage, OtherName, Refuse, Reset, SelfSigned, Silence, Slow, Stranger};
    use When::{Connect, Greeting, Handshake, Login, StartTls};
    let reset = "reset";
    let hung_up = "it hung up";
    let timed_out = "timed out: no end of the login within 30s";
    vec![
        row("refused", "The connection is refused", Connect, Refuse, "Connection refused"),
        row("unanswered", "The connection is not answered", Connect, Silence, "no connection to localhost:… within 2s"),
        row("tls-reset", "Reset in the TLS handshake", Handshake, Reset, reset),
        row("tls-close", "End of the stream in the TLS handshake", Handshake, Close, "eof"),
        row("tls-silence", "Silence in the TLS handshake", Handshake, Silence, "no answer within 4s"),
        row("tls-garbage", "No TLS in the TLS handshake", Handshake, Garbage, "InvalidContentType"),
        row("tls-alert", "A fatal alert in the TLS handshake", Handshake, Alert, "alert"),
        row("tls-slow", "A byte each 20 ms in the TLS handshake", Handshake, Slow, "no answer within 4s"),
        row("other-name", "A certificate of another name", Handshake, OtherName, "not valid for name"),
        row("expired", "A certificate that is over", Handshake, Expired, "certificate expired"),
        row("self-signed", "A certificate signed by itself", Handshake, SelfSigned, "invalid peer certificate"),
        row("stranger", "A certificate of an unknown authority", Handshake, Stranger, "UnknownIssuer"),
        row("greeting-reset", "Reset in place of the greeting", Greeting, Reset, reset),
        row("greeting-close", "End of the stream in place of the greeting", Greeting, Close, hung_up),
        row("greeting-silence", "Silence in place of the greeting", Greeting, Silence, timed_out),
        row("greeting-garbage", "Garbage in place of the greeting", Greeting, Garbage, "protocol error"),
        row("slow", "A byte each 20 ms from the greeting on", Greeting, Slow, ""),
        row("starttls-reset", "Reset in place of the answer to STARTTLS", StartTls, Reset, reset),
        row("starttls-close", "End of the stream in place of the answer to STARTTLS", StartTls, Close, hung_up),
        row("starttls-silence", "Silence in place of the answer to STARTTLS", StartTls, Silence, timed_out),
        row("starttls-garbage", "Garbage in place of the answer to STARTTLS", StartTls, Garbage, "protocol error"),
        row("login-reset", "Reset in place of the answer to the login", Login, Reset, reset),
        row("login-close", "End of the stream in place of the answer to the login", Login, Close, hung_up),
        row("login-silence", "Silence in place of the answer to the login", Login, Silence, timed_out),
        row("login-garbage", "Garbage in place of the answer to the login", Login, Garbage, "protocol error"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_before_the_login_is_never_a_wrong_password() {
    let rows = rows();
    let names: Vec<_> = rows.iter().map(|row| row.name).collect();
    let mut plan = Plan::new(&names);
    plan.starttls = rows.iter().filter(|row| row.by_starttls).map(|row| row.name).collect();
    let stage = plan.start().await;
    let bystanders = Bystanders::of(&stage).await;
    let seen = join_all(rows.iter().map(|row| befall(&stage, row))).await;
    bystanders.end(20).await;
    let head = ["Fault", "IMAP", "POP3", "submission", "at the latest after", "the audit says"];
    page::holds("before-login", &head, &seen);
}

/// The line of the page.
async fn befall(stage: &Stage, row: &Row) -> Vec<String> {
    let Row { name, words, fault, view, said, .. } = row;
    stage.front(name).strike(Some(*fault)).await;
    let before = Protocol::ALL.map(|protocol| stage.failures(name, protocol));
    let told = join_all(Protocol::ALL.map(|protocol| stage.log_in(name, protocol))).await;
    let bound = if *view == View::LetIn { Bound::Login } else { fault.bound() };
    let mut reasons = Vec::new();
    let mut cells = vec![(*words).to_owned()];
    for ((protocol, (mut client, told, took)), before) in Protocol::ALL.into_iter().zip(told).zip(before) {
        assert_eq!(told, *view, "{name} by {protocol}");
        assert!(took < bound.longest(), "{name} by {protocol} took {took:?}");
        cells.push(told.words(protocol));
        if *view != View::LetIn {
            let reason = stage.reason(name, protocol, before).await;
            assert!(reason.detail.contains(said), "{name} by {protocol}: {reason:?}");
            reasons.push(reason);
            // It may go on where it is: it is asked for nothing but patience.
            assert!(client.is_answered().await, "{name} by {protocol}");
        }
    }
    stage.front(name).strike(None).await;
    for protocol in Protocol::ALL {
        stage.enter(name, protocol).await.finish().await;
    }
    cells.push(bound.word().to_owned());
    cells.push(Reason::cell(&reasons));
    cells
}

//! The pace of a mailbox: a provider that takes 3 connections and 30 messages a minute never has to say so, however many
//! devices send at the same moment.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use locum::config::Config;
use locum::model::{Endpoint, Protocol};
use locum::sandbox::SendLimits;
use tokio::time::Instant;

use crate::support::{Doors, Lab, Plan, Wire};

const DEVICES: usize = 12;
const MESSAGES: usize = 6;

/// What Exchange allows, in a minute that is over sooner.
fn limits(minute: Duration) -> SendLimits {
    SendLimits { connections: 3, messages: 30, window: minute }
}

fn each_submission(config: &mut Config, change: impl Fn(&mut Endpoint)) {
    for profile in config.upstreams.values_mut() {
        change(Arc::make_mut(profile).endpoints.get_mut(&Protocol::Submission).unwrap());
    }
}

/// Exchange enforces its limits, and the scanner's mailbox is where everybody sends from.
async fn lab(minute: Duration, tune: impl FnOnce(&mut Config) + 'static) -> Lab {
    let plan = Plan::new().tune(move |config| {
        config.upstream.pace_window = minute;
        // As many as there may be: one too many would be seen.
        each_submission(config, |endpoint| endpoint.sessions_max = 3);
        tune(config);
    });
    let lab = plan.start().await;
    assert!(lab.exchange.sandbox.limit_sends(&lab.scanner.address, limits(minute)));
    lab
}

/// One message, and the answer to its end or to what was refused before.
async fn send(wire: &mut Wire, subject: &str) -> String {
    for line in ["MAIL FROM:<scans@contoso.test>", "RCPT TO:<scans@contoso.test>"] {
        let answer = wire.ask(line).await;
        if !answer.starts_with("250 ") {
            return answer;
        }
    }
    assert!(wire.ask("DATA").await.starts_with("354 "));
    wire.ask(&format!("Subject: {subject}\r\n\r\nscan\r\n.")).await
}

/// What is left of a message behind MAIL, and the answer to its end.
async fn send_rest(wire: &mut Wire) -> String {
    assert!(wire.ask("RCPT TO:<scans@contoso.test>").await.starts_with("250 "));
    assert!(wire.ask("DATA").await.starts_with("354 "));
    wire.ask("Subject: late\r\n\r\nscan\r\n.").await
}

async fn quit(mut wire: Wire) {
    wire.write("QUIT\r\n").await;
    wire.rest().await;
}

/// A device sends all that it has: in one session, or in one for each message. Every answer to a message.
async fn device(doors: Doors, lab: &Lab, number: usize) -> Vec<String> {
    let one_session = number.is_multiple_of(2);
    let (mut answers, mut open) = (Vec::new(), None);
    for message in 0..MESSAGES {
        let mut wire = match open.take() {
            Some(wire) => wire,
            None => doors.log_in(Protocol::Submission, &lab.scanner).await,
        };
        answers.push(send(&mut wire, &format!("device {number} message {message}")).await);
        if one_session && message + 1 < MESSAGES {
            open = Some(wire);
        } else {
            quit(wire).await;
        }
    }
    answers
}

async fn all_devices(lab: &Lab) -> Vec<String> {
    let devices = (0..DEVICES).map(|number| device((**lab).clone(), lab, number));
    join_all(devices).await.concat()
}

#[tokio::test]
async fn twelve_devices_of_one_mailbox_see_no_error_and_keep_their_order() {
    let minute = Duration::from_secs(1);
    let lab = lab(minute, |_| {}).await;
    let began = Instant::now();
    let answers = all_devices(&lab).await;
    let took = began.elapsed();

    assert_eq!(answers.len(), DEVICES * MESSAGES);
    assert!(answers.iter().all(|answer| answer.starts_with("250 2.0.0 OK ")), "{answers:?}");
    assert_eq!(lab.exchange.sandbox.sends_put_off(&lab.scanner.address), 0, "the provider has nothing to say");
    assert!(took >= 2 * minute, "72 messages at 30 a minute: {took:?}");
    let sent = lab.exchange.sandbox.sent();
    for number in 0..DEVICES {
        let start = format!("Subject: device {number} message ");
        let texts = sent.iter().map(|sent| String::from_utf8_lossy(&sent.message).into_owned());
        let order: Vec<_> = texts.filter_map(|text| text.strip_prefix(&start)?.chars().next()).collect();
        assert_eq!(order.iter().collect::<String>(), "012345", "device {number}");
    }
    let counted = || lab.audit().iter().filter_map(|event| event["messages"].as_u64()).sum::<u64>();
    crate::keeper::until("the audit has counted all", async || counted() == 72).await;
}

#[tokio::test]
async fn without_a_pace_the_same_provider_puts_messages_off() {
    let lab = lab(Duration::from_secs(600), |config| {
        each_submission(config, |endpoint| (endpoint.messages_per_minute, endpoint.sessions_max) = (None, DEVICES));
    })
    .await;
    let answers = all_devices(&lab).await;
    let put_off = answers.iter().filter(|answer| answer.starts_with("432 4.3.2 ")).count();
    assert!(put_off >= DEVICES * MESSAGES - 30, "{answers:?}");
    assert_eq!(lab.exchange.sandbox.sends_put_off(&lab.scanner.address), put_off);
}

#[tokio::test]
async fn a_message_that_waits_too_long_is_put_off_and_the_session_goes_on() {
    let lab = lab(Duration::from_secs(600), |config| {
        config.upstream.pace_timeout = Duration::from_millis(100);
        each_submission(config, |endpoint| endpoint.messages_per_minute = Some(1));
    })
    .await;
    let mut wire = lab.log_in(Protocol::Submission, &lab.scanner).await;
    // What is given up does not count.
    assert_eq!(wire.ask("MAIL FROM:<scans@contoso.test>").await, "250 2.1.0 Sender OK");
    assert_eq!(wire.ask("RSET").await, "250 2.0.0 Resetting");
    assert!(send(&mut wire, "one").await.starts_with("250 2.0.0 OK "));
    assert_eq!(send(&mut wire, "two").await, "451 4.3.2 Too many messages at the moment, try again later");
    assert_eq!(wire.ask("NOOP").await, "250 2.0.0 OK");
    assert_eq!(lab.exchange.sandbox.sent().len(), 1);
}

#[tokio::test]
async fn who_is_put_off_all_the_same_rests() {
    let lab = lab(Duration::from_secs(600), |config| config.upstream.pace_timeout = Duration::from_millis(100)).await;
    // Somebody else sends from the mailbox.
    let all = SendLimits { connections: 0, ..limits(Duration::from_secs(600)) };
    lab.exchange.sandbox.limit_sends(&lab.scanner.address, all);
    let mut wire = lab.log_in(Protocol::Submission, &lab.scanner).await;
    let answer = send(&mut wire, "one").await;
    assert!(answer.starts_with("432 4.3.2 Concurrent connections limit exceeded."), "{answer}");
    assert!(send(&mut wire, "two").await.starts_with("451 4.3.2 "), "not asked again at once");
    assert_eq!(lab.exchange.sandbox.sends_put_off(&lab.scanner.address), 1);
}

#[tokio::test]
async fn who_hangs_up_while_it_waits_keeps_no_place_at_the_gate() {
    let lab = lab(Duration::from_secs(600), |config| {
        each_submission(config, |endpoint| endpoint.messages_per_minute = Some(1));
    })
    .await;
    let mut first = lab.log_in(Protocol::Submission, &lab.scanner).await;
    assert_eq!(first.ask("MAIL FROM:<scans@contoso.test>").await, "250 2.1.0 Sender OK");
    for _ in 0..4 {
        // There are places for two of these, and the turn of none of them comes.
        let mut gone = lab.log_in(Protocol::Submission, &lab.scanner).await;
        gone.write("MAIL FROM:<scans@contoso.test>\r\nRCPT TO:<scans@contoso.test>\r\n").await;
        assert!(gone.is_silent_for(Duration::from_millis(20)).await, "it waits");
    }
    assert!(send_rest(&mut first).await.starts_with("250 2.0.0 OK "), "the first is none the worse");
}

#[tokio::test]
async fn who_hangs_up_while_it_waits_leaves_its_turn_to_the_next() {
    let lab = lab(Duration::from_secs(600), |config| {
        each_submission(config, |endpoint| endpoint.messages_per_minute = Some(1));
    })
    .await;
    let mut first = lab.log_in(Protocol::Submission, &lab.scanner).await;
    assert_eq!(first.ask("MAIL FROM:<scans@contoso.test>").await, "250 2.1.0 Sender OK");
    let mut second = lab.log_in(Protocol::Submission, &lab.scanner).await;
    second.write("MAIL FROM:<scans@contoso.test>\r\n").await;
    assert!(second.is_silent_for(Duration::from_millis(100)).await, "it waits");
    drop(second);
    drop(first);
    let mut third = lab.log_in(Protocol::Submission, &lab.scanner).await;
    assert!(send(&mut third, "three").await.starts_with("250 2.0.0 OK "));
}

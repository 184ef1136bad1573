//! The end of the process: a goodbye to who has not logged in, time for who has, and no door open to anybody else.

use std::time::Duration;

use locum::model::Protocol;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::{Door, Lab, Plan};

#[tokio::test]
async fn clients_that_have_not_logged_in_are_sent_away() {
    let mut lab = Lab::start().await;
    let imap = lab.open(Protocol::Imap).await;
    let submission = lab.open(Protocol::Submission).await;
    let pop3 = lab.open(Protocol::Pop3).await;
    let mut half_way = lab.open(Protocol::Imap).await;
    assert_eq!(half_way.ask("a AUTHENTICATE LOGIN").await, "+ VXNlcm5hbWU6");
    lab.drain();
    const BYE: &str = "* BYE [UNAVAILABLE] Server is being stopped, try again later\r\n";
    assert_eq!(imap.rest().await, BYE);
    assert_eq!(half_way.rest().await, BYE);
    assert_eq!(submission.rest().await, "421 4.3.2 Shutting down, try again shortly\r\n");
    assert_eq!(pop3.rest().await, "");
    lab.stopped().await;
    assert_eq!(lab.gmail.logins(), []);
}

#[tokio::test]
async fn a_session_goes_on_until_it_ends_and_nobody_new_gets_in() {
    let mut lab = Lab::start().await;
    let mut session = lab.log_in(Protocol::Imap, &lab.alice).await;
    let idle = lab.open(Protocol::Imap).await;
    lab.drain();
    idle.rest().await;
    while let Ok(mut late) = TcpStream::connect(lab.address(&Door::Plain.listener(Protocol::Imap))).await {
        // It came just before the door was shut: it may be greeted, and is then sent away.
        let mut said = String::new();
        let _ = late.read_to_string(&mut said).await;
        assert!(said.is_empty() || said.contains("* BYE "), "{said}");
    }

    assert_eq!(session.ask("b NOOP").await, "b OK Success");
    session.write("c LOGOUT\r\n").await;
    assert_eq!(session.until("c ").await, ["* BYE LOGOUT Requested", "c OK Success"]);
    assert_eq!(session.rest().await, "");
    lab.stopped().await;
    let end = lab.audit().pop().unwrap();
    assert_eq!((&end["event"], &end["reason"]), (&"end".into(), &"the upstream closed".into()));
}

#[tokio::test]
async fn a_session_that_does_not_end_is_closed_when_time_is_up() {
    let plan = Plan::new().tune(|config| config.session.drain_timeout = Duration::from_millis(100));
    let mut lab = plan.start().await;
    let mut sessions = Vec::new();
    for (protocol, begun) in [
        (Protocol::Imap, "x APPEND INBOX {9}\r\n12345"),
        (Protocol::Submission, "MAIL FROM:<alice.liddell@gmail.test>\r\n"),
        (Protocol::Pop3, "ST"),
    ] {
        let mut session = lab.log_in(protocol, &lab.alice).await;
        session.write(begun).await;
        sessions.push(session);
    }
    lab.drain();
    for session in sessions {
        let rest = session.rest().await;
        assert!(!rest.contains("BYE") && !rest.contains("421"), "{rest}");
    }
    lab.stopped().await;
    let audit = lab.audit();
    let ends: Vec<_> = audit.iter().filter(|event| event["event"] == "end").collect();
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|end| end["reason"] == "the process stopped"), "{ends:?}");
}

#[tokio::test]
async fn idle_sessions_leave_with_a_word() {
    let plan = Plan::new().tune(|config| config.session.drain_timeout = Duration::from_secs(4));
    let mut lab = plan.start().await;
    let mut idle = lab.log_in(Protocol::Imap, &lab.alice).await;
    assert!(idle.ask("x IDLE").await.starts_with('+'));
    let (submission, pop3) =
        (lab.log_in(Protocol::Submission, &lab.alice).await, lab.log_in(Protocol::Pop3, &lab.alice).await);
    lab.drain();
    assert_eq!(idle.rest().await, "* BYE [UNAVAILABLE] Server is being stopped, try again later\r\n");
    assert_eq!(submission.rest().await, "421 4.3.2 Shutting down, try again shortly\r\n");
    assert_eq!(pop3.rest().await, "");
    lab.stopped().await;
    let audit = lab.audit();
    let ends: Vec<_> = audit.iter().filter(|event| event["event"] == "end").collect();
    let reason = "the process is being stopped, and nothing was under way";
    assert!(ends.len() == 3 && ends.iter().all(|end| end["reason"] == reason), "{ends:?}");
}

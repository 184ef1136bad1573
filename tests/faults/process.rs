//! Locum itself: killed in the middle of logins and started again, with half a line in its audit as a power cut leaves it, and
//! stopped for a while. Nothing that was told as done is lost, and nothing has to be mended by hand.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use locum::model::Protocol;
use rustix::process::Signal;

use crate::page::{self, code};
use crate::stage::{Client, Plan, Stage, View};

const ROW: &str = "served";
/// Logins that are under way when it is killed.
const CROWD: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_as_done_outlives_the_process() {
    let mut stage = Plan::new(&[ROW]).start().await;
    let seen = vec![stops(&stage).await, killed(&mut stage).await, torn(&mut stage).await];
    let head = ["Fault", "sessions that are open", "logins under way", "new logins", "afterwards"];
    page::holds("process", &head, &seen);
}

async fn stops(stage: &Stage) -> Vec<String> {
    let mut open = enter_all(stage).await;
    stage.node.signal(Signal::STOP);
    for client in &mut open {
        client.ask_for_nothing().await;
        assert!(client.waits(Duration::from_millis(200)).await, "who stands still says nothing");
    }
    let coming = join_all(Protocol::ALL.map(|protocol| stage.log_in(ROW, protocol)));
    let ((), told) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_secs(1)).await; // that is the fault
            stage.node.signal(Signal::CONT);
        },
        coming
    );
    for (_, view, _) in told {
        assert_eq!(view, View::LetIn);
    }
    for client in &mut open {
        assert!(client.hears_ok().await, "a session that was open ended");
    }
    let verified = verified(stage);
    vec![
        "It stands still for a second (SIGSTOP)".to_owned(),
        "wait, go on".to_owned(),
        "wait, let in".to_owned(),
        "wait, let in".to_owned(),
        verified,
    ]
}

async fn killed(stage: &mut Stage) -> Vec<String> {
    let mut open = enter_all(stage).await;
    let crowd = (0..CROWD).map(|number| {
        let (node, actor) = (stage.node.handle(), stage.actor(ROW).clone());
        tokio::spawn(async move {
            let mut client = Client::connect(&node, Protocol::ALL[number % 3]).await;
            client.log_in(&actor).await
        })
    });
    let crowd: Vec<_> = crowd.collect();
    let before = stage.node.audit().len();
    // In the middle of it: the first of the crowd have been decided about.
    crate::openbao::eventually("the crowd at the door", async || (stage.node.audit().len() > before).then_some(()))
        .await;
    stage.node.kill();
    for told in join_all(crowd).await {
        let view = told.unwrap();
        assert!([View::LetIn, View::Closed, View::Refused].contains(&view), "{view:?}");
    }
    for client in &mut open {
        assert!(client.is_ended().await);
    }
    for protocol in Protocol::ALL {
        assert_eq!(stage.log_in(ROW, protocol).await.1, View::Refused);
    }
    vec![
        "It is killed (SIGKILL), and started again".to_owned(),
        "closed".to_owned(),
        "closed".to_owned(),
        View::Refused.words(Protocol::Imap),
        again(stage, false).await,
    ]
}

async fn torn(stage: &mut Stage) -> Vec<String> {
    stage.enter(ROW, Protocol::Imap).await.finish().await;
    stage.node.kill();
    let mut audit = OpenOptions::new().append(true).open(stage.node.audit_file()).unwrap();
    audit.write_all(b"{\"seq\":999,\"prev\":\"0000").unwrap();
    vec![
        "The same, with half a line at the end of the audit".to_owned(),
        "closed".to_owned(),
        "closed".to_owned(),
        View::Refused.words(Protocol::Imap),
        again(stage, true).await,
    ]
}

/// Starts it again: all are let in, and what it keeps is as it must be.
async fn again(stage: &mut Stage, is_torn: bool) -> String {
    stage.node.run(Command::new(env!("CARGO_BIN_EXE_locum"))).await;
    for client in &mut enter_all(stage).await {
        assert!(client.is_answered().await);
    }
    // The store is whole: an operator writes, and it is read.
    let actor = stage.directory.client(ROW).await.unwrap().unwrap();
    stage.directory.put_client(&actor.record, Some(actor.version)).await.unwrap();
    let checked = stage.node.operator(&["check"], b"");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    stage.enter(ROW, Protocol::Imap).await.finish().await;
    let verified = verified(stage);
    if !is_torn {
        return verified;
    }
    assert!(stage.node.audit().iter().any(|event| event["event"] == "mended"), "half a line is accounted for");
    format!("{verified}, with {} for the half", code("\"event\":\"mended\""))
}

/// What the verification of the audit ends with; it must find nothing wrong.
fn verified(stage: &Stage) -> String {
    let output = stage.node.verify_audit();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    format!("let in; {} finds the audit whole", code("locum audit verify"))
}

async fn enter_all(stage: &Stage) -> Vec<Client> {
    join_all(Protocol::ALL.map(|protocol| stage.enter(ROW, protocol))).await
}

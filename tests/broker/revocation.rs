//! Sessions that are open when what they were let in by is taken away: they end within 2 s on all nodes, and no others do.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use locum::broker::client_secret;
use locum::model::{AddressPattern, Binding, Client, Policy, Protocol};

use crate::support::{Actor, Doors, Lab, Wire};

/// What an operator may wait for a revocation to be seen everywhere.
const AT_ONCE: Duration = Duration::from_secs(2);

/// One more secret of the same client.
async fn another_secret(lab: &Lab, actor: &Actor) -> Actor {
    let (record, secret) = client_secret::issue("another", None, Timestamp::now()).unwrap();
    lab.alter(actor, |client| client.secrets.push(record)).await;
    Actor { secret: secret.expose_text().unwrap().to_owned(), ..actor.clone() }
}

/// A session by each protocol.
async fn sessions(node: &Doors, actor: &Actor) -> Vec<(Protocol, Wire)> {
    join_all(Protocol::ALL.map(async |protocol| (protocol, node.log_in(protocol, actor).await))).await
}

/// It still carries bytes to the provider and back.
async fn goes_on(protocol: Protocol, wire: &mut Wire) {
    let (answer, expected) = match protocol {
        Protocol::Imap => (wire.ask("n NOOP").await, "n OK"),
        Protocol::Pop3 => (wire.ask("NOOP").await, "+OK"),
        Protocol::Submission => (wire.ask("NOOP").await, "250"),
    };
    assert!(answer.starts_with(expected), "{protocol}: {answer}");
}

/// The reasons that the audit has for the ends of a login's sessions.
fn ends(lab: &Lab, login: &str) -> Vec<String> {
    let of_login = lab.audit().into_iter().filter(|event| event["event"] == "end" && event["login"] == login);
    of_login.map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
}

/// The audit has the end of a session a moment after its client.
async fn ended_by(lab: &Lab, login: &str, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let ends = ends(lab, login);
        if ends.len() >= count {
            return ends;
        }
        assert!(Instant::now() < deadline, "{ends:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_secret_ends_its_sessions_on_all_nodes_and_no_others() {
    let lab = Lab::start().await;
    let other = lab.node(|_| {}).await;
    let alice = lab.alice.clone();
    let kept = another_secret(&lab, &alice).await;
    let (mut revoked, mut left) = (Vec::new(), Vec::new());
    for node in [&*lab, &other] {
        revoked.extend(sessions(node, &alice).await);
        left.extend(sessions(node, &kept).await);
    }

    let began = Instant::now();
    lab.alter(&alice, |client| client.secrets.retain(|secret| secret.label == "another")).await;
    join_all(revoked.into_iter().map(|(_, wire)| wire.rest())).await;
    let took = began.elapsed();
    assert!(took < AT_ONCE, "{took:?}");

    for (protocol, wire) in &mut left {
        goes_on(*protocol, wire).await;
    }
    assert_eq!(ended_by(&lab, &alice.login, 3).await, ["the client secret was revoked"; 3]);
    let (_wire, answer) = other.present(Protocol::Imap, &alice.login, &alice.secret).await;
    assert!(answer.starts_with("a NO [AUTHENTICATIONFAILED]"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_is_taken_away_ends_what_lives_by_it() {
    type Change = fn(&mut Client);
    let lab = Lab::start().await;
    let alice = lab.alice.clone();
    let mut scanner = lab.log_in(Protocol::Submission, &lab.scanner).await;
    let changes: [(Change, &str); 6] = [
        (
            |client| client.bindings = vec![Binding::Account("other@mail.test".into())],
            "the client is not bound to the account any more",
        ),
        (
            |client| client.policy.protocols = vec![Protocol::Pop3],
            "the client's policy does not include the protocol any more",
        ),
        (
            |client| client.policy.listeners = vec!["other".into()],
            "the client's policy does not include the listener any more",
        ),
        (
            |client| client.policy.networks = vec!["192.0.2.0/24".parse().unwrap()],
            "the client's policy does not include the network of its address any more",
        ),
        (
            |client| client.policy.senders = vec!["*@mail.test".parse::<AddressPattern>().unwrap()],
            "the client's policy names other senders now",
        ),
        (|client| client.policy.expires = Some(Timestamp::now()), "the client's time is over"),
    ];
    for (number, (change, reason)) in changes.into_iter().enumerate() {
        lab.alter(&alice, |client| {
            client.policy = Policy::default();
            client.bindings = vec![Binding::Account(alice.address.clone())];
        })
        .await;
        let wire = lab.log_in(Protocol::Imap, &alice).await;
        let began = Instant::now();
        lab.alter(&alice, change).await;
        wire.rest().await;
        assert!(began.elapsed() < AT_ONCE, "{reason}: {:?}", began.elapsed());
        assert_eq!(ended_by(&lab, &alice.login, number + 1).await.last().unwrap(), reason);
    }
    let found = lab.directory.client(&lab.scanner.login).await.unwrap().unwrap();
    goes_on(Protocol::Submission, &mut scanner).await;
    lab.directory.remove_client(&lab.scanner.login, found.version).await.unwrap();
    scanner.rest().await;
    assert_eq!(ended_by(&lab, &lab.scanner.login, 1).await, ["the client was removed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_take_a_right_away_ends_nothing() {
    let lab = Lab::start().await;
    let alice = lab.alice.clone();
    let mut wires = sessions(&lab, &alice).await;
    lab.alter(&alice, |client| {
        client.policy.sessions_max = Some(1);
        client.policy.hours = vec!["mon 00:00-00:01 UTC".parse().unwrap()];
        client.policy.class = Some("migration".into());
        client.bindings.push(Binding::Account("other@mail.test".into()));
    })
    .await;
    // Seen by now, for this one is, which was changed after it.
    let scanner = lab.log_in(Protocol::Submission, &lab.scanner).await;
    lab.alter(&lab.scanner, |client| client.secrets.clear()).await;
    scanner.rest().await;
    for (protocol, wire) in &mut wires {
        goes_on(*protocol, wire).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_secret_and_an_end_that_moves_is_kept_to() {
    let lab = Lab::start().await;
    let (alice, scanner) = (lab.alice.clone(), lab.scanner.clone());
    let end = Timestamp::now() + SignedDuration::from_millis(1500);
    lab.alter(&alice, |client| client.secrets[0].expires = Some(end)).await;
    // Sooner than the other's, and given more time before.
    lab.alter(&scanner, |client| client.policy.expires = Some(end)).await;
    let wire = lab.log_in(Protocol::Imap, &alice).await;
    let mut longer = lab.log_in(Protocol::Submission, &scanner).await;
    let later = end + SignedDuration::from_hours(1);
    lab.alter(&scanner, |client| client.policy.expires = Some(later)).await;
    wire.rest().await;
    let late = Timestamp::now().duration_since(end);
    assert!(!late.is_negative() && late < SignedDuration::from_secs(1), "{late:?}");
    assert_eq!(ended_by(&lab, &alice.login, 1).await, ["the client secret's time is over"]);
    goes_on(Protocol::Submission, &mut longer).await;
}

//! What a node does by itself, on the whole broker: finding a dead password before a client does, going back to the one
//! before, retiring it, and telling of it once. Times are shortened; nothing is waited for but what shall come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use locum::broker::client_secret;
use locum::config::Config;
use locum::credential;
use locum::model::{AppPasswordFormat, CredentialKind, Previous, Protocol, Secret, Slots, StoredCredential};
use locum::net::Stream;
use locum::sandbox::Outcome;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::answers::accepted;
use crate::support::{Actor, Doors, Identity, Lab, Plan};

pub(crate) const OTHER: &str = "poiuytrewqasdfgh";
pub(crate) const THIRD: &str = "mnbvcxzlkjhgfdsa";

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// All that a keeper waits for comes within moments.
pub(crate) fn hasty(config: &mut Config) {
    let moment = Duration::from_millis(50);
    config.rotation.second_look = moment;
    config.rotation.keeper.look_every = moment;
    config.rotation.keeper.round_every = moment;
    config.rotation.keeper.verify_every = None;
}

/// The same, and each account is logged in to again and again.
pub(crate) fn verifying(config: &mut Config) {
    hasty(config);
    config.rotation.keeper.verify_every = Some(Duration::from_millis(300));
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(10)).await; // between two looks
        }
    };
    assert!(tokio::time::timeout(DEADLINE, waiting).await.is_ok(), "not within {DEADLINE:?}: {what}");
}

fn stored(app_password: &str) -> StoredCredential {
    let (id, format) = (client_secret::random_id().unwrap(), AppPasswordFormat::Verbatim);
    credential::new_app_password(&Secret::new(app_password), format, id, "lab", Timestamp::now()).unwrap()
}

pub(crate) async fn slots(lab: &Lab, actor: &Actor) -> Slots {
    let found = lab.directory.account(&actor.address).await.unwrap().unwrap();
    found.record.credentials[&CredentialKind::AppPassword].clone()
}

pub(crate) async fn current(lab: &Lab, actor: &Actor) -> String {
    slots(lab, actor).await.current.unwrap().id
}

/// Another one is current from now on, and what was is the one before, for that long. The ids of both.
pub(crate) async fn promote(lab: &Lab, actor: &Actor, app_password: &str, grace: SignedDuration) -> (String, String) {
    let (new, mut ids) = (stored(app_password), (String::new(), String::new()));
    lab.alter_account(actor, |account| {
        let slots = account.credentials.get_mut(&CredentialKind::AppPassword).unwrap();
        let old = slots.current.replace(new).unwrap();
        ids = (slots.current.as_ref().unwrap().id.clone(), old.id.clone());
        let since = Timestamp::now();
        slots.previous =
            Some(Previous { credential: old, op: "test".into(), since, retire_at: since + grace, usable: true });
    })
    .await;
    ids
}

/// One login, which is let in.
pub(crate) async fn enter(doors: &Doors, actor: &Actor) {
    let (_wire, answer) = doors.present(Protocol::Imap, &actor.login, &actor.secret).await;
    assert_eq!(answer, accepted(Protocol::Imap));
}

pub(crate) fn events(lab: &Lab, event: &str) -> Vec<Value> {
    lab.audit().into_iter().filter(|it| it["event"] == event).collect()
}

pub(crate) fn alerts(lab: &Lab, kind: &str) -> usize {
    events(lab, "alert").into_iter().filter(|it| it["kind"] == kind).count()
}

/// A service that takes alerts, and keeps them.
struct Service {
    url: String,
    identity: Identity,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    _stop: DropGuard,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/alerts", listener.local_addr().unwrap().port());
        let identity = Identity::of("localhost");
        let (taken, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let (shelf, tls) = (Arc::clone(&taken), Arc::clone(&identity.server));
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((socket, _)) = listener.accept().await {
                if let Some(request) = take(Stream::Plain(socket), Arc::clone(&tls)).await {
                    shelf.lock().unwrap().push(request);
                }
            }
        }));
        Self { url, identity, taken, _stop: stop.drop_guard() }
    }

    fn plan(&self) -> Plan {
        Plan::new().trust(&self.identity).toml(&format!("[rotation.webhook]\nurl = \"{}\"\n", self.url))
    }

    fn of(&self, subject: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(_, body)| body.clone()).filter(|body| body["subject"] == subject).collect()
    }
}

/// One request: its head, and the JSON behind it.
async fn take(stream: Stream, tls: Arc<ServerConfig>) -> Option<(String, Value)> {
    let mut stream = stream.accept_tls(tls).await.ok()?;
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.ok()?;
            stream.shutdown().await.ok()?;
            return Some((head.to_owned(), serde_json::from_str(body).ok()?));
        }
    }
}

#[tokio::test]
async fn a_dead_password_is_found_before_any_client_and_told_once() {
    let service = Service::start().await;
    let lab = service.plan().tune(verifying).start().await;
    let alice = &lab.alice;
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(OTHER));
    until("the webhook is told", async || !service.of(&alice.address).is_empty()).await;
    let told = service.of(&alice.address);
    assert_eq!((&told[0]["kind"], &told[0]["credential"]), (&"refused".into(), &current(&lab, alice).await.into()));
    assert!(told[0]["remedy"].as_str().unwrap().contains("locum rotate"), "{told:?}");

    // The scanner's password works, and is seen to work again and again.
    let seen = lab.exchange.logins().len();
    until("more rounds", async || lab.exchange.logins().len() >= seen + 3).await;
    assert!(lab.exchange.logins().iter().all(|login| login.outcome == Outcome::Accepted));
    assert_eq!(lab.gmail.logins().len(), 2, "the breaker is asked, and not the provider");
    assert_eq!((service.of(&alice.address).len(), alerts(&lab, "refused")), (1, 1));
    assert_eq!(service.of(&lab.scanner.address), Vec::<Value>::new());
}

#[tokio::test]
async fn accounts_that_clients_use_are_left_alone() {
    let lab = Plan::new().tune(verifying).tune(|config| {
        config.rotation.keeper.verify_every = Some(Duration::from_secs(3));
    });
    let lab = lab.start().await;
    let entered = AtomicUsize::new(0);
    until("the other account is looked at", async || {
        enter(&lab, &lab.alice).await;
        entered.fetch_add(1, Ordering::Relaxed);
        !lab.exchange.logins().is_empty()
    })
    .await;
    assert_eq!(lab.gmail.logins().len(), entered.into_inner());
}

#[tokio::test]
async fn the_one_before_is_current_again_after_two_refusals_and_not_after_one() {
    let lab = Plan::new().tune(hasty).start().await;
    let alice = &lab.alice;
    let (new, old) = promote(&lab, alice, OTHER, SignedDuration::from_hours(1)).await;
    enter(&lab, alice).await;
    until("it is told", async || alerts(&lab, "fell-back") == 1).await;
    assert_eq!(current(&lab, alice).await, new);

    enter(&lab, alice).await;
    until("it is rolled back", async || current(&lab, alice).await == old).await;
    let places = slots(&lab, alice).await;
    assert_eq!(places.previous.unwrap().credential.id, new, "nothing is forgotten");
    until("it is told", async || alerts(&lab, "rolled-back") == 1).await;
    let step = events(&lab, "rotation").pop().unwrap();
    assert_eq!((&step["step"], &step["actor"]), (&"rolled back".into(), &"locum".into()));
    assert_eq!(alerts(&lab, "fell-back"), 1);
    enter(&lab, alice).await;
    assert_eq!(lab.gmail.logins().last().unwrap().outcome, Outcome::Accepted);
}

#[tokio::test]
async fn a_password_that_is_taken_back_is_found_and_rolled_back_before_any_client() {
    let lab = Plan::new().tune(verifying).start().await;
    let alice = &lab.alice;
    let (new, old) = promote(&lab, alice, OTHER, SignedDuration::from_hours(1)).await;
    until("it is rolled back", async || current(&lab, alice).await == old).await;
    until("it is told", async || alerts(&lab, "rolled-back") == 1).await;
    assert_eq!(alerts(&lab, "refused"), 0, "no client is locked out");
    assert!(!events(&lab, "rotation").is_empty() && new != old);
}

#[tokio::test]
async fn a_provider_that_refuses_both_rolls_nothing_back() {
    let lab = Plan::new().tune(hasty).start().await;
    let alice = &lab.alice;
    let (new, _) = promote(&lab, alice, OTHER, SignedDuration::from_hours(1)).await;
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(THIRD));
    for _ in 0..3 {
        lab.present(Protocol::Imap, &alice.login, &alice.secret).await;
    }
    until("it is told", async || alerts(&lab, "refused") == 1).await;
    assert_eq!((current(&lab, alice).await, events(&lab, "rotation").len()), (new, 0));
}

#[tokio::test]
async fn of_two_nodes_one_rolls_back() {
    let lab = Plan::new().tune(hasty).start().await;
    let alice = &lab.alice;
    let audit = lab.path("audit.jsonl");
    let other = lab.node(|config| config.audit.path = Some(audit)).await;
    let (new, old) = promote(&lab, alice, OTHER, SignedDuration::from_hours(1)).await;
    for _ in 0..2 {
        let both = [&*lab, &*other].map(|node| node.present(Protocol::Imap, &alice.login, &alice.secret));
        for (_wire, answer) in futures::future::join_all(both).await {
            assert_eq!(answer, accepted(Protocol::Imap));
        }
    }
    until("it is rolled back", async || current(&lab, alice).await == old).await;
    enter(&lab, alice).await;
    let places = slots(&lab, alice).await;
    let steps: Vec<_> = places.history.iter().map(|entry| entry.step.as_str()).collect();
    assert_eq!((steps, places.previous.unwrap().credential.id), (vec!["rolled back"], new));
}

#[tokio::test]
async fn the_one_before_is_retired_when_its_grace_is_over_and_nobody_uses_it() {
    let lab = Plan::new().tune(verifying).start().await;
    let alice = &lab.alice;
    let wire = lab.log_in(Protocol::Imap, alice).await;
    let (_, old) = promote(&lab, alice, OTHER, SignedDuration::from_secs(-1)).await;
    lab.gmail.sandbox.set_password(&alice.address, Secret::new(OTHER));
    let seen = lab.exchange.logins().len();
    until("some rounds", async || lab.exchange.logins().len() >= seen + 2).await;
    assert!(slots(&lab, alice).await.previous.is_some(), "a session is open that was logged in with it");

    drop(wire);
    until("it is retired", async || slots(&lab, alice).await.previous.is_none()).await;
    assert_eq!(slots(&lab, alice).await.leftovers[0].id, old);
}

#[tokio::test]
async fn what_is_due_is_counted_where_metrics_are_told_and_said_once() {
    let plan = Plan::new().toml("[admin]\nbind = \"127.0.0.1:0\"\n").tune(hasty);
    let lab = plan.toml("[rotation.max-age]\napp-password = \"30d\"\n").start().await;
    lab.alter_account(&lab.alice, |account| {
        let slots = account.credentials.get_mut(&CredentialKind::AppPassword).unwrap();
        slots.current.as_mut().unwrap().created = Timestamp::now() - SignedDuration::from_hours(31 * 24);
    })
    .await;
    until("it is counted", async || metrics(&lab).await.contains("locum_rotation_due{why=\"too-old\"} 1\n")).await;
    let metrics = metrics(&lab).await;
    for line in ["locum_rotation_due{why=\"ended\"} 0\n", "locum_keeper_round_timestamp_seconds "] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    let told = events(&lab, "alert");
    assert_eq!(
        (told.len(), &told[0]["kind"], &told[0]["subject"]),
        (1, &"due".into(), &lab.alice.address.clone().into())
    );
}

async fn metrics(lab: &Lab) -> String {
    let mut stream = tokio::net::TcpStream::connect(lab.address("admin")).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

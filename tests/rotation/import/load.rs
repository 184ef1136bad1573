//! A thousand accounts are rotated while two hundred clients log in and out all the time. No client notices, and each
//! login at the provider is with the password that the story says.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use locum::model::{Protocol, Secret};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Turned, accounts, import, is_current, lab, results, slots, times, wait_for, write_csv};
use crate::support::{Actor, Door, Doors, Lab, present};

const ACCOUNTS: usize = 1_000;
const CLIENTS: usize = 200;

/// How long a client stays away between two logins, as those do that poll: two hundred that do not would have the machine
/// to themselves.
const AWAY: Duration = Duration::from_secs(2);

const MOMENT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_accounts_are_rotated_and_no_client_notices() {
    let lab = lab().await;
    let turned = accounts(&lab, ACCOUNTS, |_| true).await;
    rotate_under_load(&lab, &turned, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_new_passwords_are_given_up_alone() {
    let lab = lab().await;
    let turned = accounts(&lab, ACCOUNTS, |number| number % 20 != 7).await;
    rotate_under_load(&lab, &turned, 79).await;
}

async fn rotate_under_load(lab: &Lab, turned: &[Turned], code: i32) {
    write_csv(lab, turned);
    let clients = Clients::start(lab, turned).await;
    let began = Instant::now();
    let run = import(lab, &["new.csv", "--protocol", "submission", "--at-once", "16"]).await;
    let took = began.elapsed();
    let begun = clients.end().await;
    let logins: usize = begun.values().map(Vec::len).sum();
    println!("{} rows in {took:.1?}, {logins} logins of clients before, meanwhile and behind", turned.len());
    let wrong = turned.iter().filter(|it| !it.is_right).count();
    let run = run.ended(code).said(&format!("{} rows: {} rotated", turned.len(), turned.len() - wrong));
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("new-"), "a secret was said");

    let results = results(lab);
    assert_eq!(results.len(), turned.len());
    let mut presented = 0;
    for Turned { actor, new, is_right } in turned {
        let [outcome, cause, id, before, _] = &results[&actor.address];
        let slots = slots(lab, actor).await;
        let current = &slots.current.as_ref().unwrap().id;
        let tried = |secret: &str| lab.gmail.sandbox.times_presented(&Secret::new(secret));
        presented += tried(new) + tried(&actor.app_password);
        assert!(slots.next.is_none(), "{slots:?}");
        if *is_right {
            assert_eq!((outcome.as_str(), id), ("rotated", current), "{cause}");
            assert_eq!(before, &slots.previous.as_ref().unwrap().credential.id);
            assert!(is_current(&slots, new));
        } else {
            assert_eq!((outcome.as_str(), before), ("refused", current));
            assert!(cause.contains("535") && cause.contains("submission"), "{cause}");
            assert!(is_current(&slots, &actor.app_password) && times(&slots, "promoted") == 0);
            assert_eq!(tried(new), 2, "a provider counts these");
        }
    }
    assert_eq!(presented, lab.gmail.logins().len(), "no other password reached the provider");
    tell_the_story(lab, turned, &begun);
}

/// Before its promotion an account's logins use the old password, and those that begin behind it the new one. By the audit,
/// to which both the node and the operator write, and by when the clients came.
fn tell_the_story(lab: &Lab, turned: &[Turned], begun: &Begun) {
    let time = |event: &Value| event["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let (mut promoted, mut logins) = (HashMap::new(), HashMap::<String, Vec<Value>>::new());
    for event in lab.audit() {
        match event["event"].as_str().unwrap() {
            "rotation" if event["step"] == "promoted" => {
                let id = event["credential"].as_str().unwrap().to_owned();
                promoted.insert(event["subject"].as_str().unwrap().to_owned(), (time(&event), id));
            }
            "upstream" => logins.entry(event["account"].as_str().unwrap().to_owned()).or_default().push(event),
            _ => {}
        }
    }
    assert_eq!(promoted.len(), turned.iter().filter(|it| it.is_right).count());
    let mut by_age = [0, 0];
    for (account, logins) in logins {
        assert_eq!(logins.len(), begun[&account].len(), "{account}");
        // An account has one client, which comes again when it has left.
        for (login, begun) in logins.iter().zip(&begun[&account]) {
            assert_eq!(login["outcome"], "accepted", "{login}");
            let Some((at, new)) = promoted.get(&account) else { continue };
            let is_new = login["credential"] == **new;
            by_age[usize::from(is_new)] += 1;
            assert!(is_new || begun <= at, "promoted at {at}, and begun at {begun}: {login}");
            // The event of a step is written when it is taken, later by as long as a process may be held up.
            assert!(!is_new || time(login) + MOMENT >= *at, "promoted at {at}, and before: {login}");
        }
    }
    assert!(by_age.iter().all(|logins| *logins >= turned.len() / 2), "clients came before and after: {by_age:?}");
}

/// When each account's client came.
type Begun = HashMap<String, Vec<Timestamp>>;

/// Clients that log in and out until they are told to end, each by several names.
struct Clients {
    running: JoinSet<Begun>,
    is_over: Arc<AtomicBool>,
    logins: Arc<AtomicUsize>,
}

impl Clients {
    /// Starts them, and waits until each account was used.
    async fn start(lab: &Lab, turned: &[Turned]) -> Self {
        let (mut running, is_over, logins) = (JoinSet::new(), Arc::<AtomicBool>::default(), Arc::default());
        for actors in turned.chunks(turned.len() / CLIENTS) {
            let doors: Doors = (***lab).clone();
            let actors = actors.iter().map(|it| it.actor.clone()).collect();
            running.spawn(come_and_go(doors, actors, Arc::clone(&is_over), Arc::clone(&logins)));
        }
        let clients = Self { running, is_over, logins };
        wait_for("the first login of each client", || clients.logins.load(Ordering::Relaxed) >= turned.len()).await;
        clients
    }

    /// Lets each of them come once more by each name, and says when they came.
    async fn end(mut self) -> Begun {
        self.is_over.store(true, Ordering::Relaxed);
        let mut begun = Begun::new();
        while let Some(ended) = self.running.join_next().await {
            begun.extend(ended.expect("a client was turned away"));
        }
        begun
    }
}

async fn come_and_go(doors: Doors, actors: Vec<Actor>, is_over: Arc<AtomicBool>, logins: Arc<AtomicUsize>) -> Begun {
    let mut begun = Begun::new();
    for round in 0.. {
        let is_last = is_over.load(Ordering::Relaxed);
        for actor in &actors {
            if round > 0 && !is_over.load(Ordering::Relaxed) {
                sleep(AWAY).await;
            }
            begun.entry(actor.address.clone()).or_default().push(Timestamp::now());
            let mut wire = doors.connect(Protocol::Submission, Door::Plain).await;
            wire.ehlo().await;
            let answer = present(&mut wire, Protocol::Submission, &actor.login, &actor.secret).await;
            assert!(answer.starts_with("235 "), "{}: {answer}", actor.login);
            let bye = wire.ask("QUIT").await;
            assert!(bye.starts_with("221 "), "{}: {bye}", actor.login);
            logins.fetch_add(1, Ordering::Relaxed);
        }
        if is_last {
            break;
        }
    }
    begun
}

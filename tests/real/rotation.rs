//! A password is changed at a server that has one for each mailbox, first, later or never, as seen from the rotation in
//! Locum's store. `docs/rotation.md` says what clients notice in each order; this is where that is known from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use locum::audit::Audit;
use locum::broker::{self, Broker, Directory, client_secret};
use locum::config::Config;
use locum::credential;
use locum::model::{AppPasswordFormat, NextState, Protocol, Secret, Slots, StoredCredential};
use locum::net::{HttpOptions, Https, tls};
use locum::rotation::{Rotation, RotationError, Subject};
use locum::store;
use locum::upstream::Upstreams;
use tokio::runtime::Runtime;

use crate::child;
use crate::clients::{Outgoing, curl, swaks};
use crate::dovecot::Mailbox;
use crate::endpoint::{Endpoint, Tls};
use crate::lab::{Lab, Route};
use crate::locum::Locum;
use crate::mail;

/// The password that comes after the one that the lab gave the mailbox.
const NEW: &str = "another app password";

/// What curl says of a login that was refused.
const DENIED: Option<i32> = Some(67);

/// Somebody who rotates the app password of one mailbox, on the records that Locum works with.
struct Operator {
    runtime: Runtime,
    rotation: Rotation,
    subject: Subject,
}

impl Operator {
    fn of(locum: &Locum, mailbox: &Mailbox) -> Self {
        let runtime = Runtime::new().unwrap();
        let rotation = runtime.block_on(async {
            let config = Config::load(&locum.config()).unwrap();
            let directory = Directory::of_operator(store::open(&config.store).await.unwrap(), "operator@test");
            let client_tls = tls::client_config(&config.tls).unwrap();
            let https = Https::new(&client_tls, HttpOptions::default()).unwrap();
            let tokens = Arc::new(broker::tokens(directory.clone(), https, config.tokens));
            let broker = Broker::new(directory.clone(), tokens, config.upstreams, Audit::default(), config.broker);
            let upstreams = Arc::new(Upstreams::new(client_tls, config.upstream));
            let mut options = config.rotation;
            options.second_look = Duration::from_millis(100);
            Rotation::new(directory, Arc::new(broker), upstreams, Audit::default(), "operator@test", options)
        });
        Self { runtime, rotation, subject: Subject::app_password(&mailbox.address) }
    }

    fn stage(&self, app_password: &str) -> String {
        let credential = stored(app_password);
        self.runtime.block_on(self.rotation.stage(&self.subject, &credential)).unwrap()
    }

    fn verify(&self, id: &str) -> Result<Vec<Protocol>, RotationError> {
        let verified = self.rotation.verify(&self.subject, id, &[]);
        self.runtime.block_on(verified).map(|verification| verification.protocols)
    }

    fn promote(&self, id: &str, unverified: bool) {
        self.runtime.block_on(self.rotation.promote(&self.subject, id, unverified)).unwrap();
    }

    fn slots(&self) -> Slots {
        self.runtime.block_on(self.rotation.slots(&self.subject)).unwrap()
    }
}

fn stored(app_password: &str) -> StoredCredential {
    let (id, format) = (client_secret::random_id().unwrap(), AppPasswordFormat::Verbatim);
    credential::new_app_password(&Secret::new(app_password), format, id, "", Timestamp::now()).unwrap()
}

/// Clients that poll by IMAP and POP3 all the while.
struct Clients {
    polls: Arc<Mutex<Vec<Poll>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Poll {
    began: Instant,
    protocol: Protocol,
    code: Option<i32>,
}

impl Clients {
    fn of(locum: &Locum, mailbox: &Mailbox) -> Self {
        let (polls, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let threads = [Protocol::Imap, Protocol::Pop3].map(|protocol| {
            let endpoint = locum.endpoint(protocol, Tls::Implicit, mailbox);
            let (polls, stop) = (Arc::clone(&polls), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let code = curl::exit_code(&endpoint, protocol.name());
                    polls.lock().unwrap().push(Poll { began, protocol, code });
                }
            })
        });
        Self { polls, stop, threads: threads.into() }
    }

    fn since(&self, from: Instant) -> Vec<Poll> {
        self.polls.lock().unwrap().iter().filter(|poll| poll.began >= from).cloned().collect()
    }

    /// Waits for polls by each protocol that begin from now on, and for what they came to.
    fn next(&self) -> Vec<Poll> {
        let from = Instant::now();
        child::eventually("three polls by each protocol", || {
            let polls = self.since(from);
            let by = |protocol| polls.iter().filter(|poll| poll.protocol == protocol).count();
            (by(Protocol::Imap) >= 3 && by(Protocol::Pop3) >= 3).then_some(polls)
        })
    }

    #[track_caller]
    fn get_in(&self) {
        let polls = self.next();
        assert!(polls.iter().all(|poll| poll.code == Some(0)), "{polls:?}");
    }

    /// Dovecot looks at its passwords once a second at most.
    fn are_sent_away_before_long(&self) {
        child::eventually("clients that are sent away", || {
            self.next().iter().all(|poll| poll.code == DENIED).then_some(())
        });
    }

    #[track_caller]
    fn are_sent_away(&self) {
        let polls = self.next();
        assert!(polls.iter().all(|poll| poll.code == DENIED), "{polls:?}");
    }

    #[track_caller]
    fn have_got_in_since(&self, from: Instant) {
        let polls = self.since(from);
        assert!(!polls.is_empty() && polls.iter().all(|poll| poll.code == Some(0)), "{polls:?}");
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a client did not start");
        }
    }
}

fn open() -> (Locum, Mailbox) {
    let locum = Locum::start(Lab::start(), Tls::Implicit);
    let mailbox = locum.lab().mailbox(Tls::Implicit).clone();
    (locum, mailbox)
}

/// A message goes out.
fn submits(locum: &Locum, mailbox: &Mailbox) {
    let message = mail::simple("while passwords change");
    let endpoint: Endpoint = locum.endpoint(Protocol::Submission, Tls::Implicit, mailbox);
    swaks::submit(&endpoint, "PLAIN", &Outgoing { from: &mailbox.address, to: &mailbox.address, message: &message });
}

fn submission_is_put_off(locum: &Locum, mailbox: &Mailbox) {
    let endpoint = locum.endpoint(Protocol::Submission, Tls::Implicit, mailbox);
    let refusal = swaks::refusal(&endpoint, "PLAIN");
    assert!(refusal.starts_with("454 4.7.0"), "{refusal}");
}

/// Waits until Locum's audit, which is in its log, tells of a login by the credential in that place.
fn is_used(locum: &Locum, slot: &str) {
    let said = format!("\"slot\":\"{slot}\"");
    child::eventually(&format!("a login by the {slot} one in the audit"), || {
        locum.output().replace('\\', "").contains(&said).then_some(())
    });
}

/// Dovecot has refused as many passwords, and no more. Its log comes through another process.
#[track_caller]
fn has_refused(locum: &Locum, count: usize, why: &str) {
    let refused = child::eventually(&format!("{count} refusals in Dovecot's log"), || {
        let refused = locum.lab().dovecot.answers().refused;
        (refused >= count).then_some(refused)
    });
    assert_eq!(refused, count, "{why}");
}

#[test]
fn changed_at_the_server_first_clients_are_sent_away_until_the_new_one_is_verified() {
    let (locum, mailbox) = open();
    let (operator, clients) = (Operator::of(&locum, &mailbox), Clients::of(&locum, &mailbox));
    clients.get_in();
    locum.lab().set_password(&mailbox, NEW);
    clients.are_sent_away_before_long();
    submission_is_put_off(&locum, &mailbox);

    let id = operator.stage(NEW);
    clients.are_sent_away(); // nobody knows yet whether it is right
    has_refused(&locum, 2 + 2 + 1, "the old one was tried twice by each protocol");

    assert_eq!(operator.verify(&id).unwrap().len(), 3);
    let verified = Instant::now();
    clients.get_in();
    submits(&locum, &mailbox);
    is_used(&locum, "next");
    operator.promote(&id, false);
    clients.get_in();
    submits(&locum, &mailbox);
    clients.have_got_in_since(verified);

    let slots = operator.slots();
    assert_eq!((slots.current.unwrap().id, slots.next), (id, None));
    assert!(!locum.output().contains(NEW) && !locum.lab().dovecot.log().contains(NEW));
}

#[test]
fn changed_at_the_server_later_clients_stay_in_until_then_and_go_on_when_an_operator_says_so() {
    let (locum, mailbox) = open();
    let (operator, clients) = (Operator::of(&locum, &mailbox), Clients::of(&locum, &mailbox));
    let began = Instant::now();
    let id = operator.stage(NEW);
    operator.promote(&id, true);
    clients.get_in();
    submits(&locum, &mailbox);
    submits(&locum, &mailbox);
    is_used(&locum, "previous");
    clients.get_in();
    clients.have_got_in_since(began);
    has_refused(&locum, 3 * 2, "the new one was tried twice by each protocol");

    locum.lab().set_password(&mailbox, NEW);
    // The new one was refused twice, and is not tried again before somebody says so.
    clients.are_sent_away_before_long();
    clients.are_sent_away();
    operator.runtime.block_on(operator.rotation.try_again(&operator.subject)).unwrap();
    let said = Instant::now();
    clients.get_in();
    submits(&locum, &mailbox);
    clients.have_got_in_since(said);
    has_refused(&locum, 3 * 2 + 2 * 2, "and the old one twice by each that polled");
    assert_eq!(operator.slots().current.unwrap().id, id);
}

#[test]
fn never_changed_at_the_server_the_new_one_fails_and_no_client_notices() {
    let (locum, mailbox) = open();
    let (operator, clients) = (Operator::of(&locum, &mailbox), Clients::of(&locum, &mailbox));
    let began = Instant::now();
    let current = operator.slots().current.unwrap().id;
    let id = operator.stage(NEW);
    let failed = operator.verify(&id).unwrap_err();
    assert!(matches!(failed, RotationError::Refused { .. }), "{failed}");
    let next = operator.slots().next.unwrap();
    assert!(matches!(next.state, NextState::Failed { .. }), "{next:?}");
    assert_eq!(next.refused.unwrap().times, 2);
    clients.get_in();
    submits(&locum, &mailbox);

    operator.runtime.block_on(operator.rotation.discard(&operator.subject, &id, None)).unwrap();
    clients.get_in();
    submits(&locum, &mailbox);
    clients.have_got_in_since(began);
    has_refused(&locum, 2, "the verification's own");
    let slots = operator.slots();
    assert_eq!((slots.current.unwrap().id, slots.next), (current, None));
    assert_eq!(slots.leftovers.iter().map(|left| left.id.as_str()).collect::<Vec<_>>(), [id]);
}

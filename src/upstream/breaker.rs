//! Stops trying a credential that the provider does not take: providers lock accounts that are tried too often.
//!
//! A credential has two lives. Each login with it takes one; one that succeeds gives all back, one that is refused for
//! the credential's sake keeps it. So two tries at most can be under way or lost at any time, however many clients come at
//! once, and a credential without lives is not tried again until it is stored anew, or an operator says so (`retries`). A login refused for another cause
//! (policy, limits, no mailbox, a token) costs no life, but the next one has to wait, longer each time, and as long as the
//! provider asks for. A token is one of many that come of a credential: the next one need not wait for what was said of the
//! one before, but if it is refused, too, the wait goes on growing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Held;
use super::classify::{Cause, Verdict};
use crate::broker::Lease;
use crate::credential::CredentialVersion;
use crate::model::Protocol;

const LIVES: usize = 2;

/// The first wait after a refusal that was not the credential's fault; doubled with each one after it.
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// The longest wait that a provider may ask for: by then somebody will have looked.
const BACKOFF_MAX: Duration = Duration::from_secs(3600);

/// Clients that are kept out by a dead credential come again within that, or nobody misses it.
const MISSED_FOR: Duration = Duration::from_secs(25 * 3600);

/// Mailboxes of which it is remembered that nobody gets in. More are no more telling.
const MISSED_MAX: usize = 50_000;

/// Entries before those are looked for that say nothing any more.
const SWEEP_MIN: usize = 1024;

/// What is tried: a version of a credential as it is stored, for a name, at a provider. Whoever changes any of these may try anew. Some
/// providers scope app passwords to protocols.
type Key = (CredentialVersion, String, String, Protocol);

/// Knows which credentials are not to be tried.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    credentials: Arc<DashMap<Key, Arc<Credential>>>,
    /// Entries that the last sweep left; twice as many call for another.
    swept: AtomicUsize,
    missed: Arc<DashMap<Mailbox, Instant>>,
}

/// A name at an upstream, by a protocol.
type Mailbox = (String, String, Protocol);

#[derive(Debug)]
struct Credential {
    lives: Arc<Semaphore>,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    refusals: usize,
    pause: Option<Pause>,
}

#[derive(Debug, Clone)]
struct Pause {
    until: Instant,
    length: Duration,
    verdict: Verdict,
    /// What was presented.
    presented: CredentialVersion,
}

impl Pause {
    /// Whether it holds back this one, too. Only of a token that is refused a new one may be taken.
    fn is_for(&self, presented: &CredentialVersion) -> bool {
        self.verdict.cause != Cause::Token || self.presented == *presented
    }
}

/// Why a credential is not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// It has no lives left.
    Dead,
    /// The provider refused it a moment ago.
    Paused {
        /// Why.
        verdict: Verdict,
        /// For how long still.
        left: Duration,
    },
}

/// A life taken for one login. Dropped without a verdict, it is given back.
#[derive(Debug)]
pub(super) struct Trial {
    life: Option<OwnedSemaphorePermit>,
    // Option only so that `drop` can give it back before it looks whether it was the last.
    credential: Option<Arc<Credential>>,
    presented: CredentialVersion,
    key: Key,
    credentials: Arc<DashMap<Key, Arc<Credential>>>,
    missed: Arc<DashMap<Mailbox, Instant>>,
}

impl Breaker {
    /// Takes a life, once one is free.
    pub(super) async fn enter(&self, lease: &Lease) -> Result<Trial, Open> {
        let (stored, identity) = (lease.stored_version().clone(), lease.credentials().identity.clone());
        let key = (stored, identity, lease.upstream().to_owned(), lease.protocol());
        self.enter_with(key, lease.credential_version().clone()).await
    }

    async fn enter_with(&self, key: Key, presented: CredentialVersion) -> Result<Trial, Open> {
        self.sweep();
        let credential = Arc::clone(&*self.credentials.entry(key.clone()).or_insert_with(Credential::new));
        let lives = Arc::clone(&credential.lives);
        let pauses = Arc::clone(&credential);
        let (credentials, missed) = (Arc::clone(&self.credentials), Arc::clone(&self.missed));
        let mut trial = Trial { life: None, credential: Some(credential), presented, key, credentials, missed };
        // Closed when the last life is lost: those who wait are told at once.
        let Ok(life) = lives.acquire_owned().await else {
            trial.is_missed();
            return Err(Open::Dead);
        };
        trial.life = Some(life);
        pauses.check_pause(&trial.presented, Instant::now())?;
        Ok(trial)
    }

    /// What is held back now, by upstream.
    pub(super) fn census(&self, now: Instant) -> BTreeMap<String, Held> {
        let mut held: BTreeMap<String, Held> = BTreeMap::new();
        self.missed.retain(|_, last| now.saturating_duration_since(*last) < MISSED_FOR);
        for mailbox in self.missed.iter() {
            held.entry(mailbox.key().1.clone()).or_default().dead += 1;
        }
        for credential in self.credentials.iter() {
            if credential.record().pause.as_ref().is_some_and(|pause| pause.until > now) {
                held.entry(credential.key().2.clone()).or_default().paused += 1;
            }
        }
        held
    }

    /// Forgets pauses that are long over, now and then. What was refused for its own sake is never forgotten.
    fn sweep(&self) {
        let entries = self.credentials.len();
        if entries < SWEEP_MIN.max(self.swept.load(Ordering::Relaxed) * 2) {
            return;
        }
        let now = Instant::now();
        self.credentials.retain(|_, credential| {
            let record = credential.record();
            let is_over = record.pause.as_ref().is_none_or(|pause| pause.until + PAUSE_MAX < now);
            Arc::strong_count(credential) > 1 || record.refusals > 0 || !is_over
        });
        self.swept.store(self.credentials.len(), Ordering::Relaxed);
    }
}

impl Credential {
    fn new() -> Arc<Self> {
        Arc::new(Self { lives: Arc::new(Semaphore::new(LIVES)), record: Mutex::new(Record::default()) })
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no holder of this lock panics")
    }

    fn check_pause(&self, presented: &CredentialVersion, now: Instant) -> Result<(), Open> {
        match &self.record().pause {
            Some(pause) if pause.until > now && pause.is_for(presented) => {
                Err(Open::Paused { verdict: pause.verdict, left: pause.until.duration_since(now) })
            }
            _ => Ok(()),
        }
    }
}

impl Trial {
    /// The login succeeded.
    pub(super) fn accepted(self) {
        self.missed.remove(&self.mailbox());
        let Some(credential) = &self.credential else { return };
        let mut record = credential.record();
        credential.lives.add_permits(std::mem::take(&mut record.refusals));
        record.pause = None;
    }

    /// The login failed like this, and the provider may have asked to be left alone for a time.
    pub(super) fn failed(mut self, verdict: Verdict, backoff: Option<Duration>) {
        let Some(credential) = &self.credential else { return };
        let mut record = credential.record();
        match verdict.cause {
            Cause::AuthBad => {
                if let Some(life) = self.life.take() {
                    life.forget();
                }
                record.refusals += 1;
                if record.refusals >= LIVES {
                    credential.lives.close();
                    self.is_missed();
                }
            }
            Cause::Token
            | Cause::AuthPolicy
            | Cause::ProtocolOff
            | Cause::MailboxMap
            | Cause::Limited
            | Cause::Refused => {
                let now = Instant::now();
                let asked = backoff.unwrap_or_default().min(BACKOFF_MAX);
                let length = match &record.pause {
                    Some(pause) if pause.until > now && pause.is_for(&self.presented) => {
                        if pause.until >= now + asked {
                            // Another that was under way with us has said so already.
                            return;
                        }
                        asked
                    }
                    Some(pause) => (pause.length * 2).min(PAUSE_MAX).max(asked),
                    None => PAUSE_MIN.max(asked),
                };
                let presented = self.presented.clone();
                record.pause = Some(Pause { until: now + length, length, verdict, presented });
            }
            // The provider was not reached, or gave no verdict.
            Cause::Untrusted | Cause::Unavailable => {}
        }
    }
}

impl Trial {
    fn mailbox(&self) -> Mailbox {
        let (_, identity, upstream, protocol) = &self.key;
        (identity.clone(), upstream.clone(), *protocol)
    }

    /// Somebody wanted in, and cannot.
    fn is_missed(&self) {
        let mailbox = self.mailbox();
        if self.missed.len() < MISSED_MAX || self.missed.contains_key(&mailbox) {
            self.missed.insert(mailbox, Instant::now());
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        (self.life, self.credential) = (None, None);
        let clean = |credential: &Arc<Credential>| {
            let record = credential.record();
            record.refusals == 0 && record.pause.is_none()
        };
        // Held by the map alone, and nothing to remember.
        self.credentials.remove_if(&self.key, |_, credential| Arc::strong_count(credential) == 1 && clean(credential));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    impl Breaker {
        /// With what presents itself, as app passwords do.
        async fn enter_for(&self, key: Key) -> Result<Trial, Open> {
            let presented = key.0.clone();
            self.enter_with(key, presented).await
        }
    }

    fn token(text: &str) -> CredentialVersion {
        CredentialVersion::new("v1", &Secret::new(text))
    }

    fn key(id: &str) -> Key {
        let version = CredentialVersion::new(id, &Secret::new("secret"));
        (version, "scan@x.test".to_owned(), "lab".to_owned(), Protocol::Imap)
    }

    #[tokio::test]
    async fn another_secret_under_the_same_id_is_another_version() {
        let breaker = Breaker::default();
        for _ in 0..2 {
            breaker.enter_for(key("v1")).await.unwrap().failed(Cause::AuthBad.into(), None);
        }
        let edited = (CredentialVersion::new("v1", &Secret::new("edited")), key("v1").1, key("v1").2, Protocol::Imap);
        assert_eq!(breaker.enter_for(key("v1")).await.unwrap_err(), Open::Dead);
        assert!(breaker.enter_for(edited).await.is_ok());
    }

    #[tokio::test]
    async fn what_an_operator_wants_tried_again_has_two_lives_again_and_no_more() {
        let breaker = Breaker::default();
        let after = |retries| {
            let (version, name, upstream, protocol) = key("v1");
            (version.after_retries(retries), name, upstream, protocol)
        };
        for retries in 0..3 {
            for _ in 0..2 {
                breaker.enter_for(after(retries)).await.unwrap().failed(Cause::AuthBad.into(), None);
            }
            assert_eq!(breaker.enter_for(after(retries)).await.unwrap_err(), Open::Dead);
        }
        assert!(breaker.enter_for(after(3)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_mailbox_that_nobody_gets_into_is_counted_until_somebody_does_or_nobody_wants_to() {
        let breaker = Breaker::default();
        let dead = || breaker.census(Instant::now()).get("lab").map_or(0, |held| held.dead);
        for _ in 0..2 {
            assert_eq!(dead(), 0);
            breaker.enter_for(key("v1")).await.unwrap().failed(Cause::AuthBad.into(), None);
        }
        assert_eq!(dead(), 1);
        breaker.enter_for(key("v2")).await.unwrap().accepted();
        assert_eq!(dead(), 0, "another one works");
        assert_eq!(breaker.enter_for(key("v1")).await.unwrap_err(), Open::Dead);
        assert_eq!(dead(), 1, "somebody wants in again");
        tokio::time::advance(MISSED_FOR).await;
        assert_eq!(dead(), 0);

        breaker.enter_for(key("v3")).await.unwrap().failed(Cause::Limited.into(), None);
        assert_eq!(breaker.census(Instant::now())["lab"], Held { dead: 0, paused: 1 });
        tokio::time::advance(PAUSE_MAX).await;
        assert_eq!(breaker.census(Instant::now()), BTreeMap::new());
    }

    #[tokio::test]
    async fn a_version_is_refused_twice_and_a_new_one_is_not_held_for_it() {
        let breaker = Breaker::default();
        for _ in 0..2 {
            breaker.enter_for(key("v1")).await.unwrap().failed(Cause::AuthBad.into(), None);
        }
        assert_eq!(breaker.enter_for(key("v1")).await.unwrap_err(), Open::Dead);
        assert!(breaker.enter_for(key("v2")).await.is_ok());
    }

    #[tokio::test]
    async fn of_a_crowd_two_are_tried() {
        let breaker = Arc::new(Breaker::default());
        let tries = Arc::new(Mutex::new(0));
        let crowd = (0..40).map(|_| {
            let (breaker, tries) = (Arc::clone(&breaker), Arc::clone(&tries));
            tokio::spawn(async move {
                let Ok(trial) = breaker.enter_for(key("v1")).await else { return };
                *tries.lock().unwrap() += 1;
                tokio::task::yield_now().await; // the others come meanwhile
                trial.failed(Cause::AuthBad.into(), None);
            })
        });
        for client in crowd.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        assert_eq!(*tries.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn success_gives_all_lives_back_and_leaves_nothing_behind() {
        let breaker = Breaker::default();
        breaker.enter_for(key("v1")).await.unwrap().failed(Cause::AuthBad.into(), None);
        breaker.enter_for(key("v1")).await.unwrap().accepted();
        assert!(breaker.credentials.is_empty());
        breaker.enter_for(key("v1")).await.unwrap().failed(Cause::AuthBad.into(), None);
        assert!(breaker.enter_for(key("v1")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn other_refusals_pause_longer_each_time() {
        let breaker = Breaker::default();
        for length in [PAUSE_MIN, PAUSE_MIN * 2] {
            breaker.enter_for(key("v1")).await.unwrap().failed(Cause::Limited.into(), None);
            let paused = Open::Paused { verdict: Cause::Limited.into(), left: length };
            assert_eq!(breaker.enter_for(key("v1")).await.unwrap_err(), paused);
            tokio::time::advance(length).await;
        }
        assert!(breaker.enter_for(key("v1")).await.is_ok(), "it costs no life");
    }

    #[tokio::test(start_paused = true)]
    async fn two_refused_at_once_pause_as_one() {
        let breaker = Breaker::default();
        let both = [breaker.enter_for(key("v1")).await.unwrap(), breaker.enter_for(key("v1")).await.unwrap()];
        both.into_iter().for_each(|trial| trial.failed(Cause::ProtocolOff.into(), None));
        let paused = Open::Paused { verdict: Cause::ProtocolOff.into(), left: PAUSE_MIN };
        assert_eq!(breaker.enter_for(key("v1")).await.unwrap_err(), paused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_as_long_as_the_provider_asks_for_within_bounds() {
        for (asked, length) in [
            (Duration::from_millis(92_415), Duration::from_millis(92_415)),
            (Duration::from_secs(1), PAUSE_MIN),
            (Duration::from_secs(u64::MAX), BACKOFF_MAX),
        ] {
            let breaker = Breaker::default();
            breaker.enter_for(key("v1")).await.unwrap().failed(Cause::Limited.into(), Some(asked));
            let paused = Open::Paused { verdict: Cause::Limited.into(), left: length };
            assert_eq!(breaker.enter_for(key("v1")).await.unwrap_err(), paused);
            assert!(breaker.enter_for(key("v2")).await.is_ok(), "another version is not held back");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_refused_at_once_the_longer_wish_counts() {
        let breaker = Breaker::default();
        let both = [breaker.enter_for(key("v1")).await.unwrap(), breaker.enter_for(key("v1")).await.unwrap()];
        for (trial, asked) in both.into_iter().zip([None, Some(Duration::from_secs(60))]) {
            trial.failed(Cause::Limited.into(), asked);
        }
        let paused = Open::Paused { verdict: Cause::Limited.into(), left: Duration::from_secs(60) };
        assert_eq!(breaker.enter_for(key("v1")).await.unwrap_err(), paused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_costs_no_life() {
        let breaker = Breaker::default();
        for _ in 0..5 {
            breaker.enter_for(key("v1")).await.unwrap().failed(Cause::Token.into(), None);
            assert!(matches!(breaker.enter_for(key("v1")).await, Err(Open::Paused { .. })));
            tokio::time::advance(PAUSE_MAX).await;
        }
        assert!(breaker.enter_for(key("v1")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_token_need_not_wait_and_its_own_wait_is_longer() {
        let breaker = Breaker::default();
        let mut length = PAUSE_MIN;
        for number in 0..20 {
            let token = token(&number.to_string());
            breaker.enter_with(key("v1"), token.clone()).await.unwrap().failed(Cause::Token.into(), None);
            let paused = Open::Paused { verdict: Cause::Token.into(), left: length };
            assert_eq!(breaker.enter_with(key("v1"), token).await.unwrap_err(), paused);
            length = (length * 2).min(PAUSE_MAX);
        }
        assert_eq!(breaker.credentials.len(), 1);
        breaker.enter_with(key("v1"), token("good")).await.unwrap().accepted();
        assert!(breaker.credentials.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_the_token_s_fault_holds_back_the_next_token_too() {
        let breaker = Breaker::default();
        let asked = Duration::from_secs(600);
        breaker.enter_with(key("v1"), token("t1")).await.unwrap().failed(Cause::Limited.into(), Some(asked));
        let paused = Open::Paused { verdict: Cause::Limited.into(), left: asked };
        assert_eq!(breaker.enter_with(key("v1"), token("t2")).await.unwrap_err(), paused);
    }

    #[tokio::test(start_paused = true)]
    async fn versions_that_nobody_tries_any_more_are_forgotten() {
        let breaker = Breaker::default();
        breaker.enter_for(key("wrong")).await.unwrap().failed(Cause::AuthBad.into(), None);
        for number in 1..SWEEP_MIN {
            breaker.enter_for(key(&number.to_string())).await.unwrap().failed(Cause::Token.into(), None);
        }
        assert_eq!(breaker.credentials.len(), SWEEP_MIN);
        tokio::time::advance(PAUSE_MIN + PAUSE_MAX * 2).await;
        drop(breaker.enter_for(key("new")).await.unwrap());
        assert_eq!(breaker.credentials.len(), 1, "one that was refused for its own sake stays");
        breaker.enter_for(key("wrong")).await.unwrap().failed(Cause::AuthBad.into(), None);
        assert_eq!(breaker.enter_for(key("wrong")).await.unwrap_err(), Open::Dead);
    }

    #[tokio::test]
    async fn a_login_without_a_verdict_costs_nothing() {
        let breaker = Breaker::default();
        for _ in 0..5 {
            breaker.enter_for(key("v1")).await.unwrap().failed(Cause::Unavailable.into(), None);
            drop(breaker.enter_for(key("v1")).await.unwrap());
        }
        assert!(breaker.credentials.is_empty());
    }
}

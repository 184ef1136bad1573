//! One at a time, and not too often: what is shown to a provider for a mailbox that nobody has proven. A provider locks
//! accounts that are guessed at, and blocks whoever guesses at many. It must never hold a password, nor grow without bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::credential::CredentialVersion;
use crate::model::{Refusal, normalise};

/// How long a refusal counts: as long as providers lock an account for.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Passwords that a provider may refuse for one mailbox within the window. Microsoft locks an account after ten.
const REFUSED_PER_MAILBOX_MAX: usize = 3;

/// Passwords that one provider may refuse within the window, whosever they are: above what a fleet has of stale ones, and
/// below what a provider takes for an attack on all of its accounts.
const REFUSED_PER_UPSTREAM_MAX: usize = 200;

/// Time to wait while others try the same mailbox: a login takes a second or two, and devices come in groups.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Mailboxes of which anything is remembered. Beyond, none is tried until the window is over for some.
const MAILBOXES_MAX: usize = 20_000;

/// The longest time that a provider may ask for: by then somebody will have looked.
const BACKOFF_MAX: Duration = Duration::from_secs(3600);

/// An upstream and a mailbox.
type Key = (String, String);

/// What was refused of late.
#[derive(Debug, Default)]
pub(super) struct Turns {
    mailboxes: DashMap<Key, Arc<Mailbox>>,
    upstreams: DashMap<String, VecDeque<Instant>>,
}

#[derive(Debug)]
struct Mailbox {
    turn: Arc<Semaphore>,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    refused: Vec<Refused>,
    /// The provider asked to be left alone until then.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Refused {
    presented: CredentialVersion,
    answer: Refusal,
    at: Instant,
}

/// The right to try one mailbox, given back when dropped.
#[derive(Debug)]
pub struct Turn {
    mailbox: Arc<Mailbox>,
    upstream: String,
    waited: bool,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Whether somebody else had a turn meanwhile: the login may be a client's by now.
    pub fn has_waited(&self) -> bool {
        self.waited
    }
}

/// Why a provider is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldBack {
    /// Others are still trying the same mailbox.
    Busy,
    /// It was asked the same a while ago, and this was the answer.
    Answered(Refusal),
    /// It has refused too many passwords for the mailbox.
    Mailbox,
    /// It has refused too many passwords.
    Upstream,
    /// It asked to be left alone.
    Rests,
    /// Too many mailboxes are being tried.
    Full,
}

impl HeldBack {
    /// In words for the operator.
    pub(super) fn plain(self) -> &'static str {
        match self {
            Self::Busy => "not tried: other logins of the same name are still under way",
            Self::Answered(_) => "not tried: the provider refused the same a while ago, and would refuse it again",
            Self::Mailbox => "not tried: the provider has refused too many passwords for this mailbox of late",
            Self::Upstream => {
                "not tried: the provider has refused too many passwords of unknown logins of late; see who comes from the \
                 networks of the window"
            }
            Self::Rests => "not tried: the provider asked to be left alone for a time",
            Self::Full => {
                "not tried: too many unknown logins were refused of late; see who comes from the networks of the window"
            }
        }
    }

    /// What the client is told.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Busy => Refusal::Unavailable,
            Self::Answered(answer) => answer,
            Self::Mailbox | Self::Upstream | Self::Rests | Self::Full => Refusal::LimitReached,
        }
    }
}

impl Turns {
    /// A turn for that mailbox, once it is free. What is presented there is looked at by [`Turns::check`].
    pub(super) async fn enter(&self, upstream: &str, mailbox: &str) -> Result<Turn, HeldBack> {
        self.make_room(Instant::now())?;
        let key = (upstream.to_owned(), normalise(mailbox));
        let mailbox = Arc::clone(&*self.mailboxes.entry(key).or_insert_with(Mailbox::new));
        let turn = Arc::clone(&mailbox.turn);
        let (permit, waited) = match Arc::clone(&turn).try_acquire_owned() {
            Ok(permit) => (permit, false),
            Err(_) => match timeout(WAIT_MAX, turn.acquire_owned()).await {
                Ok(Ok(permit)) => (permit, true),
                Ok(Err(_)) | Err(_) => return Err(HeldBack::Busy),
            },
        };
        Ok(Turn { mailbox, upstream: upstream.to_owned(), waited, _permit: permit })
    }

    /// Whether the provider may be asked about that.
    pub(super) fn check(&self, turn: &Turn, presented: &CredentialVersion) -> Result<(), HeldBack> {
        let now = Instant::now();
        {
            let mut record = turn.mailbox.record();
            record.forget(now);
            if record.rests_until.is_some() {
                return Err(HeldBack::Rests);
            }
            if let Some(refused) = record.refused.iter().find(|refused| refused.presented == *presented) {
                return Err(HeldBack::Answered(refused.answer));
            }
            if record.refused.len() >= REFUSED_PER_MAILBOX_MAX {
                return Err(HeldBack::Mailbox);
            }
        }
        let refused = self.upstreams.get(&turn.upstream);
        let recent = refused.map_or(0, |all| all.iter().filter(|at| now.duration_since(**at) < WINDOW).count());
        if recent >= REFUSED_PER_UPSTREAM_MAX { Err(HeldBack::Upstream) } else { Ok(()) }
    }

    /// The provider refused that, and the client was answered like this.
    pub(super) fn refused(&self, turn: &Turn, presented: &CredentialVersion, answer: Refusal) {
        let now = Instant::now();
        turn.mailbox.record().refused.push(Refused { presented: presented.clone(), answer, at: now });
        let mut all = self.upstreams.entry(turn.upstream.clone()).or_default();
        all.push_back(now);
        // More than the bound would say no more.
        while all.len() > REFUSED_PER_UPSTREAM_MAX {
            all.pop_front();
        }
    }

    /// The provider asked to be left alone for so long.
    pub(super) fn rest(&self, turn: &Turn, length: Duration) {
        turn.mailbox.record().rests_until = Some(Instant::now() + length.min(BACKOFF_MAX));
    }

    /// Forgets mailboxes of which there is nothing to remember, where there are too many.
    fn make_room(&self, now: Instant) -> Result<(), HeldBack> {
        if self.mailboxes.len() < MAILBOXES_MAX {
            return Ok(());
        }
        self.mailboxes.retain(|_, mailbox| {
            let mut record = mailbox.record();
            record.forget(now);
            Arc::strong_count(mailbox) > 1 || !record.refused.is_empty() || record.rests_until.is_some()
        });
        if self.mailboxes.len() < MAILBOXES_MAX { Ok(()) } else { Err(HeldBack::Full) }
    }
}

impl Mailbox {
    fn new() -> Arc<Self> {
        Arc::new(Self { turn: Arc::new(Semaphore::new(1)), record: Mutex::default() })
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Nothing can panic between two of its changes.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn forget(&mut self, now: Instant) {
        self.refused.retain(|refused| now.duration_since(refused.at) < WINDOW);
        self.rests_until = self.rests_until.filter(|until| now < *until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn password(text: &str) -> CredentialVersion {
        CredentialVersion::new("", &Secret::new(text))
    }

    async fn refuse(turns: &Turns, mailbox: &str, text: &str) -> Result<(), HeldBack> {
        let turn = turns.enter("own", mailbox).await?;
        turns.check(&turn, &password(text))?;
        turns.refused(&turn, &password(text), Refusal::WrongCredentials);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_is_shown_once_and_a_mailbox_is_asked_three_times_in_a_window() {
        let turns = Turns::default();
        refuse(&turns, "a@x.test", "1").await.unwrap();
        assert_eq!(refuse(&turns, "A@x.test", "1").await, Err(HeldBack::Answered(Refusal::WrongCredentials)));
        refuse(&turns, "a@x.test", "2").await.unwrap();
        refuse(&turns, "a@x.test", "3").await.unwrap();
        assert_eq!(refuse(&turns, "a@x.test", "4").await, Err(HeldBack::Mailbox));
        refuse(&turns, "b@x.test", "4").await.unwrap();
        tokio::time::advance(WINDOW).await;
        refuse(&turns, "a@x.test", "4").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_is_asked_no_more_when_it_has_refused_very_many() {
        let turns = Turns::default();
        for number in 0..REFUSED_PER_UPSTREAM_MAX {
            refuse(&turns, &format!("{number}@x.test"), "1").await.unwrap();
        }
        assert_eq!(refuse(&turns, "other@x.test", "1").await, Err(HeldBack::Upstream));
        tokio::time::advance(WINDOW).await;
        refuse(&turns, "other@x.test", "1").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_and_who_waited_is_told_so() {
        let turns = Arc::new(Turns::default());
        let first = turns.enter("own", "a@x.test").await.unwrap();
        assert!(!first.has_waited());
        let second = {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { turns.enter("own", "A@x.test ").await.map(|turn| turn.has_waited()) })
        };
        tokio::task::yield_now().await;
        assert!(!turns.enter("own", "b@x.test").await.unwrap().has_waited());
        drop(first);
        assert_eq!(second.await.unwrap(), Ok(true));
        let _third = turns.enter("own", "a@x.test").await.unwrap();
        assert_eq!(turns.enter("own", "a@x.test").await.unwrap_err(), HeldBack::Busy, "after some time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_asks_for_it_is_left_alone() {
        let turns = Turns::default();
        let turn = turns.enter("own", "a@x.test").await.unwrap();
        turns.rest(&turn, Duration::from_secs(60));
        assert_eq!(turns.check(&turn, &password("1")), Err(HeldBack::Rests));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(turns.check(&turn, &password("1")), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_says_nothing_is_forgotten_and_what_says_something_is_not() {
        let turns = Turns::default();
        refuse(&turns, "a@x.test", "1").await.unwrap();
        for number in 1..MAILBOXES_MAX {
            turns.enter("own", &number.to_string()).await.unwrap();
        }
        turns.enter("own", "new").await.unwrap();
        assert_eq!(turns.mailboxes.len(), 2);
    }
}

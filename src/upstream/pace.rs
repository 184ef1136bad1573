//! The pace of each mailbox: no more messages within any minute than its provider takes. Who comes too early waits in a
//! line, and not with a refusal from the provider. It must never count a message before the provider does: one counts from
//! when it was answered, until then it has a place of its own.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use super::classify::{Cause, backoff, classify};
use crate::model::{CredentialKind, Protocol, normalise};

/// The first rest after a provider put a message off all the same; each further one is twice as long, up to the longest,
/// which is the minute that providers count over.
const REST_MIN: Duration = Duration::from_secs(2);
const REST_MAX: Duration = Duration::from_secs(60);

/// At so many mailboxes, and at each multiple, those that sent nothing lately are forgotten.
const SWEEP_AT: usize = 1024;

/// Whose pace it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// All sessions of that class.
    Class(String),
    /// Upstream and name there: two accounts may be one.
    Mailbox(String, String),
}

/// The paces of all classes and mailboxes that sent anything lately.
#[derive(Debug, Default)]
pub(super) struct Paces {
    paces: DashMap<Key, Arc<Pace>>,
}

#[derive(Debug)]
struct Pace {
    /// As the configuration has it by now.
    messages_max: AtomicUsize,
    window: Duration,
    /// The head of the line: whoever has it is next. First come, first served.
    head: Semaphore,
    book: Mutex<Book>,
    /// Somebody gave its turn back. Only the head of the line waits for it.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Book {
    under_way: usize,
    /// When messages were answered, oldest first: never more than `messages_max` within the window.
    answered: VecDeque<Instant>,
    rests_until: Option<Instant>,
    rest: Duration,
}

impl Paces {
    fn of(&self, key: Key, messages: u32, window: Duration) -> Arc<Pace> {
        if self.paces.len() % SWEEP_AT == SWEEP_AT - 1 {
            self.paces.retain(|_, pace| Arc::strong_count(pace) > 1 || !pace.is_idle());
        }
        let messages_max = usize::try_from(messages).unwrap_or(usize::MAX);
        let make = || {
            let (head, book, freed) = (Semaphore::new(1), Mutex::default(), Notify::new());
            Arc::new(Pace { messages_max: messages_max.into(), window, head, book, freed })
        };
        let pace = Arc::clone(&*self.paces.entry(key).or_insert_with(make));
        if pace.messages_max.swap(messages_max, Ordering::Relaxed) < messages_max {
            pace.freed.notify_one();
        }
        pace
    }

    /// What a session keeps to: so many messages of a mailbox (upstream, name there), and so many of its class; `None` where
    /// neither has a pace.
    pub(super) fn pacer(
        &self,
        mailbox: Option<(&str, &str, u32)>,
        class: Option<(&str, u32)>,
        window: Duration,
        patience: Duration,
    ) -> Option<Pacer> {
        let class = class.map(|(name, messages)| self.of(Key::Class(name.to_owned()), messages, window));
        let mailbox = mailbox.map(|(upstream, identity, messages)| {
            self.of(Key::Mailbox(upstream.to_owned(), normalise(identity)), messages, window)
        });
        // That of the class first: a turn of the mailbox is not held while another is waited for.
        let paces: Vec<_> = [class, mailbox.clone()].into_iter().flatten().collect();
        (!paces.is_empty()).then_some(Pacer { paces, mailbox, patience })
    }
}

impl Pace {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no holder of this lock panics")
    }

    fn is_idle(&self) -> bool {
        let now = Instant::now();
        let book = self.book();
        book.answered.back().is_none_or(|&at| at + self.window <= now)
            && book.rests_until.is_none_or(|until| until <= now)
    }

    /// Waits in the line, and then for the turn.
    async fn turn(self: Arc<Self>) -> Place {
        let _head = self.head.acquire().await.expect("no line is ever closed");
        loop {
            match self.try_take(Instant::now()) {
                Ok(()) => return Place { pace: Arc::clone(&self), counts: false },
                // A turn that was given back before we wait is kept for us.
                Err(Some(at)) => tokio::select! {
                    () = self.freed.notified() => {}
                    () = sleep_until(at) => {}
                },
                Err(None) => self.freed.notified().await,
            }
        }
    }

    /// Takes a turn, or says when the next one comes; `None` if that is for those to say who have theirs.
    fn try_take(&self, now: Instant) -> Result<(), Option<Instant>> {
        let mut book = self.book();
        while book.answered.front().is_some_and(|&at| at + self.window <= now) {
            book.answered.pop_front();
        }
        if let Some(until) = book.rests_until.filter(|&until| until > now) {
            return Err(Some(until));
        }
        if book.under_way + book.answered.len() < self.messages_max.load(Ordering::Relaxed) {
            book.under_way += 1;
            return Ok(());
        }
        Err(book.answered.front().map(|&at| at + self.window))
    }

    fn rest(&self, asked: Option<Duration>) {
        let mut book = self.book();
        book.rest = (book.rest * 2).clamp(REST_MIN, REST_MAX);
        let rest = asked.map_or(book.rest, |asked| asked.clamp(book.rest, REST_MAX));
        let until = Instant::now() + rest;
        book.rests_until = Some(book.rests_until.map_or(until, |before| before.max(until)));
    }
}

/// One of the messages of a minute.
#[derive(Debug)]
struct Place {
    pace: Arc<Pace>,
    counts: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.pace.book();
        book.under_way -= 1;
        if self.counts {
            book.answered.push_back(Instant::now());
        }
        drop(book);
        self.pace.freed.notify_one();
    }
}

/// What one session keeps to.
#[derive(Debug, Clone)]
pub struct Pacer {
    paces: Vec<Arc<Pace>>,
    /// That of them which a provider speaks of when it puts a message off.
    mailbox: Option<Arc<Pace>>,
    patience: Duration,
}

impl Pacer {
    /// The turn of one message, first come, first served; `None` if it did not come in time.
    pub fn turn(&self) -> impl Future<Output = Option<Turn>> + Send + 'static {
        let Self { paces, mailbox: _, patience } = self.clone();
        async move {
            let waiting = async {
                let mut places = Vec::with_capacity(paces.len());
                for pace in paces {
                    places.push(pace.turn().await);
                }
                Turn { places }
            };
            timeout(patience, waiting).await.ok()
        }
    }

    /// The provider put a message off in these words. If that was for too many, all that the mailbox sends rests for a
    /// while; other mailboxes of its class do not.
    pub fn put_off(&self, words: &str) {
        // After the login no kind of credential matters any more.
        if classify(words, Protocol::Submission, CredentialKind::AppPassword).cause == Cause::Limited {
            self.mailbox.iter().for_each(|pace| pace.rest(backoff(words)));
        }
    }

    /// The provider took a message: the next rest is a short one again.
    pub fn taken(&self) {
        self.mailbox.iter().for_each(|pace| pace.book().rest = Duration::ZERO);
    }
}

/// The turn of one message, until it is dropped. Where nothing of the message went on it does not count.
#[derive(Debug)]
pub struct Turn {
    places: Vec<Place>,
}

impl Turn {
    /// Some of the message went on: from its end it counts.
    pub fn began(&mut self) {
        self.places.iter_mut().for_each(|place| place.counts = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn pacer(paces: &Paces, messages: u32, patience: Duration) -> Pacer {
        paces.pacer(Some(("lab", "a@x.test", messages)), None, MINUTE, patience).unwrap()
    }

    async fn send(pacer: &Pacer) {
        pacer.turn().await.unwrap().began();
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_within_any_minute() {
        let (paces, start) = (Paces::default(), Instant::now());
        let pacer = pacer(&paces, 2, 10 * MINUTE);
        let mut answered = Vec::new();
        for seconds in [5, 20, 0, 0, 0] {
            let mut turn = pacer.turn().await.unwrap();
            turn.began();
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            drop(turn);
            answered.push(start.elapsed().as_secs());
        }
        assert_eq!(answered, [5, 25, 65, 85, 125], "each counts from its answer on");
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_first_served() {
        let paces = Paces::default();
        let first = pacer(&paces, 1, 100 * MINUTE);
        send(&first).await;
        let (order, mut tasks) = (Arc::new(Mutex::new(Vec::new())), Vec::new());
        for number in 0..5 {
            let (pacer, order) = (pacer(&paces, 1, 100 * MINUTE), Arc::clone(&order));
            let mut turn = Box::pin(pacer.turn());
            assert!(timeout(Duration::ZERO, turn.as_mut()).await.is_err());
            tasks.push(tokio::spawn(async move {
                turn.await.unwrap().began();
                order.lock().unwrap().push(number);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_loses_its_place_and_what_was_not_begun_does_not_count() {
        let paces = Paces::default();
        let pacer = pacer(&paces, 1, Duration::from_secs(10));
        let turn = pacer.turn().await.unwrap();
        assert!(pacer.turn().await.is_none(), "one is under way");
        drop(turn);
        send(&pacer).await;
        assert!(pacer.turn().await.is_none(), "the minute is not over");
        tokio::time::sleep(MINUTE).await;
        send(&pacer).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_mailbox_rests_where_the_provider_puts_it_off_all_the_same() {
        let (paces, start) = (Paces::default(), Instant::now());
        let pacer = pacer(&paces, 100, 10 * MINUTE);
        pacer.put_off("450 4.2.1 greylisted");
        send(&pacer).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "that is not about too many");
        let words = "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending";
        let mut rests = Vec::new();
        for _ in 0..7 {
            let before = Instant::now();
            pacer.put_off(words);
            send(&pacer).await;
            rests.push(before.elapsed().as_secs());
        }
        assert_eq!(rests, [2, 4, 8, 16, 32, 60, 60]);
        pacer.taken();
        let before = Instant::now();
        pacer.put_off(words);
        send(&pacer).await;
        assert_eq!(before.elapsed(), REST_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_class_has_a_pace_of_its_own_within_that_of_the_mailbox() {
        let paces = Paces::default();
        let mailbox = Some(("lab", "A@x.test", 3));
        let of = |class| paces.pacer(mailbox, class, MINUTE, Duration::from_secs(1)).unwrap();
        let (slow, other) = (of(Some(("scanners", 1))), of(None));
        send(&slow).await;
        assert!(slow.turn().await.is_none());
        send(&other).await;
        send(&other).await;
        assert!(other.turn().await.is_none());
        let same_class = paces.pacer(None, Some(("scanners", 1)), MINUTE, Duration::from_secs(1)).unwrap();
        assert!(same_class.turn().await.is_none(), "whatever the mailbox");
        assert!(paces.pacer(None, None, MINUTE, MINUTE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_mailbox_rests_and_the_others_of_its_class_do_not() {
        let (paces, class) = (Paces::default(), Some(("scanners", 100)));
        let of = |name| paces.pacer(Some(("lab", name, 100)), class, MINUTE, Duration::from_secs(1)).unwrap();
        let (limited, other) = (of("a@x.test"), of("b@x.test"));
        limited.put_off("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending");
        assert!(limited.turn().await.is_none());
        send(&other).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_gone_stands_in_no_line() {
        let paces = Paces::default();
        let pacer = pacer(&paces, 1, 10 * MINUTE);
        let held = pacer.turn().await.unwrap();
        // Both at the head of the line and behind it; and one that was told of a turn and did not live to take it.
        let mut waiting = [Box::pin(pacer.turn()), Box::pin(pacer.turn()), Box::pin(pacer.turn())];
        for turn in &mut waiting {
            assert!(timeout(Duration::ZERO, turn.as_mut()).await.is_err());
        }
        let [first, second, mut third] = waiting;
        drop(held);
        drop((first, second));
        assert!(timeout(Duration::ZERO, third.as_mut()).await.is_ok_and(|turn| turn.is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn mailboxes_that_sent_nothing_lately_are_forgotten() {
        let paces = Paces::default();
        for number in 0..SWEEP_AT * 2 {
            let name = format!("{number}@x.test");
            send(&paces.pacer(Some(("lab", &name, 1)), None, MINUTE, MINUTE).unwrap()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(paces.paces.len() <= SWEEP_AT, "{}", paces.paces.len());
    }
}

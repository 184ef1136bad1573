//! The addresses of names, as the system's resolver tells them. A login must never wait for the resolver where an answer is
//! known that may serve, and a crowd at one name must never take a thread each: the resolver holds one until it gives up, half
//! a minute where no name server answers, and the process has 512 of these for all work that blocks.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::net::lookup_host;
use tokio::time::Instant;

/// So long an answer is used without a question; after a question in vain, so long the answer before it.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// So long it is used while the next one is looked for, and where none comes: an outage of the name servers is none of ours. TLS
/// says whether who is found there is the right one.
const USED_FOR: Duration = Duration::from_secs(60 * 60);

/// What the resolver answered, for all who asked.
type Answer = Result<Arc<[SocketAddr]>, (io::ErrorKind, Arc<str>)>;

/// A look-up that is under way. Any of those who wait for it may leave: it goes on.
pub(super) type Flight = Shared<BoxFuture<'static, Answer>>;

/// Asks for the addresses of a host, with that port.
type Resolver = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Arc<[SocketAddr]>>> + Send + Sync;

/// The names that were looked up of late, by host and port: as many as upstreams have. Clones are one.
#[derive(Clone)]
pub struct Names {
    entries: Arc<Mutex<HashMap<(String, u16), Entry>>>,
    resolver: Arc<Resolver>,
}

#[derive(Debug, Default)]
struct Entry {
    known: Option<Known>,
    flight: Option<Flight>,
}

#[derive(Debug)]
struct Known {
    addresses: Arc<[SocketAddr]>,
    since: Instant,
    /// Until then nobody asks.
    fresh_until: Instant,
}

/// What is known of a name, and what will be. One of them is there.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it was, not long ago.
    pub(super) known: Option<Arc<[SocketAddr]>>,
    /// Where it is. There unless what is known needs no question.
    pub(super) flight: Option<Flight>,
}

impl Default for Names {
    /// As the system resolves them.
    fn default() -> Self {
        Self::asking(|host, port| {
            async move { lookup_host((host.as_str(), port)).await.map(Iterator::collect) }.boxed()
        })
    }
}

impl Names {
    /// As that resolves them.
    pub(super) fn asking(
        resolver: impl Fn(String, u16) -> BoxFuture<'static, io::Result<Arc<[SocketAddr]>>> + Send + Sync + 'static,
    ) -> Self {
        Self { entries: Arc::default(), resolver: Arc::new(resolver) }
    }

    /// What is known of that name has led nowhere: the next one asks.
    pub(super) fn doubt(&self, host: &str, port: u16) {
        self.with(|entries| {
            let entry = entries.get_mut(&(host.to_owned(), port));
            if let Some(known) = entry.and_then(|entry| entry.known.as_mut()) {
                known.fresh_until = Instant::now();
            }
        });
    }

    /// What is known of that name. Where it is old, or there is nothing, it is looked up from now on.
    pub(super) fn find(&self, host: &str, port: u16) -> Found {
        let (name, now) = ((host.to_owned(), port), Instant::now());
        self.with(|entries| {
            if let Some(Entry { known: Some(known), .. }) = entries.get(&name)
                && now < known.fresh_until
            {
                return Found { known: Some(Arc::clone(&known.addresses)), flight: None };
            }
            entries.retain(|_, entry| entry.flight.is_some() || entry.usable(now).is_some());
            let entry = entries.entry(name.clone()).or_default();
            let flight = entry.flight.get_or_insert_with(|| {
                let flight = self.land(name, (self.resolver)(host.to_owned(), port)).boxed().shared();
                tokio::spawn(flight.clone());
                flight
            });
            Found { flight: Some(flight.clone()), known: entry.usable(now) }
        })
    }

    /// Puts down what the look-up finds.
    fn land(
        &self,
        name: (String, u16),
        looking: BoxFuture<'static, io::Result<Arc<[SocketAddr]>>>,
    ) -> impl Future<Output = Answer> + use<> {
        let names = self.clone();
        async move {
            let answer = looking.await.map_err(|error| (error.kind(), error.to_string().into()));
            names.with(|entries| {
                let (now, host) = (Instant::now(), name.0.clone());
                let entry = entries.entry(name).or_default();
                entry.flight = None;
                match (&answer, &mut entry.known) {
                    (Ok(addresses), known) => {
                        let addresses = Arc::clone(addresses);
                        *known = Some(Known { addresses, since: now, fresh_until: now + FRESH_FOR });
                    }
                    (Err((_, error)), Some(known)) if known.age(now) < USED_FOR => {
                        known.fresh_until = now + FRESH_FOR;
                        let age_s = known.age(now).as_secs();
                        tracing::warn!(host, %error, age_s, "a name cannot be looked up; what was known of it is used");
                    }
                    (Err(_), _) => {} // whoever asked is told
                }
            });
            answer
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<(String, u16), Entry>) -> T) -> T {
        look(&mut self.entries.lock().expect("nothing panics while it holds this lock"))
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("entries", &self.entries).finish_non_exhaustive()
    }
}

impl Entry {
    fn usable(&self, now: Instant) -> Option<Arc<[SocketAddr]>> {
        let known = self.known.as_ref().filter(|known| known.age(now) < USED_FOR && !known.addresses.is_empty())?;
        Some(Arc::clone(&known.addresses))
    }
}

impl Known {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::sync::oneshot;
    use tokio::time::advance;

    use super::*;

    type Asked = UnboundedReceiver<(String, oneshot::Sender<io::Result<Arc<[SocketAddr]>>>)>;

    /// By a resolver that answers when it is told to.
    fn names() -> (Names, Asked) {
        let (asked, questions) = unbounded_channel();
        let names = Names::asking(move |host, _| {
            let (answer, answered) = oneshot::channel();
            asked.send((host, answer)).unwrap();
            async move { answered.await.unwrap() }.boxed()
        });
        (names, questions)
    }

    fn address(last: u8) -> Arc<[SocketAddr]> {
        Arc::from([SocketAddr::from(([192, 0, 2, last], 993))])
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_at_one_name_is_one_look_up() {
        let (names, mut asked) = names();
        let mut crowd: Vec<_> = (0..1000).map(|_| names.find("silent.test", 993)).collect();
        let other = names.find("other.test", 993);
        let (silent, answer) = asked.recv().await.unwrap();
        assert_eq!((silent.as_str(), asked.recv().await.unwrap().0.as_str()), ("silent.test", "other.test"));
        assert!(asked.try_recv().is_err(), "one for each name");
        crowd.drain(..900); // these have waited for long enough
        drop(other);
        answer.send(Ok(address(1))).unwrap();
        for one in crowd {
            assert!(one.known.is_none());
            assert_eq!(one.flight.unwrap().await, Ok(address(1)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_where_an_answer_is_known() {
        let (names, mut asked) = names();
        let first = names.find("mail.test", 993).flight.unwrap();
        asked.recv().await.unwrap().1.send(Ok(address(1))).unwrap();
        first.await.unwrap();
        advance(FRESH_FOR - Duration::from_millis(1)).await;
        let fresh = names.find("mail.test", 993);
        assert!(fresh.known == Some(address(1)) && fresh.flight.is_none(), "{fresh:?}");

        advance(Duration::from_millis(1)).await;
        let old = names.find("mail.test", 993);
        assert_eq!(old.known, Some(address(1)), "until there is a newer one");
        asked.recv().await.unwrap().1.send(Ok(address(2))).unwrap();
        assert_eq!(old.flight.unwrap().await, Ok(address(2)));
        let new = names.find("mail.test", 993);
        assert!(new.known == Some(address(2)) && new.flight.is_none(), "{new:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_known_serves_while_the_resolver_fails_and_not_for_ever() {
        let (names, mut asked) = names();
        let first = names.find("mail.test", 993).flight.unwrap();
        asked.recv().await.unwrap().1.send(Ok(address(1))).unwrap();
        first.await.unwrap();
        for _ in 0..5 {
            advance(USED_FOR / 6).await;
            let found = names.find("mail.test", 993);
            assert_eq!(found.known, Some(address(1)));
            asked.recv().await.unwrap().1.send(Err(io::Error::other("no server answers"))).unwrap();
            found.flight.unwrap().await.unwrap_err();
        }
        advance(USED_FOR / 6).await;
        assert_eq!(names.find("mail.test", 993).known, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_led_nowhere_is_asked_for_again() {
        let (names, mut asked) = names();
        let first = names.find("mail.test", 993).flight.unwrap();
        asked.recv().await.unwrap().1.send(Ok(address(1))).unwrap();
        first.await.unwrap();
        advance(Duration::from_secs(1)).await;
        assert!(names.find("mail.test", 993).flight.is_none());
        names.doubt("mail.test", 993);
        assert!(names.find("mail.test", 993).flight.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nobody_uses_are_forgotten() {
        let (names, mut asked) = names();
        let first = names.find("old.test", 993).flight.unwrap();
        asked.recv().await.unwrap().1.send(Ok(address(1))).unwrap();
        first.await.unwrap();
        advance(USED_FOR).await;
        let _ = names.find("new.test", 993);
        assert_eq!(names.with(|entries| entries.len()), 1);
    }
}

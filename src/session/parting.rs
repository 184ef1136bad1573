//! How sessions that are logged in leave when the process stops: each in a moment when nothing is under way, one after the other
//! over the time that there is, with a word where the protocol has one. It must never end a session in the middle of a message.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::watched::Watched;
use crate::model::Protocol;
use crate::net::{Inspector, Side};
use crate::proto::Lull;

/// How the end of such a session is called.
pub(super) const REASON: &str = "the process is being stopped, and nothing was under way";

/// Time without a byte after which nothing is taken to be under way; a quarter of all the time where that is little.
const LULL: Duration = Duration::from_secs(2);

/// The part of the time over which they are spread. The rest is for those that are busy when their turn comes.
const SPREAD: f64 = 0.75;

/// The golden ratio: multiples of it fall evenly between whole numbers, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// When all are to leave. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Parting {
    begun: Arc<OnceLock<(Instant, Duration)>>,
    drain: CancellationToken,
}

/// When one leaves, and with which words. It looks at what is relayed, and changes nothing in it.
#[derive(Debug)]
pub(super) struct Departure {
    lull: Lull,
    session: u64,
    parting: Parting,
    /// When something moved last, from the beginning of the end on.
    moved: Option<Instant>,
    waiting: Waiting,
    words: &'static [u8],
}

#[derive(Debug)]
enum Waiting {
    ForDrain(Pin<Box<WaitForCancellationFutureOwned>>),
    Until(Pin<Box<Sleep>>),
}

impl Parting {
    pub(super) fn new(drain: CancellationToken) -> Self {
        Self { begun: Arc::default(), drain }
    }

    /// All are to leave within that time from now on, once `drain` is cancelled.
    pub(super) fn begin(&self, within: Duration) {
        let _ = self.begun.set((Instant::now(), within)); // what was said first holds
    }

    pub(super) fn of(&self, session: u64, protocol: Protocol) -> Departure {
        let waiting = Waiting::ForDrain(Box::pin(self.drain.clone().cancelled_owned()));
        Departure { lull: Lull::new(protocol), session, parting: self.clone(), moved: None, waiting, words: b"" }
    }

    /// When that one's turn is, and how long it is to be silent before it leaves. Without a time, nobody has to.
    fn turn(&self, session: u64) -> Option<(Instant, Duration)> {
        let (began, within) = *self.begun.get()?;
        let lull = LULL.min(within / 4);
        let part = (session as f64 * GOLDEN).fract();
        Some((began + lull + within.saturating_sub(lull).mul_f64(SPREAD * part), lull))
    }
}

impl Departure {
    fn passes(&mut self, from: Side, bytes: &[u8]) {
        match from {
            Side::Downstream => self.lull.client_said(bytes),
            Side::Upstream => self.lull.upstream_said(bytes),
        }
        if let Some(moved) = &mut self.moved {
            *moved = Instant::now();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            match &mut self.waiting {
                Waiting::ForDrain(drain) => {
                    ready!(drain.as_mut().poll(cx));
                    let Some((turn, _)) = self.parting.turn(self.session) else { return Poll::Pending };
                    self.moved = Some(Instant::now());
                    self.waiting = Waiting::Until(Box::pin(sleep_until(turn)));
                }
                Waiting::Until(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    let Some((_, lull)) = self.parting.turn(self.session) else { return Poll::Pending };
                    let (now, calm) = (Instant::now(), self.moved.map(|moved| moved + lull));
                    if calm.is_none_or(|calm| calm <= now) && self.lull.is_calm() {
                        self.words = self.lull.goodbye();
                        return Poll::Ready(REASON);
                    }
                    let again = calm.filter(|calm| *calm > now).unwrap_or(now + lull.max(Duration::from_millis(1)));
                    sleep.as_mut().reset(again);
                }
            }
        }
    }

    fn words(&mut self, to: Side) -> &'static [u8] {
        match to {
            Side::Downstream => std::mem::take(&mut self.words),
            Side::Upstream => b"",
        }
    }
}

/// Where nobody else looks, bytes go on without it.
impl Inspector for Departure {
    const LOOKS: bool = false;

    fn take(&mut self, _: Side, _: &[u8]) {}

    fn passes(&mut self, from: Side, bytes: &[u8]) {
        Self::passes(self, from, bytes);
    }

    fn ended(&mut self, _: Side) {}

    fn has_room(&self, _: Side) -> bool {
        true
    }

    fn give(&mut self, to: Side) -> Vec<u8> {
        self.words(to).to_vec()
    }

    fn is_done(&self, _: Side) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        Self::poll(self, cx)
    }
}

/// A session that is watched, and leaves one day.
pub(super) struct WatchedDeparture<'a> {
    pub(super) watched: &'a mut Watched,
    pub(super) departure: Departure,
}

impl Inspector for WatchedDeparture<'_> {
    fn take(&mut self, from: Side, bytes: &[u8]) {
        self.departure.passes(from, bytes);
        self.watched.take(from, bytes);
    }

    fn ended(&mut self, from: Side) {
        self.watched.ended(from);
    }

    fn has_room(&self, from: Side) -> bool {
        self.watched.has_room(from)
    }

    fn give(&mut self, to: Side) -> Vec<u8> {
        let mut given = self.watched.give(to);
        given.extend_from_slice(self.departure.words(to));
        given
    }

    fn is_done(&self, to: Side) -> bool {
        self.watched.is_done(to)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        match self.watched.poll(cx) {
            Poll::Pending => self.departure.poll(cx),
            ready => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_spread_over_the_time() {
        let parting = Parting::new(CancellationToken::new());
        assert!(parting.turn(1).is_none());
        let (began, within) = (Instant::now(), Duration::from_secs(30));
        parting.begin(within);
        let mut turns: Vec<_> = (1..=300).map(|session| parting.turn(session).unwrap().0 - began).collect();
        turns.sort();
        assert!(turns[0] >= LULL && turns[299] <= within.mul_f64(0.8), "{turns:?}");
        let gaps = turns.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.max().unwrap() < Duration::from_millis(300), "none is left alone: {turns:?}");
        let some_second = turns.iter().filter(|turn| turn.as_secs() == 10).count();
        assert!((10..=20).contains(&some_second), "{some_second} in one second");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_busy_stays() {
        let drain = CancellationToken::new();
        let parting = Parting::new(drain.clone());
        let mut busy = parting.of(1, Protocol::Imap);
        let mut idle = parting.of(2, Protocol::Imap);
        Departure::passes(&mut busy, Side::Downstream, b"a APPEND x {9}\r\n");
        Departure::passes(&mut busy, Side::Upstream, b"+ go on\r\n");
        parting.begin(Duration::from_secs(8));
        drain.cancel();
        let left = std::future::poll_fn(|cx| Departure::poll(&mut idle, cx)).await;
        assert_eq!((left, idle.words(Side::Upstream)), (REASON, &b""[..]));
        assert!(idle.words(Side::Downstream).starts_with(b"* BYE [UNAVAILABLE]"));
        let waits = std::future::poll_fn(|cx| Departure::poll(&mut busy, cx));
        assert!(tokio::time::timeout(Duration::from_secs(60), waits).await.is_err());
        Departure::passes(&mut busy, Side::Downstream, b"123456789\r\nb NOOP\r\n");
        Departure::passes(&mut busy, Side::Upstream, b"a OK\r\nb OK\r\n");
        let began = Instant::now();
        std::future::poll_fn(|cx| Departure::poll(&mut busy, cx)).await;
        assert!(began.elapsed() >= Duration::from_secs(2), "it left after a silence");
    }
}

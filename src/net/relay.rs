//! The relay: copies both ways after login, in order and unmodified, and keeps half-closes.
//!
//! Buffers are taken only while bytes move. Each thread has one scratch buffer; what a blocked writer cannot take spills
//! into a buffer of its own until it can, and nothing more is read meanwhile, which is the backpressure. An idle session
//! holds no buffer at all. Where somebody is to look at what passes, an [`Inspector`] stands between reading and writing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use metrics::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::Inspector;
use super::inspector::Unwatched;

/// One read at most: as much as a connection under TLS decrypts at once ([`super::secured`]), so that nothing of it has to wait.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Reads in a row before the task lets others run.
const ROUNDS_MAX: usize = 16;

/// Time without a byte once the upstream has said that it is done: nobody is left to answer the client. The other way
/// round the answer may take its time: ten minutes after the end of a message (RFC 5321 section 4.5.3.2.6).
const UPSTREAM_CLOSED_IDLE: Duration = Duration::from_secs(60);

thread_local! {
    static SCRATCH: RefCell<Zeroizing<Vec<u8>>> = RefCell::new(Zeroizing::new(vec![0; SCRATCH_BYTES]));
}

/// Bounds of a relay.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// Time without a byte either way.
    pub idle_timeout: Duration,
    /// Time in which a side that has bytes to take takes none.
    pub stall_timeout: Duration,
    /// Time after which it ends, whatever moves; `None`: never.
    pub session_max_time: Option<Duration>,
    /// Where what moves is counted while it moves, if anywhere.
    pub tally: Option<Tally>,
    /// Where what has moved of this one relay is told while it moves, if anywhere.
    pub traffic: Option<Arc<Traffic>>,
}

/// What has moved of one relay.
#[derive(Debug, Default)]
pub struct Traffic {
    up: AtomicU64,
    down: AtomicU64,
}

impl Traffic {
    /// Bytes from the client to the provider.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes from the provider to the client.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }
}

/// Counters of bytes.
#[derive(Debug, Clone)]
pub struct Tally {
    /// From the client to the provider.
    pub up: Counter,
    /// From the provider to the client.
    pub down: Counter,
}

/// A side of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The mail client.
    Downstream,
    /// The provider.
    Upstream,
}

/// Why a relay ended.
#[derive(Debug)]
pub enum End {
    /// Both sides said that they are done; this one was first.
    Closed(Side),
    /// No byte came either way for too long.
    Idle,
    /// This side took no byte of those that it was given for too long.
    Stalled(Side),
    /// It went on for as long as a relay may.
    Expired,
    /// It was told to stop.
    Stopped,
    /// The inspector ended it, for this reason.
    Cut(&'static str),
    /// The connection of a side broke.
    Broken(Side, io::Error),
}

/// What a relay did.
#[derive(Debug)]
pub struct Relayed {
    /// Bytes from the client to the provider.
    pub bytes_up: u64,
    /// Bytes from the provider to the client.
    pub bytes_down: u64,
    /// Why it ended.
    pub end: End,
    /// Where the inspector ended it: what the client is still to be told.
    pub last_words: Zeroizing<Vec<u8>>,
}

/// Relays until both sides are done, or one breaks, or nothing moves, or `stop` is cancelled. `early_up` and
/// `early_down` came while the dialogues were still on and go first.
pub async fn relay<D, U>(
    downstream: &mut D,
    upstream: &mut U,
    early_up: Vec<u8>,
    early_down: Vec<u8>,
    options: RelayOptions,
    stop: &CancellationToken,
) -> Relayed
where
    D: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    relay_inspected(downstream, upstream, early_up, early_down, options, stop, &mut Unwatched).await
}

/// The same under the eyes of an inspector, who may also end it. Early bytes it sees like all others.
pub async fn relay_inspected<D, U, I>(
    downstream: &mut D,
    upstream: &mut U,
    early_up: Vec<u8>,
    early_down: Vec<u8>,
    options: RelayOptions,
    stop: &CancellationToken,
    inspector: &mut I,
) -> Relayed
where
    D: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    I: Inspector,
{
    let mut up = Direction::new(Side::Downstream, early_up, inspector);
    let mut down = Direction::new(Side::Upstream, early_down, inspector);
    let mut watch = Watch::new(&options);
    let mut counted = (0, 0);
    let mut first_closed = None;

    let copying = poll_fn(|cx| {
        if let Poll::Ready(reason) = inspector.poll(cx) {
            return Poll::Ready(End::Cut(reason));
        }
        let before = (up.progress(), down.progress());
        let results = (
            up.poll(cx, &mut *downstream, &mut *upstream, inspector),
            down.poll(cx, &mut *upstream, &mut *downstream, inspector),
        );
        if counted != (up.bytes, down.bytes) {
            if let Some(Tally { up: of_up, down: of_down }) = &options.tally {
                of_up.increment(up.bytes - counted.0);
                of_down.increment(down.bytes - counted.1);
            }
            if let Some(traffic) = &options.traffic {
                traffic.up.store(up.bytes, Ordering::Relaxed);
                traffic.down.store(down.bytes, Ordering::Relaxed);
            }
            counted = (up.bytes, down.bytes);
        }
        if let (Poll::Ready(Err(broken)), ..) = results {
            return Poll::Ready(broken.into_end(Side::Downstream, Side::Upstream));
        }
        if let (_, Poll::Ready(Err(broken))) = results {
            return Poll::Ready(broken.into_end(Side::Upstream, Side::Downstream));
        }
        if first_closed.is_none() {
            first_closed = match (up.read_to_end, down.read_to_end) {
                (true, _) => Some(Side::Downstream),
                (_, true) => Some(Side::Upstream),
                (false, false) => None,
            };
            if first_closed == Some(Side::Upstream) {
                watch.shorten(UPSTREAM_CLOSED_IDLE);
            }
        }
        if let (Some(side), Poll::Ready(_), Poll::Ready(_)) = (first_closed, &results.0, &results.1) {
            return Poll::Ready(End::Closed(side));
        }
        if (up.progress(), down.progress()) != before {
            watch.touch();
            if I::LOOKS {
                cx.waker().wake_by_ref(); // what came from one side may let something go on to the other
            }
        }
        watch.see(&up);
        watch.see(&down);
        watch.poll(cx)
    });

    let end = tokio::select! {
        biased;
        () = stop.cancelled() => End::Stopped,
        end = copying => end,
    };
    let last_words = match end {
        End::Cut(_) => down.take_unwritten(inspector),
        _ => Zeroizing::default(),
    };
    Relayed { bytes_up: up.bytes, bytes_down: down.bytes, end, last_words }
}

/// Which end of one direction broke.
enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

impl Broken {
    fn into_end(self, reader: Side, writer: Side) -> End {
        match self {
            Self::Reading(error) => End::Broken(reader, error),
            Self::Writing(error) => End::Broken(writer, error),
        }
    }
}

/// One direction of copying.
struct Direction {
    from: Side,
    /// Bytes read that the writer has not taken, from `spilled` on.
    spill: Zeroizing<Vec<u8>>,
    spilled: usize,
    bytes: u64,
    /// Bytes that the writer took.
    written: u64,
    /// How often the inspector gave something.
    given: u64,
    unflushed: bool,
    read_to_end: bool,
    done: bool,
}

impl Direction {
    fn new<I: Inspector>(from: Side, early: Vec<u8>, inspector: &mut I) -> Self {
        let bytes = early.len() as u64;
        let mut spill = Zeroizing::new(early);
        if I::LOOKS {
            inspector.take(from, &spill);
            spill = Zeroizing::default();
        } else {
            inspector.passes(from, &spill);
        }
        let unflushed = !spill.is_empty();
        Self { from, spill, spilled: 0, bytes, written: 0, given: 0, unflushed, read_to_end: false, done: false }
    }

    /// Grows with every byte that is read, given or written.
    fn progress(&self) -> (u64, u64, usize, bool, bool) {
        (self.bytes, self.given, self.spilled, self.spill.is_empty(), self.read_to_end)
    }

    /// Copies what can be copied now. Ready once the reader is at its end and the writer has been told.
    fn poll<R, W, I>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        inspector: &mut I,
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        I: Inspector,
    {
        for _ in 0..ROUNDS_MAX {
            if self.done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_write_spill(cx, writer))?;
            if I::LOOKS && self.take_given(inspector) {
                continue;
            }
            if self.read_to_end && inspector.is_done(self.to()) {
                ready!(Pin::new(&mut *writer).poll_shutdown(cx)).map_err(Broken::Writing)?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            let may_read = !self.read_to_end && inspector.has_room(self.from);
            if !may_read || self.poll_copy_once(cx, reader, writer, inspector)?.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(&mut *writer).poll_flush(cx)).map_err(Broken::Writing)?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref(); // more to do: after the others
        Poll::Pending
    }

    /// Whether there is something that the writer could not take.
    fn is_blocked(&self) -> bool {
        !self.done && (!self.spill.is_empty() || self.unflushed)
    }

    fn to(&self) -> Side {
        match self.from {
            Side::Downstream => Side::Upstream,
            Side::Upstream => Side::Downstream,
        }
    }

    /// Takes what the inspector gives; whether that was anything.
    fn take_given<I: Inspector>(&mut self, inspector: &mut I) -> bool {
        let given = inspector.give(self.to());
        if given.is_empty() {
            return false;
        }
        self.given += 1;
        self.unflushed = true;
        self.spill = Zeroizing::new(given);
        true
    }

    /// What the writer has not taken, and what it would be given.
    fn take_unwritten<I: Inspector>(&mut self, inspector: &mut I) -> Zeroizing<Vec<u8>> {
        let mut unwritten = Zeroizing::new(self.spill[self.spilled..].to_vec());
        unwritten.extend_from_slice(&inspector.give(self.to()));
        unwritten
    }

    fn poll_write_spill<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<Result<(), Broken>> {
        while self.spilled < self.spill.len() {
            let written = ready!(Pin::new(&mut *writer).poll_write(cx, &self.spill[self.spilled..]));
            let count = accepted(written)?;
            self.spilled += count;
            self.written += count as u64;
        }
        if !self.spill.is_empty() {
            (self.spill, self.spilled) = (Zeroizing::new(Vec::new()), 0); // gives the memory back
        }
        Poll::Ready(Ok(()))
    }

    /// One read through the scratch buffer and one write of what was read.
    fn poll_copy_once<R, W, I>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        inspector: &mut I,
    ) -> Result<Poll<()>, Broken>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        I: Inspector,
    {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(reader).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(result) => result.map_err(Broken::Reading)?,
            }
            let read = buffer.filled();
            if read.is_empty() {
                self.read_to_end = true;
                inspector.ended(self.from);
                return Ok(Poll::Ready(()));
            }
            self.bytes += read.len() as u64;
            if I::LOOKS {
                inspector.take(self.from, read);
                return Ok(Poll::Ready(()));
            }
            inspector.passes(self.from, read);
            self.unflushed = true;
            let written = match Pin::new(writer).poll_write(cx, read) {
                Poll::Pending => 0,
                Poll::Ready(result) => accepted(result)?,
            };
            self.written += written as u64;
            if written < read.len() {
                self.spill = Zeroizing::new(read[written..].to_vec());
            }
            Ok(Poll::Ready(()))
        })
    }
}

fn accepted(written: io::Result<usize>) -> Result<usize, Broken> {
    match written {
        Ok(0) => Err(Broken::Writing(io::ErrorKind::WriteZero.into())),
        other => other.map_err(Broken::Writing),
    }
}

/// Ends a relay in which nothing moves, or a side takes nothing, or that has gone on for long enough. The timer is only set
/// again when it fires or must fire earlier, not at every byte.
struct Watch {
    idle_limit: Duration,
    last: Instant,
    stall_limit: Duration,
    /// By the side that is to take something: since when it has taken none, and what it had taken by then.
    blocked: [Option<(Instant, u64)>; 2],
    end: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    fn new(options: &RelayOptions) -> Self {
        let now = Instant::now();
        let end = options.session_max_time.map(|time| now + time);
        let due = end.map_or(now + options.idle_timeout, |end| end.min(now + options.idle_timeout));
        Self {
            idle_limit: options.idle_timeout,
            last: now,
            stall_limit: options.stall_timeout,
            blocked: [None; 2],
            end,
            timer: Box::pin(tokio::time::sleep_until(due)),
        }
    }

    fn touch(&mut self) {
        self.last = Instant::now();
    }

    fn shorten(&mut self, limit: Duration) {
        self.idle_limit = self.idle_limit.min(limit);
        self.wake_by(Instant::now() + self.idle_limit);
    }

    /// Notes whether the writer of a direction is blocked.
    fn see(&mut self, direction: &Direction) {
        let since = &mut self.blocked[direction.to() as usize];
        if !direction.is_blocked() {
            *since = None;
        } else if since.is_none_or(|(_, written)| written != direction.written) {
            let now = Instant::now();
            *since = Some((now, direction.written));
            self.wake_by(now + self.stall_limit);
        }
    }

    fn wake_by(&mut self, due: Instant) {
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            for side in [Side::Downstream, Side::Upstream] {
                if self.stalls_at(side).is_some_and(|due| due <= now) {
                    return Poll::Ready(End::Stalled(side));
                }
            }
            if self.end.is_some_and(|end| end <= now) {
                return Poll::Ready(End::Expired);
            }
            let idle = self.last + self.idle_limit;
            if idle <= now {
                return Poll::Ready(End::Idle);
            }
            let others = [self.stalls_at(Side::Downstream), self.stalls_at(Side::Upstream), self.end];
            let due = others.into_iter().flatten().fold(idle, Instant::min);
            self.timer.as_mut().reset(due);
        }
    }

    fn stalls_at(&self, side: Side) -> Option<Instant> {
        self.blocked[side as usize].map(|(since, _)| since + self.stall_limit)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const OPTIONS: RelayOptions = RelayOptions {
        idle_timeout: Duration::from_secs(1800),
        stall_timeout: Duration::from_secs(300),
        session_max_time: None,
        tally: None,
        traffic: None,
    };

    struct Ends {
        client: DuplexStream,
        provider: DuplexStream,
        stop: CancellationToken,
        relay: tokio::task::JoinHandle<Relayed>,
    }

    /// A relay between two pipes that hold `pipe_bytes` each.
    fn start(pipe_bytes: usize, early_up: &[u8], early_down: &[u8]) -> Ends {
        let (client, mut downstream) = duplex(pipe_bytes);
        let (provider, mut upstream) = duplex(pipe_bytes);
        let stop = CancellationToken::new();
        let (early_up, early_down) = (early_up.to_vec(), early_down.to_vec());
        let relay = tokio::spawn({
            let stop = stop.clone();
            async move { relay(&mut downstream, &mut upstream, early_up, early_down, OPTIONS, &stop).await }
        });
        Ends { client, provider, stop, relay }
    }

    #[tokio::test]
    async fn early_bytes_go_first_and_in_order() {
        let mut ends = start(64, b"a1 SELECT INBOX\r\n", b"* 3 EXISTS\r\n");
        ends.client.write_all(b"a2 NOOP\r\n").await.unwrap();
        ends.client.shutdown().await.unwrap();
        let mut up = String::new();
        ends.provider.read_to_string(&mut up).await.unwrap();
        assert_eq!(up, "a1 SELECT INBOX\r\na2 NOOP\r\n");
        drop(ends.provider);
        let mut down = String::new();
        ends.client.read_to_string(&mut down).await.unwrap();
        assert_eq!(down, "* 3 EXISTS\r\n");
        let relayed = ends.relay.await.unwrap();
        assert_eq!((relayed.bytes_up, relayed.bytes_down), (26, 12));
        assert!(matches!(relayed.end, End::Closed(Side::Downstream)), "{:?}", relayed.end);
    }

    #[tokio::test]
    async fn a_half_close_lets_the_answer_through() {
        let mut ends = start(64, b"", b"");
        ends.client.write_all(b"QUIT\r\n").await.unwrap();
        ends.client.shutdown().await.unwrap();
        let mut up = Vec::new();
        ends.provider.read_to_end(&mut up).await.unwrap();
        ends.provider.write_all(&[b'x'; 64]).await.unwrap();
        ends.provider.shutdown().await.unwrap();
        let mut down = Vec::new();
        ends.client.read_to_end(&mut down).await.unwrap();
        assert_eq!((up.as_slice(), down.len()), (b"QUIT\r\n".as_slice(), 64));
    }

    #[tokio::test]
    async fn megabytes_arrive_whole_through_narrow_pipes_both_ways_at_once() {
        let payload: Vec<u8> = (0..1_000_003u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let ends = start(7, b"", b"");
        let (mut client_read, mut client_write) = tokio::io::split(ends.client);
        let (mut provider_read, mut provider_write) = tokio::io::split(ends.provider);
        let (mut down, mut up) = (Vec::new(), Vec::new());
        let send = |data: Vec<u8>| data;
        let (up_data, down_data) = (send(payload.clone()), send(payload.clone()));
        tokio::join!(
            async {
                client_write.write_all(&up_data).await.unwrap();
                client_write.shutdown().await.unwrap()
            },
            async {
                provider_write.write_all(&down_data).await.unwrap();
                provider_write.shutdown().await.unwrap()
            },
            async { client_read.read_to_end(&mut down).await.unwrap() },
            async { provider_read.read_to_end(&mut up).await.unwrap() },
        );
        assert!(up == payload && down == payload);
        assert_eq!(ends.relay.await.unwrap().bytes_up, payload.len() as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_bytes_put_the_end_off() {
        let started = Instant::now();
        let mut ends = start(64, b"", b"");
        tokio::time::sleep(Duration::from_secs(1700)).await;
        ends.client.write_all(b"DONE\r\n").await.unwrap();
        let relayed = ends.relay.await.unwrap();
        assert!(matches!(relayed.end, End::Idle), "{:?}", relayed.end);
        assert_eq!(started.elapsed().as_secs(), 1700 + 1800);
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_provider_is_done_the_client_has_a_minute() {
        let started = Instant::now();
        let mut ends = start(64, b"", b"");
        ends.provider.shutdown().await.unwrap();
        let relayed = ends.relay.await.unwrap();
        assert!(matches!(relayed.end, End::Idle), "{:?}", relayed.end);
        assert_eq!(started.elapsed(), UPSTREAM_CLOSED_IDLE);
        drop(ends.client);
    }

    #[tokio::test]
    async fn it_stops_when_told() {
        let ends = start(64, b"", b"");
        ends.stop.cancel();
        assert!(matches!(ends.relay.await.unwrap().end, End::Stopped));
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_takes_nothing_ends_it_however_much_the_other_says() {
        let started = Instant::now();
        let mut ends = start(16, b"", b"");
        let flood = tokio::spawn(async move {
            let (mut reading, mut writing) = tokio::io::split(ends.provider);
            let mut heard = Vec::new();
            tokio::join!(writing.write_all(&[0; 100_000]), reading.read_to_end(&mut heard)).0
        });
        // The client keeps on talking, and reads nothing.
        let talking = tokio::spawn(async move {
            while ends.client.write_all(b"NOOP\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        });
        let relayed = ends.relay.await.unwrap();
        assert!(matches!(relayed.end, End::Stalled(Side::Downstream)), "{:?}", relayed.end);
        assert_eq!(started.elapsed(), OPTIONS.stall_timeout);
        assert!(relayed.bytes_down <= 16 + SCRATCH_BYTES as u64, "nothing more is read while the writer is blocked");
        assert!(flood.await.unwrap().is_err());
        talking.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_byte_now_and_then_is_enough() {
        let mut ends = start(16, b"", b"");
        let flood = tokio::spawn(async move { ends.provider.write_all(&[0; 100]).await.map(|()| ends.provider) });
        for _ in 0..50 {
            tokio::time::sleep(OPTIONS.stall_timeout - Duration::from_secs(1)).await;
            ends.client.read_u8().await.unwrap();
        }
        ends.client.read_exact(&mut [0; 50]).await.unwrap();
        let provider = flood.await.unwrap().unwrap();
        tokio::time::sleep(OPTIONS.stall_timeout * 2).await;
        assert!(!ends.relay.is_finished(), "who has nothing to take does not stall");
        drop((provider, ends.client));
        assert!(matches!(ends.relay.await.unwrap().end, End::Closed(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_is_done_does_not_stall() {
        let mut ends = start(64, b"", b"");
        ends.client.write_all(b"a LOGOUT\r\n").await.unwrap();
        ends.client.shutdown().await.unwrap();
        tokio::time::sleep(OPTIONS.stall_timeout * 2).await;
        assert!(!ends.relay.is_finished());
        ends.stop.cancel();
        assert_eq!(ends.relay.await.unwrap().bytes_up, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_time_it_ends_whatever_moves() {
        let started = Instant::now();
        let (mut client, mut downstream) = duplex(64);
        let (_provider, mut upstream) = duplex(1 << 20);
        let options = RelayOptions { session_max_time: Some(Duration::from_secs(3600)), ..OPTIONS };
        let stop = CancellationToken::new();
        let talking = tokio::spawn(async move {
            while client.write_all(b"NOOP\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        });
        let relayed = relay(&mut downstream, &mut upstream, vec![], vec![], options, &stop).await;
        assert!(matches!(relayed.end, End::Expired), "{:?}", relayed.end);
        assert_eq!(started.elapsed().as_secs(), 3600);
        drop(downstream);
        talking.await.unwrap();
    }
}

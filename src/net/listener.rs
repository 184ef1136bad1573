//! Listening sockets and the accept loop. A failure of one connection never reaches the loop.

use std::borrow::Borrow;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::UnixDoor;

/// Connections that the kernel holds for us while we are busy; a reconnect storm fits in.
const BACKLOG: i32 = 1024;

/// Bytes of a connection that the system takes from us before they can be sent: as many as a relay moves in a few reads.
const UNSENT_BYTES: u32 = 128 * 1024;

/// How long the loop rests when the process has no more file descriptors or memory: accepting again at once would spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);

/// The log says at most once in this time that there are none.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Connections that could not be taken, for the process had no more file descriptors or memory.
const EXHAUSTIONS: &str = "locum_accept_exhausted_total";

/// When that was last, in milliseconds since [`since_start`] began to count; 0 if it never was. Descriptors belong to the
/// process as a whole, and so does this.
static EXHAUSTED: AtomicU64 = AtomicU64::new(0);

/// When the log said so last, in the same way.
static EXHAUSTION_TOLD: AtomicU64 = AtomicU64::new(0);

fn since_start() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// How long ago a connection could not be taken for want of file descriptors or memory; `None` if that never was.
pub fn exhausted_ago() -> Option<Duration> {
    let at = EXHAUSTED.load(Ordering::Relaxed);
    (at > 0).then(|| Duration::from_millis(since_start().saturating_sub(at)))
}

/// Has what is counted of listening begin at nothing.
pub fn describe_listening() {
    metrics::describe_counter!(
        EXHAUSTIONS,
        "Times that no connection could be taken, for the process had no more file descriptors or memory."
    );
    metrics::counter!(EXHAUSTIONS).increment(0);
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error("{0} is in use by another process; find it with `ss -ltnp` or choose another port")]
    InUse(SocketAddr),
    /// The process may not.
    #[error("no permission to listen on {0}; ports below 1024 need root or CAP_NET_BIND_SERVICE")]
    Denied(SocketAddr),
    /// This machine does not have the address.
    #[error("{0} is not an address of this machine")]
    NotLocal(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
}

/// Listens on an address. An IPv6 address takes IPv6 only, so that `0.0.0.0` and `[::]` can stand side by side.
///
/// # Errors
/// See [`BindError`].
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?; // a restart must not wait for TIME_WAIT
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        io::ErrorKind::PermissionDenied => BindError::Denied(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal(address),
        _ => BindError::Other(address, error),
    })
}

/// Accepts until `drain` is cancelled, and hands each connection on at once. `serve` must not block; what it does not want
/// it drops.
pub async fn accept_each(
    listener: impl Borrow<TcpListener>,
    drain: CancellationToken,
    mut serve: impl FnMut(TcpStream, SocketAddr),
) {
    let mut doorman = Doorman::new();
    while let Some((stream, peer)) = doorman.next(listener.borrow(), &drain).await {
        tune(&stream);
        serve(stream, peer);
    }
}

/// Accepts until `drain` is cancelled. A connection is served once it has a permit, and no other is accepted before that:
/// at the limit one client for each socket waits here, and the rest in the kernel's queue, where they cost nothing.
/// `serve` is given the permit and drops it last; it must not block.
pub async fn accept_loop(
    listener: impl Borrow<TcpListener>,
    permits: Arc<Semaphore>,
    drain: CancellationToken,
    mut serve: impl FnMut(TcpStream, SocketAddr, OwnedSemaphorePermit),
) {
    let serve = |stream, peer, permit| {
        tune(&stream);
        serve(stream, peer, permit);
    };
    accept_permitted(listener.borrow(), permits, drain, serve).await;
}

/// The same at a Unix socket; `serve` is given the number of the user who connected.
pub async fn accept_here(
    door: UnixDoor,
    permits: Arc<Semaphore>,
    drain: CancellationToken,
    serve: impl FnMut(UnixStream, u32, OwnedSemaphorePermit),
) {
    accept_permitted(&door, permits, drain, serve).await;
}

/// Says that to a client that was accepted a moment ago, as far as the kernel takes it at once: of a line it takes all.
pub fn say_at_once(stream: &TcpStream, words: &[u8]) {
    let _ = SockRef::from(stream).send(words); // it is closed next, whether it heard us or not
}

/// How many file descriptors the process can open beyond this one: the kernel gives out the lowest that is free, so all
/// below a new one are in use.
pub fn descriptors_beyond(newest: &impl AsRawFd) -> usize {
    use rustix::process::{Resource, getrlimit};
    let Some(limit) = getrlimit(Resource::Nofile).current else { return usize::MAX };
    let used = u64::try_from(newest.as_raw_fd()).map_or(u64::MAX, |number| number.saturating_add(1));
    usize::try_from(limit.saturating_sub(used)).unwrap_or(usize::MAX)
}

/// What connections come out of.
trait Door {
    type Stream;
    type Peer;

    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        self.accept()
    }
}

impl Door for UnixDoor {
    type Stream = UnixStream;
    type Peer = u32;

    fn next(&self) -> impl Future<Output = io::Result<(UnixStream, u32)>> + Send {
        self.accept()
    }
}

async fn accept_permitted<D: Door>(
    door: &D,
    permits: Arc<Semaphore>,
    drain: CancellationToken,
    mut serve: impl FnMut(D::Stream, D::Peer, OwnedSemaphorePermit),
) {
    let mut doorman = Doorman::new();
    while let Some((stream, peer)) = doorman.next(door, &drain).await {
        let permit = drain.run_until_cancelled(Arc::clone(&permits).acquire_owned()).await;
        let Some(Ok(permit)) = permit else { return }; // the process ends
        serve(stream, peer, permit);
    }
}

/// Takes connections out of one door, and keeps a file descriptor for the time when there are no others: with it the next
/// connection can at least be taken and closed, and its client does not wait for nothing in the kernel's queue.
struct Doorman {
    spare: Option<OwnedFd>,
}

impl Doorman {
    fn new() -> Self {
        Self { spare: spare() }
    }

    /// The next connection; `None` once `drain` is cancelled. However many cannot be taken, it does not spin.
    async fn next<D: Door>(&mut self, door: &D, drain: &CancellationToken) -> Option<(D::Stream, D::Peer)> {
        loop {
            match drain.run_until_cancelled(door.next()).await? {
                Ok(accepted) => return Some(accepted),
                Err(error) if is_exhaustion(&error) => {
                    tell_exhaustion(&error);
                    self.turn_away(door, drain).await?;
                }
                // The client gave up before we took it: a stranger can cause this at will.
                Err(error) => tracing::debug!(%error, "a connection was gone before it was accepted"),
            }
        }
    }

    /// Closes those that wait, as far as that can be done at once, and rests.
    async fn turn_away<D: Door>(&mut self, door: &D, drain: &CancellationToken) -> Option<()> {
        for _ in 0..BACKLOG {
            if self.spare.take().is_none() {
                break; // somebody else was faster the last time
            }
            let closed = tokio::time::timeout(Duration::ZERO, door.next()).await;
            let is_closed = matches!(closed, Ok(Ok(_)));
            drop(closed);
            self.spare = spare();
            if !is_closed {
                break;
            }
        }
        drain.run_until_cancelled(tokio::time::sleep(EXHAUSTED_PAUSE)).await?;
        if self.spare.is_none() {
            self.spare = spare();
        }
        Some(())
    }
}

fn spare() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}

/// Counts it, and says it now and then: whoever fills our descriptors must not fill the log.
fn tell_exhaustion(error: &io::Error) {
    let now = since_start();
    EXHAUSTED.store(now, Ordering::Relaxed);
    metrics::counter!(EXHAUSTIONS).increment(1);
    let told = EXHAUSTION_TOLD.load(Ordering::Relaxed);
    let is_due = told == 0 || Duration::from_millis(now.saturating_sub(told)) >= SAID_AGAIN_AFTER;
    if is_due && EXHAUSTION_TOLD.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        tracing::error!(%error, "cannot accept: raise the limit of open files (LimitNOFILE) or lower sessions-max");
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Settings of every connection: no Nagle delay in dialogues of short lines, and keepalive, so that a peer that
/// vanished is noticed (2 minutes of silence, then 4 probes 30 s apart) and its session does not stay for ever.
///
/// What the other side does not take is not piled up for it: without the bound Linux keeps up to 4 MiB for each of those that
/// order much and read nothing, of memory that all connections of the machine share. What is on its way is not bounded by it.
pub(super) fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(120)).with_interval(Duration::from_secs(30)).with_retries(4);
    // All only improve matters; a socket that was closed meanwhile refuses them, and the next read says so.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_said_so() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert!(matches!(error, BindError::InUse(_)), "{error}");
    }

    #[tokio::test]
    async fn a_foreign_address_is_said_so() {
        let error = bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(matches!(error, BindError::NotLocal(_)), "{error}");
    }

    #[tokio::test]
    async fn connections_are_set_up_before_they_are_served() {
        let listener = Arc::new(bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.local_addr().unwrap();
        let (taken, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let serve = move |stream, _| taken.send(stream).unwrap();
        let accepting = tokio::spawn(accept_each(listener, CancellationToken::new(), serve));
        let client = TcpStream::connect(address).await.unwrap();
        let served = seen.recv().await.unwrap();
        accepting.abort();
        let set = |socket: SockRef<'_>| {
            let keepalive = socket.keepalive().unwrap().then(|| socket.tcp_keepalive_time().unwrap());
            (socket.tcp_nodelay().unwrap(), keepalive, socket.tcp_notsent_lowat().unwrap())
        };
        assert_eq!(set(SockRef::from(&served)), (true, Some(Duration::from_secs(120)), UNSENT_BYTES));
        assert_ne!(set(SockRef::from(&client)), set(SockRef::from(&served)));
    }

    #[tokio::test]
    async fn no_connection_is_served_without_a_permit() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let permits = Arc::new(Semaphore::new(1));
        let (taken, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let drain = CancellationToken::new();
        let serve = move |stream, _, permit| {
            taken.send((stream, permit)).unwrap();
        };
        let running = tokio::spawn(accept_loop(listener, Arc::clone(&permits), drain.clone(), serve));

        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let first = seen.recv().await.unwrap();
        assert_eq!(permits.available_permits(), 0);
        assert!(seen.try_recv().is_err(), "the second client waits");
        drop(first);
        assert!(seen.recv().await.is_some());
        drain.cancel();
        running.await.unwrap();
    }
}

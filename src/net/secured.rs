//! TLS over a socket, with buffers only while bytes move: rustls' unbuffered interface, with what is received and what is sent in
//! buffers that all connections of a thread share. What waits for its turn, half a record or what the socket does not take, is the
//! connection's own, and given back as soon as it has gone. It must never leave plaintext behind in a buffer, send records in
//! another order than they were made, or show bytes that were not authenticated.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{ClientConfig, CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

/// What is received at once, with what was held of it before: four records, or the longest handshake message that rustls bears.
const INCOMING_BYTES: usize = 64 * 1024;

/// What is encrypted at once.
const PLAIN_BYTES: usize = 64 * 1024;

/// The same as records: each of 16 KiB has 29 bytes around it in TLS 1.2 and 22 in TLS 1.3, and a change of keys may go before.
const OUTGOING_BYTES: usize = PLAIN_BYTES + 1024;

thread_local! {
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; INCOMING_BYTES]);
    static OUTGOING: RefCell<Vec<u8>> = RefCell::new(vec![0; OUTGOING_BYTES]);
}

/// A connection under TLS.
pub struct Secured {
    socket: TcpStream,
    session: Session,
    /// Received, and no whole record yet.
    incoming: Vec<u8>,
    /// Decrypted and not asked for yet, from `taken` on.
    beyond: Zeroizing<Vec<u8>>,
    taken: usize,
    /// Records that the socket has not taken, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// They are the last of the handshake, and wait for what is said next.
    is_held: bool,
    /// The peer has said that no more will come, or closed its side.
    peer_is_done: bool,
    has_said_goodbye: bool,
    /// rustls has found something wrong, and must not be asked again.
    has_failed: bool,
}

enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// The half of rustls that either end is.
trait Half {
    type Data;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn agreed(&self) -> &CommonState;
}

impl Half for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn agreed(&self) -> &CommonState {
        self
    }
}

impl Half for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn agreed(&self) -> &CommonState {
        self
    }
}

/// What is to be done once the connection may carry data.
enum Job<'j> {
    Nothing,
    /// These bytes are made records, in that buffer.
    Encrypt(&'j [u8], &'j mut [u8]),
    /// The peer is told that no more will come.
    SayGoodbye,
}

/// What came of it.
#[derive(Default)]
struct Progress {
    /// Bytes received that are not needed any more.
    consumed: usize,
    /// Bytes of records in the job's buffer.
    encrypted: usize,
    is_job_done: bool,
    peer_is_done: bool,
}

/// Where plaintext goes: to whoever asks, as far as there is room, and else where it waits.
struct Sink<'s, 'b> {
    into: Option<&'s mut ReadBuf<'b>>,
    beyond: &'s mut Zeroizing<Vec<u8>>,
}

impl Sink<'_, '_> {
    fn put(&mut self, plain: &[u8]) {
        let at_once = match &mut self.into {
            // What waits already goes first.
            Some(into) if self.beyond.is_empty() => {
                let (now, _) = plain.split_at(plain.len().min(into.remaining()));
                into.put_slice(now);
                now.len()
            }
            _ => 0,
        };
        if at_once < plain.len() {
            self.beyond.extend_from_slice(&plain[at_once..]);
        }
    }
}

impl Secured {
    /// Shakes hands as a server.
    ///
    /// # Errors
    /// If the handshake fails.
    pub(super) async fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        Self::new(socket, Session::Server(session)).shake_hands().await
    }

    /// Shakes hands as a client, and verifies that the peer is `name`.
    ///
    /// # Errors
    /// If the handshake fails, or the certificate is not trusted or not for that name.
    pub(super) async fn connect(
        socket: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let session = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        Self::new(socket, Session::Client(session)).shake_hands().await
    }

    fn new(socket: TcpStream, session: Session) -> Self {
        let (incoming, outgoing) = (Vec::new(), Vec::new());
        let beyond = Zeroizing::default();
        Self {
            socket,
            session,
            incoming,
            beyond,
            taken: 0,
            outgoing,
            sent: 0,
            is_held: false,
            peer_is_done: false,
            has_said_goodbye: false,
            has_failed: false,
        }
    }

    /// The connection below.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// What was agreed on.
    pub(super) fn agreed(&self) -> &CommonState {
        match &self.session {
            Session::Client(session) => session.agreed(),
            Session::Server(session) => session.agreed(),
        }
    }

    async fn shake_hands(mut self) -> io::Result<Self> {
        poll_fn(|cx| self.poll_handshake(cx)).await?;
        Ok(self)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // As a client, who speaks first.
        self.advance_as_it_is(Job::Nothing)?;
        loop {
            if matches!(self.session, Session::Server(_)) && !self.agreed().is_handshaking() {
                // A ticket, or in TLS 1.2 the end. Our greeting follows at once, or we wait for the client: one packet less.
                self.is_held = self.sent == 0;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_send(cx))?;
            if !self.agreed().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if !ready!(self.poll_receive(cx, None))? {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof")));
            }
        }
    }

    /// Sends what is to be sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            self.sent += ready!(poll_write_some(&mut self.socket, cx, &self.outgoing[self.sent..]))?;
        }
        if !self.outgoing.is_empty() {
            (self.outgoing, self.sent) = (Vec::new(), 0); // gives the memory back
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once from the socket, and decrypts what is whole; `false` where the peer has closed its side.
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: Option<&mut ReadBuf<'_>>) -> Poll<io::Result<bool>> {
        INCOMING.with_borrow_mut(|buffer| {
            let held = self.incoming.len();
            if held == buffer.len() {
                return Poll::Ready(Err(invalid("a handshake message of more than 64 KiB")));
            }
            let mut room = ReadBuf::new(&mut buffer[held..]);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut room))?;
            let count = room.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(false));
            }
            buffer[..held].copy_from_slice(&mem::take(&mut self.incoming));
            let received = &mut buffer[..held + count];
            let advanced = self.advance(received, into, Job::Nothing);
            if let Ok(progress) = &advanced {
                self.incoming = received[progress.consumed..].to_vec();
            }
            received.fill(0); // rustls decrypts where it reads
            match advanced {
                Ok(_) => Poll::Ready(Ok(true)),
                Err(error) => {
                    let _ = self.poll_send(cx); // tells the peer why, if that can be told at once
                    Poll::Ready(Err(error))
                }
            }
        })
    }

    /// Has rustls do what it can with what is here already.
    fn advance_as_it_is(&mut self, job: Job<'_>) -> io::Result<Progress> {
        let mut incoming = mem::take(&mut self.incoming);
        let advanced = self.advance(&mut incoming, None, job);
        if let Ok(progress) = &advanced {
            incoming.drain(..progress.consumed);
        }
        self.incoming = incoming;
        advanced
    }

    fn advance(&mut self, received: &mut [u8], into: Option<&mut ReadBuf<'_>>, job: Job<'_>) -> io::Result<Progress> {
        if self.has_failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sink = Sink { into, beyond: &mut self.beyond };
        let advanced = match &mut self.session {
            Session::Client(session) => advance(session, received, sink, &mut self.outgoing, job),
            Session::Server(session) => advance(session, received, sink, &mut self.outgoing, job),
        };
        self.has_failed = advanced.is_err();
        self.peer_is_done |= advanced.as_ref().is_ok_and(|progress| progress.peer_is_done);
        advanced
    }
}

/// Has rustls process what was received, until it needs more.
fn advance<H: Half>(
    half: &mut H,
    received: &mut [u8],
    mut sink: Sink<'_, '_>,
    outgoing: &mut Vec<u8>,
    job: Job<'_>,
) -> io::Result<Progress> {
    let mut job = Some(job);
    let mut progress = Progress::default();
    loop {
        let UnbufferedStatus { mut discard, state } = half.process(&mut received[progress.consumed..]);
        let mut needs_more = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(invalid)?;
                    discard += record.discard;
                    sink.put(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut message, outgoing)?,
            // It is among what is sent before anything else.
            Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
            Ok(ConnectionState::PeerClosed) => progress.peer_is_done = true,
            Ok(ConnectionState::WriteTraffic(traffic)) => {
                needs_more = true;
                if let Some(job) = job.take() {
                    progress.is_job_done = true;
                    progress.encrypted = job.run(traffic, outgoing)?;
                }
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => needs_more = true,
            Ok(other) => return Err(invalid(format!("a state that was not asked for: {other:?}"))),
            Err(error) => {
                // The alert for the peer. Asked with nothing to say, rustls would look at what is wrong once more.
                while half.agreed().wants_write() {
                    let state = half.process(&mut received[progress.consumed..]).state;
                    let Ok(ConnectionState::EncodeTlsData(mut message)) = state else { break };
                    encode(&mut message, outgoing)?;
                }
                return Err(invalid(error));
            }
        }
        progress.consumed += discard;
        if needs_more {
            return Ok(progress);
        }
    }
}

fn encode<D>(message: &mut EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> io::Result<()> {
    let from = outgoing.len();
    if let Err(EncodeError::InsufficientSize(needed)) = message.encode(&mut []) {
        outgoing.resize(from + needed.required_size, 0);
        message.encode(&mut outgoing[from..]).map_err(io::Error::other)?;
    }
    Ok(())
}

impl Job<'_> {
    /// How many bytes of its buffer are to be sent.
    fn run<D>(self, mut traffic: WriteTraffic<'_, D>, outgoing: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Job::Nothing => Ok(0),
            Job::Encrypt(plain, records) => traffic.encrypt(plain, records).map_err(io::Error::other),
            Job::SayGoodbye => {
                let from = outgoing.len();
                if let Err(EncryptError::InsufficientSize(needed)) = traffic.queue_close_notify(&mut []) {
                    outgoing.resize(from + needed.required_size, 0);
                    let count = traffic.queue_close_notify(&mut outgoing[from..]).map_err(io::Error::other)?;
                    outgoing.truncate(from + count);
                }
                Ok(0)
            }
        }
    }
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.taken < this.beyond.len() {
            let waiting = &this.beyond[this.taken..];
            let count = waiting.len().min(buf.remaining());
            buf.put_slice(&waiting[..count]);
            this.taken += count;
            if this.taken == this.beyond.len() {
                (this.beyond, this.taken) = (Zeroizing::default(), 0); // gives the memory back
            }
            return Poll::Ready(Ok(()));
        }
        if this.has_failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if mem::take(&mut this.is_held)
            && let Poll::Ready(Err(error)) = this.poll_send(cx)
        {
            return Poll::Ready(Err(error));
        }
        let filled = buf.filled().len();
        while buf.filled().len() == filled && buf.remaining() > 0 && !this.peer_is_done {
            // The peer closed TCP without close_notify, as many do. Every protocol here frames its own messages, so nothing can
            // be cut off unseen.
            let is_open = ready!(this.poll_receive(cx, Some(buf)))?;
            this.peer_is_done |= !is_open;
            // What rustls has to say by itself, such as its part of a change of keys.
            if let Poll::Ready(Err(error)) = this.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let is_held = mem::take(&mut this.is_held);
        if !is_held {
            ready!(this.poll_send(cx))?;
        }
        OUTGOING.with_borrow_mut(|records| {
            let plain = &buf[..buf.len().min(PLAIN_BYTES)];
            let progress = this.advance_as_it_is(Job::Encrypt(plain, records))?;
            if !progress.is_job_done {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let mut records = &records[..progress.encrypted];
            // What is not sent yet was made before these.
            if this.outgoing.is_empty() {
                while let Poll::Ready(sent) = poll_write_some(&mut this.socket, cx, records) {
                    records = &records[sent?..];
                    if records.is_empty() {
                        return Poll::Ready(Ok(plain.len()));
                    }
                }
            }
            this.outgoing.extend_from_slice(records);
            if is_held && let Poll::Ready(Err(error)) = this.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Ok(plain.len()))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_said_goodbye && !this.has_failed {
            this.has_said_goodbye = true;
            this.advance_as_it_is(Job::SayGoodbye)?;
        }
        ready!(this.poll_send(cx))?;
        if this.peer_is_done {
            return Poll::Ready(Ok(())); // it is closed next, which says the same
        }
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Writes; what takes nothing has broken.
fn poll_write_some(socket: &mut TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    if bytes.is_empty() {
        return Poll::Ready(Ok(0));
    }
    match ready!(Pin::new(socket).poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        other => Poll::Ready(other),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;

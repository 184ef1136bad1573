//! The upstream: a mail server that is as cheap as one can be, in a process of its own. It takes one password for every
//! mailbox, answers what it must, and counts what really happened: handshakes, logins, bytes. It must never take another
//! password: that is how the bench knows that each subject put the provider's in the place of the client's.
//!
//! It speaks TLS 1.3 and, at other ports, none, for nginx, which knows no other upstream; it also is who nginx asks where to go.

mod imap;
mod pop3;
mod submission;
mod wire;

use std::io;
use std::net::Ipv6Addr;
use std::ops::Sub;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use locum::net::tls::{self, Pems};
use rustls::HandshakeKind;
use rustls::crypto::ring::Ticketer;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::cores::Side;
use crate::floor::{BACKLOG, listen};
use crate::load::raise_descriptors;
use crate::role::{self, Role};
use crate::stage::APP_PASSWORD;
use wire::Wire;

pub(crate) const ROLE: &str = "upstream";

/// What clients of nginx and Dovecot have for a password; those of Locum have one each. It is worth nothing.
pub(crate) const CLIENT_PASSWORD: &str = "the-clients-own";

/// What it has to know.
#[derive(Serialize, Deserialize)]
struct Order {
    certificate: String,
    key: String,
}

/// Where it listens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) imaps: u16,
    pub(crate) pop3s: u16,
    pub(crate) submissions: u16,
    /// Without TLS.
    pub(crate) imap: u16,
    pub(crate) pop3: u16,
    pub(crate) submission: u16,
    /// Where nginx asks.
    pub(crate) http: u16,
}

/// What really happened so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// TLS handshakes, and of them those that took up an earlier one.
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
    /// Logins with the right password, and with any other.
    pub(crate) logins: u64,
    pub(crate) refused: u64,
    /// Bytes of messages that it gave, and that it took.
    pub(crate) given: u64,
    pub(crate) taken: u64,
    /// Messages submitted.
    pub(crate) messages: u64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            handshakes: self.handshakes - before.handshakes,
            resumed: self.resumed - before.resumed,
            logins: self.logins - before.logins,
            refused: self.refused - before.refused,
            given: self.given - before.given,
            taken: self.taken - before.taken,
            messages: self.messages - before.messages,
        }
    }
}

/// The process.
pub(crate) struct Upstream {
    role: Role,
    pub(crate) ports: Ports,
    /// A file with its certificate, which is for `localhost`.
    pub(crate) trust: PathBuf,
}

impl Upstream {
    /// Starts it; its certificate goes into a file of that folder.
    pub(crate) fn start(folder: &Path) -> Self {
        let Pems { certificate, key } = tls::self_signed(&["localhost".to_owned()]).unwrap();
        let trust = folder.join("peers.crt");
        std::fs::write(&trust, &certificate).unwrap();
        let mut role = Role::start(ROLE, Side::Load, &Order { certificate, key: key.to_string() });
        let ports = role.answer();
        Self { role, ports, trust }
    }

    /// What happened so far.
    pub(crate) fn counts(&mut self) -> Counts {
        self.role.ask()
    }
}

/// What is counted, while it is.
#[derive(Default)]
struct Tally {
    handshakes: AtomicU64,
    resumed: AtomicU64,
    logins: AtomicU64,
    refused: AtomicU64,
    given: AtomicU64,
    taken: AtomicU64,
    messages: AtomicU64,
}

impl Tally {
    fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            handshakes: of(&self.handshakes),
            resumed: of(&self.resumed),
            logins: of(&self.logins),
            refused: of(&self.refused),
            given: of(&self.given),
            taken: of(&self.taken),
            messages: of(&self.messages),
        }
    }

    /// Whether that is a login, which is counted either way.
    fn admits(&self, mailbox: &[u8], password: &[u8]) -> bool {
        let is_one = mailbox.starts_with(b"mailbox-") && password == APP_PASSWORD.as_bytes();
        add(if is_one { &self.logins } else { &self.refused }, 1);
        is_one
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// What is spoken at a port.
#[derive(Debug, Clone, Copy)]
enum Tongue {
    Imap,
    Pop3,
    Submission,
    Http(Ports),
}

/// Serves until the process ends.
pub(crate) fn serve() {
    raise_descriptors();
    let Order { certificate, key } = role::order();
    let mut config = (*tls::server_config_from_pems(&Pems { certificate, key: Zeroizing::new(key) }).unwrap()).clone();
    config.ticketer = Ticketer::new().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let tally = Arc::<Tally>::default();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let open = |tongue, tls: Option<&TlsAcceptor>| {
            let listener = listen(0).unwrap();
            let port = listener.local_addr().unwrap().port();
            let served = (tls.cloned(), Arc::clone(&tally), tongue);
            // `localhost` is both; whoever dials it may begin with either.
            let beside = listen_beside(port).ok().map(|it| (it, served.clone()));
            for (listener, (tls, tally, tongue)) in [(listener, served)].into_iter().chain(beside) {
                tokio::spawn(accept(listener, tls, tally, tongue));
            }
            port
        };
        let [imaps, pop3s, submissions] =
            [Tongue::Imap, Tongue::Pop3, Tongue::Submission].map(|tongue| open(tongue, Some(&acceptor)));
        let [imap, pop3, submission] =
            [Tongue::Imap, Tongue::Pop3, Tongue::Submission].map(|tongue| open(tongue, None));
        let ports = Ports { imaps, pop3s, submissions, imap, pop3, submission, http: 0 };
        let ports = Ports { http: open(Tongue::Http(ports), None), ..ports };
        role::tell(&ports);
        let counted = Arc::clone(&tally);
        role::answer_each(move || counted.counts());
        std::future::pending::<()>().await;
    });
}

fn listen_beside(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v6()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv6Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG as u32)
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, tally: Arc<Tally>, tongue: Tongue) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let (tls, tally) = (tls.clone(), Arc::clone(&tally));
        // Who breaks off misses something, and says so.
        tokio::spawn(async move { serve_one(socket, tls, &tally, tongue).await.ok() });
    }
}

async fn serve_one(socket: TcpStream, tls: Option<TlsAcceptor>, tally: &Tally, tongue: Tongue) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let Some(acceptor) = tls else { return converse(Wire::over(socket), tally, tongue).await };
    let stream = acceptor.accept(socket).await?;
    add(&tally.handshakes, 1);
    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
        add(&tally.resumed, 1);
    }
    converse(Wire::over(stream), tally, tongue).await
}

async fn converse<S>(mut wire: Wire<S>, tally: &Tally, tongue: Tongue) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match tongue {
        Tongue::Imap => imap::converse(&mut wire, tally).await?,
        Tongue::Pop3 => pop3::converse(&mut wire, tally).await?,
        Tongue::Submission => submission::converse(&mut wire, tally).await?,
        Tongue::Http(ports) => submission::direct(&mut wire, ports).await?,
    }
    wire.close().await
}

//! What stands between Locum and one server of the provider, and strikes: before TLS, in it, in the dialogue, or behind so many
//! bytes of a session. It ends TLS on both sides, so that it sees where a dialogue is; with STARTTLS it is a wire that
//! reads along until TLS begins. While it is told nothing it carries every byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use locum::model::Protocol;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::provider::Identities;
use super::struck::{Slowed, Struck, befall};
use super::{Bound, Provider};
use crate::child::free_port;
use crate::endpoint::Tls;
use crate::openbao::eventually;

/// Connections that may wait to be taken.
const BACKLOG: u32 = 64;

/// Where it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Connect,
    Handshake,
    Greeting,
    /// In place of the answer to STARTTLS.
    StartTls,
    /// In place of the answer to the login, which the server has taken.
    Login,
    /// In place of the answer to a request over HTTP.
    Request,
    /// Behind so many bytes after the login, either way.
    Bytes(usize),
}

/// How it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Refuse,
    /// Takes connections and says nothing; before that, not even takes them.
    Silence,
    Reset,
    /// Says that it is done, in peace, and hears on.
    Close,
    Garbage,
    /// TLS's own words for "handshake failure".
    Alert,
    /// From here on one byte every 20 ms.
    Slow,
    OtherName,
    Expired,
    SelfSigned,
    Stranger,
    /// The server's own words for a trouble of its own.
    Say(&'static str),
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) when: When,
    pub(crate) act: Act,
}

impl Fault {
    pub(crate) const fn at(when: When, act: Act) -> Self {
        Self { when, act }
    }

    /// By when a client has its answer, before it is logged in.
    pub(crate) fn bound(self) -> Bound {
        match (self.when, self.act) {
            (When::Connect, Act::Silence) => Bound::Dial,
            (When::Handshake, Act::Silence | Act::Slow) => Bound::Handshake,
            (_, Act::Silence | Act::Slow) => Bound::Login,
            _ => Bound::AtOnce,
        }
    }
}

/// The taps before the three servers of one row.
pub(crate) struct Front([Tap; 3]);

impl Front {
    pub(super) async fn before(provider: &Provider, by_starttls: bool) -> Self {
        let mut taps = Vec::new();
        for protocol in Protocol::ALL {
            let tls = if by_starttls { Tls::Starttls } else { Tls::Implicit };
            let way = Way {
                server: Mutex::new((provider.port(protocol, tls), Arc::clone(&provider.trust))),
                identities: Arc::clone(&provider.identities),
                opaque: by_starttls,
                fault: Mutex::new(None),
            };
            taps.push(Tap::start(way).await);
        }
        Self(taps.try_into().unwrap_or_else(|_| panic!("there are three protocols")))
    }

    pub(crate) fn of(&self, protocol: Protocol) -> &Tap {
        let place = Protocol::ALL.iter().position(|it| *it == protocol).expect("all have one");
        &self.0[place]
    }

    /// From now on that befalls each of them; `None` ends it.
    pub(crate) async fn strike(&self, fault: Option<Fault>) {
        for tap in &self.0 {
            tap.strike(fault).await;
        }
    }

    /// To another provider's servers.
    pub(super) fn lead_to(&self, provider: &Provider) {
        for protocol in Protocol::ALL {
            let there = (provider.port(protocol, Tls::Implicit), Arc::clone(&provider.trust));
            *self.of(protocol).way.server.lock().unwrap() = there;
        }
    }
}

/// One of them, until it is dropped.
pub(crate) struct Tap {
    port: u16,
    way: Arc<Way>,
    addresses: Mutex<Vec<IpAddr>>,
    listening: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
    /// Ends the connections that there are.
    live: Mutex<CancellationToken>,
    stop: CancellationToken,
    _guard: DropGuard,
}

struct Way {
    /// Its port, and what trusts it.
    server: Mutex<(u16, Arc<ClientConfig>)>,
    identities: Arc<Identities>,
    opaque: bool,
    fault: Mutex<Option<Fault>>,
}

impl Tap {
    async fn start(way: Way) -> Self {
        let (stop, addresses) = (CancellationToken::new(), Mutex::new(vec![Ipv4Addr::LOCALHOST.into()]));
        let (guard, listening) = (stop.clone().drop_guard(), tokio::sync::Mutex::default());
        let live = Mutex::new(stop.child_token());
        let tap = Self { port: free_port(), way: Arc::new(way), addresses, listening, live, stop, _guard: guard };
        tap.listen().await;
        tap
    }

    /// Before a server of a Vault, which shows this identity and trusts that.
    pub(crate) async fn before_vault(server: u16, identity: Arc<ServerConfig>, trust: Arc<ClientConfig>) -> Self {
        let [other_name, expired, self_signed, stranger] = [(); 4].map(|()| Arc::clone(&identity));
        let identities = Arc::new(Identities { good: identity, other_name, expired, self_signed, stranger });
        let (server, fault) = (Mutex::new((server, trust)), Mutex::new(None));
        Self::start(Way { server, identities, opaque: false, fault }).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on it is at these addresses and no others.
    pub(crate) async fn move_to(&self, addresses: &[IpAddr]) {
        *self.addresses.lock().unwrap() = addresses.to_vec();
        self.listen().await;
    }

    /// From now on that befalls connections; `None` ends it. Connections that are there go on as they are, unless they
    /// come to where it strikes; where it is the connection that fails, they end.
    pub(crate) async fn strike(&self, fault: Option<Fault>) {
        let before = std::mem::replace(&mut *self.way.fault.lock().unwrap(), fault);
        let [was, is] = [before, fault].map(|fault| fault.is_some_and(|fault| fault.when == When::Connect));
        if is {
            // Whoever kept a connection would not notice.
            std::mem::replace(&mut *self.live.lock().unwrap(), self.stop.child_token()).cancel();
        }
        if was || is {
            self.listen().await;
        }
    }

    /// Takes connections anew, in the way of the fault.
    async fn listen(&self) {
        let mut listening = self.listening.lock().await;
        for task in listening.drain(..) {
            task.abort();
            let _ = task.await; // it was aborted
        }
        let (addresses, fault) = (self.addresses.lock().unwrap().clone(), self.way.fault());
        for address in addresses {
            let socket = bind(SocketAddr::new(address, self.port)).await;
            listening.push(match fault {
                // A port that nobody listens at, and nobody else can take.
                Some(Fault { when: When::Connect, act: Act::Refuse }) => hold(socket),
                Some(Fault { when: When::Connect, .. }) => take_nobody(socket).await,
                _ => self.take(socket.listen(BACKLOG).unwrap()),
            });
        }
    }

    fn take(&self, listener: TcpListener) -> JoinHandle<()> {
        let (way, live) = (Arc::clone(&self.way), self.live.lock().unwrap().clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let way = Arc::clone(&way);
                // It ends when either side hangs up in the middle of it: that is what most of this is for.
                tokio::spawn(live.clone().run_until_cancelled_owned(async move { drop(way.carry(socket).await) }));
            }
        })
    }
}

/// The kernel may take a moment to give back what was listened at before.
async fn bind(address: SocketAddr) -> TcpSocket {
    eventually(&format!("{address} to be free"), async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).ok().map(|()| socket)
    })
    .await
}

fn hold(what: impl Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        let _held = what;
        std::future::pending().await
    })
}

/// Connections to there are neither taken nor refused: the queue is full, and the kernel lets what comes wait.
async fn take_nobody(socket: TcpSocket) -> JoinHandle<()> {
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    for _ in 0..3 {
        if let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            filling.push(stream);
        }
    }
    hold((listener, filling))
}

impl Way {
    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap()
    }

    fn act_at(&self, when: When) -> Option<Act> {
        self.fault().filter(|fault| fault.when == when).map(|fault| fault.act)
    }

    async fn carry(&self, socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut socket = Slowed::new(socket);
        let mut identity = &self.identities.good;
        if let Some(act) = self.act_at(When::Handshake) {
            match act {
                Act::OtherName => identity = &self.identities.other_name,
                Act::Expired => identity = &self.identities.expired,
                Act::SelfSigned => identity = &self.identities.self_signed,
                Act::Stranger => identity = &self.identities.stranger,
                Act::Slow => socket.slow(),
                act => {
                    let _hello = socket.read(&mut [0; 4096]).await?;
                    return befall(socket, act).await;
                }
            }
        }
        let (port, trust) = self.server.lock().unwrap().clone();
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        if self.opaque {
            let server = server.await?;
            return self.converse(socket, server).await;
        }
        let down = TlsAcceptor::from(Arc::clone(identity)).accept(socket).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let up = TlsConnector::from(trust).connect(name, server.await?).await?;
        self.converse(down, up).await
    }

    /// Carries bytes both ways until it is to strike.
    async fn converse(&self, mut down: impl Struck, mut up: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let (mut from_locum, mut from_server) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        let (mut place, mut carried) = (Place::Greeting, 0);
        loop {
            tokio::select! {
                count = up.read(&mut from_server) => {
                    let said = &from_server[..count?];
                    if said.is_empty() {
                        down.shutdown().await?;
                        tokio::io::copy(&mut down, &mut up).await?;
                        return up.shutdown().await;
                    }
                    let when = place.of_answer(said);
                    carried += if place == Place::Session { said.len() } else { 0 };
                    if let Some(act) = when.and_then(|when| self.act_at(when)).or_else(|| self.act_behind(carried)) {
                        if act != Act::Slow {
                            return befall(down, act).await;
                        }
                        down.slow();
                    }
                    down.write_all(said).await?;
                    down.flush().await?;
                }
                count = down.read(&mut from_locum) => {
                    let said = &from_locum[..count?];
                    if said.is_empty() {
                        up.shutdown().await?;
                        tokio::io::copy(&mut up, &mut down).await?;
                        return down.shutdown().await;
                    }
                    place.hear(said);
                    carried += if place == Place::Session { said.len() } else { 0 };
                    if let Some(act) = self.act_behind(carried).filter(|act| *act != Act::Slow) {
                        return befall(down, act).await;
                    }
                    up.write_all(said).await?;
                    up.flush().await?;
                }
            }
        }
    }

    fn act_behind(&self, carried: usize) -> Option<Act> {
        let fault = self.fault()?;
        matches!(fault.when, When::Bytes(most) if carried > most).then_some(fault.act)
    }
}

/// Where a dialogue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Greeting,
    Dialogue,
    StartTls,
    Login,
    Request,
    Session,
}

impl Place {
    /// Locum says something.
    fn hear(&mut self, said: &[u8]) {
        let has = |word: &str| said.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()));
        *self = match *self {
            _ if has(" HTTP/1.1\r\n") => Self::Request,
            Self::Session => Self::Session,
            _ if has("STARTTLS\r\n") || has("STLS\r\n") => Self::StartTls,
            _ if has("LOGIN ") || has("AUTHENTICATE ") || has("AUTH ") || has("PASS ") => Self::Login,
            here => here,
        };
    }

    /// The server answers: what that is the answer to.
    fn of_answer(&mut self, said: &[u8]) -> Option<When> {
        let asks_on = said.starts_with(b"+ ") || said.starts_with(b"334");
        match *self {
            Self::Greeting => {
                *self = Self::Dialogue;
                Some(When::Greeting)
            }
            Self::StartTls => {
                *self = Self::Session; // what comes under TLS is not seen
                Some(When::StartTls)
            }
            Self::Login if !asks_on => {
                *self = Self::Session;
                Some(When::Login)
            }
            Self::Request => Some(When::Request),
            Self::Dialogue | Self::Login | Self::Session => None,
        }
    }
}

//! The admin listener: its addresses, its Unix socket, its TLS, and who is let in at which.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::doors;
use super::host_name;
use super::shares::Shares;
use super::sockets::{ADMIN, Bound, Inherited, bind_each};
use crate::admin::{self, Admin, Node, NodeListener, Peer};
use crate::config::Config;
use crate::management::overview::Overview;
use crate::model::Protocol;
use crate::net::{Stream, UnixDoor, accept_here, accept_loop};
use crate::session::ListenerTls;
use crate::store;
use crate::telemetry::Metrics;

/// Time for a TLS handshake: browsers and programs are fast, and who says nothing must not keep a place.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the process says how it is, and is told what to do.
#[derive(Debug)]
pub(super) struct Face {
    pub(super) doors: Doors,
    pub(super) admin: Arc<Admin>,
    /// Read in the background while somebody looks.
    pub(super) overview: Arc<Overview>,
    pub(super) metrics: Metrics,
}

/// What it listens on.
#[derive(Debug, Default)]
pub(super) struct Doors {
    pub(super) sockets: Vec<Bound>,
    /// For this machine alone.
    unix: Option<UnixDoor>,
    /// What is shown at the sockets; as of the last reload.
    pub(super) tls: Option<Arc<ArcSwap<ServerConfig>>>,
}

impl Doors {
    /// Binds what the configuration names, and prepares its TLS.
    pub(super) fn bind(
        options: &admin::Options,
        shown: Option<Arc<ServerConfig>>,
        inherited: &mut Inherited,
        problems: &mut Vec<String>,
    ) -> Self {
        let sockets = bind_each(ADMIN, &options.bind, inherited, problems);
        let unix = options.socket.as_ref().and_then(|path| {
            let bound = match inherited.predecessor {
                Some(_) => UnixDoor::take_over(path),
                None => UnixDoor::bind(path),
            };
            let bound = bound.map_err(|error| format!("admin: {error}"));
            bound.map_err(|problem| problems.push(problem)).ok()
        });
        let tls = shown.filter(|_| options.tls);
        Self { sockets, unix, tls: tls.map(|tls| Arc::new(ArcSwap::new(tls))) }
    }

    /// Whether it listens anywhere.
    pub(super) fn are_open(&self) -> bool {
        !self.sockets.is_empty() || self.unix.is_some()
    }
}

impl Face {
    /// Begins to answer: whoever asks before `asked` is cancelled, until `kill` is.
    pub(super) fn spawn(self, background: &TaskTracker, asked: &CancellationToken, kill: &CancellationToken) {
        let Self { doors: Doors { sockets, unix, tls }, admin, overview, metrics } = self;
        let stop = kill.clone();
        background.spawn(async move { stop.run_until_cancelled(overview.run()).await });
        let stop = kill.clone();
        background.spawn(async move { metrics.keep_small(stop).await });
        let permits = Arc::new(Semaphore::new(admin::CONNECTIONS_MAX));
        let shares = Shares::default();
        for Bound { socket, .. } in sockets {
            let (admin, tls, answers, stop) = (Arc::clone(&admin), tls.clone(), background.clone(), kill.clone());
            let shares = shares.clone();
            let serve = move |stream, peer: SocketAddr, permit| {
                let Some(share) = shares.take(peer.ip()) else {
                    tracing::debug!(%peer, "an address has all the admin connections that it may have");
                    return; // it is closed
                };
                let (admin, tls, stop) = (Arc::clone(&admin), tls.clone(), stop.clone());
                answers.spawn(async move {
                    let _: Option<()> = stop.run_until_cancelled(answer(&admin, tls, stream, peer)).await;
                    drop((share, permit));
                });
            };
            background.spawn(accept_loop(socket, Arc::clone(&permits), asked.clone(), serve));
        }
        if let Some(mut door) = unix {
            if let Err(error) = door.enter() {
                tracing::error!(%error, "nobody reaches this process at its admin socket");
            }
            let (answers, stop) = (background.clone(), kill.clone());
            let own = rustix::process::getuid().as_raw();
            let names = [(own, peer_name(own)), (0, peer_name(0))];
            let serve = move |stream, user, permit| {
                let peer = names.iter().find(|(known, _)| *known == user).map(|(_, name)| name.clone());
                let (admin, stop) = (Arc::clone(&admin), stop.clone());
                answers.spawn(async move {
                    match peer {
                        Some(name) => {
                            let serving = admin.serve(stream, Peer::Process { name });
                            let _: Option<()> = stop.run_until_cancelled(serving).await;
                        }
                        None => tracing::debug!(user, "a user who is not ours connected to the admin socket"),
                    }
                    drop(permit);
                });
            };
            let permits = Arc::new(Semaphore::new(admin::CONNECTIONS_MAX));
            background.spawn(accept_here(door, permits, asked.clone(), serve));
        }
    }
}

async fn answer(admin: &Admin, tls: Option<Arc<ArcSwap<ServerConfig>>>, stream: TcpStream, peer: SocketAddr) {
    let stream = Stream::Plain(stream);
    let stream = match tls {
        None => stream,
        Some(tls) => match tokio::time::timeout(TLS_TIMEOUT, stream.accept_tls(tls.load_full())).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "no TLS with an admin connection"),
            Err(_) => return tracing::debug!(%peer, "no TLS in time with an admin connection"),
        },
    };
    admin.serve(stream, Peer::Address(peer.ip().to_canonical())).await;
}

/// `user@host`, as the command line calls who runs it.
fn peer_name(user: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    });
    format!("{}@{}", named.unwrap_or_else(|| user.to_string()), host_name())
}

/// What this process is.
pub(super) fn node(config: &Config, started: Timestamp, clients: &doors::Doors, doors: &Doors) -> Node {
    let admin = NodeListener {
        name: ADMIN.into(),
        protocol: "http",
        tls: if doors.tls.is_some() { "implicit" } else { "none" },
        addresses: doors.sockets.iter().filter_map(|it| it.socket.local_addr().ok()).collect(),
    };
    Node {
        host: host_name(),
        config: config.file.clone(),
        started,
        listeners: where_clients_come_in(clients).chain([admin]).collect(),
        store: match config.store {
            store::Options::Memory => "memory",
            store::Options::Sqlite(_) => "sqlite",
            store::Options::Vault(_) => "vault",
        },
    }
}

/// The same after a reload.
pub(super) fn node_anew(before: &Node, clients: &doors::Doors) -> Node {
    let admin = before.listeners.last().cloned();
    Node { listeners: where_clients_come_in(clients).chain(admin).collect(), ..before.clone() }
}

fn where_clients_come_in(doors: &doors::Doors) -> impl Iterator<Item = NodeListener> {
    doors.listeners().iter().map(|listener| NodeListener {
        name: listener.options.name.clone(),
        protocol: match listener.options.protocol {
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
            Protocol::Submission => "submission",
        },
        tls: match listener.options.tls {
            ListenerTls::Implicit => "implicit",
            ListenerTls::StartTls => "starttls",
            ListenerTls::None => "none",
        },
        addresses: {
            let own = doors.sockets().filter(|(name, _)| *name == listener.options.name);
            own.filter_map(|(_, socket)| socket.local_addr().ok()).collect()
        },
    })
}

//! The sockets that the process listens on: those that it was handed, by systemd or by the process before it, and those that
//! it binds itself. It must never bind beside a socket that it was handed: half of the clients would wait at the other one.

use std::net::SocketAddr;
use std::sync::Arc;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixDatagram};

use super::explain;
use crate::net;

/// What the socket is called by which a successor says that it serves.
pub(super) const PREDECESSOR: &str = "locum-predecessor";

/// Sockets that were handed to this process.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Handed>,
    /// Where to say that this process serves, if it takes another one's place.
    pub(super) predecessor: Option<UnixDatagram>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Handed {
    name: String,
    address: SocketAddr,
    socket: TcpListener,
}

/// One address of a listener, and what listens there.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    /// As the configuration has it: the port may be 0.
    pub(super) asked: SocketAddr,
    pub(super) socket: Arc<TcpListener>,
}

impl Inherited {
    /// Takes what the environment speaks of (`LISTEN_FDS`, `LISTEN_PID`); to be called once. `names` are those of
    /// `LISTEN_FDNAMES`.
    pub fn take(names: Option<&str>) -> Self {
        let mut handed = ListenFd::from_env();
        let names: Vec<&str> = names.map(|names| names.split(':').collect()).unwrap_or_default();
        let mut inherited = Self::default();
        for number in 0..handed.len() {
            let name = names.get(number).copied().unwrap_or_default();
            if let Err(error) = inherited.take_one(&mut handed, number, name) {
                inherited.problems.push(format!(
                    "socket {number} that this process was handed ({name:?}): {error}; sockets are to be streams of TCP: \
                     ListenStream= in the socket unit"
                ));
            }
        }
        inherited
    }

    fn take_one(&mut self, handed: &mut ListenFd, number: usize, name: &str) -> std::io::Result<()> {
        if name == PREDECESSOR {
            if let Some(socket) = handed.take_unix_datagram(number)? {
                socket.set_nonblocking(true)?;
                self.predecessor = Some(UnixDatagram::from_std(socket)?);
            }
            return Ok(());
        }
        if let Some(socket) = handed.take_tcp_listener(number)? {
            socket.set_nonblocking(true)?;
            let socket = TcpListener::from_std(socket)?;
            let address = socket.local_addr()?;
            self.sockets.push(Handed { name: name.to_owned(), address, socket });
        }
        Ok(())
    }

    /// The socket for that address, if it was handed over: by name and address, or else by address. Of a port that is any, by
    /// name.
    fn claim(&mut self, name: &str, asked: SocketAddr) -> Option<TcpListener> {
        let fits = |it: &Handed| it.address == asked || asked.port() == 0 && it.address.ip() == asked.ip();
        let named = self.sockets.iter().position(|it| it.name == name && fits(it));
        let found = named.or_else(|| self.sockets.iter().position(|it| it.address == asked))?;
        Some(self.sockets.remove(found).socket)
    }

    /// What was handed over and fits nothing.
    pub(super) fn leftovers(&self, problems: &mut Vec<String>) {
        problems.extend(self.problems.iter().cloned());
        problems.extend(self.sockets.iter().map(|Handed { name, address, .. }| {
            format!(
                "a socket on {address} ({name:?}) was handed to this process, and no listener binds there: take it out of \
                 the socket unit, or add the address to bind of a listener"
            )
        }));
    }
}

/// Listens on each address, or notes why not.
pub(super) fn bind_each(
    name: &str,
    addresses: &[SocketAddr],
    inherited: &mut Inherited,
    problems: &mut Vec<String>,
) -> Vec<Bound> {
    let mut sockets = Vec::new();
    for &asked in addresses {
        let socket = match inherited.claim(name, asked) {
            Some(socket) => Ok(socket),
            None => net::bind(asked),
        };
        match socket {
            Ok(socket) => sockets.push(Bound { asked, socket: Arc::new(socket) }),
            Err(error) => {
                let whose = if name == ADMIN { name.to_owned() } else { format!("listener {name}") };
                problems.push(format!("{whose}: {}", explain(&error)));
            }
        }
    }
    sockets
}

/// What the sockets of the admin listener are called.
pub(super) const ADMIN: &str = "admin";

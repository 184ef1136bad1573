//! The doors that clients come in by: an accept loop at each address. A reload opens and shuts some and has others lead to a
//! listener as it is by then; who came in stays.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::explain;
use super::sockets::{Bound, Inherited, bind_each};
use crate::net::{self, BindError, accept_each};
use crate::session::{Listener, Sessions};

/// What accept loops need.
#[derive(Debug, Clone)]
pub(super) struct Hall {
    pub(super) sessions: Arc<Sessions>,
    /// Where sessions run.
    pub(super) live: TaskTracker,
    /// Where operations do that operators asked for.
    pub(super) at_work: TaskTracker,
    /// Where accept loops do.
    pub(super) tasks: TaskTracker,
    /// Cancelled when nobody is let in any more.
    pub(super) shut: CancellationToken,
}

/// Where a door is. Of those at any free port there may be several for one listener.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    address: SocketAddr,
    any_port: Option<(String, usize)>,
}

#[derive(Debug)]
struct Door {
    socket: Arc<TcpListener>,
    listener: Arc<ArcSwap<Listener>>,
    shut: CancellationToken,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Doors {
    open: BTreeMap<Place, Door>,
    listeners: Vec<Arc<Listener>>,
}

/// What is to become of them; sockets that are new are bound already.
#[derive(Debug)]
pub(super) struct Plan {
    listeners: Vec<Arc<Listener>>,
    stay: Vec<(Place, Arc<Listener>)>,
    new: Vec<(Place, Arc<Listener>, TcpListener)>,
}

impl Doors {
    /// Binds those of these listeners; nobody is let in yet.
    pub(super) fn bind(listeners: Vec<Arc<Listener>>, inherited: &mut Inherited, problems: &mut Vec<String>) -> Self {
        let mut open = BTreeMap::new();
        for listener in &listeners {
            let bound = bind_each(&listener.options.name, &listener.options.bind, inherited, problems);
            let places = places(listener);
            for Bound { asked, socket } in bound {
                let free = places.iter().find(|it| it.address == asked && !open.contains_key(*it));
                if let Some(place) = free {
                    open.insert(place.clone(), Door::to(listener, socket));
                }
            }
        }
        Self { open, listeners }
    }

    /// The listeners that they lead to.
    pub(super) fn listeners(&self) -> &[Arc<Listener>] {
        &self.listeners
    }

    /// The name of the listener of each, and its socket.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (String, &Arc<TcpListener>)> {
        self.open.values().map(|door| (door.listener.load().options.name.clone(), &door.socket))
    }

    /// Where it listens.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.values().filter_map(|door| door.socket.local_addr().ok()).collect()
    }

    /// Lets clients in.
    pub(super) fn open(&self, hall: &Hall) {
        self.open.values().for_each(|door| door.serve(hall));
    }

    /// What is to be done for these listeners. What cannot be bound is noted; nothing has changed.
    pub(super) fn plan(&self, listeners: Vec<Arc<Listener>>, problems: &mut Vec<String>) -> Plan {
        let (mut stay, mut new) = (Vec::new(), Vec::new());
        for listener in &listeners {
            for place in places(listener) {
                if self.open.contains_key(&place) {
                    stay.push((place, Arc::clone(listener)));
                    continue;
                }
                match net::bind(place.address) {
                    Ok(socket) => new.push((place, Arc::clone(listener), socket)),
                    Err(error) => problems.push(self.why_not(&listener.options.name, place.address, &error)),
                }
            }
        }
        Plan { listeners, stay, new }
    }

    /// The kernel sees no difference between us and another process.
    fn why_not(&self, listener: &str, address: SocketAddr, error: &BindError) -> String {
        let ours = self.open.keys().find(|it| it.address.port() == address.port() && address.port() != 0);
        match (error, ours) {
            (BindError::InUse(_), Some(Place { address: ours, .. })) => format!(
                "listener {listener}: {address} overlaps with {ours}, where this process listens now; take that out by a \
                 reload of its own first, or restart"
            ),
            _ => format!("listener {listener}: {}", explain(error)),
        }
    }

    /// Does what was planned.
    pub(super) fn change(&mut self, plan: Plan, hall: &Hall) {
        let Plan { listeners, stay, new } = plan;
        let mut before = std::mem::take(&mut self.open);
        self.listeners = listeners;
        for (place, listener) in stay {
            if let Some(door) = before.remove(&place) {
                door.listener.store(listener);
                self.open.insert(place, door);
            }
        }
        for (place, listener, socket) in new {
            let door = Door::to(&listener, Arc::new(socket));
            tracing::info!(listener = listener.options.name, address = %door.address(place.address), "listening");
            door.serve(hall);
            self.open.insert(place, door);
        }
        for (place, door) in before {
            let listener = door.listener.load();
            tracing::info!(listener = listener.options.name, address = %door.address(place.address), "listens no more");
            door.shut.cancel();
        }
    }
}

impl Door {
    fn to(listener: &Arc<Listener>, socket: Arc<TcpListener>) -> Self {
        let listener = Arc::new(ArcSwap::new(Arc::clone(listener)));
        Self { socket, listener, shut: CancellationToken::new() }
    }

    fn address(&self, asked: SocketAddr) -> SocketAddr {
        self.socket.local_addr().unwrap_or(asked)
    }

    fn serve(&self, hall: &Hall) {
        let Hall { sessions, live, tasks, shut, .. } = hall.clone();
        let (socket, listener, own) = (Arc::clone(&self.socket), Arc::clone(&self.listener), self.shut.clone());
        let accepting = accept_each(socket, shut, move |socket, peer| {
            let listener = listener.load_full();
            let Some(arrival) = sessions.admit(&listener, socket, peer) else { return };
            let sessions = Arc::clone(&sessions);
            live.spawn(async move { sessions.serve(&listener, arrival).await });
        });
        tasks.spawn(async move {
            let _: Option<()> = own.run_until_cancelled(accepting).await;
        });
    }
}

fn places(listener: &Listener) -> Vec<Place> {
    let name = &listener.options.name;
    let place = |(number, &address): (usize, &SocketAddr)| Place {
        address,
        any_port: (address.port() == 0).then(|| (name.clone(), number)),
    };
    listener.options.bind.iter().enumerate().map(place).collect()
}

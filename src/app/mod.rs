//! Floor 4: the process. Config in, everything built and bound, then running until it is told to stop. Nothing else
//! spawns tasks.
//!
//! - `build`: the configuration becomes an [`App`]. `serve`: it runs. `drain`: it ends.
//! - `listeners`, `sockets`, `doors`: where clients come in, and by what. `face`: where operators do; `shares`: how many of one address.
//! - `reload`: the configuration is read again. `successor`: an upgrade. `notify`: what the service manager is told.

mod build;
mod certificates;
mod collector;
mod doors;
mod drain;
mod face;
mod keeping;
mod limits;
mod listeners;
mod notify;
mod operating;
mod problems;
mod reload;
mod serve;
mod shares;
mod sockets;
mod successor;
mod watching;
mod webhook;
mod windows;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UnixDatagram;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{Reload, ReloadRequest, Stage, WatchedStore};
use crate::audit::Audit;
use crate::broker::Shared;
use crate::credential::oauth2::Tokens;
use crate::net::Https;
use crate::rotation::{SeenWriter, TicketKeeper, UsageWriter};
use crate::session::Sessions;
use crate::store::{News, Upkeep};
use crate::telemetry::Traces;
use crate::usage::Ledger;

pub use build::Start;
use face::Face;
pub use limits::{forbid_core_dumps, lock_memory};
pub use problems::Problems;
pub(crate) use problems::{explain, note, note_all};
use reload::Holding;
pub use reload::Source;
use sockets::ADMIN;
pub use sockets::Inherited;
pub use successor::Succession;
pub use webhook::Webhook;
pub(crate) use windows::ends_of_windows;
pub use windows::windows;

/// The process, ready to run.
#[derive(Debug)]
pub struct App {
    holding: Holding,
    sessions: Arc<Sessions>,
    live: TaskTracker,
    at_work: TaskTracker,
    ledger: Ledger,
    news: News,
    upkeep: Upkeep,
    tokens: Arc<Tokens>,
    shared: Option<Arc<Shared>>,
    usage: UsageWriter,
    seen: SeenWriter,
    ticket_keeper: TicketKeeper,
    store: Option<WatchedStore>,
    admin: Option<Face>,
    https: Https,
    traces: Option<Traces>,
    stage: watch::Sender<Stage>,
    orders: Orders,
    reloads: mpsc::Receiver<ReloadRequest>,
    upgrades: mpsc::Receiver<()>,
    succession: Option<Succession>,
    predecessor: Option<UnixDatagram>,
    drain: CancellationToken,
    kill: CancellationToken,
}

/// What a running process can be told. Nothing is waited for: what came of it stands in the log and the audit.
#[derive(Debug, Clone)]
pub struct Orders {
    reload: Reload,
    upgrade: mpsc::Sender<()>,
}

impl Orders {
    /// Has the configuration read again in that name.
    pub fn reload(&self, author: &str) {
        self.reload.order(author);
    }

    /// Has the program begun again, as it is on the disk by now, and take this process's place.
    pub fn upgrade(&self) {
        let _ = self.upgrade.try_send(()); // where one waits already, that is the same wish
    }
}

impl App {
    /// Where what happens is put down.
    pub fn audit(&self) -> Audit {
        self.sessions.audit().clone()
    }

    /// How it is told what to do while it runs.
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// The same, with spans sent on.
    #[must_use]
    pub fn tracing(mut self, traces: Option<Traces>) -> Self {
        self.traces = traces;
        self
    }

    /// Each listener's name and the addresses that it is bound to; the admin listener is called "admin".
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let admin = self.admin.iter().flat_map(|face| &face.doors.sockets);
        let admin = admin.map(|bound| (ADMIN.to_owned(), &bound.socket));
        let all = self.holding.doors.sockets().chain(admin);
        all.filter_map(|(name, socket)| Some((name, socket.local_addr().ok()?))).collect()
    }
}

/// The name of this host, for those who read what its nodes tell.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

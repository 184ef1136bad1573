//! Floor 4: the process. Config in, everything built and bound, then running until it is told to stop. Nothing else
//! spawns tasks.
//!
//! - `build`: the configuration becomes an [`App`]. `serve`: it runs. `listeners`, `sockets`: where clients come in.
//!   `face`: where operators do.

mod build;
mod face;
mod keeping;
mod limits;
mod listeners;
mod problems;
mod serve;
mod sockets;
mod watching;
mod webhook;
mod windows;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Stage;
use crate::audit::Audit;
use crate::credential::oauth2::Tokens;
use crate::rotation::{SeenWriter, UsageWriter};
use crate::session::{Listener, Sessions};
use crate::store::{News, Upkeep};
use crate::upstream::Upstreams;

use face::Face;
use keeping::Keeping;
pub use limits::forbid_core_dumps;
pub use problems::Problems;
pub(crate) use problems::{explain, note, note_all};
pub use webhook::Webhook;
pub use windows::windows;

/// The process, ready to run.
#[derive(Debug)]
pub struct App {
    listeners: Vec<(Arc<Listener>, Vec<TcpListener>)>,
    sessions: Arc<Sessions>,
    live: TaskTracker,
    upstreams: Arc<Upstreams>,
    news: News,
    upkeep: Upkeep,
    tokens: Arc<Tokens>,
    usage: UsageWriter,
    seen: SeenWriter,
    keeping: Keeping,
    admin: Option<Face>,
    stage: watch::Sender<Stage>,
    sessions_max: usize,
    drain_timeout: Duration,
    drain: CancellationToken,
    kill: CancellationToken,
}

impl App {
    /// Where what happens is put down.
    pub fn audit(&self) -> Audit {
        self.sessions.audit().clone()
    }

    /// Each listener's name and the addresses that it is bound to; the admin listener is called "admin".
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let listeners = self.listeners.iter().map(|(listener, sockets)| (listener.options.name.as_str(), sockets));
        let admin = self.admin.iter().map(|face| ("admin", &face.doors.sockets));
        let bound = |(name, sockets): (&str, &Vec<TcpListener>)| {
            let addresses = sockets.iter().filter_map(|socket| socket.local_addr().ok());
            addresses.map(|address| (name.to_owned(), address)).collect::<Vec<_>>()
        };
        listeners.chain(admin).flat_map(bound).collect()
    }
}

/// The name of this host, for those who read what its nodes tell.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

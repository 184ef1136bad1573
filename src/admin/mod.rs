//! Floor 4: what the process says of itself over HTTP, and how operators change things there: health and metrics for
//! machines, the HTTP API for programs, the console for people. It decides nothing: [`management`](crate::management) does.
//! It must never tell a secret, but one that was made just now, once, to who had it made.
//!
//! - [`Options`]: where it listens. [`Admin`]: answers one connection. [`Office`]: what all of it works with.
//! - `auth`: signing in. [`Peer`]: who connected. `connection`: what one may cost. [`Node`]: what this process is.
//! - `health`: `/healthz`, `/readyz`, `/metrics`, which tell no names and ask for none. `readiness`: the judgement behind them.
//!   `watched`, `gauges`: what is looked at for it.
//! - `api`: `/v1/…` and its OpenAPI document. `console`: pages. `caller`: who asks, and what they may. `problem`: why not.
//! - [`Reload`]: has the configuration read again. [`ask`](fn@ask): asks such a process how it is.

#[expect(unused_qualifications, reason = "the macros of utoipa write paths in full")]
mod api;
mod ask;
mod auth;
mod caller;
mod connection;
mod console;
mod gauges;
mod health;
mod node;
mod office;
mod problem;
mod readiness;
mod reload;
mod watched;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(debug_assertions)]
#[doc(hidden)]
pub use api::fuzzing;
pub use ask::{Answer, AskError, Question, ask};
pub use auth::{Auth, Peer};
pub use gauges::count_reload;
pub use node::{Node, NodeListener};
pub use office::Office;
pub use reload::{Reload, ReloadRequest, Reloaded};
pub use watched::{AuditNow, CertificateEnd, CertificateUse, Descriptors, Phase, Stage, Watched, WatchedStore};

/// Connections that are answered at once over the network, and again so many at the Unix socket, so that whoever is on the
/// machine finds a place. Some browsers, some programs, a scraper and the probes; whoever else comes waits.
pub const CONNECTIONS_MAX: usize = 64;

const HINT: &str = "there is nothing here; there are /healthz, /readyz and /metrics\n";

/// Where the process says how it is, and is told what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Addresses of this machine. None: nowhere.
    pub bind: Vec<SocketAddr>,
    /// A Unix socket, for operators on this machine.
    pub socket: Option<PathBuf>,
    /// Whether TLS is spoken at the addresses.
    pub tls: bool,
    /// Whether there is the API.
    pub api: bool,
    /// Whether there is the console.
    pub console: bool,
}

impl Options {
    /// Whether anybody can change anything there.
    pub fn is_for_operators(&self) -> bool {
        self.api || self.console
    }

    /// Whether it listens anywhere.
    pub fn listens(&self) -> bool {
        !self.bind.is_empty() || self.socket.is_some()
    }
}

/// The answers to what is asked over HTTP.
pub struct Admin {
    router: Router,
}

impl Admin {
    /// Answers by what is in that office.
    pub fn new(office: Office, options: &Options) -> Self {
        let office = Arc::new(office);
        let metrics_are_told = middleware::from_fn_with_state(Arc::clone(&office), auth::numbers);
        let mut router = health::routes().layer(metrics_are_told);
        if options.api {
            router = router.merge(api::routes(&office));
        }
        if options.console {
            router = router.merge(console::routes(&office, options.tls));
        }
        Self { router: router.fallback(nothing_here).with_state(office) }
    }

    /// Answers what is asked on a connection, until it is closed.
    pub async fn serve(&self, connection: impl AsyncRead + AsyncWrite + Unpin, peer: Peer) {
        connection::serve(self.router.clone(), connection, peer).await;
    }
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, HINT)
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

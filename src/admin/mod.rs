//! Floor 4: what the process says of itself over HTTP, and how operators change things there: health and metrics for
//! machines, the HTTP API for programs, the console for people. It decides nothing: [`management`](crate::management) does.
//! It must never tell a secret, but one that was made just now, once, to who had it made.
//!
//! - [`Options`]: where it listens. [`Admin`]: answers one connection. [`Office`]: what all of it works with.
//! - `health`: `/healthz`, `/readyz`, `/metrics`, which tell no names and ask for none. `readiness`: the judgement behind them.
//! - `api`: `/v1/…` and its OpenAPI document. `console`: pages. `caller`: who asks, and what they may. `problem`: why not.
//! - [`Reload`]: has the configuration read again. [`ask`](fn@ask): asks such a process how it is.

mod api;
mod ask;
mod caller;
mod console;
mod health;
mod office;
mod problem;
mod readiness;
mod reload;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

pub use ask::{Answer, AskError, Question, ask};
pub use health::{Phase, Stage, Watched, WatchedStore};
pub use office::Office;
pub use reload::{Reload, ReloadRequest, Reloaded};

/// Connections that are answered at once. Probes and scrapers are few, and whoever else comes waits.
pub const CONNECTIONS_MAX: usize = 16;

/// Time for one connection, which is one request: a peer that says nothing must not keep a place.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head. Probes send a few hundred.
const HEAD_BYTES_MAX: usize = 16 << 10;

const HINT: &str = "there is nothing here; there are /healthz, /readyz and /metrics\n";

/// Where the process says how it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Addresses of this machine. None: nowhere.
    pub bind: Vec<SocketAddr>,
}

/// The answers to what is asked over HTTP.
pub struct Admin {
    router: Router,
}

impl Admin {
    /// Answers by what is in that office.
    pub fn new(office: Office) -> Self {
        let office = Arc::new(office);
        let router = health::routes()
            .merge(api::routes())
            .merge(console::routes())
            .fallback(|| async { (StatusCode::NOT_FOUND, HINT) })
            .with_state(office);
        Self { router }
    }

    /// Answers one request, and closes the connection.
    pub async fn serve(&self, connection: impl AsyncRead + AsyncWrite + Unpin) {
        let serving = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(connection), TowerToHyperService::new(self.router.clone()));
        match tokio::time::timeout(CONNECTION_TIMEOUT, serving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke"),
            Err(_) => tracing::debug!("an admin connection took too long"),
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

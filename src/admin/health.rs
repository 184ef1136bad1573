//! How the process is, for probes and scrapers: that it lives, whether it is ready, what it counted. It must never tell a
//! login name or a mailbox: nobody signs in for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use tokio::sync::watch;

use super::Office;
use super::readiness::{Readiness, StoreNow};
use crate::store::{Condition, Health};

/// What is looked at to say how the process is.
pub struct Watched {
    /// What the process does.
    pub stage: watch::Receiver<Stage>,
    /// The store, where it has a state of its own.
    pub store: Option<WatchedStore>,
    /// The sessions that are open.
    pub sessions: Box<dyn Fn() -> usize + Send + Sync>,
}

/// A store that may be out of reach.
#[derive(Debug)]
pub struct WatchedStore {
    /// How it is.
    pub health: Arc<Health>,
    /// For how long what was read may be used while it does not answer.
    pub max_stale: Duration,
}

/// What the process does, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    pub(super) phase: Phase,
    pub(super) since: Timestamp,
}

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It looks at its upstreams; clients wait.
    Starting,
    /// It serves clients.
    Serving,
    /// It takes no more clients, and ends when the last is gone.
    Draining,
}

impl From<Phase> for Stage {
    /// A phase that begins now.
    fn from(phase: Phase) -> Self {
        Self { phase, since: Timestamp::now() }
    }
}

/// `/healthz`, `/readyz`, `/metrics`.
pub(super) fn routes() -> Router<Arc<Office>> {
    describe();
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(counted))
}

fn describe() {
    metrics::describe_gauge!("locum_sessions", "Sessions that are open.");
    metrics::describe_gauge!("locum_store_up", "1 if the store answers, else 0.");
    metrics::describe_gauge!(
        "locum_store_unreachable_seconds",
        metrics::Unit::Seconds,
        "For how long the store has not answered; 0 if it does."
    );
    metrics::describe_gauge!(
        "locum_store_stale_seconds",
        metrics::Unit::Seconds,
        "For how long records have been used that the store could not be asked for; 0 if none is."
    );
    metrics::describe_gauge!(
        "locum_store_token_ttl_seconds",
        metrics::Unit::Seconds,
        "The time left to this node's token for the store; +Inf if it does not expire."
    );
}

/// What is true now may not be true when it is asked again.
const NOT_STORED: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// Whether new clients should be sent here.
pub(super) fn readiness(watched: &Watched) -> Readiness {
    let store = watched.store.as_ref().map(|WatchedStore { health, max_stale }| {
        let status = health.status();
        StoreNow { condition: status.condition, lasting: status.lasting, max_stale: *max_stale }
    });
    Readiness::of(*watched.stage.borrow(), store, Timestamp::now())
}

async fn ready(State(office): State<Arc<Office>>) -> Response {
    let readiness = readiness(&office.watched);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&readiness) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json"), NOT_STORED], json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // no map in it has keys that are no strings
    }
}

async fn counted(State(office): State<Arc<Office>>) -> Response {
    set_gauges(&office.watched);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind), NOT_STORED], office.metrics.render()).into_response()
}

/// What is not counted as it happens is looked at when it is asked for.
fn set_gauges(watched: &Watched) {
    metrics::gauge!("locum_sessions").set((watched.sessions)() as f64);
    let Some(status) = watched.store.as_ref().map(|store| store.health.status()) else { return };
    let is_up = status.condition == Condition::Up;
    let unreachable = if is_up { Duration::ZERO } else { status.lasting };
    metrics::gauge!("locum_store_up").set(f64::from(u8::from(is_up)));
    metrics::gauge!("locum_store_unreachable_seconds").set(unreachable.as_secs_f64());
    metrics::gauge!("locum_store_stale_seconds").set(status.stale_for.unwrap_or_default().as_secs_f64());
    match status.token_left {
        Some(left) => metrics::gauge!("locum_store_token_ttl_seconds").set(left.as_secs_f64()),
        // Who has never logged in has no token that could not expire.
        None if is_up => metrics::gauge!("locum_store_token_ttl_seconds").set(f64::INFINITY),
        None => {}
    }
}

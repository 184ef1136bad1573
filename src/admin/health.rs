//! How the process is, for probes and scrapers: that it lives, whether it is ready, what it counted. It must never tell a
//! login name or a mailbox: nobody signs in for it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use jiff::Timestamp;

use super::auth::InFull;
use super::readiness::{Now, Readiness, StoreNow};
use super::{Office, WatchedStore, gauges};
use crate::net::exhausted_ago;

/// A runtime that lives has its clock ring within that, however much it has to do.
const PULSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What it is asked to wait for.
const PULSE: Duration = Duration::from_millis(1);

/// `/healthz`, `/readyz`, `/metrics`.
pub(super) fn routes() -> Router<Arc<Office>> {
    gauges::describe();
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).route("/metrics", get(counted))
}

/// What is true now may not be true when it is asked again.
const NOT_STORED: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// That this is answered shows that a worker takes up tasks and that sockets are looked at; the wait, that the clock does.
async fn alive() -> Response {
    let began = std::time::Instant::now();
    tokio::time::sleep(PULSE).await;
    match began.elapsed() < PULSE_TIMEOUT {
        true => ([NOT_STORED], "alive\n").into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, [NOT_STORED], "the runtime is stuck\n").into_response(),
    }
}

async fn ready(State(office): State<Arc<Office>>, Extension(InFull(in_full)): Extension<InFull>) -> Response {
    let readiness = if in_full { judge(&office) } else { judge(&office).without_reasons() };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&readiness) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json"), NOT_STORED], json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // no map in it has keys that are no strings
    }
}

async fn counted(State(office): State<Arc<Office>>) -> Response {
    let readiness = judge(&office);
    gauges::set(&office);
    gauges::set_readiness(readiness.ready, readiness.degraded);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind), NOT_STORED], office.metrics.render()).into_response()
}

/// Whether new clients should be sent here.
pub(super) fn judge(office: &Office) -> Readiness {
    let watched = &office.watched;
    let store = watched.store.as_ref().map(|WatchedStore { health, max_stale }| {
        let status = health.status();
        StoreNow { condition: status.condition, lasting: status.lasting, max_stale: *max_stale }
    });
    let sessions = office.sessions.census().into_iter().map(|(.., count)| count).sum();
    let now = Now {
        stage: *watched.stage.borrow(),
        store,
        listeners: office.desk.load().listeners.len(),
        exhausted_ago: exhausted_ago(),
        sessions,
        sessions_max: office.sessions.max(),
        descriptors: (watched.descriptors)(),
        certificates: watched.certificates.load().to_vec(),
        audit: (watched.audit)(),
        shared: office.desk.load().broker.shared().map(|shared| shared.status()),
    };
    Readiness::of(now, Timestamp::now())
}

//! Floor 4: what the process says of itself over HTTP: that it lives, whether it is ready, what it counted. It must never
//! change anything, nor tell a secret, a login name or a mailbox: there is no sign-in yet, and so whoever reaches the
//! listener reads it all. `config` binds it to this machine only.
//!
//! - [`Options`]: where it listens. [`Admin`]: answers one connection. [`Watched`]: what it looks at.
//! - `readiness`: the judgement behind `/readyz`.

mod readiness;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::store::{Condition, Health};
use crate::telemetry::Metrics;
use readiness::{Readiness, StoreNow};

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
    phase: Phase,
    since: Timestamp,
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

/// The answers to what is asked over HTTP.
pub struct Admin {
    router: Router,
}

impl Admin {
    /// Tells of what is watched, and of what was counted.
    pub fn new(watched: Watched, metrics: Metrics) -> Self {
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
        let router = Router::new()
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(counted))
            .fallback(|| async { (StatusCode::NOT_FOUND, HINT) })
            .with_state(Arc::new((watched, metrics)));
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

type Shared = State<Arc<(Watched, Metrics)>>;

/// What is true now may not be true when it is asked again.
const NOT_STORED: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

async fn ready(State(shared): Shared) -> Response {
    let (watched, _) = &*shared;
    let store = watched.store.as_ref().map(|WatchedStore { health, max_stale }| {
        let status = health.status();
        StoreNow { condition: status.condition, lasting: status.lasting, max_stale: *max_stale }
    });
    let readiness = Readiness::of(*watched.stage.borrow(), store, Timestamp::now());
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&readiness) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json"), NOT_STORED], json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // no map in it has keys that are no strings
    }
}

async fn counted(State(shared): Shared) -> Response {
    let (watched, metrics) = &*shared;
    set_gauges(watched);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind), NOT_STORED], metrics.render()).into_response()
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::telemetry;

    /// Far more than any answer.
    const ROOM: usize = 1 << 20;

    fn unreached() -> Admin {
        let (_, stage) = watch::channel(Phase::Serving.into());
        let store = Some(WatchedStore { health: Arc::default(), max_stale: Duration::from_secs(60) });
        Admin::new(Watched { stage, store, sessions: Box::new(|| 3) }, telemetry::metrics())
    }

    async fn rest(mut connection: DuplexStream) -> String {
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        text
    }

    async fn answer(admin: &Admin, request: &str) -> String {
        let (mut ours, theirs) = duplex(ROOM);
        ours.write_all(request.as_bytes()).await.unwrap();
        admin.serve(theirs).await;
        rest(ours).await
    }

    #[tokio::test]
    async fn a_store_that_was_never_reached_is_said_and_counted() {
        let admin = unreached();
        let said = answer(&admin, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\"state\":\"unreached\""), "{said}");
        let said = answer(&admin, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        for line in ["locum_sessions 3\n", "locum_store_up 0\n", "# TYPE locum_store_unreachable_seconds gauge\n"] {
            assert!(said.contains(line), "{line}{said}");
        }
        assert!(!said.contains("locum_store_token_ttl_seconds "), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_loses_the_place() {
        for begun in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\n"] {
            let (mut ours, theirs) = duplex(ROOM);
            ours.write_all(begun.as_bytes()).await.unwrap();
            let began = tokio::time::Instant::now();
            unreached().serve(theirs).await;
            assert_eq!(began.elapsed().as_secs(), CONNECTION_TIMEOUT.as_secs());
            assert_eq!(rest(ours).await, "");
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut_off() {
        let said =
            answer(&unreached(), &format!("GET /healthz HTTP/1.1\r\nx: {}", "y".repeat(2 * HEAD_BYTES_MAX))).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    }

    #[tokio::test]
    async fn each_connection_is_one_request() {
        let two = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
        let said = answer(&unreached(), &two).await;
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
        assert!(said.contains("connection: close\r\n"), "{said}");
    }
}

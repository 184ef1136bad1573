//! `/v1/node`, `/v1/reload`, `/v1/whoami`: this process, and who asks.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Json, Routes};
use crate::admin::caller::{Administering, Viewing};
use crate::admin::problem::{Answer, Problem};
use crate::admin::{NodeListener, Office, Peer, Phase, Reloaded};
use crate::model::Role;
use crate::store::Condition;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(whoami)).routes(routes!(node)).routes(routes!(reload))
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
struct WhoAmI {
    /// The operator's name; `user@host` for who came by the Unix socket.
    name: String,
    /// What they may do.
    role: Role,
    /// The id of the token; null for who came by the Unix socket.
    #[schema(required)]
    token: Option<String>,
    /// When it ends; null for never.
    #[schema(required)]
    expires: Option<Timestamp>,
    /// The address that they came from; null for the Unix socket.
    #[schema(required)]
    from: Option<String>,
}

/// What this process is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
struct Shown {
    /// The name of the host.
    host: String,
    /// The version of Locum.
    version: &'static str,
    /// `starting`, `serving` or `draining`.
    phase: &'static str,
    /// Since when it is in this phase.
    phase_since: Timestamp,
    /// Since when it runs.
    started: Timestamp,
    /// Sessions that are open.
    sessions: usize,
    /// Where clients come in, and this.
    listeners: Vec<NodeListener>,
    /// What keeps the records.
    store: StoreShown,
    /// The configuration, as it was named.
    config: String,
}

/// What keeps the records.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeStore)]
struct StoreShown {
    /// `sqlite`, `vault` or `memory`.
    kind: &'static str,
    /// `up`, or in what way not.
    state: &'static str,
    /// For how many seconds it has been so; null where that is not watched.
    #[schema(required)]
    lasting_seconds: Option<u64>,
}

/// Who asks, and what they may do.
#[utoipa::path(
    get,
    path = "/v1/whoami",
    tag = "node",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Who asks", body = WhoAmI))
)]
async fn whoami(Viewing(caller): Viewing, Extension(peer): Extension<Peer>) -> Json<WhoAmI> {
    let from = peer.address().map(|address| address.to_string());
    let crate::admin::caller::Caller { name, role, token, expires } = caller;
    Json(WhoAmI { name, role, token, expires, from })
}

/// What this process is, and how it is.
#[utoipa::path(
    get,
    path = "/v1/node",
    tag = "node",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "This process", body = Shown))
)]
async fn node(_: Viewing, State(office): State<Arc<Office>>) -> Json<Shown> {
    let (node, stage) = (office.node.load_full(), *office.watched.stage.borrow());
    let status = office.watched.store.as_ref().map(|store| store.health.status());
    let state = status.as_ref().map_or("up", |status| match status.condition {
        Condition::Up => "up",
        _ => "down",
    });
    Json(Shown {
        host: node.host.clone(),
        version: env!("CARGO_PKG_VERSION"),
        phase: match stage.phase {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Draining => "draining",
        },
        phase_since: stage.since,
        started: node.started,
        sessions: office.sessions.count(),
        listeners: node.listeners.clone(),
        store: StoreShown { kind: node.store, state, lasting_seconds: status.map(|status| status.lasting.as_secs()) },
        config: node.config.display().to_string(),
    })
}

/// Have the configuration, certificates and keys read again. No session is dropped. If anything is wrong, all of it is said
/// and nothing is changed.
#[utoipa::path(
    post,
    path = "/v1/reload",
    tag = "node",
    security(("token" = ["admin"])),
    responses((status = 200, description = "What changed", body = Reloaded))
)]
async fn reload(Administering(caller): Administering, State(office): State<Arc<Office>>) -> Answer<Json<Reloaded>> {
    let refused = |errors| {
        let detail = "the configuration was not taken over, and what was in use still is";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "this cannot be used", detail);
        Problem { errors, ..problem }
    };
    office.reload.ask(&caller.name).await.map(Json).map_err(refused)
}

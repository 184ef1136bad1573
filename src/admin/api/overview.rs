//! `/v1/overview`: how things stand in one look.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Json, Routes};
use crate::admin::caller::Viewing;
use crate::admin::problem::Answer;
use crate::admin::readiness::Readiness;
use crate::admin::{Office, health};
use crate::management::overview::Look;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(overview))
}

/// How things stand: all records as of `as_of`, and this node as of now.
#[derive(Debug, Serialize, ToSchema)]
struct Overview {
    #[serde(flatten)]
    look: Look,
    /// Sessions that are open on this node.
    sessions: usize,
    /// Whether this node takes clients, and why not, as `/readyz` has it.
    #[schema(value_type = Object)]
    readiness: Readiness,
}

/// How things stand in one look: what works, what breaks next, and what to do. All records are read for it in the background,
/// while somebody looks and not more often than every 10 s.
#[utoipa::path(
    get,
    path = "/v1/overview",
    operation_id = "overview",
    tag = "overview",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "How things stand", body = Overview))
)]
async fn overview(_: Viewing, State(office): State<Arc<Office>>) -> Answer<Json<Overview>> {
    let look = office.overview.look().await?;
    let (sessions, readiness) = (office.sessions.count(), health::judge(&office));
    Ok(Json(Overview { look, sessions, readiness }))
}

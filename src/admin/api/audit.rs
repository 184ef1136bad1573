//! `/v1/audit`: what happened, the latest first.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa_axum::routes;

use super::{Json, PageQuery, Query, Routes};
use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::problem::{Answer, Problem};
use crate::management::audit::{AuditPage, AuditQuery, search_audit};
use crate::management::{Fault, ManagementError};

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(search))
}

/// The query, of which paging is another's.
#[derive(Deserialize)]
struct Asked {
    login: Option<String>,
    account: Option<String>,
    event: Option<String>,
    outcome: Option<String>,
    peer: Option<IpAddr>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Events of the audit file of this node, the latest first.
#[utoipa::path(get, path = "/v1/audit", operation_id = "search_audit", tag = "audit", params(PageQuery, AuditQuery),
    responses((status = 200, body = AuditPage)), security(("token" = ["viewer"])))]
async fn search(
    _caller: Viewing,
    State(office): State<Arc<Office>>,
    Query(asked): Query<Asked>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<AuditPage>> {
    let Asked { login, account, event, outcome, peer, since, until } = asked;
    let query = AuditQuery { login, account, event, outcome, peer, since, until };
    let desk = office.desk.load_full();
    // It reads files.
    let looking = tokio::task::spawn_blocking(move || search_audit(&desk, query, &paging));
    let found =
        looking.await.map_err(|_| Problem::from(ManagementError::new(Fault::Broken, "the search broke off")))?;
    Ok(Json(found?))
}

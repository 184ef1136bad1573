//! `/v1/sessions`, `/v1/traces`: who is in, and what is said before login.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa_axum::routes;

use super::{Created, Json, PageQuery, Path, Query, Routes, location};
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::problem::Answer;
use crate::management::Page;
use crate::management::sessions::{self, Closed, NewTrace, SessionItem, SessionQuery, Trace};

/// Lines of a trace in one answer.
const LINES_MAX: usize = 1000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, close_all))
        .routes(routes!(close))
        .routes(routes!(list_traces, begin_trace))
        .routes(routes!(read_trace, end_trace))
}

/// The sessions that were let in on this node.
#[utoipa::path(get, path = "/v1/sessions", operation_id = "list_sessions", tag = "sessions", params(PageQuery, SessionQuery),
    responses((status = 200, body = Page<SessionItem>)), security(("token" = ["viewer"])))]
async fn list(
    _caller: Viewing,
    State(office): State<Arc<Office>>,
    Query(asked): Query<SessionsAsked>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<Page<SessionItem>>> {
    let query = SessionQuery { login: asked.login, account: asked.account };
    Ok(Json(sessions::list_sessions(&office.sessions, &query, &paging)?))
}

/// The query of a list, of which paging is another's.
#[derive(Deserialize)]
struct SessionsAsked {
    login: Option<String>,
    account: Option<String>,
}

/// Ends all sessions of a login or an account.
#[utoipa::path(delete, path = "/v1/sessions", operation_id = "close_sessions", tag = "sessions", params(SessionQuery),
    responses((status = 200, body = Closed)), security(("token" = ["operator"])))]
async fn close_all(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Query(query): Query<SessionQuery>,
) -> Answer<Json<Closed>> {
    Ok(Json(sessions::close_sessions(&office.sessions, &query, &caller.name)?))
}

/// Ends a session.
#[utoipa::path(delete, path = "/v1/sessions/{id}", operation_id = "close_session", tag = "sessions", params(("id" = u64, Path, description = "Its number.")),
    responses((status = 204, description = "It is ended.")), security(("token" = ["operator"])))]
async fn close(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(id): Path<u64>,
) -> Answer<StatusCode> {
    sessions::close_session(&office.sessions, id, &caller.name)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The traces that run on this node, or ran of late, without their lines.
#[utoipa::path(get, path = "/v1/traces", operation_id = "list_traces", tag = "sessions", responses((status = 200, body = Page<Trace>)),
    security(("token" = ["operator"])))]
async fn list_traces(_caller: Operating, State(office): State<Arc<Office>>) -> Json<Page<Trace>> {
    Json(sessions::list_traces(&office.sessions))
}

/// Begins a trace of the dialogues of a login, an address or a listener.
#[utoipa::path(post, path = "/v1/traces", operation_id = "begin_trace", tag = "sessions", request_body = NewTrace,
    responses((status = 201, body = Trace)), security(("token" = ["operator"])))]
async fn begin_trace(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Json(wish): Json<NewTrace>,
) -> Answer<Created<Trace>> {
    let body = sessions::begin_trace(&office.sessions, wish, &caller.name)?;
    Ok(Created { location: location("traces", &body.id), body })
}

/// Behind which line.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// The number of the last line that the reader has.
    after: Option<u64>,
}

/// A trace with its lines, a thousand at the most: ask again with the number of the last one until it is over.
#[utoipa::path(get, path = "/v1/traces/{id}", operation_id = "read_trace", tag = "sessions",
    params(("id" = String, Path, description = "Its id."), Behind),
    responses((status = 200, body = Trace)), security(("token" = ["operator"])))]
async fn read_trace(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
    Query(Behind { after }): Query<Behind>,
) -> Answer<Json<Trace>> {
    let after = after.unwrap_or_default();
    Ok(Json(sessions::read_trace(&office.sessions, &id, after, LINES_MAX, &caller.name)?))
}

/// Ends and forgets a trace.
#[utoipa::path(delete, path = "/v1/traces/{id}", operation_id = "end_trace", tag = "sessions",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 204, description = "It is ended.")), security(("token" = ["operator"])))]
async fn end_trace(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    sessions::end_trace(&office.sessions, &id, &caller.name)?;
    Ok(StatusCode::NO_CONTENT)
}

//! `/v1/operators`: who may sign in, and to what.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::idempotency::HoldsSecret;
use super::{Created, Json, PageQuery, Path, Query, Routes, location};
use crate::admin::Office;
use crate::admin::caller::Administering;
use crate::admin::problem::Answer;
use crate::management::Page;
use crate::management::operators::{self, Changes, Issued, New, NewToken, Shown};

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, revoke))
        .routes(routes!(add_token))
        .routes(routes!(revoke_token))
}

/// Whether it is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Meant {
    /// Do it even if nobody with the role admin is left.
    #[serde(default)]
    #[param(required = false)]
    even_last_admin: bool,
}

/// All operators, in parts.
#[utoipa::path(
    get,
    path = "/v1/operators",
    operation_id = "list_operators",
    tag = "operators",
    params(PageQuery),
    security(("token" = ["admin"])),
    responses((status = 200, description = "Operators", body = Page<Shown>))
)]
async fn list(
    Administering(caller): Administering,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<Page<Shown>>> {
    Ok(Json(operators::list(&office.desk_of(&caller), &paging).await?))
}

/// Make an operator with a first token, which is told once.
#[utoipa::path(
    post,
    path = "/v1/operators",
    operation_id = "add_operator",
    tag = "operators",
    request_body = New,
    security(("token" = ["admin"])),
    responses((status = 201, description = "The operator was made", body = Issued, headers(("Location", description = "The operator"))))
)]
async fn add(
    Administering(caller): Administering,
    State(office): State<Arc<Office>>,
    Json(new): Json<New>,
) -> Answer<(Extension<HoldsSecret>, Created<Issued>)> {
    let body = operators::add(&office.desk_of(&caller), &new).await?;
    Ok((Extension(HoldsSecret), Created { location: location("operators", &body.operator), body }))
}

/// One operator.
#[utoipa::path(
    get,
    path = "/v1/operators/{name}",
    operation_id = "show_operator",
    tag = "operators",
    params(("name" = String, Path, description = "The operator")),
    security(("token" = ["admin"])),
    responses((status = 200, description = "The operator", body = Shown))
)]
async fn show(
    Administering(caller): Administering,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
) -> Answer<Json<Shown>> {
    Ok(Json(operators::show(&office.desk_of(&caller), &name).await?))
}

/// Change what an operator may do.
#[utoipa::path(
    patch,
    path = "/v1/operators/{name}",
    operation_id = "change_operator",
    tag = "operators",
    params(("name" = String, Path, description = "The operator")),
    request_body = Changes,
    security(("token" = ["admin"])),
    responses((status = 200, description = "The operator", body = Shown))
)]
async fn change(
    Administering(caller): Administering,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    Json(changes): Json<Changes>,
) -> Answer<Json<Shown>> {
    Ok(Json(operators::change(&office.desk_of(&caller), &name, &changes).await?))
}

/// Revoke an operator with all tokens. They are good for nothing within 2 s, on all nodes.
#[utoipa::path(
    delete,
    path = "/v1/operators/{name}",
    operation_id = "revoke_operator",
    tag = "operators",
    params(("name" = String, Path, description = "The operator"), Meant),
    security(("token" = ["admin"])),
    responses((status = 204, description = "It is gone"))
)]
async fn revoke(
    Administering(caller): Administering,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    Query(Meant { even_last_admin }): Query<Meant>,
) -> Answer<StatusCode> {
    operators::revoke(&office.desk_of(&caller), &name, even_last_admin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give an operator one more token, which is told once.
#[utoipa::path(
    post,
    path = "/v1/operators/{name}/tokens",
    operation_id = "add_operator_token",
    tag = "operators",
    params(("name" = String, Path, description = "The operator")),
    request_body = NewToken,
    security(("token" = ["admin"])),
    responses((status = 201, description = "The token was made", body = Issued, headers(("Location", description = "The operator"))))
)]
async fn add_token(
    Administering(caller): Administering,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    Json(new): Json<NewToken>,
) -> Answer<(Extension<HoldsSecret>, Created<Issued>)> {
    let body = operators::add_token(&office.desk_of(&caller), &name, &new).await?;
    Ok((Extension(HoldsSecret), Created { location: location("operators", &body.operator), body }))
}

/// Revoke one token of an operator. It is good for nothing within 2 s, on all nodes.
#[utoipa::path(
    delete,
    path = "/v1/operators/{name}/tokens/{id}",
    operation_id = "revoke_operator_token",
    tag = "operators",
    params(("name" = String, Path, description = "The operator"), ("id" = String, Path, description = "The id of the token"), Meant),
    security(("token" = ["admin"])),
    responses((status = 204, description = "It is gone"))
)]
async fn revoke_token(
    Administering(caller): Administering,
    State(office): State<Arc<Office>>,
    Path((name, id)): Path<(String, String)>,
    Query(Meant { even_last_admin }): Query<Meant>,
) -> Answer<StatusCode> {
    operators::revoke_token(&office.desk_of(&caller), &name, &id, even_last_admin).await?;
    Ok(StatusCode::NO_CONTENT)
}

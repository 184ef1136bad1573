//! `/v1/clients`: login names, their secrets, and the accounts they may act as. A login name stands in the path with all that
//! has a meaning there escaped: `scan%2Falice`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::idempotency::HoldsSecret;
use super::{Created, Json, PageQuery, Path, Query, Routes, location};
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::problem::{Answer, Problem};
use crate::management::clients::{
    self, Add, Bind, Bound, Changed, ClientView, Import, Imported, Issue, IssuedOnce, Revoked, Set, Unbind, Unbound,
};
use crate::management::{Page, remove_damaged};
use crate::model::{AddressPattern, RecordKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, add))
        .routes(routes!(import))
        .routes(routes!(show, set, revoke))
        .routes(routes!(issue))
        .routes(routes!(revoke_secret))
        .routes(routes!(bind, unbind))
        .routes(routes!(remove_damaged_record))
}

/// All clients, in parts.
#[utoipa::path(
    get,
    path = "/v1/clients",
    operation_id = "list_clients",
    tag = "clients",
    params(PageQuery),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Clients", body = Page<ClientView>))
)]
async fn list(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<Page<ClientView>>> {
    Ok(Json(clients::list(&office.desk_of(&caller), &paging).await?))
}

/// Make a client without a secret: one to be imported, or the first that it presents.
#[utoipa::path(
    post,
    path = "/v1/clients",
    operation_id = "add_client",
    tag = "clients",
    request_body = Add,
    security(("token" = ["operator"])),
    responses((status = 201, description = "The client was made", body = Changed, headers(("Location", description = "The client"))))
)]
async fn add(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Json(add): Json<Add>,
) -> Answer<Created<Changed>> {
    let body = clients::add(&office.desk_of(&caller), add).await?;
    Ok(Created { location: location("clients", &body.client.login), body })
}

/// Take over clients with their passwords from another system, hashed or as they are. What became of each is told; the same may
/// be sent again.
#[utoipa::path(
    post,
    path = "/v1/clients:import",
    operation_id = "import_clients",
    tag = "clients",
    request_body = Import,
    security(("token" = ["operator"])),
    responses((status = 200, description = "What became of each", body = Imported))
)]
async fn import(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Json(import): Json<Import>,
) -> Answer<Json<Imported>> {
    Ok(Json(clients::import(&office.desk_of(&caller), import).await?))
}

/// One client.
#[utoipa::path(
    get,
    path = "/v1/clients/{login}",
    operation_id = "show_client",
    tag = "clients",
    params(("login" = String, Path, description = "Its login name")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The client", body = ClientView))
)]
async fn show(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
) -> Answer<Json<ClientView>> {
    Ok(Json(clients::show(&office.desk_of(&caller), &login).await?))
}

/// Change what a client may do. It holds for its open sessions, too, but for hours and the number of sessions.
#[utoipa::path(
    patch,
    path = "/v1/clients/{login}",
    operation_id = "change_client",
    tag = "clients",
    params(("login" = String, Path, description = "Its login name")),
    request_body = Set,
    security(("token" = ["operator"])),
    responses((status = 200, description = "The client as it is now", body = Changed))
)]
async fn set(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    Json(set): Json<Set>,
) -> Answer<Json<Changed>> {
    Ok(Json(clients::set(&office.desk_of(&caller), &login, set).await?))
}

/// Revoke a client with all of its secrets. Its sessions end within 2 s, on all nodes.
#[utoipa::path(
    delete,
    path = "/v1/clients/{login}",
    operation_id = "revoke_client",
    tag = "clients",
    params(("login" = String, Path, description = "Its login name")),
    security(("token" = ["operator"])),
    responses((status = 200, description = "It is out", body = Revoked))
)]
async fn revoke(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
) -> Answer<Json<Revoked>> {
    Ok(Json(clients::revoke(&office.desk_of(&caller), &login).await?))
}

/// Make a secret, and the client if it is new. The secret is in the answer, once, and nowhere else.
#[utoipa::path(
    post,
    path = "/v1/clients/{login}/secrets",
    operation_id = "issue_client_secret",
    tag = "clients",
    params(("login" = String, Path, description = "Its login name")),
    request_body = Issue,
    security(("token" = ["operator"])),
    responses((status = 201, description = "The secret", body = IssuedOnce, headers(("Location", description = "The client"))))
)]
async fn issue(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    Json(issue): Json<Issue>,
) -> Answer<Response> {
    let issued = clients::issue(&office.desk_of(&caller), &login, issue).await?;
    let location = location("clients", &issued.login);
    let headers = [(header::LOCATION, location), (header::CONTENT_TYPE, "application/json".to_owned())];
    Ok((StatusCode::CREATED, Extension(HoldsSecret), headers, issued.once().expose().to_vec()).into_response())
}

/// Revoke one secret. The sessions that came by it end within 2 s, on all nodes.
#[utoipa::path(
    delete,
    path = "/v1/clients/{login}/secrets/{id}",
    operation_id = "revoke_client_secret",
    tag = "clients",
    params(
        ("login" = String, Path, description = "Its login name"),
        ("id" = String, Path, description = "The id of the secret, as the client shows it"),
    ),
    security(("token" = ["operator"])),
    responses((status = 200, description = "It is good for nothing any more", body = Revoked))
)]
async fn revoke_secret(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path((login, id)): Path<(String, String)>,
) -> Answer<Json<Revoked>> {
    Ok(Json(clients::revoke_secret(&office.desk_of(&caller), &login, &id).await?))
}

/// Let a client act as an account, or as any mailbox that a pattern names. The client is made if it is new; a binding to the same
/// pattern takes the place of the one before.
#[utoipa::path(
    post,
    path = "/v1/clients/{login}/bindings",
    operation_id = "bind_client",
    tag = "clients",
    params(("login" = String, Path, description = "Its login name")),
    request_body = Bind,
    security(("token" = ["operator"])),
    responses((status = 200, description = "The client as it is now", body = Bound))
)]
async fn bind(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    Json(bind): Json<Bind>,
) -> Answer<Json<Bound>> {
    Ok(Json(clients::bind(&office.desk_of(&caller), &login, bind).await?))
}

/// What is to be taken from a client: one of the two.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Taken {
    /// An account.
    account: Option<String>,
    /// The mailboxes of a pattern, as the client shows it.
    mailboxes: Option<String>,
}

/// Take from a client an account, or the mailboxes of a pattern. Its sessions by that end within 2 s, on all nodes.
#[utoipa::path(
    delete,
    path = "/v1/clients/{login}/bindings",
    operation_id = "unbind_client",
    tag = "clients",
    params(("login" = String, Path, description = "Its login name"), Taken),
    security(("token" = ["operator"])),
    responses((status = 200, description = "The client as it is now", body = Unbound))
)]
async fn unbind(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    Query(Taken { account, mailboxes }): Query<Taken>,
) -> Answer<Json<Unbound>> {
    let parse =
        |text: String| text.parse::<AddressPattern>().map_err(|why| Problem::usage(format!("mailboxes: {why}")));
    let mailboxes = mailboxes.map(parse).transpose()?;
    Ok(Json(clients::unbind(&office.desk_of(&caller), &login, Unbind { account, mailboxes }).await?))
}

/// Remove the record of a client that cannot be read, by the id that the list tells behind `damaged`.
#[utoipa::path(
    delete,
    path = "/v1/damaged/clients/{id}",
    operation_id = "remove_damaged_client",
    tag = "clients",
    params(("id" = String, Path, description = "What stands behind `clients/` in the id")),
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone"))
)]
async fn remove_damaged_record(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    remove_damaged(&office.desk_of(&caller), RecordKind::Client, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `/v1/accounts`: mailboxes at a provider, and the credentials for them.

use std::sync::Arc;

use axum::extract::State;
use utoipa_axum::routes;

use super::condition::{IfMatch, Tagged};
use super::operations::Accepted;
use super::{Created, IMPORT_BYTES_MAX, Json, PageQuery, Path, Routes, location};
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::problem::Answer;
use crate::management::accounts::{
    self, AccountAdded, AccountChanged, AccountChanges, AccountRemoved, AccountView, ImportWanted, NewAccount,
    OAuth2Given, OAuth2Set,
};
use crate::management::{Operation, OperationKind, Page};

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(set_oauth2))
        .routes(routes!(import))
}

/// All accounts, in parts.
#[utoipa::path(
    get,
    path = "/v1/accounts",
    operation_id = "list_accounts",
    tag = "accounts",
    params(PageQuery),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Accounts", body = Page<AccountView>))
)]
async fn list(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<Page<AccountView>>> {
    Ok(Json(accounts::list(&office.desk_of(&caller), &paging).await?))
}

/// Make an account.
#[utoipa::path(
    post,
    path = "/v1/accounts",
    operation_id = "add_account",
    tag = "accounts",
    request_body = NewAccount,
    security(("token" = ["operator"])),
    responses((status = 201, description = "The account was made", body = AccountAdded, headers(("Location", description = "The account"))))
)]
async fn add(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Json(new): Json<NewAccount>,
) -> Answer<Created<AccountAdded>> {
    let body = accounts::add(&office.desk_of(&caller), new).await?;
    Ok(Created { location: location("accounts", &body.account.name), body })
}

/// One account. `ETag` is the version of its record.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}",
    operation_id = "show_account",
    tag = "accounts",
    params(("account" = String, Path, description = "The account")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The account", body = AccountView, headers(("ETag", description = "The version of its record"))))
)]
async fn show(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
) -> Answer<Tagged<AccountView>> {
    let body = accounts::find(&office.desk_of(&caller), &account).await?;
    Ok(Tagged { version: body.version.clone(), body })
}

/// Change an account. What is not named stays. An app password that is given here is current at once, unverified; a rotation is
/// the safer way.
#[utoipa::path(
    patch,
    path = "/v1/accounts/{account}",
    operation_id = "change_account",
    tag = "accounts",
    params(
        ("account" = String, Path, description = "The account"),
        ("If-Match" = Option<String>, Header, description = "Only if the record still has this version; 409 if not")
    ),
    request_body = AccountChanges,
    security(("token" = ["operator"])),
    responses((status = 200, description = "The account as it is now", body = AccountChanged, headers(("ETag", description = "The version of its record"))))
)]
async fn change(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    IfMatch(expected): IfMatch,
    Json(changes): Json<AccountChanges>,
) -> Answer<Tagged<AccountChanged>> {
    let body = accounts::set(&office.desk_of(&caller), &account, changes, expected.as_deref()).await?;
    Ok(Tagged { version: body.account.version.clone(), body })
}

/// Remove an account and its credentials. What is left at the provider is told, this once.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}",
    operation_id = "remove_account",
    tag = "accounts",
    params(
        ("account" = String, Path, description = "The account"),
        ("If-Match" = Option<String>, Header, description = "Only if the record still has this version; 409 if not")
    ),
    security(("token" = ["operator"])),
    responses((status = 200, description = "What is left to do", body = AccountRemoved))
)]
async fn remove(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    IfMatch(expected): IfMatch,
) -> Answer<Json<AccountRemoved>> {
    Ok(Json(accounts::remove(&office.desk_of(&caller), &account, expected.as_deref()).await?))
}

/// Give an account an OAuth2 credential of its own: an application that acts by itself, or one that a person consented to
/// elsewhere, with the refresh token that came of it.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/oauth2",
    operation_id = "set_account_oauth2",
    tag = "accounts",
    params(("account" = String, Path, description = "The account")),
    request_body = OAuth2Given,
    security(("token" = ["operator"])),
    responses((status = 200, description = "The account as it is now", body = OAuth2Set))
)]
async fn set_oauth2(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    Json(given): Json<OAuth2Given>,
) -> Answer<Json<OAuth2Set>> {
    Ok(Json(accounts::set_oauth2(&office.desk_of(&caller), &account, given).await?))
}

/// Make many accounts. It is an operation: its result says what became of each row.
#[utoipa::path(
    post,
    path = "/v1/accounts:import",
    operation_id = "import_accounts",
    tag = "accounts",
    request_body = ImportWanted,
    security(("token" = ["operator"])),
    responses((status = 202, description = "It was begun", body = Operation, headers(("Location", description = "The operation"))))
)]
async fn import(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Json(wanted): Json<ImportWanted, IMPORT_BYTES_MAX>,
) -> Answer<Accepted> {
    let desk = office.desk_of(&caller);
    let subject = format!("{} accounts", wanted.rows.len());
    let work = |progress| async move { accounts::import(&desk, wanted, &progress).await };
    Ok(office.operations.begin(OperationKind::Import, &subject, &caller.name, work)?.into())
}

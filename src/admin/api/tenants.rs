//! `/v1/tenants`: domains with one OAuth2 credential for all their mailboxes.

use std::sync::Arc;

use axum::extract::State;
use utoipa_axum::routes;

use super::condition::{IfMatch, Tagged};
use super::{Json, PageQuery, Path, Routes};
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::problem::Answer;
use crate::management::Page;
use crate::management::tenants::{self, TenantGiven, TenantRemoved, TenantSet, TenantView};

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(show, set, remove))
}

/// All domains that have a credential, in parts.
#[utoipa::path(
    get,
    path = "/v1/tenants",
    operation_id = "list_tenants",
    tag = "tenants",
    params(PageQuery),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Domains", body = Page<TenantView>))
)]
async fn list(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<Page<TenantView>>> {
    Ok(Json(tenants::list(&office.desk_of(&caller), &paging).await?))
}

/// One domain. `ETag` is the version of its record.
#[utoipa::path(
    get,
    path = "/v1/tenants/{domain}",
    operation_id = "show_tenant",
    tag = "tenants",
    params(("domain" = String, Path, description = "The domain")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The domain", body = TenantView, headers(("ETag", description = "The version of its record"))))
)]
async fn show(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    Path(domain): Path<String>,
) -> Answer<Tagged<TenantView>> {
    let body = tenants::find(&office.desk_of(&caller), &domain).await?;
    Ok(Tagged { version: body.version.clone(), body })
}

/// Give a domain an application's credential, new, or in the place of the one before, which is kept for a while.
#[utoipa::path(
    put,
    path = "/v1/tenants/{domain}",
    operation_id = "set_tenant",
    tag = "tenants",
    params(
        ("domain" = String, Path, description = "The domain"),
        ("If-Match" = Option<String>, Header, description = "Only if the record still has this version; 409 if not")
    ),
    request_body = TenantGiven,
    security(("token" = ["operator"])),
    responses((status = 200, description = "The domain as it is now", body = TenantSet, headers(("ETag", description = "The version of its record"))))
)]
async fn set(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(domain): Path<String>,
    IfMatch(expected): IfMatch,
    Json(given): Json<TenantGiven>,
) -> Answer<Tagged<TenantSet>> {
    let body = tenants::set(&office.desk_of(&caller), &domain, given, expected.as_deref()).await?;
    Ok(Tagged { version: body.tenant.version.clone(), body })
}

/// Remove a domain's credential. Its accounts without one of their own can log in no more.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{domain}",
    operation_id = "remove_tenant",
    tag = "tenants",
    params(
        ("domain" = String, Path, description = "The domain"),
        ("If-Match" = Option<String>, Header, description = "Only if the record still has this version; 409 if not")
    ),
    security(("token" = ["operator"])),
    responses((status = 200, description = "What is left to do", body = TenantRemoved))
)]
async fn remove(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(domain): Path<String>,
    IfMatch(expected): IfMatch,
) -> Answer<Json<TenantRemoved>> {
    Ok(Json(tenants::remove(&office.desk_of(&caller), &domain, expected.as_deref()).await?))
}

//! `/v1/operations`: long work that somebody asked for, and what came of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::routes;

use super::{Json, Path, Routes, location};
use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::problem::{Answer, Problem};
use crate::management::{ManagementError, Operation, Page};

/// What was begun: 202, and where it can be asked for.
#[derive(Debug, Clone)]
pub(super) struct Accepted(Operation);

impl From<Operation> for Accepted {
    fn from(operation: Operation) -> Self {
        Self(operation)
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let at = location("operations", &self.0.id);
        (StatusCode::ACCEPTED, [(header::LOCATION, at)], Json::<Operation>(self.0)).into_response()
    }
}

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(show))
}

/// All operations that go on or ended within the last hour, the latest first.
#[utoipa::path(
    get,
    path = "/v1/operations",
    operation_id = "list_operations",
    tag = "operations",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Operations", body = Page<Operation>))
)]
async fn list(_: Viewing, State(office): State<Arc<Office>>) -> Json<Page<Operation>> {
    Json(Page::whole(office.operations.list()))
}

/// One operation: how far it is, and what came of it.
#[utoipa::path(
    get,
    path = "/v1/operations/{id}",
    operation_id = "show_operation",
    tag = "operations",
    params(("id" = String, Path, description = "Its id")),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The operation", body = Operation))
)]
async fn show(_: Viewing, State(office): State<Arc<Office>>, Path(id): Path<String>) -> Answer<Json<Operation>> {
    let missing = || {
        let message = "there is no such operation; one is known for an hour after its end, and until the process ends";
        Problem::from(ManagementError::missing(message))
    };
    office.operations.find(&id).map(Json).ok_or_else(missing)
}

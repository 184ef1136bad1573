//! `/v1/probes`: logins to mailboxes, to see whether they open.

use std::sync::Arc;

use axum::extract::State;
use utoipa_axum::routes;

use super::operations::Accepted;
use super::{Json, Routes};
use crate::admin::Office;
use crate::admin::caller::Operating;
use crate::admin::problem::Answer;
use crate::management::probe::{ProbeWanted, probe};
use crate::management::{Operation, OperationKind};

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(begin))
}

/// Log in to mailboxes as clients would. It is an operation: its result says what came of each login.
#[utoipa::path(
    post,
    path = "/v1/probes",
    operation_id = "probe",
    tag = "operations",
    request_body = ProbeWanted,
    security(("token" = ["operator"])),
    responses((status = 202, description = "It was begun", body = Operation, headers(("Location", description = "The operation"))))
)]
async fn begin(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Json(wanted): Json<ProbeWanted>,
) -> Answer<Accepted> {
    let (desk, subject) = (office.desk_of(&caller), wanted.described());
    let work = |progress: crate::management::OperationProgress| async move {
        probe(&desk, &wanted, |done, total| progress.show(done, total)).await
    };
    Ok(office.operations.begin(OperationKind::Probe, &subject, &caller.name, work)?.into())
}

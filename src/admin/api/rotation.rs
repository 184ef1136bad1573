//! `/v1/rotations` and `/v1/accounts/{account}/rotation`: how one credential takes the place of another. Where an account is
//! named, it may be `@` and a domain, for the credential that its accounts share.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::operations::Accepted;
use super::{Json, PageQuery, Path, Query, Routes};
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::problem::{Answer, Problem};
use crate::management::rotation::{
    self, DeletedWanted, DueWanted, Dues, Labelled, Logins, NewCredential, Promote, Retire, RetiredView, RollBack,
    RotationView, RotationsWanted, Run, Staged,
};
use crate::management::{Desk, ManagementError, Operation, OperationKind, Page};
use crate::model::CredentialKind;
use crate::rotation::Subject;

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list))
        .routes(routes!(due))
        .routes(routes!(show))
        .routes(routes!(stage))
        .routes(routes!(verify))
        .routes(routes!(promote))
        .routes(routes!(roll_back))
        .routes(routes!(retire))
        .routes(routes!(discard))
        .routes(routes!(deleted))
        .routes(routes!(label))
        .routes(routes!(count))
        .routes(routes!(retry))
        .routes(routes!(run))
}

/// Which credential of an account.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Kind {
    /// The kind of credential; an app password if it is not said.
    kind: Option<CredentialKind>,
}

/// Why something is given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Discard {
    /// Why, for those who read the history.
    reason: Option<String>,
}

/// What somebody counted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Counted {
    /// How many the provider's portal shows, those that are none of ours among them.
    count: u32,
}

/// Whose credential, and the desk of who asks.
struct Asked {
    desk: Desk,
    subject: Subject,
    caller: String,
}

impl Asked {
    fn of(
        office: &Office,
        caller: &crate::admin::caller::Caller,
        account: &str,
        Query(Kind { kind }): Query<Kind>,
    ) -> Result<Self, Problem> {
        let subject = rotation::subject(account, kind.unwrap_or(CredentialKind::AppPassword))?;
        Ok(Self { desk: office.desk_of(caller), subject, caller: caller.name.clone() })
    }

    /// Has it done as an operation. The record must be there, so that who asks hears at once that it is not.
    async fn begin<W, T>(
        self,
        office: &Office,
        kind: OperationKind,
        work: impl FnOnce(Desk, Subject) -> W,
    ) -> Answer<Accepted>
    where
        W: Future<Output = Result<T, ManagementError>> + Send + 'static,
        T: serde::Serialize,
    {
        let Self { desk, subject, caller } = self;
        let name = rotation::of_subject(&desk, &subject).await?.name;
        Ok(office.operations.begin(kind, &name, &caller, |_| work(desk, subject))?.into())
    }
}

/// All credentials and how far their rotations are, in parts.
#[utoipa::path(
    get,
    path = "/v1/rotations",
    operation_id = "list_rotations",
    tag = "rotation",
    params(RotationsWanted, PageQuery),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Rotations", body = Page<RotationView>))
)]
async fn list(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    Query(wanted): Query<RotationsWanted>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<Page<RotationView>>> {
    Ok(Json(rotation::page(&office.desk_of(&caller), &wanted, &paging).await?))
}

/// What somebody has to do about credentials, and by when.
#[utoipa::path(
    get,
    path = "/v1/rotations:due",
    operation_id = "list_due",
    tag = "rotation",
    params(DueWanted),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "What is due", body = Dues))
)]
async fn due(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    Query(wanted): Query<DueWanted>,
) -> Answer<Json<Dues>> {
    Ok(Json(rotation::due(&office.desk_of(&caller), &wanted).await?))
}

/// How far it is, and which steps can be taken now.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/rotation",
    operation_id = "show_rotation",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "The rotation", body = RotationView))
)]
async fn show(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
) -> Answer<Json<RotationView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::of_subject(&asked.desk, &asked.subject).await?))
}

/// Put a new credential beside the one that logins use. If another one is staged, 409 says who did and when.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/stage",
    operation_id = "stage_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = NewCredential,
    security(("token" = ["operator"])),
    responses((status = 200, description = "What came of it", body = Staged))
)]
async fn stage(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(new): Json<NewCredential>,
) -> Answer<Json<Staged>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::stage(&asked.desk, &asked.subject, new).await?))
}

/// Log in with what is staged, by each protocol that takes it. It is an operation; its result is a `Verified`.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/verify",
    operation_id = "verify_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = Logins,
    security(("token" = ["operator"])),
    responses((status = 202, description = "It was begun", body = Operation, headers(("Location", description = "The operation"))))
)]
async fn verify(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(by): Json<Logins>,
) -> Answer<Accepted> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    let work = |desk, subject| async move { rotation::verify(&desk, &subject, &by).await };
    asked.begin(&office, OperationKind::Verify, work).await
}

/// Let logins use what is staged. Sessions that are open stay as they are; the one before is kept for a while.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/promote",
    operation_id = "promote_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = Promote,
    security(("token" = ["operator"])),
    responses((status = 200, description = "How it is now", body = RotationView))
)]
async fn promote(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(how): Json<Promote>,
) -> Answer<Json<RotationView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::promote(&asked.desk, &asked.subject, &how).await?))
}

/// Let logins use the one before again, if the provider still takes it. It is an operation; its result is a `RolledBack`.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/rollback",
    operation_id = "roll_back_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = RollBack,
    security(("token" = ["operator"])),
    responses((status = 202, description = "It was begun", body = Operation, headers(("Location", description = "The operation"))))
)]
async fn roll_back(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(how): Json<RollBack>,
) -> Answer<Accepted> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    let work = |desk, subject| async move { rotation::roll_back(&desk, &subject, &how).await };
    asked.begin(&office, OperationKind::RollBack, work).await
}

/// Give up the one before: after that there is no way back to it.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/retire",
    operation_id = "retire_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = Retire,
    security(("token" = ["operator"])),
    responses((status = 200, description = "What came of it", body = RetiredView))
)]
async fn retire(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(how): Json<Retire>,
) -> Answer<Json<RetiredView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::retire(&asked.desk, &asked.subject, how).await?))
}

/// Give up what is staged. Logins go on with the current one.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/discard",
    operation_id = "discard_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = Discard,
    security(("token" = ["operator"])),
    responses((status = 200, description = "How it is now", body = RotationView))
)]
async fn discard(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(why): Json<Discard>,
) -> Answer<Json<RotationView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::discard(&asked.desk, &asked.subject, why.reason.as_deref()).await?))
}

/// Tick off what was deleted in the provider's portal.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/deleted",
    operation_id = "tick_off_credentials",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = DeletedWanted,
    security(("token" = ["operator"])),
    responses((status = 200, description = "How it is now", body = RotationView))
)]
async fn deleted(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(what): Json<DeletedWanted>,
) -> Answer<Json<RotationView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::deleted(&asked.desk, &asked.subject, what).await?))
}

/// Put down what one is called in the provider's portal.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/label",
    operation_id = "label_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = Labelled,
    security(("token" = ["operator"])),
    responses((status = 200, description = "How it is now", body = RotationView))
)]
async fn label(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(what): Json<Labelled>,
) -> Answer<Json<RotationView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    rotation::label(&asked.desk, &asked.subject, &what).await?;
    Ok(Json(rotation::of_subject(&asked.desk, &asked.subject).await?))
}

/// Put down how many the provider's portal shows.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/count",
    operation_id = "count_credentials",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = Counted,
    security(("token" = ["operator"])),
    responses((status = 200, description = "How it is now", body = RotationView))
)]
async fn count(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(counted): Json<Counted>,
) -> Answer<Json<RotationView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::count(&asked.desk, &asked.subject, counted.count).await?))
}

/// Let nodes try again what the provider refused.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/retry",
    operation_id = "retry_credential",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    security(("token" = ["operator"])),
    responses((status = 200, description = "How it is now", body = RotationView))
)]
async fn retry(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
) -> Answer<Json<RotationView>> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    Ok(Json(rotation::retry(&asked.desk, &asked.subject).await?))
}

/// The whole sequence with what is staged, or with what the hook makes. It is an operation; its result is a `RunView`.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/rotation/run",
    operation_id = "run_rotation",
    tag = "rotation",
    params(("account" = String, Path, description = "The account; or `@` and a domain"), Kind),
    request_body = Run,
    security(("token" = ["operator"])),
    responses((status = 202, description = "It was begun", body = Operation, headers(("Location", description = "The operation"))))
)]
async fn run(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(account): Path<String>,
    kind: Query<Kind>,
    Json(how): Json<Run>,
) -> Answer<Accepted> {
    let asked = Asked::of(&office, &caller, &account, kind)?;
    let work = |desk, subject| async move { rotation::run(&desk, &subject, &how).await };
    asked.begin(&office, OperationKind::Run, work).await
}

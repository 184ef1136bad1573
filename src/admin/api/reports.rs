//! `/v1/reports`: how things stand, over all records. What would have to read everything answers from the overview, as of
//! when that was made.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Json, PageQuery, Path, Query, Routes};
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::problem::{Answer, Problem};
use crate::management::overview::DateTotals;
use crate::management::reports::{self, Enrolled, Hit, InventoryRow, RotationReport, UsageFilter};
use crate::management::{Page, Paging};
use crate::model::{CredentialKind, Sighting};

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(usage))
        .routes(routes!(forget))
        .routes(routes!(inventory))
        .routes(routes!(rotation))
        .routes(routes!(dates))
        .routes(routes!(enrolled))
}

/// Whom it is about. What is not named bounds nothing.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Seen {
    /// Clients that were there since.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// This login name.
    client: Option<String>,
    /// This account.
    account: Option<String>,
    /// Clients without TLS of today.
    #[serde(default)]
    #[param(required = false)]
    weak_tls: bool,
}

/// Every client that was seen: how it comes in, and what is used for it upstream. A part may be empty and not be the last.
#[utoipa::path(
    get,
    path = "/v1/reports/usage",
    operation_id = "report_usage",
    tag = "reports",
    params(PageQuery, Seen),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Clients as they were seen", body = Page<Sighting>))
)]
async fn usage(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
    Query(Seen { since, client, account, weak_tls }): Query<Seen>,
) -> Answer<Json<Page<Sighting>>> {
    let filter = UsageFilter { since, client, account, weak_tls };
    Ok(Json(reports::usage(&office.desk_of(&caller), &filter, &paging).await?))
}

/// How many were forgotten.
#[derive(Debug, Serialize, ToSchema)]
struct Forgotten {
    forgotten: usize,
}

/// Forget the clients that were last there before that time, and at least a day ago.
#[utoipa::path(
    delete,
    path = "/v1/reports/usage/before/{time}",
    operation_id = "forget_usage",
    tag = "reports",
    params(("time" = String, Path, description = "As 2026-11-01T00:00:00Z", format = DateTime)),
    security(("token" = ["operator"])),
    responses((status = 200, description = "They are forgotten", body = Forgotten))
)]
async fn forget(
    Operating(caller): Operating,
    State(office): State<Arc<Office>>,
    Path(time): Path<String>,
) -> Answer<Json<Forgotten>> {
    let before = time.parse().map_err(|_| Problem::usage("expected a time such as 2026-11-01T00:00:00Z"))?;
    Ok(Json(Forgotten { forgotten: reports::forget(&office.desk_of(&caller), before).await? }))
}

/// Of which domain.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfDomain {
    /// Accounts of this domain only.
    domain: Option<String>,
}

/// What exists of each account at its provider, and what is to be deleted there. `limit` counts accounts and domains.
#[utoipa::path(
    get,
    path = "/v1/reports/inventory",
    operation_id = "report_inventory",
    tag = "reports",
    params(PageQuery, OfDomain),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "A row for each kind of credential of each account", body = Page<InventoryRow>))
)]
async fn inventory(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
    Query(OfDomain { domain }): Query<OfDomain>,
) -> Answer<Json<Page<InventoryRow>>> {
    Ok(Json(reports::inventory(&office.desk_of(&caller), domain.as_deref(), &paging).await?))
}

/// Of which account or domain.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfAccount {
    /// Only this account.
    account: Option<String>,
    /// Only the accounts of this domain, and its own credential.
    domain: Option<String>,
}

/// Credentials that are being replaced: who still uses the one before, and when it was last seen. `limit` counts accounts and
/// domains; a part may be empty and not be the last.
#[utoipa::path(
    get,
    path = "/v1/reports/rotation",
    operation_id = "report_rotation",
    tag = "reports",
    params(PageQuery, OfAccount),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "What is being replaced", body = RotationReport))
)]
async fn rotation(
    Viewing(caller): Viewing,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
    Query(OfAccount { account, domain }): Query<OfAccount>,
) -> Answer<Json<RotationReport>> {
    let desk = office.desk_of(&caller);
    Ok(Json(reports::rotation(&desk, account.as_deref(), domain.as_deref(), &paging).await?))
}

/// What breaks on which of the providers' days.
#[derive(Debug, Serialize, ToSchema)]
struct Dates {
    /// When the records had been read.
    as_of: Timestamp,
    /// The days, the earliest first, in numbers.
    days: Vec<DateTotals>,
    /// Part of the accounts that are entered with what ends, by day.
    items: Vec<DatedHit>,
    /// What to give as `after` for the next part; null if this is the last.
    #[schema(required)]
    next: Option<String>,
}

/// An account, and the day that ends what it is entered with.
#[derive(Debug, Serialize, ToSchema)]
struct DatedHit {
    /// The upstream profile.
    upstream: String,
    /// The first day; nothing where no day is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<Date>,
    /// The kind of credential that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<CredentialKind>,
    #[serde(flatten)]
    hit: Hit,
}

/// Who breaks on which of the providers' days: accounts, clients by them, and what to do. From the overview.
#[utoipa::path(
    get,
    path = "/v1/reports/dates",
    operation_id = "report_dates",
    tag = "reports",
    params(PageQuery),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Days and accounts", body = Dates))
)]
async fn dates(_: Viewing, State(office): State<Arc<Office>>, PageQuery(paging): PageQuery) -> Answer<Json<Dates>> {
    let snapshot = office.overview.look().await?.snapshot;
    let hits = snapshot.days.iter().flat_map(|day| day.accounts.iter().map(move |hit| (day, hit)));
    let (items, next) = slice(hits, &paging)?;
    let items = items.into_iter().map(|(day, hit)| DatedHit {
        upstream: day.upstream.clone(),
        day: day.day,
        ends: day.ends,
        hit: hit.clone(),
    });
    Ok(Json(Dates { as_of: snapshot.as_of, days: snapshot.dates.clone(), items: items.collect(), next }))
}

/// Secrets of clients that Locum did not make.
#[derive(Debug, Serialize, ToSchema)]
struct EnrolledSecrets {
    /// When the records had been read.
    as_of: Timestamp,
    /// Part of them, by client.
    items: Vec<Enrolled>,
    /// What to give as `after` for the next part; null if this is the last.
    #[schema(required)]
    next: Option<String>,
}

/// Secrets of clients that were imported, learnt, or taken from who came first. From the overview.
#[utoipa::path(
    get,
    path = "/v1/reports/enrolled",
    operation_id = "report_enrolled",
    tag = "reports",
    params(PageQuery),
    security(("token" = ["viewer"])),
    responses((status = 200, description = "Secrets that Locum did not make", body = EnrolledSecrets))
)]
async fn enrolled(
    _: Viewing,
    State(office): State<Arc<Office>>,
    PageQuery(paging): PageQuery,
) -> Answer<Json<EnrolledSecrets>> {
    let snapshot = office.overview.look().await?.snapshot;
    let (items, next) = slice(snapshot.enrolled.iter(), &paging)?;
    Ok(Json(EnrolledSecrets { as_of: snapshot.as_of, items: items.into_iter().cloned().collect(), next }))
}

/// A part of what is in memory: the cursor is how many came before.
fn slice<T>(all: impl Iterator<Item = T>, paging: &Paging) -> Answer<(Vec<T>, Option<String>)> {
    let parse = |after: &String| {
        let is_number = !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit());
        let wrong = || Problem::usage("`after` takes what an earlier part of this list said as `next`");
        is_number.then(|| after.parse::<usize>().ok()).flatten().ok_or_else(wrong)
    };
    let before = paging.after.as_ref().map(parse).transpose()?.unwrap_or_default();
    let mut rest = all.skip(before);
    let items: Vec<T> = rest.by_ref().take(paging.limit).collect();
    let next = rest.next().is_some().then(|| (before + items.len()).to_string());
    Ok((items, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another_and_a_strange_cursor_is_refused() {
        let part = |after: Option<&str>| {
            slice(0..5, &Paging { limit: 2, after: after.map(str::to_owned) }).map_err(|problem| problem.status)
        };
        assert_eq!(part(None), Ok((vec![0, 1], Some("2".to_owned()))));
        assert_eq!(part(Some("2")), Ok((vec![2, 3], Some("4".to_owned()))));
        assert_eq!(part(Some("4")), Ok((vec![4], None)));
        assert_eq!(part(Some("99")), Ok((vec![], None)));
        for strange in ["", "-1", "+1", "x", "99999999999999999999999"] {
            assert_eq!(part(Some(strange)), Err(400), "{strange}");
        }
    }
}

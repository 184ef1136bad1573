//! `?limit=…&after=…` of lists.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Query;
use crate::admin::problem::Problem;
use crate::management::Paging;

/// Items of a page, where none is named: what fits on a screen or two.
const LIMIT_DEFAULT: usize = 50;

/// More would make one answer wait for hundreds of reads of a store that is a server.
const LIMIT_MAX: usize = 200;

/// Longer than any cursor.
const CURSOR_CHARS_MAX: usize = 256;

/// The part of a list that is asked for, as an argument of a handler: `PageQuery(paging): PageQuery`, and
/// `params(PageQuery)` in its description.
#[derive(Debug, Clone)]
pub(in crate::admin) struct PageQuery(pub(in crate::admin) Paging);

/// What stands in the query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// So many items at the most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Go on behind the page that said this as its `next`.
    #[param(max_length = 256)]
    after: Option<String>,
}

impl IntoParams for PageQuery {
    fn into_params(
        location: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        Asked::into_params(location)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(Asked { limit, after }) = Query::from_request_parts(parts, state).await?;
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::usage(format!("`limit` is from 1 to {LIMIT_MAX}")));
        }
        if after.as_ref().is_some_and(|after| after.len() > CURSOR_CHARS_MAX) {
            return Err(Problem::usage("`after` takes what an earlier page of this list said as `next`"));
        }
        Ok(Self(Paging { limit, after }))
    }
}

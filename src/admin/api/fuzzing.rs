//! Doors to what only this room sees, for the fuzz targets (`tests/fuzz`). A release has none of them. It must hold nothing
//! but doors.

use axum::extract::FromRequestParts;
use axum::http::{Request, Uri};
use futures_util::FutureExt;
use serde::de::DeserializeOwned;

use super::{PageQuery, json};

/// A body.
///
/// # Errors
/// The status and the words of the refusal.
pub fn body<T: DeserializeOwned>(text: &[u8]) -> Result<T, (u16, String)> {
    json::parse(text).map_err(|problem| (problem.status, problem.detail.unwrap_or_default()))
}

/// `?limit=…&after=…`.
///
/// # Errors
/// The status and the words of the refusal.
pub fn page(query: Uri) -> Result<(usize, Option<String>), (u16, String)> {
    let (mut parts, ()) = Request::builder().uri(query).body(()).expect("a URI makes a request").into_parts();
    let read = PageQuery::from_request_parts(&mut parts, &()).now_or_never().expect("a query is there at once");
    let PageQuery(paging) = read.map_err(|problem| (problem.status, problem.detail.unwrap_or_default()))?;
    Ok((paging.limit, paging.after))
}

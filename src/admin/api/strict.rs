//! Queries with something in them that nothing reads are refused: `?limt=5` would otherwise be a list without a limit, and a
//! guard that was misspelt none at all. What is read stands in the document.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use crate::admin::problem::Problem;

/// What each operation reads in a query.
#[derive(Debug, Clone)]
pub(super) struct Known(Arc<HashMap<(Method, String), BTreeSet<String>>>);

impl Known {
    /// All that the document names.
    pub(super) fn of(document: &OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                let in_query = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
                    RefOr::T(it) if it.parameter_in == ParameterIn::Query => Some(it.name.clone()),
                    _ => None,
                });
                known.insert((method, path.clone()), in_query.collect());
            }
        }
        Self(Arc::new(known))
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Lets no request pass whose query has something in it that nothing reads.
pub(super) async fn check(State(Known(known)): State<Known>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let read = matched.and_then(|path| known.get(&(method, path)));
    if let Some(read) = read
        && let Err(problem) = check_names(&request, read)
    {
        return problem.into_response();
    }
    next.run(request).await
}

fn check_names(request: &Request, read: &BTreeSet<String>) -> Result<(), Problem> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let pairs = pairs.map_err(|_| Problem::usage("the query is not of the form that it has in a URL"))?;
    let names: BTreeSet<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    if names.iter().all(|name| read.contains(*name)) {
        return Ok(());
    }
    let known: Vec<&str> = read.iter().map(String::as_str).collect();
    let detail = match known.as_slice() {
        [] => "there is something in the query, and nothing reads it".to_owned(),
        known => format!("there is something in the query that nothing reads; what is read: {}", known.join(", ")),
    };
    Err(Problem::usage(detail))
}

//! `/v1/…`: every use case of the command line for programs. One file for each noun, with a `routes` that describes itself
//! for the OpenAPI document; the document is made of these, never by hand.
//!
//! - [`Json`], [`Created`], [`Path`], [`Query`], [`PageQuery`]: what handlers take and answer, with problem documents for all
//!   that does not fit. `limits`: the bounds.
//! - `document`: what is said of all operations in one place. `strict`: queries that nothing reads. `idempotency`: POSTs that are
//!   sent again.

mod accounts;
mod audit;
mod clients;
mod condition;
mod document;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzzing;
mod idempotency;
mod json;
mod limits;
mod node;
mod operations;
mod operators;
mod overview;
mod page;
mod parts;
mod probe;
mod reports;
mod rotation;
mod sessions;
mod strict;
mod tenants;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::{Office, auth};

pub(super) use json::{Created, Json};
pub(super) use limits::{IMPORT_BYTES_MAX, REQUEST_TIMEOUT};
pub(super) use page::PageQuery;
pub(super) use parts::{Path, Query, location};

/// The routes of one noun.
pub(super) type Routes = OpenApiRouter<Arc<Office>>;

/// One line for each noun.
fn nouns() -> Routes {
    Routes::with_openapi(document::frame())
        .routes(routes!(document::openapi))
        .merge(accounts::routes())
        .merge(audit::routes())
        .merge(clients::routes())
        .merge(node::routes())
        .merge(operations::routes())
        .merge(operators::routes())
        .merge(overview::routes())
        .merge(probe::routes())
        .merge(reports::routes())
        .merge(rotation::routes())
        .merge(sessions::routes())
        .merge(tenants::routes())
}

/// All of them, behind the sign-in, and the document that describes them.
pub(super) fn routes(office: &Arc<Office>) -> Router<Arc<Office>> {
    let (router, document) = nouns().split_for_parts();
    let known = strict::Known::of(&document);
    router
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .route("/v1", any(|| async { Problem::nothing_here() }))
        .route("/v1/", any(|| async { Problem::nothing_here() }))
        .route("/v1/{*rest}", any(|| async { Problem::nothing_here() }))
        .layer(Extension(document::text(document)))
        .layer(middleware::from_fn_with_state(idempotency::Kept::default(), idempotency::once))
        .layer(middleware::from_fn_with_state(known, strict::check))
        .layer(middleware::from_fn_with_state(Arc::clone(office), auth::audited))
        .layer(middleware::from_fn_with_state(Arc::clone(office), auth::sign_in))
        .layer(middleware::from_fn(guarded))
}

/// What holds for every answer: it is kept by nobody, and read as what it says it is.
async fn guarded(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Whoever opens an answer in a browser sees text that loads nothing.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    let late = || Problem::unavailable(format!("this took longer than {} s", REQUEST_TIMEOUT.as_secs()));
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| late().into_response());
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_describes_every_route() {
        let (_, document) = nouns().split_for_parts();
        assert!(document.paths.paths.contains_key("/v1/openapi.json"));
    }
}

//! `/v1/…`: every use case of the command line for programs. One file for each noun, with a `routes` that describes itself
//! for the OpenAPI document; the document is made of these, never by hand.

use std::sync::Arc;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use super::Office;

/// The routes of one noun.
pub(super) type Routes = OpenApiRouter<Arc<Office>>;

/// All of them, and the document that describes them.
pub(super) fn routes() -> Router<Arc<Office>> {
    let (router, _document) = Routes::new().split_for_parts();
    router
}

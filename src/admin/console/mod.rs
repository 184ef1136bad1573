//! The console: pages for people, made here and whole without a script. No page ever holds a secret, but one that was made
//! just now, once.

use std::sync::Arc;

use axum::Router;

use super::Office;

/// Its pages.
pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
}

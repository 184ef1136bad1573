//! Clients: the list, one of them, a new secret, and the page that shows it once.

mod issue;
mod list;
mod one;
mod policy;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::admin::Office;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/console/clients", get(list::show))
        .route("/console/new/client", get(issue::show_new).post(issue::make_new))
        .route("/console/clients/{login}", get(one::show))
        .route("/console/clients/{login}/issue", get(issue::show).post(issue::make))
        .route("/console/clients/{login}/secret", get(issue::once))
        .route("/console/clients/{login}/bind", post(one::bind))
        .route("/console/clients/{login}/unbind", post(one::unbind))
        .route("/console/clients/{login}/limits", post(policy::set))
        .route("/console/clients/{login}/revoke", post(one::revoke))
        .route("/console/clients/{login}/revoke-secret", post(one::revoke_secret))
}

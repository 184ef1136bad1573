//! The console: pages for people, made here and whole without a script. No page ever holds a secret, but one that was made
//! just now, once. It decides nothing: [`management`](crate::management) does.
//!
//! - `guard`: what every request passes: who it is, from where a form was sent, and the headers of every answer.
//! - `browsers`: who is signed in, in memory. `sign_in`: how one gets there.
//! - `page`: what all pages have in common. `parts`: what pages are made of. `fields`: what a form said.
//! - One file or folder for each noun.

mod accounts;
mod assets;
mod audit;
mod browsers;
mod clients;
mod fields;
mod guard;
mod lists;
mod node;
mod once;
mod operators;
mod overview;
mod page;
mod parts;
mod paths;
mod portal;
mod rotations;
mod sessions;
mod sign_in;
mod usage;
mod visitor;

use std::sync::Arc;

use axum::response::Redirect;
use axum::routing::{any, get};
use axum::{Extension, Router, middleware};

use super::problem::Problem;
use super::{Office, auth};
use browsers::Browsers;

/// Where the console begins; all of it is below.
const ROOT: &str = "/console";

/// Whether browsers come by TLS.
#[derive(Debug, Clone, Copy)]
struct Secured(bool);

/// Its pages. `is_tls`: browsers come to them by TLS.
pub(super) fn routes(office: &Arc<Office>, is_tls: bool) -> Router<Arc<Office>> {
    let browsers = Arc::new(Browsers::default());
    let guarded = middleware::from_fn_with_state((Arc::clone(office), Arc::clone(&browsers)), guard::pass);
    let audited = middleware::from_fn_with_state(Arc::clone(office), auth::audited);
    Router::new()
        .merge(pages().layer(audited))
        .merge(sign_in::routes())
        .layer(guarded)
        .layer(Extension(browsers))
        .layer(Extension(Secured(is_tls)))
        .merge(assets::routes())
        .route("/", get(|| async { Redirect::to(ROOT) }))
        .layer(middleware::map_response(guard::harden))
}

/// Those that only somebody sees who is signed in. What is done there stands in the audit, as what is done at the API does.
fn pages() -> Router<Arc<Office>> {
    Router::new()
        .merge(overview::routes())
        .merge(sessions::routes())
        .merge(accounts::routes())
        .merge(clients::routes())
        .merge(rotations::routes())
        .merge(usage::routes())
        .merge(audit::routes())
        .merge(operators::routes())
        .merge(node::routes())
        .route("/console/{*rest}", any(|| async { Problem::nothing_here() }))
}

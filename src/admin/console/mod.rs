//! The console: pages for people, made here and whole without a script. No page ever holds a secret, but one that was made
//! just now, once. It decides nothing: [`management`](crate::management) does.
//!
//! - `guard`: what every request passes: who it is, from where a form was sent, and the headers of every answer.
//! - `browsers`: who is signed in, in memory. `sign_in`: how one gets there.
//! - `page`: what all pages have in common. `parts`: what pages are made of. `fields`: what a form said.
//! - One file or folder for each noun.

mod assets;
mod browsers;
mod fields;
mod guard;
mod page;
mod parts;
mod paths;
mod sessions;
mod sign_in;
mod visitor;

use std::sync::Arc;

use axum::response::Redirect;
use axum::routing::get;
use axum::{Extension, Router, middleware};

use super::Office;
use browsers::Browsers;

/// Where the console begins; all of it is below.
const ROOT: &str = "/console";

/// Its pages.
pub(super) fn routes(office: &Arc<Office>) -> Router<Arc<Office>> {
    let browsers = Arc::new(Browsers::default());
    let guarded = middleware::from_fn_with_state((Arc::clone(office), Arc::clone(&browsers)), guard::pass);
    Router::new()
        .merge(pages())
        .layer(guarded)
        .layer(Extension(browsers))
        .merge(assets::routes())
        .route("/", get(|| async { Redirect::to(ROOT) }))
        .layer(middleware::map_response(guard::harden))
}

/// Those that only somebody sees who is signed in.
fn pages() -> Router<Arc<Office>> {
    Router::new().merge(sign_in::routes()).merge(sessions::routes())
}

//! Accounts: the list, one of them, and a new one.

mod create;
mod list;
mod one;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use maud::{Markup, html};

use super::parts::{Mood, badge};
use crate::admin::Office;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/console/accounts", get(list::show).post(create::make))
        .route("/console/new/account", get(create::show))
        .route("/console/accounts/{name}", get(one::show))
        .route("/console/accounts/{name}/change", post(one::change))
        .route("/console/accounts/{name}/remove", post(one::remove))
}

/// How far the rotations of an account are, as its row says it.
pub(super) fn state(rotation: &str) -> Markup {
    html! {
        @if rotation.is_empty() { span.soft { "–" } }
        @else { @for state in rotation.split(", ") { (state_badge(state)) " " } }
    }
}

/// A state of a rotation: what is refused is bad, what waits for somebody is a warning.
pub(super) fn state_badge(state: &str) -> Markup {
    let mood = match state {
        "failed" => Mood::Bad,
        "verified" | "applied" => Mood::Good,
        "staged" | "applying" => Mood::Busy,
        "overlap" => Mood::Plain,
        _ => Mood::Warning,
    };
    badge(mood, state)
}

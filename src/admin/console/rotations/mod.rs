//! Rotations: the list, one of them with its steps, and what came of a step that takes a while.

mod list;
mod one;
mod steps;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use maud::{Markup, html};

use super::accounts::state_badge;
use super::fields::Fields;
use super::parts::{ago, minute};
use crate::admin::Office;
use crate::management::rotation::{RotationView, StoredView};
use crate::model::{CredentialKind, HistoryEntry};

/// Steps of a history that a page shows; records keep no more of them.
const HISTORY_SHOWN_MAX: usize = 20;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/console/rotations", get(list::show))
        .route("/console/rotations/{name}", get(one::show))
        .route("/console/rotations/{name}/{step}", post(steps::take))
}

/// The three places of a credential, side by side.
pub(super) fn places(view: &RotationView) -> Markup {
    let places = &view.places;
    html! {
        div.places data-live={"places-" (places.kind.name())} {
            @match &places.current {
                Some(current) => div.place.filled { h3 { "Current" } (stored(current)) p.hint { "since " (ago(current.created)) } },
                None => div.place { h3 { "Current" } p.soft { "none" } },
            }
            @match &places.next {
                Some(next) => div.place.filled {
                    h3 { "Next" (state_badge(&next.state)) }
                    (stored(&next.stored))
                    p.hint { "staged " (ago(next.staged)) " by " (next.staged_by) }
                    @if let Some(refused) = &next.refused { p.hint { "refused: " (refused.cause) } }
                },
                None => div.place { h3 { "Next" } p.soft { "nothing is staged" } },
            }
            @match &places.previous {
                Some(previous) => div.place.filled {
                    h3 { "Previous" (state_badge(if previous.usable { "overlap" } else { "replaced" })) }
                    (stored(&previous.stored))
                    p.hint { "replaced " (ago(previous.replaced)) @if previous.usable { ", usable until " (minute(previous.usable_until)) } }
                },
                None => div.place { h3 { "Previous" } p.soft { "none" } },
            }
        }
    }
}

fn stored(stored: &StoredView) -> Markup {
    html! {
        p.name { @if stored.label.is_empty() { "no label" } @else { (stored.label) } }
        p.hint { span.mono { (stored.id) } }
    }
}

/// What was done, the latest first.
pub(super) fn history(entries: &[HistoryEntry]) -> Markup {
    html! {
        ol.history {
            @for entry in entries.iter().rev().take(HISTORY_SHOWN_MAX) {
                li {
                    (minute(entry.at))
                    span {
                        strong { (entry.step) } " " span.mono { (entry.id) } " by " (entry.by)
                        @if let Some(reason) = &entry.reason { span.hint { ": " (reason) } }
                    }
                }
            }
        }
    }
}

/// The kind that a page is about, as its address or form says it.
fn kind(fields: &Fields) -> CredentialKind {
    fields.text("kind").parse().unwrap_or(CredentialKind::AppPassword)
}

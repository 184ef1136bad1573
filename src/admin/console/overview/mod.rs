//! The overview: what works, what breaks next, and what to do. Each number leads to the list behind it.

mod now;
mod records;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use super::ROOT;
use super::page::{Page, Place};
use super::parts::{Mood, ago, note};
use super::visitor::Visitor;
use crate::admin::Office;
use crate::admin::caller::Viewing;

/// Seconds after which it is read again.
const REFRESH: u32 = 15;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route(ROOT, get(show))
}

async fn show(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>) -> Markup {
    let look = office.overview.look().await;
    let as_of = look.as_ref().ok().map(|look| html! { span { "Records as of " (ago(look.snapshot.as_of)) } });
    Page::new(&visitor, Place::Overview, "Overview").lead(as_of).refreshed(REFRESH).of(html! {
        div data-live="tiles" { (now::tiles(&office, look.as_ref().ok())) }
        @match &look {
            Err(error) => (note(Mood::Bad, html! { p { strong { "The records cannot be read: " } (error.to_string()) } })),
            Ok(look) => {
                @if let Some(failed) = &look.failed { (note(Mood::Warning, html! { p { "What follows is not of now: " (failed) } })) }
                div data-live="attention" { (records::attention(look)) }
            }
        }
        div.columns.wide-left {
            (now::logins(&office))
            (now::refusals(&office))
        }
        @if let Ok(look) = &look {
            (records::dates(&look.snapshot))
            div.columns {
                (records::inventory(&look.snapshot))
                (records::health(&office, &look.snapshot))
            }
        }
    })
}

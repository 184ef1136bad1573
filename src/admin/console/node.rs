//! This node: how it is, its listeners, and its configuration read again.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post as on_post};
use maud::{Markup, html};

use super::ROOT;
use super::browsers::Tone;
use super::page::{Page, Place, post};
use super::parts::{Facts, Mood, dot, number, primary};
use super::visitor::Visitor;
use crate::admin::caller::{Administering, Viewing};
use crate::admin::{Office, Phase};
use crate::model::Role;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route("/console/node", get(show)).route("/console/node/reload", on_post(reload))
}

async fn show(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>) -> Markup {
    let desk = office.desk.load_full();
    let stage = *office.watched.stage.borrow();
    let phase = match stage.phase {
        Phase::Starting => dot(Mood::Busy, "starting"),
        Phase::Serving => dot(Mood::Good, "serving"),
        Phase::Draining => dot(Mood::Warning, "draining"),
    };
    let facts = Facts::default()
        .with("State", phase)
        .with("Version", html! { (env!("CARGO_PKG_VERSION")) })
        .with("Sessions", html! { a href={(ROOT) "/sessions"} { (number(office.sessions.live().len() as u64)) } span.soft { " of at most " (number(office.sessions.max() as u64)) } })
        .with("Listeners", html! { div.chips { @for name in &*desk.listeners { code { (name) } } } })
        .with("Upstreams", html! { div.chips { @for name in desk.profiles.keys() { code { (name) } } } });
    Page::new(&visitor, Place::Node, "Node").lead(html! { "What this process does, and by which configuration." }).of(html! {
        div.columns {
            section.card { header { h2 { "State" } } div.body { (facts.list()) } }
            section.card {
                header { h2 { "Configuration" } }
                div.body {
                    div.form {
                        p { "Has the configuration, certificates and keys read again. It is taken whole or not at all, and no session ends." }
                        @if visitor.may(Role::Admin) {
                            (post(&visitor, "/console/node/reload", html! { div.buttons { (primary("Reload")) } }))
                        } @else {
                            p.hint { "An admin may do this." }
                        }
                    }
                }
            }
        }
    })
}

async fn reload(_: Administering, visitor: Visitor, State(office): State<Arc<Office>>) -> Response {
    let to = format!("{ROOT}/node");
    match office.reload.ask(&visitor.caller.name).await {
        Ok(reloaded) => {
            let mut lines = match reloaded.changed.len() {
                0 => vec!["Reloaded: nothing is otherwise than before.".to_owned()],
                _ => std::iter::once("Reloaded:".to_owned())
                    .chain(reloaded.changed.iter().map(|it| format!("· {it}")))
                    .collect(),
            };
            if !reloaded.needs_restart.is_empty() {
                lines.push("Only from the next start on:".to_owned());
                lines.extend(reloaded.needs_restart.iter().map(|it| format!("· {it}")));
            }
            visitor.go(&to, Tone::Good, lines.join("\n"))
        }
        Err(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(|it| format!("· {it}")).collect();
            visitor.go(&to, Tone::Bad, format!("Refused, and nothing was changed:\n{}", reasons.join("\n")))
        }
    }
}

//! The audit, searched: who did what, when, from where, and how it came out. It is read as it stands in its file.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use super::ROOT;
use super::fields::Asked;
use super::lists;
use super::page::{Page, Place};
use super::parts::{
    Choice, Field, Mood, Side, Table, badge, choose, empty, input, minute, note, paging as parts_below,
};
use super::visitor::Visitor;
use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::problem::Answer;
use crate::management::audit::{AuditQuery, search_audit};
use crate::management::{Fault, ManagementError, Paging};

/// Lines of one page.
const ROWS: usize = 50;

/// The kinds of event that there are to choose.
const EVENTS: [Choice<'_>; 9] = [
    ("", "all"),
    ("decision", "decision about a login"),
    ("upstream", "login at the provider"),
    ("end", "end of a session"),
    ("rotation", "step of a rotation"),
    ("enrolment", "enrolment"),
    ("alert", "alert"),
    ("session", "session closed or traced"),
    ("operator", "what an operator did"),
];

/// What is shown elsewhere in its row, or says nothing to people.
const ELSEWHERE: [&str; 10] = ["time", "event", "outcome", "login", "account", "peer", "seq", "hash", "prev", "step"];

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route("/console/audit", get(show))
}

async fn show(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>, asked: Asked) -> Answer<Markup> {
    let form = form(&asked);
    let lead = html! { "Every decision, login, step and alert, the latest first. Times are UTC." };
    let page = Page::new(&visitor, Place::Audit, "Audit").lead(lead);
    let wanted = match wanted(&asked) {
        Ok(wanted) => wanted,
        Err(why) => return Ok(page.of(html! { (form) (note(Mood::Bad, html! { p { (why) } })) })),
    };
    let (desk, paging) = (visitor.desk(&office), Paging { limit: ROWS, after: asked.some("after") });
    let looked = tokio::task::spawn_blocking(move || search_audit(&desk, wanted, &paging)).await;
    let found = match looked.unwrap_or_else(|error| Err(ManagementError::new(Fault::Broken, error.to_string()))) {
        Ok(found) => found,
        Err(error) => return Ok(page.of(html! { (form) (note(Mood::Bad, html! { p { (error.to_string()) } })) })),
    };
    let kept = ["login", "account", "event", "outcome", "peer", "since", "until"]
        .map(|name| (name, asked.text(name).to_owned()));
    Ok(page.of(html! {
        (form)
        @if found.unreadable > 0 { (note(Mood::Warning, html! { p { (found.unreadable) " lines here cannot be read; " code { "locum audit verify" } " says where." } })) }
        section.card aria-label="Events" { (table(&found.items, found.next.is_some())) }
        (parts_below(&lists::part(format!("{ROOT}/audit"), kept.to_vec(), &asked, found.next)))
    }))
}

fn wanted(asked: &Asked) -> Result<AuditQuery, String> {
    let said = |error: ManagementError| error.to_string();
    Ok(AuditQuery {
        login: asked.some("login"),
        account: asked.some("account"),
        event: asked.some("event"),
        outcome: asked.some("outcome"),
        peer: asked.parsed("peer", "From").map_err(said)?,
        since: asked.day("since", "Since").map_err(said)?,
        until: asked.day("until", "Until").map_err(said)?,
    })
}

fn form(asked: &Asked) -> Markup {
    html! {
        form.search method="get" action={(ROOT) "/audit"} role="search" {
            (input(Field::new("Login", "login").value(asked.text("login"))))
            (input(Field::new("Account", "account").value(asked.text("account"))))
            (choose(Field::new("Event", "event").value(asked.text("event")), &EVENTS))
            (input(Field::new("Outcome", "outcome").value(asked.text("outcome"))))
            (input(Field::new("From", "peer").value(asked.text("peer"))))
            (input(Field::new("Since", "since").kind("date").value(asked.text("since"))))
            (input(Field::new("Before", "until").kind("date").value(asked.text("until"))))
            button type="submit" { "Search" }
        }
    }
}

fn table(lines: &[Value], is_more: bool) -> Markup {
    let columns =
        [("When", Side::Left), ("Event", Side::Left), ("Who", Side::Left), ("From", Side::Left), ("What", Side::Left)];
    let none = if is_more {
        empty("Nothing here yet", html! { "There is more to look through: go on with the next page." })
    } else {
        empty("No such event", html! { "Nothing in the audit is as you say. " a href={(ROOT) "/audit"} { "Show all" } })
    };
    Table::new("Events", &columns).rows(lines.iter().map(row)).or(none)
}

fn row(line: &Value) -> Vec<Markup> {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let outcome = [text("outcome"), text("step")].into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    let mood = match outcome {
        "allow" | "accepted" | "done" | "enrolled" => Mood::Good,
        "deny" | "failed" | "refused" => Mood::Bad,
        _ => Mood::Plain,
    };
    let who = [text("login"), text("actor"), text("subject")].into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    let whom = [text("account"), text("subject")].into_iter().find(|it| !it.is_empty() && *it != who);
    vec![
        html! { @match text("time").parse() { Ok(at) => (minute(at)), Err(_) => (text("time")) } },
        html! { (text("event")) @if !outcome.is_empty() { " " (badge(mood, outcome)) } },
        html! { span.break { (who) } @if let Some(whom) = whom { span.hint.break { "as " (whom) } } },
        html! { span.mono { (text("peer")) } @if !text("listener").is_empty() { span.hint { (text("listener")) } } },
        html! {
            @for name in ["reason", "cause", "remedy"] { @if !text(name).is_empty() { p { (text(name)) } } }
            (rest(line))
        },
    ]
}

/// What else an event says, in small print.
fn rest(line: &Value) -> Markup {
    let is_told = |name: &str| {
        ELSEWHERE.contains(&name) || ["reason", "cause", "remedy", "listener", "actor", "subject"].contains(&name)
    };
    let rest: Vec<String> = line
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !is_told(name))
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        })
        .collect();
    html! { @if !rest.is_empty() { p.fine.break { (rest.join(" · ")) } } }
}

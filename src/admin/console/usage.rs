//! Usage: every client that nodes have seen and how it comes in; and who breaks on which of a provider's days.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jiff::Timestamp;
use maud::{Markup, html};

use super::fields::Asked;
use super::lists::{self, PAGE_ROWS};
use super::page::{Page, Place};
use super::parts::{Mood, Side, Table, ago, badge, bytes, check, empty, number, paging, search};
use super::visitor::Visitor;
use super::{ROOT, paths};
use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::problem::Answer;
use crate::management::reports::{self, Day, Hit, UsageFilter};
use crate::model::Sighting;

/// Accounts of one day that a page names.
const HITS_SHOWN_MAX: usize = 500;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route("/console/usage", get(show)).route("/console/usage/dates", get(dates))
}

async fn show(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>, asked: Asked) -> Answer<Markup> {
    let (desk, wanted) = (visitor.desk(&office), asked.text("q"));
    let filter = UsageFilter {
        client: asked.some("client"),
        account: asked.some("account"),
        weak_tls: asked.is_ticked("weak_tls"),
        ..UsageFilter::default()
    };
    let has = |seen: &Sighting| {
        let account = seen.key.account.as_deref().unwrap_or_default();
        lists::has(wanted, &[&seen.key.login, account, &seen.key.listener])
    };
    let list = |paging| {
        let (desk, filter) = (desk.clone(), filter.clone());
        async move { reports::usage(&desk, &filter, &paging).await }
    };
    let found = lists::find(&asked, PAGE_ROWS, list, has).await?;
    let path = format!("{ROOT}/usage");
    let kept = vec![("q", wanted.to_owned()), ("weak_tls", asked.text("weak_tls").to_owned())];
    let box_ = check("", "weak_tls", &[("yes", "without TLS of today")], &asked.all("weak_tls"));
    Ok(Page::new(&visitor, Place::Usage, "Usage")
        .lead(html! { "Every client that nodes have seen, by the way it comes in." })
        .actions(html! { a.button href={(ROOT) "/usage/dates"} { "Who breaks on which day" } })
        .of(html! {
            (search(&path, "Login, account or listener", wanted, box_))
            (lists::damaged(&found.damaged))
            section.card aria-label="Clients that were seen" { (table(&found.items)) }
            (paging(&lists::part(path, kept, &asked, found.next)))
        }))
}

fn table(all: &[Sighting]) -> Markup {
    let columns = [
        ("Client", Side::Left),
        ("Account", Side::Left),
        ("By", Side::Left),
        ("Upstream", Side::Left),
        ("Last seen", Side::Left),
        ("Logins", Side::Right),
        ("Refused", Side::Right),
        ("Moved", Side::Right),
    ];
    let row = |it: &Sighting| {
        vec![
            html! { a href=(paths::item("clients", &it.key.login)) { (it.key.login) } @if let Some(secret) = &it.key.secret { span.hint { span.mono { (secret) } } } },
            html! { @match &it.key.account { Some(account) => a href=(paths::item("accounts", account)) { (account) }, None => span.soft { "–" } } },
            html! {
                (it.key.protocol.name()) " "
                @if it.has_weak_tls() { (badge(Mood::Warning, it.key.tls.as_deref().unwrap_or("no TLS"))) }
                span.hint { (it.key.listener) ", " (it.key.method) }
            },
            html! { @if let Some(upstream) = &it.upstream { (upstream.profile) span.hint { (upstream.kind.to_string()) } } @else { span.soft { "never there" } } },
            ago(it.last_seen),
            html! { (number(it.logins)) },
            html! { @if it.refusals() == 0 { span.soft { "0" } } @else { (number(it.refusals())) span.hint { (it.refused.keys().cloned().collect::<Vec<_>>().join(", ")) } } },
            html! { (bytes(it.bytes_up.saturating_add(it.bytes_down))) },
        ]
    };
    Table::new("Clients that were seen", &columns)
        .rows(all.iter().map(row))
        .or(empty("Nobody was seen", html! { "Clients appear here some seconds after their first login." }))
}

async fn dates(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>) -> Answer<Markup> {
    let look = office.overview.look().await?;
    Ok(Page::new(&visitor, Place::Usage, "Who breaks on which day")
        .below("Usage", format!("{ROOT}/usage"))
        .lead(html! { "From when on providers take less than before, and what to do. As of " (ago(look.snapshot.as_of)) "." })
        .of(html! {
            @if look.snapshot.days.is_empty() { section.card { (empty("No day is known", html! { "No provider of yours has announced a change." })) } }
            @for day in &look.snapshot.days { (of_day(day)) }
        }))
}

fn of_day(day: &Day) -> Markup {
    let when = day.day.map_or_else(|| "No day yet".to_owned(), |day| day.to_string());
    let id = format!("{}-{}", day.upstream, day.day.map_or_else(|| "open".to_owned(), |day| day.to_string()));
    let columns = [
        ("Account", Side::Left),
        ("By", Side::Left),
        ("Clients", Side::Left),
        ("Instead", Side::Left),
        ("What to do", Side::Left),
    ];
    html! {
        section.card id=(id) {
            header {
                h2 { (when) " · " (day.upstream) @if day.passed { " " (badge(Mood::Plain, "passed")) } }
                p.hint { (day.what) }
            }
            @if day.ends.is_some() {
                (Table::new(format!("Accounts that {when} concerns"), &columns)
                    .rows(day.accounts.iter().take(HITS_SHOWN_MAX).map(hit))
                    .or(empty("Nobody here", html! { "No account is entered with what ends." })))
            } @else { div.body {} }
        }
    }
}

fn hit(hit: &Hit) -> Vec<Markup> {
    let by: Vec<&str> = hit.protocols.iter().map(|it| it.name()).collect();
    let mut names: Vec<&str> = hit.clients.iter().map(|it| it.client.as_str()).collect();
    names.dedup();
    let last: Option<Timestamp> = hit.clients.iter().filter_map(|it| it.seen.as_ref()).map(|seen| seen.last_seen).max();
    vec![
        html! { a href=(paths::item("accounts", &hit.account)) { (hit.account) } },
        html! { (by.join(", ")) },
        html! {
            @for name in names.iter().take(5) { div { a href=(paths::item("clients", name)) { (name) } } }
            @if names.len() > 5 { span.hint { "and " (names.len() - 5) " more" } }
            @if names.is_empty() { span.soft { "none" } }
            @if let Some(last) = last { span.hint { "last seen " (ago(last)) } }
        },
        html! { @if hit.is_safe { (badge(Mood::Good, &hit.instead)) } @else { (badge(Mood::Bad, &hit.instead)) } },
        html! { span.soft { (hit.todo) } },
    ]
}

//! The list of clients, in parts, and a search by login or account.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::console::fields::Asked;
use crate::admin::console::lists::{self, PAGE_ROWS};
use crate::admin::console::page::{Page, Place};
use crate::admin::console::parts::{Mood, Side, Table, ago, badge, empty, paging, search};
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::admin::problem::Answer;
use crate::management::clients::{self, ClientView};
use crate::model::Role;

/// Accounts of a client that its row names.
const ACCOUNTS_NAMED_MAX: usize = 2;

pub(super) async fn show(
    _: Viewing,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    asked: Asked,
) -> Answer<Markup> {
    let (desk, wanted) = (visitor.desk(&office), asked.text("q"));
    let has = |view: &ClientView| {
        let names: Vec<&str> = view.accounts.iter().map(String::as_str).chain([view.login.as_str()]).collect();
        lists::has(wanted, &names)
    };
    let list = |paging| {
        let desk = desk.clone();
        async move { clients::list(&desk, &paging).await }
    };
    let found = lists::find(&asked, PAGE_ROWS, list, has).await?;
    let path = format!("{ROOT}/clients");
    let new =
        visitor.may(Role::Operator).then(|| html! { a.button.primary href={(ROOT) "/new/client"} { "New client" } });
    Ok(Page::new(&visitor, Place::Clients, "Clients")
        .lead(html! { "Login names of devices and programs, and the accounts that they may act as." })
        .actions(new)
        .of(html! {
            (search(&path, "Login or account", wanted, html! {}))
            (lists::damaged(&found.damaged))
            section.card aria-label="Clients" { (table(&found.items, wanted)) }
            (paging(&lists::part(path, vec![("q", wanted.to_owned())], &asked, found.next)))
        }))
}

fn table(views: &[ClientView], wanted: &str) -> Markup {
    let columns = [
        ("Login", Side::Left),
        ("May act as", Side::Left),
        ("Secrets", Side::Left),
        ("Limits", Side::Left),
        ("Changed", Side::Left),
    ];
    let none = if wanted.is_empty() {
        empty(
            "No clients yet",
            html! { "A client is a login name with a secret. " a href={(ROOT) "/new/client"} { "Make the first one" } },
        )
    } else {
        empty(
            "No such client",
            html! { "No login or account has that in it. " a href={(ROOT) "/clients"} { "Show all" } },
        )
    };
    Table::new("Clients", &columns).rows(views.iter().map(row)).or(none)
}

fn row(view: &ClientView) -> Vec<Markup> {
    let more = view.accounts.len().saturating_sub(ACCOUNTS_NAMED_MAX);
    let has_ended = view.policy.expires.is_some_and(|end| end <= Timestamp::now());
    let limits = super::policy::described(&view.policy).len();
    vec![
        html! { a href=(paths::item("clients", &view.login)) { (view.login) } @if has_ended { " " (badge(Mood::Bad, "ended")) } },
        html! {
            @for account in view.accounts.iter().take(ACCOUNTS_NAMED_MAX) {
                div { a href=(paths::item("accounts", account)) { (account) } }
            }
            @if more > 0 { span.hint { "and " (more) " more" } }
            @for delegation in &view.delegations { div { code { (delegation.pattern) } } }
        },
        html! { @if view.secrets.is_empty() { (badge(Mood::Warning, "none")) } @else { (view.secrets.len()) } },
        html! { @if limits == 0 { span.soft { "–" } } @else { (limits) } },
        html! { @if let Some(changed) = &view.changed { (ago(changed.at)) span.hint { "by " (changed.by) } } },
    ]
}

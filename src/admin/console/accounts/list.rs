//! The list of accounts, in parts, and a search by name.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::state;
use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::console::fields::Asked;
use crate::admin::console::lists::{self, PAGE_ROWS};
use crate::admin::console::page::{Page, Place};
use crate::admin::console::parts::{Mood, Side, Table, ago, badge, empty, paging, search};
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::admin::problem::Answer;
use crate::management::accounts::{self, AccountView};
use crate::model::Role;

pub(super) async fn show(
    _: Viewing,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    asked: Asked,
) -> Answer<Markup> {
    let (desk, wanted) = (visitor.desk(&office), asked.text("q"));
    let has = |view: &AccountView| lists::has(wanted, &[&view.name, &view.upstream]);
    let list = |paging| {
        let desk = desk.clone();
        async move { accounts::list(&desk, &paging).await }
    };
    let found = lists::find(&asked, PAGE_ROWS, list, has).await?;
    let path = format!("{ROOT}/accounts");
    let new =
        visitor.may(Role::Operator).then(|| html! { a.button.primary href={(ROOT) "/new/account"} { "New account" } });
    Ok(Page::new(&visitor, Place::Accounts, "Accounts")
        .lead(html! { "Mailboxes at providers, and the credentials that Locum enters them with." })
        .actions(new)
        .of(html! {
            (search(&path, "Name or upstream", wanted, html! {}))
            (lists::damaged(&found.damaged))
            section.card aria-label="Accounts" { (table(&found.items, wanted)) }
            (paging(&lists::part(path, vec![("q", wanted.to_owned())], &asked, found.next)))
        }))
}

fn table(views: &[AccountView], wanted: &str) -> Markup {
    let columns = [
        ("Account", Side::Left),
        ("Upstream", Side::Left),
        ("Credentials", Side::Left),
        ("Rotation", Side::Left),
        ("Changed", Side::Left),
    ];
    let none = if wanted.is_empty() {
        empty(
            "No accounts yet",
            html! { "An account is a mailbox at a provider. " a href={(ROOT) "/new/account"} { "Make the first one" } },
        )
    } else {
        empty(
            "No such account",
            html! { "No name or upstream has that in it. " a href={(ROOT) "/accounts"} { "Show all" } },
        )
    };
    Table::new("Accounts", &columns).rows(views.iter().map(row)).or(none)
}

fn row(view: &AccountView) -> Vec<Markup> {
    let ends = view.ends();
    vec![
        html! { a href=(paths::item("accounts", &view.name)) { (view.name) } },
        html! { (view.upstream) },
        html! {
            div.chips {
                @for credential in &view.credentials { (badge(Mood::Plain, &credential.kind.to_string())) }
                @if view.credentials.is_empty() { span.soft { "none of its own" } }
            }
            @if let Some(end) = ends { span.hint { "ends " (ago(end)) } }
        },
        state(&view.rotation),
        html! {
            @if let Some(changed) = &view.changed { (ago(changed.at)) span.hint { "by " (changed.by) } }
        },
    ]
}

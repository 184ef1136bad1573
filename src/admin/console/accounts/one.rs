//! One account: its credentials and their places, who may use it, who does, and what was done.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::console::browsers::Tone;
use crate::admin::console::fields::Fields;
use crate::admin::console::page::{Page, Place, post};
use crate::admin::console::parts::{
    Choice, Facts, Field, Mood, Side, Table, ago, badge, choose, danger, day, empty, input, minute, note, primary,
};
use crate::admin::console::rotations::{history, places};
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::admin::problem::Answer;
use crate::management::accounts::{self, AccountChanges, AccountView};
use crate::management::rotation::{self, RotationView};
use crate::management::{Desk, reports};
use crate::model::{Role, Sighting, normalise};

/// Clients that one page names.
const CLIENTS_SHOWN_MAX: usize = 100;

pub(super) async fn show(
    _: Viewing,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
) -> Answer<Markup> {
    let desk = visitor.desk(&office);
    let view = accounts::find(&desk, &name).await?;
    let rotations = rotation::of_one(&desk, &view.name).await?;
    let clients = clients(&desk, &view.name).await;
    let sessions = office.sessions.live();
    let own = normalise(&view.name);
    let live = sessions.iter().filter(|session| normalise(&session.account) == own).count();
    let may = visitor.may(Role::Operator);
    let actions = html! {
        a.button href={(ROOT) "/sessions?account=" (paths::encode(&view.name))} { (live) @if live == 1 { " live session" } @else { " live sessions" } }
        a.button href={(ROOT) "/audit?account=" (paths::encode(&view.name))} { "Audit" }
        @if may { a.button.primary href=(paths::item("rotations", &view.name)) { "Rotate" } }
    };
    let lead = html! { span { "at " strong { (view.upstream) } } @if let Some(class) = &view.class { (badge(Mood::Plain, class)) } };
    Ok(Page::new(&visitor, Place::Accounts, view.name.clone())
        .below("Accounts", format!("{ROOT}/accounts"))
        .lead(lead)
        .actions(actions)
        .of(html! {
            @for rotation in &rotations { (credential(rotation)) }
            @if rotations.is_empty() { (without(&view)) }
            div.columns.wide-left {
                (clients_of(&view.name, clients))
                (about(&view))
            }
            @for rotation in rotations.iter().filter(|it| !it.history.is_empty()) {
                section.card { header { h2 { "What was done (" (rotation.places.kind) ")" } } div.body { (history(&rotation.history)) } }
            }
            @if may { (settings(&visitor, &desk, &view)) }
        }))
}

fn credential(view: &RotationView) -> Markup {
    let path = format!("{}?kind={}", paths::item("rotations", &view.name), view.places.kind.name());
    html! {
        section.card {
            header {
                h2 { (view.places.kind.to_string()) }
                span.hint.nowrap {}
            }
            div.body {
                (places(view))
            }
            footer {
                a href=(path) { "Rotation" }
                @if let Some(max) = view.at_provider_max {
                    span.hint { (view.at_provider) " of " (max) " exist at the provider, as far as is known" }
                }
            }
        }
    }
}

fn without(view: &AccountView) -> Markup {
    note(
        Mood::Warning,
        html! {
            p { "This account has no credential of its own. It is entered by its domain's, if there is one for " (view.upstream) "." }
        },
    )
}

/// Who was seen to act as that account, and who never was but may.
async fn clients(desk: &Desk, account: &str) -> Option<Vec<Sighting>> {
    let filter = reports::UsageFilter { account: Some(account.to_owned()), ..Default::default() };
    let seen = reports::all_usage(desk, &filter).await.ok()?;
    Some(seen.seen)
}

fn clients_of(account: &str, seen: Option<Vec<Sighting>>) -> Markup {
    let columns = [("Client", Side::Left), ("By", Side::Left), ("Last seen", Side::Left), ("Logins", Side::Right)];
    let issue = format!("{ROOT}/new/client?account={}", paths::encode(account));
    html! {
        section.card {
            header { h2 { "Clients seen" } a href=(issue) { "Give a client the right to it" } }
            @match seen {
                None => div.body { p.hint { "Who was seen cannot be read with the rights of this node." } },
                Some(seen) => (Table::new("Clients that were seen to act as this account", &columns)
                    .rows(seen.iter().take(CLIENTS_SHOWN_MAX).map(client))
                    .or(empty("No client was seen yet", html! { "A client that is bound to the account appears here after its first login." }))),
            }
        }
    }
}

fn client(seen: &Sighting) -> Vec<Markup> {
    vec![
        html! { a href=(paths::item("clients", &seen.key.login)) { (seen.key.login) } },
        html! { (seen.key.protocol.name()) span.hint { (seen.key.listener) } },
        ago(seen.last_seen),
        html! { (seen.logins) @if seen.refusals() > 0 { span.hint { (seen.refusals()) " refused" } } },
    ]
}

fn about(view: &AccountView) -> Markup {
    let identity = &view.identity;
    let names = identity.all.iter().map(|name| name.to_owned());
    let by_protocol = identity.by_protocol.iter().map(|(protocol, name)| format!("{name} ({protocol})"));
    let names: Vec<String> = names.chain(by_protocol).collect();
    let prefers: Vec<&str> = view.preference.all.iter().map(|kind| kind.name()).collect();
    let facts = Facts::default()
        .with("Name at the provider", html! { @if names.is_empty() { "its own" } @else { (names.join(", ")) } })
        .with("Prefers", html! { @if prefers.is_empty() { "whatever it has" } @else { (prefers.join(", then ")) } })
        .maybe("Ends", view.ends().map(day))
        .maybe("Changed", view.changed.as_ref().map(|it| html! { (minute(it.at)) br; span.soft { "by " (it.by) } }));
    html! { section.card { header { h2 { "About it" } } div.body { (facts.list()) } } }
}

fn settings(visitor: &Visitor, desk: &Desk, view: &AccountView) -> Markup {
    let classes: Vec<Choice<'_>> = std::iter::once(("", "none"))
        .chain(desk.options.max_ages.classes.keys().map(|name| (name.as_str(), name.as_str())))
        .collect();
    let path = paths::item("accounts", &view.name);
    let change = html! {
        (input(Field::new("Name at the provider", "identity").value(view.identity.all.as_deref().unwrap_or_default())
            .hint("Empty: the account's own name.")))
        @if classes.len() > 1 {
            (choose(Field::new("Class", "class").value(view.class.as_deref().unwrap_or_default()), &classes))
        }
        div.buttons { (primary("Save")) }
    };
    let confirm = format!("Remove {} and its credentials?", view.name);
    html! {
        details.card {
            summary { "Change or remove" }
            div.body {
                div.columns {
                    div.form { h3 { "Change" } (post(visitor, &format!("{path}/change"), change)) }
                    div.form {
                        h3 { "Remove" }
                        p.hint { "Clients that are bound to it can log in no more. What exists at the provider has to be deleted there; what that is, is told." }
                        (post(visitor, &format!("{path}/remove"), html! { div.buttons { (danger("Remove account", &confirm)) } }))
                    }
                }
            }
        }
    }
}

pub(super) async fn change(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Response {
    let desk = visitor.desk(&office);
    let changes = AccountChanges {
        identity: Some(fields.text("identity").to_owned()),
        class: (!desk.options.max_ages.classes.is_empty()).then(|| fields.text("class").to_owned()),
        ..AccountChanges::default()
    };
    let changed = accounts::set(&desk, &name, changes, None).await;
    visitor.tell(&paths::item("accounts", &name), changed, |_| format!("Changed {name}."))
}

pub(super) async fn remove(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
) -> Response {
    match accounts::remove(&visitor.desk(&office), &name, None).await {
        Ok(removed) => {
            let mut lines = vec![format!("Removed {}.", removed.name)];
            if !removed.to_delete.is_empty() {
                lines.push("Delete in the provider's portal, for nobody else knows of it now:".to_owned());
            }
            for left in &removed.to_delete {
                let called = if left.label.is_empty() { &left.id } else { &left.label };
                lines.push(format!("· {} {called} at {}", left.kind, left.at));
            }
            lines.extend(removed.still_by_domain.map(|domain| {
                format!(
                    "Clients that are bound to it still enter by the credential of {domain}; revoke them to end that."
                )
            }));
            lines.extend(removed.warning);
            visitor.go(&format!("{ROOT}/accounts"), Tone::Good, lines.join("\n"))
        }
        Err(error) => visitor.go(&paths::item("accounts", &name), Tone::Bad, error.to_string()),
    }
}

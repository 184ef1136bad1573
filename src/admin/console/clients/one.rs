//! One client: its secrets by name, the accounts that it may act as, its limits, and how it was seen. No secret is here.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::policy;
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::console::browsers::Tone;
use crate::admin::console::fields::Fields;
use crate::admin::console::page::{Page, Place, post};
use crate::admin::console::parts::{
    Facts, Field, Mood, Side, Table, ago, badge, bytes, danger, empty, input, minute, number, quiet,
};
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::admin::problem::Answer;
use crate::management::clients::{self, Bind, ClientView, SecretView, Unbind};
use crate::management::reports;
use crate::model::{Role, SecretSource, Sighting, normalise};

pub(super) async fn show(
    _: Viewing,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
) -> Answer<Markup> {
    let desk = visitor.desk(&office);
    let view = clients::show(&desk, &login).await?;
    let filter = reports::UsageFilter { client: Some(view.login.clone()), ..Default::default() };
    let seen = reports::all_usage(&desk, &filter).await.map(|all| all.seen).unwrap_or_default();
    let (own, may) = (normalise(&view.login), visitor.may(Role::Operator));
    let live = office.sessions.live().iter().filter(|session| normalise(&session.login) == own).count();
    let path = paths::item("clients", &view.login);
    let actions = html! {
        a.button href={(ROOT) "/sessions?login=" (paths::encode(&view.login))} { (live) @if live == 1 { " live session" } @else { " live sessions" } }
        a.button href={(ROOT) "/audit?login=" (paths::encode(&view.login))} { "Audit" }
        @if may { a.button.primary href={(path) "/issue"} { "Issue a secret" } }
    };
    let changed = view.changed.as_ref().map(|it| html! { span { "changed " (ago(it.at)) " by " (it.by) } });
    Ok(Page::new(&visitor, Place::Clients, view.login.clone())
        .below("Clients", format!("{ROOT}/clients"))
        .lead(changed)
        .actions(actions)
        .of(html! {
            section.card { header { h2 { "Secrets" } } (secrets(&visitor, &view, &seen)) }
            div.columns {
                section.card { header { h2 { "May act as" } } (bindings(&visitor, &view)) }
                (policy::card(&view.policy))
            }
            section.card { header { h2 { "Seen" } span.hint { "How it comes in, as all nodes put it down." } } (sightings(&seen)) }
            @if may { (policy::settings(&visitor, &desk, &view)) (leave(&visitor, &view)) }
        }))
}

fn secrets(visitor: &Visitor, view: &ClientView, seen: &[Sighting]) -> Markup {
    let columns = [
        ("Secret", Side::Left),
        ("Made", Side::Left),
        ("Expires", Side::Left),
        ("Last seen", Side::Left),
        ("", Side::Right),
    ];
    let last = |secret: &SecretView| {
        seen.iter().filter(|it| it.key.secret.as_deref() == Some(&secret.id)).map(|it| it.last_seen).max()
    };
    let row = |secret: &SecretView| {
        vec![
            html! {
                strong { @if secret.label.is_empty() { "no label" } @else { (secret.label) } }
                span.hint { span.mono { (secret.id) } @if secret.source != SecretSource::Issued { ", " (secret.source.name()) } }
            },
            ago(secret.created),
            html! { @match secret.expires {
                None => span.soft { "never" },
                Some(end) if end <= Timestamp::now() => (badge(Mood::Bad, "expired")),
                Some(end) => (ago(end)),
            } },
            html! { @match last(secret) { Some(at) => (ago(at)), None => span.soft { "never" } } },
            html! { @if visitor.may(Role::Operator) {
                (post(visitor, &format!("{}/revoke-secret", paths::item("clients", &view.login)), html! {
                    input type="hidden" name="id" value=(secret.id);
                    button.danger.small type="submit" data-confirm={"Revoke the secret " (secret.id) "? Sessions by it end."} aria-label={"Revoke the secret " (secret.id)} { "Revoke" }
                }))
            } },
        ]
    };
    Table::new("Secrets, by name alone", &columns).rows(view.secrets.iter().map(row)).or(empty(
        "It has no secret",
        html! { "So it cannot log in. " @if visitor.may(Role::Operator) { a href={(paths::item("clients", &view.login)) "/issue"} { "Issue one" } } },
    ))
}

fn bindings(visitor: &Visitor, view: &ClientView) -> Markup {
    let path = paths::item("clients", &view.login);
    let may = visitor.may(Role::Operator);
    let unbind = |name: &str, value: &str| {
        html! { @if may { (post(visitor, &format!("{path}/unbind"), html! {
            input type="hidden" name=(name) value=(value);
            button.small type="submit" data-confirm={"Take " (value) " from it? Sessions by that end."} aria-label={"Take away " (value)} { "Take away" }
        })) } }
    };
    let columns = [("Account or mailboxes", Side::Left), ("", Side::Right)];
    let accounts = view.accounts.iter().map(|account| {
        vec![html! { a href=(paths::item("accounts", account)) { (account) } }, unbind("account", account)]
    });
    let delegations = view.delegations.iter().map(|delegation| {
        let pattern = delegation.pattern.to_string();
        let what = html! {
            code { (pattern) }
            @if let Some(end) = delegation.expires { span.hint { "until " (minute(end)) } }
            @if !delegation.networks.is_empty() { span.hint { "from " @for network in &delegation.networks { (network) " " } } }
        };
        vec![what, unbind("mailboxes", &pattern)]
    });
    html! {
        (Table::new("What it may act as", &columns).rows(accounts.chain(delegations)).or(empty("Nothing", html! { "It cannot log in until it is bound to an account." })))
        @if may {
            footer { (post(visitor, &format!("{path}/bind"), html! {
                div.inline { (input(Field::new("Bind to an account", "account").required())) (quiet("Bind")) }
            })) }
        }
    }
}

fn sightings(seen: &[Sighting]) -> Markup {
    let columns = [
        ("Account", Side::Left),
        ("By", Side::Left),
        ("From", Side::Left),
        ("Last seen", Side::Left),
        ("Logins", Side::Right),
        ("Moved", Side::Right),
    ];
    let row = |it: &Sighting| {
        vec![
            html! { @match &it.key.account { Some(account) => a href=(paths::item("accounts", account)) { (account) }, None => span.soft { "none" } } },
            html! {
                (it.key.protocol.name()) " "
                @if it.has_weak_tls() { (badge(Mood::Warning, it.key.tls.as_deref().unwrap_or("no TLS"))) }
                span.hint { (it.key.listener) ", " (it.key.method) }
            },
            html! { @for network in it.networks.iter().take(2) { div.mono { (network.network.addr()) } } },
            ago(it.last_seen),
            html! { (number(it.logins)) @if it.refusals() > 0 { span.hint { (number(it.refusals())) " refused" } } },
            html! { (bytes(it.bytes_up.saturating_add(it.bytes_down))) },
        ]
    };
    Table::new("How it was seen", &columns)
        .rows(seen.iter().map(row))
        .or(empty("Never seen", html! { "It has not logged in yet, or not for long enough to be put down." }))
}

fn leave(visitor: &Visitor, view: &ClientView) -> Markup {
    let confirm = format!("Revoke {} with all of its secrets?", view.login);
    html! {
        details.card {
            summary { "Revoke the client" }
            div.body {
                div.form {
                    p.hint { "All of its secrets are good for nothing from then on, and its sessions end on all nodes." }
                    (post(visitor, &format!("{}/revoke", paths::item("clients", &view.login)), html! {
                        div.buttons { (danger("Revoke client", &confirm)) }
                    }))
                    (Facts::default().list())
                }
            }
        }
    }
}

pub(super) async fn bind(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    fields: Fields,
) -> Response {
    let bind = Bind { account: fields.some("account"), ..Bind::default() };
    let bound = clients::bind(&visitor.desk(&office), &login, bind).await;
    visitor.tell(&paths::item("clients", &login), bound, |_| format!("{login} may act as {}.", fields.text("account")))
}

pub(super) async fn unbind(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    fields: Fields,
) -> Response {
    let unbind =
        fields.parsed("mailboxes", "Mailboxes").map(|mailboxes| Unbind { account: fields.some("account"), mailboxes });
    let unbound = match unbind {
        Ok(unbind) => clients::unbind(&visitor.desk(&office), &login, unbind).await,
        Err(error) => Err(error),
    };
    visitor.tell(&paths::item("clients", &login), unbound, |unbound| {
        format!("{login} may act as {} no more, and its sessions by that end.", unbound.named)
    })
}

pub(super) async fn revoke_secret(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    fields: Fields,
) -> Response {
    let id = fields.text("id");
    let revoked = clients::revoke_secret(&visitor.desk(&office), &login, id).await;
    visitor.tell(&paths::item("clients", &login), revoked, |_| format!("Revoked the secret {id}; sessions by it end."))
}

pub(super) async fn revoke(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
) -> Response {
    match clients::revoke(&visitor.desk(&office), &login).await {
        Ok(revoked) => {
            let windows = revoked.windows.iter().map(|window| {
                format!(
                    "The window of {} is open until {:.0}: this login may enrol there again.",
                    window.listener, window.until
                )
            });
            let first = format!("Revoked {}; its sessions end on all nodes.", revoked.login);
            let lines: Vec<String> = std::iter::once(first).chain(windows).collect();
            visitor.go(&format!("{ROOT}/clients"), Tone::Good, lines.join("\n"))
        }
        Err(error) => visitor.go(&paths::item("clients", &login), Tone::Bad, error.to_string()),
    }
}

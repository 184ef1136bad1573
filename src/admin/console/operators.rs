//! Operators: who may sign in, and to what. A token is shown once, to the admin who had it made.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post as on_post};
use maud::{Markup, html};

use super::browsers::{Made, Tone};
use super::fields::{Asked, Fields};
use super::lists::{self, PAGE_ROWS};
use super::once;
use super::page::{Page, Place, post};
use super::parts::{Choice, Field, Mood, Side, Table, ago, badge, choose, empty, input, paging, primary};
use super::visitor::Visitor;
use super::{ROOT, paths};
use crate::admin::Office;
use crate::admin::caller::{Administering, Viewing};
use crate::admin::problem::Answer;
use crate::management::ManagementError;
use crate::management::operators::{self, Changes, Issued, New, NewToken, Shown, ShownToken};
use crate::model::Role;

/// What there is to choose, the least first.
const ROLES: [Choice<'_>; 3] = [
    ("viewer", "viewer: look at everything but secrets"),
    ("operator", "operator: change accounts, clients, credentials; close sessions"),
    ("admin", "admin: make operators, reload the configuration"),
];

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/console/operators", get(list).post(add))
        .route("/console/operators/{name}/token", on_post(add_token).get(token))
        .route("/console/operators/{name}/role", on_post(change))
        .route("/console/operators/{name}/revoke", on_post(revoke))
        .route("/console/operators/{name}/revoke-token", on_post(revoke_token))
}

async fn list(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>, asked: Asked) -> Answer<Markup> {
    let desk = visitor.desk(&office);
    let all = |paging| {
        let desk = desk.clone();
        async move { operators::list(&desk, &paging).await }
    };
    let found = lists::find(&asked, PAGE_ROWS, all, |_: &Shown| true).await?;
    let path = format!("{ROOT}/operators");
    let may = visitor.may(Role::Admin);
    Ok(Page::new(&visitor, Place::Operators, "Operators")
        .lead(html! { "Who may sign in here and at the API, and to what." })
        .of(html! {
            (lists::damaged(&found.damaged))
            @for operator in &found.items { (card(&visitor, operator)) }
            @if found.items.is_empty() { section.card { (empty("No operators", html! { "Make one with " code { "locum operator add" } "." })) } }
            (paging(&lists::part(path.clone(), vec![], &asked, found.next)))
            @if may { (new(&visitor, &path)) }
        }))
}

fn new(visitor: &Visitor, path: &str) -> Markup {
    let form = html! {
        (input(Field::new("Name", "name").required().hint("Letters, digits and . _ - + @; it stands in the audit.")))
        (choose(Field::new("Role", "role").value("viewer").required(), &ROLES))
        (input(Field::new("What the token is for", "label")))
        (input(Field::new("Token expires", "expires").kind("date").hint("Without it: never.")))
        div.buttons { (primary("Make operator")) }
    };
    html! { section.card { header { h2 { "New operator" } } div.body { div.form { (post(visitor, path, form)) } } } }
}

fn card(visitor: &Visitor, operator: &Shown) -> Markup {
    let path = paths::item("operators", &operator.name);
    let mood = match operator.role {
        Role::Viewer => Mood::Plain,
        Role::Operator => Mood::Busy,
        Role::Admin => Mood::Warning,
    };
    let columns = [("Token", Side::Left), ("Made", Side::Left), ("Expires", Side::Left), ("", Side::Right)];
    let row = |token: &ShownToken| {
        vec![
            html! { strong { @if token.label.is_empty() { "no label" } @else { (token.label) } } span.hint { span.mono { (token.id) } } },
            ago(token.created),
            html! { @match token.expires { None => span.soft { "never" }, Some(_) if token.expired => (badge(Mood::Bad, "expired")), Some(end) => (ago(end)) } },
            html! { @if visitor.may(Role::Admin) {
                (post(visitor, &format!("{path}/revoke-token"), html! {
                    input type="hidden" name="id" value=(token.id);
                    button.danger.small type="submit" data-confirm={"Revoke the token " (token.id) "?"} aria-label={"Revoke the token " (token.id)} { "Revoke" }
                }))
            } },
        ]
    };
    html! {
        section.card {
            header {
                h2 { (operator.name) " " (badge(mood, operator.role.name())) }
                @if let (Some(by), Some(at)) = (&operator.changed_by, operator.changed_at) { span.hint { "changed " (ago(at)) " by " (by) } }
            }
            (Table::new(format!("Tokens of {}", operator.name), &columns).rows(operator.tokens.iter().map(row)).or(empty("No token", html! { "This operator cannot sign in." })))
            @if visitor.may(Role::Admin) { (settings(visitor, operator, &path)) }
        }
    }
}

fn settings(visitor: &Visitor, operator: &Shown, path: &str) -> Markup {
    html! {
        footer {
            (post(visitor, &format!("{path}/token"), html! { button.small type="submit" { "One more token" } }))
            (post(visitor, &format!("{path}/role"), html! {
                div.inline {
                    select name="role" aria-label={"Role of " (operator.name)} {
                        @for role in Role::ALL { option value=(role.name()) selected[role == operator.role] { (role.name()) } }
                    }
                    button.small type="submit" { "Change role" }
                }
            }))
            (post(visitor, &format!("{path}/revoke"), html! {
                button.danger.small type="submit" data-confirm={"Revoke " (operator.name) " with all tokens?"} { "Revoke operator" }
            }))
        }
    }
}

async fn add(_: Administering, visitor: Visitor, State(office): State<Arc<Office>>, fields: Fields) -> Response {
    let issued = match new_of(&fields) {
        Ok(new) => operators::add(&visitor.desk(&office), &new).await,
        Err(error) => Err(error),
    };
    finish(&visitor, issued)
}

fn new_of(fields: &Fields) -> Result<New, ManagementError> {
    let role = fields.parsed("role", "Role")?.unwrap_or(Role::Viewer);
    let (name, label) = (fields.text("name").to_owned(), fields.text("label").to_owned());
    Ok(New { name, role, label, expires: fields.day("expires", "Token expires")? })
}

async fn add_token(
    _: Administering,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
) -> Response {
    let token = NewToken { label: format!("made by {}", visitor.caller.name), expires: None };
    finish(&visitor, operators::add_token(&visitor.desk(&office), &name, &token).await)
}

fn finish(visitor: &Visitor, issued: Result<Issued, ManagementError>) -> Response {
    match issued {
        Ok(Issued { operator, id, token, .. }) => {
            let to = format!("{}/token", paths::item("operators", &operator));
            visitor.keep(Made { of: operator, id, secret: token });
            Redirect::to(&to).into_response()
        }
        Err(error) => visitor.go(&format!("{ROOT}/operators"), Tone::Bad, error.to_string()),
    }
}

async fn token(_: Administering, visitor: Visitor, Path(name): Path<String>) -> Markup {
    let path = format!("{ROOT}/operators");
    let made = visitor.take(&name);
    let what = "Give it to the operator by a way that you trust; it signs in here and at the API.";
    Page::new(&visitor, Place::Operators, format!("A token for {name}"))
        .below("Operators", path.clone())
        .of(once::shown(made.as_ref(), what, &path, "To the operators"))
}

async fn change(
    _: Administering,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Response {
    let changed = match fields.parsed("role", "Role") {
        Ok(role) => {
            let changes = Changes { role: role.unwrap_or(Role::Viewer), even_last_admin: false };
            operators::change(&visitor.desk(&office), &name, &changes).await
        }
        Err(error) => Err(error),
    };
    visitor.tell(&format!("{ROOT}/operators"), changed, |shown| format!("{} is {} now.", shown.name, shown.role))
}

async fn revoke(
    _: Administering,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
) -> Response {
    let revoked = operators::revoke(&visitor.desk(&office), &name, false).await;
    visitor.tell(&format!("{ROOT}/operators"), revoked, |()| format!("Revoked {name}, who is signed out everywhere."))
}

async fn revoke_token(
    _: Administering,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Response {
    let revoked = operators::revoke_token(&visitor.desk(&office), &name, fields.text("id"), false).await;
    visitor.tell(&format!("{ROOT}/operators"), revoked, |()| format!("Revoked a token of {name}."))
}

//! A new account.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::caller::Operating;
use crate::admin::console::browsers::Tone;
use crate::admin::console::fields::Fields;
use crate::admin::console::page::{Page, Place, post, sentence};
use crate::admin::console::parts::{Choice, Field, Mood, choose, input, note, primary};
use crate::admin::console::portal::Portal;
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::management::accounts::{self, NewAccount};
use crate::management::{Desk, GivenSecret};

pub(super) async fn show(_: Operating, visitor: Visitor, State(office): State<Arc<Office>>) -> Markup {
    page(&visitor, &visitor.desk(&office), &Fields::default(), None)
}

pub(super) async fn make(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    fields: Fields,
) -> Response {
    let desk = visitor.desk(&office);
    let secret = fields.pasted("secret");
    let new = NewAccount {
        name: fields.text("name").to_owned(),
        upstream: fields.text("upstream").to_owned(),
        identity: fields.some("identity"),
        identity_for: BTreeMap::new(),
        app_password: (!secret.is_empty()).then(|| GivenSecret::from(secret)),
        label: fields.some("label"),
        class: fields.some("class"),
    };
    match accounts::add(&desk, new).await {
        Ok(added) => {
            let name = added.account.name;
            let text = format!("Made {name}. Next: give a client the right to it.");
            visitor.go(&paths::item("accounts", &name), Tone::Good, text)
        }
        Err(error) => {
            let page = page(&visitor, &desk, &fields, Some(&error.to_string()));
            (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
        }
    }
}

fn page(visitor: &Visitor, desk: &Desk, fields: &Fields, why_not: Option<&str>) -> Markup {
    let upstreams: Vec<Choice<'_>> = desk.profiles.keys().map(|name| (name.as_str(), name.as_str())).collect();
    let classes: Vec<Choice<'_>> = std::iter::once(("", "none"))
        .chain(desk.options.max_ages.classes.keys().map(|name| (name.as_str(), name.as_str())))
        .collect();
    let form = html! {
        (input(Field::new("Account name", "name").value(fields.text("name")).required()
            .hint("The mailbox's address, as a rule. Clients are bound to it by this name.")))
        (choose(Field::new("Upstream", "upstream").value(fields.text("upstream")).required()
            .hint("The provider, as [upstream.<name>] in the configuration calls it."), &upstreams))
        (input(Field::new("App password", "secret").kind("password")
            .hint("Leave it empty where the mailbox is entered by OAuth2: by its domain's credential, or one that locum oauth login gets.")))
        (input(Field::new("Label in the portal", "label").value(fields.text("label"))
            .hint("What the app password is called there, so that somebody finds it when it is to be deleted.")))
        (input(Field::new("Name at the provider", "identity").value(fields.text("identity"))
            .hint("Only where it is another than the account's own.")))
        @if classes.len() > 1 {
            (choose(Field::new("Class", "class").value(fields.text("class"))
                .hint("Says how old its credentials may become."), &classes))
        }
        div.buttons { (primary("Make account")) a.button href={(ROOT) "/accounts"} { "Cancel" } }
    };
    Page::new(visitor, Place::Accounts, "New account").below("Accounts", format!("{ROOT}/accounts")).of(html! {
        @if let Some(why_not) = why_not { (note(Mood::Bad, html! { p { (sentence(why_not)) } })) }
        div.columns.wide-left {
            section.card aria-label="The account" {
                div.body { div.form { (post(visitor, &format!("{ROOT}/accounts"), form)) } }
            }
            div { @for name in desk.profiles.keys() { (steps(desk, name)) } }
        }
    })
}

/// How an app password is made at that upstream.
fn steps(desk: &Desk, upstream: &str) -> Markup {
    let portal = Portal::of(upstream, desk.profiles.get(upstream).map(|profile| &**profile));
    html! {
        details.card {
            summary { "An app password at " (upstream) }
            div.body { div.form { (portal.steps("locum")) } }
        }
    }
}

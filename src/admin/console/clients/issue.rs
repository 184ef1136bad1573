//! A secret for a client: how it is made, and the one page that shows it, once.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::caller::Operating;
use crate::admin::console::browsers::Made;
use crate::admin::console::fields::{Asked, Fields};
use crate::admin::console::once;
use crate::admin::console::page::{Page, Place, post, sentence};
use crate::admin::console::parts::{Choice, Field, Mood, check, choose, input, note, primary};
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::admin::problem::Answer;
use crate::management::ManagementError;
use crate::management::clients::{self, Handed, Issue, Issued};
use crate::model::Protocol;

/// Which characters a secret is made of, for devices that take no others.
const ALPHABETS: [Choice<'_>; 5] = [
    ("default", "letters and digits that nobody mixes up"),
    ("alphanumeric", "all letters and digits"),
    ("letters", "letters only"),
    ("lower", "lower-case letters only"),
    ("digits", "digits only"),
];

pub(super) async fn show_new(_: Operating, visitor: Visitor, asked: Asked) -> Markup {
    page(&visitor, None, &asked, None)
}

pub(super) async fn show(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    asked: Asked,
) -> Answer<Markup> {
    let view = clients::show(&visitor.desk(&office), &login).await?;
    Ok(page(&visitor, Some(&view.login), &asked, None))
}

pub(super) async fn make_new(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    fields: Fields,
) -> Response {
    let login = fields.text("login").to_owned();
    finish(&visitor, None, &fields, issue(&visitor, &office, &login, &fields).await)
}

pub(super) async fn make(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    fields: Fields,
) -> Response {
    let issued = issue(&visitor, &office, &login, &fields).await;
    finish(&visitor, Some(&login), &fields, issued)
}

async fn issue(visitor: &Visitor, office: &Office, login: &str, fields: &Fields) -> Result<Issued, ManagementError> {
    let alphabet = fields.parsed("alphabet", "Characters")?.unwrap_or_default();
    let wanted = Issue {
        accounts: fields.listed("accounts"),
        label: fields.text("label").to_owned(),
        expires: fields.day("expires", "Expires")?,
        length: fields.parsed("length", "Length")?,
        alphabet,
        protocols: fields.all_parsed(&fields.all("protocols"), "Protocols")?,
        networks: fields.all_parsed(&fields.listed("networks"), "Networks")?,
        several: fields.is_ticked("several"),
        ..Issue::default()
    };
    clients::issue(&visitor.desk(office), login, wanted).await
}

fn finish(
    visitor: &Visitor,
    login: Option<&str>,
    fields: &Fields,
    issued: Result<Issued, ManagementError>,
) -> Response {
    match issued {
        Ok(Issued { login, id, handed: Handed::Plain(secret) | Handed::Wrapped { token: secret, .. }, .. }) => {
            let to = format!("{}/secret", paths::item("clients", &login));
            visitor.keep(Made { of: login, id, secret });
            Redirect::to(&to).into_response()
        }
        Err(error) => {
            let page = page(visitor, login, fields, Some(&error.to_string()));
            (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
        }
    }
}

/// The page that shows what was made, once.
pub(super) async fn once(_: Operating, visitor: Visitor, Path(login): Path<String>) -> Markup {
    let path = paths::item("clients", &login);
    let made = visitor.take(&login);
    Page::new(&visitor, Place::Clients, format!("A secret for {login}"))
        .below("Clients", format!("{ROOT}/clients"))
        .below(login.clone(), path.clone())
        .of(once::shown(
            made.as_ref(),
            "Enter it at the device or program now, with the login name as above.",
            &path,
            "To the client",
        ))
}

fn page(visitor: &Visitor, login: Option<&str>, fields: &Fields, why_not: Option<&str>) -> Markup {
    let protocols: Vec<Choice<'_>> = Protocol::ALL.iter().map(|it| (it.name(), it.name())).collect();
    let accounts = if fields.is_named("accounts") { fields.text("accounts") } else { fields.text("account") };
    let form = html! {
        @if login.is_none() {
            (input(Field::new("Login name", "login").value(fields.text("login")).required()
                .hint("What the device or program logs in with. An address is fine, and no account needs to be called so.")))
            (input(Field::new("Acts as", "accounts").value(accounts).required().hint("The account. Several with commas between, if it names one at each login.")))
        } @else {
            (input(Field::new("Acts as, too", "accounts").value(accounts).hint("Only to give it the right to one more account.")))
        }
        (input(Field::new("Label", "label").value(fields.text("label")).hint("What this secret is for: “scanner, third floor”.")))
        (input(Field::new("Expires", "expires").kind("date").value(fields.text("expires")).hint("This secret, not the client. Without it: never.")))
        details {
            summary { "For devices that take no long secret, and limits" }
            div.form {
                (input(Field::new("Length", "length").kind("number").value(fields.text("length")).hint("Characters. Short ones are weaker, and that is said.")))
                (choose(Field::new("Characters", "alphabet").value(fields.text("alphabet")), &ALPHABETS))
                @if login.is_none() {
                    (check("Protocols (none ticked: all)", "protocols", &protocols, &fields.all("protocols")))
                    (input(Field::new("Networks", "networks").value(fields.text("networks")).hint("Where it may come from, as 10.2.0.0/16; several with commas between.")))
                }
                (check("Accounts", "several", &[("yes", "It may have several accounts, and names one at each login")], &fields.all("several")))
            }
        }
        div.buttons { (primary("Make secret")) a.button href=(login.map_or_else(|| format!("{ROOT}/clients"), |login| paths::item("clients", login))) { "Cancel" } }
    };
    let (title, action) = match login {
        None => ("New client".to_owned(), format!("{ROOT}/new/client")),
        Some(login) => (format!("Issue a secret for {login}"), format!("{}/issue", paths::item("clients", login))),
    };
    let page = Page::new(visitor, Place::Clients, title).below("Clients", format!("{ROOT}/clients"));
    let page = match login {
        Some(login) => page.below(login.to_owned(), paths::item("clients", login)),
        None => page,
    };
    page.lead(html! { "Locum makes the secret and shows it once; what is kept can only check it." }).of(html! {
        @if let Some(why_not) = why_not { (note(Mood::Bad, html! { p { (sentence(why_not)) } })) }
        section.card aria-label="The secret" { div.body { div.form { (post(visitor, &action, form)) } } }
    })
}

//! What bounds a client: how it is shown, and the form that changes it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::caller::Operating;
use crate::admin::console::fields::Fields;
use crate::admin::console::page::post;
use crate::admin::console::parts::{Choice, Facts, Field, area, check, choose, empty, input, minute, primary};
use crate::admin::console::paths;
use crate::admin::console::visitor::Visitor;
use crate::management::clients::{self, Changed, Clear, ClientView, Limits, Set};
use crate::management::{Desk, ManagementError};
use crate::model::{Policy, Protocol};

/// Each limit that there is: its name, and what it says.
pub(super) fn described(policy: &Policy) -> Vec<(&'static str, Markup)> {
    let Policy { protocols, listeners, networks, hours, expires, sessions_max, senders, class } = policy;
    let listed =
        |all: Vec<String>| (!all.is_empty()).then(|| html! { div.chips { @for one in &all { code { (one) } } } });
    let texts = |all: &[_]| all.iter().map(ToString::to_string).collect::<Vec<String>>();
    [
        ("Protocols", listed(protocols.iter().map(ToString::to_string).collect())),
        ("Listeners", listed(texts(listeners))),
        ("Networks", listed(networks.iter().map(ToString::to_string).collect())),
        ("Hours", listed(hours.iter().map(ToString::to_string).collect())),
        ("Senders", listed(senders.iter().map(ToString::to_string).collect())),
        ("Sessions", sessions_max.map(|max| html! { "at most " (max) " at once on each node" })),
        ("Class", class.as_ref().map(|class| html! { code { (class) } })),
        ("Ends", expires.map(minute)),
    ]
    .into_iter()
    .filter_map(|(name, what)| Some((name, what?)))
    .collect()
}

/// The limits of a client.
pub(super) fn card(policy: &Policy) -> Markup {
    let limits = described(policy);
    html! {
        section.card {
            header { h2 { "Limits" } }
            @if limits.is_empty() {
                (empty("No limits", html! { "It may log in by every protocol, from everywhere, at any time." }))
            } @else {
                div.body { (limits.into_iter().fold(Facts::default(), |facts, (name, what)| facts.with(name, what)).list()) }
            }
        }
    }
}

/// The form that changes them. All of it takes the place of what was.
pub(super) fn settings(visitor: &Visitor, desk: &Desk, view: &ClientView) -> Markup {
    let policy = &view.policy;
    let protocols: Vec<Choice<'_>> = Protocol::ALL.iter().map(|it| (it.name(), it.name())).collect();
    let chosen: Vec<String> = policy.protocols.iter().map(|it| it.name().to_owned()).collect();
    let listeners: Vec<Choice<'_>> = desk.listeners.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let classes: Vec<Choice<'_>> =
        std::iter::once(("", "none")).chain(desk.classes.iter().map(|name| (name.as_str(), name.as_str()))).collect();
    let networks = policy.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let senders = policy.senders.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let hours = policy.hours.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let expires = policy.expires.map(|end| format!("{end:.0}")).unwrap_or_default();
    let sessions = policy.sessions_max.map(|max| max.to_string()).unwrap_or_default();
    let form = html! {
        div.form.two {
            (check("Protocols", "protocols", &protocols, &chosen))
            (check("Listeners", "listeners", &listeners, &policy.listeners))
            (area(Field::new("Networks", "networks").value(&networks).hint("One on each line, as 10.2.0.0/16."), 3))
            (area(Field::new("Senders", "senders").value(&senders).hint("Whom it may name in MAIL FROM: scan@contoso.com, *@contoso.com."), 3))
            (area(Field::new("Hours", "hours").value(&hours).hint("One on each line, as mon-fri 07:00-19:00 Europe/Berlin."), 2))
            (input(Field::new("Sessions at once", "sessions_max").value(&sessions).kind("number").hint("On each node.")))
            (input(Field::new("Ends", "expires").value(&expires).hint("A day as 2027-01-31, or an instant.")))
            @if classes.len() > 1 { (choose(Field::new("Class", "class").value(policy.class.as_deref().unwrap_or_default()), &classes)) }
            div.buttons.across { (primary("Save limits")) span.hint { "What is empty bounds nothing." } }
        }
    };
    html! {
        details.card {
            summary { "Change its limits" }
            div.body { (post(visitor, &format!("{}/limits", paths::item("clients", &view.login)), form)) }
        }
    }
}

pub(super) async fn set(
    _: Operating,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(login): Path<String>,
    fields: Fields,
) -> Response {
    let changed = change(&visitor.desk(&office), &login, &fields).await;
    visitor.tell(&paths::item("clients", &login), changed, |changed| {
        let ended = if changed.has_ended { " Its end has passed: it cannot log in." } else { "" };
        format!("Changed the limits of {login}.{ended}")
    })
}

async fn change(desk: &Desk, login: &str, fields: &Fields) -> Result<Changed, ManagementError> {
    let lines = |name: &str| -> Vec<String> {
        fields.text(name).lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let policy = Limits {
        protocols: fields.all_parsed(&fields.all("protocols"), "Protocols")?,
        listeners: fields.all("listeners"),
        networks: fields.all_parsed(&fields.listed("networks"), "Networks")?,
        hours: fields.all_parsed(&lines("hours"), "Hours")?,
        expires: fields.day("expires", "Ends")?,
        sessions_max: fields.parsed("sessions_max", "Sessions at once")?,
        senders: fields.all_parsed(&fields.listed("senders"), "Senders")?,
        class: fields.some("class"),
    };
    let clear = vec![
        Clear::Protocols,
        Clear::Listeners,
        Clear::Networks,
        Clear::Hours,
        Clear::Expires,
        Clear::SessionsMax,
        Clear::Senders,
        Clear::Class,
    ];
    clients::set(desk, login, Set { policy, clear }).await
}

//! Live sessions: who is connected, from where, since when. What is relayed is nobody's business and not here.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post as on_post};
use maud::{Markup, html};

use super::fields::{Asked, Fields};
use super::page::{Page, Place, post};
use super::parts::{Mood, Side, Table, ago, badge, bytes, empty, number, search};
use super::visitor::Visitor;
use super::{ROOT, paths};
use crate::admin::Office;
use crate::admin::caller::{Operating, Viewing};
use crate::admin::problem::Answer;
use crate::management::Paging;
use crate::management::sessions::{SessionItem, SessionQuery, close_session, list_sessions};
use crate::model::{Role, normalise};

/// Rows of one page. Whoever wants one of more of them searches.
const SHOWN_MAX: usize = 200;

/// Seconds after which the list is read again.
const REFRESH: u32 = 5;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route("/console/sessions", get(list)).route("/console/sessions/close", on_post(close))
}

async fn list(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>, asked: Asked) -> Answer<Markup> {
    let wanted = asked.text("q");
    let paging = Paging { limit: office.sessions.max(), after: None }; // as many as there are places for
    let all = list_sessions(&office.sessions, &SessionQuery::default(), &paging)?.items;
    let count = all.len();
    let mut found: Vec<SessionItem> = all.into_iter().filter(|it| is_wanted(it, &asked)).collect();
    found.reverse(); // the latest first
    let (matching, shown) = (found.len(), found.len().min(SHOWN_MAX));
    let lead = html! {
        span { (number(count as u64)) " open on this node" }
        @if matching > shown { span { "· the latest " (shown) " of " (matching) " are shown" } }
    };
    Ok(Page::new(&visitor, Place::Sessions, "Live sessions").lead(lead).refreshed(REFRESH).of(html! {
        (search(&format!("{ROOT}/sessions"), "Login, account or address", wanted, html! {}))
        section.card aria-label="Sessions" { (table(&visitor, &found[..shown], &asked)) }
    }))
}

/// Whether it is one of those that were asked for: by a part of a name or address, or by a whole name.
fn is_wanted(session: &SessionItem, asked: &Asked) -> bool {
    let is = |name: &str, value: &str| asked.text(name).is_empty() || normalise(asked.text(name)) == normalise(value);
    let part = normalise(asked.text("q"));
    let peer = session.peer.to_string();
    let has = |text: &str| normalise(text).contains(&part);
    is("account", &session.account)
        && is("login", &session.login)
        && [&session.login, &session.account, &peer].into_iter().any(|it| has(it))
}

fn table(visitor: &Visitor, sessions: &[SessionItem], asked: &Asked) -> Markup {
    let columns = [
        ("Client", Side::Left),
        ("Account", Side::Left),
        ("By", Side::Left),
        ("From", Side::Left),
        ("Since", Side::Left),
        ("Up, down", Side::Right),
        ("", Side::Right),
    ];
    let is_searched = ["q", "account", "login"].iter().any(|name| !asked.text(name).is_empty());
    Table::new("Sessions that are open on this node", &columns).live("sessions").rows(sessions.iter().map(|it| row(visitor, it))).or(if is_searched {
        empty("No such session", html! { "Nobody of that name or address is connected now. " a href={(ROOT) "/sessions"} { "Show all" } })
    } else {
        empty("Nobody is connected", html! { "Sessions appear here as clients log in." })
    })
}

fn row(visitor: &Visitor, session: &SessionItem) -> Vec<Markup> {
    let SessionItem {
        id,
        login,
        bytes_up,
        bytes_down,
        account,
        listener,
        protocol,
        peer,
        since,
        until,
        client_secret,
        ..
    } = session;
    vec![
        html! {
            a href=(paths::item("clients", login)) { (login) }
            @if let Some(secret) = client_secret { span.hint { "by secret " span.mono { (secret) } } }
        },
        html! { a href=(paths::item("accounts", account)) { (account) } },
        html! { (badge(Mood::Plain, protocol.name())) span.hint { (listener) } },
        html! { span.mono { (peer) } },
        html! {
            (ago(*since))
            @if let Some(until) = until { span.hint { "ends " (ago(*until)) } }
        },
        html! { (bytes(*bytes_up)) span.hint { (bytes(*bytes_down)) } },
        html! { @if visitor.may(Role::Operator) {
            (post(visitor, "/console/sessions/close", html! {
                input type="hidden" name="id" value=(id);
                button.danger.small type="submit" aria-label={"Close the session of " (login)} data-confirm={"Close the session of " (login) "?"} { "Close" }
            }))
        } },
    ]
}

async fn close(_: Operating, visitor: Visitor, State(office): State<Arc<Office>>, fields: Fields) -> Response {
    let closed = fields
        .parsed::<u64>("id", "Session")
        .and_then(|id| close_session(&office.sessions, id.unwrap_or_default(), &visitor.caller.name));
    visitor.tell(&format!("{ROOT}/sessions"), closed, |_| "Closed the session.".to_owned())
}

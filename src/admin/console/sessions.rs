//! Live sessions: who is connected, from where, since when. What is relayed is nobody's business and not here.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use super::fields::Asked;
use super::page::{Page, Place};
use super::parts::{Mood, Side, Table, ago, badge, empty, number, search};
use super::visitor::Visitor;
use super::{ROOT, paths};
use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::model::normalise;
use crate::session::LiveSession;

/// Rows of one page. Whoever wants one of more of them searches.
const SHOWN_MAX: usize = 200;

/// Seconds after which the list is read again.
const REFRESH: u32 = 5;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route("/console/sessions", get(list))
}

async fn list(_: Viewing, visitor: Visitor, State(office): State<Arc<Office>>, asked: Asked) -> Markup {
    let wanted = asked.text("q");
    let all = office.sessions.live();
    let count = all.len();
    let mut found: Vec<LiveSession> = all.into_iter().filter(|it| is_wanted(it, &asked)).collect();
    found.reverse(); // the latest first
    let (matching, shown) = (found.len(), found.len().min(SHOWN_MAX));
    let lead = html! {
        span { (number(count as u64)) " open on this node" }
        @if matching > shown { span { "· the latest " (shown) " of " (matching) " are shown" } }
    };
    Page::new(&visitor, Place::Sessions, "Live sessions").lead(lead).refreshed(REFRESH).of(html! {
        (search(&format!("{ROOT}/sessions"), "Login, account or address", wanted, html! {}))
        section.card aria-label="Sessions" { (table(&found[..shown], &asked)) }
    })
}

/// Whether it is one of those that were asked for: by a part of a name or address, or by a whole name.
fn is_wanted(session: &LiveSession, asked: &Asked) -> bool {
    let is = |name: &str, value: &str| asked.text(name).is_empty() || normalise(asked.text(name)) == normalise(value);
    let part = normalise(asked.text("q"));
    let peer = session.peer.to_string();
    let has = |text: &str| normalise(text).contains(&part);
    is("account", &session.account) && is("login", &session.login) && [&session.login, &session.account, &peer].into_iter().any(|it| has(it))
}

fn table(sessions: &[LiveSession], asked: &Asked) -> Markup {
    let columns = [
        ("Client", Side::Left),
        ("Account", Side::Left),
        ("By", Side::Left),
        ("From", Side::Left),
        ("Since", Side::Left),
    ];
    let is_searched = ["q", "account", "login"].iter().any(|name| !asked.text(name).is_empty());
    Table::new("Sessions that are open on this node", &columns).live("sessions").rows(sessions.iter().map(row)).or(if is_searched {
        empty("No such session", html! { "Nobody of that name or address is connected now. " a href={(ROOT) "/sessions"} { "Show all" } })
    } else {
        empty("Nobody is connected", html! { "Sessions appear here as clients log in." })
    })
}

fn row(session: &LiveSession) -> Vec<Markup> {
    let LiveSession { login, account, listener, protocol, peer, since, until, client_secret, .. } = session;
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
    ]
}

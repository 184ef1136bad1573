//! What all pages have in common: head, navigation, who is signed in, what was said, and the way to sign out.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::browsers::Tone;
use super::guard::CSRF;
use super::parts::{Icon, icon};
use super::sign_in::{SIGN_IN, SIGN_OUT};
use super::visitor::Visitor;
use super::{ROOT, assets};
use crate::admin::problem::Problem;
use crate::model::Role;

/// A page of somebody who is signed in.
#[derive(Debug)]
pub(super) struct Page<'v> {
    visitor: &'v Visitor,
    place: Place,
    title: String,
    lead: Option<Markup>,
    trail: Vec<(String, String)>,
    actions: Option<Markup>,
    refresh: Option<u32>,
}

/// Where a page is in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Accounts,
    Clients,
    Sessions,
    Rotations,
    Usage,
    Audit,
    Operators,
    Node,
    /// In none of them.
    Elsewhere,
}

#[expect(clippy::type_complexity, reason = "a table that is read once, below")]
const NAVIGATION: [(&str, &[(Place, &str, &str, Icon)]); 3] = [
    (
        "Now",
        &[
            (Place::Overview, "Overview", "", Icon::Overview),
            (Place::Sessions, "Live sessions", "/sessions", Icon::Sessions),
        ],
    ),
    (
        "Records",
        &[
            (Place::Accounts, "Accounts", "/accounts", Icon::Accounts),
            (Place::Clients, "Clients", "/clients", Icon::Clients),
            (Place::Rotations, "Rotations", "/rotations", Icon::Rotations),
        ],
    ),
    (
        "Look back",
        &[
            (Place::Usage, "Usage", "/usage", Icon::Usage),
            (Place::Audit, "Audit", "/audit", Icon::Audit),
            (Place::Operators, "Operators", "/operators", Icon::Operators),
            (Place::Node, "Node", "/node", Icon::Node),
        ],
    ),
];

impl<'v> Page<'v> {
    pub(super) fn new(visitor: &'v Visitor, place: Place, title: impl Into<String>) -> Self {
        let title = title.into();
        Self { visitor, place, title, lead: None, trail: Vec::new(), actions: None, refresh: None }
    }

    /// What stands below the heading.
    pub(super) fn lead(mut self, lead: impl Into<Option<Markup>>) -> Self {
        self.lead = lead.into();
        self
    }

    /// A page above this one.
    pub(super) fn below(mut self, title: impl Into<String>, path: impl Into<String>) -> Self {
        self.trail.push((title.into(), path.into()));
        self
    }

    /// What can be done, beside the heading.
    pub(super) fn actions(mut self, actions: impl Into<Option<Markup>>) -> Self {
        self.actions = actions.into();
        self
    }

    /// Whatever can change by itself is read again after so many seconds: by the script, or else by the browser.
    pub(super) fn refreshed(mut self, seconds: u32) -> Self {
        self.refresh = Some(seconds);
        self
    }

    /// The page around that.
    pub(super) fn of(self, content: Markup) -> Markup {
        let Self { visitor, place, title, lead, trail, actions, refresh } = self;
        let flash = visitor.said();
        document(
            &title,
            refresh,
            html! {
                a.skip href="#content" { "Skip to the content" }
                div.shell {
                    header.side {
                        a.brand href=(ROOT) { img src=(assets::path("locum.svg")) alt="" width="24" height="24"; "Locum" }
                        nav aria-label="Pages" { (navigation(visitor, place)) }
                        (signed_in(visitor))
                    }
                    main #content tabindex="-1" data-refresh=[refresh] {
                        @if !trail.is_empty() {
                            nav.trail aria-label="Above this page" {
                                ol { @for (title, path) in &trail { li { a href=(path) { (title) } } } }
                            }
                        }
                        div.head {
                            div.title {
                                h1 { (title) }
                                @if let Some(lead) = lead { div.lead { (lead) } }
                            }
                            @if let Some(actions) = actions { div.actions { (actions) } }
                        }
                        @if let Some(flash) = flash {
                            @match flash.tone {
                                Tone::Good => div.flash.good role="status" { (icon(Icon::Good)) p { (flash.text) } },
                                Tone::Bad => div.flash.bad role="alert" { (icon(Icon::Bad)) p { (flash.text) } },
                            }
                        }
                        (content)
                    }
                }
            },
        )
    }
}

fn navigation(visitor: &Visitor, here: Place) -> Markup {
    let may_see = |place: Place| place != Place::Operators || visitor.may(Role::Admin);
    html! {
        @for (group, items) in NAVIGATION {
            p.group #{"nav-" (group.replace(' ', "-").to_lowercase())} { (group) }
            ul aria-labelledby={"nav-" (group.replace(' ', "-").to_lowercase())} {
                @for (place, title, path, picture) in items.iter().filter(|item| may_see(item.0)) {
                    li {
                        a href={(ROOT) (path)} aria-current=[(*place == here).then_some("page")] {
                            (icon(*picture)) span { (title) }
                        }
                    }
                }
            }
        }
    }
}

fn signed_in(visitor: &Visitor) -> Markup {
    html! {
        div.who {
            div {
                span.name { (visitor.caller.name) }
                span.role { (visitor.caller.role) }
            }
            (post(visitor, SIGN_OUT, html! {
                button.quiet type="submit" aria-label="Sign out" title="Sign out" { (icon(Icon::SignOut)) }
            }))
        }
    }
}

/// A form of this console, with what makes it believed.
pub(super) fn post(visitor: &Visitor, action: &str, content: Markup) -> Markup {
    html! {
        form method="post" action=(action) autocomplete="off" {
            input type="hidden" name=(CSRF) value=(visitor.csrf);
            (content)
        }
    }
}

/// A whole document.
pub(super) fn document(title: &str, refresh: Option<u32>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Locum" }
                link rel="icon" type="image/svg+xml" href=(assets::path("locum.svg"));
                link rel="stylesheet" href=(assets::path("console.css"));
                @if let Some(seconds) = refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
                script src=(assets::path("console.js")) defer {}
            }
            body { (body) }
        }
    }
}

/// Why something was not done, as a page.
pub(super) fn of_problem(visitor: Option<&Visitor>, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let title = capital(problem.title);
    let detail = problem.detail.as_deref().map(sentence);
    let content = html! {
        section.card.problem {
            @if let Some(detail) = detail { p { (detail) } }
            p.hint { "The answer was " (problem.status) " (" (problem.kind) ")." }
            p { a.button href=(if visitor.is_some() { ROOT } else { SIGN_IN }) { "Go to the start" } }
        }
    };
    let page = match visitor {
        Some(visitor) => Page::new(visitor, Place::Elsewhere, title).of(content),
        None => document(&title, None, html! { main.alone #content { h1 { (title) } (content) } }),
    };
    (status, page).into_response()
}

/// A text of an error, as a sentence on a page.
pub(super) fn sentence(text: &str) -> String {
    let text = capital(text);
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

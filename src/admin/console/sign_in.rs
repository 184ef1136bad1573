//! Signing in with an operator's token, and out. The token is looked at once and not kept: the browser gets a random id in
//! its place. It must never say what of a token was wrong.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::{Markup, html};

use super::browsers::Browsers;
use super::fields::Fields;
use super::page::{document, sentence};
use super::parts::{Icon, icon};
use super::visitor::Visitor;
use super::{ROOT, Secured, assets, paths};
use crate::admin::problem::Problem;
use crate::admin::{Office, Peer};
use crate::management::operators::Deed;

/// The page to sign in at.
pub(super) const SIGN_IN: &str = "/console/sign-in";

/// Where the form to sign out goes.
pub(super) const SIGN_OUT: &str = "/console/sign-out";

/// The cookie where there is TLS: browsers take one of that prefix only with `Secure`, for this host and the whole of it.
const COOKIE: &str = "__Host-locum";

/// The same on loopback without TLS, where browsers take no `Secure`.
const PLAIN_COOKIE: &str = "locum";

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route(SIGN_IN, get(show).post(enter)).route(SIGN_OUT, post(leave))
}

/// What the browser says who it is. Where there is TLS, a cookie of the other name is nothing: a page without TLS, or of a
/// host beside this one, could have set it.
pub(super) fn cookie(headers: &HeaderMap, is_tls: bool) -> Option<&str> {
    let own = if is_tls { COOKIE } else { PLAIN_COOKIE };
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == own).map(|(_, value)| value)
}

async fn show(visitor: Option<Extension<Visitor>>, asked: super::fields::Asked) -> Response {
    let next = paths::own(asked.text("next")).unwrap_or(ROOT);
    match visitor {
        Some(_) => Redirect::to(next).into_response(),
        None => form(next, None).into_response(),
    }
}

async fn enter(
    State(office): State<Arc<Office>>,
    Extension(browsers): Extension<Arc<Browsers>>,
    Extension(peer): Extension<Peer>,
    Extension(Secured(is_tls)): Extension<Secured>,
    headers: HeaderMap,
    fields: Fields,
) -> Response {
    let next = paths::own(fields.text("next")).unwrap_or(ROOT);
    let caller = match office.auth.verify(&fields.pasted("token"), &peer).await {
        Ok(caller) => caller,
        Err(problem) => return refused(next, &problem),
    };
    let deed = Deed {
        action: "sign-in".to_owned(),
        actor: Some(caller.name.clone()),
        token: caller.token.clone(),
        peer: peer.address(),
        subject: Some(ROOT.to_owned()),
        ..Deed::default()
    };
    let Some(id) = browsers.enter(caller, Instant::now()) else {
        let detail = "the machine has no random bytes; try again";
        return refused(next, &Problem::new(StatusCode::SERVICE_UNAVAILABLE, "temporary", "try again later", detail));
    };
    // Whoever was signed in by this browser is not any more.
    if let Some(before) = cookie(&headers, is_tls) {
        browsers.leave(&super::browsers::Key::of(before));
    }
    office.desk.load().note(deed);
    let mut response = Redirect::to(next).into_response();
    set_cookie(&mut response, &id, is_tls);
    response
}

async fn leave(visitor: Visitor, Extension(Secured(is_tls)): Extension<Secured>) -> Response {
    visitor.leave();
    let mut response = Redirect::to(SIGN_IN).into_response();
    set_cookie(&mut response, "", is_tls);
    response
}

/// No page of another site makes the browser send it, no script reads it, and it ends with the browser.
fn set_cookie(response: &mut Response, id: &str, is_tls: bool) {
    let (name, secure) = if is_tls { (COOKIE, "; Secure") } else { (PLAIN_COOKIE, "") };
    let end = if id.is_empty() { "; Max-Age=0" } else { "" };
    let cookie = format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict{secure}{end}");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

fn refused(next: &str, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let why = match status {
        StatusCode::UNAUTHORIZED => {
            "This token is good for nothing here: it is mistyped, revoked or expired.".to_owned()
        }
        _ => sentence(problem.detail.as_deref().unwrap_or(problem.title)),
    };
    (status, form(next, Some(&why))).into_response()
}

fn form(next: &str, why: Option<&str>) -> Markup {
    document(
        "Sign in",
        None,
        html! {
            main.alone #content {
                div.sign-in {
                    p.brand { img src=(assets::path("locum.svg")) alt="" width="32" height="32"; "Locum" }
                    h1 { "Sign in" }
                    @if let Some(why) = why {
                        div.flash.bad role="alert" { (icon(Icon::Bad)) p #why { (why) } }
                    }
                    form method="post" action=(SIGN_IN) {
                        input type="hidden" name="next" value=(next);
                        div.field {
                            label for="token" { "Operator token" }
                            input #token type="password" name="token" required autofocus autocomplete="off"
                                spellcheck="false" aria-describedby="token-hint" aria-invalid=[why.map(|_| "true")];
                            p.hint #token-hint {
                                "It begins with " code { "locum_" } ". An admin makes one with " code { "locum operator add" } "."
                            }
                        }
                        button.primary type="submit" { "Sign in" }
                    }
                    p.hint.fine { "You are signed out after 30 minutes without a click, and after 8 hours in any case." }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let of = |text: &str, is_tls| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, text.parse().unwrap());
            cookie(&headers, is_tls).map(str::to_owned)
        };
        assert_eq!(of("a=b; __Host-locum=xyz; c=d", true).as_deref(), Some("xyz"));
        assert_eq!(of("locum=xyz", false).as_deref(), Some("xyz"));
        assert_eq!(of("locum2=xyz; alocum=1", false), None);
        assert_eq!(of("locum=planted; __Host-locum=own", true).as_deref(), Some("own"));
        assert_eq!(of("locum=planted", true), None);
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let set = |is_tls| {
            let mut response = ().into_response();
            set_cookie(&mut response, "xyz", is_tls);
            response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned()
        };
        assert_eq!(set(true), "__Host-locum=xyz; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(set(false), "locum=xyz; Path=/; HttpOnly; SameSite=Strict");
    }
}

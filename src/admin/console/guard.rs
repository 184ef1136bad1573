//! What every request to the console passes. A form is believed only if it was sent by a page of this console to somebody who
//! is signed in and may change things: by the token in it, by what the browser says of where it comes from, and by the role.
//! No handler can forget that: none is reached otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::Secured;
use super::browsers::{Browsers, Key};
use super::fields::Fields;
use super::page;
use super::paths;
use super::sign_in::{self, SIGN_IN, SIGN_OUT};
use super::visitor::Visitor;
use crate::admin::Office;
use crate::admin::api::REQUEST_TIMEOUT;
use crate::admin::auth::{Asked, note_refused};
use crate::admin::problem::Problem;
use crate::model::Role;

/// The bytes of a form. The longest is a list of networks and senders of a client.
const FORM_BYTES_MAX: usize = 64 << 10;

/// Time for a form to come: whoever is not signed in may send one, and must not keep a place by doing so slowly.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// What a page says that reads itself again: nobody is there for that.
const BY_ITSELF: HeaderName = HeaderName::from_static("x-by-itself");

/// What the token against forged forms is called in them.
pub(super) const CSRF: &str = "csrf";

/// What goes with every answer. Nothing but our own files is loaded, nothing in a page is run, and no other page may hold
/// one of ours in a frame, read it, or learn where its visitor came from.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// The office and who is signed in.
pub(super) type Gate = (Arc<Office>, Arc<Browsers>);

/// Adds the headers that every answer has. What says nothing of being stored is not stored.
pub(super) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets a request in, or says why not.
pub(super) async fn pass(State((office, browsers)): State<Gate>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let asked = Asked::of(&request);
    let is_tls = request.extensions().get::<Secured>().is_none_or(|Secured(is_tls)| *is_tls);
    let visitor = match visitor(&office, &browsers, request.headers(), is_tls).await {
        Ok(visitor) => visitor,
        Err(problem) => return page::of_problem(None, &problem),
    };
    let admitted = match admit(request, visitor.as_ref(), &path).await {
        Ok(admitted) => admitted,
        Err(Denied::SignInFirst(to)) => return Redirect::to(&to).into_response(),
        Err(Denied::Problem(problem)) => {
            if let Some(visitor) = visitor.as_ref().filter(|_| problem.status == StatusCode::FORBIDDEN) {
                let why = problem.detail.as_deref().unwrap_or(problem.title);
                note_refused(&office, &asked, &visitor.caller, why);
            }
            return page::of_problem(visitor.as_ref(), &problem);
        }
    };
    let Ok(response) = timeout(REQUEST_TIMEOUT, next.run(admitted)).await else {
        let late = Problem::unavailable(format!("this took longer than {} s", REQUEST_TIMEOUT.as_secs()));
        return page::of_problem(visitor.as_ref(), &late);
    };
    if let Some(problem) = response.extensions().get::<Problem>() {
        return page::of_problem(visitor.as_ref(), problem);
    }
    match response.status() {
        StatusCode::NOT_FOUND => page::of_problem(visitor.as_ref(), &Problem::nothing_here()),
        StatusCode::METHOD_NOT_ALLOWED => {
            let problem = Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "this page takes no such request",
                "use the forms of the console",
            );
            page::of_problem(visitor.as_ref(), &problem)
        }
        _ => response,
    }
}

/// Why a request is not let in.
enum Denied {
    SignInFirst(String),
    Problem(Problem),
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Who is signed in by that cookie. Whoever was revoked, or has lost the token that they signed in with, is not.
async fn visitor(
    office: &Office,
    browsers: &Arc<Browsers>,
    headers: &HeaderMap,
    is_tls: bool,
) -> Result<Option<Visitor>, Problem> {
    let Some(key) = sign_in::cookie(headers, is_tls).map(Key::of) else { return Ok(None) };
    let by_itself = headers.contains_key(BY_ITSELF);
    let Some(signed_in) = browsers.find(&key, by_itself, Instant::now()) else { return Ok(None) };
    match office.auth.still(&signed_in.caller).await {
        Ok(caller) => Ok(Some(Visitor::new(caller, signed_in.csrf, key, Arc::clone(browsers)))),
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
            browsers.leave(&key);
            Ok(None)
        }
        // The store does not answer: that is no reason to sign in anew.
        Err(problem) => Err(problem),
    }
}

async fn admit(mut request: Request, visitor: Option<&Visitor>, path: &str) -> Result<Request, Denied> {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if path != SIGN_IN && visitor.is_none() {
        let asked = request.uri().path_and_query().map_or(path, |asked| asked.as_str());
        let next = if is_reading { paths::encode(asked) } else { String::new() };
        return Err(Denied::SignInFirst(format!("{SIGN_IN}?next={next}")));
    }
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor.caller.clone());
        request.extensions_mut().insert(visitor.clone());
    }
    if is_reading {
        return Ok(request);
    }
    if !comes_from_here(request.headers()) {
        return Err(forged("it was sent by a page of another site").into());
    }
    let (parts, body) = request.into_parts();
    let fields = read(parts.headers.clone(), body).await?;
    if let Some(visitor) = visitor.filter(|_| path != SIGN_IN) {
        let own = visitor.csrf.as_bytes();
        if !bool::from(fields.text(CSRF).as_bytes().ct_eq(own)) {
            return Err(forged("it does not bear the token of this sign-in").into());
        }
        // The handlers ask for the roles that they need; no viewer changes anything, whatever they forget.
        if path != SIGN_OUT && !visitor.may(Role::Operator) {
            return Err(Problem::wrong_role(Role::Operator).into());
        }
    }
    let mut request = Request::from_parts(parts, Body::empty());
    request.extensions_mut().insert(fields);
    Ok(request)
}

/// Reads a form, whatever is in it.
async fn read(headers: HeaderMap, body: Body) -> Result<Fields, Problem> {
    let too_long =
        |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "the form is too long", "send less than 64 KiB");
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "too slow", "the form did not come in time");
    let bytes = timeout(FORM_TIMEOUT, to_bytes(body, FORM_BYTES_MAX)).await.map_err(late)?.map_err(too_long)?;
    let mut request = Request::builder().method(Method::POST).body(Body::from(bytes)).unwrap_or_default();
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    match axum::Form::<Vec<(String, String)>>::from_request(request, &()).await {
        Ok(axum::Form(all)) => Ok(Fields::new(all)),
        Err(_) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "usage", "this is no form", "use the forms of the console"))
        }
    }
}

fn forged(why: &str) -> Problem {
    let detail = format!("{why}: nothing was changed; go back, reload the page, and send the form again");
    Problem::new(StatusCode::FORBIDDEN, "forged", "this form is not believed", detail)
}

/// Whether a form was sent by a page of ours, as the browser says. `Sec-Fetch-Site` says it best; browsers without it say
/// `Origin`. Of a page that tells nobody where it is, as ours, the origin may be `null` where the former stands beside it.
fn comes_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let host = text(header::HOST).unwrap_or_default();
    let origin = text(header::ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    match (site, origin) {
        (Some(site), None | Some("null")) => site == "same-origin",
        (Some(site), Some(origin)) => site == "same-origin" && origin == host,
        (None, Some(origin)) => origin == host && !host.is_empty(),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        all.iter().map(pair).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_form_byte_by_byte_loses_the_place() {
        let never = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
        let refused = read(HeaderMap::new(), Body::from_stream(never)).await.err().unwrap();
        assert_eq!(refused.status, 408);
    }

    #[test]
    fn a_form_comes_from_here_or_it_does_not() {
        let host = ("host", "locum.test:8443");
        let own = ("origin", "https://locum.test:8443");
        let same = ("sec-fetch-site", "same-origin");
        for good in [&[host, same][..], &[host, same, ("origin", "null")], &[host, same, own], &[host, own]] {
            assert!(comes_from_here(&headers(good)), "{good:?}");
        }
        let cross = ("sec-fetch-site", "cross-site");
        let other = ("origin", "https://evil.test");
        for bad in [
            &[host][..],
            &[host, ("origin", "null")],
            &[host, cross],
            &[host, cross, own],
            &[host, same, other],
            &[host, other],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("sec-fetch-site", "none")],
            &[host, ("origin", "https://locum.test:8443.evil.test")],
            &[("origin", "https://")],
        ] {
            assert!(!comes_from_here(&headers(bad)), "{bad:?}");
        }
    }
}

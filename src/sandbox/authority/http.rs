//! The authority on the wire: HTTPS, its addresses, and the troubles that its answers can have.

use std::convert::Infallible;
use std::future;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::book::Book;
use super::consent::{self, AuthorizeRequest};
use super::denial::{Denial, Names, Worded};
use super::form::Form;
use super::token::{Issued, Wish};
use super::{AuthorityTrouble, HUGE_BYTES, TokenOutcome};
use crate::sandbox::{Face, Sandbox};

/// For the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Token {
        tenant: Option<&'a str>,
    },
    Device {
        tenant: Option<&'a str>,
    },
    Authorize {
        tenant: Option<&'a str>,
    },
    /// Where a person types in what a device shows.
    DevicePage,
}

impl<'a> Route<'a> {
    pub(super) fn of_path(face: Face, path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => match parts.as_slice() {
                [tenant, "oauth2", "v2.0", what] if !tenant.is_empty() => {
                    let tenant = Some(*tenant);
                    match *what {
                        "token" => Some(Self::Token { tenant }),
                        "devicecode" => Some(Self::Device { tenant }),
                        "authorize" => Some(Self::Authorize { tenant }),
                        _ => None,
                    }
                }
                ["devicelogin"] => Some(Self::DevicePage),
                _ => None,
            },
            // Google grants devices nothing that has to do with mail.
            Face::Gmail => match parts.as_slice() {
                ["token"] => Some(Self::Token { tenant: None }),
                ["o", "oauth2", "v2", "auth"] => Some(Self::Authorize { tenant: None }),
                _ => None,
            },
        }
    }
}

impl Sandbox {
    /// Serves the authority over HTTPS until told to stop; returns when its connections are closed. Dropping the future
    /// ends the connections too. For Exchange: `/{tenant}/oauth2/v2.0/{token,devicecode,authorize}`; for Gmail: `/token` and
    /// `/o/oauth2/v2/auth`.
    pub async fn serve_authority(&self, listener: TcpListener, until: CancellationToken) {
        let router = Router::new().fallback(answer).with_state(self.clone());
        let acceptor = TlsAcceptor::from(self.tls());
        self.accept(listener, until, |stream, _| {
            let (router, acceptor) = (router.clone(), acceptor.clone());
            async move {
                let stream = timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await??;
                let serving =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
                serving.await.map_err(std::io::Error::other)
            }
        })
        .await;
    }

    /// A refusal in the words of the face.
    pub(super) fn word(&self, book: &Book, denial: &Denial, client_id: &str, tenant: Option<&str>) -> Worded {
        match self.face() {
            Face::Gmail => denial.by_google(),
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                denial.by_entra(&Names { client_id, tenant: tenant.unwrap_or_default() }, book.now())
            }
        }
    }
}

async fn answer(State(sandbox): State<Sandbox>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let Some(route) = Route::of_path(sandbox.face(), uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let form = Form::parse(&body);
    let mut response = match (route, method, form) {
        (Route::Token { .. } | Route::Device { .. }, Method::POST, form) => {
            let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let is_form = kind.split(';').next().is_some_and(|kind| kind == "application/x-www-form-urlencoded");
            let form = form.filter(|_| is_form).unwrap_or_default();
            post(&sandbox, route, &uri, host, &form).await
        }
        (Route::Authorize { tenant }, Method::GET, _) => {
            let request = AuthorizeRequest::of_query(&sandbox, tenant, uri.query().unwrap_or_default());
            html(request.map(|request| request.page()))
        }
        (Route::Authorize { tenant }, Method::POST, Some(form)) => {
            let request = AuthorizeRequest::of_query(&sandbox, tenant, uri.query().unwrap_or_default());
            match request.and_then(|request| request.answer(&sandbox, &form)) {
                Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
                Err(why) => html(Err(why)),
            }
        }
        (Route::DevicePage, Method::GET, _) => html(Ok(consent::device_page())),
        (Route::DevicePage, Method::POST, Some(form)) => html(consent::answer_device(&sandbox, &form)),
        (_, Method::GET | Method::POST, _) => StatusCode::BAD_REQUEST.into_response(),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let date = sandbox.state().book.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = date.try_into() {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// What programs ask.
async fn post(sandbox: &Sandbox, route: Route<'_>, uri: &Uri, host: &str, form: &Form) -> Response {
    let is_repeated = uri.query() == Some(REPEATED);
    let trouble = if is_repeated { None } else { sandbox.state().book.take_trouble() };
    if let Some(response) = troubled(sandbox, route, uri, form, trouble.as_ref()).await {
        return response;
    }
    match route {
        Route::Token { tenant } => {
            let url = format!("https://{host}{}", uri.path());
            let response = token(sandbox, &Wish { tenant, url: &url, form }, trouble.as_ref());
            if trouble == Some(AuthorityTrouble::HoldAnswer) {
                hold(sandbox).await;
            }
            response
        }
        Route::Device { tenant } => match consent::device(sandbox, tenant, host, form) {
            Ok(body) => json_answer(StatusCode::OK, &body),
            Err(denial) => {
                let book = &sandbox.state().book;
                refused(&sandbox.word(book, &denial, form.text("client_id").unwrap_or_default(), tenant))
            }
        },
        Route::Authorize { .. } | Route::DevicePage => StatusCode::NOT_FOUND.into_response(),
    }
}

fn token(sandbox: &Sandbox, wish: &Wish<'_>, trouble: Option<&AuthorityTrouble>) -> Response {
    let (grant, client_id) = (wish.form.text("grant_type").unwrap_or_default(), wish.client_id());
    let mut state = sandbox.state();
    let wrong_audience = trouble == Some(&AuthorityTrouble::WrongAudience);
    match state.grant(wish) {
        Ok(issued) => {
            state.book.record(grant, &client_id, TokenOutcome::Issued);
            if wrong_audience {
                state.book.spoil(&issued.access_token);
            }
            json_answer(StatusCode::OK, &issued_body(sandbox.face(), &issued, trouble))
        }
        Err(denial) => {
            let worded = sandbox.word(&state.book, &denial, &client_id, wish.tenant);
            let Worded { error, code, .. } = worded;
            state.book.record(grant, &client_id, TokenOutcome::Refused { error, code });
            refused(&worded)
        }
    }
}

fn issued_body(face: Face, issued: &Issued, trouble: Option<&AuthorityTrouble>) -> Value {
    let life = issued.life.as_secs();
    let mut body = json!({ "token_type": "Bearer", "access_token": issued.access_token.expose_text() });
    let mut lives = vec!["expires_in"];
    if face != Face::Gmail {
        lives.push("ext_expires_in");
    }
    for name in lives {
        match trouble {
            Some(AuthorityTrouble::NoExpiresIn) => {}
            Some(AuthorityTrouble::ExpiresInAsString) => body[name] = life.to_string().into(),
            _ => body[name] = life.into(),
        }
    }
    if let Some(scope) = &issued.scope {
        body["scope"] = scope.as_str().into();
    }
    if let Some(token) = issued.refresh_token.as_ref().and_then(|token| token.expose_text()) {
        body["refresh_token"] = token.into();
    }
    body
}

/// The query of a request that followed a redirect.
const REPEATED: &str = "repeated";

/// What trouble says in place of an answer; nothing if there is an answer to come.
async fn troubled(
    sandbox: &Sandbox,
    route: Route<'_>,
    uri: &Uri,
    form: &Form,
    trouble: Option<&AuthorityTrouble>,
) -> Option<Response> {
    let response = match trouble? {
        AuthorityTrouble::Http { status, retry_after } => {
            let mut response = StatusCode::from_u16(*status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            }
            Some(response)
        }
        AuthorityTrouble::Hang => None,
        AuthorityTrouble::NotJson => Some(html(Ok(consent::page("<h1>We are sorry</h1>")))),
        AuthorityTrouble::Huge => {
            let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
            Some((kind, Body::from(vec![b' '; HUGE_BYTES])).into_response())
        }
        AuthorityTrouble::Redirect => {
            let location = [(header::LOCATION, format!("{}?{REPEATED}", uri.path()))];
            Some((StatusCode::TEMPORARY_REDIRECT, location).into_response())
        }
        AuthorityTrouble::Error(code) => {
            let (client_id, tenant) = match route {
                Route::Token { tenant } | Route::Device { tenant } => (form.text("client_id"), tenant),
                Route::Authorize { .. } | Route::DevicePage => (None, None),
            };
            let book = &sandbox.state().book;
            Some(refused(&sandbox.word(book, &Denial::Listed(*code), client_id.unwrap_or_default(), tenant)))
        }
        AuthorityTrouble::ExpiresInAsString
        | AuthorityTrouble::NoExpiresIn
        | AuthorityTrouble::WrongAudience
        | AuthorityTrouble::HoldAnswer => return None,
    };
    if matches!(route, Route::Token { .. }) {
        let client_id = Wish { tenant: None, url: "", form }.client_id();
        let grant = form.text("grant_type").unwrap_or_default();
        sandbox.state().book.record(grant, &client_id, TokenOutcome::Troubled);
    }
    match response {
        Some(response) => Some(response),
        // The connection ends with its client or with the sandbox, whichever gives up first.
        None => match future::pending::<Infallible>().await {},
    }
}

/// Waits until the test lets answers out; is over, too, when the client is gone.
async fn hold(sandbox: &Sandbox) {
    struct Held(Sandbox);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.state().book.held.send_modify(|held| *held -= 1);
        }
    }
    let mut released = {
        let book = &sandbox.state().book;
        book.held.send_modify(|held| *held += 1);
        book.released.subscribe()
    };
    let _held = Held(sandbox.clone());
    released.changed().await.expect("the sandbox that is waited for holds the other end");
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/json; charset=utf-8"), (header::CACHE_CONTROL, "no-store, no-cache")];
    (status, headers, body.to_string()).into_response()
}

fn refused(worded: &Worded) -> Response {
    json_answer(StatusCode::from_u16(worded.status).unwrap_or(StatusCode::BAD_REQUEST), &worded.body)
}

fn html(page: Result<String, String>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    match page {
        Ok(page) => (kind, page).into_response(),
        Err(why) => {
            let why = consent::page(&format!("<p>{}</p>", consent::escape(&why)));
            (StatusCode::BAD_REQUEST, kind, why).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_face_has_its_addresses() {
        let entra = |path| Route::of_path(Face::ExchangeOnline, path);
        assert_eq!(entra("/contoso/oauth2/v2.0/token"), Some(Route::Token { tenant: Some("contoso") }));
        assert_eq!(entra("/contoso/oauth2/v2.0/devicecode"), Some(Route::Device { tenant: Some("contoso") }));
        assert_eq!(entra("/contoso/oauth2/v2.0/authorize"), Some(Route::Authorize { tenant: Some("contoso") }));
        for none in ["/token", "//oauth2/v2.0/token", "/contoso/oauth2/token", "/a/b/oauth2/v2.0/token", ""] {
            assert_eq!(entra(none), None, "{none}");
        }
        let google = |path| Route::of_path(Face::Gmail, path);
        assert_eq!(google("/token"), Some(Route::Token { tenant: None }));
        assert_eq!(google("/o/oauth2/v2/auth"), Some(Route::Authorize { tenant: None }));
        assert_eq!(google("/contoso/oauth2/v2.0/token"), None);
    }
}

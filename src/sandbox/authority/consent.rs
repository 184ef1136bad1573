//! Where a person says yes: the page that an application sends the browser to (RFC 6749 section 4.1.1), and the wishes of
//! devices (RFC 8628 section 3.1) with the page for their codes. It must never send a browser anywhere but to this machine.

use serde_json::{Value, json};

use super::book::DEVICE_LIFE;
use super::denial::Denial;
use super::form::{Form, encode};
use super::http::Route;
use super::token::{has, protocols};
use super::{Application, ApplicationProof};
use crate::model::normalise;
use crate::sandbox::{Face, Sandbox};

/// What an application asks a person for.
#[derive(Debug, Clone)]
pub(super) struct AuthorizeRequest {
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    /// Whether a refresh token is asked for.
    pub(super) offline: bool,
    state: Option<String>,
    login_hint: Option<String>,
}

impl AuthorizeRequest {
    /// The request in an address of the page.
    pub(super) fn of_url(sandbox: &Sandbox, url: &str) -> Result<Self, String> {
        let url = url.strip_prefix("https://").ok_or("the page is served over https alone")?;
        let path = &url[url.find('/').unwrap_or(url.len())..];
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match Route::of_path(sandbox.face(), path) {
            Some(Route::Authorize { tenant }) => Self::of_query(sandbox, tenant, query),
            _ => Err(format!("there is no page for consent at {path}")),
        }
    }

    pub(super) fn of_query(sandbox: &Sandbox, tenant: Option<&str>, query: &str) -> Result<Self, String> {
        let form = Form::parse(query.as_bytes()).ok_or("the query cannot be read")?;
        let text = |name: &str| form.text(name).map(str::to_owned);
        let needed = |name: &'static str| text(name).ok_or(Denial::Missing(name));
        let book = &sandbox.state().book;
        let parsed = || {
            let client_id = needed("client_id")?;
            let application = book.application_in(&client_id, tenant)?;
            let redirect_uri = needed("redirect_uri")?;
            if !is_loopback(&redirect_uri) {
                return Err(Denial::Listed(50_011));
            }
            if needed("response_type")? != "code" {
                return Err(Denial::Missing("response_type"));
            }
            let scope = needed("scope")?;
            protocols(sandbox.face(), &scope)?;
            let challenge = text("code_challenge");
            let is_public = matches!(application.authentication, ApplicationProof::Public);
            if challenge.is_none() && is_public {
                return Err(Denial::Missing("code_challenge"));
            }
            if challenge.is_some() && needed("code_challenge_method")? != "S256" {
                return Err(Denial::Missing("code_challenge_method"));
            }
            let offline = match sandbox.face() {
                Face::Gmail => form.text("access_type") == Some("offline"),
                Face::ExchangeOnline | Face::ExchangeWithPasswords => has(&scope, "offline_access"),
            };
            let (state, login_hint) = (text("state"), text("login_hint"));
            Ok(Self { client_id, scope, redirect_uri, challenge, offline, state, login_hint })
        };
        parsed().map_err(|denial: Denial| {
            let worded = sandbox.word(book, &denial, form.text("client_id").unwrap_or_default(), tenant);
            worded.body["error_description"].as_str().unwrap_or(worded.error).to_owned()
        })
    }

    /// The person says yes.
    pub(super) fn accept(&self, sandbox: &Sandbox, address: &str) -> Result<String, String> {
        let mut state = sandbox.state();
        if state.account(address).is_none() {
            return Err(format!("there is no account {address} here"));
        }
        let code = state.book.issue_code(self, normalise(address));
        Ok(self.redirect(&[("code", code.expose_text().unwrap_or_default())]))
    }

    /// The person cancels.
    pub(super) fn cancel(&self) -> String {
        let text = "AADSTS65004: User declined to consent to access the app.";
        self.redirect(&[("error", "access_denied"), ("error_description", text)])
    }

    fn redirect(&self, fields: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let fields: Vec<String> =
            fields.iter().copied().chain(state).map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let sign = if self.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{sign}{}", self.redirect_uri, fields.join("&"))
    }

    /// The page itself. Its form goes back to the address that it came from.
    pub(super) fn page(&self) -> String {
        page(&format!(
            "<h1>{} wants to read the mail of …</h1>\n<form method=\"post\">\n<p><input name=\"user\" value=\"{}\" placeholder=\"you@example.com\"></p>\n\
             <p>It asks for: {}</p>\n\
             <button name=\"answer\" value=\"accept\">Accept</button> <button name=\"answer\" value=\"cancel\">Cancel</button>\n</form>",
            escape(&self.client_id),
            escape(self.login_hint.as_deref().unwrap_or_default()),
            escape(&self.scope),
        ))
    }

    /// What comes of the page's form: the address that the browser is sent to.
    pub(super) fn answer(&self, sandbox: &Sandbox, form: &Form) -> Result<String, String> {
        match form.text("answer") {
            Some("accept") => self.accept(sandbox, form.text("user").unwrap_or_default()),
            Some("cancel") => Ok(self.cancel()),
            _ => Err("say accept or cancel".to_owned()),
        }
    }
}

/// A device's wish, in Entra's form. `host` is how the client calls us.
pub(super) fn device(sandbox: &Sandbox, tenant: Option<&str>, host: &str, form: &Form) -> Result<Value, Denial> {
    let book = &mut sandbox.state().book;
    let client_id = form.text("client_id").ok_or(Denial::Missing("client_id"))?;
    let Application { client_id, authentication, .. } = book.application_in(client_id, tenant)?.clone();
    if !matches!(authentication, ApplicationProof::Public) {
        return Err(Denial::NoProof);
    }
    let scope = form.text("scope").ok_or(Denial::Missing("scope"))?;
    protocols(sandbox.face(), scope)?;
    let (code, user_code) = book.issue_device(&client_id, scope);
    let uri = format!("https://{host}/devicelogin");
    Ok(json!({
        "user_code": user_code,
        "device_code": code.expose_text(),
        "verification_uri": uri,
        "expires_in": DEVICE_LIFE.as_secs(),
        "interval": book.device_interval,
        "message": format!(
            "To sign in, use a web browser to open the page {uri} and enter the code {user_code} to authenticate."
        ),
    }))
}

/// The page for the codes of devices.
pub(super) fn device_page() -> String {
    page(
        "<h1>Enter the code that your device shows</h1>\n<form method=\"post\">\n<p><input name=\"code\" placeholder=\"code\"> <input name=\"user\" placeholder=\"you@example.com\"></p>\n\
         <button name=\"answer\" value=\"accept\">Accept</button> <button name=\"answer\" value=\"cancel\">Cancel</button>\n</form>",
    )
}

/// What comes of its form, in words.
pub(super) fn answer_device(sandbox: &Sandbox, form: &Form) -> Result<String, String> {
    let code = form.text("code").unwrap_or_default();
    let (done, words) = match form.text("answer") {
        Some("accept") => (sandbox.approve_device(code, form.text("user").unwrap_or_default()), "You have signed in."),
        Some("cancel") => (sandbox.decline_device(code), "You have declined."),
        _ => (false, ""),
    };
    if done {
        Ok(page(&format!("<p>{words} You may close this page.</p>")))
    } else {
        Err("no such code, or no such account".to_owned())
    }
}

/// A page with that content.
pub(super) fn page(content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Sandbox</title>\n{content}\n</html>\n"
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// RFC 8252 section 7.3: this machine, any port.
fn is_loopback(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://").filter(|rest| !rest.contains(['#', '@', '\\'])) else { return false };
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        let port = authority.strip_prefix(host).map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn browsers_are_sent_to_this_machine_alone() {
        for good in ["http://localhost", "http://127.0.0.1:1234/done", "http://localhost:80?x=1", "http://[::1]:9/"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "https://localhost/",
            "http://localhost.evil.test/",
            "http://localhost:1@evil.test/",
            "http://127.0.0.1.evil.test",
            "http://localhost:99999/",
            "http://localhost/#x",
            "http://evil.test/?http://localhost",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}

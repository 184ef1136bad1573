//! What an authority answers: tokens, refusals, device codes, and what a browser brings from it.
//!
//! An input is: which of them (1 byte), status (1 byte), and the body or the query.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use locum::credential::oauth2::{
    Authentication, AuthorizationCode, DeviceCode, Grant, Granted, HttpAnswer, HttpError, OAuth2, TokenEndpoint,
    TokenFailure,
};
use locum::model::{Secret, presets};

use super::Input;

/// What we send, and no text may quote.
const SENT: &str = "sesame-sesame-sesame";

/// A cause and a remedy.
const TEXT_CHARS_MAX: usize = 2048;

/// An authority with one answer.
#[derive(Debug)]
struct Once(HttpAnswer);

#[async_trait]
impl TokenEndpoint for Once {
    async fn post(&self, _: &str, _: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError> {
        Ok(self.0.clone())
    }
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (which, status) = (input.byte(), input.byte());
    let text = input.rest();
    let status = [200, 400, 401, 403, 404, 429, 500, 503, 302, 201][usize::from(status) % 10];
    let retry_after = (which & 0x80 != 0).then_some(Duration::from_secs(u64::from(which)));
    let answer = HttpAnswer { status, retry_after, date: None, body: Secret::new(text) };
    match which & 3 {
        0 | 1 => granted(&answer),
        2 => device(answer),
        _ => redirected(text, answer),
    }
}

fn granted(answer: &HttpAnswer) {
    let form = [("client_id", Secret::new("app")), ("client_secret", Secret::new(SENT))];
    match Granted::from_answer(answer, &form) {
        Ok(granted) => {
            assert!((200..=299).contains(&answer.status), "a refusal grants nothing");
            let token = granted.access_token.expose();
            assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic), "it would end its line");
            assert!(token.len() <= 9216, "no protocol carries it");
            let life = granted.expires_in;
            assert!((Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60)).contains(&life), "{life:?}");
            if let Some(token) = &granted.refresh_token {
                assert!(!token.is_empty() && !token.has_control_characters() && token.expose().len() <= 32 * 1024);
            }
        }
        Err(failure) => check(&failure, true),
    }
}

/// What is told of a failure; `hides` where it came behind what we sent.
fn check(failure: &TokenFailure, hides: bool) {
    let text = format!("{failure} {failure:?} {} {}", failure.cause(), failure.remedy());
    assert!(!hides || !text.contains(SENT), "it quotes what was sent: {text}");
    for text in [failure.to_string(), failure.cause().to_owned(), failure.remedy().to_owned()] {
        assert!(text.chars().count() <= TEXT_CHARS_MAX && !text.contains(char::is_control), "{text:?}");
    }
    for word in [failure.code(), failure.error()].into_iter().flatten() {
        assert!(word.len() <= 256 && !word.contains(char::is_control), "{word:?}");
    }
    let _ = (failure.kind(), failure.retry_after(), failure.is_about_the_application());
}

fn credential() -> OAuth2 {
    let authentication = Authentication::Secret { secret: Secret::new(SENT), expires: None };
    OAuth2 { tenant: Some("contoso.test".into()), client_id: "app".into(), authentication, grant: Grant::RefreshToken }
}

fn device(answer: HttpAnswer) {
    let authority = presets::preset("exchange-online").and_then(|it| it.authority).expect("a preset");
    let started = DeviceCode::start(&Once(answer), &credential(), &authority).now_or_never();
    match started.expect("the answer is there at once") {
        Ok(code) => {
            for text in [Some(&code.user_code), Some(&code.verification_uri), code.verification_uri_complete.as_ref()] {
                let fits = |text: &String| text.chars().count() <= 1024 && !text.contains(char::is_control);
                assert!(text.is_none_or(fits), "{text:?} goes onto a terminal");
            }
            assert!(code.expires_in <= Duration::from_secs(30 * 60), "{:?}", code.expires_in);
            assert!(code.verification_uri.starts_with("https://"), "{}", code.verification_uri);
        }
        Err(failure) => check(&failure, true),
    }
}

fn redirected(text: &[u8], mut answer: HttpAnswer) {
    let authority = presets::preset("gmail").and_then(|it| it.authority).expect("a preset");
    let credential = credential();
    let begin = || AuthorizationCode::begin(&credential, &authority, "http://localhost:7/", "a@x.test");
    let begun = begin().expect("a page");
    let Ok(query) = std::str::from_utf8(text) else { return };
    assert!(begun.redirected(query).is_none(), "nobody can guess the state");
    let state =
        begun.url.split_once("&state=").and_then(|(_, rest)| rest.split('&').next()).expect("a state").to_owned();
    let (query, body) = query.split_once('\n').unwrap_or((query, ""));
    answer.body = Secret::new(body);
    let Some(redirected) = begun.redirected(&format!("{query}&state={state}")) else { return };
    let exchanged = begun.exchange(redirected, &Once(answer), &credential, &authority).now_or_never();
    if let Err(failure) = exchanged.expect("the answer is there at once") {
        // What the browser brings comes before anything was sent: who quotes it there has it from elsewhere.
        check(&failure, !query.contains(['%', '=']) || query.starts_with("code="));
    }
}

//! A refresh token by authorization code (RFC 6749 section 4.1), as RFC 8252 wants it of programs on a person's machine:
//! the browser is sent back to a loopback address, and PKCE (RFC 7636) makes the code useless to whoever else sees it.

use data_encoding::{BASE64URL_NOPAD, HEXUPPER_PERMISSIVE};
use jiff::Timestamp;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::device_code::{declined, lasting};
use super::failure::FailureKind;
use super::{Granted, HttpAnswer, OAuth2, TokenEndpoint, TokenFailure};
use crate::model::{Authority, Secret};

/// Bytes of the verifier: 43 characters, the least that RFC 7636 section 4.1 allows and all that it recommends.
const VERIFIER_BYTES: usize = 32;

/// Bytes of what binds a redirect to its request (RFC 6749 section 10.12).
const STATE_BYTES: usize = 16;

/// One request for consent.
#[derive(Debug)]
pub struct AuthorizationCode {
    /// The page that the person is to open.
    pub url: String,
    redirect_uri: String,
    state: Secret,
    verifier: Secret,
}

/// What a browser brought back.
#[derive(Debug)]
pub struct Redirected(Result<Secret, TokenFailure>);

impl AuthorizationCode {
    /// Begins. The browser will be sent to `redirect_uri`; `login_hint` is who is expected to consent.
    ///
    /// # Errors
    /// If the authority has no page for it.
    pub fn begin(
        credential: &OAuth2,
        authority: &Authority,
        redirect_uri: &str,
        login_hint: &str,
    ) -> Result<Self, TokenFailure> {
        let Some(page) = &authority.authorize_url else {
            let cause = "the authority of this upstream has no page where a person could consent";
            return Err(TokenFailure::of(FailureKind::Permanent, cause, "use --device, or set authorize-url"));
        };
        let (verifier, state) = (random::<VERIFIER_BYTES>()?, random::<STATE_BYTES>()?);
        let challenge = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.expose()).as_ref());
        let mut url = credential.url(page)?;
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", &credential.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &authority.delegated_scopes.join(" ")),
            ("state", state.expose_text().unwrap_or_default()), // it is base64, and no secret to who sees the page
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("login_hint", login_hint),
        ] {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            encode(value, &mut url);
        }
        Ok(Self { url, redirect_uri: redirect_uri.to_owned(), state, verifier })
    }

    /// Reads the query of a request to the redirect URI. `None` if it is none of this request's: a stranger's, or an old
    /// one.
    pub fn redirected(&self, query: &str) -> Option<Redirected> {
        let fields = Fields::parse(query);
        // Compared in constant time; a guess ends up here, too.
        if fields.value("state") != Some(&self.state) {
            return None;
        }
        Some(Redirected(match (fields.value("code"), fields.text("error")) {
            (Some(code), None) if !code.is_empty() => Ok(code.clone()),
            (_, Some("access_denied")) => Err(declined()),
            (_, error) => {
                let text = |name| fields.text(name).unwrap_or_default();
                let error = serde_json::json!({
                    "error": error.unwrap_or("invalid_request"),
                    "error_description": text("error_description"),
                });
                let body = Secret::new(error.to_string());
                let answer = HttpAnswer { status: 400, retry_after: None, date: None, body };
                Err(TokenFailure::from_answer(&answer, &[("state", self.state.clone())]))
            }
        }))
    }

    /// Exchanges what the browser brought for the refresh token.
    ///
    /// # Errors
    /// If that was a refusal, or the authority refuses now.
    pub async fn exchange(
        self,
        redirected: Redirected,
        http: &dyn TokenEndpoint,
        credential: &OAuth2,
        authority: &Authority,
    ) -> Result<Secret, TokenFailure> {
        let code = redirected.0?;
        let url = credential.url(&authority.token_url)?;
        let mut form = credential.client_fields(&url, Timestamp::now())?;
        form.extend([
            ("grant_type", Secret::new("authorization_code")),
            ("code", code),
            ("redirect_uri", Secret::new(self.redirect_uri)),
            ("code_verifier", self.verifier),
        ]);
        let answer = http.post(&url, &form).await.map_err(|error| TokenFailure::from_http(&error))?;
        lasting(Granted::from_answer(&answer, &form)?)
    }
}

/// The fields of a query (`application/x-www-form-urlencoded`).
struct Fields(Vec<(Secret, Secret)>);

impl Fields {
    fn parse(query: &str) -> Self {
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// A field that is there once.
    fn value(&self, name: &str) -> Option<&Secret> {
        let mut found = self.0.iter().filter(|(field, _)| field.expose() == name.as_bytes()).map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Secret::expose_text)
    }
}

/// What is not encoded rightly stays as it is.
fn decode(text: &str) -> Secret {
    let (mut rest, mut plain) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| byte == b'%').and_then(|digits| HEXUPPER_PERMISSIVE.decode(digits).ok());
        plain.push(match (byte, &hex) {
            (_, Some(decoded)) => decoded[0],
            (b'+', None) => b' ',
            (_, None) => byte,
        });
        rest = if hex.is_some() { &after[2..] } else { after };
    }
    Secret::new(plain)
}

/// RFC 3986 section 2.1: all but what is unreserved.
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push('%');
            to.push_str(&HEXUPPER_PERMISSIVE.encode(&[byte]));
        }
    }
}

/// Random bytes in base64.
fn random<const BYTES: usize>() -> Result<Secret, TokenFailure> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| {
        TokenFailure::of(FailureKind::Transient, "the operating system gave no random bytes", "run it again")
    })?;
    Ok(Secret::new(BASE64URL_NOPAD.encode(bytes.as_slice())))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::credential::oauth2::{Authentication, Grant, HttpError};
    use crate::model::presets;

    /// An authority with one answer, and the last form that it got.
    #[derive(Debug)]
    struct Once(&'static str, Mutex<Vec<(String, Secret)>>);

    #[async_trait]
    impl TokenEndpoint for Once {
        async fn post(&self, _: &str, form: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError> {
            *self.1.lock().unwrap() = form.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let status = if self.0.contains("error") { 400 } else { 200 };
            Ok(HttpAnswer { status, retry_after: None, date: None, body: Secret::new(self.0) })
        }
    }

    const GRANTED: &str = r#"{"token_type":"Bearer","access_token":"at","expires_in":3599,"refresh_token":"rt"}"#;

    fn credential() -> OAuth2 {
        let secret = Secret::new("application-canary");
        OAuth2 {
            tenant: None,
            client_id: "app.apps.googleusercontent.com".into(),
            authentication: Authentication::Secret { secret, expires: None },
            grant: Grant::RefreshToken,
        }
    }

    fn authority() -> Authority {
        presets::preset("gmail").unwrap().authority.unwrap()
    }

    fn begun() -> AuthorizationCode {
        AuthorizationCode::begin(&credential(), &authority(), "http://localhost:7/", "a+b@x.test").unwrap()
    }

    fn value(url: &str, name: &str) -> String {
        let (_, query) = url.split_once('?').unwrap();
        Fields::parse(query).text(name).unwrap().to_owned()
    }

    #[test]
    fn the_page_is_named_with_all_that_it_needs_and_no_secret() {
        let begun = begun();
        assert!(begun.url.starts_with(
            "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent&response_type=code&\
             client_id=app.apps.googleusercontent.com&redirect_uri=http%3A%2F%2Flocalhost%3A7%2F&\
             scope=https%3A%2F%2Fmail.google.com%2F&state="
        ));
        assert!(begun.url.ends_with("&code_challenge_method=S256&login_hint=a%2Bb%40x.test"), "{}", begun.url);
        assert_eq!(value(&begun.url, "login_hint"), "a+b@x.test");
        assert!(!begun.url.contains("canary") && !begun.url.contains(begun.verifier.expose_text().unwrap()));
        assert_ne!(value(&begun.url, "state"), value(&self::begun().url, "state"), "another one each time");
        let bare = Authority { authorize_url: Some("https://x.test/auth".into()), ..authority() };
        let url = AuthorizationCode::begin(&credential(), &bare, "http://localhost:7/", "a").unwrap().url;
        assert!(url.starts_with("https://x.test/auth?response_type=code&"), "{url}");
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref());
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[tokio::test]
    async fn a_code_becomes_a_refresh_token() {
        let begun = begun();
        let (state, challenge) = (value(&begun.url, "state"), value(&begun.url, "code_challenge"));
        let redirected = begun.redirected(&format!("code=4%2F0-canary&state={state}&scope=x")).unwrap();
        let http = Once(GRANTED, Mutex::default());
        assert_eq!(begun.exchange(redirected, &http, &credential(), &authority()).await.unwrap(), Secret::new("rt"));
        let form = http.1.lock().unwrap();
        let sent = |name: &str| {
            form.iter().find(|(field, _)| field == name).and_then(|(_, value)| value.expose_text()).unwrap().to_owned()
        };
        assert_eq!((sent("grant_type").as_str(), sent("code").as_str()), ("authorization_code", "4/0-canary"));
        assert_eq!(sent("redirect_uri"), "http://localhost:7/");
        assert_eq!(sent("client_secret"), "application-canary");
        let proof = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, sent("code_verifier").as_bytes()).as_ref());
        assert_eq!(proof, challenge);
        assert!((43..=128).contains(&sent("code_verifier").len()));
    }

    #[test]
    fn what_is_not_this_request_s_is_passed_over() {
        let begun = begun();
        let state = value(&begun.url, "state");
        for query in [
            String::new(),
            "code=c".into(),
            "code=c&state=".into(),
            format!("code=c&state={state}x"),
            format!("code=c&state={state}&state=y"),
            format!("code=c&state={}", &state[1..]),
        ] {
            assert!(begun.redirected(&query).is_none(), "{query}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_at_either_step() {
        for (query, said) in [
            ("error=access_denied", "the person declined"),
            ("error=server_error&error_description=AADSTS90002%3A+Tenant+not+found%1b%5B2J", "AADSTS90002"),
            ("error=%1b%5B2J", ""),
            ("", ""),
            ("code=", ""),
            ("code=c&error=temporarily_unavailable", "temporarily_unavailable"),
        ] {
            let begun = begun();
            let redirected = begun.redirected(&format!("{query}&state={}", value(&begun.url, "state"))).unwrap();
            let http = Once(GRANTED, Mutex::default());
            let failure = begun.exchange(redirected, &http, &credential(), &authority()).await.unwrap_err();
            assert!(failure.to_string().contains(said), "{query}: {failure}");
            assert!(!failure.to_string().contains('\u{1b}'), "{failure}");
        }
        let begun = begun();
        let redirected = begun.redirected(&format!("code=c-canary&state={}", value(&begun.url, "state"))).unwrap();
        let http = Once(r#"{"error":"invalid_grant","error_description":"c-canary is old"}"#, Mutex::default());
        let failure = begun.exchange(redirected, &http, &credential(), &authority()).await.unwrap_err();
        assert!(failure.error() == Some("invalid_grant") && !failure.to_string().contains("canary"), "{failure}");
    }
}

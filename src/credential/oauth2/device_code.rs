//! A refresh token by device code (RFC 8628; Microsoft, "OAuth 2.0 device authorization grant"): a person enters a short
//! code at the authority's page, on whatever machine has a browser. The device code itself is never shown.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::failure::FailureKind;
use super::member::Member;
use super::{Granted, HttpAnswer, HttpError, OAuth2, TokenEndpoint, TokenFailure};
use crate::model::{Authority, Secret};

/// Between two questions, if the authority says nothing (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// What "slow_down" adds (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// No authority is asked more often, nor more rarely: a person sits and waits.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// How long a person has, if the authority says nothing that can be read; Microsoft gives 15 minutes.
const LIFE: Duration = Duration::from_secs(15 * 60);

/// However long a code is good for, nobody waits for longer.
const LIFE_MAX: Duration = Duration::from_secs(30 * 60);

/// A code that a person must type, and a URL that must fit a terminal's line or two.
const USER_CODE_CHARS_MAX: usize = 64;
const URL_CHARS_MAX: usize = 1024;

/// What a person is to do, and by when.
#[derive(Debug)]
pub struct DeviceCode {
    /// What to enter.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Where it is entered already; Microsoft has none.
    pub verification_uri_complete: Option<String>,
    /// For how long it is good.
    pub expires_in: Duration,
    ends: Instant,
    interval: Duration,
    device_code: Secret,
}

/// The answer of the device authorization endpoint (RFC 8628 section 3.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Members {
    device_code: Member,
    user_code: Member,
    #[serde(alias = "verification_url")] // Google
    verification_uri: Member,
    verification_uri_complete: Member,
    expires_in: Member,
    interval: Member,
    error: Member,
}

impl DeviceCode {
    /// Asks for a code.
    ///
    /// # Errors
    /// If the authority has no such flow, or gives none.
    pub async fn start(
        http: &dyn TokenEndpoint,
        credential: &OAuth2,
        authority: &Authority,
    ) -> Result<Self, TokenFailure> {
        let Some(url) = &authority.device_url else {
            let cause = "the authority of this upstream has no device flow";
            return Err(TokenFailure::of(FailureKind::Permanent, cause, "use --browser, or set device-url"));
        };
        let url = credential.url(url)?;
        let mut form = credential.client_fields(&url, Timestamp::now())?;
        form.push(("scope", Secret::new(authority.delegated_scopes.join(" "))));
        let answer = http.post(&url, &form).await.map_err(|error| TokenFailure::from_http(&error))?;
        Self::read(&answer).unwrap_or_else(|| Err(TokenFailure::from_answer(&answer, &form)))
    }

    /// `None` if it is a refusal.
    fn read(answer: &HttpAnswer) -> Option<Result<Self, TokenFailure>> {
        let members: Members = serde_json::from_slice(answer.body.expose()).ok()?;
        if !(200..=299).contains(&answer.status) || members.error.is_there() {
            return None;
        }
        let is_url = |text: &&str| text.starts_with("https://") && text.len() <= URL_CHARS_MAX && is_shown(text);
        let is_code = |text: &&str| (1..=USER_CODE_CHARS_MAX).contains(&text.len()) && is_shown(text);
        let (Member::Text(device_code), Some(user_code), Some(verification_uri)) = (
            members.device_code,
            members.user_code.text().filter(is_code),
            members.verification_uri.text().filter(is_url),
        ) else {
            let cause = "the authority's answer has no device code, user code or https address that can be used";
            let remedy = "correct device-url in [upstream.<name>.oauth2]";
            return Some(Err(TokenFailure::of(FailureKind::Permanent, cause, remedy)));
        };
        let expires_in = seconds(&members.expires_in).unwrap_or(LIFE).min(LIFE_MAX);
        Some(Ok(Self {
            user_code: user_code.to_owned(),
            verification_uri: verification_uri.to_owned(),
            verification_uri_complete: members.verification_uri_complete.text().filter(is_url).map(str::to_owned),
            expires_in,
            ends: Instant::now() + expires_in,
            interval: seconds(&members.interval).unwrap_or(INTERVAL).clamp(INTERVAL_MIN, INTERVAL_MAX),
            device_code,
        }))
    }

    /// Waits until the person has consented; gives the refresh token. What passes is survived: a network that fails, an
    /// authority that is busy.
    ///
    /// # Errors
    /// If the person declines or lets the time pass, or the authority refuses.
    pub async fn wait(
        mut self,
        http: &dyn TokenEndpoint,
        credential: &OAuth2,
        authority: &Authority,
    ) -> Result<Secret, TokenFailure> {
        let url = credential.url(&authority.token_url)?;
        let mut pause = self.interval;
        // What to tell if the time is over and the authority could not even be asked.
        let mut trouble = None;
        loop {
            let next = Instant::now() + pause;
            if next >= self.ends {
                sleep_until(self.ends).await;
                return Err(trouble.unwrap_or_else(too_late));
            }
            sleep_until(next).await;
            // A signature is good for minutes, and for one use.
            let mut form = credential.client_fields(&url, Timestamp::now())?;
            form.push(("grant_type", Secret::new("urn:ietf:params:oauth:grant-type:device_code")));
            form.push(("device_code", self.device_code.clone()));
            match http.post(&url, &form).await {
                Ok(answer) => match Granted::from_answer(&answer, &form) {
                    Ok(granted) => return lasting(granted),
                    Err(failure) => trouble = self.passing(failure)?,
                },
                Err(error @ (HttpError::Unreachable(_) | HttpError::TimedOut(_))) => {
                    // "Clients MUST unilaterally reduce their polling frequency" (section 3.5).
                    self.interval = (self.interval * 2).min(INTERVAL_MAX);
                    trouble = Some(TokenFailure::from_http(&error));
                }
                Err(error @ (HttpError::Untrusted(_) | HttpError::TooLong(_))) => {
                    return Err(TokenFailure::from_http(&error));
                }
            }
            let wanted = trouble.as_ref().and_then(TokenFailure::retry_after);
            pause = wanted.unwrap_or_default().max(self.interval);
        }
    }

    /// Whether it is worth to go on asking: what was the trouble then, if there was any. RFC 8628 section 3.5, and
    /// Microsoft's own words.
    fn passing(&mut self, failure: TokenFailure) -> Result<Option<TokenFailure>, TokenFailure> {
        match failure.error() {
            Some("authorization_pending") => Ok(None),
            Some("slow_down") => {
                self.interval += SLOWER;
                Ok(None)
            }
            Some("authorization_declined" | "access_denied") => Err(declined()),
            Some("expired_token") => Err(too_late()),
            _ if failure.kind() == FailureKind::Transient => Ok(Some(failure)),
            _ => Err(failure), // "bad_verification_code" among others
        }
    }
}

/// The refresh token of what was granted: without one there would be nothing when the access token is over.
pub(super) fn lasting(granted: Granted) -> Result<Secret, TokenFailure> {
    granted.refresh_token.ok_or_else(|| {
        TokenFailure::of(
            FailureKind::Permanent,
            "the authority granted access, but gave no refresh token to go on with",
            "delegated-scopes in [upstream.<name>.oauth2] must have offline_access (Microsoft), or authorize-url \
             access_type=offline and prompt=consent (Google)",
        )
    })
}

/// The person said no.
pub(super) fn declined() -> TokenFailure {
    let remedy = "run it again if that was a mistake";
    TokenFailure::of(FailureKind::NeedsConsent, "the person declined at the provider's page", remedy)
}

fn too_late() -> TokenFailure {
    let remedy = "run it again and enter the new code soon";
    TokenFailure::of(FailureKind::NeedsConsent, "the code was not entered in time", remedy)
}

/// It goes onto a terminal as it is.
fn is_shown(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn seconds(member: &Member) -> Option<Duration> {
    let seconds = match member {
        Member::Number(seconds) => Some(*seconds),
        Member::Text(_) => member.text().and_then(|text| text.trim().parse().ok()),
        Member::Absent | Member::Other => None,
    };
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::credential::oauth2::{Authentication, Grant};
    use crate::model::presets;

    /// An authority that answers by a script and keeps what it was asked, and when.
    #[derive(Debug)]
    struct Script {
        answers: Mutex<VecDeque<Result<HttpAnswer, HttpError>>>,
        asked: Mutex<Vec<(Duration, String, String)>>,
        began: Instant,
    }

    #[async_trait]
    impl TokenEndpoint for Script {
        async fn post(&self, url: &str, form: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError> {
            let fields: Vec<String> =
                form.iter().map(|(name, value)| format!("{name}={}", value.expose_text().unwrap())).collect();
            self.asked.lock().unwrap().push((self.began.elapsed(), url.to_owned(), fields.join("&")));
            self.answers.lock().unwrap().pop_front().expect("no more is asked than the script has")
        }
    }

    impl Script {
        fn of(answers: impl IntoIterator<Item = Result<HttpAnswer, HttpError>>) -> Self {
            let answers = Mutex::new(answers.into_iter().collect());
            Self { answers, asked: Mutex::default(), began: Instant::now() }
        }

        /// The seconds at which it was asked for a token.
        fn times(&self) -> Vec<u64> {
            self.asked.lock().unwrap().iter().skip(1).map(|(at, ..)| at.as_secs()).collect()
        }
    }

    fn answer(status: u16, body: &str) -> Result<HttpAnswer, HttpError> {
        Ok(HttpAnswer { status, retry_after: None, date: None, body: Secret::new(body) })
    }

    fn error(word: &str) -> Result<HttpAnswer, HttpError> {
        answer(400, &format!(r#"{{"error":"{word}"}}"#))
    }

    const CODE: &str = r#"{"device_code":"dev-canary","user_code":"ABCD-EFGH","expires_in":900,"interval":5,
        "verification_uri":"https://microsoft.com/devicelogin","message":"To sign in"}"#;
    const GRANTED: &str =
        r#"{"token_type":"Bearer","access_token":"at","expires_in":3599,"refresh_token":"rt-canary"}"#;

    fn credential() -> OAuth2 {
        OAuth2 {
            tenant: Some("contoso.onmicrosoft.com".into()),
            client_id: "app".into(),
            authentication: Authentication::Public,
            grant: Grant::RefreshToken,
        }
    }

    async fn run(script: &Script) -> Result<Secret, TokenFailure> {
        let (credential, authority) = (credential(), presets::preset("exchange-online").unwrap().authority.unwrap());
        DeviceCode::start(script, &credential, &authority).await?.wait(script, &credential, &authority).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_is_asked_for_and_waited_on() {
        let script = Script::of([
            answer(200, CODE),
            error("authorization_pending"),
            error("slow_down"),
            error("authorization_pending"),
            answer(200, GRANTED),
        ]);
        assert_eq!(run(&script).await.unwrap(), Secret::new("rt-canary"));
        assert_eq!(script.times(), [5, 10, 20, 30], "5 s more from slow_down on");
        let asked = script.asked.lock().unwrap();
        let (_, url, form) = &asked[0];
        assert_eq!(url, "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/devicecode");
        assert!(form.starts_with("client_id=app&scope=https://outlook.office.com/IMAP.AccessAsUser.All "), "{form}");
        assert!(form.ends_with(" offline_access"), "{form}");
        let (_, url, form) = &asked[1];
        assert_eq!(url, "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token");
        let wanted = "client_id=app&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=dev-canary";
        assert_eq!(form, wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_survived() {
        let busy = HttpAnswer {
            status: 429,
            retry_after: Some(Duration::from_secs(30)),
            date: None,
            body: Secret::new("<html>slow</html>"),
        };
        let script = Script::of([
            answer(200, CODE),
            Err(HttpError::Unreachable("no route to host".into())),
            Err(HttpError::TimedOut(Duration::from_secs(20))),
            Ok(busy),
            answer(503, ""),
            answer(200, GRANTED),
        ]);
        run(&script).await.unwrap();
        assert_eq!(script.times(), [5, 15, 35, 65, 85], "twice as rarely, and as Retry-After wants");
    }

    #[tokio::test(start_paused = true)]
    async fn a_no_ends_it() {
        for (word, said) in [
            ("authorization_declined", "the person declined"),
            ("access_denied", "the person declined"),
            ("expired_token", "not entered in time"),
            ("bad_verification_code", ""),
            ("invalid_client", ""),
        ] {
            let script = Script::of([answer(200, CODE), error("authorization_pending"), error(word)]);
            let failure = run(&script).await.unwrap_err();
            assert!(failure.to_string().contains(said), "{word}: {failure}");
            assert_ne!(failure.kind(), FailureKind::Transient, "{word}");
            assert!(!failure.to_string().contains("canary"), "{failure}");
            assert_eq!(script.times().len(), 2, "{word}");
        }
        let untrusted = HttpError::Untrusted("unknown issuer".into());
        assert!(run(&Script::of([answer(200, CODE), Err(untrusted)])).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_code_is_good() {
        let code = |life: &str| answer(200, &CODE.replace("900", life));
        for (life, times) in [("12", 2), ("\"12\"", 2), ("5", 0), ("-1", 179), ("\"soon\"", 179), ("1e300", 179)] {
            let pending = (0..400).map(|_| error("authorization_pending"));
            let script = Script::of(std::iter::once(code(life)).chain(pending));
            let failure = run(&script).await.unwrap_err();
            assert!(failure.to_string().contains("not entered in time"), "{life}: {failure}");
            assert_eq!(script.times().len(), times, "{life}");
        }
        let down = || Err(HttpError::Unreachable("no route to host".into()));
        let script = Script::of(std::iter::once(code("60")).chain((0..20).map(|_| down())));
        assert!(run(&script).await.unwrap_err().to_string().contains("no route to host"), "what the trouble was");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_are_none_are_told() {
        for body in [
            "",
            "[]",
            "<html>",
            "{}",
            &CODE.replace("https://", "http://"),
            &CODE.replace("ABCD-EFGH", "AB\\u001b[2J"),
            &CODE.replace("ABCD-EFGH", &"A".repeat(65)),
            &CODE.replace("\"dev-canary\"", "7"),
        ] {
            let failure = run(&Script::of([answer(200, body)])).await.unwrap_err();
            assert!(!failure.to_string().contains("canary"), "{failure}");
            assert!(!failure.to_string().contains('\u{1b}'), "{failure}");
        }
        let failure = run(&Script::of([error("unauthorized_client")])).await.unwrap_err();
        assert_eq!(failure.error(), Some("unauthorized_client"));
        let nothing_lasting = r#"{"token_type":"Bearer","access_token":"at","expires_in":3599}"#;
        let failure = run(&Script::of([answer(200, CODE), answer(200, nothing_lasting)])).await.unwrap_err();
        assert!(failure.to_string().contains("offline_access"), "{failure}");
    }

    #[tokio::test]
    async fn an_authority_without_the_flow_says_so() {
        let authority = presets::preset("gmail").unwrap().authority.unwrap();
        let failure = DeviceCode::start(&Script::of([]), &credential(), &authority).await.unwrap_err();
        assert!(failure.to_string().contains("use --browser"), "{failure}");
    }
}

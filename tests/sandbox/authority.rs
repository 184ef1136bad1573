//! The authority as Entra: every grant, every refusal, and the troubles that its answers can have.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use locum::model::Secret;
use locum::sandbox::{
    Application, ApplicationProof, AuthorityTrouble, Face, HUGE_BYTES, Mailboxes, TokenOutcome, TokenRequest,
};
use ring::digest;
use serde_json::json;

use crate::http::{Answer, Authority, Signer, field, fields, query, text_of};
use crate::support::{ALICE, Provider};

const TENANT: &str = "contoso.onmicrosoft.com";
const TOKEN: &str = "/contoso.onmicrosoft.com/oauth2/v2.0/token";
const DEVICE: &str = "/contoso.onmicrosoft.com/oauth2/v2.0/devicecode";
const DAEMON: &str = "11111111-2222-3333-4444-555555555555";
const DESKTOP: &str = "99999999-8888-7777-6666-555555555555";
const SECRET: &str = "app~secret";
const DEFAULT: &str = "https://outlook.office365.com/.default";
const DELEGATED: &str =
    "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn application(client_id: &str, authentication: ApplicationProof) -> Application {
    let (client_id, tenant) = (client_id.to_owned(), TENANT.to_owned());
    Application { client_id, tenant, authentication, may_act_as: Mailboxes::All, consented: true }
}

/// A daemon with a secret and a desktop program without.
async fn entra() -> (Provider, Authority) {
    let provider = Provider::new(Face::ExchangeOnline);
    provider.sandbox.register(application(DAEMON, ApplicationProof::Secret(Secret::new(SECRET))));
    provider.sandbox.register(application(DESKTOP, ApplicationProof::Public));
    let authority = provider.authority().await;
    (provider, authority)
}

fn by_secret<'a>(secret: &'a str, scope: &'a str) -> [(&'a str, &'a str); 4] {
    [("grant_type", "client_credentials"), ("client_id", DAEMON), ("client_secret", secret), ("scope", scope)]
}

fn code_of(answer: &Answer) -> u64 {
    answer.json()["error_codes"][0].as_u64().unwrap()
}

#[tokio::test]
async fn an_application_gets_a_token_by_its_secret() {
    let (provider, authority) = entra().await;
    let answer = authority.post(TOKEN, &by_secret(SECRET, DEFAULT)).await;
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let token = answer.token();
    assert_eq!(token.len(), 1800);
    assert_eq!(
        answer.json(),
        json!({ "token_type": "Bearer", "expires_in": 4499, "ext_expires_in": 4499, "access_token": token })
    );
    provider.sandbox.set_token_life(Duration::from_secs(60));
    provider.sandbox.set_token_length(5000);
    let answer = authority.post(TOKEN, &by_secret(SECRET, DEFAULT)).await;
    assert_ne!(answer.token(), token);
    assert_eq!((answer.token().len(), &answer.json()["expires_in"]), (5000, &json!(60)));
    let requests = provider.sandbox.token_requests();
    let seen: Vec<_> = requests.iter().map(|it| (it.grant.as_str(), it.client_id.as_str(), &it.outcome)).collect();
    assert_eq!(seen, [("client_credentials", DAEMON, &TokenOutcome::Issued); 2]);
}

#[tokio::test]
async fn every_refusal_has_its_code_and_its_form() {
    let (provider, authority) = entra().await;
    let sandbox = &provider.sandbox;
    let two = format!("{DEFAULT} https://graph.microsoft.com/.default");
    let cases = [
        (TOKEN, by_secret("wrong", DEFAULT).to_vec(), 401, "invalid_client", 7_000_215),
        (TOKEN, by_secret(SECRET, DEFAULT)[..3].to_vec(), 400, "invalid_request", 900_144),
        (
            TOKEN,
            by_secret(SECRET, "https://outlook.office365.com/IMAP.AccessAsApp").to_vec(),
            400,
            "invalid_scope",
            1_002_012,
        ),
        (TOKEN, by_secret(SECRET, "IMAP").to_vec(), 400, "invalid_scope", 70_011),
        (TOKEN, by_secret(SECRET, "https://nowhere.test/.default").to_vec(), 400, "invalid_resource", 500_011),
        (TOKEN, by_secret(SECRET, &two).to_vec(), 400, "invalid_request", 28_000),
        (TOKEN, vec![("grant_type", "password"), ("client_id", DESKTOP)], 400, "unsupported_grant_type", 70_003),
        (TOKEN, vec![("grant_type", "client_credentials"), ("client_id", DAEMON)], 401, "invalid_client", 7_000_218),
        (
            TOKEN,
            vec![("grant_type", "client_credentials"), ("client_id", DESKTOP), ("client_secret", "x")],
            401,
            "invalid_client",
            700_025,
        ),
        (
            TOKEN,
            vec![("grant_type", "client_credentials"), ("client_id", "nobody")],
            400,
            "unauthorized_client",
            700_016,
        ),
        ("/fabrikam/oauth2/v2.0/token", by_secret(SECRET, DEFAULT).to_vec(), 400, "invalid_request", 90_002),
    ];
    for (path, form, status, error, code) in cases {
        let answer = authority.post(path, &form).await;
        assert_eq!((answer.refusal(), code_of(&answer)), ((status, error.to_owned()), code), "{}", answer.text);
    }
    assert!(sandbox.expire_application_secret(DAEMON));
    let answer = authority.post(TOKEN, &by_secret(SECRET, DEFAULT)).await;
    assert_eq!((answer.refusal(), code_of(&answer)), ((401, "invalid_client".to_owned()), 7_000_222));
    let json = answer.json();
    let text = text_of(&json, "error_description");
    let (trace, correlation, stamp) =
        (text_of(&json, "trace_id"), text_of(&json, "correlation_id"), text_of(&json, "timestamp"));
    assert!(
        text.starts_with(&format!("AADSTS7000222: The provided client secret keys for app '{DAEMON}' are expired. "))
    );
    assert!(text.ends_with(&format!(" Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}")), "{text}");
    assert_eq!((trace.len(), correlation.len(), stamp.len()), (36, 36, 20));
    assert!(!answer.text.contains(SECRET));
    let last = sandbox.token_requests().pop().unwrap();
    assert_eq!(last.outcome, TokenOutcome::Refused { error: "invalid_client", code: Some(7_000_222) });
    assert!(sandbox.set_application_secret(DAEMON, Secret::new("renewed")));
    authority.post(TOKEN, &by_secret("renewed", DEFAULT)).await.token();
    assert!(
        !sandbox.set_application_secret("nobody", Secret::new("x")) && !sandbox.expire_application_secret("nobody")
    );
}

#[tokio::test]
async fn only_forms_are_read_and_only_at_their_places() {
    let (_provider, authority) = entra().await;
    let body = query(&by_secret(SECRET, DEFAULT));
    let json = authority.http.post(format!("{}{TOKEN}", authority.base)).header("content-type", "application/json");
    assert_eq!(json.body(body).send().await.unwrap().status(), 400);
    assert_eq!(authority.get(&format!("{}{TOKEN}", authority.base)).await.status, 400);
    assert_eq!(authority.post("/token", &[("grant_type", "x")]).await.status, 404, "that is Google's");
    let twice = [by_secret(SECRET, DEFAULT).to_vec(), vec![("scope", DEFAULT)]].concat();
    assert_eq!(code_of(&authority.post(TOKEN, &twice).await), 900_144, "RFC 6749 section 3.2: no parameter twice");
}

#[tokio::test]
async fn an_application_proves_itself_by_signature() {
    let (provider, authority) = entra().await;
    let signer = Signer::application();
    provider.sandbox.register(application(DAEMON, ApplicationProof::Certificate(signer.certificate.clone())));
    let now = Timestamp::now().as_second();
    let url = format!("{}{TOKEN}", authority.base);
    let claims = |from: i64, to: i64| json!({ "aud": url, "iss": DAEMON, "sub": DAEMON, "jti": "1", "nbf": now + from, "iat": now + from, "exp": now + to });
    let good = claims(0, 300);
    let ask = async |assertion: String| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", DAEMON),
            ("scope", DEFAULT),
            ("client_assertion_type", kind),
            ("client_assertion", &assertion),
        ];
        authority.post(TOKEN, &form).await
    };
    for algorithm in ["PS256", "RS256"] {
        ask(signer.sign(algorithm, &good)).await.token();
    }
    ask(signer.sign("PS256", &claims(240, 540))).await.token();
    ask(signer.sign("PS256", &claims(-600, -240))).await.token();
    let with = |name: &str, value: &str| {
        let mut claims = good.clone();
        claims[name] = value.into();
        signer.sign("PS256", &claims)
    };
    let signed = signer.sign("PS256", &good);
    let (head, signature) = signed.rsplit_once('.').unwrap();
    let other = Signer::other();
    for (assertion, code) in [
        (with("aud", "https://login.microsoftonline.com/other/oauth2/v2.0/token"), 700_023),
        (with("iss", "nobody"), 700_021),
        (with("sub", "nobody"), 700_021),
        (with("exp", "soon"), 50_027),
        (signer.sign("PS256", &claims(-900, -600)), 700_024),
        (signer.sign("PS256", &claims(600, 900)), 700_024),
        (signer.sign_as("PS256", &other.thumbprint, &good), 700_027),
        (other.sign("PS256", &good), 700_027),
        (other.sign_as("PS256", &signer.thumbprint, &good), 700_027),
        (signer.sign("none", &good), 50_027),
        (format!("{head}."), 700_027),
        (format!("{head}.{}", BASE64URL_NOPAD.encode(b"signature")), 700_027),
        (format!("x.{signature}"), 50_027),
        ("jwt".to_owned(), 50_027),
    ] {
        let answer = ask(assertion).await;
        assert_eq!((answer.refusal().1.as_str(), code_of(&answer)), ("invalid_client", code), "{}", answer.text);
    }
    provider.sandbox.set_authority_clock_ahead(SignedDuration::from_mins(15));
    let answer = ask(signer.sign("PS256", &good)).await;
    assert_eq!(code_of(&answer), 700_024, "its clock counts");
    let date = jiff::fmt::rfc2822::parse(answer.header("date")).unwrap().timestamp();
    let ahead = date.duration_since(Timestamp::now());
    assert!((ahead - SignedDuration::from_mins(15)).abs() < SignedDuration::from_secs(10), "{ahead}");
    let by_secret = authority.post(TOKEN, &by_secret(SECRET, DEFAULT)).await;
    assert_eq!(code_of(&by_secret), 7_000_215, "a certificate it is");
}

/// The authorization endpoint with these fields put over the right ones.
fn page_of(authority: &Authority, changes: &[(&str, &str)]) -> String {
    let challenge = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()).as_ref());
    let mut fields = vec![
        ("client_id", DESKTOP),
        ("response_type", "code"),
        ("redirect_uri", "http://localhost:49152/done"),
        ("scope", DELEGATED),
        ("state", "st&te"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for change in changes {
        fields.retain(|(name, _)| name != &change.0);
        fields.extend((!change.1.is_empty()).then_some(*change));
    }
    format!("{}/{TENANT}/oauth2/v2.0/authorize?{}", authority.base, query(&fields))
}

async fn redeem(authority: &Authority, code: &str, redirect: &str, verifier: &str) -> Answer {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", DESKTOP),
        ("code", code),
        ("redirect_uri", redirect),
        ("code_verifier", verifier),
    ];
    form.retain(|(_, value)| !value.is_empty());
    authority.post(TOKEN, &form).await
}

#[tokio::test]
async fn a_person_consents_in_a_browser() {
    let (provider, authority) = entra().await;
    let url = page_of(&authority, &[("login_hint", "\"><script>")]);
    let page = authority.get(&url).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains(&format!("{DESKTOP} wants to read the mail of")), "{}", page.text);
    assert!(page.text.contains("value=\"&quot;&gt;&lt;script&gt;\"") && !page.text.contains("<script>"));
    let path = &url[authority.base.len()..];
    let accepted = authority.post(path, &[("user", ALICE), ("answer", "accept")]).await;
    assert_eq!(accepted.status, 302);
    let location = accepted.header("location").to_owned();
    assert!(location.starts_with("http://localhost:49152/done?"), "{location}");
    assert_eq!(field(&location, "state"), "st&te");
    let tokens = redeem(&authority, &field(&location, "code"), "http://localhost:49152/done", VERIFIER).await;
    assert_eq!(text_of(&tokens.json(), "scope"), DELEGATED);
    assert_eq!(tokens.json()["token_type"], "Bearer");
    tokens.refresh_token();
    let cancelled = authority.post(path, &[("answer", "cancel")]).await;
    assert_eq!(field(cancelled.header("location"), "error"), "access_denied");
    assert_eq!(field(cancelled.header("location"), "state"), "st&te");
    for (user, answer) in [("nobody@contoso.test", "accept"), (ALICE, "")] {
        assert_eq!(authority.post(path, &[("user", user), ("answer", answer)]).await.status, 400, "{user} {answer}");
    }
    let sandbox = &provider.sandbox;
    assert!(field(&sandbox.consent(&url, ALICE).unwrap(), "code").len() > 64);
    assert!(sandbox.consent(&url, "nobody@contoso.test").is_err());
    assert_eq!(fields(&sandbox.decline(&url).unwrap())[0], ("error".to_owned(), "access_denied".to_owned()));
}

#[tokio::test]
async fn a_code_is_good_once_and_for_who_asked_for_it() {
    let (provider, authority) = entra().await;
    let redirect = "http://localhost:49152/done";
    let code = || field(&provider.sandbox.consent(&page_of(&authority, &[]), ALICE).unwrap(), "code");
    let once = code();
    for (redirect, verifier, refusal) in [
        ("http://localhost:49153/done", VERIFIER, (401, "invalid_client", 500_112)),
        (redirect, "another", (400, "invalid_grant", 501_481)),
        (redirect, "", (400, "invalid_request", 900_144)),
    ] {
        let answer = redeem(&authority, &once, redirect, verifier).await;
        let (status, error) = answer.refusal();
        assert_eq!((status, error.as_str(), code_of(&answer)), refusal);
    }
    redeem(&authority, &once, redirect, VERIFIER).await.token();
    assert_eq!(code_of(&redeem(&authority, &once, redirect, VERIFIER).await), 54_005);
    assert_eq!(code_of(&redeem(&authority, "made-up", redirect, VERIFIER).await), 70_000);
    provider.sandbox.register(application("another", ApplicationProof::Public));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "another"),
        ("code", &code()),
        ("redirect_uri", redirect),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(code_of(&authority.post(TOKEN, &form).await), 70_000);
    let online = page_of(&authority, &[("scope", "https://outlook.office.com/SMTP.Send")]);
    let online = field(&provider.sandbox.consent(&online, ALICE).unwrap(), "code");
    let answer = redeem(&authority, &online, redirect, VERIFIER).await;
    assert!(answer.json().get("refresh_token").is_none(), "nobody asked for offline_access");
    for (change, why) in [
        (("redirect_uri", "https://evil.test/"), "AADSTS50011"),
        (("redirect_uri", ""), "AADSTS900144"),
        (("client_id", "nobody"), "AADSTS700016"),
        (("response_type", "token"), "AADSTS900144"),
        (("code_challenge", ""), "AADSTS900144"),
        (("code_challenge_method", "plain"), "AADSTS900144"),
        (("scope", "mail"), "AADSTS70011"),
    ] {
        let url = page_of(&authority, &[change]);
        let page = authority.get(&url).await;
        assert!(page.status == 400 && page.text.contains(why), "{change:?}: {}", page.text);
        assert!(provider.sandbox.consent(&url, ALICE).unwrap_err().starts_with(why));
    }
}

async fn refresh(authority: &Authority, token: &str) -> Answer {
    authority.post(TOKEN, &[("grant_type", "refresh_token"), ("client_id", DESKTOP), ("refresh_token", token)]).await
}

async fn sign_in(provider: &Provider, authority: &Authority) -> String {
    let url = provider.sandbox.consent(&page_of(authority, &[]), ALICE).unwrap();
    redeem(authority, &field(&url, "code"), "http://localhost:49152/done", VERIFIER).await.refresh_token()
}

#[tokio::test]
async fn refresh_tokens_are_replaced_and_the_old_ones_live_on_unless_that_is_forbidden() {
    let (provider, authority) = entra().await;
    let first = sign_in(&provider, &authority).await;
    let answer = refresh(&authority, &first).await;
    assert_eq!(text_of(&answer.json(), "scope"), DELEGATED);
    let second = answer.refresh_token();
    assert_ne!(second, first);
    refresh(&authority, &first).await.token();
    provider.sandbox.set_strict_rotation(true);
    let third = refresh(&authority, &second).await.refresh_token();
    let spent = refresh(&authority, &second).await;
    assert_eq!((spent.refusal(), code_of(&spent)), ((400, "invalid_grant".to_owned()), 70_000));
    let fourth = refresh(&authority, &third).await.refresh_token();
    provider.sandbox.revoke_refresh_tokens("nobody@contoso.test");
    let fifth = refresh(&authority, &fourth).await.refresh_token();
    provider.sandbox.revoke_refresh_tokens(ALICE);
    assert_eq!(code_of(&refresh(&authority, &fifth).await), 50_173);
    assert_eq!(code_of(&refresh(&authority, "made-up").await), 70_000);
    let other = sign_in(&provider, &authority).await;
    let stolen =
        [("grant_type", "refresh_token"), ("client_id", DAEMON), ("client_secret", SECRET), ("refresh_token", &other)];
    assert_eq!(code_of(&authority.post(TOKEN, &stolen).await), 70_000, "it is another application's");
    let unconsented = Application { consented: false, ..application(DESKTOP, ApplicationProof::Public) };
    provider.sandbox.register(unconsented);
    assert_eq!(code_of(&refresh(&authority, &other).await), 65_001);
}

async fn poll(authority: &Authority, code: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    authority.post(TOKEN, &[("grant_type", grant), ("client_id", DESKTOP), ("device_code", code)]).await
}

#[tokio::test]
async fn a_device_waits_for_a_person() {
    let (provider, authority) = entra().await;
    let sandbox = &provider.sandbox;
    let begin = async || {
        let answer = authority.post(DEVICE, &[("client_id", DESKTOP), ("scope", DELEGATED)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    let begun = begin().await;
    let (code, user_code) = (text_of(&begun, "device_code"), text_of(&begun, "user_code"));
    let uri = format!("{}/devicelogin", authority.base);
    assert_eq!(
        begun,
        json!({
            "device_code": code,
            "user_code": user_code,
            "verification_uri": uri,
            "expires_in": 900,
            "interval": 5,
            "message": format!("To sign in, use a web browser to open the page {uri} and enter the code {user_code} to authenticate."),
        })
    );
    assert_eq!(poll(&authority, &code).await.refusal(), (400, "authorization_pending".to_owned()));
    assert_eq!(poll(&authority, &code).await.refusal(), (400, "slow_down".to_owned()));
    sandbox.set_device_interval(0);
    let pending = poll(&authority, &code).await;
    assert_eq!(code_of(&pending), 70_016);
    assert!(!sandbox.approve_device(&user_code, "nobody@contoso.test"));
    assert!(!sandbox.approve_device("XXXXXXXXX", ALICE));
    assert!(sandbox.approve_device(&user_code.to_lowercase(), ALICE));
    let tokens = poll(&authority, &code).await;
    tokens.refresh_token();
    assert_eq!(poll(&authority, &code).await.refusal(), (400, "bad_verification_code".to_owned()), "it is used up");

    let begun = begin().await;
    assert_eq!(begun["interval"], 0);
    assert!(sandbox.decline_device(&text_of(&begun, "user_code")));
    let declined = poll(&authority, &text_of(&begun, "device_code")).await;
    assert_eq!(declined.refusal(), (400, "authorization_declined".to_owned()));
    let begun = begin().await;
    assert!(sandbox.expire_device(&text_of(&begun, "user_code")));
    let expired = poll(&authority, &text_of(&begun, "device_code")).await;
    assert_eq!((expired.refusal(), code_of(&expired)), ((400, "expired_token".to_owned()), 70_019));

    let begun = begin().await;
    assert!(authority.get(&uri).await.text.contains("name=\"code\""));
    let typed = [("code", text_of(&begun, "user_code")), ("user", ALICE.to_owned()), ("answer", "accept".to_owned())];
    let typed: Vec<_> = typed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(authority.post("/devicelogin", &typed).await.status, 200);
    poll(&authority, &text_of(&begun, "device_code")).await.token();
    assert_eq!(authority.post("/devicelogin", &typed).await.status, 400, "no such code any more");
    let confidential = authority.post(DEVICE, &[("client_id", DAEMON), ("scope", DELEGATED)]).await;
    assert_eq!(code_of(&confidential), 7_000_218);
    let scopeless = authority.post(DEVICE, &[("client_id", DESKTOP)]).await;
    assert_eq!(code_of(&scopeless), 900_144);
}

#[tokio::test]
async fn answers_come_with_trouble_on_demand() {
    let (provider, authority) = entra().await;
    let sandbox = &provider.sandbox;
    let ask = async || authority.post(TOKEN, &by_secret(SECRET, DEFAULT)).await;
    sandbox.set_authority_trouble(AuthorityTrouble::Http { status: 429, retry_after: Some(17) }, Some(2));
    for _ in 0..2 {
        let answer = ask().await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "17"));
    }
    ask().await.token();
    sandbox.set_authority_trouble(AuthorityTrouble::NotJson, None);
    let page = ask().await;
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{page:?}");
    let device = authority.post(DEVICE, &[("client_id", DESKTOP), ("scope", DELEGATED)]).await;
    assert!(device.text.starts_with("<!DOCTYPE"), "the device endpoint has the same trouble");
    sandbox.set_authority_trouble(AuthorityTrouble::Huge, Some(1));
    assert_eq!(ask().await.text.len(), HUGE_BYTES);
    sandbox.set_authority_trouble(AuthorityTrouble::Error(53_003), Some(1));
    let refused = ask().await;
    assert_eq!((refused.refusal(), code_of(&refused)), ((400, "invalid_grant".to_owned()), 53_003));
    assert!(
        text_of(&refused.json(), "error_description")
            .starts_with("AADSTS53003: Access has been blocked by Conditional Access policies.")
    );
    sandbox.set_authority_trouble(AuthorityTrouble::ExpiresInAsString, Some(1));
    assert_eq!(ask().await.json()["expires_in"], "4499");
    sandbox.set_authority_trouble(AuthorityTrouble::NoExpiresIn, Some(1));
    assert!(ask().await.json().get("expires_in").is_none());
    sandbox.set_authority_trouble(AuthorityTrouble::Redirect, Some(1));
    let redirect = ask().await;
    assert_eq!(redirect.status, 307);
    let followed = authority.post(redirect.header("location"), &by_secret(SECRET, DEFAULT)).await;
    followed.token();
    sandbox.set_authority_trouble(AuthorityTrouble::Http { status: 503, retry_after: None }, None);
    assert_eq!(ask().await.header("retry-after"), "");
    sandbox.clear_authority_trouble();
    ask().await.token();
    let outcomes: Vec<TokenOutcome> = sandbox.token_requests().into_iter().map(|it| it.outcome).collect();
    let troubled = outcomes.iter().filter(|outcome| **outcome == TokenOutcome::Troubled).count();
    assert_eq!((outcomes.len(), troubled), (12, 7), "{outcomes:?}");
}

#[tokio::test]
async fn an_answer_can_be_held_after_the_deed_and_one_may_never_come() {
    let (provider, authority) = entra().await;
    let sandbox = &provider.sandbox;
    sandbox.set_strict_rotation(true);
    let first = sign_in(&provider, &authority).await;
    sandbox.set_authority_trouble(AuthorityTrouble::HoldAnswer, Some(2));
    let (second, ()) = tokio::join!(refresh(&authority, &first), async {
        sandbox.answers_held(1).await;
        let TokenRequest { grant, outcome, .. } = sandbox.token_requests().pop().unwrap();
        assert_eq!((grant.as_str(), outcome), ("refresh_token", TokenOutcome::Issued), "the deed is done");
        sandbox.release_answers();
    });
    let second = second.refresh_token();
    // Whoever asks goes away before the answer.
    tokio::select! {
        answer = refresh(&authority, &second) => panic!("nobody released it: {answer:?}"),
        () = sandbox.answers_held(1) => {}
    }
    assert_eq!(code_of(&refresh(&authority, &second).await), 70_000, "and yet the token is spent");
    sandbox.set_authority_trouble(AuthorityTrouble::Hang, Some(1));
    let form = by_secret(SECRET, DEFAULT);
    tokio::select! {
        answer = authority.try_post(TOKEN, &form) => panic!("it hangs: {answer:?}"),
        () = async {
            while sandbox.token_requests().last().unwrap().outcome != TokenOutcome::Troubled {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    authority.post(TOKEN, &form).await.token();
}

//! The authority as Google.

use jiff::Timestamp;
use locum::model::Secret;
use locum::sandbox::{Application, ApplicationProof, AuthorityTrouble, Face, Mailboxes};
use serde_json::{Value, json};

use crate::http::{Answer, Authority, Signer, field, query, text_of};
use crate::support::{ALICE, Provider};

const MAIL: &str = "https://mail.google.com/";
const ROBOT: &str = "locum@project.iam.gserviceaccount.test";
const DESKTOP: &str = "1234.apps.googleusercontent.test";
const SECRET: &str = "GOCSPX-secret";
const REDIRECT: &str = "http://127.0.0.1:49152/";

fn application(client_id: &str, authentication: ApplicationProof) -> Application {
    let (client_id, tenant) = (client_id.to_owned(), String::new());
    Application { client_id, tenant, authentication, may_act_as: Mailboxes::All, consented: true }
}

fn refusal(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
    (answer.status, text_of(&json, "error"), text_of(&json, "error_description"))
}

#[tokio::test]
async fn a_service_account_acts_for_the_mailboxes_that_it_was_given() {
    let provider = Provider::new(Face::Gmail);
    let authority = provider.authority().await;
    let signer = Signer::application();
    let certificate = ApplicationProof::Certificate(signer.certificate.clone());
    provider.sandbox.register(application(ROBOT, certificate.clone()));
    let now = Timestamp::now().as_second();
    let url = format!("{}/token", authority.base);
    let good = json!({ "iss": ROBOT, "sub": ALICE, "scope": MAIL, "aud": url, "iat": now, "exp": now + 3600 });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signer.sign("RS256", &claims)
    };
    let ask = async |assertion: String| {
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        authority.post("/token", &[("grant_type", grant), ("assertion", &assertion)]).await
    };
    let answer = ask(signer.sign("RS256", &good)).await;
    let token = answer.token();
    assert!(token.starts_with("ya29."), "{token}");
    assert_eq!(answer.json(), json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }));
    let short_lived = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.";
    for (assertion, status, error, text) in [
        (with("sub", "nobody@contoso.test".into()), 400, "invalid_grant", "Invalid email or User ID"),
        (with("exp", (now + 7200).into()), 400, "invalid_grant", short_lived),
        (with("exp", (now - 600).into()), 400, "invalid_grant", short_lived),
        (with("iat", (now + 600).into()), 400, "invalid_grant", short_lived),
        (
            with("aud", "https://elsewhere.test/token".into()),
            400,
            "invalid_grant",
            "Invalid JWT: Failed audience check.",
        ),
        (with("iss", "nobody".into()), 400, "invalid_grant", "Invalid grant: account not found"),
        (with("scope", "mail".into()), 400, "invalid_scope", "Some requested scopes were invalid."),
        (Signer::other().sign("RS256", &good), 400, "invalid_grant", "Invalid JWT Signature."),
        ("x.y.z".to_owned(), 400, "invalid_grant", "Invalid JWT: Failed to parse."),
    ] {
        assert_eq!(refusal(&ask(assertion).await), (status, error.to_owned(), text.to_owned()));
    }
    let unauthorized = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.";
    let others = Mailboxes::Of(vec!["bob@contoso.test".to_owned()]);
    for robot in [
        Application { may_act_as: others, ..application(ROBOT, certificate.clone()) },
        Application { consented: false, ..application(ROBOT, certificate.clone()) },
    ] {
        provider.sandbox.register(robot);
        let answer = ask(signer.sign("RS256", &good)).await;
        assert_eq!(refusal(&answer), (401, "unauthorized_client".to_owned(), unauthorized.to_owned()));
    }
    let asked: Vec<String> = provider.sandbox.token_requests().into_iter().map(|it| it.client_id).collect();
    assert_eq!(asked.iter().filter(|client_id| *client_id == ROBOT).count(), 10, "{asked:?}");
}

fn page_of(authority: &Authority, offline: bool) -> String {
    let mut fields = vec![
        ("client_id", DESKTOP),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", MAIL),
        ("prompt", "consent"),
    ];
    fields.extend(offline.then_some(("access_type", "offline")));
    format!("{}/o/oauth2/v2/auth?{}", authority.base, query(&fields))
}

async fn ask(authority: &Authority, grant: &str, name: &str, value: &str) -> Answer {
    let form = [
        ("grant_type", grant),
        ("client_id", DESKTOP),
        ("client_secret", SECRET),
        (name, value),
        ("redirect_uri", REDIRECT),
    ];
    authority.post("/token", &form).await
}

#[tokio::test]
async fn a_refresh_token_is_given_once_and_never_replaced() {
    let provider = Provider::new(Face::Gmail);
    let sandbox = &provider.sandbox;
    let authority = provider.authority().await;
    sandbox.register(application(DESKTOP, ApplicationProof::Secret(Secret::new(SECRET))));
    let code = |offline: bool| field(&sandbox.consent(&page_of(&authority, offline), ALICE).unwrap(), "code");
    let online = ask(&authority, "authorization_code", "code", &code(false)).await;
    assert!(online.json().get("refresh_token").is_none(), "nobody asked for offline access");
    let tokens = ask(&authority, "authorization_code", "code", &code(true)).await;
    assert_eq!(tokens.json()["scope"], MAIL);
    assert!(tokens.json().get("ext_expires_in").is_none());
    let token = tokens.refresh_token();
    sandbox.set_strict_rotation(true);
    for _ in 0..2 {
        let again = ask(&authority, "refresh_token", "refresh_token", &token).await;
        assert!(again.json().get("refresh_token").is_none());
        again.token();
    }
    sandbox.revoke_refresh_tokens(ALICE);
    let gone = ask(&authority, "refresh_token", "refresh_token", &token).await;
    let text = "Token has been expired or revoked.";
    assert_eq!(refusal(&gone), (400, "invalid_grant".to_owned(), text.to_owned()));
    sandbox.set_application_secret(DESKTOP, Secret::new("another"));
    let wrong = ask(&authority, "refresh_token", "refresh_token", &token).await;
    assert_eq!(refusal(&wrong), (401, "invalid_client".to_owned(), "Unauthorized".to_owned()));
    sandbox.set_authority_trouble(AuthorityTrouble::Error(90_033), Some(1));
    let trouble = ask(&authority, "refresh_token", "refresh_token", &token).await;
    assert_eq!((trouble.status, text_of(&trouble.json(), "error")), (503, "temporarily_unavailable".to_owned()));
    let entra = authority.post("/contoso/oauth2/v2.0/token", &[("grant_type", "refresh_token")]).await;
    assert_eq!(entra.status, 404);
    let grant = ask(&authority, "client_credentials", "scope", MAIL).await;
    assert_eq!(grant.status, 401);
}

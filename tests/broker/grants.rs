//! By every grant a mailbox is entered: from what the operator has in hand to a client that is logged in.

use locum::broker::Authorities;
use locum::credential::oauth2::{Authentication, AuthorizationCode, DeviceCode, Grant, OAuth2};
use locum::model::CredentialKind::OAuth2 as Tokens;
use locum::model::{Authority, KeptToken, Protocol, Secret};
use locum::net::{HttpOptions, Https, tls};
use locum::sandbox::{Application, ApplicationProof, Behaviour, Face, Mailboxes, Outcome, Start};

use crate::support::{Actor, Lab, Plan, Provider, RSA};

const CLIENT_ID: &str = "0b5d2c34-4c1f-4c6c-9f35-1f2f8f0f2d11";
const TENANT: &str = "contoso.onmicrosoft.com";
const SECRET: &str = "Zq7~application-secret-of-the-lab";

/// A provider, and bob, whose mailbox it has.
async fn stage(face: Face) -> (Lab, Provider, Actor) {
    let provider = Provider::serve("own", face, Start::Implicit).await;
    let lab = Plan::new().provider(&provider).start().await;
    let bob = lab.enrol("bob", "own", "mnbvcxzlkjhgfdsa").await;
    provider.add_mailbox(&bob.address, "mnbvcxzlkjhgfdsa", Behaviour::Normal);
    lab.prefer(&bob, &[Tokens]).await;
    (lab, provider, bob)
}

fn register(provider: &Provider, client_id: &str, authentication: ApplicationProof) {
    provider.sandbox.register(Application {
        client_id: client_id.to_owned(),
        tenant: TENANT.to_owned(),
        authentication,
        may_act_as: Mailboxes::All,
        consented: true,
    });
}

fn credential(authentication: Authentication, grant: Grant) -> OAuth2 {
    OAuth2 { tenant: Some(TENANT.to_owned()), client_id: CLIENT_ID.to_owned(), authentication, grant }
}

fn by_secret(secret: &str) -> Authentication {
    Authentication::Secret { secret: Secret::new(secret), expires: None }
}

/// What the command line has to talk to the authority.
fn authority(lab: &Lab) -> (Authorities, Authority) {
    let https = Https::new(&tls::client_config(&lab.config().tls).unwrap(), HttpOptions::default()).unwrap();
    (Authorities::new(https), lab.config().upstreams["own"].authority.clone().unwrap())
}

/// Stores a refresh token, and the credential that it belongs to.
async fn keep(lab: &Lab, bob: &Actor, oauth2: OAuth2, refresh_token: Secret) {
    let credential = lab.grant(bob, oauth2).await;
    let kept = KeptToken { credential, refresh_token, obtained: jiff::Timestamp::now() };
    lab.directory.put_token(&kept, None).await.unwrap();
}

/// The refresh token that consent in a browser brings.
async fn by_browser(lab: &Lab, provider: &Provider, bob: &Actor, oauth2: &OAuth2) -> Secret {
    let (http, authority) = authority(lab);
    let code = AuthorizationCode::begin(oauth2, &authority, "http://127.0.0.1:49152/", &bob.address).unwrap();
    let redirect = provider.sandbox.consent(&code.url, &bob.address).unwrap();
    let redirected = code.redirected(redirect.split_once('?').unwrap().1).unwrap();
    code.exchange(redirected, &http, oauth2, &authority).await.unwrap()
}

/// Every protocol, and nothing but tokens.
async fn assert_enters(lab: &Lab, provider: &Provider, bob: &Actor) {
    for protocol in Protocol::ALL {
        lab.log_in(protocol, bob).await;
    }
    let logins = provider.logins();
    assert_eq!(logins.len(), Protocol::ALL.len());
    for login in logins {
        let by_token = ["XOAUTH2", "OAUTHBEARER"].iter().any(|name| login.mechanism.ends_with(name));
        assert!(by_token && login.outcome == Outcome::Accepted, "{login:?}");
    }
}

#[tokio::test]
async fn client_credentials_with_a_secret() {
    let (lab, provider, bob) = stage(Face::ExchangeOnline).await;
    register(&provider, CLIENT_ID, ApplicationProof::Secret(Secret::new(SECRET)));
    lab.grant(&bob, credential(by_secret(SECRET), Grant::ClientCredentials)).await;
    assert_enters(&lab, &provider, &bob).await;
}

#[tokio::test]
async fn client_credentials_with_a_certificate() {
    let (lab, provider, bob) = stage(Face::ExchangeOnline).await;
    register(&provider, CLIENT_ID, ApplicationProof::Certificate(RSA.certificate.clone()));
    let authentication =
        Authentication::Certificate { certificate: RSA.certificate.clone(), key: Secret::new(RSA.key.as_str()) };
    lab.grant(&bob, credential(authentication, Grant::ClientCredentials)).await;
    assert_enters(&lab, &provider, &bob).await;
}

#[tokio::test]
async fn a_person_by_device_code() {
    let (lab, provider, bob) = stage(Face::ExchangeOnline).await;
    register(&provider, CLIENT_ID, ApplicationProof::Public);
    provider.sandbox.set_device_interval(1);
    let oauth2 = credential(Authentication::Public, Grant::RefreshToken);
    let (http, authority) = authority(&lab);
    let device = DeviceCode::start(&http, &oauth2, &authority).await.unwrap();
    assert!(provider.sandbox.approve_device(&device.user_code, &bob.address));
    let refresh_token = device.wait(&http, &oauth2, &authority).await.unwrap();
    keep(&lab, &bob, oauth2, refresh_token.clone()).await;
    assert_enters(&lab, &provider, &bob).await;
    let kept = lab.directory.account(&bob.address).await.unwrap().unwrap().record;
    let id = &kept.credentials[&Tokens].current.as_ref().unwrap().id;
    let kept = lab.directory.token(id, true).await.unwrap().unwrap().record;
    assert_ne!(kept.refresh_token, refresh_token, "the authority handed out a new one, and that is what is kept");
}

#[tokio::test]
async fn a_person_by_the_browser() {
    let (lab, provider, bob) = stage(Face::ExchangeOnline).await;
    register(&provider, CLIENT_ID, ApplicationProof::Secret(Secret::new(SECRET)));
    let oauth2 = credential(by_secret(SECRET), Grant::RefreshToken);
    let refresh_token = by_browser(&lab, &provider, &bob, &oauth2).await;
    keep(&lab, &bob, oauth2, refresh_token).await;
    assert_enters(&lab, &provider, &bob).await;
}

#[tokio::test]
async fn a_service_account_for_one_mailbox_at_a_time() {
    let (lab, provider, bob) = stage(Face::Gmail).await;
    let name = "locum@project.iam.gserviceaccount.test";
    register(&provider, name, ApplicationProof::Certificate(RSA.certificate.clone()));
    let file = serde_json::json!({
        "type": "service_account", "client_email": name, "private_key": RSA.key, "private_key_id": "k1",
    });
    let oauth2 = OAuth2::service_account(&Secret::new(file.to_string())).unwrap();
    let eve = lab.enrol("eve", "own", "mnbvcxzlkjhgfdsa").await;
    provider.add_mailbox(&eve.address, "mnbvcxzlkjhgfdsa", Behaviour::Normal);
    lab.prefer(&eve, &[Tokens]).await;
    for actor in [&bob, &eve] {
        lab.grant(actor, oauth2.clone()).await;
    }
    assert_enters(&lab, &provider, &bob).await;
    lab.log_in(Protocol::Imap, &eve).await;
    assert_eq!(provider.sandbox.token_requests().len(), 2, "one for each mailbox");
}

#[tokio::test]
async fn a_refresh_token_that_was_revoked_is_presented_once() {
    let (lab, provider, bob) = stage(Face::ExchangeOnline).await;
    register(&provider, CLIENT_ID, ApplicationProof::Public);
    let oauth2 = credential(Authentication::Public, Grant::RefreshToken);
    let refresh_token = by_browser(&lab, &provider, &bob, &oauth2).await;
    keep(&lab, &bob, oauth2, refresh_token).await;
    provider.sandbox.revoke_refresh_tokens(&bob.address);
    let before = provider.sandbox.token_requests().len();
    for _ in 0..3 {
        let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
        assert!(answer.starts_with("a NO [CONTACTADMIN]"), "{answer}");
    }
    assert_eq!(provider.sandbox.token_requests().len(), before + 1);
    let reason = lab.last_event(Protocol::Imap, &bob.login)["reason"].to_string();
    assert!(reason.contains("locum oauth login"), "{reason}");
}

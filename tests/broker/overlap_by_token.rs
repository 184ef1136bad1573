//! The same for OAuth2: an application's new secret is refused by the authority, and the one before still gets tokens.

use jiff::{SignedDuration, Timestamp};
use locum::credential::oauth2::{Authentication, Grant, OAuth2};
use locum::model::CredentialKind::{AppPassword, OAuth2 as Tokens};
use locum::model::{NextState, Protocol, Refusal, Secret, Slots, StoredCredential, Tenant};
use locum::sandbox::{
    Application, ApplicationProof, AuthorityTrouble, Behaviour, Face, Mailboxes, Start, TokenOutcome,
};
use serde_json::Value;

use crate::answers::refused;
use crate::support::{Actor, Lab, Plan, Provider, next, previous};

const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const TENANT: &str = "contoso.onmicrosoft.com";
pub(crate) const SECRET: &str = "Gk8Q~application-secret-of-the-lab";
const PASSWORD: &str = "mnbvcxzlkjhgfdsa";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Exchange with an application that may open all mailboxes, and bob, who may be entered by token alone.
async fn stage() -> (Lab, Provider, Actor) {
    stage_of(Plan::new()).await
}

/// The same, on that plan.
pub(crate) async fn stage_of(plan: Plan) -> (Lab, Provider, Actor) {
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    provider.sandbox.register(Application {
        client_id: CLIENT_ID.to_owned(),
        tenant: TENANT.to_owned(),
        authentication: ApplicationProof::Secret(Secret::new(SECRET)),
        may_act_as: Mailboxes::All,
        consented: true,
    });
    let lab = plan.provider(&provider).start().await;
    let bob = lab.enrol("bob", "own", PASSWORD).await;
    provider.add_mailbox(&bob.address, PASSWORD, Behaviour::Normal);
    lab.prefer(&bob, &[Tokens]).await;
    (lab, provider, bob)
}

pub(crate) fn stored(id: &str, secret: &str) -> StoredCredential {
    let application = OAuth2 {
        tenant: Some(TENANT.to_owned()),
        client_id: CLIENT_ID.to_owned(),
        authentication: Authentication::Secret { secret: Secret::new(secret), expires: None },
        grant: Grant::ClientCredentials,
    };
    application.into_stored(id.to_owned(), "lab", Timestamp::now()).unwrap()
}

pub(crate) fn places(current: &str, before: &str) -> Slots {
    let previous = Some(previous(stored("before", before), HOUR));
    Slots { current: Some(stored("now", current)), previous, ..Slots::default() }
}

fn last_upstream(lab: &Lab) -> Value {
    lab.audit().into_iter().rfind(|event| event["event"] == "upstream").unwrap()
}

fn issued(provider: &Provider) -> Vec<bool> {
    let requests = provider.sandbox.token_requests();
    requests.into_iter().map(|request| matches!(request.outcome, TokenOutcome::Issued)).collect()
}

#[tokio::test]
async fn the_secret_before_gets_a_token_where_the_current_one_is_refused() {
    let (lab, provider, bob) = stage().await;
    lab.place(&bob, Tokens, |slots| *slots = places("wrong", SECRET)).await;
    for protocol in Protocol::ALL {
        lab.log_in(protocol, &bob).await;
        let event = last_upstream(&lab);
        assert_eq!((&event["slot"], &event["credential"]), (&"previous".into(), &"before".into()), "{event}");
        assert!(event["fell_back"].as_str().unwrap().contains("AADSTS7000215"), "{event}");
    }
    assert_eq!(issued(&provider), [false, true], "the authority is asked for each once");
}

#[tokio::test]
async fn the_same_holds_for_the_credential_of_a_domain() {
    let (lab, provider, bob) = stage().await;
    let tenant = Tenant { domain: "mail.test".into(), upstream: "own".into(), oauth2: places("wrong", SECRET) };
    lab.directory.put_tenant(&tenant, None).await.unwrap();
    // Something of its own that is no more than staged does not take its place.
    lab.place(&bob, Tokens, |slots| slots.next = Some(next(stored("own", "wrong, too"), NextState::Staged))).await;
    lab.log_in(Protocol::Imap, &bob).await;
    assert_eq!(last_upstream(&lab)["credential"], "before");
    assert_eq!(issued(&provider), [false, true]);
}

#[tokio::test]
async fn one_that_is_staged_or_past_its_grace_gets_none() {
    let (lab, provider, bob) = stage().await;
    lab.place(&bob, Tokens, |slots| {
        *slots = places("wrong", SECRET);
        slots.previous.as_mut().unwrap().retire_at = Timestamp::now();
        slots.next = Some(next(stored("next", SECRET), NextState::Staged));
    })
    .await;
    let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    assert_eq!(issued(&provider), [false]);

    lab.place(&bob, Tokens, |slots| slots.next.as_mut().unwrap().state = NextState::Applied { verified: None }).await;
    lab.log_in(Protocol::Imap, &bob).await;
    assert_eq!(last_upstream(&lab)["slot"], "next");
}

#[tokio::test]
async fn where_both_are_refused_the_cause_of_the_current_one_is_told() {
    let (lab, provider, bob) = stage().await;
    provider.sandbox.expire_application_secret(CLIENT_ID);
    lab.place(&bob, Tokens, |slots| *slots = places(SECRET, "wrong")).await;
    let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    let reason = lab.last_event(Protocol::Imap, &bob.login)["reason"].to_string();
    assert!(reason.contains("AADSTS7000222"), "{reason}");
    lab.prefer(&bob, &[Tokens, AppPassword]).await;
    lab.log_in(Protocol::Imap, &bob).await;
    assert_eq!(last_upstream(&lab)["kind"], "app-password");
}

#[tokio::test]
async fn an_authority_in_trouble_and_a_mailbox_that_takes_no_token_are_no_reason() {
    let (lab, provider, bob) = stage().await;
    lab.place(&bob, Tokens, |slots| *slots = places(SECRET, SECRET)).await;
    provider.sandbox.set_authority_trouble(AuthorityTrouble::WrongAudience, None);
    let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    assert_eq!(issued(&provider), [true], "the token is refused, and another secret would get the like");

    let (lab, provider, bob) = stage().await;
    lab.place(&bob, Tokens, |slots| *slots = places(SECRET, SECRET)).await;
    provider.sandbox.set_authority_trouble(AuthorityTrouble::Http { status: 503, retry_after: Some(30) }, None);
    let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::Unavailable));
    assert_eq!(issued(&provider), [false]);
}

//! The promise that the rest is for: an account goes from app password to OAuth2 in the store, and no client notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use locum::credential::oauth2::{Authentication, Grant, OAuth2};
use locum::model::CredentialKind::{AppPassword, OAuth2 as Tokens};
use locum::model::{Identity, Protocol, Refusal, Secret, Slots, Tenant};
use locum::sandbox::{
    Application, ApplicationProof, AuthorityTrouble, Behaviour, Face, Login, Mailboxes, Outcome, Start,
};

use crate::answers::refused;
use crate::support::{Actor, Doors, Lab, Plan, Provider, Wire};

const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const TENANT: &str = "contoso.onmicrosoft.com";
const SECRET: &str = "Gk8Q~application-secret-of-the-lab";
const PASSWORD: &str = "mnbvcxzlkjhgfdsa";

/// Exchange that takes passwords as well as tokens for all protocols, an application that may open all mailboxes, and bob
/// with an app password.
async fn stage(plan: Plan) -> (Lab, Provider, Actor) {
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    register(&provider);
    let lab = plan.provider(&provider).start().await;
    let bob = lab.enrol("bob", "own", PASSWORD).await;
    provider.add_mailbox(&bob.address, PASSWORD, Behaviour::Normal);
    (lab, provider, bob)
}

fn register(provider: &Provider) {
    provider.sandbox.register(Application {
        client_id: CLIENT_ID.to_owned(),
        tenant: TENANT.to_owned(),
        authentication: ApplicationProof::Secret(Secret::new(SECRET)),
        may_act_as: Mailboxes::All,
        consented: true,
    });
}

fn application(secret: &str) -> OAuth2 {
    OAuth2 {
        tenant: Some(TENANT.to_owned()),
        client_id: CLIENT_ID.to_owned(),
        authentication: Authentication::Secret { secret: Secret::new(secret), expires: None },
        grant: Grant::ClientCredentials,
    }
}

fn was_accepted(answer: &str) -> bool {
    ["a OK ", "+OK ", "235 "].iter().any(|start| answer.starts_with(start))
}

fn by_token(login: &Login) -> bool {
    login.mechanism.ends_with("XOAUTH2") || login.mechanism.ends_with("OAUTHBEARER")
}

/// Something that only a session which still stands can answer.
async fn is_alive(wire: &mut Wire, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Imap => wire.ask("DONE").await.starts_with("i OK"),
        Protocol::Pop3 => wire.ask("NOOP").await.starts_with("+OK"),
        Protocol::Submission => wire.ask("NOOP").await.starts_with("250"),
    }
}

async fn flip_while_clients_are_there(protocol: Protocol) {
    let (lab, provider, bob) = stage(Plan::new()).await;
    let mut idle = lab.log_in(protocol, &bob).await;
    if protocol == Protocol::Imap {
        assert!(idle.ask("e EXAMINE INBOX").await.starts_with("* "));
        idle.until("e OK").await;
        assert!(idle.ask("i IDLE").await.starts_with("+ "));
    }
    let (polls, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let polling = {
        let (doors, bob) = (Doors::clone(&lab), bob.clone());
        let (polls, stop) = (Arc::clone(&polls), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut refusals = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let (_wire, answer) = doors.present(protocol, &bob.login, &bob.secret).await;
                if !was_accepted(&answer) {
                    refusals.push(answer);
                }
                polls.fetch_add(1, Ordering::Relaxed);
            }
            refusals
        })
    };
    let after = async |more: usize| {
        let goal = polls.load(Ordering::Relaxed) + more;
        while polls.load(Ordering::Relaxed) < goal {
            tokio::task::yield_now().await;
        }
    };

    after(3).await;
    lab.grant(&bob, application(SECRET)).await;
    after(3).await;
    assert!(!provider.logins().iter().any(by_token), "stored beside the app password, and not yet preferred");
    lab.prefer(&bob, &[Tokens]).await;
    after(3).await;
    let switched = provider.logins().len();
    provider.sandbox.set_behaviour(&bob.address, Behaviour::BasicAuthDisabled);
    after(3).await;
    stop.store(true, Ordering::Relaxed);

    assert_eq!(polling.await.unwrap(), Vec::<String>::new());
    assert!(is_alive(&mut idle, protocol).await);
    let logins = provider.logins();
    assert!(logins.iter().all(|login| login.outcome == Outcome::Accepted));
    assert!(logins[switched..].len() >= 3 && logins[switched..].iter().all(by_token));
    let event = lab.last_event(protocol, &bob.login);
    assert_eq!(lab.audit().iter().rfind(|it| it["event"] == "upstream").unwrap()["kind"], "oauth2", "{event}");
}

#[tokio::test]
async fn an_imap_account_is_flipped_and_no_client_notices() {
    flip_while_clients_are_there(Protocol::Imap).await;
}

#[tokio::test]
async fn a_pop3_account_is_flipped_and_no_client_notices() {
    flip_while_clients_are_there(Protocol::Pop3).await;
}

#[tokio::test]
async fn a_submission_account_is_flipped_and_no_client_notices() {
    flip_while_clients_are_there(Protocol::Submission).await;
}

#[tokio::test]
async fn two_hundred_first_logins_ask_for_one_token() {
    let crowd = Plan::new().tune(|config| {
        config.session.sessions_max = 1000;
        let own = config.upstreams.get_mut("own").unwrap();
        for endpoint in Arc::make_mut(own).endpoints.values_mut() {
            endpoint.sessions_max = 200;
        }
    });
    let (lab, provider, bob) = stage(crowd).await;
    lab.grant(&bob, application(SECRET)).await;
    lab.prefer(&bob, &[Tokens]).await;
    let mut wires = Vec::new();
    for _ in 0..200 {
        wires.push(lab.open(Protocol::Imap).await);
    }
    for wire in &mut wires {
        wire.write(format!("a LOGIN {} {}\r\n", bob.login, bob.secret)).await;
    }
    for wire in &mut wires {
        assert!(was_accepted(&wire.line().await));
    }
    assert_eq!(provider.sandbox.token_requests().len(), 1);
    assert_eq!(provider.logins().len(), 200);
}

#[tokio::test]
async fn one_token_opens_all_mailboxes_of_a_tenant() {
    let (lab, provider, bob) = stage(Plan::new()).await;
    let stored = application(SECRET).into_stored("t1".into(), "", Timestamp::now()).unwrap();
    let oauth2 = Slots::of(stored);
    let tenant = Tenant { domain: "mail.test".into(), upstream: "own".into(), oauth2 };
    lab.directory.put_tenant(&tenant, None).await.unwrap();
    let eve = lab.enrol("eve", "own", PASSWORD).await;
    provider.add_mailbox(&eve.address, PASSWORD, Behaviour::Normal);
    for actor in [&bob, &eve] {
        lab.prefer(actor, &[Tokens]).await;
        lab.log_in(Protocol::Imap, actor).await;
    }
    assert!(provider.logins().iter().all(by_token));
    assert_eq!(provider.sandbox.token_requests().len(), 1);

    // Where there is no account, the binding and the domain suffice.
    let found = lab.directory.account(&eve.address).await.unwrap().unwrap();
    lab.directory.remove_account(&eve.address, found.version).await.unwrap();
    lab.log_in(Protocol::Pop3, &eve).await;
    assert_eq!(provider.sandbox.token_requests().len(), 1);
}

#[tokio::test]
async fn a_shared_mailbox_has_a_name_for_each_protocol() {
    let (lab, provider, bob) = stage(Plan::new()).await;
    provider.add_mailbox("shared@mail.test", PASSWORD, Behaviour::Normal);
    lab.grant(&bob, application(SECRET)).await;
    let names = Identity { all: None, by_protocol: [(Protocol::Imap, "shared@mail.test".to_owned())].into() };
    lab.alter_account(&bob, |account| account.identity = names).await;
    lab.prefer(&bob, &[Tokens]).await;
    for protocol in [Protocol::Imap, Protocol::Submission] {
        lab.log_in(protocol, &bob).await;
    }
    let names: Vec<_> = provider.logins().into_iter().map(|login| login.identity).collect();
    assert_eq!(names, ["shared@mail.test", bob.address.as_str()]);
}

#[tokio::test]
async fn what_is_preferred_alone_has_no_net_below_it() {
    let (lab, provider, bob) = stage(Plan::new()).await;
    lab.grant(&bob, application("wrong")).await;
    lab.prefer(&bob, &[Tokens]).await;
    let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    assert_eq!(provider.logins(), []);
    let reason = lab.last_event(Protocol::Imap, &bob.login)["reason"].to_string();
    assert!(reason.contains("AADSTS7000215"), "{reason}");
}

#[tokio::test]
async fn a_fall_back_is_used_where_it_is_named_and_is_told() {
    let (lab, provider, bob) = stage(Plan::new()).await;
    lab.grant(&bob, application("wrong")).await;
    lab.prefer(&bob, &[Tokens, AppPassword]).await;
    lab.log_in(Protocol::Imap, &bob).await;
    let event = lab.audit().into_iter().rfind(|event| event["event"] == "upstream").unwrap();
    assert_eq!(event["kind"], "app-password");
    assert!(event["fell_back"].as_str().unwrap().contains("AADSTS7000215"), "{event}");

    // A token that the mailbox refuses is no other matter.
    provider.sandbox.set_authority_trouble(AuthorityTrouble::WrongAudience, None);
    lab.grant(&bob, application(SECRET)).await;
    lab.log_in(Protocol::Imap, &bob).await;
    let event = lab.audit().into_iter().rfind(|event| event["event"] == "upstream").unwrap();
    assert_eq!((&event["outcome"], &event["kind"]), (&"accepted".into(), &"app-password".into()), "{event}");
    assert!(event["fell_back"].as_str().unwrap().contains("the provider refused it"), "{event}");
}

#[tokio::test]
async fn what_a_provider_does_not_take_is_passed_over_without_a_word() {
    let lab = Lab::start().await;
    register(&lab.exchange);
    lab.grant(&lab.scanner, application(SECRET)).await;
    lab.prefer(&lab.scanner, &[AppPassword, Tokens]).await;
    for (protocol, kind) in [(Protocol::Imap, "oauth2"), (Protocol::Submission, "app-password")] {
        lab.log_in(protocol, &lab.scanner).await;
        let event = lab.audit().into_iter().rfind(|event| event["event"] == "upstream").unwrap();
        assert_eq!((&event["kind"], event.get("fell_back")), (&kind.into(), None), "{event}");
    }
}

#[tokio::test]
async fn an_authority_that_is_away_is_no_wrong_password() {
    let (lab, provider, bob) = stage(Plan::new()).await;
    lab.grant(&bob, application(SECRET)).await;
    lab.prefer(&bob, &[Tokens]).await;
    let trouble = AuthorityTrouble::Http { status: 503, retry_after: Some(30) };
    provider.sandbox.set_authority_trouble(trouble, None);
    for _ in 0..3 {
        let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
        assert_eq!(answer, refused(Protocol::Imap, Refusal::Unavailable));
    }
    assert_eq!(provider.sandbox.token_requests().len(), 1, "Retry-After is obeyed");
}

#[tokio::test]
async fn a_new_token_that_is_refused_is_not_asked_for_again_at_once() {
    let (lab, provider, bob) = stage(Plan::new()).await;
    lab.grant(&bob, application(SECRET)).await;
    lab.prefer(&bob, &[Tokens]).await;
    lab.log_in(Protocol::Imap, &bob).await;
    provider.sandbox.end_access_tokens();
    let (_wire, answer) = lab.present(Protocol::Imap, &bob.login, &bob.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::ContactAdmin));
    assert_eq!(provider.sandbox.token_requests().len(), 1);
}

#[tokio::test]
async fn an_old_token_that_is_refused_is_replaced_within_the_login() {
    let (lab, provider, bob) = stage(Plan::new().tune(|config| config.tokens.young = Duration::ZERO)).await;
    lab.grant(&bob, application(SECRET)).await;
    lab.prefer(&bob, &[Tokens]).await;
    for protocol in Protocol::ALL {
        lab.log_in(protocol, &bob).await;
        provider.sandbox.end_access_tokens();
        lab.log_in(protocol, &bob).await;
        let outcomes: Vec<_> = provider.logins().iter().rev().take(2).map(|login| login.outcome).collect();
        assert_eq!(outcomes, [Outcome::Accepted, Outcome::Refused], "{protocol}");
    }
}

#[tokio::test]
async fn of_a_crowd_with_an_old_token_nobody_is_sent_away() {
    let (lab, provider, bob) = stage(Plan::new().tune(|config| config.tokens.young = Duration::ZERO)).await;
    lab.grant(&bob, application(SECRET)).await;
    lab.prefer(&bob, &[Tokens]).await;
    for protocol in Protocol::ALL {
        lab.log_in(protocol, &bob).await;
        provider.sandbox.end_access_tokens();
        let asked = provider.sandbox.token_requests().len();
        let crowd = (0..8).map(|_| lab.present(protocol, &bob.login, &bob.secret));
        for (_wire, answer) in futures::future::join_all(crowd).await {
            assert!(was_accepted(&answer), "{protocol}: {answer}");
        }
        assert_eq!(provider.sandbox.token_requests().len(), asked + 1, "{protocol}: one new token does for all");
    }
}

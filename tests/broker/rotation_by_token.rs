//! What an application shows to its authority, rotated while clients log in: nobody notices, whether the new one is right,
//! wrong, or the old one is gone too early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use locum::audit::Audit;
use locum::broker::{Broker, Directory, KeptTokens, client_secret, tokens};
use locum::credential::oauth2::{Authentication, Grant, OAuth2, RefreshTokens, Tokens, kept_under, new_key, successor};
use locum::credential::oauth2::{is_made_here, with_key_made_here};
use locum::model::CredentialKind::OAuth2 as ByToken;
use locum::model::{KeptToken, NextState, Protocol, Secret, Slots, StoredCredential, Tenant};
use locum::net::{HttpOptions, Https, tls};
use locum::rotation::{Given, Rotated, Rotation, RotationError, Subject};
use locum::sandbox::{Application, ApplicationProof, Behaviour, Face, Mailboxes, Start};
use locum::upstream::Upstreams;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Actor, Doors, Lab, Plan, Provider, RSA};

const CLIENT_ID: &str = "0b5d2c34-4c1f-4c6c-9f35-1f2f8f0f2d11";
const TENANT: &str = "contoso.onmicrosoft.com";
const OLD: &str = "Zq7~the-old-secret-of-the-application-x";
const NEW: &str = "Kx3~the-new-secret-of-the-application-y";
const WRONG: &str = "Pw9~no-secret-of-any-application-at-all";

/// Locum, a provider, bob and what an operator rotates with.
struct Scene {
    lab: Lab,
    provider: Provider,
    bob: Actor,
    rotation: Rotation,
    stop: CancellationToken,
}

impl Scene {
    async fn set(authentication: ApplicationProof) -> Self {
        let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
        provider.sandbox.register(Application {
            client_id: CLIENT_ID.to_owned(),
            tenant: TENANT.to_owned(),
            authentication,
            may_act_as: Mailboxes::All,
            consented: true,
        });
        let lab = Plan::new().provider(&provider).start().await;
        let bob = lab.enrol("bob", "own", "mnbvcxzlkjhgfdsa").await;
        provider.add_mailbox(&bob.address, "mnbvcxzlkjhgfdsa", Behaviour::Normal);
        lab.prefer(&bob, &[ByToken]).await;
        let (rotation, tokens) = operator(&lab, Duration::from_secs(20));
        let (stop, running) = (CancellationToken::new(), Arc::clone(&tokens));
        let until = stop.clone();
        tokio::spawn(async move { running.run(until).await });
        Self { lab, provider, bob, rotation, stop }
    }

    fn subject(&self) -> Subject {
        Subject::Account { name: self.bob.address.clone(), kind: ByToken }
    }

    async fn slots(&self, subject: &Subject) -> Slots {
        self.rotation.slots(subject).await.unwrap()
    }

    /// The id of the one before.
    async fn previous(&self, subject: &Subject) -> String {
        self.slots(subject).await.previous.unwrap().credential.id
    }

    /// The next version, with that proof.
    async fn successor(&self, subject: &Subject, authentication: Authentication) -> StoredCredential {
        let before = self.slots(subject).await.current.unwrap();
        let id = client_secret::random_id().unwrap();
        successor(&before, authentication, id, "the new one", Timestamp::now()).unwrap()
    }

    async fn run(&self, subject: &Subject, authentication: Authentication) -> Result<Rotated, RotationError> {
        let new = self.successor(subject, authentication).await;
        self.rotation.run(subject, Given::New(Box::new(new)), &[]).await
    }

    /// Clients that log in all the time, and ask for new tokens whenever they can.
    fn crowd(&self) -> Crowd {
        let (stop, logins) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = Protocol::ALL.map(|protocol| {
            let (doors, bob) = (Doors::clone(&self.lab), self.bob.clone());
            let (stop, logins) = (Arc::clone(&stop), Arc::clone(&logins));
            tokio::spawn(async move {
                let mut refusals = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let (_wire, answer) = doors.present(protocol, &bob.login, &bob.secret).await;
                    let is_in = ["a OK ", "+OK ", "235 "].iter().any(|start| answer.starts_with(start));
                    refusals.extend((!is_in).then_some(answer));
                    logins.fetch_add(1, Ordering::Relaxed);
                }
                refusals
            })
        });
        Crowd { clients: clients.into(), stop, logins }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Crowd {
    clients: Vec<JoinHandle<Vec<String>>>,
    stop: Arc<AtomicBool>,
    logins: Arc<AtomicUsize>,
}

impl Crowd {
    /// Waits until so many more logins were answered.
    async fn after(&self, more: usize) {
        let goal = self.logins.load(Ordering::Relaxed) + more;
        while self.logins.load(Ordering::Relaxed) < goal {
            tokio::task::yield_now().await;
        }
    }

    /// What was refused.
    async fn ends(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut refusals = Vec::new();
        for client in self.clients {
            refusals.extend(client.await.unwrap());
        }
        refusals
    }
}

/// What an operator's verbs work with, a second look coming at once.
fn operator(lab: &Lab, patience: Duration) -> (Rotation, Arc<Tokens>) {
    let config = lab.config().clone();
    let directory = Directory::of_operator(Arc::clone(&lab.store), "operator@test");
    let client_tls = tls::client_config(&config.tls).unwrap();
    let https = Https::new(&client_tls, HttpOptions::default()).unwrap();
    let tokens = Arc::new(tokens(directory.clone(), https, config.tokens));
    let audit = Audit::default();
    let broker = Broker::new(directory.clone(), Arc::clone(&tokens), config.upstreams, audit.clone(), config.broker);
    let upstreams = Arc::new(Upstreams::new(client_tls, config.upstream));
    let mut options = config.rotation;
    options.second_look = Duration::from_millis(50);
    options.patience = patience;
    let rotation = Rotation::new(directory, Arc::new(broker), upstreams, audit, "operator@test", options);
    (rotation, tokens)
}

fn by_secret(secret: &str) -> Authentication {
    Authentication::Secret { secret: Secret::new(secret), expires: None }
}

fn proof(secret: &str) -> ApplicationProof {
    ApplicationProof::Secret(Secret::new(secret))
}

fn application(authentication: Authentication) -> OAuth2 {
    let (tenant, client_id) = (Some(TENANT.to_owned()), CLIENT_ID.to_owned());
    OAuth2 { tenant, client_id, authentication, grant: Grant::ClientCredentials }
}

#[tokio::test]
async fn a_secret_is_rotated_and_no_client_notices() {
    let scene = Scene::set(proof(OLD)).await;
    let old = scene.lab.grant(&scene.bob, application(by_secret(OLD))).await;
    let crowd = scene.crowd();
    crowd.after(6).await;
    scene.provider.sandbox.add_application_proof(CLIENT_ID, proof(NEW));
    let rotated = scene.run(&scene.subject(), by_secret(NEW)).await.unwrap();
    crowd.after(6).await;
    scene.rotation.retire(&scene.subject(), &scene.previous(&scene.subject()).await, true).await.unwrap();
    scene.provider.sandbox.remove_application_proof(CLIENT_ID, &proof(OLD));
    crowd.after(6).await;
    assert_eq!(crowd.ends().await, Vec::<String>::new());

    let slots = scene.slots(&scene.subject()).await;
    assert_eq!(slots.current.unwrap().id, rotated.id);
    let left: Vec<_> = slots.leftovers.into_iter().map(|left| left.id).collect();
    assert_eq!(left, [old], "to be deleted in the registration");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_twice_and_never_reaches_a_client() {
    let scene = Scene::set(proof(OLD)).await;
    let old = scene.lab.grant(&scene.bob, application(by_secret(OLD))).await;
    let crowd = scene.crowd();
    crowd.after(3).await;
    let asked = || scene.provider.sandbox.token_requests().len();
    let before = asked();
    let error = scene.run(&scene.subject(), by_secret(WRONG)).await.unwrap_err();
    assert!(matches!(&error, RotationError::Refused { cause } if cause.contains("AADSTS7000215")), "{error}");
    assert_eq!(asked(), before + 2, "the second look asks the authority, too");
    crowd.after(3).await;
    assert_eq!(crowd.ends().await, Vec::<String>::new());
    let slots = scene.slots(&scene.subject()).await;
    assert_eq!((slots.current.unwrap().id, slots.next), (old, None));
}

#[tokio::test]
async fn a_certificate_takes_the_place_of_a_secret() {
    let scene = Scene::set(proof(OLD)).await;
    scene.lab.grant(&scene.bob, application(by_secret(OLD))).await;
    scene.lab.log_in(Protocol::Imap, &scene.bob).await;
    let certificate = RSA.certificate.clone();
    scene.provider.sandbox.add_application_proof(CLIENT_ID, ApplicationProof::Certificate(certificate.clone()));
    let new = Authentication::Certificate { certificate, key: Secret::new(RSA.key.as_str()) };
    scene.run(&scene.subject(), new).await.unwrap();
    scene.provider.sandbox.remove_application_proof(CLIENT_ID, &proof(OLD));
    scene.lab.log_in(Protocol::Imap, &scene.bob).await;
}

#[tokio::test]
async fn an_old_secret_that_is_gone_too_early_costs_no_login_where_the_new_one_is_verified() {
    let scene = Scene::set(proof(OLD)).await;
    scene.lab.grant(&scene.bob, application(by_secret(OLD))).await;
    let subject = scene.subject();
    scene.provider.sandbox.add_application_proof(CLIENT_ID, proof(NEW));
    let new = scene.successor(&subject, by_secret(NEW)).await;
    let id = scene.rotation.stage(&subject, &new).await.unwrap();
    scene.rotation.verify(&subject, &id, &[]).await.unwrap();
    // Deleted before the promotion, while this node has no token of the old one.
    scene.provider.sandbox.remove_application_proof(CLIENT_ID, &proof(OLD));
    let crowd = scene.crowd();
    crowd.after(6).await;
    scene.rotation.promote(&subject, &id, false).await.unwrap();
    crowd.after(6).await;
    assert_eq!(crowd.ends().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_key_made_here_waits_for_its_upload_and_is_not_burnt() {
    let scene = Scene::set(proof(OLD)).await;
    scene.lab.grant(&scene.bob, application(by_secret(OLD))).await;
    let subject = scene.subject();
    let made = new_key("locum", 2048, 730, Timestamp::now()).unwrap();
    let Authentication::Certificate { certificate, .. } = made.clone() else { panic!("no certificate") };
    let new = with_key_made_here(scene.successor(&subject, made).await);
    let (rotation, tokens) = operator(&scene.lab, Duration::ZERO);
    let (stop, running) = (CancellationToken::new(), Arc::clone(&tokens));
    let until = stop.clone();
    tokio::spawn(async move { running.run(until).await });
    let id = rotation.stage(&subject, &new).await.unwrap();
    for _ in 0..3 {
        let error = rotation.verify(&subject, &id, &[]).await.unwrap_err();
        let RotationError::Unverified { cause, passes: true } = &error else { panic!("{error}") };
        assert!(cause.contains("does not know this certificate yet: upload it"), "{cause}");
        let next = scene.slots(&subject).await.next.unwrap();
        assert_eq!((next.state, next.refused), (NextState::Staged, None));
        assert!(is_made_here(&next.credential));
    }
    scene.provider.sandbox.add_application_proof(CLIENT_ID, ApplicationProof::Certificate(certificate));
    rotation.run(&subject, Given::Staged, &[]).await.unwrap();
    scene.provider.sandbox.remove_application_proof(CLIENT_ID, &proof(OLD));
    scene.lab.log_in(Protocol::Imap, &scene.bob).await;
    stop.cancel();
}

#[tokio::test]
async fn the_credential_of_a_domain_is_rotated_by_a_mailbox_of_it() {
    let mut scene = Scene::set(proof(OLD)).await;
    let stored = application(by_secret(OLD)).into_stored("t1".into(), "first", Timestamp::now()).unwrap();
    let tenant = Tenant { domain: "mail.test".into(), upstream: "own".into(), oauth2: Slots::of(stored) };
    scene.lab.directory.put_tenant(&tenant, None).await.unwrap();
    let subject = Subject::Tenant { domain: "mail.test".into() };
    let crowd = scene.crowd();
    crowd.after(3).await;

    let error = scene.run(&subject, by_secret(WRONG)).await.unwrap_err();
    assert!(matches!(error, RotationError::Refused { .. }), "{error}");
    crowd.after(3).await;

    scene.provider.sandbox.add_application_proof(CLIENT_ID, proof(NEW));
    let new = scene.successor(&subject, by_secret(NEW)).await;
    let id = scene.rotation.stage(&subject, &new).await.unwrap();
    let verified = scene.rotation.verify(&subject, &id, &[]).await.unwrap();
    assert_eq!(verified.protocols, Protocol::ALL, "bob's account is found, and entered");
    assert_eq!(verified.notes, Vec::<String>::new());
    scene.rotation.promote(&subject, &id, false).await.unwrap();
    scene.provider.sandbox.remove_application_proof(CLIENT_ID, &proof(OLD));
    crowd.after(3).await;
    assert_eq!(crowd.ends().await, Vec::<String>::new());
    assert_eq!(scene.slots(&subject).await.current.unwrap().id, id);

    // Of another domain.
    let rotation = std::mem::replace(&mut scene.rotation, operator(&scene.lab, Duration::ZERO).0);
    scene.rotation = rotation.by_mailbox(Some("eve@other.test".into()));
    let error = scene.rotation.verify_current(&subject, &[]).await.unwrap_err();
    assert!(matches!(error, RotationError::OtherMailbox { .. }), "{error}");
}

#[tokio::test]
async fn where_a_domain_has_no_mailbox_here_the_token_is_seen_alone() {
    let scene = Scene::set(proof(OLD)).await;
    let stored = application(by_secret(OLD)).into_stored("t1".into(), "", Timestamp::now()).unwrap();
    let tenant = Tenant { domain: "empty.test".into(), upstream: "own".into(), oauth2: Slots::of(stored) };
    scene.lab.directory.put_tenant(&tenant, None).await.unwrap();
    let subject = Subject::Tenant { domain: "empty.test".into() };
    scene.provider.sandbox.add_application_proof(CLIENT_ID, proof(NEW));
    let rotated = scene.run(&subject, by_secret(NEW)).await.unwrap();
    assert!(rotated.notes[0].contains("no mailbox was entered with it"), "{:?}", rotated.notes);
    assert_eq!(scene.provider.logins(), []);
}

/// A delegated credential whose refresh token lives once, as consent in a browser brings it.
async fn delegated(scene: &Scene) -> String {
    use locum::broker::Authorities;
    use locum::credential::oauth2::AuthorizationCode;
    scene.provider.sandbox.set_strict_rotation(true);
    let oauth2 = OAuth2 { grant: Grant::RefreshToken, ..application(by_secret(OLD)) };
    let config = scene.lab.config();
    let https = Https::new(&tls::client_config(&config.tls).unwrap(), HttpOptions::default()).unwrap();
    let (http, authority) = (Authorities::new(https), config.upstreams["own"].authority.clone().unwrap());
    let address = &scene.bob.address;
    let code = AuthorizationCode::begin(&oauth2, &authority, "http://127.0.0.1:49152/", address).unwrap();
    let redirect = scene.provider.sandbox.consent(&code.url, address).unwrap();
    let redirected = code.redirected(redirect.split_once('?').unwrap().1).unwrap();
    let refresh_token = code.exchange(redirected, &http, &oauth2, &authority).await.unwrap();
    let credential = scene.lab.grant(&scene.bob, oauth2).await;
    let kept = KeptToken { credential: credential.clone(), refresh_token, obtained: Timestamp::now() };
    scene.lab.directory.put_token(&kept, None).await.unwrap();
    credential
}

#[tokio::test]
async fn versions_share_the_refresh_token_through_promotion_and_back() {
    let scene = Scene::set(proof(OLD)).await;
    let first = delegated(&scene).await;
    let (subject, kept) = (scene.subject(), KeptTokens::new(scene.lab.directory.clone()));
    let token = async || kept.read(&first, true).await.unwrap();
    let consented = token().await;
    scene.lab.log_in(Protocol::Imap, &scene.bob).await;
    let by_old = token().await;
    assert_ne!(by_old, consented, "the node stored what it was handed out");

    scene.provider.sandbox.add_application_proof(CLIENT_ID, proof(NEW));
    let crowd = scene.crowd();
    let rotated = scene.run(&subject, by_secret(NEW)).await.unwrap();
    let by_new = token().await;
    assert_ne!(by_new, by_old, "what the new secret was handed out is kept in the same place");
    crowd.after(6).await;
    let slots = scene.slots(&subject).await;
    assert_eq!(slots.current.as_ref().and_then(kept_under), Some(first.as_str()));
    assert_eq!(slots.current.unwrap().id, rotated.id);

    // Back to the old secret, with every access token over: it goes on with what the new one was handed out.
    scene.rotation.roll_back(&subject, &scene.previous(&subject).await, "a test").await.unwrap();
    scene.provider.sandbox.remove_application_proof(CLIENT_ID, &proof(NEW));
    crowd.after(3).await;
    assert_eq!(crowd.ends().await, Vec::<String>::new());
    let by_nodes = token().await;
    scene.lab.node(|_| {}).await.log_in(Protocol::Imap, &scene.bob).await;
    assert_ne!(token().await, by_nodes, "and was handed out another one");

    // It is needed while any version needs it, and no longer.
    scene.rotation.retire(&subject, &scene.previous(&subject).await, true).await.unwrap();
    assert!(token().await.is_some());
}

#[tokio::test]
async fn the_refresh_token_of_a_consent_that_is_used_no_more_is_forgotten() {
    let scene = Scene::set(proof(OLD)).await;
    let first = delegated(&scene).await;
    let subject = scene.subject();
    let second = OAuth2 { grant: Grant::RefreshToken, ..application(by_secret(OLD)) };
    let stored = second.into_stored("c2".into(), "", Timestamp::now()).unwrap();
    let kept = KeptToken { credential: "c2".into(), refresh_token: Secret::new("r2"), obtained: Timestamp::now() };
    scene.lab.directory.put_token(&kept, None).await.unwrap();
    scene
        .lab
        .alter_account(&scene.bob, |account| {
            let slots = account.credentials.get_mut(&ByToken).unwrap();
            let by = locum::rotation::machine::Actor { by: "operator@test", at: Timestamp::now() };
            locum::rotation::machine::replace(slots, stored, "c2".into(), Duration::from_secs(3600), by).unwrap();
        })
        .await;
    let kept = KeptTokens::new(scene.lab.directory.clone());
    assert!(kept.read(&first, true).await.unwrap().is_some(), "there is a way back to it");
    scene.rotation.retire(&subject, &scene.previous(&subject).await, true).await.unwrap();
    assert_eq!(kept.read(&first, true).await.unwrap(), None);
    assert_eq!(kept.read("c2", true).await.unwrap(), Some(Secret::new("r2")));
    assert_eq!(scene.slots(&subject).await.leftovers, [], "the secret is the current one's, too");
}

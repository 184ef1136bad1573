//! One login for many mailboxes, and many providers behind one port: in which words a client may say as whom it acts, what it
//! is told where it may not, and that nobody is entered with what is another's.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use locum::broker::client_secret;
use locum::credential::oauth2::{Authentication, Grant, OAuth2};
use locum::model::{Binding, Client, Delegation, LoginForm, Policy, Protocol, Refusal, Secret, Slots, Tenant};
use locum::sandbox::{Application, ApplicationProof, Behaviour, Face, Mailboxes, Outcome, Start};

use crate::answers::refused;
use crate::support::{Actor, Lab, Plan, Provider, base64, plain};

const DOMAIN: &str = "mail.test";
const ADMIN: &str = "admin@mail.test";

/// A provider with alice's and bob's mailboxes, a listener for each protocol that takes these forms, and the secret of an
/// administrator who may act as any mailbox of their domain.
struct Scene {
    lab: Lab,
    provider: Provider,
    secret: String,
}

async fn scene(forms: &'static [LoginForm]) -> Scene {
    let provider = Provider::serve("own", Face::Gmail, Start::Implicit).await;
    let take_forms = move |config: &mut locum::config::Config| {
        for listener in &mut config.listeners {
            listener.entrance.login_forms = forms.to_vec();
        }
    };
    let lab = Plan::new().provider(&provider).tune(take_forms).start().await;
    for (login, password) in [("ann", "annannannannanna"), ("bob", "bobbobbobbobbobb")] {
        let actor = lab.enrol(login, "own", password).await;
        provider.add_mailbox(&actor.address, password, Behaviour::Normal);
    }
    let secret = delegate(&lab, ADMIN, delegation("*@mail.test")).await;
    Scene { lab, provider, secret }
}

fn delegation(pattern: &str) -> Delegation {
    let networks = vec!["127.0.0.1/32".parse().unwrap()];
    let expires = Some(Timestamp::now() + SignedDuration::from_hours(1));
    Delegation { pattern: pattern.parse().unwrap(), expires, networks, class: None }
}

/// A client with that one delegation; its secret.
async fn delegate(lab: &Lab, login: &str, delegation: Delegation) -> String {
    let (record, secret) = client_secret::issue("migration", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Delegation(delegation)];
    let client = Client { login: login.into(), secrets: vec![record], bindings, policy: Policy::default() };
    lab.directory.put_client(&client, None).await.unwrap();
    secret.expose_text().unwrap().to_owned()
}

fn is_accepted(answer: &str) -> bool {
    ["a OK ", "+OK ", "235 "].iter().any(|start| answer.starts_with(start))
}

impl Scene {
    fn identities(&self) -> Vec<String> {
        self.provider.logins().into_iter().map(|login| login.identity).collect()
    }

    /// A login by SASL PLAIN over each protocol with the answer that each is given.
    async fn by_plain(&self, authzid: &str, authcid: &str) -> Vec<(Protocol, String)> {
        let mut answers = Vec::new();
        for (protocol, command) in
            [(Protocol::Imap, "a AUTHENTICATE"), (Protocol::Pop3, "AUTH"), (Protocol::Submission, "AUTH")]
        {
            let mut wire = self.lab.open(protocol).await;
            let response = plain(authzid, authcid, &self.secret);
            answers.push((protocol, wire.ask(&format!("{command} PLAIN {response}")).await));
        }
        answers
    }
}

#[tokio::test]
async fn each_form_comes_in_by_each_command() {
    let scene = scene(&LoginForm::ALL).await;
    let (lab, secret) = (&scene.lab, &scene.secret);
    let entered = |answer: String, how: &str| {
        assert!(is_accepted(&answer), "{how}: {answer}");
        assert_eq!(scene.identities().pop().as_deref(), Some("ann@mail.test"), "{how}");
    };
    // imapsync --authuser1 admin@mail.test --user1 ann@mail.test --authmech1 PLAIN
    for (protocol, answer) in scene.by_plain("ann@mail.test", ADMIN).await {
        entered(answer, protocol.name());
    }
    for login in [
        "ann*admin@mail.test",
        "ann@mail.test*admin@mail.test",
        r"admin@mail.test\ann",
        r"admin@mail.test\ann@mail.test",
        r"mail.test\admin\ann",
        "admin@mail.test/ann",
    ] {
        // USER and PASS; LOGIN with an atom, which by RFC 3501 has neither `*` nor `\`.
        for protocol in [Protocol::Imap, Protocol::Pop3] {
            let (_wire, answer) = lab.present(protocol, login, secret).await;
            entered(answer, login);
        }
        let escaped = login.replace('\\', r"\\");
        for quoted in [login, escaped.as_str()] {
            let mut wire = lab.open(Protocol::Imap).await;
            entered(wire.ask(&format!("a LOGIN \"{quoted}\" \"{secret}\"")).await, quoted);
        }
        let mut wire = lab.open(Protocol::Imap).await;
        let literal = format!("a LOGIN {{{}+}}\r\n{login} {{{}+}}\r\n{secret}", login.len(), secret.len());
        entered(wire.ask(&literal).await, "a literal");
        // SASL: in PLAIN with nobody named beside, and in LOGIN, which has no place for one.
        for (protocol, answer) in scene.by_plain("", login).await {
            entered(answer, protocol.name());
        }
        let mut wire = lab.open(Protocol::Submission).await;
        wire.ask(&format!("AUTH LOGIN {}", base64(login))).await;
        entered(wire.ask(&base64(secret)).await, login);
    }
    assert!(scene.identities().iter().all(|identity| identity == "ann@mail.test"));
    let event = lab.audit().into_iter().rfind(|event| event["event"] == "decision").unwrap();
    assert_eq!((&event["outcome"], &event["account"]), (&"allow".into(), &"ann@mail.test".into()));
    assert_eq!((&event["delegated"], &event["asked"]), (&true.into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn a_form_that_the_listener_does_not_take_is_an_unknown_login() {
    let scene = scene(&[]).await;
    for login in ["ann*admin@mail.test", r"admin@mail.test\ann", "admin@mail.test/ann"] {
        let (_wire, answer) = scene.lab.present(Protocol::Pop3, login, &scene.secret).await;
        assert_eq!(answer, refused(Protocol::Pop3, Refusal::WrongCredentials));
        assert_eq!(scene.lab.audit().pop().unwrap()["reason"], "unknown login", "{login}");
    }
    for (protocol, answer) in scene.by_plain("ann@mail.test", ADMIN).await {
        assert_eq!(answer, refused(protocol, Refusal::NotPermitted));
    }
    let event = scene.lab.audit().pop().unwrap();
    assert!(event["reason"].as_str().unwrap().contains("login-forms"), "{event}");
    assert_eq!(event["asked"], "ann@mail.test");
    assert_eq!(scene.identities(), [""; 0]);
}

#[tokio::test]
async fn a_client_whose_login_looks_like_a_form_is_that_client() {
    let scene = scene(&LoginForm::ALL).await;
    let (lab, login) = (&scene.lab, r"admin@mail.test\bob");
    let secret = delegate(lab, login, delegation("ann@mail.test")).await;
    lab.directory.client(login).await.unwrap().unwrap();
    // The administrator's secret is none of that client's.
    let (_wire, answer) = lab.present(Protocol::Pop3, login, &scene.secret).await;
    assert_eq!(answer, refused(Protocol::Pop3, Refusal::WrongCredentials));
    let mut wire = lab.open(Protocol::Pop3).await;
    let answer = wire.ask(&format!("AUTH PLAIN {}", plain("ann@mail.test", login, &secret))).await;
    assert!(is_accepted(&answer), "{answer}");
    assert_eq!(scene.identities(), ["ann@mail.test"]);
}

#[tokio::test]
async fn nothing_is_revealed_by_what_is_not_permitted() {
    let scene = scene(&[LoginForm::Authzid]).await;
    let lab = &scene.lab;
    let ended = Delegation { expires: Some(Timestamp::now()), ..delegation("*@mail.test") };
    let elsewhere = Delegation { networks: vec!["192.0.2.0/24".parse().unwrap()], ..delegation("*@mail.test") };
    let of_ended = delegate(lab, "ended@mail.test", ended).await;
    let of_elsewhere = delegate(lab, "elsewhere@mail.test", elsewhere).await;
    let secret = scene.secret.clone();
    let outside = "the client is not bound to the account it asks for";
    for (login, secret, asked, reason) in [
        (ADMIN, &secret, "alice.liddell@gmail.test", outside),
        (ADMIN, &secret, "nobody@gmail.test", outside),
        (ADMIN, &secret, "ann@mail.test*", outside),
        (
            ADMIN,
            &secret,
            "nobody@mail.test",
            "the client may act as nobody@mail.test, and there is neither an account of that name nor a tenant of its domain",
        ),
        (
            "ended@mail.test",
            &of_ended,
            "ann@mail.test",
            "the delegation of *@mail.test has expired; give another end with `locum client bind`",
        ),
        ("ended@mail.test", &of_ended, "nobody@mail.test", "the delegation of *@mail.test has expired"),
        (
            "elsewhere@mail.test",
            &of_elsewhere,
            "ann@mail.test",
            "the delegation of *@mail.test does not include the network of its address",
        ),
        ("elsewhere@mail.test", &of_elsewhere, "ann@gmail.test", outside),
    ] {
        let mut wire = lab.open(Protocol::Imap).await;
        let began = Instant::now();
        let answer = wire.ask(&format!("a AUTHENTICATE PLAIN {}", plain(asked, login, secret))).await;
        assert!(began.elapsed() >= Duration::from_millis(250), "{reason}: sooner than the others");
        assert_eq!(answer, refused(Protocol::Imap, Refusal::NotPermitted));
        let event = lab.audit().pop().unwrap();
        assert!(event["reason"].as_str().unwrap().starts_with(reason), "{event}");
        assert_eq!((&event["asked"], &event["account"]), (&asked.into(), &serde_json::Value::Null));
        assert!(event["client_secret"].is_string(), "it was proven");
    }
    assert_eq!(scene.identities(), [""; 0]);
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));
}

#[tokio::test]
async fn wrong_passwords_beside_many_mailboxes_are_counted_as_one_client() {
    let provider = Provider::serve("own", Face::Gmail, Start::Implicit).await;
    let plan = Plan::new().provider(&provider).tune(|config| {
        config.broker.failures_per_login_max = 2;
        for listener in &mut config.listeners {
            listener.entrance.login_forms = LoginForm::ALL.to_vec();
        }
    });
    let lab = plan.start().await;
    delegate(&lab, ADMIN, delegation("*@mail.test")).await;
    for (login, guess, refusal) in [
        ("a*admin@mail.test", "one", Refusal::WrongCredentials),
        (r"admin@mail.test\b", "two", Refusal::WrongCredentials),
        ("c*ADMIN@mail.test", "three", Refusal::LimitReached),
        (ADMIN, "four", Refusal::LimitReached),
    ] {
        let (_wire, answer) = lab.present(Protocol::Pop3, login, guess).await;
        assert_eq!(answer, refused(Protocol::Pop3, refusal), "{login}");
    }
}

#[tokio::test]
async fn one_credential_of_a_domain_and_one_delegation_open_all_its_mailboxes() {
    let provider = Provider::serve("own", Face::ExchangeOnline, Start::Implicit).await;
    let (client_id, tenant, secret) = ("6731de76-14a6-49ae-97bc-6eba6914391e", "contoso.test", "Gk8Q~lab");
    provider.sandbox.register(Application {
        client_id: client_id.to_owned(),
        tenant: tenant.to_owned(),
        authentication: ApplicationProof::Secret(Secret::new(secret)),
        may_act_as: Mailboxes::All,
        consented: true,
    });
    let lab = Plan::new().provider(&provider).start().await;
    let authentication = Authentication::Secret { secret: Secret::new(secret), expires: None };
    let (tenant, client_id) = (Some(tenant.to_owned()), client_id.to_owned());
    let application = OAuth2 { tenant, client_id, authentication, grant: Grant::ClientCredentials };
    let oauth2 = Slots::of(application.into_stored("t1".into(), "", Timestamp::now()).unwrap());
    let tenant = Tenant { domain: DOMAIN.into(), upstream: "own".into(), oauth2 };
    lab.directory.put_tenant(&tenant, None).await.unwrap();
    let secret = delegate(&lab, ADMIN, delegation("*@mail.test")).await;
    for mailbox in ["one@mail.test", "two@mail.test"] {
        provider.add_mailbox(mailbox, "never used", Behaviour::Normal);
        for protocol in Protocol::ALL {
            let mut wire = lab.open(protocol).await;
            let tag = if protocol == Protocol::Imap { "a AUTHENTICATE" } else { "AUTH" };
            let answer = wire.ask(&format!("{tag} PLAIN {}", plain(mailbox, ADMIN, &secret))).await;
            assert!(is_accepted(&answer), "{protocol} {mailbox}: {answer}");
            let login = provider.logins().pop().unwrap();
            assert_eq!((login.identity.as_str(), login.outcome), (mailbox, Outcome::Accepted));
        }
    }
    assert_eq!(provider.sandbox.token_requests().len(), 1, "one token for all of them");
}

#[tokio::test]
async fn accounts_of_different_providers_share_a_port_and_no_credential() {
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    let lab = Plan::new().provider(&provider).start().await;
    let (ann_password, eve_password) = ("annannannannanna", "eveeveeveeveevee");
    let ann = lab.enrol("ann", "own", ann_password).await;
    let eve = lab.enrol("eve", "gmail", eve_password).await;
    provider.add_mailbox(&ann.address, ann_password, Behaviour::Normal);
    lab.gmail.add_mailbox(&eve.address, eve_password, Behaviour::Normal);
    for protocol in Protocol::ALL {
        for (actor, home) in [(&ann, &provider), (&eve, &lab.gmail), (&ann, &provider)] {
            let before = home.logins().len();
            lab.log_in(protocol, actor).await;
            let logins = home.logins();
            let last = logins.last().unwrap();
            assert_eq!(logins.len(), before + 1);
            assert_eq!((last.identity.as_str(), last.protocol), (actor.address.as_str(), protocol));
        }
        // The secret of the one is none of the other's, whichever provider that would lead to.
        let crossed = Actor { secret: eve.secret.clone(), ..ann.clone() };
        let before = (provider.logins().len(), lab.gmail.logins().len());
        let (_wire, answer) = lab.present(protocol, &crossed.login, &crossed.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::WrongCredentials));
        assert_eq!((provider.logins().len(), lab.gmail.logins().len()), before);
    }
    for (home, own, foreign) in [(&provider, ann_password, eve_password), (&lab.gmail, eve_password, ann_password)] {
        assert!(home.has_seen(own) && !home.has_seen(foreign));
        assert!(!home.has_seen(&ann.secret) && !home.has_seen(&eve.secret));
        assert!(home.logins().iter().all(|login| login.outcome == Outcome::Accepted));
    }
}

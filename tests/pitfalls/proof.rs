//! Pitfalls 5, 6, 7 and 28: nothing but a proof opens a door. Not a command that nobody knows, not a token that is over, not
//! a credential that would serve everybody, not a token of the client's own.

use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use locum::broker::client_secret;
use locum::credential::oauth2::{Authentication, Grant, OAuth2};
use locum::model::{
    Binding, Client, CredentialKind, Delegation, Policy, Protocol, RecordKind, Refusal, Secret, Slots, Tenant,
};
use locum::sandbox::{Application, ApplicationProof, AuthorityTrouble, Behaviour, Face, Mailboxes, Start};

use crate::answers::refused;
use crate::hands::{APP_PASSWORD, Part, WORDS, by_plain, is_in, nothing_came_of_it, say, stage, until};
use crate::support::{Actor, Identity, Lab, Plan, Provider, Step, base64, plain};

/// What a client might say to log in that is no login here, each with a good password in it; and what a provider would
/// have liked to hear.
fn unknown_forms(protocol: Protocol, login: &str, secret: &str) -> Vec<String> {
    let token = base64(format!("user={login}\u{1}auth=Bearer {secret}\u{1}\u{1}"));
    let response = plain("", login, secret);
    let (size, whole) = (secret.len(), login.len());
    match protocol {
        Protocol::Imap => vec![
            format!("a AUTHENTICATE XOAUTH2 {token}"),
            format!("a AUTHENTICATE CRAM-MD5 {response}"),
            format!("a AUTHENTICATE PLAIN-CLIENTTOKEN {response}"),
            format!("a AUTHENTICATE PLAIN {response} more"),
            format!("a AUTHENTICATE PLAIN {}", response.trim_end_matches('=').replace('A', "!")),
            format!("a LOGIN {login} {secret} more"),
            format!("a LOGIN {login}"),
            format!("a LOGIN ({login} {secret})"),
            format!("a LOGIN {login}{{{size}+}}\r\n{secret}"),
            format!("a LOGIN {{{whole}+}}\r\n{login} {{{size}+}}\r\n{secret} {{1+}}\r\nx"),
            format!("a XLOGIN {login} {secret}"),
            format!("a PROXYAUTH {login}"),
            format!("a UNAUTHENTICATE {login} {secret}"),
            format!("a SETPASS {login} {{{size}+}}\r\n{secret}"),
            "a SELECT INBOX".to_owned(),
            format!("a APPEND INBOX {{{size}+}}\r\n{secret}"),
            "a ENABLE UTF8=ACCEPT".to_owned(),
            "a COMPRESS DEFLATE".to_owned(),
        ],
        Protocol::Pop3 => vec![
            format!("APOP {login} c4c9334bac560ecc979e58001b3e22fb"),
            format!("AUTH XOAUTH2 {token}"),
            format!("AUTH NTLM {response}"),
            format!("AUTH KERBEROS_V4 {response}"),
            format!("PASS {secret}"),
            format!("RPOP {login}"),
            format!("XTND XMIT {login} {secret}"),
            format!("LOGIN {login} {secret}"),
            "UTF8".to_owned(),
            "RETR 1".to_owned(),
            "LANG *".to_owned(),
        ],
        Protocol::Submission => vec![
            format!("AUTH XOAUTH2 {token}"),
            format!("AUTH CRAM-MD5 {response}"),
            format!("AUTH NTLM {response}"),
            format!("AUTH EXTERNAL {}", base64(login)),
            format!("AUTH=PLAIN {response}"),
            format!("XAUTH PLAIN {response}"),
            format!("LOGIN {login} {secret}"),
            format!("MAIL FROM:<{login}> AUTH=<{login}>"),
            "RCPT TO:<a@b>".to_owned(),
            "ETRN b".to_owned(),
            "DATA".to_owned(),
            "TURN".to_owned(),
        ],
    }
}

/// What is said before a login is said to Locum alone: a provider is not even dialled. (Of a proxy that passed on what it did
/// not know, real passwords came to a provider in literals.)
#[tokio::test]
async fn pitfall_05_an_unknown_form_of_login_never_reaches_a_provider() {
    let identity = Identity::of("localhost");
    let parts = WORDS.map(|words| {
        let script = [words.until_login(&identity), vec![say(words.welcome), Step::Silence]].concat();
        Part::new(format!("fake-{}", words.protocol), words.protocol, Start::Implicit, script)
    });
    let (lab, fakes) = stage(Plan::new(), &identity, parts.into()).await;
    for (words, fake) in WORDS.iter().zip(&fakes) {
        let protocol = words.protocol;
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        // What POP3 and submission offer is looked at beforehand, without a credential.
        let probes = usize::from(protocol != Protocol::Imap);
        until("the probe", async || fake.connections() == probes).await;
        for form in unknown_forms(protocol, &actor.login, &actor.secret) {
            let mut wire = lab.open(protocol).await;
            let answer = wire.ask(&form).await;
            let is_refused = ["a NO ", "a BAD ", "-ERR ", "5"].iter().any(|start| answer.starts_with(start));
            assert!(is_refused, "{form}: {answer}");
        }
        // A wrong secret, and one that was cut short by who hung up.
        let (_wire, answer) = lab.present(protocol, &actor.login, "wrong").await;
        assert_eq!(answer, refused(protocol, Refusal::WrongCredentials));
        let mut wire = lab.open(protocol).await;
        wire.write(format!("USER {}\r\nPASS {}", actor.login, &actor.secret)).await;
        drop(wire);
        assert_eq!(fake.connections(), probes, "{protocol}: it was dialled before a proof");
        assert!(!fake.has_heard(&actor.login) && !fake.has_heard(&actor.secret), "{protocol}");
        // And by a proof it is.
        let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
        assert!(is_in(&answer), "{answer}");
        assert_eq!(fake.connections(), probes + 1);
        assert!(!fake.has_heard(&actor.secret), "a client's secret is no provider's");
    }
}

const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const TENANT: &str = "contoso.onmicrosoft.com";
const APPLICATION_SECRET: &str = "Gk8Q~application-secret-of-the-lab";

fn application(secret: &str) -> OAuth2 {
    OAuth2 {
        tenant: Some(TENANT.to_owned()),
        client_id: CLIENT_ID.to_owned(),
        authentication: Authentication::Secret { secret: Secret::new(secret), expires: None },
        grant: Grant::ClientCredentials,
    }
}

/// A provider that takes tokens, and bob, who is entered by one.
async fn by_token(plan: Plan) -> (Lab, Provider, Actor) {
    let provider = Provider::serve("own", Face::ExchangeWithPasswords, Start::Implicit).await;
    provider.sandbox.register(Application {
        client_id: CLIENT_ID.to_owned(),
        tenant: TENANT.to_owned(),
        authentication: ApplicationProof::Secret(Secret::new(APPLICATION_SECRET)),
        may_act_as: Mailboxes::All,
        consented: true,
    });
    let lab = plan.provider(&provider).start().await;
    let bob = lab.enrol("bob", "own", APP_PASSWORD).await;
    provider.add_mailbox(&bob.address, APP_PASSWORD, Behaviour::Normal);
    lab.grant(&bob, application(APPLICATION_SECRET)).await;
    lab.prefer(&bob, &[CredentialKind::OAuth2]).await;
    (lab, provider, bob)
}

/// Whether there is a token, whether it is over, whether another can be had: none of it changes who is let in. (In another
/// proxy the path of the expired token did without the check of the password.)
#[tokio::test]
async fn pitfall_06_a_client_proves_itself_whatever_the_state_of_its_token() {
    let (lab, provider, bob) = by_token(
        Plan::new().tune(|config| (config.broker.failures_per_login_max, config.tokens.young) = (100, Duration::ZERO)),
    )
    .await;
    let sandbox = &provider.sandbox;
    let away = AuthorityTrouble::Http { status: 503, retry_after: Some(1) };
    let states: [(&str, &dyn Fn()); 5] = [
        ("none was got yet", &|| {}),
        ("it is good", &|| {}),
        ("it is over", &|| sandbox.end_access_tokens()),
        ("the authority is away", &|| sandbox.set_authority_trouble(away.clone(), None)),
        ("its application is gone", &|| {
            sandbox.clear_authority_trouble();
            sandbox.end_access_tokens();
            sandbox.expire_application_secret(CLIENT_ID);
        }),
    ];
    for (state, bring_about) in states {
        bring_about();
        let (asked, entered) = (sandbox.token_requests().len(), provider.logins().len());
        let wrong = [("bob", "wrong"), ("bob", APP_PASSWORD), ("bob", APPLICATION_SECRET), ("nobody", "wrong")];
        let each = Protocol::ALL.iter().flat_map(|protocol| wrong.map(|pair| (*protocol, pair)));
        let each = each.map(async |(protocol, (login, secret))| {
            let (_wire, answer) = lab.present(protocol, login, secret).await;
            assert_eq!(answer, refused(protocol, Refusal::WrongCredentials), "{state}");
        });
        join_all(each).await;
        assert_eq!((sandbox.token_requests().len(), provider.logins().len()), (asked, entered), "{state}");
        if state == "none was got yet" {
            lab.log_in(Protocol::Imap, &bob).await;
        }
    }
    // Nor where there is no credential, or no account: what is wrong there is told to who has proven itself alone.
    lab.alter_account(&bob, |account| account.credentials.clear()).await;
    let assert_told = async |what: &str| {
        let (_wire, answer) = lab.present(Protocol::Pop3, "bob", "wrong").await;
        assert_eq!(answer, refused(Protocol::Pop3, Refusal::WrongCredentials), "{what}");
        let (_wire, answer) = lab.present(Protocol::Pop3, "bob", &bob.secret).await;
        assert_eq!(answer, refused(Protocol::Pop3, Refusal::ContactAdmin), "{what}");
    };
    assert_told("no credential").await;
    let found = lab.directory.account(&bob.address).await.unwrap().unwrap();
    lab.directory.remove_account(&bob.address, found.version).await.unwrap();
    assert_told("no account").await;
}

/// How many records there are of these kinds.
async fn records(lab: &Lab) -> [usize; 2] {
    let mut counts = [0; 2];
    for (count, kind) in counts.iter_mut().zip([RecordKind::Account, RecordKind::Client]) {
        *count = lab.store.list(kind, None, 100).await.unwrap().len();
    }
    counts
}

/// A credential that opens every mailbox of a domain opens none to who has no secret; and nobody who tries becomes somebody.
#[tokio::test]
async fn pitfall_07_a_credential_for_all_is_no_open_relay() {
    let (lab, provider, bob) = by_token(Plan::new().tune(|config| config.broker.failures_per_login_max = 100)).await;
    let stored = application(APPLICATION_SECRET).into_stored("t1".into(), "", Timestamp::now()).unwrap();
    let tenant = Tenant { domain: "mail.test".into(), upstream: "own".into(), oauth2: Slots::of(stored) };
    lab.directory.put_tenant(&tenant, None).await.unwrap();
    provider.add_mailbox("eve@mail.test", APP_PASSWORD, Behaviour::Normal);
    // A catch-all: whoever has this client's secret may act as any mailbox of the domain.
    let (record, catch_all) = client_secret::issue("", None, Timestamp::now()).unwrap();
    let expires = Some(Timestamp::now() + SignedDuration::from_hours(1));
    let pattern = "*@mail.test".parse().unwrap();
    let everybody = Binding::Delegation(Delegation { pattern, expires, networks: vec![], class: None });
    let client = |login: &str, secrets| Client {
        login: login.into(),
        secrets,
        bindings: vec![everybody.clone()],
        policy: Policy::default(),
    };
    lab.directory.put_client(&client("all", vec![record]), None).await.unwrap();
    // One that was made and has no secret yet.
    lab.directory.put_client(&client("none-yet", vec![]), None).await.unwrap();
    let before = records(&lab).await;

    let each = Protocol::ALL.map(async |protocol| {
        for (authzid, authcid, secret) in [
            ("", "eve@mail.test", "anything"),
            ("eve@mail.test", "eve@mail.test", APP_PASSWORD),
            ("eve@mail.test", "all", "wrong"),
            ("eve@mail.test", "none-yet", "anything"),
            ("eve@mail.test", "nobody", "anything"),
            ("", "mail.test", "anything"),
            ("", "*@mail.test", "anything"),
            ("eve@mail.test", "", "anything"),
        ] {
            let mut wire = lab.open(protocol).await;
            let answer = by_plain(&mut wire, protocol, &plain(authzid, authcid, secret)).await;
            assert!(!is_in(&answer), "{protocol}: {authzid} by {authcid}");
            // A password that is empty proves nothing, even where there is nothing to compare it with.
            let mut wire = lab.open(protocol).await;
            let answer = by_plain(&mut wire, protocol, &plain(authzid, authcid, "")).await;
            assert!(!is_in(&answer), "{protocol}: {authzid} by {authcid} with nothing");
        }
    });
    join_all(each).await;
    // Who does not even try sends nothing.
    let mut wire = lab.open(Protocol::Submission).await;
    for command in ["MAIL FROM:<bob@mail.test>", "RCPT TO:<a@b.test>", "DATA"] {
        assert_eq!(wire.ask(command).await, "530 5.7.0 Authentication required");
    }
    let mut wire = lab.open(Protocol::Submission).await;
    assert_eq!(wire.ask("BDAT 4 LAST").await, "530 5.7.0 Authentication required");
    assert_eq!((provider.logins(), provider.sandbox.token_requests().len()), (vec![], 0));
    assert_eq!(records(&lab).await, before, "nobody has become a client, and nothing an account");

    // By its secret, and by that alone, it is what it was made for.
    let mut wire = lab.open(Protocol::Imap).await;
    let response = plain("eve@mail.test", "all", catch_all.expose_text().unwrap());
    assert!(is_in(&by_plain(&mut wire, Protocol::Imap, &response).await));
    assert_eq!(provider.logins().last().unwrap().identity, "eve@mail.test");
    lab.log_in(Protocol::Imap, &bob).await;
}

/// No token of a client's is taken, so no field of one leads anywhere: the mechanisms are refused by name, before what comes
/// with them is decoded, and what is presented as a password is a password. (Elsewhere the `kid` of a token was a path.)
#[tokio::test]
async fn pitfall_28_no_token_of_a_client_is_taken_or_read() {
    let lab = Lab::start().await;
    let login = &lab.alice.login;
    let part = |text: &str| base64(text).replace('+', "-").replace('/', "_").replace('=', "");
    let path = lab.path("locum.key");
    let jwts =
        ["../../../../etc/passwd", "/dev/zero", path.to_str().unwrap(), "%2e%2e%2f", "'; DROP TABLE--"].map(|kid| {
            let head =
                format!("{{\"alg\":\"HS256\",\"kid\":\"{kid}\",\"jku\":\"https://evil.test/\",\"x5u\":\"{kid}\"}}");
            format!("{}.{}.{}", part(&head), part(&format!("{{\"sub\":\"{login}\"}}")), part("signature"))
        });
    for protocol in Protocol::ALL {
        let mut wire = lab.open(protocol).await;
        if protocol == Protocol::Submission {
            assert!(wire.ehlo().await.iter().all(|keyword| !keyword.contains("OAUTH")));
        }
        let (command, unknown) = match protocol {
            Protocol::Imap => ("a AUTHENTICATE", "a NO Mechanism is not supported"),
            Protocol::Pop3 => ("AUTH", "-ERR Unrecognized authentication type"),
            Protocol::Submission => ("AUTH", "504 5.5.4 Unrecognized authentication type"),
        };
        for jwt in &jwts {
            let xoauth2 = base64(format!("user={login}\u{1}auth=Bearer {jwt}\u{1}\u{1}"));
            let bearer = base64(format!("n,a={login},\u{1}auth=Bearer {jwt}\u{1}\u{1}"));
            for said in [
                format!("XOAUTH2 {xoauth2}"),
                format!("OAUTHBEARER {bearer}"),
                "XOAUTH2 !!!".into(),
                "OAUTHBEARER".into(),
            ] {
                let mut wire = lab.open(protocol).await;
                assert_eq!(wire.ask(&format!("{command} {said}")).await, unknown, "{said}");
            }
        }
    }
    nothing_came_of_it(&lab).await;
    for (protocol, jwt) in Protocol::ALL.into_iter().zip(&jwts) {
        let mut wire = lab.open(protocol).await;
        let answer = by_plain(&mut wire, protocol, &plain("", login, jwt)).await;
        assert_eq!(answer, refused(protocol, Refusal::WrongCredentials), "a token is a wrong password");
    }
}

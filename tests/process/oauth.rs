//! OAuth2 as an operator meets it, against the look-alike provider's authority: consent by device code and in a browser,
//! credentials of applications, and what is said of them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use locum::broker::Directory;
use locum::config::Config;
use locum::model::{KeptToken, RecordKind, Secret};
use locum::sandbox::{Application, ApplicationProof, AuthorityTrouble, Face, Mailboxes};
use locum::store;

use crate::rsa::{RSA, Rsa};
use crate::support::{Canaries, Home, Provider, Run, Served, trusted};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;
const TEMPORARY: i32 = 75;
const DENIED: i32 = 77;

const ALICE: &str = "alice@contoso.test";
const TENANT: &str = "contoso.onmicrosoft.com";
const DESKTOP: &str = "7d3a2f60-0000-4000-8000-00000000de5c";
const DAEMON: &str = "7d3a2f60-0000-4000-8000-00000000dae0";
const APPLICATION_SECRET: &str = "Zq8~Q~wX3vBn7mKp2Lr9TgHs5JdF";

/// Locum beside a look-alike of Exchange Online and one of Gmail, with their authorities.
struct Scene {
    home: Home,
    exchange: Provider,
    gmail: Provider,
}

impl Scene {
    fn set() -> Self {
        let home = Home::made();
        let pems = trusted(&home);
        let (exchange, gmail) = (Provider::new(Face::ExchangeOnline, &pems), Provider::new(Face::Gmail, &pems));
        home.configure(&format!(
            "[upstream.exchange]\npreset = \"exchange-online\"\n{}\n{}\n\
             [upstream.google]\npreset = \"gmail\"\n{}\n{}\n[upstream.yahoo]\npreset = \"yahoo\"\n",
            exchange.serve(),
            exchange.serve_authority(),
            gmail.serve(),
            gmail.serve_authority(),
        ));
        for provider in [&exchange, &gmail] {
            for (client_id, proof) in [
                (DESKTOP, ApplicationProof::Public),
                (DAEMON, ApplicationProof::Secret(Secret::new(APPLICATION_SECRET))),
            ] {
                provider.sandbox.register(application(client_id, proof));
            }
            provider.add(ALICE, "unused");
            provider.sandbox.set_device_interval(1);
        }
        home.write("application.secret", format!("{APPLICATION_SECRET}\n"));
        Self { home, exchange, gmail }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.home.run(arguments)
    }

    /// Starts `locum oauth login`, which waits.
    fn login(&self, more: &[&str]) -> Served {
        Served::start(self.home.command(&[&["oauth", "login", ALICE], more].concat()))
    }

    /// Logs in by device code to the end.
    fn logged_in(&self, more: &[&str]) -> Run {
        let login = self.login(more);
        let code = login.wait_for_line("  enter  ");
        assert!(self.exchange.sandbox.approve_device(&code, ALICE), "{code}");
        login.wait().succeeded()
    }

    /// What the store has, as nobody is shown it.
    fn stored(&self) -> Stored {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = Config::load(&self.home.path("locum.toml")).unwrap();
            let store = store::open(&config.store).await.unwrap();
            let tokens = store.list(RecordKind::Token, None, 100).await.unwrap().len();
            let directory = Directory::of_operator(store, "test");
            let account = directory.account(ALICE).await.unwrap();
            let oauth2 =
                account.and_then(|found| found.record.credentials.into_values().find_map(|slots| slots.current));
            let kept = match &oauth2 {
                Some(stored) => directory.token(&stored.id, true).await.unwrap().map(|found| found.record),
                None => None,
            };
            Stored { tokens, kept }
        })
    }
}

struct Stored {
    /// How many refresh tokens there are.
    tokens: usize,
    /// Alice's.
    kept: Option<KeptToken>,
}

fn application(client_id: &str, authentication: ApplicationProof) -> Application {
    let (client_id, tenant) = (client_id.to_owned(), TENANT.to_owned());
    Application { client_id, tenant, authentication, may_act_as: Mailboxes::All, consented: true }
}

/// What a browser does at the address that it is sent to.
fn browse(url: &str) -> String {
    let rest = url.strip_prefix("http://localhost:").unwrap();
    let (port, target) = rest.split_once('/').unwrap();
    get(port.parse().unwrap(), &format!("/{target}"))
}

fn get(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

// consent

#[test]
fn a_mailbox_is_entered_by_device_code() {
    let scene = Scene::set();
    let first = ["--upstream", "exchange", "--tenant", TENANT, "--client-id", DESKTOP, "--label", "Locum"];
    let login = scene.login(&first);
    let code = login.wait_for_line("  enter  ");
    let page = login.wait_for_line("  open   ");
    assert!(page.starts_with("https://localhost:") && page.ends_with("/devicelogin"), "{page}");
    login.wait_for_log("waiting for that, 15 minutes at most");
    assert_eq!(scene.stored().tokens, 0, "nothing is written before the person consents");
    assert!(scene.exchange.sandbox.approve_device(&code, ALICE));
    let run = login.wait().succeeded();
    run.said("alice@contoso.test: OAuth2 by refresh token added\n")
        .said("  imap        OAuth2\n  pop3        OAuth2\n  submission  OAuth2\n")
        .said("see that it was the right person:\n  locum probe alice@contoso.test\n");
    assert_eq!(run.stdout, "");

    let before = scene.stored().kept.unwrap();
    let shown = scene.run(&["account", "show", ALICE, "--json"]).succeeded().json();
    let credential = &shown["credentials"][0];
    assert_eq!(credential["id"], before.credential);
    assert_eq!(
        [
            &credential["kind"],
            &credential["grant"],
            &credential["client_id"],
            &credential["tenant"],
            &credential["label"]
        ],
        ["oauth2", "refresh token", DESKTOP, TENANT, "Locum"]
    );

    // It gives tokens, and what the authority hands out anew is kept.
    let status = scene.run(&["oauth", "status", ALICE, "--try", "--json"]).succeeded().json();
    assert_eq!([&status[0]["token"], &status[0]["state"]], ["granted", "good"], "{status}");
    let after = scene.stored().kept.unwrap();
    assert_ne!(after.refresh_token, before.refresh_token);

    // Once more: nothing has to be named again, and what is replaced stays until it is retired.
    let again = scene.logged_in(&[]);
    again.said("OAuth2 by refresh token changed");
    assert_eq!(scene.stored().tokens, 2, "there is a way back");
    let status = scene.run(&["oauth", "status", ALICE, "--json"]).succeeded().json();
    assert_eq!(
        [&status[0]["others"][0]["place"], &status[0]["others"][0]["id"]],
        ["previous", before.credential.as_str()]
    );
    scene.run(&["rotate", "retire", ALICE, "--kind", "oauth2", "--now", "--yes"]).succeeded();
    let stored = scene.stored();
    assert_eq!(stored.tokens, 1);
    assert_ne!(stored.kept.unwrap().credential, before.credential);

    scene.run(&["account", "remove", ALICE]).succeeded().said("revoke the application's right to it");
    assert_eq!(scene.stored().tokens, 0, "the refresh token goes with the account");
}

#[test]
fn a_mailbox_is_entered_in_a_browser() {
    let scene = Scene::set();
    let secret = ["--secret-file", "application.secret", "--secret-expires", "2100-01-31"];
    let login = scene.login(&[&["--upstream", "google", "--client-id", DAEMON], &secret[..]].concat());
    let page = login.wait_for_line("  https://");
    let page = format!("https://{page}");
    login.wait_for_log("waiting for that, 5 minutes at most");
    assert!(page.contains("access_type=offline&prompt=consent&response_type=code&"), "{page}");
    let back = scene.gmail.sandbox.consent(&page, ALICE).unwrap();
    let port = back.split(['/', ':']).nth(4).unwrap().parse().unwrap();
    // What else comes does not end it.
    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for junk in ["/favicon.ico", "/", "/?code=x&state=y"] {
        assert!(get(port, junk).starts_with("HTTP/1.1 404 "), "{junk}");
    }
    let answer = browse(&back);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("You can close this window"), "{answer}");
    let run = login.wait().succeeded();
    run.said("OAuth2 by refresh token added").said("ends 2100-01-31 00:00 UTC, in ");
    drop(silent);
    assert!(scene.stored().kept.is_some());
    let status = scene.run(&["oauth", "status", "--try"]).succeeded();
    assert!(status.stdout.contains("token granted") && status.stderr.is_empty(), "{status:#?}");
}

#[test]
fn both_ways_are_open_at_exchange() {
    let scene = Scene::set();
    let login = scene.login(&["--browser", "--upstream", "exchange", "--tenant", TENANT, "--client-id", DESKTOP]);
    let page = format!("https://{}", login.wait_for_line("  https://"));
    assert!(page.contains("/contoso.onmicrosoft.com/oauth2/v2.0/authorize?response_type=code&"), "{page}");
    browse(&scene.exchange.sandbox.consent(&page, ALICE).unwrap());
    login.wait().succeeded();
    assert!(scene.stored().kept.is_some());
}

#[test]
fn an_account_keeps_its_app_password_beside() {
    let scene = Scene::set();
    let add = ["account", "add", ALICE, "--upstream", "exchange", "--secret-stdin"];
    scene.home.run_with(&add, "app-password").succeeded();
    let run = scene.logged_in(&["--tenant", TENANT, "--client-id", DESKTOP]);
    run.said("  imap        OAuth2\n")
        .said("  submission  app password\n")
        .said("locum account set alice@contoso.test --prefer oauth2");
    let run = scene.run(&["account", "set", ALICE, "--prefer", "oauth2"]).succeeded();
    run.said("changed; the app password stays").said("  submission  OAuth2\n");
}

#[test]
fn a_refusal_changes_nothing_and_says_why() {
    let scene = Scene::set();
    let first = ["--upstream", "exchange", "--tenant", TENANT, "--client-id", DESKTOP];
    let login = scene.login(&first);
    assert!(scene.exchange.sandbox.decline_device(&login.wait_for_line("  enter  ")));
    login.wait().ended(DENIED).said("the person declined");
    let login = scene.login(&first);
    assert!(scene.exchange.sandbox.expire_device(&login.wait_for_line("  enter  ")));
    login.wait().ended(DENIED).said("not entered in time");
    let browser = ["--browser"];
    let login = scene.login(&[&first[..], &browser].concat());
    let page = format!("https://{}", login.wait_for_line("  https://"));
    browse(&scene.exchange.sandbox.decline(&page).unwrap());
    login.wait().ended(DENIED).said("the person declined");

    scene.exchange.sandbox.set_authority_trouble(AuthorityTrouble::Http { status: 503, retry_after: None }, Some(1));
    scene.login(&first).wait().ended(TEMPORARY).said("503");
    scene.exchange.sandbox.set_authority_trouble(AuthorityTrouble::Error(53003), Some(1));
    scene.login(&first).wait().ended(DENIED).said("AADSTS53003").said("try --browser");
    for (number, trouble) in
        [AuthorityTrouble::NotJson, AuthorityTrouble::Huge, AuthorityTrouble::Redirect].into_iter().enumerate()
    {
        scene.exchange.sandbox.set_authority_trouble(trouble, Some(1));
        assert_ne!(scene.login(&first).wait().code, Some(0), "{number}");
    }
    scene.exchange.sandbox.clear_authority_trouble();
    scene.login(&[&first[..4], &["--client-id", "nobody"]].concat()).wait().ended(DENIED).said("AADSTS700016");
    assert_eq!(scene.stored().tokens, 0);
    scene.run(&["account", "show", ALICE]).ended(NOT_FOUND);
}

/// The first device code is long paid for with a person's time when somebody else is faster.
#[test]
fn what_others_changed_meanwhile_is_kept() {
    let scene = Scene::set();
    scene.run(&["account", "add", ALICE, "--upstream", "exchange", "--oauth2-only"]).succeeded();
    let named = ["--tenant", TENANT, "--client-id", DESKTOP];
    let login = scene.login(&named);
    let code = login.wait_for_line("  enter  ");
    scene.run(&["account", "set", ALICE, "--identity", "shared@contoso.test"]).succeeded();
    assert!(scene.exchange.sandbox.approve_device(&code, ALICE));
    login.wait().succeeded();
    let shown = scene.run(&["account", "show", ALICE, "--json"]).succeeded().json();
    assert_eq!(shown["identity"]["all"], "shared@contoso.test");

    let login = scene.login(&named);
    let code = login.wait_for_line("  enter  ");
    scene.logged_in(&named);
    assert!(scene.exchange.sandbox.approve_device(&code, ALICE));
    login.wait().ended(TEMPORARY).said("somebody else gave alice@contoso.test another");
    assert_eq!(scene.stored().tokens, 2, "the first one, and that of the other");
    assert!(scene.stored().kept.is_some());
}

#[test]
fn wrong_logins_are_refused_with_what_to_do() {
    let scene = Scene::set();
    let login = |more: &[&str]| scene.run(&[&["oauth", "login", ALICE], more].concat());
    login(&["--client-id", "x"]).ended(NOT_FOUND).said("to make it, say with --upstream where it lives");
    login(&["--upstream", "nowhere", "--client-id", "x"]).ended(USAGE).said("it has: exchange, google, yahoo");
    login(&["--upstream", "exchange"]).ended(USAGE).said("with --client-id as the provider's portal shows it");
    login(&["--upstream", "exchange", "--client-id", "x"]).ended(USAGE).said("exchange needs to know the tenant");
    login(&["--upstream", "google", "--client-id", "x", "--tenant", "y"]).ended(USAGE).said("google has no tenants");
    login(&["--upstream", "google", "--client-id", "x", "--device"])
        .ended(DENIED)
        .said("no device flow; use --browser");
    login(&["--upstream", "yahoo", "--client-id", "x"])
        .ended(USAGE)
        .said("not known who issues access tokens for yahoo; the presets exchange-online, ")
        .said("set token-url and the rest in [upstream.yahoo.oauth2]");
    login(&["--upstream", "google", "--client-id", "a b"]).ended(DATA).said("the client id must be one word");
    login(&["--upstream", "exchange", "--client-id", "x", "--tenant", "../x"]).ended(DATA).said("the tenant must be");
    login(&["--upstream", "google", "--client-id", "x", "--browser", "--device"]).ended(USAGE);
    login(&["--upstream", "google", "--client-id", "x", "--secret-expires", "2100-01-01"]).ended(USAGE);
    login(&["--upstream", "google", "--client-id", "x", "--secret-file", "nowhere"]).ended(NOT_FOUND);
    scene.run(&["account", "add", ALICE, "--upstream", "exchange", "--oauth2-only"]).succeeded();
    login(&["--upstream", "google", "--client-id", "x"]).ended(USAGE).said("lives at exchange");
}

// applications

fn add_tenant(scene: &Scene, more: &[&str]) -> Run {
    scene.run(&[&["oauth", "add-tenant", "contoso.test"], more].concat())
}

const OF_EXCHANGE: [&str; 6] = ["--upstream", "exchange", "--tenant", TENANT, "--client-id", DAEMON];

#[test]
fn a_domain_is_entered_by_an_application() {
    let scene = Scene::set();
    scene.run(&["oauth", "status"]).succeeded().said("no OAuth2 credentials yet");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12 * 24 + 1);
    let soon = soon.strftime("%Y-%m-%d").to_string();
    let secret = ["--secret-file", "application.secret"];
    let run = add_tenant(&scene, &[&OF_EXCHANGE[..], &secret, &["--secret-expires", &soon]].concat()).succeeded();
    run.said("contoso.test: OAuth2 by client credentials added\n")
        .said(&format!("  ends {soon} 00:00 UTC, in 1"))
        .said("locum account set --domain contoso.test --prefer oauth2");
    let status = scene.run(&["oauth", "status"]).succeeded();
    assert!(status.stdout.contains("@contoso.test") && status.stdout.contains("ends soon"), "{status:#?}");
    status.said(&format!("note: @contoso.test: its secret ends on {soon}, in 1"));
    status.said("give it with `locum oauth add-tenant contoso.test --secret-file …`");

    // As the note says, and nothing else has to be named again.
    let run = add_tenant(&scene, &[&secret[..], &["--secret-expires", "2100-01-01"]].concat()).succeeded();
    run.said("client credentials changed");
    let status = scene.run(&["oauth", "status", "--try", "--json"]).succeeded().json();
    assert_eq!(status.as_array().unwrap().len(), 1);
    assert_eq!([&status[0]["name"], &status[0]["state"], &status[0]["token"]], ["@contoso.test", "good", "granted"]);
    assert_eq!([&status[0]["client_id"], &status[0]["tenant"]], [DAEMON, TENANT]);

    // An account of the domain has nothing of its own, and needs none.
    let add = scene.run(&["account", "add", ALICE, "--upstream", "exchange", "--oauth2-only"]).succeeded();
    assert_eq!(
        add.stderr,
        "alice@contoso.test: added\nused from now on:\n  imap        OAuth2\n  pop3        OAuth2\n  submission  OAuth2\n"
    );
    let text = scene.run(&["account", "show", ALICE]).succeeded().stdout;
    assert!(text.contains("\ncredential  OAuth2 as all accounts of contoso.test"), "{text}");
    let text = scene.run(&["account", "list"]).succeeded().stdout;
    assert!(text.contains("OAuth2 of its domain"), "{text}");
    for name in [ALICE, "bob@contoso.test"] {
        let status = scene.run(&["oauth", "status", name, "--json"]).succeeded().json();
        assert_eq!([&status[0]["name"], &status[0]["credential_of"]], [name, "contoso.test"]);
    }

    let probe = scene.run(&["probe", ALICE, "--kind", "app-password", "--protocol", "imap"]).ended(DATA);
    assert!(probe.stdout.contains("the account has no app password"), "{probe:#?}");
    scene.run(&["oauth", "status", "nowhere.test"]).ended(NOT_FOUND).said("neither an account nor a domain");

    scene.exchange.sandbox.expire_application_secret(DAEMON);
    let status = scene.run(&["oauth", "status", "contoso.test", "--try"]).ended(DENIED);
    assert!(status.stdout.contains("REFUSED"), "{status:#?}");
    status.said("AADSTS7000222");
    scene.exchange.sandbox.set_authority_trouble(AuthorityTrouble::Http { status: 503, retry_after: None }, None);
    let status = scene.run(&["oauth", "status", "contoso.test", "--try"]).ended(TEMPORARY);
    assert!(status.stdout.contains("no token now"), "{status:#?}");

    scene.run(&["oauth", "remove-tenant", "@Contoso.test"]).succeeded().said("can log in no more");
    scene.run(&["oauth", "remove-tenant", "contoso.test"]).ended(NOT_FOUND).said("see `locum oauth status`");
    scene.run(&["oauth", "status", ALICE]).ended(NOT_FOUND).said("locum oauth login alice@contoso.test");
}

#[test]
fn an_account_has_an_application_of_its_own() {
    let scene = Scene::set();
    let set = |more: &[&str]| scene.run(&[&["oauth", "set", ALICE], more].concat());
    set(&["--client-id", "x"]).ended(NOT_FOUND).said("see `locum account list`");
    scene
        .run(&["account", "add", ALICE, "--upstream", "exchange", "--oauth2-only"])
        .succeeded()
        .said("no credential yet");
    scene.logged_in(&["--tenant", TENANT, "--client-id", DESKTOP]);
    assert_eq!(scene.stored().tokens, 1);

    let (certificate, key) = certificate();
    scene.exchange.sandbox.register(application(DAEMON, ApplicationProof::Certificate(certificate.clone())));
    scene.home.write("application.crt", certificate);
    scene.home.write("application.key", key);
    let by_certificate = ["--certificate", "application.crt", "--key", "application.key"];
    let run = set(&[&OF_EXCHANGE[2..], &by_certificate].concat()).succeeded();
    run.said("OAuth2 by client credentials changed").said("  ends ");
    assert_eq!(scene.stored().tokens, 0, "nobody needs the refresh token any more");
    let status = scene.run(&["oauth", "status", ALICE, "--try", "--json"]).succeeded().json();
    assert_eq!(status[0]["token"], "granted", "{status}");
    let text = scene.run(&["account", "list"]).succeeded().stdout;
    assert!(text.contains("OAuth2"), "{text}");
}

#[test]
fn a_service_account_acts_for_one_mailbox_at_a_time() {
    let scene = Scene::set();
    let (certificate, key) = certificate();
    let robot = "locum@project.iam.gserviceaccount.test";
    scene.gmail.sandbox.register(application(robot, ApplicationProof::Certificate(certificate)));
    let file = serde_json::json!({
        "type": "service_account", "client_email": robot, "private_key": key, "private_key_id": "k1",
        "token_uri": "https://evil.test/token",
    });
    scene.home.write("robot.json", file.to_string());
    add_tenant(&scene, &["--upstream", "google", "--service-account", "robot.json"])
        .succeeded()
        .said("service account added");
    let status = scene.run(&["oauth", "status", "contoso.test", ALICE, "--try", "--json"]).succeeded().json();
    assert_eq!([&status[0]["token"], &status[1]["token"]], ["untried", "granted"], "{status}");
    fs::set_permissions(scene.home.path("robot.json"), fs::Permissions::from_mode(0o640)).unwrap();
    add_tenant(&scene, &["--upstream", "google", "--service-account", "robot.json"]).ended(DATA).said("chmod 600");
}

/// An RSA key of the tests, and a certificate for it that rcgen makes valid.
fn certificate() -> (String, &'static str) {
    let key = &RSA.key;
    let pair = rcgen::KeyPair::from_pem(key).unwrap();
    let mut params = rcgen::CertificateParams::new(["locum".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2100, 1, 1));
    (params.self_signed(&pair).unwrap().pem(), key)
}

#[test]
fn wrong_applications_are_refused_with_what_is_wrong() {
    let scene = Scene::set();
    let (good, key) = certificate();
    scene.home.write("good.crt", good);
    scene.home.write("good.key", key);
    scene.home.write("open.key", key);
    fs::set_permissions(scene.home.path("open.key"), fs::Permissions::from_mode(0o604)).unwrap();
    scene.home.write("other.key", &Rsa::make().key);
    let curve = rcgen::generate_simple_self_signed(["locum".to_owned()]).unwrap();
    scene.home.write("curve.crt", curve.cert.pem());
    scene.home.write("curve.key", curve.signing_key.serialize_pem());
    scene.home.write("empty", "");
    scene.home.write("two-lines", "one\ntwo");
    scene.home.write("id", "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    for (more, code, said) in [
        (
            &["--certificate", "good.crt", "--key", "open.key"][..],
            DATA,
            "open.key is open to others (mode 0604): run `chmod 600",
        ),
        (&["--certificate", "good.crt", "--key", "other.key"], DATA, "not the one of the certificate"),
        (&["--certificate", "curve.crt", "--key", "curve.key"], DATA, "not an RSA key"),
        (&["--certificate", "good.key", "--key", "good.key"], DATA, "no certificate in PEM form"),
        (&["--certificate", "good.crt", "--key", "good.crt"], DATA, "no private key in PEM form"),
        (&["--certificate", "nowhere", "--key", "good.key"], NOT_FOUND, "cannot read nowhere: No such file"),
        (&["--certificate", "good.crt", "--key", "."], NOT_FOUND, "cannot read .: it is no file"),
        (&["--certificate", "good.crt"], USAGE, "--key <FILE>"),
        (&["--certificate", "good.crt", "--key", "good.key", "--secret-file", "id"], USAGE, "cannot be used with"),
        (&["--secret-file", "nowhere"], NOT_FOUND, "cannot read the secret from nowhere"),
        (&["--secret-file", "empty"], DATA, "must be one line"),
        (&["--secret-file", "two-lines"], DATA, "must be one line"),
        (&["--secret-file", "id", "--secret-expires", "2020-01-31"], DATA, "a secret that ended on 2020-01-31"),
        (&["--secret-file", "id", "--secret-expires", "31.1.2027"], USAGE, "expected a day such as 2027-01-31"),
        (&[], USAGE, "no terminal to ask for the secret of the application"),
    ] {
        add_tenant(&scene, &[&OF_EXCHANGE[..], more].concat()).ended(code).said(said);
    }
    add_tenant(&scene, &OF_EXCHANGE[2..])
        .ended(USAGE)
        .said("say with --upstream where the accounts of contoso.test live");
    add_tenant(&scene, &["--upstream", "google", "--service-account", "good.key"])
        .ended(DATA)
        .said("no key file of a Google");
    let mixed = ["--upstream", "google", "--service-account", "good.key", "--client-id", "x"];
    add_tenant(&scene, &mixed).ended(USAGE).said("cannot be used with");
    for domain in ["", "@", "a@b", "a b", "a\x1b[2J"] {
        let run = scene.run(&[&["oauth", "add-tenant", domain], &OF_EXCHANGE[..]].concat()).ended(DATA);
        run.said("a domain is what stands behind the @");
        scene.run(&["oauth", "remove-tenant", domain]).ended(DATA);
    }
    scene.run(&["oauth", "status", "--json"]).succeeded();
    assert_eq!(
        scene.run(&["oauth", "status", "--json"]).succeeded().json(),
        serde_json::json!([]),
        "nothing was stored"
    );
    // It may be one all the same.
    let run = add_tenant(&scene, &[&OF_EXCHANGE[..], &["--secret-file", "id"]].concat()).succeeded();
    run.said("looks like the id of a secret").said("nobody will be warned before the secret ends");
}

// secrets

#[test]
fn no_secret_shows_itself() {
    let scene = Scene::set();
    let (certificate, key) = certificate();
    let mut canaries = Canaries::default();
    canaries.add("the application's secret", APPLICATION_SECRET);
    let body: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
    canaries.add("the private key", &body[400..600]);
    scene.home.write("application.crt", certificate);
    scene.home.write("application.key", key);

    let secret = ["--secret-file", "application.secret"];
    let login = scene.login(&[&["--browser"], &OF_EXCHANGE[..], &secret].concat());
    let page = format!("https://{}", login.wait_for_line("  https://"));
    for name in ["cmdline", "environ"] {
        // A process that may not be dumped shows its environment to root alone.
        if let Ok(content) = fs::read(format!("/proc/{}/{name}", login.pid())) {
            canaries.assert_absent(name, content);
        }
    }
    let back = scene.exchange.sandbox.consent(&page, ALICE).unwrap();
    let code = back.split(['?', '&']).find_map(|field| field.strip_prefix("code=")).unwrap();
    canaries.add("the code", code);
    canaries.assert_absent("the page", browse(&back));
    let mut runs = vec![login.wait().succeeded()];
    canaries.add("the refresh token", scene.stored().kept.unwrap().refresh_token.expose());
    runs.extend([
        scene.run(&["oauth", "status", "--try"]),
        scene.run(&["oauth", "status", "--json"]),
        scene.run(&["account", "show", ALICE]),
        scene.run(&["account", "show", ALICE, "--json"]),
        add_tenant(&scene, &[&OF_EXCHANGE[..], &secret].concat()),
        add_tenant(
            &scene,
            &[&OF_EXCHANGE[..], &["--certificate", "application.crt", "--key", "application.key"]].concat(),
        ),
        scene.run(&["account", "remove", ALICE]),
    ]);
    let stored = scene.stored();
    assert_eq!(stored.tokens, 0);
    for run in runs {
        let run = run.succeeded();
        canaries.assert_absent("standard output", run.stdout);
        canaries.assert_absent("standard error", run.stderr);
    }
    for file in ["locum.db", "locum.toml"] {
        canaries.assert_absent(file, fs::read(scene.home.path(file)).unwrap());
    }
}

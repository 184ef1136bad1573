//! Pitfall 4: octets in names and secrets that could end a line and begin a command, from every side that they can come from.

use std::collections::BTreeMap;
use std::process::Command;

use futures::future::join_all;
use jiff::Timestamp;
use locum::broker::client_secret;
use locum::credential;
use locum::model::{
    AppPasswordFormat, CredentialKind, Material, Policy, Protocol, Refusal, Secret, Slots, StoredCredential,
};
use locum::sandbox::{Behaviour, Start};
use serde_json::json;

use crate::answers::{accepted, refused};
use crate::hands::{APP_PASSWORD, Part, WORDS, by_plain, say, stage};
use crate::support::{Api, Identity, Lab, Plan, Step, Wire, base64, plain};

/// C0, DEL.
fn controls() -> impl Iterator<Item = char> {
    (0_u8..0x20).chain([0x7f]).map(char::from)
}

/// Places in a word where one can stand.
fn with(control: char, word: &str) -> [String; 3] {
    let (start, end) = word.split_at(word.len() / 2);
    [format!("{control}{word}"), format!("{start}{control}{end}"), format!("{word}{control}")]
}

/// No client gets further with one in its login or its secret than to be refused, by no command of any protocol; also where
/// the name goes on like a command.
#[tokio::test]
async fn pitfall_04_no_control_character_of_a_client_gets_past_its_login() {
    let lab = Plan::new()
        .tune(|config| {
            (config.broker.failures_per_login_max, config.broker.failures_per_address_max) = (10_000, 10_000);
            config.session.sessions_max = 2000;
        })
        .start()
        .await;
    let (login, secret) = (lab.alice.login.clone(), lab.alice.secret.clone());
    let mut pairs = Vec::new();
    for control in controls() {
        // A blank of any kind around a name is none of it (`normalise`), so there it changes nobody's name.
        pairs.push((with(control, &login)[1].clone(), secret.clone()));
        pairs.extend(with(control, &secret).map(|secret| (login.clone(), secret)));
    }
    pairs.push((format!("{login}\r\nRCPT TO:<a@b>"), secret.clone()));
    pairs.push((login.clone(), format!("{secret}\r\nz LOGOUT")));
    pairs.push((format!("{login}\0{login}"), secret.clone()));
    for chunk in pairs.chunks(150) {
        join_all(chunk.iter().map(|(login, secret)| assert_refused_by_each_command(&lab, login, secret))).await;
    }
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));
    assert!(lab.audit().iter().all(|event| event["outcome"] == "deny"));
    // Nor is any of it in the way of who means well.
    lab.log_in(Protocol::Imap, &lab.alice).await;
}

async fn assert_refused_by_each_command(lab: &Lab, login: &str, secret: &str) {
    let (response, has_nul) = (plain("", login, secret), format!("{login}{secret}").contains('\0'));
    for protocol in Protocol::ALL {
        let mut wire = lab.open(protocol).await;
        let answer = by_plain(&mut wire, protocol, &response).await;
        let malformed = ["a BAD ", "-ERR Malformed", "501 5.5.2 "].iter().any(|start| answer.starts_with(start));
        let is_refused = answer == refused(protocol, Refusal::WrongCredentials);
        assert!(if has_nul { malformed } else { is_refused }, "{protocol}, {login:?} {secret:?}: {answer}");
    }
    // SASL LOGIN has a line for each.
    let mut wire = lab.open(Protocol::Submission).await;
    wire.ask(&format!("AUTH LOGIN {}", base64(login))).await;
    let answer = wire.ask(&base64(secret)).await;
    assert!(answer.starts_with('5'), "{login:?} {secret:?}: {answer}");
    // A literal holds any octet.
    let mut wire = lab.open(Protocol::Imap).await;
    wire.write(format!("a LOGIN {{{}+}}\r\n{login} {{{}+}}\r\n{secret}\r\n", login.len(), secret.len())).await;
    let answer = wire.line().await;
    assert!(answer.starts_with(if has_nul { "a BAD " } else { "a NO [AUTH" }), "{login:?} {secret:?}: {answer}");
}

/// A credential of that text, as other hands than ours would write it.
fn by_other_hands(secret: &str) -> StoredCredential {
    let id = client_secret::random_id().unwrap();
    let format = AppPasswordFormat::Verbatim;
    let made = credential::new_app_password(&Secret::new("x"), format, id, "", Timestamp::now()).unwrap();
    StoredCredential { material: Material::of("secret", Secret::new(secret)), ..made }
}

/// What is in the store, whoever wrote it there, is looked at again: a Vault has other editors than Locum.
#[tokio::test]
async fn pitfall_04b_no_control_character_from_the_store_reaches_a_provider() {
    let identity = Identity::of("localhost");
    let parts = WORDS.map(|words| {
        let script = [words.until_login(&identity), vec![say(words.welcome), Step::Silence]].concat();
        Part::new(format!("fake-{}", words.protocol), words.protocol, Start::Implicit, script)
    });
    let (lab, fakes) = stage(Plan::new(), &identity, parts.into()).await;
    for (words, fake) in WORDS.iter().zip(&fakes) {
        let protocol = words.protocol;
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        for control in controls() {
            let secret = with(control, "qzjxkvbwphgmfydu")[1].clone();
            let slots = Slots::of(by_other_hands(&secret));
            lab.alter_account(&actor, |account| {
                account.credentials = BTreeMap::from([(CredentialKind::AppPassword, slots)]);
            })
            .await;
            let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
            assert_eq!(answer, refused(protocol, Refusal::ContactAdmin), "{protocol} {control:?}");
        }
        // The name at the provider, too: with a good credential beside it.
        for control in ['\0', '\r', '\n', '\u{1b}', '\u{7f}'] {
            let slots = Slots::of(by_other_hands("wphgmfyduqzjxkvb"));
            lab.alter_account(&actor, |account| {
                account.identity.all = Some(with(control, "shared-mailbox")[1].clone());
                account.credentials = BTreeMap::from([(CredentialKind::AppPassword, slots)]);
            })
            .await;
            let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
            assert_eq!(answer, refused(protocol, Refusal::Unavailable), "{protocol} {control:?}");
        }
        fake.all_closed().await;
        for part in ["qzjxkvbw", "phgmfydu", "wphgmfyduqzjxkvb", "shared-", "mailbox", "AUTH", "USER", "LOGIN"] {
            assert!(!fake.has_heard(part), "{protocol}: the provider has heard {part}");
        }
    }
}

/// Nor do they get into the store by the API, by a command, or by a file that is imported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_04c_no_control_character_is_stored_by_the_api_or_an_import() {
    let lab = Plan::new().toml("[admin]\nsocket = \"admin.sock\"\napi = true\n").start().await;
    let api = Api::here(&lab.path("admin.sock"));
    for control in ["\0", "\r\n", "\n", "\u{1b}[31m", "\u{7f}"] {
        let odd = format!("od{control}d");
        for new in [
            json!({"name": odd, "upstream": "gmail"}),
            json!({"name": "odd", "upstream": "gmail", "identity": odd}),
            json!({"name": "odd", "upstream": "gmail", "identity_for": {"imap": odd}}),
            json!({"name": "odd", "upstream": "gmail", "app_password": odd}),
            json!({"name": "odd", "upstream": "gmail", "app_password": "fine", "label": odd}),
        ] {
            let answer = api.post("/v1/accounts", new.clone()).await;
            assert!((400..500).contains(&answer.status), "{new}: {answer:?}");
        }
        let answer = api.post("/v1/clients", json!({"login": odd, "accounts": [lab.alice.address]})).await;
        assert!((400..500).contains(&answer.status), "{odd:?}: {answer:?}");
    }
    let files = [
        ("account", "name,upstream,secret\nodd,gmail,\"od\nd\"\n"),
        ("account", "name,upstream,secret\n\"od\u{1b}d\",gmail,secret\n"),
        ("account", "name,upstream,identity,secret\nodd,gmail,\"o\rdd\",secret\n"),
        ("client", "login,account,hash\n\"od\nd\",alice.liddell@gmail.test,{SSHA}AAAA\n"),
    ];
    for (verb, content) in files {
        let (file, config) = (lab.path("import.csv"), lab.path("locum.toml"));
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let import = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
            command.arg("--config").arg(config).args([verb, "import"]).arg(file).output().unwrap()
        });
        let output = import.await.unwrap();
        assert!(!output.status.success(), "{content:?}: {}", String::from_utf8_lossy(&output.stdout));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("import.csv:2: "), "{content:?}: {said}");
    }
    // The same without such a character is taken: it is the character that was refused.
    api.post("/v1/accounts", json!({"name": "fine", "upstream": "gmail", "app_password": "fine", "label": "fine"}))
        .await
        .is(201);
    api.post("/v1/clients", json!({"login": "fine", "accounts": [lab.alice.address]})).await.is(201);
    let names = |page: serde_json::Value| page["items"].as_array().unwrap().len();
    assert_eq!(names(api.get("/v1/accounts").await.is(200).value()), 3, "alice's, the scanner's, and that");
    assert_eq!(names(api.get("/v1/clients").await.is(200).value()), 3);
}

/// What is no control character arrives as it is, by the quoting of each protocol: nothing of it is taken for syntax.
#[tokio::test]
async fn pitfall_04d_every_other_character_arrives_as_it_is() {
    let lab = Lab::start().await;
    for secret in
        ["a\"b\\c\\\"", "{12}", "x {3+}", "p\u{e4}ss w\u{f6}rd \u{20ac}", "%s%n${HOME}`id`", "*", "=", "\\", "+A-"]
    {
        let login = format!("odd-{}", base64(secret).replace(['+', '/', '='], "-").to_lowercase());
        let actor = lab.enrol(&login, "gmail", secret).await;
        lab.gmail.add_mailbox(&actor.address, secret, Behaviour::Normal);
        for protocol in Protocol::ALL {
            let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
            assert_eq!(answer, accepted(protocol), "{secret:?}");
        }
    }
}

/// In no command to a provider stands what the client called itself, nor what its address is called.
#[tokio::test]
async fn pitfall_04e_a_provider_hears_our_name_and_not_the_clients() {
    let identity = Identity::of("localhost");
    let words = WORDS[2];
    let script = [words.until_login(&identity), vec![say(words.welcome), Step::Silence]].concat();
    let parts = vec![Part::new("fake", Protocol::Submission, Start::Implicit, script)];
    let (lab, fakes) = stage(Plan::new(), &identity, parts).await;
    let actor = lab.enrol("carol", "fake", APP_PASSWORD).await;
    lab.alter(&actor, |client| client.policy = Policy::default()).await;
    let mut wire = Wire::connect(lab.address("submissions")).await.start_tls(&lab.client_tls).await;
    wire.line().await;
    wire.write("EHLO x\u{b}AUTH=<evil> client-name.test\r\n").await;
    wire.until("250 ").await;
    assert_eq!(
        by_plain(&mut wire, Protocol::Submission, &plain("", "carol", &actor.secret)).await,
        "235 2.7.0 Authentication succeeded"
    );
    assert!(fakes[0].has_heard("EHLO locum.test\r\n"));
    assert!(!fakes[0].has_heard("client-name") && !fakes[0].has_heard("evil") && !fakes[0].has_heard("127.0.0.1"));
}

//! `locum check --dial`: what can be wrong between a node and its server, each said in words that an operator can act on.

use serde_json::{Value, json};

use super::{CONFIG, Desk, Office, TEMPORARY, write_policies};
use crate::openbao::child::{Server, free_port};
use crate::openbao::{Api, Cluster, Dev, binary, eventually};
use crate::program::Run;

/// Checks with `[store]` changed: without upstreams, which are out of reach of a test.
fn dial(desk: &Desk, change: impl Fn(String) -> String) -> Run {
    let config = desk.config.replace("[upstream.gmail]\npreset = \"gmail\"\n", "");
    let changed = change(config.clone());
    desk.configure("dial.toml", &changed);
    desk.run(&["--config", "dial.toml", "check", "--dial"])
}

fn as_it_is(config: String) -> String {
    config
}

/// Wrong for good, and said once.
#[track_caller]
fn is_wrong(run: Run, words: &[&str]) {
    said_alone(run.ended(CONFIG), words);
}

/// It may pass by itself.
#[track_caller]
fn is_passing(run: Run, words: &[&str]) {
    said_alone(run.ended(TEMPORARY), words);
}

#[track_caller]
fn said_alone(run: Run, words: &[&str]) {
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{run:#?}");
    for words in words {
        run.said(words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_server_is_described() {
    let office = Office::open().await;
    let run = dial(&office.desk, as_it_is).succeeded();
    let line = run.stdout.lines().next().unwrap();
    let begin = format!(
        "store {}: server 2.7.2, unsealed, active; KV version 2 at locum; token for another 3",
        office.server.address()
    );
    assert!(line.starts_with(&begin) && line.ends_with(" s"), "{line}");
    // Somebody else's token in the environment is not that of the node.
    let run = office.desk.run_in(&[("VAULT_TOKEN", "s.dead")], &["--config", "dial.toml", "check", "--dial"]);
    assert!(run.succeeded().stdout.starts_with("store http://"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_a_server() {
    let office = Office::open().await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let address = office.server.address().to_owned();
    is_passing(
        dial(&office.desk, |config| config.replace(&address, &nobody)),
        &[&nobody, "no answer: Connection refused", "see that a server runs there", "or correct address in [store]"],
    );
    is_passing(
        dial(&office.desk, |config| config.replace(&address, "https://vault.invalid:8200")),
        &["https://vault.invalid:8200 cannot be asked", "lookup", "correct address in [store]"],
    );
    let https = address.replace("http:", "https:");
    is_passing(
        dial(&office.desk, |config| config.replace(&address, &https)),
        &["what listens there speaks no TLS", "correct address in [store]"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_trusted_or_sealed() {
    let cluster = Cluster::start(1).await;
    let root = cluster.on(0);
    root.mount_kv2("locum").await;
    write_policies(&root).await;
    let trusted = format!("ca-file = \"{}\"\n", cluster.ca_file().display());
    let desk = Desk::at(&root, &trusted).await;
    dial(&desk, as_it_is).succeeded();

    is_wrong(
        dial(&desk, |config| config.replace(&trusted, "")),
        &["its certificate is not trusted", "UnknownIssuer", "name its authority in ca-file"],
    );
    // The same server, by a name that is not in its certificate.
    is_wrong(
        dial(&desk, |config| config.replace("https://127.0.0.1", "https://[::ffff:127.0.0.1]")),
        &["its certificate is not trusted", "not valid for", "the server by a name in its certificate"],
    );
    is_wrong(
        dial(&desk, |config| config.replace("https:", "http:")),
        &["the answer is not one of a Vault: correct address in [store]"],
    );
    cluster.seal(0).await;
    is_passing(dial(&desk, as_it_is), &["the server is sealed: unseal it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_never_initialised() {
    let folder = tempfile::tempdir().unwrap();
    let [port, cluster_port] = [free_port(), free_port()];
    let config = folder.path().join("bao.hcl");
    let text = format!(
        "storage \"inmem\" {{}}\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n  \
         cluster_address = \"127.0.0.1:{cluster_port}\"\n}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut command = std::process::Command::new(binary());
    command.arg("server").arg(format!("-config={}", config.display())).env("HOME", folder.path());
    let null = || std::process::Stdio::null();
    let _server = Server::spawn("bao", command.stdout(null()).stderr(null()), Vec::new());
    let api = Api::new(&format!("http://127.0.0.1:{port}"), None, "");
    eventually("a new server", async || (api.health().await == Some(501)).then_some(())).await;

    let office = Office::open().await;
    let address = office.server.address().to_owned();
    is_passing(
        dial(&office.desk, |config| config.replace(&address, api.address())),
        &["the server is not initialised: run `bao operator init`"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_is_not_what_it_should_be() {
    let office = Office::open().await;
    is_wrong(
        dial(&office.desk, |config| format!("mount = \"nope\"\n{config}")),
        &[
            "nothing is mounted at nope, or the token of the AppRole login",
            "correct mount in [store]",
            "locum-node.hcl",
        ],
    );
    for (kind, words) in [
        (
            "kv",
            &["KV engine at locum is of version 1, and version 2 is needed", "`bao kv enable-versioning locum`"][..],
        ),
        ("transit", &["the engine at locum is of the kind transit", "correct mount in [store]"]),
    ] {
        office.server.bao(&["secrets", "disable", "locum"]).await;
        office.server.bao(&["secrets", "enable", "-path=locum", kind]).await;
        is_wrong(dial(&office.desk, as_it_is), words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_do_not_suffice() {
    let office = Office::open().await;
    let role = async |policy: &str| {
        office.server.ok("POST", "auth/approle/role/locum-node", json!({ "token_policies": policy })).await;
    };
    role("default").await;
    is_wrong(
        dial(&office.desk, as_it_is),
        &["nothing is mounted at locum, or the token of the AppRole login", "give the token the policy for nodes"],
    );
    // It sees the mount, and may not read records; then not those of domains, as before there were any; then it reads
    // records, and not of which it should know.
    role("locum-auditor").await;
    is_wrong(
        dial(&office.desk, as_it_is),
        &["cannot read accounts/", "the server denied it (403) to the token of the AppRole login", "locum-node.hcl"],
    );
    let mut policy = String::new();
    for (folders, missing) in [(&["accounts", "clients"][..], "tenants/"), (&["tenants"], "the change feed")] {
        for folder in folders {
            policy += &format!("path \"locum/data/{folder}/+\" {{ capabilities = [\"read\"] }}\n");
        }
        office.server.write_policy("narrow", &policy).await;
        role("narrow").await;
        let told = format!("cannot read {missing}");
        is_wrong(dial(&office.desk, as_it_is), &[&told, "the server denied it (403)"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused() {
    let office = Office::open().await;
    is_wrong(
        dial(&office.desk, |config| config.replace("role-id = \"", "role-id = \"x")),
        &["auth/approle knows no such role id", "correct role-id in [store.login]"],
    );
    is_wrong(
        dial(&office.desk, |config| config.replace("method = \"approle\"", "method = \"approle\"\nmount = \"other\"")),
        &["there is no AppRole login at auth/other", "enable the method there, correct mount in [store.login]"],
    );
    office.desk.home.write("secret-id", "0b0ab5f5-9d6e-4c2b-8a3e-1d9f2a7f3f10\n");
    is_wrong(
        dial(&office.desk, as_it_is),
        &["or the secret id from ", "secret-id is spent, expired or revoked", "issue a new one and put it there"],
    );
    office.desk.home.write("secret-id", "");
    is_wrong(dial(&office.desk, as_it_is), &["secret-id holds no token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired() {
    let office = Office::open().await;
    let token = office.server.token(&["locum-node"], "1s").await;
    office.desk.home.write("token", &token);
    let with = |place: &str, config: &str| {
        let (before, _) = config.split_once("[store.login]").unwrap();
        format!("{before}[store.login]\nmethod = \"token\"\n{place}\n")
    };
    let holder = office.server.with_token(&token);
    eventually("the end of the token", async || {
        (holder.status("GET", "auth/token/lookup-self", Value::Null).await == 403).then_some(())
    })
    .await;
    is_passing(
        dial(&office.desk, |config| with("token-file = \"token\"", &config)),
        &[
            "the server refused the token in ",
            "has expired, was revoked",
            "renew it, or put a new one there; it is read again",
        ],
    );
    // No one can change what a process has in its environment.
    dial(&office.desk, |config| with("token-environment = \"LOCUM_TOKEN\"", &config))
        .ended(CONFIG)
        .said("the environment variable LOCUM_TOKEN is not set");
    let run = office.desk.run_in(&[("LOCUM_TOKEN", &token)], &["--config", "dial.toml", "check", "--dial"]);
    is_wrong(
        run,
        &[
            "the server refused the token in the environment variable LOCUM_TOKEN",
            "put a new one there, and start again",
        ],
    );
}

/// For all that has not been dialled there is a word, too: nothing is called good that was not looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_used_once_is_not_used_for_a_check() {
    let office = Office::open().await;
    office.desk.home.write("secret-id", office.server.wrapped_secret_id("locum-node").await);
    let run = dial(&office.desk, |config| config.replace("secret-id-file", "secret-id-wrapped = true\nsecret-id-file"));
    assert!(run.succeeded().stdout.contains("not dialled, as its wrapped secret id is good for one login only"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dial_nothing_is_sent() {
    let dev = Dev::start_with_audit().await;
    dev.mount_kv2("locum").await;
    let desk = Desk::at(&dev, "").await;
    let before = dev.audit().len();
    desk.run(&["check"]).succeeded();
    assert_eq!(dev.audit().len(), before);
}

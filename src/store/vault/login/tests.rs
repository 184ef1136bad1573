//! Logging in to a real OpenBao server, and keeping the token alive there.

#[path = "../../../../tests/support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for the tests of the whole store")]
mod openbao;

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::openbao::{Api, Authority, Cluster, Dev, Kubernetes, eventually};
use super::super::servers::Servers;
use super::super::{Login, Options, Rights};
use super::Tokens;
use super::setback::Setback;
use crate::model::Secret;
use crate::store::{Health, KeySource, StoreError, cache};

/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:9";

/// A node's part of a login: its files, its servers, its tokens.
struct Node {
    folder: TempDir,
    options: Options,
}

impl Node {
    /// One whose login is made from the path of its only secret.
    fn new(address: &str, secret: &str, login: impl FnOnce(PathBuf) -> Login) -> Self {
        let folder = TempDir::new().unwrap();
        let login = login(folder.path().join("secret"));
        let options = Options {
            addresses: vec![address.to_owned()],
            mount: "locum".into(),
            namespace: None,
            ca_file: None,
            login,
            request_timeout: Duration::from_secs(5),
            cache: cache::Options::default(),
            peers: Vec::new(),
            peer_bind: None,
        };
        let node = Self { folder, options };
        node.put(secret);
        node
    }

    fn with_token(address: &str, token: &str) -> Self {
        Self::new(address, token, |file| Login::Token(KeySource::File(file)))
    }

    fn with_approle(address: &str, role_id: String, secret: &str, wrapped: bool) -> Self {
        Self::new(address, secret, |file| Login::AppRole {
            mount: "approle".into(),
            role_id,
            secret_id: KeySource::File(file),
            wrapped,
        })
    }

    /// Puts a secret where the options say, with the line end that every tool writes.
    fn put(&self, secret: &str) {
        write_private(&self.folder.path().join("secret"), &format!("{secret}\n"));
    }

    fn servers(&self) -> Servers {
        Servers::new(&self.options).unwrap()
    }

    fn tokens(&self) -> Tokens {
        Tokens::new(&self.options.login, Rights::Node).unwrap()
    }

    /// Logged in.
    async fn logged_in(&self) -> (Servers, Tokens) {
        let (servers, tokens) = (self.servers(), self.tokens());
        tokens.log_in(&servers, None).await.unwrap();
        (servers, tokens)
    }

    /// Logs in; what is said instead of a token.
    async fn refusal(&self) -> StoreError {
        self.tokens().log_in(&self.servers(), None).await.unwrap_err()
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn token_of(servers: &Servers) -> String {
    servers.token().unwrap().expose_text().unwrap().to_owned()
}

/// What the server says of a token; `None` if it knows none such.
async fn state_of(server: &Api, token: &str) -> Option<Value> {
    let (status, answer) = server.with_token(token).api("GET", "auth/token/lookup-self", Value::Null).await;
    (status == 200).then(|| answer["data"].clone())
}

/// Logs in again until the pause after the last failure is over.
async fn until_logged_in(tokens: &Tokens, servers: &Servers, refused: &Arc<Secret>) {
    eventually("another token", async || tokens.log_in(servers, Some(refused)).await.ok()).await;
}

async fn approle(server: &Api, settings: Value) -> (String, String) {
    let ids = server.approle("node", &["default"], "1h").await;
    server.ok("POST", "auth/approle/role/node", settings).await;
    ids
}

#[track_caller]
fn is_config(error: &StoreError, part: &str) {
    assert!(matches!(error, StoreError::Config(_)) && error.to_string().contains(part), "{error}");
}

#[track_caller]
fn is_unavailable(error: &StoreError, part: &str) {
    assert!(matches!(error, StoreError::Unavailable(_)) && error.to_string().contains(part), "{error}");
}

/// A node whose token is kept in the background.
struct Kept {
    servers: Arc<Servers>,
    tokens: Arc<Tokens>,
    health: Arc<Health>,
    stop: CancellationToken,
    keeping: JoinHandle<()>,
}

impl Kept {
    fn start(node: &Node) -> Self {
        let (servers, tokens) = (Arc::new(node.servers()), Arc::new(node.tokens()));
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let (s, t, h, c) = (Arc::clone(&servers), Arc::clone(&tokens), Arc::clone(&health), stop.clone());
        let keeping = tokio::spawn(async move { t.keep(&s, &h, c).await });
        Self { servers, tokens, health, stop, keeping }
    }

    /// Waits for a token that is another than `before`.
    async fn token_after(&self, before: &str) -> String {
        let look = async || {
            let token = self.servers.token()?;
            token.expose_text().filter(|token| *token != before).map(str::to_owned)
        };
        eventually("a token", look).await
    }

    /// Waits until this stands in the way of a token, for the moment.
    async fn setback(&self, part: &str) {
        let is_met = |setback: &Setback| matches!(setback, Setback::Passing(text) if text.contains(part));
        let look = async || self.tokens.state().trouble.as_ref().filter(|it| is_met(&it.setback)).map(drop);
        eventually(part, look).await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.keeping.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_read_again_and_never_given_up() {
    let server = Dev::start().await;
    let first = server.token(&["default"], "1h").await;
    let node = Node::with_token(server.address(), &first);
    let (servers, tokens) = node.logged_in().await;
    assert_eq!(token_of(&servers), first, "without the line end of the file");

    server.ok("POST", "auth/token/revoke", json!({ "token": first })).await;
    let refused = servers.token().unwrap();
    let error = tokens.log_in(&servers, Some(&refused)).await.unwrap_err();
    is_unavailable(&error, "renew it, or put a new one there; it is read again");
    assert!(servers.token().is_some(), "while nothing better is there");

    let second = server.token(&["default"], "1h").await;
    node.put(&second);
    until_logged_in(&tokens, &servers, &refused).await;
    assert_eq!(token_of(&servers), second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_that_is_no_good_either_is_not_taken() {
    let server = Dev::start().await;
    let node = Node::with_token(server.address(), "s.canary-old");
    let (servers, tokens) = node.logged_in().await;
    let refused = servers.token().unwrap();
    node.put("s.canary-new");
    let error = tokens.log_in(&servers, Some(&refused)).await.unwrap_err();
    is_unavailable(&error, "the server refused the token in ");
    assert!(!error.to_string().contains("canary"), "{error}");
    assert_eq!(token_of(&servers), "s.canary-old");
}

#[tokio::test(flavor = "multi_thread")]
async fn approle_obtains_a_token_and_another_one_after_that_was_revoked() {
    let server = Dev::start().await;
    let (role_id, secret_id) = approle(&server, json!({})).await;
    let node = Node::with_approle(server.address(), role_id, &secret_id, false);
    let (servers, tokens) = node.logged_in().await;
    let first = token_of(&servers);
    assert_eq!(state_of(&server, &first).await.unwrap()["meta"]["role_name"], "node");

    server.bao(&["token", "revoke", &first]).await;
    let refused = servers.token().unwrap();
    tokens.log_in(&servers, Some(&refused)).await.unwrap();
    let second = token_of(&servers);
    assert_ne!(first, second);
    assert!(state_of(&server, &second).await.is_some());
    tokens.log_in(&servers, Some(&refused)).await.unwrap();
    assert_eq!(token_of(&servers), second, "what was refused is there no longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_find_the_token_refused_log_in_once() {
    let server = Dev::start().await;
    // A second login would be refused.
    let (role_id, _) = approle(&server, json!({"secret_id_num_uses": 1})).await;
    let secret_id = server.secret_id("node").await;
    let node = Node::with_approle(server.address(), role_id, &secret_id, false);
    let (servers, tokens) = (node.servers(), node.tokens());
    let logins = join_all((0..50).map(|_| tokens.log_in(&servers, None))).await;
    assert!(logins.iter().all(Result::is_ok), "{logins:?}");
    let error = tokens.log_in(&servers, servers.token().as_ref()).await.unwrap_err();
    is_config(&error, "spent, expired or revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_approle_login_is_said() {
    let server = Dev::start().await;
    let (role_id, secret_id) = approle(&server, json!({})).await;
    let node =
        |role_id: &str, secret_id: &str| Node::with_approle(server.address(), role_id.to_owned(), secret_id, false);
    let errors = [node(&role_id, "canary-secret-id").refusal().await, node("canary-role", &secret_id).refusal().await];
    for error in &errors {
        is_config(error, "auth/approle knows no such role id, or the secret id from ");
        assert!(!error.to_string().contains(&secret_id) && !error.to_string().contains("canary"), "{error}");
    }

    let mut elsewhere = node(&role_id, &secret_id);
    let Login::AppRole { mount, .. } = &mut elsewhere.options.login else { unreachable!() };
    *mount = "elsewhere".into();
    is_config(&elsewhere.refusal().await, "there is no AppRole login at auth/elsewhere");

    let mut elsewhere = node(&role_id, &secret_id);
    elsewhere.options.namespace = Some("nowhere".into());
    is_config(&elsewhere.refusal().await, "no such namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_its_error_is_told_again_until_the_pause_is_over() {
    let server = Dev::start_with_audit().await;
    let (role_id, secret_id) = approle(&server, json!({})).await;
    let node = Node::with_approle(server.address(), role_id, "wrong", false);
    let (servers, tokens) = (node.servers(), node.tokens());
    let logins = || server.audit().iter().filter(|it| it["request"]["path"] == "auth/approle/login").count();
    let errors = join_all((0..50).map(|_| tokens.log_in(&servers, None))).await;
    for error in errors {
        is_config(&error.unwrap_err(), "auth/approle knows no such role id");
    }
    // The pause is 50 ms at the least, and a busy machine may need longer than that for all of them.
    assert!(logins() < 10, "{} lines", logins());

    node.put(&secret_id);
    eventually("a login with the right one", async || tokens.log_in(&servers, None).await.ok()).await;
}

/// After five of these the server turns the role away for a quarter of an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_id_that_was_refused_is_not_presented_again() {
    let server = Dev::start_with_audit().await;
    let (role_id, secret_id) = approle(&server, json!({})).await;
    let node = Node::with_approle(server.address(), role_id, "wrong", false);
    let (servers, tokens) = (node.servers(), node.tokens());
    let presented = || server.audit().iter().filter(|it| it["request"]["path"] == "auth/approle/login").count() / 2;
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        is_config(&tokens.log_in(&servers, None).await.unwrap_err(), "auth/approle knows no such role id");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(presented(), 1);
    node.put(&secret_id);
    eventually("a login with another one", async || tokens.log_in(&servers, None).await.ok()).await;
    assert_eq!(presented(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    let node = Node::with_approle(NOBODY, "role".into(), "canary-secret-id", false);
    is_unavailable(&node.refusal().await, "cannot log in with AppRole at auth/approle: no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_secret_id_is_unwrapped_once_and_remembered() {
    let server = Dev::start_with_audit().await;
    let (role_id, _) = approle(&server, json!({})).await;
    let node = Node::with_approle(server.address(), role_id, &server.wrapped_secret_id("node").await, true);
    let (servers, tokens) = node.logged_in().await;
    let again = async || tokens.log_in(&servers, servers.token().as_ref()).await.unwrap();
    let unwrapped = || server.audit().iter().filter(|it| it["request"]["path"] == "sys/wrapping/unwrap").count() / 2;
    again().await;
    assert_eq!(unwrapped(), 1);

    node.put(&server.wrapped_secret_id("node").await);
    again().await;
    assert_eq!(unwrapped(), 2, "a new one counts");

    // It may be taken away.
    fs::remove_file(node.folder.path().join("secret")).unwrap();
    again().await;
    assert_eq!(unwrapped(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapping_token_that_somebody_used_is_an_alarm() {
    let server = Dev::start().await;
    let (role_id, _) = approle(&server, json!({})).await;
    let wrapping = server.wrapped_secret_id("node").await;
    server.with_token(&wrapping).ok("POST", "sys/wrapping/unwrap", Value::Null).await;
    let node = Node::with_approle(server.address(), role_id, &wrapping, true);
    let error = node.refusal().await;
    is_config(&error, "somebody else may have unwrapped it");
    assert!(error.to_string().contains("revoke that, issue a new one wrapped"), "{error}");
    assert!(!error.to_string().contains(&wrapping), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapping_token_of_something_else_is_an_alarm_and_is_not_unwrapped() {
    let server = Dev::start().await;
    let (role_id, _) = approle(&server, json!({})).await;
    let wrapped = server.bao(&["write", "-wrap-ttl=5m", "-field=wrapping_token", "sys/wrapping/wrap", "secret_id=x"]);
    let wrapped = wrapped.await;
    let node = Node::with_approle(server.address(), role_id, wrapped.trim(), true);
    is_config(&node.refusal().await, "is no secret id of auth/approle");
    server.with_token(wrapped.trim()).ok("POST", "sys/wrapping/unwrap", Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_account_of_a_pod_logs_in() {
    let server = Dev::start().await;
    let kubernetes = Kubernetes::start().await;
    server.kubernetes_role(&kubernetes, "node", &["default"], "1h").await;
    let node = |role: &str, token: &str| {
        let role = role.to_owned();
        Node::new(server.address(), token, |token_file| Login::Kubernetes {
            mount: "kubernetes".into(),
            role,
            token_file,
        })
    };
    let good = node("node", &kubernetes.service_account_token());
    let open = Permissions::from_mode(0o644);
    fs::set_permissions(good.folder.path().join("secret"), open).unwrap(); // as the kubelet mounts it
    let (servers, tokens) = good.logged_in().await;
    assert!(state_of(&server, &token_of(&servers)).await.is_some());

    // The kubelet replaced it, and what it put there is read.
    good.put(&kubernetes.forged_token());
    let refused = servers.token().unwrap();
    let error = tokens.log_in(&servers, Some(&refused)).await.unwrap_err();
    is_config(&error, "auth/kubernetes refused the service account token in ");
    good.put(&kubernetes.service_account_token());
    until_logged_in(&tokens, &servers, &refused).await;

    let stranger = node("stranger", &kubernetes.service_account_token());
    is_config(&stranger.refusal().await, "there is no role stranger at auth/kubernetes");
    let other = json!({
        "bound_service_account_names": ["other"],
        "bound_service_account_namespaces": [Kubernetes::NAMESPACE],
    });
    server.ok("POST", "auth/kubernetes/role/other", other).await;
    let other = node("other", &kubernetes.service_account_token());
    is_config(&other.refusal().await, "let the role other be for that service account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_logs_in() {
    let server = Cluster::start(1).await;
    let folder = TempDir::new().unwrap();
    let (authority, other) = (Authority::new("clients", folder.path()), Authority::new("others", folder.path()));
    let api = server.on(0);
    api.cert_role("node", &authority.pem(), &["default"], "1h").await;
    let node = |authority: &Authority, name: &str, role: Option<&str>| {
        let files = authority.client(name);
        fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        let role = role.map(str::to_owned);
        let mut node = Node::new(api.address(), "unused", |_| Login::Certificate {
            mount: "cert".into(),
            role,
            certificate: files.certificate,
            key: files.key,
        });
        node.options.ca_file = Some(server.ca_file().to_owned());
        node
    };
    for role in [Some("node"), None] {
        let (servers, _) = node(&authority, "node-1", role).logged_in().await;
        assert!(state_of(&api, &token_of(&servers)).await.is_some());
    }
    let error = node(&other, "node-1", Some("node")).refusal().await;
    is_config(&error, "no role at auth/cert fits the client certificate");
    let error = node(&authority, "node-1", Some("stranger")).refusal().await;
    is_config(&error, "auth/cert");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_stays_in_its_namespace() {
    let server = Dev::start().await;
    let team = server.in_namespace("team").await;
    let (role_id, _) = approle(&team, json!({})).await;
    let mut node = Node::with_approle(server.address(), role_id, &team.wrapped_secret_id("node").await, true);
    node.options.namespace = Some("team".into());
    let (servers, _) = node.logged_in().await;
    assert!(state_of(&team, &token_of(&servers)).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_and_replaced_before_it_ends() {
    let server = Dev::start_with_audit().await;
    let (role_id, secret_id) = approle(&server, json!({"token_ttl": "6s", "token_max_ttl": "12s"})).await;
    let node = Node::with_approle(server.address(), role_id, &secret_id, false);
    let kept = Kept::start(&node);
    let first = kept.token_after("").await;
    let second = kept.token_after(&first).await;
    assert!(state_of(&server, &first).await.is_some(), "replaced while it was still good");
    assert!(state_of(&server, &second).await.is_some());
    let renewals = server.audit().iter().filter(|it| it["request"]["path"] == "auth/token/renew-self").count();
    assert!(renewals >= 2, "a request and a response for each renewal: {renewals}");
    let left = eventually("the token's end", async || kept.health.status().token_left).await;
    assert!(left <= Duration::from_secs(6), "{left:?}");

    kept.end().await;
    assert_eq!(state_of(&server, &second).await, None, "given back at the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_renewed_is_replaced_in_time() {
    let server = Dev::start().await;
    let (role_id, secret_id) = approle(&server, json!({"token_type": "batch", "token_ttl": "8s"})).await;
    let node = Node::with_approle(server.address(), role_id, &secret_id, false);
    let kept = Kept::start(&node);
    let first = kept.token_after("").await;
    kept.token_after(&first).await;
    assert!(state_of(&server, &first).await.is_some(), "replaced while it was still good");
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_outlives_a_server_that_is_away() {
    let mut server = Cluster::start(1).await;
    let (role_id, secret_id) = approle(&server.on(0), json!({"token_ttl": "3s"})).await;
    let mut node = Node::with_approle(server.on(0).address(), role_id, &secret_id, false);
    node.options.ca_file = Some(server.ca_file().to_owned());
    server.kill(0);
    let kept = Kept::start(&node);
    kept.setback("no answer").await;
    let told = kept.tokens.log_in(&kept.servers, None).await.unwrap_err();
    is_unavailable(&told, "no answer");
    server.restart(0).await;
    kept.setback("the server is sealed").await;
    server.unseal(0).await;
    let first = kept.token_after("").await;

    // It may end meanwhile.
    server.seal(0).await;
    let ended = async || (kept.health.status().token_left? == Duration::ZERO).then_some(());
    eventually("the token's end", ended).await;
    assert_eq!(token_of(&kept.servers), first, "while nothing better is there");
    server.unseal(0).await;
    let second = kept.token_after(&first).await;
    assert!(state_of(&server.on(0), &second).await.is_some());
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_finds_the_token_revoked_and_one_that_was_put_in_its_place() {
    let server = Dev::start().await;
    let first = server.token(&["default"], "3s").await;
    let node = Node::with_token(server.address(), &first);
    let kept = Kept::start(&node);
    kept.token_after("").await;
    eventually("the token's end", async || kept.health.status().token_left).await;
    server.ok("POST", "auth/token/revoke", json!({ "token": first })).await;
    kept.setback("the server refused the token in ").await;

    let second = server.token(&["default"], "1h").await;
    node.put(&second);
    assert_eq!(kept.token_after(&first).await, second);
    eventually("no trouble", async || kept.tokens.state().trouble.is_none().then_some(())).await;
    kept.end().await;
    assert!(state_of(&server, &second).await.is_some(), "it is not ours to revoke");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_does_not_unwrap_where_a_keeper_can() {
    let server = Dev::start().await;
    let (role_id, _) = approle(&server, json!({})).await;
    let node = Node::with_approle(server.address(), role_id, &server.wrapped_secret_id("node").await, true);
    let kept = Kept::start(&node);
    // It is one or the other that comes first; the caller never flies.
    if let Err(error) = kept.tokens.log_in(&kept.servers, None).await {
        is_unavailable(&error, "under way");
    }
    kept.token_after("").await;
    kept.tokens.log_in(&kept.servers, None).await.unwrap();
    kept.end().await;
}

#[test]
fn an_operator_has_a_token_of_their_own() {
    let home = TempDir::new().unwrap();
    let node = Node::with_token(NOBODY, "s.node");
    let place = |rights, set: &[(&str, &str)]| {
        let mut set: Vec<(&str, OsString)> = set.iter().map(|(name, value)| (*name, value.into())).collect();
        set.push(("HOME", home.path().into()));
        let variable = |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.clone());
        let tokens = Tokens::with(&node.options.login, rights, &variable).unwrap();
        assert!(!format!("{tokens:?}").contains("s."), "{tokens:?}");
        tokens.method.as_token().unwrap().place.to_string()
    };
    let configured = node.folder.path().join("secret").display().to_string();
    let (vault, bao) = (("VAULT_TOKEN", "s.vault"), ("BAO_TOKEN", "s.bao"));
    assert_eq!(place(Rights::Operator, &[]), configured, "for want of another");
    assert_eq!(place(Rights::Node, &[vault]), configured);
    write_private(&home.path().join(".vault-token"), "s.home\n");
    assert_eq!(place(Rights::Operator, &[]), home.path().join(".vault-token").display().to_string());
    assert_eq!(place(Rights::Operator, &[bao]), "the environment variable BAO_TOKEN");
    assert_eq!(place(Rights::Operator, &[bao, vault]), "the environment variable VAULT_TOKEN");
    assert_eq!(place(Rights::Operator, &[bao, ("VAULT_TOKEN", "")]), "the environment variable BAO_TOKEN");
    assert_eq!(place(Rights::Node, &[vault]), configured);
}

#[test]
fn an_operator_does_not_use_up_what_is_wrapped_for_a_node() {
    let node = Node::with_approle(NOBODY, "role".into(), "s.canary", true);
    let tokens = |rights, own: Option<&str>| {
        let variable = |name: &str| own.filter(|_| name == "BAO_TOKEN").map(OsString::from);
        Tokens::with(&node.options.login, rights, &variable)
    };
    let error = tokens(Rights::Operator, None).unwrap_err().to_string();
    assert!(error.contains("this needs an operator's token") && !error.contains("canary"), "{error}");
    assert!(tokens(Rights::Operator, Some("s.own")).is_ok() && tokens(Rights::Node, None).is_ok());
}

#[test]
fn what_is_missing_here_is_said_before_a_server_is_asked() {
    let node = Node::with_approle(NOBODY, "role".into(), "", true);
    let error = Tokens::new(&node.options.login, Rights::Node).unwrap_err();
    assert!(error.to_string().contains("holds no token"), "{error}");
    let node = Node::new(NOBODY, "x", |file| Login::Kubernetes {
        mount: "kubernetes".into(),
        role: "node".into(),
        token_file: file.with_file_name("none"),
    });
    let error = Tokens::new(&node.options.login, Rights::Node).unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
}

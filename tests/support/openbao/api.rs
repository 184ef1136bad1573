//! A token, and the server that it is used on: over HTTP, or by the real `bao`. Knows nothing of what Locum keeps there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::authority::Certificate;
use super::{Kubernetes, child, eventually};

/// For one call. A server that is paused takes it and never answers.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// Who asks, and whom.
#[derive(Clone)]
pub(crate) struct Api {
    address: String,
    ca_file: Option<PathBuf>,
    token: String,
    namespace: Option<String>,
    http: Client,
}

impl Api {
    /// `ca_file` is the only authority that is trusted.
    pub(crate) fn new(address: &str, ca_file: Option<&Path>, token: &str) -> Self {
        let (address, token, ca_file) = (address.to_owned(), token.to_owned(), ca_file.map(Path::to_owned));
        Self { http: client(ca_file.as_deref(), None), address, ca_file, token, namespace: None }
    }

    /// The same server, asked by somebody else.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The same, showing a certificate.
    pub(crate) fn with_certificate(&self, certificate: &Certificate) -> Self {
        Self { http: client(self.ca_file.as_deref(), Some(certificate)), ..self.clone() }
    }

    /// The same in a namespace, which is made if it is not there.
    pub(crate) async fn in_namespace(&self, name: &str) -> Self {
        self.ok("PUT", &format!("sys/namespaces/{name}"), json!({})).await;
        Self { namespace: Some(name.to_owned()), ..self.clone() }
    }

    /// `https://127.0.0.1:…`, as `[store]` takes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The only authority that it trusts.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The token.
    pub(crate) fn token_text(&self) -> &str {
        &self.token
    }

    /// One call; `Value::Null` is no body. `LIST` is a method, too.
    pub(crate) async fn api(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(method, path, body, None).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A call that must succeed; what was answered.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.api(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// The status of a call of whose answer nothing else is wanted.
    pub(crate) async fn status(&self, method: &str, path: &str, body: Value) -> u16 {
        self.api(method, path, body).await.0
    }

    /// What `sys/health` answers (200 active, 429 standby, 501 not initialised, 503 sealed); `None` if nothing does.
    pub(crate) async fn health(&self) -> Option<u16> {
        Some(self.send("GET", "sys/health", Value::Null, None).await.ok()?.0)
    }

    /// Whether something can be written, for which a server needs most of the others.
    pub(crate) async fn writes(&self) -> bool {
        let policy = json!({"policy": "path \"quorum\" { capabilities = [\"read\"] }"});
        let written = self.send("PUT", "sys/policies/acl/quorum", policy, None).await;
        written.is_ok_and(|(status, _)| (200..300).contains(&status))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Value,
        wrap: Option<&str>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.address));
        let headers = [
            ("X-Vault-Token", Some(self.token.as_str()).filter(|it| !it.is_empty())),
            ("X-Vault-Namespace", self.namespace.as_deref()),
            ("X-Vault-Wrap-TTL", wrap),
        ];
        for (name, value) in headers {
            request = if let Some(value) = value { request.header(name, value) } else { request };
        }
        if !body.is_null() {
            request = request.header("Content-Type", content).body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null)))
    }

    /// Runs `bao` to its end; the token comes from the environment.
    pub(crate) async fn try_bao(&self, arguments: &[&str]) -> Output {
        let home = TempDir::new().unwrap();
        let mut command = super::bao(home.path());
        command.args(arguments).env("BAO_ADDR", &self.address).env("BAO_TOKEN", &self.token);
        command.envs(self.ca_file.iter().map(|it| ("BAO_CACERT", it)));
        command.envs(self.namespace.iter().map(|it| ("BAO_NAMESPACE", it)));
        tokio::task::spawn_blocking(move || {
            let output = child::run(&mut command, b"");
            drop(home);
            output
        })
        .await
        .unwrap()
    }

    /// The same for a command that must succeed; what it printed.
    pub(crate) async fn bao(&self, arguments: &[&str]) -> String {
        let output = self.try_bao(arguments).await;
        let [said, complained] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(output.status.success(), "bao {arguments:?}: {said}{complained}");
        said
    }

    /// Mounts a KV engine of version 2, set up as docs/vault.md does.
    pub(crate) async fn mount_kv2(&self, path: &str) {
        self.ok("POST", &format!("sys/mounts/{path}"), json!({"type": "kv", "options": {"version": "2"}})).await;
        // It refuses everything for the moment in which it makes itself a version 2.
        let settings = json!({"cas_required": true, "max_versions": 5});
        eventually("the KV engine", async || {
            let status = self.status("POST", &format!("{path}/config"), settings.clone()).await;
            (status == 204).then_some(())
        })
        .await;
    }

    /// Makes a policy, or replaces it.
    pub(crate) async fn write_policy(&self, name: &str, text: &str) {
        self.ok("PUT", &format!("sys/policies/acl/{name}"), json!({"policy": text})).await;
    }

    /// A token with these policies, which ends after `ttl` unless it is renewed.
    pub(crate) async fn token(&self, policies: &[&str], ttl: &str) -> String {
        let wish = json!({"policies": policies, "ttl": ttl, "renewable": true});
        text(&self.ok("POST", "auth/token/create", wish).await["auth"]["client_token"])
    }

    /// Makes an AppRole whose tokens live for `ttl` unless they are renewed: its role id, and a secret id.
    pub(crate) async fn approle(&self, role: &str, policies: &[&str], ttl: &str) -> (String, String) {
        self.enable("approle").await;
        let path = format!("auth/approle/role/{role}");
        self.ok("POST", &path, json!({"token_policies": policies, "token_ttl": ttl})).await;
        let role_id = text(&self.ok("GET", &format!("{path}/role-id"), Value::Null).await["data"]["role_id"]);
        (role_id, self.secret_id(role).await)
    }

    /// One more secret id.
    pub(crate) async fn secret_id(&self, role: &str) -> String {
        let path = format!("auth/approle/role/{role}/secret-id");
        text(&self.ok("POST", &path, json!({})).await["data"]["secret_id"])
    }

    /// A token that one more secret id is wrapped in.
    pub(crate) async fn wrapped_secret_id(&self, role: &str) -> String {
        let path = format!("auth/approle/role/{role}/secret-id");
        let (_, answer) = self.send("POST", &path, json!({}), Some("5m")).await.unwrap();
        text(&answer["wrap_info"]["token"])
    }

    /// Lets those log in who show a certificate that this authority (PEM) signed.
    pub(crate) async fn cert_role(&self, role: &str, authority: &str, policies: &[&str], ttl: &str) {
        self.enable("cert").await;
        let settings = json!({"certificate": authority, "token_policies": policies, "token_ttl": ttl});
        self.ok("POST", &format!("auth/cert/certs/{role}"), settings).await;
    }

    /// Lets the one service account log in that this Kubernetes knows.
    pub(crate) async fn kubernetes_role(&self, kubernetes: &Kubernetes, role: &str, policies: &[&str], ttl: &str) {
        self.enable("kubernetes").await;
        let settings = json!({
            "kubernetes_host": kubernetes.address(),
            "token_reviewer_jwt": kubernetes.service_account_token(),
            "kubernetes_ca_cert": kubernetes.authority(),
            "disable_local_ca_jwt": true,
        });
        self.ok("POST", "auth/kubernetes/config", settings).await;
        let settings = json!({
            "bound_service_account_names": [Kubernetes::ACCOUNT],
            "bound_service_account_namespaces": [Kubernetes::NAMESPACE],
            "token_policies": policies,
            "token_ttl": ttl,
        });
        self.ok("POST", &format!("auth/kubernetes/role/{role}"), settings).await;
    }

    /// Enables a login method where it has its usual place, unless it is there.
    async fn enable(&self, method: &str) {
        let (status, answer) = self.api("POST", &format!("sys/auth/{method}"), json!({"type": method})).await;
        let is_there = status == 400 && answer.to_string().contains("path is already in use");
        assert!(status == 204 || is_there, "{method}: {status} {answer}");
    }
}

/// A string of an answer.
fn text(value: &Value) -> String {
    value.as_str().expect("the server names it").to_owned()
}

fn client(ca_file: Option<&Path>, identity: Option<&Certificate>) -> Client {
    let mut roots = RootCertStore::empty();
    let pem = ca_file.map(|it| fs::read(it).unwrap()).unwrap_or_default();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(roots);
    let tls = match identity {
        None => tls.with_no_client_auth(),
        Some(Certificate { certificate, key }) => {
            let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
            tls.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    // A server may outlive the runtime of a test, and a connection does not.
    let client = Client::builder().tls_backend_preconfigured(tls).no_proxy().pool_max_idle_per_host(0);
    client.redirect(reqwest::redirect::Policy::none()).timeout(CALL_TIME_MAX).build().unwrap()
}

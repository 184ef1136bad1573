//! A Vault set up as docs/vault.md does it: the mount, the shipped policies, an operator with a token of its own, and nodes
//! that log in with an AppRole.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locum::config::Config;
use locum::store::vault::{Rights, Vault};
use locum::store::{Options, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::openbao::Api;

const ROLE: &str = "locum-node";

/// What nodes and operators need to know of the Vault.
pub(crate) struct House {
    folder: TempDir,
    store: String,
    role_id: String,
}

impl House {
    /// `root` is one server of `addresses`. A node's token lives for `token_ttl` unless it is renewed.
    pub(crate) async fn found(root: &Api, addresses: &[String], ca_file: Option<&Path>, token_ttl: &str) -> Self {
        root.mount_kv2("locum").await;
        let folder = TempDir::new().unwrap();
        let mut store = format!("[store]\nkind = \"vault\"\naddress = {addresses:?}\nmount = \"locum\"\n");
        store += &ca_file.map(|path| format!("ca-file = {path:?}\n")).unwrap_or_default();
        let (role_id, secret_id) = root.approle(ROLE, &["locum-node"], token_ttl).await;
        let house = Self { folder, store, role_id };
        house.write_policies(root).await;
        house.put("secret-id", &secret_id);
        house.put("operator", &root.token(&["locum-operator"], "1h").await);
        house
    }

    /// The store as a node has it: its tables in `locum.toml`. `more` are lines of `[store]`.
    pub(crate) fn toml(&self, more: &str) -> String {
        self.tables(more, "approle", &format!("role-id = \"{}\"\nsecret-id-file", self.role_id), "secret-id")
    }

    /// The store as an operator has it.
    pub(crate) async fn operator(&self, more: &str) -> Arc<dyn Store> {
        let text = format!("name = \"locum.test\"\n{}{SMALLEST}", self.tables(more, "token", "token-file", "operator"));
        let config = Config::parse(&text, &self.path("locum.toml")).unwrap();
        let Options::Vault(options) = config.store else { panic!("it is a Vault") };
        // Whoever runs the tests may have a token for another Vault in the environment, which is not looked at so.
        let vault = Vault::new(&options, Rights::Node).unwrap();
        vault.connect().await.unwrap();
        Arc::new(vault)
    }

    fn tables(&self, more: &str, method: &str, key: &str, file: &str) -> String {
        format!("{}{more}[store.login]\nmethod = \"{method}\"\n{key} = {:?}\n", self.store, self.path(file))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a secret where only its owner can read it.
    fn put(&self, name: &str, secret: &str) {
        fs::write(self.path(name), secret).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// Puts the shipped policies where they are missing or were changed.
    pub(crate) async fn write_policies(&self, root: &Api) {
        for policy in ["locum-node", "locum-operator"] {
            let file = format!("{}/config/deploy/vault/{policy}.hcl", env!("CARGO_MANIFEST_DIR"));
            root.write_policy(policy, &fs::read_to_string(file).unwrap()).await;
        }
    }

    /// Ends the tokens of all nodes. There is one at least.
    pub(crate) async fn revoke_tokens(&self, root: &Api) {
        let listed = root.ok("LIST", "auth/token/accessors", Value::Null).await;
        let mut revoked = 0;
        for accessor in listed["data"]["keys"].as_array().unwrap() {
            let accessor = json!({"accessor": accessor});
            // One that ended meanwhile is not found.
            let (_, found) = root.api("POST", "auth/token/lookup-accessor", accessor.clone()).await;
            if found["data"]["meta"]["role_name"] == ROLE {
                root.ok("POST", "auth/token/revoke-accessor", accessor).await;
                revoked += 1;
            }
        }
        assert!(revoked > 0, "no node has a token");
    }

    /// Ends the secret id that nodes log in with.
    pub(crate) async fn revoke_secret_id(&self, root: &Api) {
        let secret_id = fs::read_to_string(self.path("secret-id")).unwrap();
        let path = format!("auth/approle/role/{ROLE}/secret-id/destroy");
        root.ok("POST", &path, json!({"secret_id": secret_id})).await;
    }

    /// Puts another one in its place.
    pub(crate) async fn issue_secret_id(&self, root: &Api) {
        self.put("secret-id", &root.secret_id(ROLE).await);
    }
}

/// What a configuration must have beside a store.
const SMALLEST: &str = r#"
[tls]
certificate = "tls.crt"
key = "tls.key"
[[listener]]
name = "imaps"
protocol = "imap"
bind = "127.0.0.1:0"
tls = "implicit"
[upstream.gmail]
preset = "gmail"
"#;

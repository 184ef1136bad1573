//! The program with a store of many accounts, a provider that knows them all, and a client for each: for tests that count
//! and for the benchmarks. A target that takes it in has `openbao` and `program` beside it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use locum::broker::{Directory, DirectoryError, client_secret};
use locum::config::Config;
use locum::credential;
use locum::model::{
    Account, AppPasswordFormat, Binding, Client, CredentialKind, Identity, Policy, Preference, Secret, Slots,
};
use locum::sandbox::Face;
use locum::store::vault::{Login, Rights, Vault};
use locum::store::{self, KeySource, Options, Store};
use tokio::runtime::Runtime;

use crate::openbao::Api;
use crate::program::{Home, Provider, Run, Wire, finish, trusted};

/// What the provider takes for each mailbox.
pub(crate) const APP_PASSWORD: &str = "wvxgeyajcdzxnqlw";

/// Where the one listener is.
const LISTENER: &str = r#"
[[listener]]
name = "imaps"
protocol = "imap"
bind = "127.0.0.1:0"
[admin]
bind = "127.0.0.1:0"
[audit]
path = "audit.jsonl"
"#;

/// The program in a folder of its own, and its provider. Accounts and clients are called by their numbers.
pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) provider: Provider,
    /// For what an operator types.
    environment: Vec<(&'static str, String)>,
    trust: Arc<rustls::ClientConfig>,
    secrets: Vec<Secret>,
}

impl Stage {
    /// With records in the file that `locum init` made.
    pub(crate) fn on_sqlite() -> Self {
        Self::new("key-file = \"locum.key\"", Vec::new())
    }

    /// With records in a server, on which a node and an operator have the rights that are shipped for them. `more` is for
    /// `[store]`.
    pub(crate) fn on_vault(runtime: &Runtime, root: &Api, more: &str) -> Self {
        runtime.block_on(root.mount_kv2("locum"));
        let [node, operator] = ["locum-node", "locum-operator"].map(|policy| {
            let file = format!("{}/config/deploy/vault/{policy}.hcl", env!("CARGO_MANIFEST_DIR"));
            let text = fs::read_to_string(file).unwrap();
            runtime.block_on(async {
                root.write_policy(policy, &text).await;
                root.token(&[policy], "4h").await
            })
        });
        let ca_file = root.ca_file().map(|file| format!("ca-file = \"{}\"\n", file.display())).unwrap_or_default();
        let address = root.address();
        let store = format!(
            "kind = \"vault\"\naddress = \"{address}\"\n{ca_file}{more}\n\
             [store.login]\nmethod = \"token\"\ntoken-file = \"token\""
        );
        let stage = Self::new(&store, vec![("VAULT_TOKEN", operator.clone())]);
        stage.home.write("token", node);
        stage.home.write("operator-token", operator);
        stage
    }

    /// What a node is told.
    pub(crate) fn config(&self) -> Config {
        Config::load(&self.home.path("locum.toml")).unwrap()
    }

    /// The store as an operator opens it.
    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        self.store_telling(&[]).await
    }

    /// The same for an operator who tells these nodes of each write.
    pub(crate) async fn store_telling(&self, peers: &[SocketAddr]) -> Arc<dyn Store> {
        match self.config().store {
            Options::Vault(mut options) => {
                options.peers = peers.iter().map(ToString::to_string).collect();
                options.login = Login::Token(KeySource::File(self.home.path("operator-token")));
                // By that login, whoever else has left a token on this machine.
                let vault = Vault::new(&options, Rights::Node).unwrap();
                vault.connect().await.unwrap();
                Arc::new(vault)
            }
            options => store::open(&options).await.unwrap(),
        }
    }

    fn new(store: &str, environment: Vec<(&'static str, String)>) -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        let upstream = provider.serve();
        home.write(
            "locum.toml",
            format!(
                "name = \"localhost\"\n[store]\n{store}\n[tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n\
                 upstream-ca-files = [\"upstream.crt\"]\n[upstream.exchange]\n{upstream}\n{LISTENER}"
            ),
        );
        let trust = home.trust();
        Self { home, provider, environment, trust, secrets: Vec::new() }
    }

    /// Enrols accounts and a client for each, up to so many, `at_once` records under way.
    pub(crate) async fn enrol(&mut self, up_to: usize, at_once: usize) {
        let directory = Directory::of_operator(self.store().await, "operator@stage");
        let (new, issued): (Vec<Client>, Vec<Secret>) = (self.secrets.len()..up_to).map(client).unzip();
        let accounts = (self.secrets.len()..up_to).map(account);
        accounts.clone().for_each(|account| self.provider.add(&account.name, APP_PASSWORD));
        let directory = &directory;
        let put_both = |(account, client): (Account, Client)| async move {
            directory.put_account(&account, None).await?;
            directory.put_client(&client, None).await?;
            Ok::<_, DirectoryError>(())
        };
        let puts = stream::iter(accounts.zip(new).map(put_both)).buffer_unordered(at_once);
        puts.try_collect::<()>().await.unwrap();
        self.secrets.extend(issued);
    }

    /// How many there are.
    pub(crate) fn enrolled(&self) -> usize {
        self.secrets.len()
    }

    /// A command that waits to be started, with the rights of an operator.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env_remove("BAO_TOKEN").env_remove("VAULT_TOKEN").envs(self.environment.iter().cloned());
        command
    }

    /// Runs it to its end, which must be a good one.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments).spawn().unwrap()).succeeded()
    }

    /// A connection to a node's listener, greeted.
    pub(crate) fn connect(&self, port: u16) -> Wire {
        let mut wire = Wire::tls(port, &self.trust);
        wire.expect("* OK");
        wire
    }

    /// Logs the client of that number in.
    pub(crate) fn log_in(&self, wire: &mut Wire, number: usize) {
        let secret = self.secret(number).expose_text().unwrap();
        wire.ask(&format!("a LOGIN {} {secret}", login(number)), "a OK");
    }

    /// What the client of that number proves itself with.
    pub(crate) fn secret(&self, number: usize) -> &Secret {
        &self.secrets[number]
    }
}

pub(crate) fn login(number: usize) -> String {
    format!("scanner-{number:05}")
}

pub(crate) fn address(number: usize) -> String {
    format!("mailbox-{number:05}@contoso.test")
}

/// The mailbox of that number.
pub(crate) fn account(number: usize) -> Account {
    let (id, format, now) = (client_secret::random_id().unwrap(), AppPasswordFormat::Verbatim, Timestamp::now());
    let stored = credential::new_app_password(&Secret::new(APP_PASSWORD), format, id, "scanner", now).unwrap();
    Account {
        name: address(number),
        upstream: "exchange".to_owned(),
        identity: Identity::default(),
        credentials: BTreeMap::from([(CredentialKind::AppPassword, Slots::of(stored))]),
        preference: Preference::default(),
        class: None,
    }
}

/// Its client, and the secret that was issued to it.
pub(crate) fn client(number: usize) -> (Client, Secret) {
    let (secret, issued) = client_secret::issue("first", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Account(address(number))];
    (Client { login: login(number), secrets: vec![secret], bindings, policy: Policy::default() }, issued)
}

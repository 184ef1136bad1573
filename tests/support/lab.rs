//! Locum on a stage: two look-alike providers, a store with an account and a client at each, and a listener for each
//! protocol and each way of TLS.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use locum::broker::{Directory, client_secret};
use locum::config::Config;
use locum::credential;
use locum::credential::oauth2::OAuth2;
use locum::model::{
    Account, AppPasswordFormat, Binding, Client, CredentialKind, Identity as Names, Next, NextState, Policy,
    Preference, Previous, Protocol, Secret, Slots, StoredCredential,
};
use locum::sandbox::{Behaviour, Face, Start};
use locum::store::{self, Store};
use serde_json::Value;
use tempfile::TempDir;

use super::doors::NAME;
use super::{Door, Fake, Identity, Node, Provider};

type Tune = Box<dyn FnOnce(&mut Config)>;

/// A stage to be set.
pub(crate) struct Plan {
    gmail: Start,
    store: String,
    writer: Option<Arc<dyn Store>>,
    toml: String,
    trusted: Vec<String>,
    tune: Vec<Tune>,
}

/// A stage with all that runs on it, until it is dropped.
pub(crate) struct Lab {
    /// Where alice has her mailbox. Implicit TLS, unless planned otherwise.
    pub(crate) gmail: Provider,
    /// Exchange Online, where the scanner has its mailbox. STARTTLS.
    pub(crate) exchange: Provider,
    pub(crate) alice: Actor,
    pub(crate) scanner: Actor,
    pub(crate) directory: Directory,
    pub(crate) store: Arc<dyn Store>,
    node: Node,
    config: Config,
    dir: TempDir,
}

/// A mailbox at a provider, and the client that uses it through Locum.
#[derive(Clone)]
pub(crate) struct Actor {
    /// Its login at Locum.
    pub(crate) login: String,
    /// Its secret at Locum.
    pub(crate) secret: String,
    /// Its login at the provider, and the account's name.
    pub(crate) address: String,
    /// Its secret at the provider.
    pub(crate) app_password: String,
}

impl Plan {
    pub(crate) fn new() -> Self {
        let store = FILE.to_owned();
        Self { gmail: Start::Implicit, store, writer: None, toml: String::new(), trusted: vec![], tune: vec![] }
    }

    /// How TLS begins at Gmail.
    pub(crate) fn gmail_by(mut self, start: Start) -> Self {
        self.gmail = start;
        self
    }

    /// Another store than a file: its tables in `locum.toml`, and the same store as an operator has it.
    pub(crate) fn store(mut self, toml: &str, writer: Arc<dyn Store>) -> Self {
        (self.store, self.writer) = (toml.to_owned(), Some(writer));
        self
    }

    /// More of `locum.toml`, behind all else.
    pub(crate) fn toml(mut self, text: &str) -> Self {
        self.toml.push_str(text);
        self
    }

    /// A certificate that Locum trusts upstream.
    pub(crate) fn trust(mut self, identity: &Identity) -> Self {
        self.trusted.push(identity.pems.certificate.clone());
        self
    }

    /// One more look-alike.
    pub(crate) fn provider(self, provider: &Provider) -> Self {
        self.toml(&provider.toml()).trust(&provider.identity)
    }

    /// An upstream that follows a script.
    pub(crate) fn fake(self, fake: &Fake) -> Self {
        let text = fake.toml();
        self.toml(&text)
    }

    /// Settings that no file could have: times shorter than any operator may set.
    pub(crate) fn tune(mut self, tune: impl FnOnce(&mut Config) + 'static) -> Self {
        self.tune.push(Box::new(tune));
        self
    }

    pub(crate) async fn start(mut self) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let gmail = Provider::serve("gmail", Face::Gmail, self.gmail).await;
        let exchange = Provider::serve("exchange-online", Face::ExchangeOnline, Start::StartTls).await;
        let own = Identity::of("localhost");
        write(&path.join("tls.crt"), &own.pems.certificate);
        write(&path.join("tls.key"), &own.pems.key);
        self = self.provider(&gmail).provider(&exchange);
        write(&path.join("upstreams.crt"), &self.trusted.concat());

        let text = format!("name = \"{NAME}\"\n{}{REST}{}{}", self.store, listeners(), self.toml);
        write(&path.join("locum.toml"), &text);
        let mut config = Config::parse(&text, &path.join("locum.toml")).unwrap();
        self.tune.into_iter().for_each(|tune| tune(&mut config));
        let store = match self.writer {
            Some(store) => store,
            None => {
                store::generate_key_file(&path.join("locum.key")).unwrap();
                store::create(&config.store).await.unwrap()
            }
        };
        let directory = Directory::new(Arc::clone(&store));
        let alice = enrol(&directory, "alice", "gmail", "alice.liddell@gmail.test", "qzjxkvbwphgmfydu").await;
        let scanner =
            enrol(&directory, "scanner-3f", "exchange-online", "scans@contoso.test", "wkpqmzrtxvbnlgdc").await;
        gmail.add_mailbox(&alice.address, &alice.app_password, Behaviour::Normal);
        exchange.add_mailbox(&scanner.address, &scanner.app_password, Behaviour::Normal);

        let node = Node::start(config.clone(), own.client()).await;
        Lab { gmail, exchange, alice, scanner, directory, store, node, config, dir }
    }
}

const FILE: &str = r#"
[store]
path = "locum.db"
key-file = "locum.key"
"#;

const REST: &str = r#"
[tls]
certificate = "tls.crt"
key = "tls.key"
upstream-ca-files = "upstreams.crt"
[audit]
path = "audit.jsonl"
[limits]
sessions-max = 100
"#;

fn listeners() -> String {
    let mut text = String::new();
    for protocol in Protocol::ALL {
        for door in Door::ALL {
            let tls = match door {
                Door::Implicit => "tls = \"implicit\"",
                Door::StartTls => "tls = \"starttls\"",
                Door::Plain => "tls = \"none\"\nplaintext-networks = \"127.0.0.0/8\"",
            };
            let name = door.listener(protocol);
            text += &format!(
                "[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n{tls}\n\n"
            );
        }
    }
    text
}

fn write(path: &Path, content: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// An account at an upstream, and a client that may use it.
async fn enrol(directory: &Directory, login: &str, upstream: &str, address: &str, app_password: &str) -> Actor {
    let account = Account {
        name: address.to_owned(),
        upstream: upstream.to_owned(),
        identity: Names::default(),
        credentials: BTreeMap::from([(CredentialKind::AppPassword, Slots::of(credential(app_password)))]),
        preference: Preference::default(),
        class: None,
    };
    directory.put_account(&account, None).await.unwrap();
    let (record, secret) = client_secret::issue("lab", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Account(address.to_owned())];
    let client = Client { login: login.to_owned(), secrets: vec![record], bindings, policy: Policy::default() };
    directory.put_client(&client, None).await.unwrap();
    Actor {
        login: login.to_owned(),
        secret: secret.expose_text().unwrap().to_owned(),
        address: address.to_owned(),
        app_password: app_password.to_owned(),
    }
}

/// A new version of a credential.
pub(crate) fn credential(app_password: &str) -> StoredCredential {
    let (id, format) = (client_secret::random_id().unwrap(), AppPasswordFormat::Verbatim);
    credential::new_app_password(&Secret::new(app_password), format, id, "lab", Timestamp::now()).unwrap()
}

/// In the next place, brought as far as that.
pub(crate) fn next(credential: StoredCredential, state: NextState) -> Next {
    let (op, by) = (credential.id.clone(), "operator@test".to_owned());
    Next { credential, op, by, since: Timestamp::now(), state, replaces: false, refused: None }
}

/// In the previous place, with that much of its grace left.
pub(crate) fn previous(credential: StoredCredential, left: SignedDuration) -> Previous {
    let (op, now) = (credential.id.clone(), Timestamp::now());
    Previous { credential, op, since: now, retire_at: now + left, usable: true }
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Plan::new().start().await
    }

    /// An account at an upstream, and a client that may use it. The mailbox is another matter.
    pub(crate) async fn enrol(&self, login: &str, upstream: &str, app_password: &str) -> Actor {
        enrol(&self.directory, login, upstream, &format!("{login}@mail.test"), app_password).await
    }

    /// Puts a new version of its credential into the store.
    pub(crate) async fn rotate(&self, actor: &Actor, app_password: &str) {
        let mut found = self.directory.account(&actor.address).await.unwrap().unwrap();
        let slots = Slots::of(credential(app_password));
        found.record.credentials.insert(CredentialKind::AppPassword, slots);
        self.directory.put_account(&found.record, Some(found.version)).await.unwrap();
    }

    /// Changes the places of its credentials of a kind.
    pub(crate) async fn place(&self, actor: &Actor, kind: CredentialKind, change: impl FnOnce(&mut Slots)) {
        self.alter_account(actor, |account| change(account.credentials.entry(kind).or_default())).await;
    }

    /// Changes the record of an account.
    pub(crate) async fn alter_account(&self, actor: &Actor, change: impl FnOnce(&mut Account)) {
        let mut found = self.directory.account(&actor.address).await.unwrap().unwrap();
        change(&mut found.record);
        self.directory.put_account(&found.record, Some(found.version)).await.unwrap();
    }

    /// Gives an account an OAuth2 credential, beside what it has, and returns its id.
    pub(crate) async fn grant(&self, actor: &Actor, oauth2: OAuth2) -> String {
        let id = client_secret::random_id().unwrap();
        let stored = oauth2.into_stored(id.clone(), "lab", Timestamp::now()).unwrap();
        let slots = Slots::of(stored);
        self.alter_account(actor, |account| account.credentials.extend([(CredentialKind::OAuth2, slots)])).await;
        id
    }

    /// What may be used for an account from now on, best first.
    pub(crate) async fn prefer(&self, actor: &Actor, kinds: &[CredentialKind]) {
        self.alter_account(actor, |account| account.preference.all = kinds.to_vec()).await;
    }

    /// Changes the record of a client.
    pub(crate) async fn alter(&self, actor: &Actor, change: impl FnOnce(&mut Client)) {
        let mut found = self.directory.client(&actor.login).await.unwrap().unwrap();
        change(&mut found.record);
        self.directory.put_client(&found.record, Some(found.version)).await.unwrap();
    }

    /// What the node runs by.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// One more node beside the first, set up as that but for what `tune` changes.
    pub(crate) async fn node(&self, tune: impl FnOnce(&mut Config)) -> Node {
        let mut config = self.config.clone();
        config.audit.path = None;
        tune(&mut config);
        Node::start(config, Arc::clone(&self.client_tls)).await
    }

    /// What an operator would run by.
    pub(crate) fn toml(&self) -> String {
        fs::read_to_string(self.path("locum.toml")).unwrap()
    }

    /// A file of Locum's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The audit as it stands.
    pub(crate) fn audit(&self) -> Vec<Value> {
        self.node.audit.settle();
        let text = fs::read_to_string(self.path("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The latest event of a login.
    pub(crate) fn last_event(&self, protocol: Protocol, login: &str) -> Value {
        let is_meant = |event: &Value| event["protocol"] == protocol.name() && event["login"] == login;
        self.audit().into_iter().rfind(is_meant).unwrap()
    }
}

impl Deref for Lab {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl DerefMut for Lab {
    fn deref_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

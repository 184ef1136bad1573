//! The real program with a real server: what an operator types and reads, what a node says, and that no secret is to be
//! found around either.

mod canary;
mod damage;
mod dial;
mod environment;
mod handout;
#[expect(clippy::print_stdout, reason = "what was not tested is for people")]
mod memory;
mod moving;
mod post;
mod tap;
mod verbs;

use std::any::Any;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use locum::model::{RecordId, RecordKind, Secret};
use locum::store::{self, Options, Store};
use serde_json::Value;

use crate::openbao::{Api, Cluster, Dev};
use crate::place::Place;
use crate::program::{Home, Run, finish};

const USAGE: i32 = 64;
const DATA: i32 = 65;
const NOT_FOUND: i32 = 66;
const TEMPORARY: i32 = 75;
const CONFIG: i32 = 78;

const APP_PASSWORD: &str = "abcd efgh ijkl mnop";

/// What is shipped for them.
const POLICIES: [&str; 3] = ["locum-node", "locum-operator", "locum-auditor"];

/// A folder with a configuration for a server, and the home of who works there.
struct Desk {
    home: Home,
    /// `[store]` and what follows; to be written with changes.
    config: String,
}

/// A server as docs/vault.md sets it up, and a desk before it.
struct Office {
    /// What root can do there.
    server: Api,
    desk: Desk,
    /// A token with the policy for operators.
    operator: String,
    /// The server itself; it ends with this.
    _held: Box<dyn Any + Send + Sync>,
}

impl Office {
    async fn open() -> Self {
        let dev = Dev::start().await;
        Self::before(dev.clone(), "", Box::new(dev)).await
    }

    /// With a server that speaks TLS, as in production.
    async fn open_with_tls() -> Self {
        let cluster = Cluster::start(1).await;
        let trusted = format!("ca-file = \"{}\"", cluster.ca_file().display());
        Self::before(cluster.on(0), &trusted, Box::new(cluster)).await
    }

    async fn before(server: Api, more: &str, held: Box<dyn Any + Send + Sync>) -> Self {
        server.mount_kv2("locum").await;
        write_policies(&server).await;
        let operator = server.token(&["locum-operator"], "1h").await;
        let desk = Desk::at(&server, more).await;
        Self { server, desk, operator, _held: held }
    }

    /// With the operator's token.
    fn run(&self, arguments: &[&str]) -> Run {
        self.desk.run_as(&self.operator, arguments, "")
    }

    fn run_with(&self, arguments: &[&str], stdin: &str) -> Run {
        self.desk.run_as(&self.operator, arguments, stdin)
    }

    fn add_account(&self, name: &str) {
        self.run_with(&["account", "add", name, "--upstream", "gmail", "--secret-stdin"], APP_PASSWORD).succeeded();
    }

    /// Everything that can be seen of a store through the command line.
    fn all(&self, config: &str) -> [Value; 2] {
        ["account", "client"]
            .map(|kind| self.run(&["--config", config, kind, "list", "--all", "--json"]).succeeded().json())
    }

    /// Every record of the store in the server, byte for byte.
    async fn records(&self) -> BTreeMap<RecordId, Secret> {
        records(&*open(&self.server).await).await
    }
}

async fn write_policies(server: &Api) {
    for policy in POLICIES {
        let file = format!("{}/config/deploy/vault/{policy}.hcl", env!("CARGO_MANIFEST_DIR"));
        server.write_policy(policy, &std::fs::read_to_string(file).unwrap()).await;
    }
}

/// The store in the server, as root sees it.
async fn open(server: &Api) -> Arc<dyn Store> {
    let place = Place::new(&[server.address()], None, server.token_text());
    place.connected().await
}

async fn records(store: &dyn Store) -> BTreeMap<RecordId, Secret> {
    let mut records = BTreeMap::new();
    for kind in RecordKind::ALL {
        for id in store.list(kind, None, usize::MAX).await.unwrap() {
            if let Some(record) = store.read(&id).await.unwrap() {
                records.insert(id, record.value);
            }
        }
    }
    records
}

/// The same of a store in a file.
async fn records_in(options: store::sqlite::Options) -> BTreeMap<RecordId, Secret> {
    records(&*store::open(&Options::Sqlite(options)).await.unwrap()).await
}

impl Desk {
    /// One with an AppRole for nodes; `more` goes into `[store]`.
    async fn at(server: &Api, more: &str) -> Self {
        let (role_id, secret_id) = server.approle("locum-node", &["locum-node"], "1h").await;
        let home = Home::empty();
        home.write("secret-id", format!("{secret_id}\n"));
        let config = format!(
            "kind = \"vault\"\naddress = \"{}\"\n{more}\n[store.login]\nmethod = \"approle\"\nrole-id = \"{role_id}\"\n\
             secret-id-file = \"secret-id\"\n[upstream.gmail]\npreset = \"gmail\"\n",
            server.address()
        );
        let desk = Self { home, config };
        desk.configure("locum.toml", &desk.config);
        desk
    }

    fn configure(&self, file: &str, config: &str) {
        self.home.write(file, format!("name = \"localhost\"\n[store]\n{config}"));
    }

    /// A store in a file beside it, made.
    fn file_store(&self, name: &str) -> store::sqlite::Options {
        let (path, key) = (format!("{name}.db"), format!("{name}.key"));
        let config = format!("path = \"{path}\"\nkey-file = \"{key}\"\n[upstream.gmail]\npreset = \"gmail\"\n");
        self.configure(&format!("{name}.toml"), &config);
        self.run(&["--config", &format!("{name}.toml"), "init"]).succeeded();
        store::sqlite::Options { path: self.home.path(&path), key: store::KeySource::File(self.home.path(&key)) }
    }

    /// The program for somebody who has no token, and whose home is this folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        for variable in ["VAULT_TOKEN", "BAO_TOKEN", "SUDO_USER"] {
            command.env_remove(variable);
        }
        command.env("HOME", self.home.folder()).env("USER", "olga");
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments).spawn().unwrap())
    }

    fn run_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Run {
        finish(self.command(arguments).envs(environment.iter().copied()).spawn().unwrap())
    }

    fn run_as(&self, token: &str, arguments: &[&str], stdin: &str) -> Run {
        self.home.write("stdin", stdin);
        let input = std::fs::File::open(self.home.path("stdin")).unwrap();
        finish(self.command(arguments).env("VAULT_TOKEN", token).stdin(input).spawn().unwrap())
    }
}

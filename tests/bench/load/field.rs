//! Locum as an operator has it, with all bounds as they are shipped: a store in a file, providers that behave and, if they are
//! wanted, others that do not, and clients with secrets that were issued and secrets that somebody chose.

use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use locum::broker::{Directory, client_secret};
use locum::model::{Account, Binding, Client, Protocol, Secret, SecretSource};
use locum::net::tls;
use locum::sandbox::Start;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::clients::{Caller, Doors, HONEST, trusting};
use super::fake::{Fake, Step};
use crate::program::Served;
use crate::stage::{Stage, account, address, client, login};

/// Records that are written at once.
const WRITES_AT_ONCE: usize = 32;

/// The ways in beside `imaps`, which the stage has.
const LISTENERS: &str = r#"
[[listener]]
name = "imap"
protocol = "imap"
bind = "127.0.0.1:0"
tls = "starttls"
[[listener]]
name = "pop3s"
protocol = "pop3"
bind = "127.0.0.1:0"
[[listener]]
name = "pop3"
protocol = "pop3"
bind = "127.0.0.1:0"
tls = "starttls"
[[listener]]
name = "submission"
protocol = "submission"
bind = "127.0.0.1:0"
tls = "starttls"
[[listener]]
name = "submissions"
protocol = "submission"
bind = "127.0.0.1:0"
"#;

/// What a client proves itself with. It is of this benchmark alone and worth nothing.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) login: String,
    pub(crate) secret: String,
}

/// Everything that stands still while clients come and go.
pub(crate) struct Field {
    pub(crate) stage: Stage,
    /// Clients with secrets that were issued, in the order of their accounts.
    pub(crate) issued: Vec<Key>,
    /// Clients of the same accounts with secrets that somebody chose.
    pub(crate) chosen: Vec<Key>,
    /// Clients of accounts at providers that do not behave.
    pub(crate) stuck: Vec<Key>,
    /// A file with all certificates that Locum shows.
    pub(crate) trust: PathBuf,
    /// Those providers.
    _fakes: Vec<Fake>,
}

impl Field {
    /// With so many accounts, each with a client; for so many of them another one whose secret was chosen.
    pub(crate) fn new(runtime: &Runtime, accounts: usize, chosen: usize) -> Self {
        Self::on(Stage::on_sqlite(), runtime, accounts, chosen)
    }

    /// The same on a stage that is there.
    pub(crate) fn on(mut stage: Stage, runtime: &Runtime, accounts: usize, chosen: usize) -> Self {
        stage.home.write("locum.toml", stage.home.read("locum.toml") + LISTENERS);
        runtime.block_on(stage.enrol(accounts, WRITES_AT_ONCE));
        let key = |number| {
            let secret = stage.secret(number).expose_text().unwrap().to_owned();
            Key { login: login(number), secret }
        };
        let issued = (0..accounts).map(key).collect();
        let trust = stage.home.path("tls.crt");
        let mut field = Self { stage, issued, chosen: Vec::new(), stuck: Vec::new(), trust, _fakes: Vec::new() };
        runtime.block_on(field.choose(chosen));
        field
    }

    /// Adds providers by IMAP that say nothing, that say it byte by byte, and that never end, with so many accounts each.
    pub(crate) fn with_fakes(mut self, runtime: &Runtime, accounts: usize) -> Self {
        let pems = tls::self_signed(&["localhost".to_owned()]).unwrap();
        self.stage.home.write("fakes.crt", &pems.certificate);
        let tls = tls::server_config_from_pems(&pems).unwrap();
        let mut config =
            self.stage.home.read("locum.toml").replace("[\"upstream.crt\"]", "[\"upstream.crt\", \"fakes.crt\"]");
        for (name, script) in scripts(&tls) {
            let fake = runtime.block_on(Fake::play(name, Protocol::Imap, Start::Implicit, &script));
            config += &fake.toml();
            self._fakes.push(fake);
            runtime.block_on(self.enrol_at(name, accounts));
        }
        self.stage.home.write("locum.toml", config);
        self
    }

    /// Serves, and says where.
    pub(crate) fn serve(&self) -> (Served, Caller) {
        let served = self.stage.home.serve();
        let caller = self.caller(&served);
        (served, caller)
    }

    /// Who calls one that is served.
    pub(crate) fn caller(&self, served: &Served) -> Caller {
        let port = |name: &str| served.port(name);
        let doors = Doors {
            imaps: port("imaps"),
            imap: port("imap"),
            pop3s: port("pop3s"),
            pop3: port("pop3"),
            submission: port("submission"),
            submissions: port("submissions"),
        };
        Caller { doors, trust: trusting(&self.trust), source: HONEST }
    }

    async fn directory(&self) -> Directory {
        Directory::of_operator(self.stage.store().await, "operator@field")
    }

    async fn choose(&mut self, count: usize) {
        let directory = self.directory().await;
        let keys = (0..count).map(|number| {
            let directory = &directory;
            async move {
                let (login, secret) = (format!("desk-{number:05}"), format!("correct-horse-{number:05}-battery"));
                let now = Timestamp::now();
                let chosen = client_secret::choose("", SecretSource::FirstLogin, &Secret::new(secret.as_str()), now)
                    .await
                    .unwrap();
                let bindings = vec![Binding::Account(address(number))];
                let client = Client { login: login.clone(), secrets: vec![chosen], bindings, ..client(number).0 };
                directory.put_client(&client, None).await.unwrap();
                Key { login, secret }
            }
        });
        self.chosen = stream::iter(keys).buffered(WRITES_AT_ONCE).collect().await;
    }

    async fn enrol_at(&mut self, upstream: &str, count: usize) {
        let directory = self.directory().await;
        for number in 0..count {
            let name = format!("{upstream}-{number}@contoso.test");
            let account = Account { name: name.clone(), upstream: upstream.to_owned(), ..account(number) };
            let (client, secret) = client(number);
            let client = Client { login: name.clone(), bindings: vec![Binding::Account(name)], ..client };
            directory.put_account(&account, None).await.unwrap();
            directory.put_client(&client, None).await.unwrap();
            self.stuck.push(Key { login: client.login, secret: secret.expose_text().unwrap().to_owned() });
        }
    }
}

/// What providers do that do not behave.
fn scripts(tls: &Arc<ServerConfig>) -> [(&'static str, Vec<Step>); 3] {
    let behind_tls = |step| vec![Step::Tls(Arc::clone(tls)), step];
    [
        ("silent", behind_tls(Step::Silence)),
        ("dripping", behind_tls(Step::Drip("* OK so slow that nobody waits for the end of it "))),
        ("endless", behind_tls(Step::Flood("* OK there is more\r\n"))),
    ]
}

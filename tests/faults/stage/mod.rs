//! What the faults are put to: real servers with a mailbox for each row, Locum before them as a process of its own, something
//! in between for each row that strikes when told ([`Tap`]), clients, and others that must notice nothing ([`Bystanders`]).
//! Nothing here decides whether a test passes, but for the bystanders.

mod bystanders;
mod client;
mod locum;
mod nameserver;
mod provider;
mod reason;
mod struck;
mod tap;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ::locum::broker::{Directory, client_secret};
use ::locum::config::Config;
use ::locum::credential;
use ::locum::model::{
    Account, AppPasswordFormat, Binding, Client as Record, CredentialKind, Identity, Policy, Preference, Protocol,
    Secret, Slots,
};
use ::locum::store::{self, Options, Store};
use jiff::Timestamp;

pub(crate) use self::bystanders::Bystanders;
pub(crate) use self::client::{Client, Ending, View};
pub(crate) use self::locum::Node;
pub(crate) use self::nameserver::{Answer, Nameserver};
pub(crate) use self::provider::{PASSWORD, Provider, trusting};
pub(crate) use self::reason::{Reason, settled};
pub(crate) use self::tap::{Act, Fault, Front, Tap, When};
use crate::endpoint::Tls;
use crate::openbao::eventually;

/// What nobody strikes: the mailbox of the bystanders.
pub(crate) const HEALTHY: &str = "bystander";

/// The bounds that the rows name, as short as an operator may set them.
pub(crate) const LIMITS: &str = "dial-timeout = \"2s\"\ntls-handshake-timeout = \"4s\"\n\
     upstream-login-timeout = \"30s\"\ngate-timeout = \"5s\"\nprobe-interval = \"1d\"\ndrain-timeout = \"1s\"\n";

/// By when a client has its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    AtOnce,
    Dial,
    Handshake,
    Login,
}

impl Bound {
    /// The name for the page: a key of `[limits]`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::Dial => "`dial-timeout`",
            Self::Handshake => "`tls-handshake-timeout`",
            Self::Login => "`upstream-login-timeout`",
        }
    }

    /// The longest that an answer may take, with what a busy machine adds.
    pub(crate) fn longest(self) -> Duration {
        const BUSY: Duration = Duration::from_secs(6);
        BUSY + match self {
            Self::AtOnce => Duration::ZERO,
            Self::Dial => Duration::from_secs(2),
            Self::Handshake => Duration::from_secs(4),
            Self::Login => Duration::from_secs(30),
        }
    }
}

/// A mailbox, and the client that uses it through Locum.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) login: String,
    pub(crate) secret: String,
}

/// What is to be set up.
pub(crate) struct Plan {
    /// The rows: each gets a mailbox, an upstream with a tap for each protocol, and a client, all of that name.
    pub(crate) rows: Vec<&'static str>,
    /// Of these, those that are reached by STARTTLS.
    pub(crate) starttls: Vec<&'static str>,
    /// Lines of `[audit]` beside its path.
    pub(crate) audit: &'static str,
    /// `[store]` with all that belongs to it, and the same store as an operator has it; else it is a file.
    pub(crate) store: Option<(String, Arc<dyn Store>)>,
    /// The name by which the upstreams of rows are called, and on which address they are.
    pub(crate) host: &'static str,
    /// Whether Locum goes straight to the servers, past the taps.
    pub(crate) is_direct: bool,
    /// Whether the bystanders' mailbox is at a provider of its own.
    pub(crate) healthy_elsewhere: bool,
    /// How the program is started.
    pub(crate) launch: fn(&Provider) -> Command,
}

impl Plan {
    pub(crate) fn new(rows: &[&'static str]) -> Self {
        let launch = |_: &Provider| Command::new(env!("CARGO_BIN_EXE_locum"));
        let (rows, starttls) = (rows.to_vec(), Vec::new());
        let (is_direct, healthy_elsewhere) = (false, false);
        Self { rows, starttls, audit: "", store: None, host: "localhost", is_direct, healthy_elsewhere, launch }
    }

    pub(crate) async fn start(self) -> Stage {
        let all: Vec<_> = [HEALTHY].into_iter().chain(self.rows.iter().copied()).collect();
        let provider = tokio::task::spawn_blocking({
            let (names, host) = (all.clone(), self.host);
            move || Provider::start(&names, host)
        });
        let provider = provider.await.unwrap();
        let mut fronts = BTreeMap::new();
        for name in &all {
            fronts.insert(*name, Front::before(&provider, self.starttls.contains(name)).await);
        }
        let mut elsewhere = None;
        if self.healthy_elsewhere {
            let starting = tokio::task::spawn_blocking(|| Provider::start(&[HEALTHY], "localhost"));
            elsewhere = Some(starting.await.unwrap());
        }
        if let Some(elsewhere) = &elsewhere {
            fronts[HEALTHY].lead_to(elsewhere);
        }
        let text = self.configuration(&provider, &fronts);
        let file = provider.scratch.write_secret("locum/locum.toml", &text);
        let config = Config::parse(&text, &file).unwrap();
        let store = match &self.store {
            Some((_, store)) => Arc::clone(store),
            None => make_store(&config, provider.scratch.path("locum/store.key")).await,
        };
        let directory = Directory::new(store);
        let mut actors = BTreeMap::new();
        for name in &all {
            actors.insert(*name, enrol(&directory, name).await);
        }
        let node = Node::start((self.launch)(&provider), &provider).await;
        Stage { node, fronts, actors, directory, provider, _elsewhere: elsewhere }
    }

    fn configuration(&self, provider: &Provider, fronts: &BTreeMap<&'static str, Front>) -> String {
        let at = |name: &str| provider.scratch.path(name).display().to_string();
        let store = match &self.store {
            Some((toml, _)) => toml.clone(),
            None => format!("[store]\npath = {:?}\nkey-file = {:?}\n", at("locum/store.db"), at("locum/store.key")),
        };
        let mut text = format!(
            "name = \"localhost\"\n\n{store}\n[rotation]\nkeeper = false\n\n[limits]\n{LIMITS}\n[admin]\nbind = \
             \"127.0.0.1:0\"\n\n[telemetry]\nlog = \"info\"\n\n[audit]\npath = {audit:?}\n{more}\n[tls]\ncertificate = \
             {certificate:?}\nkey = {key:?}\nupstream-ca-files = [{authority:?}]\n\n",
            audit = at("audit/audit.jsonl"),
            more = self.audit,
            certificate = at("own.pem"),
            key = at("own.key"),
            authority = provider.authority.file(),
        );
        for protocol in Protocol::ALL {
            text +=
                &format!("[[listener]]\nname = \"{protocol}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n\n");
        }
        for (name, front) in fronts {
            let tls = if self.starttls.contains(name) { "starttls" } else { "implicit" };
            let host = if *name == HEALTHY { "localhost" } else { self.host };
            for protocol in Protocol::ALL {
                let is_direct = self.is_direct && *name != HEALTHY;
                let tap = front.of(protocol).port();
                let port = if is_direct { provider.port(protocol, Tls::Implicit) } else { tap };
                text += &format!("[upstream.{name}.{protocol}]\nhost = \"{host}\"\nport = {port}\ntls = \"{tls}\"\n\n");
            }
        }
        text
    }
}

async fn make_store(config: &Config, key: PathBuf) -> Arc<dyn Store> {
    assert!(matches!(config.store, Options::Sqlite(_)), "another kind is made by whoever plans it");
    store::generate_key_file(&key).unwrap();
    store::create(&config.store).await.unwrap()
}

async fn enrol(directory: &Directory, name: &str) -> Actor {
    let address = format!("{name}@example.test");
    let id = client_secret::random_id().unwrap();
    let format = AppPasswordFormat::Verbatim;
    let stored = credential::new_app_password(&Secret::new(PASSWORD), format, id, "faults", Timestamp::now()).unwrap();
    let account = Account {
        name: address.clone(),
        upstream: name.to_owned(),
        identity: Identity::default(),
        credentials: BTreeMap::from([(CredentialKind::AppPassword, Slots::of(stored))]),
        preference: Preference::default(),
        class: None,
    };
    directory.put_account(&account, None).await.unwrap();
    let (record, secret) = client_secret::issue("faults", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Account(address)];
    let client = Record { login: name.to_owned(), secrets: vec![record], bindings, policy: Policy::default() };
    directory.put_client(&client, None).await.unwrap();
    Actor { login: name.to_owned(), secret: secret.expose_text().unwrap().to_owned() }
}

/// All that was set up, until it is dropped. Locum ends first.
pub(crate) struct Stage {
    pub(crate) node: Node,
    fronts: BTreeMap<&'static str, Front>,
    actors: BTreeMap<&'static str, Actor>,
    pub(crate) directory: Directory,
    pub(crate) provider: Provider,
    _elsewhere: Option<Provider>,
}

impl Stage {
    /// What stands before the mailbox of a row.
    pub(crate) fn front(&self, name: &str) -> &Front {
        &self.fronts[name]
    }

    pub(crate) fn actor(&self, name: &str) -> &Actor {
        &self.actors[name]
    }

    /// A client of a row, connected.
    pub(crate) async fn client(&self, protocol: Protocol) -> Client {
        Client::connect(&self.node, protocol).await
    }

    /// One login of a row's client: what it is told, and after how long.
    pub(crate) async fn log_in(&self, name: &str, protocol: Protocol) -> (Client, View, Duration) {
        let began = tokio::time::Instant::now();
        let mut client = self.client(protocol).await;
        let view = client.log_in(self.actor(name)).await;
        (client, view, began.elapsed())
    }

    /// A login that must succeed.
    #[track_caller]
    pub(crate) fn enter(&self, name: &'static str, protocol: Protocol) -> impl Future<Output = Client> {
        let caller = std::panic::Location::caller();
        async move {
            let (client, view, _) = self.log_in(name, protocol).await;
            assert_eq!(view, View::LetIn, "{caller}: {name} by {protocol}; {}", self.node.log_tail());
            client
        }
    }

    /// How many failed logins of a row the audit has: see [`Stage::reason`].
    pub(crate) fn failures(&self, name: &str, protocol: Protocol) -> usize {
        self.reasons(name, protocol).len()
    }

    fn reasons(&self, name: &str, protocol: Protocol) -> Vec<String> {
        let events = self.node.audit().into_iter().filter(|event| {
            event["event"] == "upstream"
                && event["outcome"] == "failed"
                && event["login"] == name
                && event["protocol"] == protocol.name()
        });
        events.map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// What the audit says of a login that failed at the provider when there had been so many before.
    pub(crate) async fn reason(&self, name: &str, protocol: Protocol, before: usize) -> Reason {
        let what = format!("a failed login of {name} by {protocol} in the audit");
        let reason = eventually(&what, async || self.reasons(name, protocol).into_iter().nth(before));
        Reason::read(&reason.await)
    }
}

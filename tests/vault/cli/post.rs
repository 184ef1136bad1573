//! A node that serves clients from records in a Vault, with a provider behind it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use locum::model::{Protocol, Secret};
use locum::net::tls;
use locum::sandbox::{self, Behaviour, Face, Sandbox, Start};
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Office, tap::Tap};
use crate::program::{Served, Wire, trusted};

/// The office, a provider, and where there is no TLS a tap between the node and the server.
pub(super) struct Post {
    pub(super) office: Office,
    provider: Sandbox,
    tap: Option<Tap>,
    trust: Arc<ClientConfig>,
}

/// What a login is answered with, by its first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    In,
    Wrong,
    Later,
}

impl Post {
    /// `store` goes into `[store]`, `rest` behind all else.
    pub(super) async fn set(store: &str, rest: &str) -> Self {
        let office = Office::open().await;
        let tap = Tap::before(office.server.address());
        Self::at(office, Some(tap), store, rest).await
    }

    /// The same before a server that speaks TLS.
    pub(super) async fn set_with_tls(store: &str) -> Self {
        Self::at(Office::open_with_tls().await, None, store, "").await
    }

    async fn at(office: Office, tap: Option<Tap>, store: &str, rest: &str) -> Self {
        let home = &office.desk.home;
        let pems = trusted(home);
        let host = "mx.provider.test".to_owned();
        let tls = tls::server_config_from_pems(&pems).unwrap();
        let provider = Sandbox::new(sandbox::Options { face: Face::Gmail, host, tls, junk_delay: Duration::ZERO });
        let port = serve(&provider).await;
        let own = tls::self_signed(&["localhost".to_owned()]).unwrap();
        home.write("tls.crt", &own.certificate);
        home.write("tls.key", own.key.as_bytes());
        let (before, _) = office.desk.config.split_once("[upstream.gmail]").unwrap();
        let address = tap.as_ref().map_or(office.server.address(), Tap::address);
        let config = before
            .replace(office.server.address(), address)
            .replace("[store.login]", &format!("{store}\n[store.login]"));
        office.desk.configure(
            "node.toml",
            &format!(
                "{config}\n[tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\nupstream-ca-files = [\"upstream.crt\"]\n\
                 [upstream.gmail]\napp-password-format = \"spaces-are-cosmetic\"\nimap = {{ host = \"localhost\", port = {port}, tls = \"implicit\" }}\n[admin]\nbind = \"127.0.0.1:0\"\n\
                 [[listener]]\nname = \"imaps\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n{rest}"
            ),
        );
        let trust = home.trust();
        Self { office, provider, tap, trust }
    }

    pub(super) fn tap(&self) -> &Tap {
        self.tap.as_ref().expect("there is no TLS in this test")
    }

    /// An account with that app password, its mailbox, and a client for it; the client's secret.
    pub(super) fn enrol(&self, login: &str, app_password: &str) -> String {
        let address = format!("{login}@gmail.test");
        let add = ["--config", "node.toml", "account", "add", &address, "--upstream", "gmail", "--secret-stdin"];
        self.office.run_with(&add, app_password).succeeded();
        let password = Secret::new(app_password.replace(' ', ""));
        self.provider.add_account(sandbox::Account {
            address: address.clone(),
            password,
            behaviour: Behaviour::Normal,
        });
        let issued = self.office.run(&["client", "issue", login, "--account", &address]).succeeded();
        issued.stdout.trim().to_owned()
    }

    pub(super) fn serve(&self) -> Served {
        let served = Served::start(self.office.desk.command(&["--config", "node.toml", "serve"]));
        served.wait_for_log("ready");
        served
    }

    /// One login, and out again.
    pub(super) fn log_in(&self, served: &Served, login: &str, secret: &str) -> Answer {
        let mut wire = Wire::tls(served.port("imaps"), &self.trust);
        wire.expect("* OK");
        let answer = wire.ask(&format!("a LOGIN {login} {secret}"), "a ");
        if answer.starts_with("a OK") {
            wire.ask("b LOGOUT", "b OK");
            wire.drain();
            return Answer::In;
        }
        if answer.contains("[UNAVAILABLE]") { Answer::Later } else { Answer::Wrong }
    }
}

/// The port where the provider serves IMAP, for as long as the test runs.
async fn serve(provider: &Sandbox) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let provider = provider.clone();
    tokio::spawn(async move {
        provider.serve(Protocol::Imap, Start::Implicit, listener, CancellationToken::new()).await;
    });
    port
}

/// What the admin listener answers.
pub(super) fn get(served: &Served, path: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", served.port("admin"))).unwrap();
    socket
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

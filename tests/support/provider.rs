//! The look-alike provider on ports of its own, and the lines of `locum.toml` that lead there.

use std::time::Duration;

use locum::model::{Protocol, Secret};
use locum::sandbox::{Account, Behaviour, Face, Login, Options, Sandbox, Start};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::Identity;

/// A sandbox that serves all protocols until it is dropped.
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    pub(crate) sandbox: Sandbox,
    pub(super) identity: Identity,
    face: Face,
    start: Start,
    ports: Vec<(Protocol, u16)>,
    serving: TaskTracker,
    stop: DropGuard,
}

impl Provider {
    pub(crate) async fn serve(name: &'static str, face: Face, start: Start) -> Self {
        let identity = Identity::of("localhost");
        let tls = identity.server.clone();
        let host = format!("mx.{name}.test");
        let sandbox = Sandbox::new(Options { face, host, tls, junk_delay: Duration::ZERO });
        let stop = CancellationToken::new();
        let (mut ports, serving) = (Vec::new(), TaskTracker::new());
        for protocol in Protocol::ALL {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push((protocol, listener.local_addr().unwrap().port()));
            let (sandbox, stop) = (sandbox.clone(), stop.clone());
            serving.spawn(async move { sandbox.serve(protocol, start, listener, stop).await });
        }
        Self { name, sandbox, identity, face, start, ports, serving, stop: stop.drop_guard() }
    }

    /// A mailbox with one message.
    pub(crate) fn add_mailbox(&self, address: &str, password: &str, behaviour: Behaviour) {
        self.sandbox.add_account(Account { address: address.to_owned(), password: Secret::new(password), behaviour });
        self.sandbox.deliver(address, b"Subject: Welcome\r\n\r\nGood to see you.\r\n");
    }

    /// From now on it takes no connection, and those that are there end.
    pub(crate) async fn vanish(self) {
        drop(self.stop);
        self.serving.close();
        self.serving.wait().await;
    }

    pub(crate) fn logins(&self) -> Vec<Login> {
        self.sandbox.logins()
    }

    pub(crate) fn has_seen(&self, secret: &str) -> bool {
        self.sandbox.was_presented(&Secret::new(secret))
    }

    /// Its table in `locum.toml`.
    pub(super) fn toml(&self) -> String {
        let preset = match self.face {
            Face::Gmail => "preset = \"gmail\"\n",
            Face::ExchangeOnline => "preset = \"exchange-online\"\n",
            Face::ExchangeWithPasswords => "",
        };
        let tls = match self.start {
            Start::Implicit => "implicit",
            Start::StartTls => "starttls",
        };
        let endpoint = |(protocol, port): &(Protocol, u16)| {
            format!("{protocol} = {{ host = \"localhost\", port = {port}, tls = \"{tls}\" }}\n")
        };
        let endpoints: String = self.ports.iter().map(endpoint).collect();
        format!("[upstream.{}]\n{preset}{endpoints}\n", self.name)
    }
}

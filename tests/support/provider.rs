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
    authority_port: u16,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority_port = listener.local_addr().unwrap().port();
        let (authority, until) = (sandbox.clone(), stop.clone());
        serving.spawn(async move { authority.serve_authority(listener, until).await });
        Self { name, sandbox, identity, face, start, ports, authority_port, serving, stop: stop.drop_guard() }
    }

    /// Where its authority is: `https://localhost:…`.
    pub(crate) fn authority(&self) -> String {
        format!("https://localhost:{}", self.authority_port)
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
        format!("[upstream.{}]\n{preset}{endpoints}\n{}", self.name, self.oauth2_toml())
    }

    fn oauth2_toml(&self) -> String {
        let authority = self.authority();
        let urls = match self.face {
            Face::Gmail => format!(
                "token-url = \"{authority}/token\"\n\
                 authorize-url = \"{authority}/o/oauth2/v2/auth?access_type=offline&prompt=consent\"\n"
            ),
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                let url =
                    |key: &str, word: &str| format!("{key}-url = \"{authority}/{{tenant}}/oauth2/v2.0/{word}\"\n");
                // As in the preset, which one of the faces has not.
                let outlook = "https://outlook.office.com";
                let delegated = ["IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"];
                let delegated: String = delegated.iter().map(|scope| format!("\"{outlook}/{scope}\", ")).collect();
                let scopes = format!(
                    "application-scopes = \"https://outlook.office365.com/.default\"\n\
                     delegated-scopes = [{delegated}\"offline_access\"]\n"
                );
                let urls = [url("token", "token"), url("authorize", "authorize"), url("device", "devicecode")];
                format!("{}{scopes}", urls.concat())
            }
        };
        format!("[upstream.{}.oauth2]\n{urls}\n", self.name)
    }
}

//! One Locum in this process, and the clients that come through its doors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use locum::app::App;
use locum::audit::Audit;
use locum::config::Config;
use locum::model::Protocol;
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Actor, Wire, plain};

/// What Locum calls itself.
pub(super) const NAME: &str = "locum.test";

/// Locum, running until it is dropped.
pub(crate) struct Node {
    /// What it records.
    pub(super) audit: Audit,
    doors: Doors,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// Where clients come in. Clones are the same doors.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) client_tls: Arc<ClientConfig>,
    addresses: Arc<BTreeMap<String, SocketAddr>>,
}

/// The ways in: one listener each, for each protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Implicit,
    StartTls,
    /// Without TLS, from a network that the listener names.
    Plain,
}

impl Door {
    pub(crate) const ALL: [Self; 3] = [Self::Implicit, Self::StartTls, Self::Plain];

    pub(crate) fn listener(self, protocol: Protocol) -> String {
        match self {
            Self::Implicit => format!("{protocol}s"),
            Self::StartTls => protocol.to_string(),
            Self::Plain => format!("{protocol}-plain"),
        }
    }
}

impl Node {
    pub(super) async fn start(config: Config, client_tls: Arc<ClientConfig>) -> Self {
        let app = App::build(config).await.unwrap();
        let audit = app.audit();
        let addresses = Arc::new(app.addresses().into_iter().collect());
        let stop = CancellationToken::new();
        let running = tokio::spawn(app.run(stop.clone()));
        Self { audit, doors: Doors { client_tls, addresses }, stop, running }
    }

    /// Tells Locum to stop.
    pub(crate) fn drain(&self) {
        self.stop.cancel();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(&mut self) {
        tokio::time::timeout(Duration::from_secs(20), &mut self.running).await.unwrap().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Deref for Node {
    type Target = Doors;

    fn deref(&self) -> &Doors {
        &self.doors
    }
}

impl Doors {
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        self.addresses[listener]
    }

    /// A connection through that door, under TLS if the door has it, and greeted.
    pub(crate) async fn connect(&self, protocol: Protocol, door: Door) -> Wire {
        let mut wire = Wire::connect(self.address(&door.listener(protocol))).await;
        match door {
            Door::Plain => {}
            Door::Implicit => wire = wire.start_tls(&self.client_tls).await,
            Door::StartTls => {
                wire.line().await;
                let go_ahead = match protocol {
                    Protocol::Imap => wire.ask("s STARTTLS").await,
                    Protocol::Pop3 => wire.ask("STLS").await,
                    Protocol::Submission => {
                        wire.ehlo().await;
                        wire.ask("STARTTLS").await
                    }
                };
                let expected = match protocol {
                    Protocol::Imap => "s OK Begin TLS",
                    Protocol::Pop3 => "+OK Begin TLS negotiation",
                    Protocol::Submission => "220 2.0.0 Ready to start TLS",
                };
                assert_eq!(go_ahead, expected);
                return wire.start_tls(&self.client_tls).await;
            }
        }
        let greeting = wire.line().await;
        let expected = match protocol {
            Protocol::Imap => "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN] locum.test ready",
            Protocol::Pop3 => "+OK locum.test ready",
            Protocol::Submission => "220 locum.test ESMTP Locum ready",
        };
        assert_eq!(greeting, expected);
        wire
    }

    /// The same through the door of implicit TLS; submission has said EHLO.
    pub(crate) async fn open(&self, protocol: Protocol) -> Wire {
        let mut wire = self.connect(protocol, Door::Implicit).await;
        if protocol == Protocol::Submission {
            wire.ehlo().await;
        }
        wire
    }

    /// One login, and what it is answered.
    pub(crate) async fn present(&self, protocol: Protocol, login: &str, secret: &str) -> (Wire, String) {
        let mut wire = self.open(protocol).await;
        let answer = present(&mut wire, protocol, login, secret).await;
        (wire, answer)
    }

    /// A client that is logged in.
    pub(crate) async fn log_in(&self, protocol: Protocol, actor: &Actor) -> Wire {
        let (wire, answer) = self.present(protocol, &actor.login, &actor.secret).await;
        assert!(["a OK ", "+OK ", "235 "].iter().any(|start| answer.starts_with(start)), "{answer}");
        wire
    }
}

/// One login on a connection that is ready for one, and what it is answered.
pub(crate) async fn present(wire: &mut Wire, protocol: Protocol, login: &str, secret: &str) -> String {
    match protocol {
        Protocol::Imap => wire.ask(&format!("a LOGIN {login} {secret}")).await,
        Protocol::Pop3 => {
            assert_eq!(wire.ask(&format!("USER {login}")).await, "+OK Send the password");
            wire.ask(&format!("PASS {secret}")).await
        }
        Protocol::Submission => wire.ask(&format!("AUTH PLAIN {}", plain("", login, secret))).await,
    }
}

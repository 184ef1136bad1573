//! Locum: the real program, started, killed and started again, and what it says of itself: log, audit, `/readyz`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use locum::model::Protocol;
use rustix::process::Signal;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Provider;
use crate::child::{self, Server};
use crate::openbao::eventually;

/// How much of the log is shown with a failure.
const TAIL_LINES: usize = 30;

/// A process, until it is dropped, or the way to one: see [`Node::handle`].
pub(crate) struct Node {
    server: Option<Server>,
    ports: BTreeMap<String, u16>,
    trust: Arc<ClientConfig>,
    /// The folder of configuration, log and audit.
    folder: PathBuf,
    /// Where the process has the audit: another place, where the folder is its own.
    audit: PathBuf,
}

/// What `/readyz` answers.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) status: u16,
    pub(crate) said: Value,
}

impl Look {
    /// State and reason of one of its checks.
    pub(crate) fn check(&self, name: &str) -> (&str, &str) {
        let checks = self.said["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{self:?}"));
        (check["state"].as_str().unwrap(), check["reason"].as_str().unwrap_or_default())
    }
}

impl Node {
    /// Starts `command`, which runs the program, and waits until it is ready.
    pub(super) async fn start(command: Command, provider: &Provider) -> Self {
        let folder = provider.scratch.path("");
        let mut node = Self {
            server: None,
            ports: BTreeMap::new(),
            trust: Arc::clone(&provider.trusts_locum),
            audit: folder.join("audit/audit.jsonl"),
            folder,
        };
        node.run(command).await;
        node
    }

    /// The same where it was killed. Its listeners are elsewhere from then on.
    pub(crate) async fn run(&mut self, mut command: Command) {
        let output = self.folder.join("locum.out");
        let file = File::options().create(true).append(true).open(&output).unwrap();
        let from = self.log().len();
        command.arg("serve").arg("--config").arg(self.folder.join("locum/locum.toml"));
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut server = Server::spawn("Locum", &mut command, vec![output]);
        let said = eventually("Locum to be ready", async || {
            let said = self.log()[from..].to_owned();
            assert!(!server.has_ended(), "Locum ended: {said}");
            said.contains(" ready").then_some(said)
        });
        self.ports = listeners(&said.await);
        self.server = Some(server);
    }

    /// The way to it, for a task of its own.
    pub(crate) fn handle(&self) -> Self {
        let Self { ports, trust, folder, audit, .. } = self;
        let [folder, audit] = [folder, audit].map(Clone::clone);
        Self { server: None, ports: ports.clone(), trust: Arc::clone(trust), folder, audit }
    }

    pub(crate) fn port(&self, protocol: Protocol) -> u16 {
        self.ports[protocol.name()]
    }

    pub(super) fn trust(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.trust)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().expect("it runs").pid()
    }

    /// From now on the audit is read there.
    pub(crate) fn audit_is_at(&mut self, path: PathBuf) {
        self.audit = path;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("it runs").signal(signal);
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("locum.out")).unwrap_or_default()
    }

    /// The end of the log, for a failure.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// The events of the audit; a line that is being written is not among them.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.audit).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What `locum audit verify` says of it.
    pub(crate) fn verify_audit(&self) -> Output {
        let mut verify = Command::new(env!("CARGO_BIN_EXE_locum"));
        verify.args(["audit", "verify", "--config"]).arg(self.folder.join("locum/locum.toml")).arg(&self.audit);
        child::run(&mut verify, b"")
    }

    pub(crate) fn audit_file(&self) -> &Path {
        &self.audit
    }

    /// Runs the program beside it, by the same configuration.
    pub(crate) fn operator(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
        command.args(arguments).arg("--config").arg(self.folder.join("locum/locum.toml"));
        child::run(&mut command, input)
    }

    pub(crate) async fn look(&self) -> Look {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports["admin"])).await.unwrap();
        let head = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        socket.write_all(head).await.unwrap();
        let mut answer = String::new();
        let reading = socket.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Look { status, said: serde_json::from_str(body).unwrap() }
    }

    /// Waits until one of the checks is in that state.
    pub(crate) async fn look_until(&self, check: &str, state: &str) -> Look {
        eventually(&format!("{check} to be {state} in /readyz"), async || {
            let look = self.look().await;
            (look.check(check).0 == state).then_some(look)
        })
        .await
    }
}

/// The ports of the listeners by their names, from the lines of the log that say where it listens.
fn listeners(log: &str) -> BTreeMap<String, u16> {
    let mut ports = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains("listening")) {
        let after = |mark: &str| line.split(mark).nth(1);
        let digits = after("127.0.0.1:").map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        let Some(port) = digits.and_then(|digits| digits.parse().ok()) else { continue };
        let name = after("listener=\"").and_then(|rest| rest.split('"').next()).unwrap_or("admin");
        ports.insert(name.to_owned(), port);
    }
    ports
}

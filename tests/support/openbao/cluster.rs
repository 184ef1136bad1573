//! Servers as in production: TLS, Raft on disk, an audit device, one key to unseal them. What can go wrong with them can
//! be made to.

use std::fs;
use std::path::{Path, PathBuf};

use futures::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::authority::Certificate;
use super::child::{Server, free_port};
use super::{Api, Audit, Authority, STARTS_MAX, bao, eventually, spawn};

/// The servers, until this is dropped. They are called by their number, from 0.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    authority: Authority,
    unseal_key: String,
    root_token: String,
    _folder: TempDir,
}

struct Node {
    server: Server,
    address: String,
    folder: PathBuf,
}

impl Cluster {
    /// Initialised, unsealed, and of one mind who leads: the first, at first.
    pub(crate) async fn start(count: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new("server-authority", folder.path());
        let certificate = authority.server();
        let mut nodes = Vec::new();
        for number in 0..count {
            nodes.push(Node::start(&folder.path().join(format!("node{number}")), &authority, &certificate).await);
        }
        let first = Api::new(&nodes[0].address, Some(authority.file()), "");
        let made = first.ok("PUT", "sys/init", json!({"secret_shares": 1, "secret_threshold": 1})).await;
        let [unseal_key, root_token] =
            [&made["keys_base64"][0], &made["root_token"]].map(|it| it.as_str().unwrap().to_owned());
        let cluster = Self { nodes, authority, unseal_key, root_token, _folder: folder };
        cluster.unseal(0).await;
        cluster.wait_for(0, 200).await;
        cluster.join_the_first().await;
        cluster
    }

    /// The others follow the first, each with a vote.
    async fn join_the_first(&self) {
        let (first, authority) = (&self.nodes[0].address, self.authority.pem());
        let offer = json!({"leader_api_addr": first, "leader_ca_cert": authority});
        join_all((1..self.nodes.len()).map(async |node| {
            self.on(node).ok("POST", "sys/storage/raft/join", offer.clone()).await;
            self.unseal(node).await;
            self.wait_for(node, 429).await;
        }))
        .await;
    }

    /// What the root token can do, by way of that node.
    pub(crate) fn on(&self, node: usize) -> Api {
        Api::new(&self.nodes[node].address, Some(self.ca_file()), &self.root_token)
    }

    /// `https://127.0.0.1:…` of each.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|it| it.address.clone()).collect()
    }

    /// What that node is asked.
    pub(crate) fn audit(&self, node: usize) -> Audit {
        Audit::of(self.nodes[node].folder.join("audit.jsonl"))
    }

    /// Who signed their certificates.
    pub(crate) fn ca_file(&self) -> &Path {
        self.authority.file()
    }

    /// The node that leads, as soon as there is one.
    pub(crate) async fn leader(&self) -> usize {
        eventually("a leader", async || {
            for node in 0..self.nodes.len() {
                if self.health(node).await == Some(200) {
                    return Some(node);
                }
            }
            None
        })
        .await
    }

    /// Until one leads that the others follow: whoever led before they all stood still says for a moment that it still does.
    pub(crate) async fn wait_for_quorum(&self) {
        eventually("a leader that can write", async || {
            let leader = self.on(self.leader().await);
            let written = tokio::time::timeout(std::time::Duration::from_secs(1), leader.writes()).await;
            written.is_ok_and(|is_written| is_written).then_some(())
        })
        .await;
    }

    /// What that node says of itself: see [`Api::health`].
    pub(crate) async fn health(&self, node: usize) -> Option<u16> {
        // A node that is down is asked without waiting, and one that is paused not for long.
        tokio::time::timeout(std::time::Duration::from_secs(1), self.on(node).health()).await.ok().flatten()
    }

    /// Until the node says that of itself.
    pub(crate) async fn wait_for(&self, node: usize, health: u16) {
        let what = format!("node {node} to be {health}");
        eventually(&what, async || (self.health(node).await == Some(health)).then_some(())).await;
    }

    /// Ends a node, as a power cut would.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].server.kill();
    }

    /// Starts a node that was killed. It comes up sealed, as every server does.
    pub(crate) async fn restart(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        it.server = it.spawn();
        self.wait_for(node, 503).await;
    }

    /// From now on it takes connections and never answers, as a server does whose machine hangs.
    pub(crate) fn pause(&self, node: usize) {
        self.nodes[node].server.signal(Signal::STOP);
    }

    /// Ends [`Cluster::pause`].
    pub(crate) fn resume(&self, node: usize) {
        self.nodes[node].server.signal(Signal::CONT);
    }

    /// Seals the node, which must lead: the others can only be restarted.
    pub(crate) async fn seal(&self, node: usize) {
        self.on(node).ok("PUT", "sys/seal", json!({})).await;
        self.wait_for(node, 503).await;
    }

    /// Hands the node the key. Whether it then leads or follows is settled a little later: see [`Cluster::wait_for`] and
    /// [`Cluster::leader`].
    pub(crate) async fn unseal(&self, node: usize) {
        self.on(node).ok("PUT", "sys/unseal", json!({"key": self.unseal_key})).await;
    }
}

impl Node {
    async fn start(folder: &Path, authority: &Authority, tls: &Certificate) -> Self {
        fs::create_dir_all(folder.join("raft")).unwrap();
        for _ in 0..STARTS_MAX {
            let [port, cluster_port] = [free_port(), free_port()];
            fs::write(folder.join("bao.hcl"), config(folder, port, cluster_port, tls)).unwrap();
            let address = format!("https://127.0.0.1:{port}");
            let api = Api::new(&address, Some(authority.file()), "");
            let mut node = Self { server: spawn_server(folder), address, folder: folder.to_owned() };
            let is_up = eventually("a server", async || {
                let is_new = api.health().await == Some(501);
                is_new.then_some(true).or_else(|| node.server.has_ended().then_some(false))
            });
            if is_up.await {
                return node;
            }
        }
        panic!("no server started in {}", folder.display());
    }

    fn spawn(&self) -> Server {
        spawn_server(&self.folder)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.kill(); // its folder goes as well
    }
}

fn spawn_server(folder: &Path) -> Server {
    let mut command = bao(folder);
    command.arg("server").arg(format!("-config={}", folder.join("bao.hcl").display()));
    // The audit device is one for all servers, so its path is relative: a server under whose configuration another one is
    // set up would not take the lead.
    command.current_dir(folder);
    // By default a node must prove itself for some ten seconds until it is given a vote, without which it cannot take the
    // place of a leader.
    command.env("BAO_RAFT_AUTOPILOT_DISABLE", "true");
    spawn(&mut command, &folder.join("log"))
}

/// The multiplier makes elections as quick as they can be: production takes a few seconds more.
fn config(folder: &Path, port: u16, cluster_port: u16, tls: &Certificate) -> String {
    let name = folder.file_name().unwrap().display();
    let (folder, certificate, key) = (folder.display(), tls.certificate.display(), tls.key.display());
    format!(
        r#"
        storage "raft" {{
          path                   = "{folder}/raft"
          node_id                = "{name}"
          performance_multiplier = 1
        }}
        listener "tcp" {{
          address         = "127.0.0.1:{port}"
          cluster_address = "127.0.0.1:{cluster_port}"
          tls_cert_file   = "{certificate}"
          tls_key_file    = "{key}"
        }}
        audit "file" "lab" {{
          options = {{ file_path = "audit.jsonl" }}
        }}
        api_addr     = "https://127.0.0.1:{port}"
        cluster_addr = "https://127.0.0.1:{cluster_port}"
        "#
    )
}

//! One server in memory, without TLS. What it holds is gone with it.

use std::fs;
use std::ops::Deref;

use serde_json::Value;
use tempfile::TempDir;

use super::child::{Server, free_port};
use super::{Api, STARTS_MAX, bao, eventually, spawn};

const ROOT_TOKEN: &str = "root-of-the-lab";

/// The server, until it is dropped. By itself it is what its root token can do.
pub(crate) struct Dev {
    root: Api,
    server: Server,
    folder: TempDir,
}

impl Dev {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// One that keeps an audit, to be read with [`Dev::audit`].
    pub(crate) async fn start_with_audit() -> Self {
        Self::start_with(r#"audit "file" "lab" { options = { file_path = "FOLDER/audit.jsonl" } }"#).await
    }

    async fn start_with(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("bao.hcl");
        fs::write(&file, config.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
        for _ in 0..STARTS_MAX {
            // It takes the next one as well.
            let [port, _] = [free_port(), free_port()];
            let listen = format!("127.0.0.1:{port}");
            let mut command = bao(folder.path());
            command.args(["server", "-dev", "-dev-no-store-token"]).arg(format!("-config={}", file.display()));
            command.env("BAO_DEV_LISTEN_ADDRESS", &listen).env("BAO_DEV_ROOT_TOKEN_ID", ROOT_TOKEN);
            let mut server = spawn(&mut command, &folder.path().join("log"));
            let root = Api::new(&format!("http://{listen}"), None, ROOT_TOKEN);
            let is_up = eventually("a server in memory", async || {
                (root.health().await == Some(200)).then_some(true).or_else(|| server.has_ended().then_some(false))
            });
            if is_up.await {
                return Self { root, server, folder };
            }
        }
        panic!("no server in memory started; its log is in {}", folder.keep().display());
    }

    /// The audit as it stands: a request and a response for each call.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Deref for Dev {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.root
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.server.kill(); // it has nothing to put in order
    }
}

//! A Vault for the contract: one real server for all checks, and for each check a mount of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use locum::store::vault::{Login, Options};
use locum::store::{KeySource, cache};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::openbao::Dev;

/// The server; killed with the process that started it, for a `static` is never dropped.
static SERVER: OnceCell<Dev> = OnceCell::const_new();

/// Checks that have begun.
static CHECKS: AtomicU32 = AtomicU32::new(0);

/// An empty mount, and how to reach it.
pub(crate) async fn place() -> (Options, TempDir) {
    let server = SERVER.get_or_init(Dev::start).await;
    let mount = format!("locum-{}", CHECKS.fetch_add(1, Ordering::Relaxed));
    server.mount_kv2(&mount).await;
    let folder = TempDir::new().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{}\n", server.token_text())).unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let options = Options {
        addresses: vec![server.address().to_owned()],
        mount,
        namespace: None,
        ca_file: None,
        login: Login::Token(KeySource::File(token)),
        request_timeout: Duration::from_secs(10),
        cache: cache::Options::default(),
        peers: Vec::new(),
        peer_bind: None,
    };
    (options, folder)
}

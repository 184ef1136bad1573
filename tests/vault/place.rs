//! Where the store of a test is: options that name a server, and a folder for the token.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use locum::model::{RecordId, RecordKind};
use locum::store::vault::{Login, Options, Rights, Vault};
use locum::store::{KeySource, cache};
use tempfile::TempDir;

/// A folder with a token in it, and options that name both it and a server.
pub(crate) struct Place {
    pub(crate) options: Options,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new(addresses: &[&str], ca_file: Option<&Path>, token: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let options = Options {
            addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
            mount: "locum".into(),
            namespace: None,
            ca_file: ca_file.map(Path::to_owned),
            login: Login::Token(KeySource::File(folder.path().join("token"))),
            request_timeout: Duration::from_secs(5),
            cache: cache::Options::default(),
            peers: Vec::new(),
            peer_bind: None,
        };
        let place = Self { options, folder };
        place.put_token(token);
        place
    }

    /// Puts a token where the options say, as an agent does: with a line end.
    pub(crate) fn put_token(&self, token: &str) {
        let path = self.folder.path().join("token");
        fs::write(&path, format!("{token}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    /// The store, nothing sent yet.
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::new(Vault::new(&self.options, Rights::Node).unwrap())
    }

    /// The store, connected.
    pub(crate) async fn connected(&self) -> Arc<Vault> {
        let vault = self.vault();
        vault.connect().await.unwrap();
        vault
    }
}

pub(crate) fn account(name: &str) -> RecordId {
    RecordId::new(RecordKind::Account, name)
}

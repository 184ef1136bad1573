//! What must be true before the first record is read: a token, and a KV engine of version 2 at the mount. An engine of
//! another kind would answer, too, and "there is no such record" would then be told of every client.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use vaultrs::api;

use super::super::{Feed, Store, StoreError};
use super::Vault;
use super::access::Trouble;
use super::failure::Failure;
use super::requests::Plain;
use super::servers::Reach;
use crate::model::{RecordId, RecordKind};

/// How often a server that was not there at the start is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Vault {
    /// Logs in, and proves that there is a KV engine of version 2 at the mount.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another try may succeed with nobody doing anything, [`StoreError::Config`] if not.
    pub async fn connect(&self) -> Result<(), StoreError> {
        let about = format!("the store at {} cannot be used", self.servers.describe());
        self.observed("connect", self.prove()).await.map_err(|trouble| trouble.into_store_error(&about))
    }

    /// Keeps the token alive, and logs in again where that fails or has not succeeded yet, until `stop`.
    pub async fn keep_connected(&self, stop: CancellationToken) {
        let proving = async {
            while self.connect().await.is_err() {
                sleep(RETRY_INTERVAL).await;
            }
        };
        let (_, ()) = tokio::join!(
            stop.run_until_cancelled(proving),
            self.tokens.keep(&self.servers, &self.health, stop.clone())
        );
    }

    /// Gives back a token that was obtained for this store alone. For those who do not keep it connected.
    pub async fn disconnect(&self) {
        self.tokens.give_back(&self.servers).await;
    }

    /// What is known of the server, the engine and the token, in words; and whether all may be read that a node reads.
    ///
    /// # Errors
    /// As for [`Vault::connect`].
    pub async fn describe(&self) -> Result<String, StoreError> {
        let request = |client| async move { api::exec_with_no_result(&client, Plain::health()).await };
        let about = format!("{} cannot be asked", self.servers.describe());
        let state: Value = self.servers.read(Reach::Any, "health", request).await.map_err(|failure| match failure {
            failure @ Failure::Unreachable(_) => StoreError::Unavailable(format!(
                "{about}: {failure}: see that a server runs there and can be reached, or correct address in [store]"
            )),
            failure => failure.into_store_error(&about),
        })?;
        let is = |field: &str| state[field].as_bool().unwrap_or_default();
        let seal = match (is("initialized"), is("sealed"), is("standby")) {
            (false, ..) => "not initialised",
            (true, true, _) => "sealed",
            (true, false, true) => "unsealed, a standby",
            (true, false, false) => "unsealed, active",
        };
        // To a login such a server says no more than one that is sealed.
        self.connect().await.map_err(|error| match is("initialized") {
            true => error,
            false => Failure::Uninitialised.into_store_error(&about),
        })?;
        self.try_reading().await?;
        let token =
            self.inquire("lookup_self", Plain::token()).await.map_err(|trouble| trouble.into_store_error(&about))?;
        let token = match token["ttl"].as_u64() {
            Some(seconds) if seconds > 0 => format!("token for another {seconds} s"),
            _ => "token without end".to_owned(),
        };
        let (version, mount) = (state["version"].as_str().unwrap_or("of unknown version"), &self.mount);
        Ok(format!("server {version}, {seal}; KV version 2 at {mount}; {token}"))
    }

    /// Reads one record of each kind that a login needs, and the feed: whether there are such is of no matter.
    async fn try_reading(&self) -> Result<(), StoreError> {
        for kind in [RecordKind::Account, RecordKind::Client, RecordKind::Tenant] {
            match self.read(&RecordId::new(kind, "")).await {
                Ok(_) | Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.position().await.map(drop)
    }

    /// Proves, once, that the engine is the one that is needed.
    pub(super) async fn prove(&self) -> Result<(), Trouble> {
        if self.is_proven.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mount = &self.mount;
        let wrong = |text: String| Trouble::Login(StoreError::Config(text));
        match self.inquire("mounts", Plain::mounted(mount)).await {
            Ok(found) if found["type"] == "kv" && found["options"]["version"] == "2" => {}
            Ok(found) if found["type"] == "kv" => {
                return Err(wrong(format!(
                    "the KV engine at {mount} is of version 1, and version 2 is needed: upgrade it \
                     (`bao kv enable-versioning {mount}`), or name another mount in [store]"
                )));
            }
            Ok(found) => {
                let kind = found["type"].as_str().unwrap_or("unknown");
                return Err(wrong(format!(
                    "the engine at {mount} is of the kind {kind}, and a KV engine of version 2 is needed: correct mount \
                     in [store]"
                )));
            }
            // Denied, too, where nothing is mounted: the server does not tell these apart.
            Err(Trouble::Denied(_)) => match self.inquire("engine", Plain::engine(mount)).await {
                Ok(_) => {}
                Err(Trouble::Denied(_) | Trouble::Request(Failure::Absent | Failure::NotMounted)) => {
                    return Err(wrong(self.tokens.unseen(mount)));
                }
                Err(trouble) => return Err(trouble),
            },
            Err(trouble) => return Err(trouble),
        }
        self.is_proven.store(true, Ordering::Relaxed);
        Ok(())
    }
}

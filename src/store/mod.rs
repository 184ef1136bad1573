//! The store: records are opaque bytes under a key, versioned, and written only by compare-and-set. It must never know
//! what a record means, and nothing it says (an error, a `Debug`) may hold a byte of one.
//!
//! - [`Store`]: what every store does. [`open`] and [`create`]: how to come by one.
//! - [`memory`]: for tests. [`sqlite`]: one file, each value sealed; what Locum uses unless it is told otherwise.
//!   [`vault`]: HashiCorp Vault or OpenBao.
//! - [`serve`]: a store as a node uses it, which remembers what it read ([`cache`]), is told of changes ([`Feed`],
//!   [`notice`]), hands on what it hears ([`News`]), and says how it is ([`Health`]).
//! - [`migrate`]: from one store to another.
//! - [`KeySource`] and [`generate_key_file`]: the key that opens a sealed store.
//!
//! A new store is one file here, one line in [`open`] and [`create`], and one line in `tests/contract/main.rs`.

pub mod cache;
mod envelope;
mod feed;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod key;
pub mod memory;
pub mod migrate;
mod news;
pub mod notice;
mod private;
pub mod sqlite;
pub mod vault;

use std::{fmt, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use self::{
    feed::{Changes, Feed, Position},
    health::{Condition, Health, Status},
    key::{KeyError, KeyId, KeySource, generate_key_file},
    news::{Heard, News},
    private::{NotPrivate, check as check_private},
};
use crate::model::{RecordId, RecordKind, Secret};

/// The most bytes that one value may have. Records are documents of a few KiB; what Vault can keep in one entry is 1 MiB,
/// its own words and a third more for bytes that are no text included.
pub const VALUE_BYTES_MAX: usize = 512 << 10;

/// A place where records live.
///
/// Calls may be made from any number of tasks, and several processes may hold the same store open. A call whose future
/// is dropped, or which ends in [`StoreError::Unavailable`], may still have had its effect: read again to know.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The record as it is now; `None` where there is none.
    ///
    /// # Errors
    /// Any [`StoreError`] but a conflict.
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError>;

    /// The record as of the last write that succeeded anywhere, which [`Store::read`] may lag behind by a moment where
    /// servers are many, or by more where a node remembers what it read. For those who will write, and for those who have
    /// reason to think that what they read is old.
    ///
    /// # Errors
    /// As for [`Store::read`].
    async fn read_latest(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.read(id).await
    }

    /// The record as the store itself says, and an error where it does not answer, whatever is remembered: for those who
    /// would rather know nothing than something old. What is known to be new needs no question.
    ///
    /// # Errors
    /// As for [`Store::read`].
    async fn read_certain(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.read(id).await
    }

    /// Whether the store is known not to answer now, so that what is read may be old, or cannot be read at all.
    fn is_silent(&self) -> bool {
        false
    }

    /// A number that is another one after any write by anybody; `None` where the store tells of writes by a [`Feed`]. It is
    /// asked for often, and has to cost next to nothing.
    ///
    /// # Errors
    /// Any [`StoreError`] but a conflict.
    async fn stamp(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Writes the whole value, provided that the record is as `expected`, and returns its new version. When this
    /// returns, the value is on disk.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the record is not as expected; nothing is written then.
    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError>;

    /// Deletes the record, provided that it has this version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the record has another version, or is not there.
    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError>;

    /// Up to `limit` ids of that kind, in the order of their hashes, beginning behind `after` (the last id of the page
    /// before). A short page is the last one. Records that come or go meanwhile may be seen or not, and some stores name
    /// records that were deleted, too: reading one of those finds nothing.
    ///
    /// # Errors
    /// Any [`StoreError`] but a conflict.
    async fn list(&self, kind: RecordKind, after: Option<&RecordId>, limit: usize)
    -> Result<Vec<RecordId>, StoreError>;

    /// Leaves a JSON document with the server, and returns the token with which it can be taken out: once, and for so long.
    /// `None` where the store is no server that can do that.
    ///
    /// # Errors
    /// Any [`StoreError`] but a conflict.
    async fn wrap(&self, _document: &Secret, _ttl: Duration) -> Result<Option<Secret>, StoreError> {
        Ok(None)
    }
}

/// A value and the version under which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What was written.
    pub value: Secret,
    /// Hand it back to [`Store::write`] or [`Store::delete`].
    pub version: Version,
}

/// Which writing of a record this is. Of two versions of one record the greater is the later, and no record ever has
/// the same version twice, even if it was deleted in between. Nothing else can be read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a writer takes a record to be; the store writes only if it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// There is no such record: make it.
    Absent,
    /// The record still has the version that was read: replace it.
    Version(Version),
}

impl Expected {
    /// Compares with what was found; to be called where nobody else can write before the caller does.
    fn check(self, id: &RecordId, found: Option<Version>) -> Result<(), StoreError> {
        let met = match self {
            Self::Absent => found.is_none(),
            Self::Version(expected) => found == Some(expected),
        };
        if met { Ok(()) } else { Err(StoreError::Conflict { id: id.clone(), found }) }
    }
}

/// Refuses values over [`VALUE_BYTES_MAX`].
fn check_size(id: &RecordId, value: &Secret) -> Result<(), StoreError> {
    let bytes = value.expose().len();
    if bytes > VALUE_BYTES_MAX { Err(StoreError::TooLarge { id: id.clone(), bytes }) } else { Ok(()) }
}

/// Why a call to a store failed. Names records by their ids, which hold no address, and never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Someone else wrote: the record is not as the caller expected. Read it again and decide anew.
    #[error("the record {id} is not as expected: {}", describe_found(.found))]
    Conflict {
        /// The record.
        id: RecordId,
        /// Its version now; `None` if there is no such record.
        found: Option<Version>,
    },
    /// It may work later: the store is busy, its disk is full, its server is away.
    #[error("the store is unavailable for now: {0}")]
    Unavailable(String),
    /// It will not work until a person sees to the store's set-up, such as its rights.
    #[error("the store cannot be used as it is set up: {0}")]
    Config(String),
    /// The value does not open: it was damaged, or altered or moved by other means than Locum.
    #[error("the record {id} is damaged or was tampered with: restore it from a backup, or remove and enrol it anew")]
    Corrupt {
        /// The record.
        id: RecordId,
        /// The version of what does not open: with it the record can be deleted.
        version: Version,
    },
    /// The store as a whole is damaged.
    #[error("the store is damaged: {0}: restore it from a backup")]
    Damaged(String),
    /// The value is over [`VALUE_BYTES_MAX`].
    #[error("the record {id} would have {bytes} bytes, and {VALUE_BYTES_MAX} is the limit")]
    TooLarge {
        /// The record.
        id: RecordId,
        /// The bytes of the value that was not written.
        bytes: usize,
    },
}

impl StoreError {
    /// Whether the same call may succeed later with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Conflict { .. }
            | Self::Config(_)
            | Self::Corrupt { .. }
            | Self::Damaged(_)
            | Self::TooLarge { .. } => false,
        }
    }

    /// Whether the store could not be asked, now or until a person sees to it, so that nothing was said of the record: what
    /// was known of it is no less true than before.
    fn is_no_answer(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Config(_) => true,
            Self::Conflict { .. } | Self::Corrupt { .. } | Self::Damaged(_) | Self::TooLarge { .. } => false,
        }
    }
}

fn describe_found(found: &Option<Version>) -> String {
    match found {
        Some(version) => format!("found version {version}"),
        None => "it does not exist".to_owned(),
    }
}

/// Which store to use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
pub enum Options {
    /// In this process's memory, gone with it. For tests.
    Memory,
    /// In one sealed file.
    Sqlite(sqlite::Options),
    /// In HashiCorp Vault or OpenBao.
    Vault(vault::Options),
}

/// Opens a store that exists, with the rights of whoever runs this.
///
/// # Errors
/// [`OpenError`]: each says what to do.
pub async fn open(options: &Options) -> Result<Arc<dyn Store>, OpenError> {
    match options {
        Options::Memory => Ok(Arc::new(memory::Memory::new())),
        Options::Sqlite(options) => Ok(Arc::new(sqlite::Sqlite::open(options).await?)),
        Options::Vault(options) => {
            let vault = vault::Vault::new(options, vault::Rights::Operator)?;
            vault.connect().await.map_err(OpenError::Server)?;
            Ok(Arc::new(vault))
        }
    }
}

/// Makes a new store and opens it. Never replaces anything that is there.
///
/// # Errors
/// [`OpenError`]: each says what to do.
pub async fn create(options: &Options) -> Result<Arc<dyn Store>, OpenError> {
    match options {
        Options::Memory => Ok(Arc::new(memory::Memory::new())),
        Options::Sqlite(options) => Ok(Arc::new(sqlite::Sqlite::create(options).await?)),
        // The mount is made with the server's own tools (docs/vault.md); the rest comes with the first record.
        Options::Vault(_) => open(options).await,
    }
}

/// A store as a node uses it.
#[derive(Debug)]
pub struct Served {
    /// The records, remembered where the store is elsewhere.
    pub store: Arc<dyn Store>,
    /// How the store is; `None` where it is a part of this process and has no state of its own.
    pub health: Option<Arc<Health>>,
    /// What was written, by whomever: what this node holds by a record may have to be given up. It comes while the upkeep
    /// runs.
    pub news: News,
    /// What has to run for as long as the store is used.
    pub upkeep: Upkeep,
}

/// What has to run for as long as a store is used: keeping a token alive, hearing of changes.
#[derive(Debug)]
pub struct Upkeep(Kept);

#[derive(Debug)]
enum Kept {
    /// A part of this process, written by others, too.
    Here {
        store: Arc<dyn Store>,
        news: News,
    },
    Elsewhere(Remote),
}

#[derive(Debug)]
struct Remote {
    vault: Arc<vault::Vault>,
    cache: cache::Cache<vault::Vault>,
    notices: Option<notice::Receiver>,
}

impl Upkeep {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        match self.0 {
            Kept::Here { store, news } => news::keep_looking(&*store, &news, stop).await,
            Kept::Elsewhere(Remote { vault, cache, notices }) => {
                tokio::join!(vault.keep_connected(stop.clone()), cache.keep_fresh(notices, stop));
            }
        }
    }
}

/// Opens a store for a node. A server that does not answer now is no error: it is tried again and again by
/// [`Upkeep::run`], and what cannot be read until then is unavailable.
///
/// # Errors
/// [`OpenError`]: each says what to do.
pub async fn serve(options: &Options) -> Result<Served, OpenError> {
    let Options::Vault(options) = options else {
        let (store, news) = (open(options).await?, News::default());
        let upkeep = Upkeep(Kept::Here { store: Arc::clone(&store), news: news.clone() });
        return Ok(Served { store, health: None, news, upkeep });
    };
    let vault = Arc::new(vault::Vault::new(options, vault::Rights::Node)?);
    let notices = match options.peer_bind {
        Some(address) => Some(listen(address).await.map_err(OpenError::Server)?),
        None => None,
    };
    match vault.connect().await {
        Err(error) if error.is_transient() => tracing::warn!(%error, "the store is tried again in the background"),
        connected => connected.map_err(OpenError::Server)?,
    }
    let health = vault.health();
    let cache = cache::Cache::new(Arc::clone(&vault), &options.cache, Arc::clone(&health));
    let (store, news) = (Arc::new(cache.clone()), cache.news());
    let upkeep = Upkeep(Kept::Elsewhere(Remote { vault, cache, notices }));
    Ok(Served { store, health: Some(health), news, upkeep })
}

async fn listen(address: SocketAddr) -> Result<notice::Receiver, StoreError> {
    let failed = |error| {
        StoreError::Config(format!(
            "cannot listen at {address} for notices of other nodes: {error}: name an address and a UDP port of this machine"
        ))
    };
    notice::Receiver::bind(address).await.map_err(failed)
}

/// Why a store did not open. Each text says what to do; none holds key material.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store yet.
    #[error("there is no store at {}: run `locum init` to make one", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A new store was asked for where something is already.
    #[error("{} exists already and is left as it is: name another path, or use the store that is there", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "{} is not a Locum store: correct the path, or if an interrupted `locum init` left the file, remove it and \
         run `locum init` again",
        path.display()
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The store was made or upgraded by a newer Locum.
    #[error("the store at {} has schema {found}, and this Locum knows schema {known}: run a newer Locum", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema it has.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The key is a good one, but of another store.
    #[error(
        "this key does not open the store at {}: it is the key {given}, and the store is sealed with the key {wanted}; \
         name that one, or the store that belongs to this one",
        path.display()
    )]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// What was handed in.
        given: KeyId,
        /// What the store asks for.
        wanted: KeyId,
    },
    /// Others than the owner can reach the file.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// The key could not be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file system refused.
    #[error("cannot reach the store at {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the configuration names cannot be used.
    #[error("{0}")]
    Setup(String),
    /// The server does not answer, or not as it must.
    #[error(transparent)]
    Server(StoreError),
    /// The file is there, but the store in it does not work.
    #[error("cannot open the store at {}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
}

impl OpenError {
    /// Whether opening may succeed later with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store { source, .. } | Self::Server(source) if source.is_transient())
    }
}

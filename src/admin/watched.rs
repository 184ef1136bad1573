//! What is looked at to say how the process is. The process fills it in; nothing here decides.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::store::Health;

/// What is looked at to say how the process is.
pub struct Watched {
    /// What the process does.
    pub stage: watch::Receiver<Stage>,
    /// The store, where it has a state of its own.
    pub store: Option<WatchedStore>,
    /// The certificates in use, as of the last reload.
    pub certificates: Arc<ArcSwap<Vec<CertificateEnd>>>,
    /// The audit.
    pub audit: Box<dyn Fn() -> AuditNow + Send + Sync>,
    /// Files that the process has open, and how many it may have.
    pub descriptors: Box<dyn Fn() -> Option<Descriptors> + Send + Sync>,
}

/// A store that may be out of reach.
#[derive(Debug, Clone)]
pub struct WatchedStore {
    /// How it is.
    pub health: Arc<Health>,
    /// For how long what was read may be used while it does not answer.
    pub max_stale: Duration,
}

/// When a certificate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateEnd {
    /// What it is for.
    pub purpose: CertificateUse,
    /// When it ends.
    pub ends: Timestamp,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateUse {
    /// Listeners show it to clients.
    Listener,
    /// The admin listener shows it to operators.
    Admin,
    /// The node shows it to its store.
    StoreClient,
    /// The store is verified by it.
    StoreAuthority,
    /// Upstreams are verified by it, beside those of the system.
    UpstreamAuthority,
}

/// How the audit is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditNow {
    /// Events that are not written yet.
    pub waiting: usize,
    /// How long the oldest of them has waited.
    pub lag: Duration,
    /// For how long it could not be written; `None` if it can.
    pub failing_for: Option<Duration>,
    /// Writes that failed.
    pub failures: u64,
    /// Whether nobody is let in who cannot be written down.
    pub fail_closed: bool,
}

/// Files that are open, and how many may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// How many are.
    pub open: u64,
    /// How many may be.
    pub max: u64,
}

/// What the process does, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    pub(super) phase: Phase,
    pub(super) since: Timestamp,
}

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It looks at its upstreams; clients wait.
    Starting,
    /// It serves clients.
    Serving,
    /// It takes no more clients, and ends when the last is gone.
    Draining,
}

impl CertificateUse {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Listener, Self::Admin, Self::StoreClient, Self::StoreAuthority, Self::UpstreamAuthority];

    /// Its name, in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Admin => "admin",
            Self::StoreClient => "store-client",
            Self::StoreAuthority => "store-ca",
            Self::UpstreamAuthority => "upstream-ca",
        }
    }
}

impl From<Phase> for Stage {
    /// A phase that begins now.
    fn from(phase: Phase) -> Self {
        Self { phase, since: Timestamp::now() }
    }
}

//! What this process is, for operators: no secret, and nothing that the log did not say at its start.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What a process is, as of its start or its last reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name of the host.
    pub host: String,
    /// The configuration, as it was named.
    pub config: PathBuf,
    /// Since when it runs.
    pub started: Timestamp,
    /// Where clients come in.
    pub listeners: Vec<NodeListener>,
    /// What keeps the records: `sqlite`, `vault` or `memory`.
    pub store: &'static str,
}

/// Where clients come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeListener {
    /// Its name in the configuration.
    pub name: String,
    /// What it speaks: `imap`, `pop3`, `submission`; `http` for the admin listener.
    pub protocol: &'static str,
    /// How TLS begins: `implicit`, `starttls` or `none`.
    pub tls: &'static str,
    /// What it is bound to.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<SocketAddr>,
}

//! How to find a Vault, and how to prove to it who we are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::super::{KeySource, cache};

/// Where the server is, who we are to it, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Base addresses of the servers of one cluster, such as `https://vault.example.com:8200`: scheme, host, port, and no
    /// path. Reads go to any that answers.
    pub addresses: Vec<String>,
    /// Where the KV engine (version 2) is mounted, without slashes around it.
    pub mount: String,
    /// The namespace, where the server has such.
    pub namespace: Option<String>,
    /// Authorities by which the server is verified, in place of those of the system.
    pub ca_file: Option<PathBuf>,
    /// How a node logs in.
    pub login: Login,
    /// Time for one request to one server.
    pub request_timeout: Duration,
    /// What a node remembers.
    pub cache: cache::Options,
    /// Nodes to tell of each write at once, by UDP: `host:port`.
    pub peers: Vec<String>,
    /// Where this node is told of writes.
    pub peer_bind: Option<SocketAddr>,
}

/// How a node logs in to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// With a token that somebody else obtained and keeps: an agent, or a person.
    Token(KeySource),
    /// AppRole: a role id, and a secret id that is either there or wrapped.
    AppRole {
        /// Where the method is mounted below `auth/`.
        mount: String,
        /// The role id. No secret.
        role_id: String,
        /// Where the secret id is found.
        secret_id: KeySource,
        /// Whether what is found is a token that a secret id is wrapped in, good for one use.
        wrapped: bool,
    },
    /// The service account of a Kubernetes pod.
    Kubernetes {
        /// Where the method is mounted below `auth/`.
        mount: String,
        /// The role.
        role: String,
        /// The service account's token.
        token_file: PathBuf,
    },
    /// A TLS client certificate.
    Certificate {
        /// Where the method is mounted below `auth/`.
        mount: String,
        /// The role; any that fits if none is named.
        role: Option<String>,
        /// The certificate chain, PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
}

//! Who has proven itself by an attempt, whatever was decided about it then. It must never be there for a stranger.

use crate::model::{Client, ClientSecret, SecretSource};

/// A client whose secret was the one presented, though it may have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its login name, as it stands in its record.
    pub login: String,
    /// The id of the secret.
    pub secret: String,
    /// How that secret came into the record.
    pub source: SecretSource,
}

impl Proven {
    pub(super) fn by(client: &Client, secret: &ClientSecret) -> Self {
        Self { login: client.login.clone(), secret: secret.id.clone(), source: secret.source }
    }
}

//! Who has proven itself by an attempt, whatever was decided about it then. It must never be there for a stranger.

use super::client_secret;
use super::login_form::Asked;
use crate::audit;
use crate::model::{Attempt, Client, ClientSecret, SecretSource};

/// A client whose secret was the one presented, though it may have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its login name, as it stands in its record.
    pub login: String,
    /// The id of the secret.
    pub secret: String,
    /// How that secret came into the record.
    pub source: SecretSource,
    /// As whom it asked to act, if not as itself.
    pub(super) asked: Option<String>,
}

impl Proven {
    pub(super) fn by(client: &Client, secret: &ClientSecret, asked: &Asked, attempt: &Attempt) -> Self {
        let name = match asked {
            Asked::Itself => None,
            Asked::Mailbox(name, completed) => Some(completed.as_ref().unwrap_or(name).as_bytes()),
            Asked::Unclear => attempt.authzid.as_deref(),
        };
        let asked = name.map(|name| audit::name(&client_secret::mask(name)));
        Self { login: client.login.clone(), secret: secret.id.clone(), source: secret.source, asked }
    }
}

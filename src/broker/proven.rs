//! Who has proven itself by an attempt, whatever was decided about it then. It must never say anything of a stranger.

use super::client_secret;
use super::login_form::Asked;
use crate::audit;
use crate::model::{Attempt, Client, ClientSecret, SecretSource};

/// A client whose secret was the one presented, though it may have expired. All of it is empty for anybody else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proven {
    /// Its login name, as it stands in its record.
    pub login: String,
    /// The id of the secret.
    pub client_secret: Option<String>,
    /// How that secret came into the record.
    pub source: Option<SecretSource>,
    /// As whom it asked to act, if not as itself.
    pub asked: Option<String>,
}

impl Proven {
    pub(super) fn of(client: &Client, secret: &ClientSecret, asked: &Asked, attempt: &Attempt) -> Self {
        let name = match asked {
            Asked::Itself => None,
            Asked::Mailbox(name, completed) => Some(completed.as_ref().unwrap_or(name).as_bytes()),
            Asked::Unclear => attempt.authzid.as_deref(),
        };
        let asked = name.map(|name| audit::name(&client_secret::mask(name)));
        let (login, source) = (client.login.clone(), Some(secret.source));
        Self { login, client_secret: Some(secret.id.clone()), source, asked }
    }
}

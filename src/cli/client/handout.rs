//! A secret handed out once: it stays with the server of the store, and who has the token takes it out. So it passes through
//! no terminal, mail or ticket, and a second one who tries is told that somebody was faster.

use std::time::Duration;

use anyhow::Result;

use crate::broker::Directory;
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::model::Secret;

/// Less is over before somebody has read it.
pub(super) const TTL_MIN: Duration = Duration::from_secs(60);
/// A secret that nobody took for a week nobody wants.
pub(super) const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Leaves the secret there, and returns the token.
pub(super) async fn wrap(
    directory: &Directory,
    login: &str,
    id: &str,
    secret: &Secret,
    ttl: Duration,
) -> Result<Secret> {
    let text = secret.expose_text().unwrap_or_default(); // issued secrets are ASCII
    let value = Secret::new(serde_json::json!({ "login": login, "id": id, "secret": text }).to_string());
    directory.wrap(&value, ttl).await?.ok_or_else(|| {
        let message = "--wrap needs a store that is a Vault or OpenBao; this one is not: issue it without --wrap";
        Failure::new(exit::USAGE, message).into()
    })
}

/// Prints the token, and how it is used.
pub(super) fn tell(login: &str, id: &str, token: &Secret, ttl: Duration, json: bool) {
    let (text, seconds) = (token.expose_text().unwrap_or_default(), ttl.as_secs());
    if json {
        return output::once(serde_json::json!({ "login": login, "id": id, "wrapping_token": text, "ttl": seconds }));
    }
    output::note(format!(
        "{login}: secret {id} issued; this token takes it out, once, within {}, with `bao unwrap TOKEN` or `vault \
         unwrap TOKEN`. Whoever is told that the token is not valid revokes it: `locum client revoke {login} --secret {id}`",
        if seconds % 3600 == 0 { format!("{} h", seconds / 3600) } else { format!("{} minutes", seconds / 60) }
    ));
    output::once(text);
}

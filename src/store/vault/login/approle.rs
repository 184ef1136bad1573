//! AppRole: a role id, and a secret id that lies there or that is wrapped in a token good for one use. It must never pass
//! over a wrapping token that was used before: whoever used it has the secret id. It must never go on presenting a secret
//! id that was refused: the server would lock the role for all nodes.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::failure::Failure;
use super::super::servers::Servers;
use super::super::source::Place;
use super::exchange::{Call, Granted, known, taken};
use super::setback::Setback;
use crate::model::Secret;

/// A secret id that was refused is not presented again before this. It is dead as a rule, and after five refusals within
/// a quarter of an hour a server turns the role away for another quarter, with the right secret id, too
/// (<https://openbao.org/docs/concepts/user-lockout/>; Vault as well).
const REFUSED_PAUSE: Duration = Duration::from_secs(16 * 60);

#[derive(Debug)]
pub(super) struct AppRoleLogin {
    mount: String,
    role_id: String,
    place: Place,
    /// What became of wrapping tokens; `None` where the secret id itself lies there.
    unwrapping: Option<Mutex<Unwrapping>>,
    refused: Mutex<Option<Refused>>,
}

/// The secret id that was refused last.
#[derive(Debug)]
struct Refused {
    secret_id: Secret,
    at: Instant,
    setback: Setback,
}

/// What became of the wrapping tokens found so far.
#[derive(Debug, Default)]
struct Unwrapping {
    /// The last one that was unwrapped, and what was in it.
    opened: Option<(Secret, Secret)>,
    /// The last one sent to be unwrapped, whether or not an answer came.
    sent: Option<Secret>,
    /// The last one over which an alarm was raised.
    alarmed: Option<Secret>,
}

impl AppRoleLogin {
    pub(super) fn new(mount: String, role_id: String, place: Place, wrapped: bool) -> Self {
        Self { mount, role_id, place, unwrapping: wrapped.then(Mutex::default), refused: Mutex::default() }
    }

    pub(super) async fn obtain(&self, servers: &Servers) -> Result<Granted, Setback> {
        let secret_id = match &self.unwrapping {
            Some(unwrapping) => self.opened(unwrapping, servers).await?,
            None => self.place.read().map_err(|error| Setback::unreadable(&error))?,
        };
        if let Some(setback) = self.refused_before(&secret_id) {
            return Err(setback);
        }
        let body = json!({ "role_id": self.role_id, "secret_id": secret_id.expose_text() });
        let call = Call::post(format!("auth/{}/login", self.mount), &body);
        let answer = call.make(servers, "login", None).await.and_then(Granted::parse);
        answer.map_err(|failure| {
            let setback = self.explain(&failure);
            if failure.says(known::INVALID_ROLE_OR_SECRET) {
                let refused = Refused { secret_id, at: Instant::now(), setback: setback.clone() };
                *seen(&self.refused) = Some(refused);
            }
            setback
        })
    }

    /// What was said of this secret id, if it was refused lately.
    fn refused_before(&self, secret_id: &Secret) -> Option<Setback> {
        let refused = seen(&self.refused);
        let same = refused.as_ref().filter(|it| it.secret_id == *secret_id && it.at.elapsed() < REFUSED_PAUSE)?;
        Some(same.setback.clone())
    }

    /// Whether the next login unwraps a secret id: if it is cut short, the secret id is lost.
    pub(super) fn is_delicate(&self) -> bool {
        let Some(unwrapping) = &self.unwrapping else { return false };
        let seen = seen(unwrapping);
        let opened = seen.opened.as_ref().map(|(wrapping, _)| wrapping);
        opened.is_none_or(|opened| self.place.read().is_ok_and(|found| found != *opened))
    }

    /// The secret id: the one in memory, unless there is a new wrapping token.
    async fn opened(&self, unwrapping: &Mutex<Unwrapping>, servers: &Servers) -> Result<Secret, Setback> {
        let wrapping = match (self.place.read(), &seen(unwrapping).opened) {
            (Ok(found), Some((opened, secret_id))) if found == *opened => return Ok(secret_id.clone()),
            // It may be taken away once it is of no more use.
            (Err(_), Some((_, secret_id))) => return Ok(secret_id.clone()),
            (found, _) => found.map_err(|error| Setback::unreadable(&error))?,
        };
        self.check_origin(unwrapping, servers, &wrapping).await?;
        seen(unwrapping).sent = Some(wrapping.clone());
        let call = Call::post("sys/wrapping/unwrap".to_owned(), &json!({}));
        let answer = call.make(servers, "unwrap", Some(&wrapping)).await;
        let secret_id = answer.and_then(|mut answer| taken(&mut answer, "/data/secret_id"));
        let secret_id = secret_id.map_err(|failure| self.explain_wrapped(unwrapping, &wrapping, &failure))?;
        seen(unwrapping).opened = Some((wrapping, secret_id.clone()));
        Ok(secret_id)
    }

    /// Asks what is wrapped before it is unwrapped: who took the wrapping token could have put another one in its place,
    /// but cannot choose what the server says of where it was made.
    async fn check_origin(
        &self,
        unwrapping: &Mutex<Unwrapping>,
        servers: &Servers,
        wrapping: &Secret,
    ) -> Result<(), Setback> {
        let call = Call::post("sys/wrapping/lookup".to_owned(), &json!({ "token": wrapping.expose_text() }));
        let answer = call.make(servers, "wrapping_lookup", None).await;
        let answer = answer.map_err(|failure| self.explain_wrapped(unwrapping, wrapping, &failure))?;
        if is_of_secret_id(&self.mount, &answer["data"]["creation_path"]) {
            return Ok(());
        }
        let text = format!(
            "what is wrapped in the token in {} is no secret id of auth/{}: somebody may have exchanged it: revoke the \
             secret id that was meant, and issue a new one wrapped, or correct mount in [store.login]",
            self.place, self.mount
        );
        Err(alarm(unwrapping, wrapping, text))
    }

    fn explain(&self, failure: &Failure) -> Setback {
        let Self { mount, place, .. } = self;
        match failure {
            failure if failure.says(known::INVALID_ROLE_OR_SECRET) => {
                let issue = if self.unwrapping.is_some() { "issue a new one wrapped" } else { "issue a new one" };
                Setback::Lasting(format!(
                    "auth/{mount} knows no such role id, or the secret id from {place} is spent, expired or revoked: \
                     correct role-id in [store.login], or {issue} and put it there"
                ))
            }
            Failure::Forbidden | Failure::NotMounted | Failure::Absent => Setback::Lasting(format!(
                "there is no AppRole login at auth/{mount}, or not from this address, or the server has locked the role \
                 for a quarter of an hour after failed logins (sys/locked-users): enable the method there, correct mount \
                 in [store.login], or unlock it"
            )),
            failure => Setback::of(failure, &format!("cannot log in with AppRole at auth/{mount}")),
        }
    }

    fn explain_wrapped(&self, unwrapping: &Mutex<Unwrapping>, wrapping: &Secret, failure: &Failure) -> Setback {
        let place = &self.place;
        if !failure.says(known::NOT_WRAPPED) {
            return Setback::of(failure, &format!("cannot unwrap the secret id from {place}"));
        }
        let innocent = if seen(unwrapping).sent.as_ref() == Some(wrapping) {
            "Locum sent it before and may have missed the answer"
        } else {
            "Locum may have used it before it was last started"
        };
        let text = format!(
            "the wrapping token in {place} was used, or has expired: {innocent}; if not, somebody else may have unwrapped \
             it and have the secret id: revoke that, issue a new one wrapped, and put its token there"
        );
        alarm(unwrapping, wrapping, text)
    }
}

/// Raised once over each wrapping token: it may have to wake somebody, and it is met again at each attempt.
fn alarm(unwrapping: &Mutex<Unwrapping>, wrapping: &Secret, text: String) -> Setback {
    let before = seen(unwrapping).alarmed.replace(wrapping.clone());
    if before.as_ref() != Some(wrapping) {
        tracing::error!(alarm = text, "the secret id may have been intercepted");
    }
    Setback::Lasting(text)
}

/// The name of the role is the server's to know, all else is given.
fn is_of_secret_id(mount: &str, creation_path: &Value) -> bool {
    let path = creation_path.as_str().unwrap_or_default();
    let role = path.strip_prefix(&format!("auth/{mount}/role/")).and_then(|rest| rest.strip_suffix("/secret-id"));
    role.is_some_and(|role| !role.is_empty() && !role.contains('/'))
}

fn seen<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().expect("nothing panics while it holds this lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_secret_id_of_the_mount_is_unwrapped() {
        let is_of = |path: &str| is_of_secret_id("approle", &path.into());
        assert!(is_of("auth/approle/role/node/secret-id"));
        for path in [
            "",
            "sys/wrapping/wrap",
            "auth/other/role/node/secret-id",
            "auth/approle/role/secret-id",
            "auth/approle/role//secret-id",
            "auth/approle/role/node/role-id",
            "auth/approle/role/a/b/secret-id",
        ] {
            assert!(!is_of(path), "{path}");
        }
        assert!(!is_of_secret_id("approle", &Value::Null));
    }
}

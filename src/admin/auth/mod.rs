//! Signing in: which operator asks. It must never say whether it was the name, the token or its end that was wrong, nor take
//! longer for one of them.
//!
//! - [`Auth::verify`]: a token, for the API and the sign-in page. [`Auth::still`]: whether who signed in may go on.
//! - [`sign_in`]: the layer before every route of the API. [`Peer`]: who is at the other end of a connection.
//! - `failures`: how many are borne with. `deeds`: what of all this stands in the audit.

mod deeds;
mod failures;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Office;
use super::caller::Caller;
use super::problem::Problem;
use crate::management::operators::{self, Deed, SignedIn};
use crate::management::{Desk, ManagementError};
use crate::model::{Role, Secret};

use failures::Failures;

pub(super) use deeds::{Asked, audited, note_refused};

/// A refusal takes at least this long, so that it does not show whether there was a record to read; and who tries one token
/// after the other on one connection gets no further than this.
const REFUSAL_TIME: Duration = Duration::from_millis(200);

/// Who is at the other end of a connection; each request of it bears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Somebody at that address.
    Address(IpAddr),
    /// A process of this machine that the kernel vouches for: its user is ours, or root.
    Process {
        /// `user@host`.
        name: String,
    },
}

/// Knows who is an operator.
pub struct Auth {
    desk: Arc<ArcSwap<Desk>>,
    failures: Failures,
}

impl Peer {
    /// From where, if over the network.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Process { .. } => None,
        }
    }
}

impl Auth {
    /// By the records of that desk.
    pub fn new(desk: Arc<ArcSwap<Desk>>) -> Self {
        Self { desk, failures: Failures::default() }
    }

    /// Whose token that is.
    ///
    /// # Errors
    /// 401 for every token that is good for nothing; 429 with too many of them; 503 if the store does not answer.
    pub(super) async fn verify(&self, token: &Secret, peer: &Peer) -> Result<Caller, Problem> {
        let began = Instant::now();
        if let Some(address) = peer.address()
            && let Err(left) = self.failures.admit(address, token, began)
        {
            count("held-back");
            let detail = "too many sign-ins failed; nobody looks at this one";
            return Err(Problem::too_many(detail, left.as_secs() + 1));
        }
        let desk = self.desk.load_full();
        match operators::sign_in(&desk, token).await.map_err(unanswered)? {
            Some(signed_in) => {
                count("accepted");
                self.failures.proven(token, began);
                Ok(Caller::from(signed_in))
            }
            None => {
                count("refused");
                self.failures.disproven(token);
                if let Some(address) = peer.address() {
                    self.failures.failed(address, began);
                }
                let reason = Some("not a token of an operator, or one that was revoked or has expired".to_owned());
                desk.note(Deed { action: "sign-in".into(), reason, peer: peer.address(), ..Deed::default() });
                tokio::time::sleep_until((began + REFUSAL_TIME).into()).await;
                Err(Problem::bad_token())
            }
        }
    }

    /// Who comes from there with that token, or without one.
    async fn caller(&self, token: Option<Secret>, peer: Option<Peer>) -> Result<Caller, Problem> {
        match (token, peer) {
            (Some(token), Some(peer)) => self.verify(&token, &peer).await,
            (None, Some(Peer::Process { name })) => Ok(Caller { name, role: Role::Admin, token: None, expires: None }),
            (None, Some(Peer::Address(_))) | (_, None) => Err(Problem::unauthenticated()),
        }
    }

    /// Who signed in, as they are by now: for those who remember that somebody did. What was revoked is so within 2 s.
    ///
    /// # Errors
    /// 401 if the operator or the token is gone or has ended; 503 if the store does not answer.
    pub(super) async fn still(&self, caller: &Caller) -> Result<Caller, Problem> {
        let Some(token) = &caller.token else { return Ok(caller.clone()) };
        let found = operators::still(&self.desk.load(), &caller.name, token).await.map_err(unanswered)?;
        found.map(Caller::from).ok_or_else(Problem::bad_token)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

impl From<SignedIn> for Caller {
    fn from(SignedIn { name, role, token, expires }: SignedIn) -> Self {
        Self { name, role, token: Some(token), expires }
    }
}

/// Whoever is not signed in is told of no record.
fn unanswered(error: ManagementError) -> Problem {
    tracing::debug!(%error, "a sign-in could not be decided");
    Problem::unavailable("the store does not answer, so nobody can sign in who has not been here of late")
}

fn count(result: &'static str) {
    metrics::counter!("locum_admin_sign_ins_total", "result" => result).increment(1);
}

/// Lets no request to the API pass whose sender is not known, and puts the [`Caller`] into those that do. A cookie is
/// nothing here: what a browser sends by itself must not change anything.
pub(super) async fn sign_in(State(office): State<Arc<Office>>, mut request: Request, next: Next) -> Response {
    let (token, peer) = (token(request.headers()), request.extensions().get::<Peer>().cloned());
    match office.auth.caller(token, peer).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Whether who asks may be told reasons and what to do: somebody on this machine, or an operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFull(pub(super) bool);

/// Numbers and reasons are told to whoever is on this machine, and to operators: from elsewhere they say too much of a house.
/// Who asks for how it is and is neither is told that alone, without a token.
pub(super) async fn numbers(State(office): State<Arc<Office>>, mut request: Request, next: Next) -> Response {
    let (token, peer) = (token(request.headers()), request.extensions().get::<Peer>().cloned());
    let is_here = match &peer {
        Some(Peer::Address(address)) => address.is_loopback() && !is_forwarded(request.headers()),
        Some(Peer::Process { .. }) | None => true,
    };
    let mut in_full = is_here;
    if !is_here && (request.uri().path() == "/metrics" || token.is_some()) {
        match office.auth.caller(token, peer).await {
            Ok(_) => in_full = true,
            Err(problem) => return problem.into_response(),
        }
    }
    request.extensions_mut().insert(InFull(in_full));
    next.run(request).await
}

/// Whether a proxy says that it asks for somebody else, who need not be on this machine though the proxy is.
fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// What stands behind `Authorization: Bearer`.
fn token(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| Secret::new(token.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_behind_its_scheme() {
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            token(&headers).map(|token| token.expose_text().unwrap().to_owned())
        };
        assert_eq!(read("Bearer locum_x"), Some("locum_x".into()));
        assert_eq!(read("bearer  locum_x "), Some("locum_x".into()));
        for other in ["Basic bG9jdW0=", "Bearer", "locum_x", ""] {
            assert_eq!(read(other), None, "{other}");
        }
        assert!(token(&HeaderMap::new()).is_none());
    }
}

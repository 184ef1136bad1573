//! Signing in: which operator asks. It must never say whether it was the name, the token or its end that was wrong, nor take
//! longer for one of them.
//!
//! - [`Auth::verify`]: a token, for the API and the sign-in page. [`sign_in`]: the layer before every route of the API.
//! - [`Peer`]: who is at the other end of a connection.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Office;
use super::caller::Caller;
use super::problem::Problem;
use crate::model::{Role, Secret};

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
#[derive(Debug, Default)]
pub struct Auth {}

impl Auth {
    /// Whose token that is.
    ///
    /// # Errors
    /// 401 for every token that is good for nothing; 429 with too many of them; 503 if the store does not answer.
    pub(super) async fn verify(&self, _token: &Secret, _peer: &Peer) -> Result<Caller, Problem> {
        Err(Problem::unauthenticated())
    }
}

/// Lets no request to the API pass whose sender is not known, and puts the [`Caller`] into those that do.
pub(super) async fn sign_in(State(office): State<Arc<Office>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().cloned();
    let caller = match (token(request.headers()), peer) {
        (_, None) => Err(Problem::unauthenticated()),
        (Some(token), Some(peer)) => office.auth.verify(&token, &peer).await,
        (None, Some(Peer::Process { name })) => Ok(Caller { name, role: Role::Admin, token: None }),
        (None, Some(Peer::Address(_))) => Err(Problem::unauthenticated()),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// What stands behind `Authorization: Bearer`.
fn token(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| Secret::new(token.trim_ascii()))
}

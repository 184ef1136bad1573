//! Who asks, and what they may. A handler takes one of the three extractors as its first argument, and is not reached by who
//! may less; the layer that knows the ways of signing in puts a [`Caller`] into the request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;

use super::problem::Problem;
use crate::model::Role;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The operator's name; it goes into the audit and into what is changed.
    pub(super) name: String,
    /// What they may do.
    pub(super) role: Role,
    /// The id of the token that they signed in with; `None` for a process of this machine.
    pub(super) token: Option<String>,
    /// When that ends.
    pub(super) expires: Option<Timestamp>,
}

/// Somebody who may look.
#[derive(Debug, Clone)]
pub(super) struct Viewing(pub(super) Caller);

/// Somebody who may change accounts, clients and credentials.
#[derive(Debug, Clone)]
pub(super) struct Operating(pub(super) Caller);

/// Somebody who may make operators.
#[derive(Debug, Clone)]
pub(super) struct Administering(pub(super) Caller);

fn caller(parts: &Parts, role: Role) -> Result<Caller, Problem> {
    let caller = parts.extensions.get::<Caller>().ok_or_else(Problem::unauthenticated)?;
    if caller.role < role { Err(Problem::wrong_role(role)) } else { Ok(caller.clone()) }
}

impl<S: Sync> FromRequestParts<S> for Viewing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        caller(parts, Role::Viewer).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Operating {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        caller(parts, Role::Operator).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Administering {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        caller(parts, Role::Admin).map(Self)
    }
}

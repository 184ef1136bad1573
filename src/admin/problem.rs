//! Why a request was not fulfilled, as a problem document (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::management::{Fault, ManagementError};
use crate::model::Role;

/// A problem document: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: u16,
    /// What kind of problem: `missing`, `invalid`, `conflict` …
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// The kind in words.
    pub(super) title: &'static str,
    /// What is the matter here, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    /// All that is wrong, where that is more than one thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(super) errors: Vec<String>,
    /// In how many seconds another try makes sense: `Retry-After`.
    #[serde(skip)]
    pub(super) retry_after: Option<u64>,
}

/// Why a request was not fulfilled: an answer bears it for the audit.
#[derive(Debug, Clone)]
pub(super) struct Reason(pub(super) String);

/// What a handler answers.
pub(super) type Answer<T> = Result<T, Problem>;

impl Problem {
    /// A problem of that status.
    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            kind,
            title,
            detail: Some(detail.into()),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// Something in the request is not of the form that belongs there.
    pub(super) fn usage(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "usage", "this does not go together", detail)
    }

    /// Nothing is there, whatever is done with it.
    pub(super) fn nothing_here() -> Self {
        let detail = "there is nothing at this path; /v1/openapi.json says what there is";
        Self::new(StatusCode::NOT_FOUND, "missing", "there is no such thing", detail)
    }

    /// That cannot be done with what is there.
    pub(super) fn wrong_method() -> Self {
        let detail = "not with this method; `allow` says with which, and /v1/openapi.json what they do";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "not like this", detail)
    }

    /// Too much was tried; there is room again in so many seconds.
    pub(super) fn too_many(detail: impl Into<String>, seconds: u64) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "too often", detail);
        Self { retry_after: Some(seconds), ..problem }
    }

    /// Nobody signed in.
    pub(super) fn unauthenticated() -> Self {
        let detail = "send a token as `Authorization: Bearer …`; `locum operator add` makes one";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "sign in first", detail)
    }

    /// Somebody tried to.
    pub(super) fn bad_token() -> Self {
        let detail = "this is not a token of an operator, or one that was revoked or has expired";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "sign in first", detail)
    }

    /// Something else is down.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporary", "try again later", detail)
    }

    /// Whoever signed in may not do that.
    pub(super) fn wrong_role(needed: Role) -> Self {
        let detail = format!("this needs the role {needed}");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "not permitted", detail)
    }
}

impl From<ManagementError> for Problem {
    fn from(error: ManagementError) -> Self {
        let (status, kind, title) = match error.fault() {
            Fault::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "this cannot be used"),
            Fault::Usage => (StatusCode::BAD_REQUEST, "usage", "this does not go together"),
            Fault::Missing => (StatusCode::NOT_FOUND, "missing", "there is no such thing"),
            Fault::Exists => (StatusCode::CONFLICT, "exists", "it is there already"),
            Fault::Conflict => (StatusCode::CONFLICT, "conflict", "not in this state"),
            Fault::Denied => (StatusCode::FORBIDDEN, "denied", "the store or a provider does not allow it"),
            Fault::Temporary => (StatusCode::SERVICE_UNAVAILABLE, "temporary", "try again later"),
            Fault::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "broken", "something is wrong here"),
        };
        Self::new(status, kind, title, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let told = self.clone(); // the console says it as a page
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default(); // no map in it has keys that are no strings
        let kind = [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (status, kind, body).into_response();
        if let Some(detail) = self.detail {
            response.extensions_mut().insert(Reason(detail));
        }
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(told);
        response
    }
}

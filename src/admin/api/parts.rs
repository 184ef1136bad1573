//! What stands in the path and in the query, with problem documents where it does not fit.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::admin::problem::Problem;

/// What need not be escaped in a part of a path (RFC 3986, `pchar`), as far as names have it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The variable parts of the path.
#[derive(Debug, Clone, Copy)]
pub(in crate::admin) struct Path<T>(pub(in crate::admin) T);

/// The query.
#[derive(Debug, Clone, Copy)]
pub(in crate::admin) struct Query<T>(pub(in crate::admin) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = |_| Problem::usage("a part of the path is not of the form that belongs there");
        axum::extract::Path::from_request_parts(parts, state).await.map(|found| Self(found.0)).map_err(wrong)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong =
            |_| Problem::usage("something in the query is not of the form that belongs there; see /v1/openapi.json");
        axum::extract::Query::from_request_parts(parts, state).await.map(|found| Self(found.0)).map_err(wrong)
    }
}

/// The path of what is called so: `/v1/accounts/alice@example.com`.
pub(in crate::admin) fn location(noun: &str, name: &str) -> String {
    format!("/v1/{noun}/{}", utf8_percent_encode(name, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::location;

    #[test]
    fn a_location_can_be_asked_for() {
        assert_eq!(location("accounts", "alice@example.com"), "/v1/accounts/alice@example.com");
        assert_eq!(location("clients", "a/b ä?#%"), "/v1/clients/a%2Fb%20%C3%A4%3F%23%25");
    }
}

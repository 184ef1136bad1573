//! `ETag` and `If-Match`: a change on the condition that the record is still as whoever asks has seen it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Json;

/// The version that the record must have, if `If-Match` names one.
#[derive(Debug, Clone, Default)]
pub(in crate::admin) struct IfMatch(pub(in crate::admin) Option<String>);

/// An answer with the version of the record that it is about.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Tagged<T> {
    /// The version.
    pub(in crate::admin) version: String,
    /// What is said.
    pub(in crate::admin) body: T,
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let named = parts.headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default().trim());
        // Whatever is no version that was told is none that a record has.
        let version = |text: &str| text.trim_matches('"').to_owned();
        Ok(Self(named.filter(|text| *text != "*").map(version)))
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let tag = format!("\"{}\"", self.version);
        ([(header::ETAG, tag)], Json::<T>(self.body)).into_response()
    }
}

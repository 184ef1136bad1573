//! What a form said: names and values, in the order of the page. A value that is a secret leaves here as a [`Secret`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use zeroize::Zeroize;

use crate::admin::problem::Problem;
use crate::management::ManagementError;
use crate::model::Secret;

/// The fields of a form that was sent and that the guard has looked at.
#[derive(Clone, Default)]
pub(super) struct Fields(Arc<Values>);

/// Wiped when nobody needs them any more: one of them may be a secret.
#[derive(Default)]
struct Values(Vec<(String, String)>);

impl Drop for Values {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl Fields {
    /// Of a body as browsers send it.
    pub(super) fn new(all: Vec<(String, String)>) -> Self {
        Self(Arc::new(Values(all)))
    }

    /// The value of that field without the blanks around it; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same, if it is not empty.
    pub(super) fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// All values of that field, without those that are empty: boxes that were ticked.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let own = self.0.0.iter().filter(|(own, _)| own == name);
        own.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
    }

    /// The lines or words of a field that takes several: one on each line, or with commas between.
    pub(super) fn listed(&self, name: &str) -> Vec<String> {
        let words = self.raw(name).split(['\n', ',', ' ', '\r']);
        words.map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Whether that box was ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// Whether there is such a field at all.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.0.0.iter().any(|(own, _)| own == name)
    }

    /// A day, as its beginning in UTC; or an instant.
    pub(super) fn day(&self, name: &str, label: &str) -> Result<Option<Timestamp>, ManagementError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let begins = |day: Date| day.to_zoned(TimeZone::UTC).map(|day| day.timestamp()).ok();
        let read = text.parse::<Date>().ok().and_then(begins).or_else(|| text.parse().ok());
        let wrong = || ManagementError::invalid(format!("{label}: expected a day as 2027-01-31"));
        read.map(Some).ok_or_else(wrong)
    }

    /// A secret that was pasted, without the blanks that came along.
    pub(super) fn pasted(&self, name: &str) -> Secret {
        Secret::new(self.text(name))
    }

    /// A value that is read as something else. `label` is what the page calls it.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, label: &str) -> Result<Option<T>, ManagementError>
    where
        T::Err: fmt::Display,
    {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error| ManagementError::invalid(format!("{label}: {error}")))
    }

    /// All values of a field, each read as something else.
    pub(super) fn all_parsed<T: FromStr>(&self, values: &[String], label: &str) -> Result<Vec<T>, ManagementError>
    where
        T::Err: fmt::Display,
    {
        let read =
            |value: &String| value.parse().map_err(|error| ManagementError::invalid(format!("{label}: {error}")));
        values.iter().map(read).collect()
    }

    fn raw(&self, name: &str) -> &str {
        self.0.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing =
            || Problem::new(StatusCode::BAD_REQUEST, "usage", "no form was sent", "send the form of the page");
        parts.extensions.remove().ok_or_else(missing)
    }
}

/// What stands behind the question mark of an address. What nobody knows is passed over.
#[derive(Debug)]
pub(super) struct Asked(Fields);

impl std::ops::Deref for Asked {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let all = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        Ok(Self(Fields::new(all.map(|Query(all)| all).unwrap_or_default())))
    }
}

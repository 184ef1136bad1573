//! Who looks at a page: what they may, what stands in their forms, and what the next page tells them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};

use super::browsers::{Browsers, Flash, Key, Made, Tone};
use crate::admin::Office;
use crate::admin::caller::Caller;
use crate::admin::problem::{Problem, Reason};
use crate::management::{Desk, ManagementError};
use crate::model::Role;

/// Who looks, by which browser, at what.
#[derive(Clone)]
pub(super) struct Visitor {
    /// The operator, with the role that they have now.
    pub(super) caller: Caller,
    /// What stands in each form of theirs.
    pub(super) csrf: String,
    key: Key,
    browsers: Arc<Browsers>,
}

impl Visitor {
    pub(super) fn new(caller: Caller, csrf: String, key: Key, browsers: Arc<Browsers>) -> Self {
        Self { caller, csrf, key, browsers }
    }

    /// Whether they may do what needs that role.
    pub(super) fn may(&self, role: Role) -> bool {
        self.caller.role >= role
    }

    /// The desk in their name.
    pub(super) fn desk(&self, office: &Office) -> Desk {
        office.desk_of(&self.caller)
    }

    /// What was to be said on the next page, which is this one.
    pub(super) fn said(&self) -> Option<Flash> {
        self.browsers.said(&self.key)
    }

    /// Keeps a secret for the page that shows it, once.
    pub(super) fn keep(&self, made: Made) {
        self.browsers.keep(&self.key, made, Instant::now());
    }

    /// The secret that was just made for that one.
    pub(super) fn take(&self, of: &str) -> Option<Made> {
        self.browsers.take(&self.key, of, Instant::now())
    }

    /// Signs them out.
    pub(super) fn leave(&self) {
        self.browsers.leave(&self.key);
    }

    /// Leads to another page, which says that.
    pub(super) fn go(&self, to: &str, tone: Tone, text: impl Into<String>) -> Response {
        let (text, mut response) = (text.into(), Redirect::to(to).into_response());
        if tone == Tone::Bad {
            response.extensions_mut().insert(Reason(text.clone())); // the audit says that it was not done
        }
        self.browsers.say(&self.key, Flash { tone, text });
        response
    }

    /// Leads to another page, which says what came of it.
    pub(super) fn tell<T>(
        &self,
        to: &str,
        result: Result<T, ManagementError>,
        good: impl FnOnce(T) -> String,
    ) -> Response {
        match result {
            Ok(done) => self.go(to, Tone::Good, good(done)),
            Err(error) => self.go(to, Tone::Bad, error.to_string()),
        }
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthenticated)
    }
}

//! The audit, as operators look at it: what happened, the latest first.

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Desk, Fault, ManagementError, Paging};
use crate::audit::{self, Found, SearchError, Wanted};

/// Which events are looked for. All that is named must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The client's login, in any case of letters.
    pub login: Option<String>,
    /// The account, or the subject of a rotation or an alert, in any case of letters.
    pub account: Option<String>,
    /// The kind of event: `decision`, `enrolment`, `upstream`, `rotation`, `alert`, `session`, `end` …
    pub event: Option<String>,
    /// How it came out: `allow`, `deny`, `accepted`, `failed` …
    pub outcome: Option<String>,
    /// The client's address.
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub peer: Option<IpAddr>,
    /// Not before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Events, the latest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditPage {
    /// The events as they stand in the file, with `seq`, `prev`, `run`, `time` and `event`.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<serde_json::Value>,
    /// What to give as `after` to go on. A page may have few events, or none, and there may be more all the same: one look
    /// goes through so many bytes at the most.
    #[schema(required)]
    pub next: Option<String>,
    /// Lines that could not be read: half ones, or longer than any of ours.
    pub unreadable: u64,
}

/// Looks for events. It blocks for as long as reading 32 MiB takes: call it where that is allowed. Whether all of them are there
/// needs no desk: [`audit::verify()`].
///
/// # Errors
/// [`Fault::Missing`] if the audit has no file, [`Fault::Usage`] if `after` is no cursor of it, [`Fault::Broken`] if a file
/// cannot be read.
pub fn search_audit(desk: &Desk, query: AuditQuery, paging: &Paging) -> Result<AuditPage, ManagementError> {
    let path = path(desk)?;
    let AuditQuery { login, account, event, outcome, peer, since, until } = query;
    let wanted = Wanted { login, account, event, outcome, peer, since, until };
    let found = audit::search(&path, &wanted, paging.after.as_deref(), paging.limit);
    let Found { lines, next, unreadable } = found.map_err(|error| {
        let fault = match error {
            SearchError::Cursor => Fault::Usage,
            SearchError::Io(_) => Fault::Broken,
        };
        ManagementError::new(fault, error.to_string())
    })?;
    Ok(AuditPage { items: lines, next, unreadable })
}

fn path(desk: &Desk) -> Result<PathBuf, ManagementError> {
    let none = || ManagementError::missing("the audit is in the log alone; name a file for it: path in [audit]");
    desk.audit.options().path.ok_or_else(none)
}

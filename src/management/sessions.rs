//! The sessions of a node, and traces of what is said before login.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Fault, ManagementError, Page, Paging};
use crate::model::{Protocol, normalise};
use crate::session::{LiveSession, LiveState, Sessions, TRACE_TIME, TraceError, TraceFilter, TraceLine, TraceView};

/// A session that was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionItem {
    /// Its number on this node, until the node is started anew.
    pub id: u64,
    /// The client's login.
    pub login: String,
    /// The id of the client secret that proved it; null if it was known without.
    pub client_secret: Option<String>,
    /// The account that it acts as.
    pub account: String,
    /// The id of the credential version that the provider took; null until it has.
    pub credential: Option<String>,
    /// The listener it came through.
    pub listener: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// The client's address.
    #[schema(value_type = String)]
    pub peer: IpAddr,
    /// `entering` while the provider is logged in to, then `relaying`.
    pub state: String,
    /// When it was let in.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it has to be over; null if at no certain time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Bytes from the client so far.
    pub bytes_up: u64,
    /// Bytes to the client so far.
    pub bytes_down: u64,
}

/// Whose sessions. All that is named must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// The client's login, in any case of letters.
    pub login: Option<String>,
    /// The account, in any case of letters.
    pub account: Option<String>,
}

/// How many sessions were ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Closed {
    /// How many.
    pub closed: usize,
}

/// Whose dialogues are to be traced, and for how long. Something is named, and all that is must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewTrace {
    /// The login that the client names, in any case of letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub peer: Option<IpAddr>,
    /// The listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// For how many seconds, up to 3600; 300 if that is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3600)]
    pub seconds: Option<u32>,
}

/// A trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// Its id.
    pub id: String,
    /// Who began it.
    pub by: String,
    /// The login that is traced.
    pub login: Option<String>,
    /// The client's address.
    #[schema(value_type = Option<String>)]
    pub peer: Option<IpAddr>,
    /// The listener.
    pub listener: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it ends, or ended.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Why it is over; null while it runs.
    pub over: Option<String>,
    /// Its lines, behind the number that was given as `after`.
    pub lines: Vec<Line>,
}

/// A line of a trace. It holds nothing that a client or a provider sent: what they said is told by what it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Its number in the trace, from 1.
    pub number: u64,
    /// When it was said.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The session's number; the audit has the same.
    pub session: u64,
    /// Time since the session began, milliseconds.
    pub after_ms: u64,
    /// Who says it: `client`, `locum`, `upstream`, or `session` for what happens.
    pub who: String,
    /// What is said.
    pub text: String,
}

/// The sessions that were let in, in the order in which they came.
///
/// # Errors
/// [`Fault::Usage`] if no list said that cursor.
pub fn list_sessions(
    sessions: &Sessions,
    query: &SessionQuery,
    paging: &Paging,
) -> Result<Page<SessionItem>, ManagementError> {
    let wrong = || ManagementError::new(Fault::Usage, "`after` takes what an earlier part of this list said as `next`");
    let after = paging.after.as_deref().map(|after| after.parse::<u64>().map_err(|_| wrong())).transpose()?;
    let is =
        |wanted: &Option<String>, it: &str| wanted.as_ref().is_none_or(|wanted| normalise(wanted) == normalise(it));
    let mut items: Vec<SessionItem> = sessions
        .live()
        .into_iter()
        .filter(|live| after.is_none_or(|after| live.session > after))
        .filter(|live| is(&query.login, &live.login) && is(&query.account, &live.account))
        .take(paging.limit.saturating_add(1))
        .map(SessionItem::from)
        .collect();
    let has_more = items.len() > paging.limit;
    items.truncate(paging.limit);
    let next = items.last().filter(|_| has_more).map(|item| item.id.to_string());
    Ok(Page { items, next, damaged: Vec::new() })
}

/// Ends a session, in the name of an operator.
///
/// # Errors
/// [`Fault::Missing`] if there is none of that number.
pub fn close_session(sessions: &Sessions, id: u64, by: &str) -> Result<(), ManagementError> {
    let missing = || ManagementError::missing(format!("no session {id} is open on this node"));
    sessions.close(id, by).then_some(()).ok_or_else(missing)
}

/// Ends all sessions of a client or an account.
///
/// # Errors
/// [`Fault::Usage`] if neither is named.
pub fn close_sessions(sessions: &Sessions, query: &SessionQuery, by: &str) -> Result<Closed, ManagementError> {
    if query.login.is_none() && query.account.is_none() {
        return Err(ManagementError::new(Fault::Usage, "name a login or an account whose sessions are to be closed"));
    }
    Ok(Closed { closed: sessions.close_all(query.login.as_deref(), query.account.as_deref(), by) })
}

/// Begins a trace; it is of sessions that begin from now on.
///
/// # Errors
/// [`Fault::Usage`] if it names nobody, [`Fault::Invalid`] if it is too long, [`Fault::Conflict`] if too many run.
pub fn begin_trace(sessions: &Sessions, wish: NewTrace, by: &str) -> Result<Trace, ManagementError> {
    let NewTrace { login, peer, listener, seconds } = wish;
    let time = seconds.map_or(TRACE_TIME, |seconds| Duration::from_secs(seconds.into()));
    let id = sessions.trace(TraceFilter { login, peer, listener }, time, by).map_err(|error| {
        let fault = match error {
            TraceError::NoFilter => Fault::Usage,
            TraceError::Time => Fault::Invalid,
            TraceError::TooMany => Fault::Conflict,
        };
        ManagementError::new(fault, error.to_string())
    })?;
    read_trace(sessions, &id, 0, 0, by)
}

/// A trace, with up to so many of its lines behind that number.
///
/// # Errors
/// [`Fault::Missing`] if there is none of that id.
pub fn read_trace(sessions: &Sessions, id: &str, after: u64, limit: usize, by: &str) -> Result<Trace, ManagementError> {
    sessions.read_trace(id, after, limit, by).map(Trace::from).ok_or_else(|| no_trace(id))
}

/// The traces that run, or ran of late, without their lines.
pub fn list_traces(sessions: &Sessions) -> Page<Trace> {
    Page::whole(sessions.traces().into_iter().map(Trace::from).collect())
}

/// Ends and forgets a trace.
///
/// # Errors
/// [`Fault::Missing`] if there is none of that id.
pub fn end_trace(sessions: &Sessions, id: &str, by: &str) -> Result<(), ManagementError> {
    sessions.end_trace(id, by).then_some(()).ok_or_else(|| no_trace(id))
}

fn no_trace(id: &str) -> ManagementError {
    ManagementError::missing(format!("no trace {id} on this node; it is forgotten ten minutes after its end"))
}

impl From<LiveSession> for SessionItem {
    fn from(live: LiveSession) -> Self {
        Self {
            id: live.session,
            login: live.login,
            client_secret: live.client_secret,
            account: live.account,
            credential: live.credential,
            listener: live.listener.to_string(),
            protocol: live.protocol,
            peer: live.peer,
            state: match live.state {
                LiveState::Entering => "entering".to_owned(),
                LiveState::Relaying => "relaying".to_owned(),
            },
            since: live.since,
            until: live.until,
            bytes_up: live.bytes_up,
            bytes_down: live.bytes_down,
        }
    }
}

impl From<TraceView> for Trace {
    fn from(view: TraceView) -> Self {
        let TraceView { id, by, filter: TraceFilter { login, peer, listener }, since, until, over, lines } = view;
        let lines = lines.into_iter().map(Line::from).collect();
        Self { id, by, login, peer, listener, since, until, over: over.map(str::to_owned), lines }
    }
}

impl From<TraceLine> for Line {
    fn from(line: TraceLine) -> Self {
        let TraceLine { number, time, session, after_ms, who, text } = line;
        Self { number, time, session, after_ms, who: who.to_owned(), text }
    }
}

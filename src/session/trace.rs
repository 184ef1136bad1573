//! Traces: what is said in the dialogues of one client, on demand, for a time. Nothing that a client or a provider sent can be
//! in one: dialogues tell in words of their own what was said, by what their parser took it for. After login there are only
//! numbers. Where nothing is traced, a session finds that out by reading one number.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::audit::Origin;
use crate::model::normalise;
use crate::proto::{Remark, Speaker, Tap};

/// Traces that run at once: somebody reads each of them.
const RUNNING_MAX: usize = 4;

/// Traces that are kept, with those that are over.
const KEPT_MAX: usize = 16;

/// For how long one runs at the most.
pub const TRACE_TIME_MAX: Duration = Duration::from_secs(3600);

/// For how long one runs where nobody says it.
pub const TRACE_TIME: Duration = Duration::from_secs(300);

/// For how long one is kept when it is over.
const KEPT: Duration = Duration::from_secs(600);

/// Lines of one trace, and their bytes: more is read by nobody.
const LINES_MAX: usize = 5_000;
const BYTES_MAX: usize = 512 * 1024;

/// Lines of a session that wait until it says who it is. A dialogue has some dozens.
const WAITING_LINES_MAX: usize = 256;

/// Whose dialogues are traced. All of it must be so; something is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// The login that the client names, in any case of letters. What was said before it named one is told then.
    pub login: Option<String>,
    /// The client's address.
    pub peer: Option<IpAddr>,
    /// The listener.
    pub listener: Option<String>,
}

/// A line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    /// Its number in the trace, from 1.
    pub number: u64,
    /// When it was said.
    pub time: Timestamp,
    /// The session's number.
    pub session: u64,
    /// Time since the session began, milliseconds.
    pub after_ms: u64,
    /// Who says it: `"client"`, `"locum"`, `"upstream"`, or `"session"` for what happens.
    pub who: &'static str,
    /// What is said.
    pub text: String,
}

/// A trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceView {
    /// Its id.
    pub id: String,
    /// Who began it.
    pub by: String,
    /// Whose dialogues it is of.
    pub filter: TraceFilter,
    /// When it began.
    pub since: Timestamp,
    /// When it ends, or ended.
    pub until: Timestamp,
    /// Why it is over; `None` while it runs.
    pub over: Option<&'static str>,
    /// Its lines, behind those that the reader has.
    pub lines: Vec<TraceLine>,
}

/// A trace cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// Nothing says whose.
    #[error("name a login, an address or a listener to trace")]
    NoFilter,
    /// For too long, or for no time.
    #[error("a trace runs for a second to an hour")]
    Time,
    /// There are too many.
    #[error("{RUNNING_MAX} traces run on this node, which is all it can have; end one first")]
    TooMany,
}

/// The traces of a node.
#[derive(Debug, Default)]
pub(super) struct Traces {
    running: AtomicUsize,
    /// How many there ever were.
    next: AtomicU64,
    state: Mutex<VecDeque<Trace>>,
    /// The taps of sessions that may be in one.
    taps: Mutex<HashMap<u64, Weak<SessionTap>>>,
}

#[derive(Debug)]
struct Trace {
    id: String,
    by: String,
    filter: TraceFilter,
    began: Instant,
    since: Timestamp,
    time: Duration,
    over: Option<(&'static str, Instant, Timestamp)>,
    lines: Vec<TraceLine>,
    bytes: usize,
}

impl Traces {
    pub(super) fn begin(&self, filter: TraceFilter, time: Duration, by: &str) -> Result<String, TraceError> {
        if filter == TraceFilter::default() {
            return Err(TraceError::NoFilter);
        }
        if time < Duration::from_secs(1) || time > TRACE_TIME_MAX {
            return Err(TraceError::Time);
        }
        let filter = TraceFilter { login: filter.login.map(|login| normalise(&login)), ..filter };
        let mut traces = self.tidied();
        if traces.iter().filter(|trace| trace.over.is_none()).count() >= RUNNING_MAX {
            return Err(TraceError::TooMany);
        }
        if traces.len() >= KEPT_MAX
            && let Some(at) = traces.iter().position(|trace| trace.over.is_some())
        {
            traces.remove(at);
        }
        let (began, since) = (Instant::now(), Timestamp::now());
        let (id, by) = (format!("t{}", self.next.fetch_add(1, Ordering::Relaxed) + 1), by.to_owned());
        traces.push_back(Trace {
            id: id.clone(),
            by,
            filter,
            began,
            since,
            time,
            over: None,
            lines: Vec::new(),
            bytes: 0,
        });
        self.count(&traces);
        Ok(id)
    }

    /// The trace of that id with its lines behind that number, or `None` if there is none.
    pub(super) fn view(&self, id: &str, after: u64, limit: usize) -> Option<TraceView> {
        let traces = self.tidied();
        let trace = traces.iter().find(|trace| trace.id == id)?;
        let from = usize::try_from(after).unwrap_or(usize::MAX).min(trace.lines.len());
        Some(TraceView { lines: trace.lines[from..].iter().take(limit).cloned().collect(), ..trace.view() })
    }

    /// All of them, without their lines.
    pub(super) fn all(&self) -> Vec<TraceView> {
        self.tidied().iter().map(Trace::view).collect()
    }

    /// Ends and forgets it; whether there was one.
    pub(super) fn remove(&self, id: &str) -> bool {
        let mut traces = self.tidied();
        let before = traces.len();
        traces.retain(|trace| trace.id != id);
        self.count(&traces);
        traces.len() < before
    }

    /// The tap of a session, where somebody might want it.
    pub(super) fn tap(self: &Arc<Self>, origin: &Origin) -> Option<Arc<SessionTap>> {
        if self.running.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let (traces, session, began) = (Arc::clone(self), origin.session, Instant::now());
        let is_meant = self.tidied().iter().any(|trace| trace.over.is_none() && trace.filter.may_be(origin));
        let state = TapState {
            peer: origin.peer,
            listener: Arc::clone(&origin.listener),
            login: None,
            waiting: VecDeque::new(),
        };
        let tap = is_meant.then(|| Arc::new(SessionTap { traces, session, began, state: Mutex::new(state) }))?;
        self.taps().insert(session, Arc::downgrade(&tap));
        Some(tap)
    }

    /// The tap of a session that has one.
    pub(super) fn tap_of(&self, session: u64) -> Option<Arc<SessionTap>> {
        if self.running.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.taps().get(&session).and_then(Weak::upgrade)
    }

    fn taps(&self) -> MutexGuard<'_, HashMap<u64, Weak<SessionTap>>> {
        self.taps.lock().expect("nothing panics while it holds this lock")
    }

    /// Those that are over by their time are said to be, and those that were for long are forgotten.
    fn tidied(&self) -> MutexGuard<'_, VecDeque<Trace>> {
        let mut traces = self.state.lock().expect("nothing panics while it holds this lock");
        let now = Instant::now();
        for trace in traces.iter_mut().filter(|trace| trace.over.is_none() && now >= trace.began + trace.time) {
            trace.end("its time is over");
        }
        traces.retain(|trace| trace.over.is_none_or(|(_, at, _)| now < at + KEPT));
        self.count(&traces);
        traces
    }

    fn count(&self, traces: &VecDeque<Trace>) {
        let running = traces.iter().filter(|trace| trace.over.is_none()).count();
        self.running.store(running, Ordering::Relaxed);
    }
}

impl Trace {
    fn view(&self) -> TraceView {
        TraceView {
            id: self.id.clone(),
            by: self.by.clone(),
            filter: self.filter.clone(),
            since: self.since,
            until: self.over.map_or_else(
                || {
                    self.since
                        .saturating_add(jiff::SignedDuration::try_from(self.time).unwrap_or_default())
                        .unwrap_or(self.since)
                },
                |(_, _, at)| at,
            ),
            over: self.over.map(|(why, ..)| why),
            lines: Vec::new(),
        }
    }

    fn add(&mut self, mut line: TraceLine) {
        if self.over.is_some() {
            return;
        }
        if self.lines.len() >= LINES_MAX || self.bytes + line.text.len() > BYTES_MAX {
            return self.end("it is full");
        }
        self.bytes += line.text.len();
        line.number = self.lines.len() as u64 + 1;
        self.lines.push(line);
    }

    fn end(&mut self, why: &'static str) {
        self.over = Some((why, Instant::now(), Timestamp::now()));
    }
}

impl TraceFilter {
    /// Whether it may be of this one, whose login is not known yet.
    fn may_be(&self, origin: &Origin) -> bool {
        self.is_from(origin.peer, &origin.listener)
    }

    fn is_from(&self, peer: IpAddr, listener: &str) -> bool {
        self.peer.is_none_or(|wanted| wanted == peer) && self.listener.as_ref().is_none_or(|wanted| wanted == listener)
    }

    fn is_of(&self, state: &TapState) -> bool {
        self.is_from(state.peer, &state.listener)
            && self.login.as_ref().is_none_or(|wanted| state.login.as_ref() == Some(wanted))
    }
}

/// What a session says to the traces that it is in.
#[derive(Debug)]
pub(super) struct SessionTap {
    traces: Arc<Traces>,
    session: u64,
    began: Instant,
    state: Mutex<TapState>,
}

#[derive(Debug)]
struct TapState {
    peer: IpAddr,
    listener: Arc<str>,
    login: Option<String>,
    /// What was said while the login is not known, for those that want a login.
    waiting: VecDeque<TraceLine>,
}

impl SessionTap {
    /// Something happened.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.say("session", text.into());
    }

    /// The client is another one.
    pub(super) fn peer_is(&self, peer: IpAddr) {
        self.state().peer = peer;
    }

    /// It is known who it says it is: what was said before is told to those that want it.
    pub(super) fn login_is(&self, login: &[u8]) {
        let login = normalise(&String::from_utf8_lossy(login));
        let mut state = self.state();
        state.login = Some(login);
        let waiting = std::mem::take(&mut state.waiting);
        let mut traces = self.traces.tidied();
        for trace in traces.iter_mut().filter(|trace| trace.filter.login.is_some() && trace.filter.is_of(&state)) {
            waiting.iter().for_each(|line| trace.add(line.clone()));
        }
        self.traces.count(&traces);
    }

    fn say(&self, who: &'static str, text: String) {
        let mut state = self.state();
        let after_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = TraceLine { number: 0, time: Timestamp::now(), session: self.session, after_ms, who, text };
        let mut traces = self.traces.tidied();
        for trace in traces.iter_mut().filter(|trace| trace.filter.is_of(&state)) {
            trace.add(line.clone());
        }
        self.traces.count(&traces);
        drop(traces);
        if state.login.is_none() && state.waiting.len() < WAITING_LINES_MAX {
            state.waiting.push_back(line);
        }
    }

    fn state(&self) -> MutexGuard<'_, TapState> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for SessionTap {
    fn drop(&mut self) {
        self.traces.taps().remove(&self.session);
    }
}

impl Tap for SessionTap {
    fn hear(&self, remark: Remark) {
        let who = match remark.speaker {
            Speaker::Client => "client",
            Speaker::Locum => "locum",
            Speaker::Upstream => "upstream",
        };
        self.say(who, remark.text.into_owned());
    }
}

#[cfg(test)]
mod tests;

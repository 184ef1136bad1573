//! The sessions that were let in on this node: who they are, under which terms, and until when. It knows no record and
//! reads no store; it is told what to look at again, and says whom that concerns. Nothing here waits.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use jiff::Timestamp;
use metrics::{counter, describe_counter};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::audit::Origin;
use crate::broker::{Lease, Seat, Terms, Withdrawal};
use crate::model::{Protocol, normalise};
use crate::net::Traffic;

/// Sessions that were let in and relayed, by how they ended. Label `cause`.
const ENDED: &str = "locum_sessions_ended_total";

/// What can be told of a session that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its number in this process.
    pub session: u64,
    /// The client's login, normalised.
    pub login: String,
    /// The id of the client secret that proved it; `None` if it was known without.
    pub client_secret: Option<String>,
    /// The account that it acts as.
    pub account: String,
    /// The listener it came through.
    pub listener: Arc<str>,
    /// What it speaks.
    pub protocol: Protocol,
    /// The client's address.
    pub peer: IpAddr,
    /// When it was let in.
    pub since: Timestamp,
    /// When it has to be over.
    pub until: Option<Timestamp>,
    /// What it does.
    pub state: LiveState,
    /// The id of the credential that the upstream took, once it has.
    pub credential: Option<String>,
    /// Bytes from the client so far.
    pub bytes_up: u64,
    /// Bytes to the client so far.
    pub bytes_down: u64,
}

/// What a session does that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveState {
    /// The upstream is being logged in to.
    Entering,
    /// Bytes are relayed.
    Relaying,
}

/// How far a session has come.
#[derive(Debug, Default)]
struct Course {
    /// The id of the credential that the upstream took.
    entered: OnceLock<String>,
    traffic: Arc<Traffic>,
}

/// The sessions that were let in.
#[derive(Debug, Default)]
pub(super) struct Live {
    state: Mutex<State>,
    /// Told when there is something to look at again.
    doubts: Notify,
    /// Told when there is an end that may come before all others.
    ends: Notify,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<u64, Entry>,
    /// The sessions of each login, for those that have a client's record behind them.
    by_login: HashMap<String, BTreeSet<u64>>,
    ends: BTreeSet<(Timestamp, u64)>,
    /// Logins to be looked at again, for something was heard of them.
    doubted: BTreeSet<String>,
    /// Those of which nothing was heard, for anything may have been written.
    in_turn: BTreeSet<String>,
    /// Whether one of these is next: those that come in without end must not keep them waiting.
    is_turn: bool,
    /// The login that was looked at last: the next one comes behind it, so that none waits for ever.
    last: String,
}

#[derive(Debug)]
struct Entry {
    login: String,
    account: String,
    origin: Origin,
    terms: Arc<Terms>,
    since: Timestamp,
    until: Option<(Timestamp, Withdrawal)>,
    over: Over,
    course: Arc<Course>,
}

/// Whether a session is over, and why.
#[derive(Debug, Clone)]
struct Over {
    token: CancellationToken,
    why: Arc<OnceLock<Withdrawal>>,
}

/// Held by a session from the decision to its end; given back when dropped.
#[derive(Debug)]
pub(super) struct Alive {
    session: u64,
    over: Over,
    course: Arc<Course>,
    live: Arc<Live>,
    /// Its part of the client's count of sessions.
    _seat: Option<Arc<Seat>>,
}

/// A session that was relayed is over.
pub(super) fn count_end(cause: &'static str) {
    counter!(ENDED, "cause" => cause).increment(1);
}

impl Live {
    pub(super) fn new() -> Arc<Self> {
        describe_counter!(
            ENDED,
            "Sessions that were logged in and are over, by cause: a side closed or broke, nothing moved, the process stopped, \
             or what the session was let in by was withdrawn"
        );
        Arc::default()
    }

    /// Takes in a session that was let in. It is over when `kill` is, too. Its client is looked at again at once: it may have
    /// been read before something was heard that found no session of it. What this node knows to be new is no question to
    /// the store.
    pub(super) fn enter(self: &Arc<Self>, origin: &Origin, lease: &Lease, kill: &CancellationToken) -> Alive {
        let course = Arc::<Course>::default();
        let over = Over { token: kill.child_token(), why: Arc::default() };
        let entry = Entry {
            login: normalise(lease.login()),
            account: lease.account().to_owned(),
            origin: origin.clone(),
            terms: Arc::clone(lease.terms()),
            since: Timestamp::now(),
            until: lease.terms().end(),
            over: over.clone(),
            course: Arc::clone(&course),
        };
        self.insert(entry);
        Alive { session: origin.session, over, course, live: Arc::clone(self), _seat: lease.seat() }
    }

    fn insert(&self, entry: Entry) {
        let mut state = self.state();
        let session = entry.origin.session;
        if entry.terms.is_client {
            state.by_login.entry(entry.login.clone()).or_default().insert(session);
            state.doubted.insert(entry.login.clone());
            self.doubts.notify_one();
        }
        if let Some((until, _)) = entry.until {
            state.ends.insert((until, session));
            self.ends.notify_one();
        }
        state.sessions.insert(session, entry);
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all(&self) -> Vec<LiveSession> {
        let mut all: Vec<_> = self.state().sessions.values().map(Entry::told).collect();
        all.sort_by_key(|session| session.session);
        all
    }

    /// Ends those that are meant; their numbers.
    pub(super) fn close(&self, is_meant: impl Fn(&LiveSession) -> bool) -> Vec<u64> {
        let state = self.state();
        let meant = state.sessions.values().filter(|entry| is_meant(&entry.told()));
        let closing = meant.inspect(|entry| entry.over.end(Withdrawal::ClosedByOperator));
        closing.map(|entry| entry.origin.session).collect()
    }

    /// Something was written: the clients that `concerns` says are to be looked at again.
    pub(super) fn doubt(&self, concerns: impl Fn(&str) -> bool) {
        let mut state = self.state();
        let concerned: Vec<_> = state.by_login.keys().filter(|login| concerns(login)).cloned().collect();
        if !concerned.is_empty() {
            state.doubted.extend(concerned);
            self.doubts.notify_one();
        }
    }

    /// Anything may have been written: all clients are to be looked at again, without keeping those waiting of whom more is
    /// known.
    pub(super) fn doubt_all(&self) {
        let mut state = self.state();
        let State { by_login, in_turn, .. } = &mut *state;
        in_turn.extend(by_login.keys().cloned());
        self.doubts.notify_one();
    }

    /// That one is to be looked at again, for nothing was learnt of it.
    pub(super) fn doubt_still(&self, login: String) {
        let mut state = self.state();
        if state.by_login.contains_key(&login) {
            state.doubted.insert(login);
            self.doubts.notify_one();
        }
    }

    /// The next client to be looked at again, once there is one; none of those that are being looked at. May be dropped at any
    /// time; nothing is taken before it returns.
    pub(super) async fn doubted(&self, under_way: &BTreeSet<String>) -> String {
        loop {
            if let Some(login) = self.state().take_doubted(under_way) {
                return login;
            }
            self.doubts.notified().await;
        }
    }

    /// Has each session of that client go on until when `judge` says, or end.
    pub(super) fn judge(
        &self,
        login: &str,
        judge: impl Fn(&str, &Terms, &Origin) -> Result<Option<(Timestamp, Withdrawal)>, Withdrawal>,
    ) {
        let mut state = self.state();
        let sessions = state.by_login.get(login).cloned().unwrap_or_default();
        for session in sessions {
            let Some(entry) = state.sessions.get_mut(&session) else { continue };
            match judge(&entry.account, &entry.terms, &entry.origin) {
                Ok(until) => {
                    let at = until.as_ref().map(|(at, _)| *at);
                    let before = std::mem::replace(&mut entry.until, until).map(|(at, _)| at);
                    if before != at {
                        before.map(|before| state.ends.remove(&(before, session)));
                        at.map(|at| state.ends.insert((at, session)));
                        self.ends.notify_one();
                    }
                }
                Err(why) => entry.over.end(why),
            }
        }
    }

    /// Ends each session that `may_go_on` does not know.
    pub(super) fn hold_to(&self, may_go_on: impl Fn(&str, &Terms, &Origin) -> bool) {
        for Entry { login, terms, origin, over, .. } in self.state().sessions.values() {
            if !may_go_on(login, terms, origin) {
                over.end(Withdrawal::EntranceClosed);
            }
        }
    }

    /// Ends the sessions whose time is over, and says when the next one's is.
    pub(super) fn end_overdue(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.state();
        while let Some(&(until, session)) = state.ends.first() {
            if until > now {
                return Some(until);
            }
            state.ends.pop_first();
            if let Some(Entry { until: Some((_, why)), over, .. }) = state.sessions.get(&session) {
                over.end(*why);
            }
        }
        None
    }

    /// Until there may be an end before all others. May be dropped at any time.
    pub(super) async fn new_end(&self) {
        self.ends.notified().await;
    }

    fn forget(&self, session: u64) {
        let mut state = self.state();
        let Some(entry) = state.sessions.remove(&session) else { return };
        if let Some((until, _)) = entry.until {
            state.ends.remove(&(until, session));
        }
        if let Some(sessions) = state.by_login.get_mut(&entry.login) {
            sessions.remove(&session);
            if sessions.is_empty() {
                state.by_login.remove(&entry.login);
                state.doubted.remove(&entry.login);
                state.in_turn.remove(&entry.login);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

impl State {
    fn take_doubted(&mut self, under_way: &BTreeSet<String>) -> Option<String> {
        let Self { doubted, in_turn, is_turn, last, .. } = self;
        let is_free = |login: &&String| !under_way.contains(*login);
        let behind = (Bound::Excluded(&*last), Bound::Unbounded);
        let next = |all: &BTreeSet<String>| {
            all.range::<String, _>(behind).find(is_free).or_else(|| all.iter().find(is_free)).cloned()
        };
        let (first, then) = if *is_turn { (&*in_turn, &*doubted) } else { (&*doubted, &*in_turn) };
        let login = next(first).or_else(|| next(then))?;
        *is_turn = !*is_turn;
        // What is looked at now is looked at for whatever reason.
        doubted.remove(&login);
        in_turn.remove(&login);
        last.clone_from(&login);
        Some(login)
    }
}

impl Entry {
    fn told(&self) -> LiveSession {
        LiveSession {
            session: self.origin.session,
            login: self.login.clone(),
            client_secret: self.terms.client_secret.clone(),
            account: self.account.clone(),
            listener: Arc::clone(&self.origin.listener),
            protocol: self.origin.protocol,
            peer: self.origin.peer,
            since: self.since,
            until: self.until.map(|(until, _)| until),
            state: if self.course.entered.get().is_some() { LiveState::Relaying } else { LiveState::Entering },
            credential: self.course.entered.get().cloned(),
            bytes_up: self.course.traffic.up(),
            bytes_down: self.course.traffic.down(),
        }
    }
}

impl Over {
    /// The first reason stays.
    fn end(&self, why: Withdrawal) {
        let _ = self.why.set(why);
        self.token.cancel();
    }
}

impl Alive {
    /// Cancelled when the session is over.
    pub(super) fn over(&self) -> &CancellationToken {
        &self.over.token
    }

    /// The upstream took that credential.
    pub(super) fn entered_with(&self, credential: &str) {
        let _ = self.course.entered.set(credential.to_owned()); // it takes one once
    }

    /// Where it is told what has moved.
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.course.traffic)
    }

    /// Where it will stand why it is over, for who outlives this.
    pub(super) fn why(&self) -> Arc<OnceLock<Withdrawal>> {
        Arc::clone(&self.over.why)
    }

    /// Why it is over, if what it was let in by was withdrawn.
    pub(super) fn withdrawn(&self) -> Option<&Withdrawal> {
        self.over.why.get()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.live.forget(self.session);
    }
}

#[cfg(test)]
mod tests;

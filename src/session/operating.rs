//! What operators do with sessions: they end them, and listen to their dialogues. Each of it must stand in the audit.

use std::time::Duration;

use super::{Sessions, TraceError, TraceFilter, TraceView};
use crate::audit::{self, Event};
use crate::model::normalise;

impl Sessions {
    /// Ends that session, in the name of an operator; whether there was one.
    pub fn close(&self, session: u64, by: &str) -> bool {
        let closed = self.live.close(|live| live.session == session);
        self.audit_closed(by, &closed, Some(session), None, None);
        !closed.is_empty()
    }

    /// Ends all sessions of a client, of an account, or of both at once; how many there were. Without either: none.
    pub fn close_all(&self, login: Option<&str>, account: Option<&str>, by: &str) -> usize {
        if login.is_none() && account.is_none() {
            return 0;
        }
        let (wanted, owner) = (login.map(normalise), account.map(normalise));
        let closed = self.live.close(|live| {
            wanted.as_ref().is_none_or(|wanted| live.login == *wanted)
                && owner.as_ref().is_none_or(|owner| normalise(&live.account) == *owner)
        });
        self.audit_closed(by, &closed, None, login, account);
        closed.len()
    }

    fn audit_closed(&self, by: &str, closed: &[u64], one: Option<u64>, login: Option<&str>, account: Option<&str>) {
        let text = |text: Option<&str>| text.map(|text| audit::name(text.as_bytes()));
        self.audit.record_step(&Event::Session {
            step: "closed",
            actor: by.to_owned(),
            session: one,
            sessions: Some(closed.len()),
            login: text(login),
            account: text(account),
            peer: None,
            listener: None,
            trace: None,
        });
    }

    /// Begins a trace of the dialogues of whom the filter names, of sessions that begin from now on; its id.
    ///
    /// # Errors
    /// See [`TraceError`].
    pub fn trace(&self, filter: TraceFilter, time: Duration, by: &str) -> Result<String, TraceError> {
        let id = self.traces.begin(filter.clone(), time, by)?;
        self.audit_trace("traced", &id, Some(&filter), by);
        Ok(id)
    }

    /// That trace, with its lines behind that number; `None` if there is none.
    pub fn read_trace(&self, id: &str, after: u64, limit: usize, by: &str) -> Option<TraceView> {
        let view = self.traces.view(id, after, limit)?;
        // Once a reader, not once a look.
        if after == 0 && view.by != by {
            self.audit_trace("trace-read", id, None, by);
        }
        Some(view)
    }

    /// All traces that run or ran of late, without their lines.
    pub fn traces(&self) -> Vec<TraceView> {
        self.traces.all()
    }

    /// Ends and forgets a trace; whether there was one.
    pub fn end_trace(&self, id: &str, by: &str) -> bool {
        let was = self.traces.remove(id);
        if was {
            self.audit_trace("trace-ended", id, None, by);
        }
        was
    }

    fn audit_trace(&self, step: &'static str, id: &str, filter: Option<&TraceFilter>, by: &str) {
        let text = |text: Option<&String>| text.map(|text| audit::name(text.as_bytes()));
        self.audit.record_step(&Event::Session {
            step,
            actor: by.to_owned(),
            session: None,
            sessions: None,
            login: text(filter.and_then(|it| it.login.as_ref())),
            account: None,
            peer: filter.and_then(|it| it.peer),
            listener: text(filter.and_then(|it| it.listener.as_ref())),
            trace: Some(id.to_owned()),
        });
    }
}

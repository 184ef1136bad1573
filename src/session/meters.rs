//! What is counted of sessions and logins. A label never names a person: a protocol, a listener of the configuration, and
//! words of this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Counter, Unit, counter, describe_counter, describe_histogram, histogram};
use tokio::time::Instant;

use super::ListenerOptions;
use super::capacity::Shed;
use super::error::SessionError;
use crate::broker::Reason;
use crate::model::{Protocol, Refusal};
use crate::net::{HANDSHAKES, Tally};
use crate::upstream::{Cause, UpstreamError};

/// Labels `protocol`, `listener`, `result` ([`RESULTS`]), `cause` ([`CAUSES`]).
const LOGINS: &str = "locum_logins_total";

/// From the attempt to the answer. Labels `protocol`, `result`.
const LOGIN_SECONDS: &str = "locum_login_seconds";

/// A part of it. Labels `protocol`, `phase`.
const PHASE_SECONDS: &str = "locum_login_phase_seconds";

/// Labels `protocol`, `listener`.
const CONNECTIONS: &str = "locum_connections_total";

/// Labels `protocol`, `cause`.
const ENDED: &str = "locum_dialogues_ended_total";

/// Label `reason`.
const SHED: &str = "locum_connections_shed_total";

/// Labels `protocol`, `direction`: `up`, `down`.
const BYTES: &str = "locum_relay_bytes_total";

/// What comes of a login: the client is in; it has itself to thank that it is not; it has not.
const RESULTS: [&str; 3] = ["accepted", "refused", "failed"];

/// Why a client is not let in, beside what a provider may say ([`Cause`]).
const CAUSES: [&str; 15] = [
    "wrong-credentials",
    "not-permitted",
    "unavailable",
    "contact-admin",
    "limit",
    "throttled",
    "expired",
    "protocol",
    "network",
    "not-bound",
    "credential",
    "store",
    "listener",
    "audit",
    "hung-up",
];

/// Why a client is not let in: what it is told, and what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) refusal: Refusal,
    cause: &'static str,
    /// Whether the client could not help it.
    is_failure: bool,
}

impl From<&Reason> for Denied {
    fn from(reason: &Reason) -> Self {
        Self { cause: reason.cause(), ..reason.refusal().into() }
    }
}

impl From<&UpstreamError> for Denied {
    fn from(error: &UpstreamError) -> Self {
        Self { refusal: error.refusal(), cause: error.cause().name(), is_failure: true }
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        let is_failure = matches!(refusal, Refusal::Unavailable | Refusal::ContactAdmin);
        Self { refusal, cause: refusal.name(), is_failure }
    }
}

/// Labels `protocol`, `handshake`: one of [`HANDSHAKES`].
const TLS_HANDSHAKES: &str = "locum_tls_handshakes_total";

/// Tells whoever collects them what they mean.
pub(super) fn describe() {
    describe_counter!(
        LOGINS,
        "Logins by protocol, listener, result (accepted; refused: the client may not; failed: it could not help it) and cause."
    );
    describe_histogram!(
        LOGIN_SECONDS,
        Unit::Seconds,
        "From a client's attempt to log in to its answer, the login at the provider included."
    );
    describe_histogram!(
        PHASE_SECONDS,
        Unit::Seconds,
        "A part of a login: tls, decide, gate, dial, upstream-tls, upstream-login."
    );
    describe_counter!(CONNECTIONS, "Connections that were taken, by protocol and listener.");
    describe_counter!(
        SHED,
        "Connections that were turned away, or gave their places to others before a login, by reason: address, unproven, full, descriptors, displaced."
    );
    Shed::ALL.into_iter().for_each(|shed| counter!(SHED, "reason" => shed.name()).increment(0));
    describe_counter!(
        ENDED,
        "Connections that ended before a login, by protocol and cause; those that were sent away in words are not among them."
    );
    describe_counter!(TLS_HANDSHAKES, "TLS handshakes with clients, by protocol and handshake: full, resumed.");
    describe_counter!(BYTES, Unit::Bytes, "Bytes relayed, up to providers and down to clients.");
}

/// Has what may be counted of a listener begin at nothing: a counter that appears with its first event hides that one.
pub(super) fn expect(options: &ListenerOptions) {
    let (protocol, name) = (options.protocol, options.name.as_str());
    let count = |result: &'static str, cause: &'static str| {
        counter!(LOGINS, "protocol" => protocol.name(), "listener" => name.to_owned(), "result" => result, "cause" => cause)
            .increment(0);
    };
    count(RESULTS[0], "none");
    for refusal in Refusal::ALL.map(Denied::from) {
        count(refusal.result(), refusal.cause);
    }
    Cause::ALL.iter().for_each(|cause| count(RESULTS[2], cause.name()));
    for cause in ["credential", "store"] {
        count(RESULTS[2], cause);
    }
    counter!(CONNECTIONS, "protocol" => protocol.name(), "listener" => name.to_owned()).increment(0);
    HANDSHAKES.into_iter().for_each(|handshake| tls_handshakes(protocol, handshake).increment(0));
    drop(tally(protocol));
}

impl Denied {
    /// It did not wait for the upstream.
    pub(super) fn hung_up() -> Self {
        Self { refusal: Refusal::Unavailable, cause: "hung-up", is_failure: false }
    }

    /// The cause in a word.
    pub(super) fn cause(self) -> &'static str {
        self.cause
    }

    fn result(self) -> &'static str {
        if self.is_failure { RESULTS[2] } else { RESULTS[1] }
    }
}

/// A login has its answer, that long after it was tried.
pub(super) fn count_login(options: &ListenerOptions, denied: Option<Denied>, took: Duration) {
    let (result, cause) = denied.map_or((RESULTS[0], "none"), |denied| (denied.result(), denied.cause));
    debug_assert!(is_known(cause), "{cause}");
    let (protocol, listener) = (options.protocol.name(), options.name.clone());
    counter!(LOGINS, "protocol" => protocol, "listener" => listener, "result" => result, "cause" => cause).increment(1);
    histogram!(LOGIN_SECONDS, "protocol" => protocol, "result" => result).record(took);
}

/// Whether a cause is one of those that are written down.
fn is_known(cause: &str) -> bool {
    cause == "none" || CAUSES.contains(&cause) || Cause::ALL.iter().any(|it| it.name() == cause)
}

/// A TLS handshake with a client has succeeded.
pub(super) fn count_handshake(protocol: Protocol, handshake: &'static str) {
    tls_handshakes(protocol, handshake).increment(1);
}

fn tls_handshakes(protocol: Protocol, handshake: &'static str) -> Counter {
    counter!(TLS_HANDSHAKES, "protocol" => protocol.name(), "handshake" => handshake)
}

/// A part of a login is over that began then.
pub(super) fn count_phase(protocol: Protocol, phase: &'static str, began: Instant) {
    histogram!(PHASE_SECONDS, "protocol" => protocol.name(), "phase" => phase).record(began.elapsed());
}

/// A connection was taken.
pub(super) fn count_connection(options: &ListenerOptions) {
    counter!(CONNECTIONS, "protocol" => options.protocol.name(), "listener" => options.name.clone()).increment(1);
}

/// A connection has no place, or has lost it.
pub(super) fn count_shed(shed: Shed) {
    counter!(SHED, "reason" => shed.name()).increment(1);
}

/// A connection ended before a login.
pub(super) fn count_ended(protocol: Protocol, error: &SessionError) {
    counter!(ENDED, "protocol" => protocol.name(), "cause" => error.name()).increment(1);
}

/// Counts what is relayed by a protocol, as it moves: a session may last for days.
pub(super) fn tally(protocol: Protocol) -> Tally {
    let bytes = |direction: &'static str| counter!(BYTES, "protocol" => protocol.name(), "direction" => direction);
    Tally { up: bytes("up"), down: bytes("down") }
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It has not logged in.
    Dialogue,
    /// It has.
    Relay,
}

impl SessionState {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Dialogue, Self::Relay];

    /// Its name, in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dialogue => "dialogue",
            Self::Relay => "relay",
        }
    }
}

/// How many sessions there are, by protocol and state.
#[derive(Debug, Default)]
pub(super) struct Census([[AtomicUsize; SessionState::ALL.len()]; Protocol::ALL.len()]);

/// One session's part of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Counted {
    census: Arc<Census>,
    protocol: Protocol,
    state: SessionState,
}

impl Census {
    /// Counts a session in.
    pub(super) fn enter(self: &Arc<Self>, protocol: Protocol) -> Counted {
        let state = SessionState::Dialogue;
        self.of(protocol, state).fetch_add(1, Ordering::Relaxed);
        Counted { census: Arc::clone(self), protocol, state }
    }

    /// All of it.
    pub(super) fn all(&self) -> Vec<(Protocol, SessionState, usize)> {
        let both = |protocol| SessionState::ALL.map(|state| (protocol, state));
        let pairs = Protocol::ALL.into_iter().flat_map(both);
        pairs.map(|(protocol, state)| (protocol, state, self.of(protocol, state).load(Ordering::Relaxed))).collect()
    }

    fn of(&self, protocol: Protocol, state: SessionState) -> &AtomicUsize {
        &self.0[protocol as usize][state as usize]
    }
}

impl Counted {
    /// It is logged in.
    pub(super) fn relays(&mut self) {
        self.census.of(self.protocol, self.state).fetch_sub(1, Ordering::Relaxed);
        self.state = SessionState::Relay;
        self.census.of(self.protocol, self.state).fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.of(self.protocol, self.state).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_counted_once_wherever_it_is() {
        let census = Arc::new(Census::default());
        let count = || census.all().into_iter().filter(|(.., count)| *count > 0).collect::<Vec<_>>();
        let mut one = census.enter(Protocol::Imap);
        let other = census.enter(Protocol::Submission);
        one.relays();
        assert_eq!(
            count(),
            [(Protocol::Imap, SessionState::Relay, 1), (Protocol::Submission, SessionState::Dialogue, 1)]
        );
        drop((one, other));
        assert_eq!(count(), []);
        assert_eq!(census.all().len(), 6);
    }

    #[test]
    fn every_refusal_has_a_cause_that_is_written_down() {
        for refusal in Refusal::ALL {
            assert!(is_known(Denied::from(refusal).cause));
        }
        let reasons = [
            Reason::Throttled,
            Reason::UnknownLogin,
            Reason::NotBound,
            Reason::HourNotAllowed,
            Reason::NetworkNotAllowed,
        ];
        for reason in reasons {
            assert!(is_known(Denied::from(&reason).cause), "{reason}");
        }
        assert_eq!(
            Denied::from(&Reason::UnknownLogin),
            Denied::from(&Reason::WrongSecret),
            "nobody learns which logins exist"
        );
    }

    #[test]
    fn who_could_not_help_it_failed() {
        for (refusal, result) in [
            (Refusal::WrongCredentials, "refused"),
            (Refusal::NotPermitted, "refused"),
            (Refusal::LimitReached, "refused"),
            (Refusal::Unavailable, "failed"),
            (Refusal::ContactAdmin, "failed"),
        ] {
            assert_eq!(Denied::from(refusal).result(), result);
        }
    }
}

//! Floor 3: logs in upstream. It dials, verifies, speaks the provider's dialogue, and hands back a connection that is
//! ready to be relayed. It knows no store and no policy: a [`Lease`] says all.
//!
//! - [`Upstreams::log_in`]: a [`Lease`] in, a [`LoggedIn`] or an [`UpstreamError`] out.
//! - [`Upstreams::probe_mailbox`]: whether a lease opens a mailbox, and what is in it.
//! - [`Upstreams::offers`]: what an upstream offers before login, as last seen by a probe.
//!
//! **Invariant:** a credential goes only to the host in the account's profile, under TLS verified for that name.

mod breaker;
mod classes;
mod classify;
mod converse;
mod error;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod mailbox;
mod meters;
mod options;
mod pace;
mod warm;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::broker::Lease;
use crate::model::{CredentialKind, Endpoint, Mechanism, Profile, Protocol, UpstreamTls};
use crate::net::{DialError, Names, Stream, dial};
use crate::proto::{self, ClientLimits, ClientOptions, Goal, Remark, Speaker, Tap, UpstreamReady};
use breaker::{Breaker, Open};
use classes::Passages;
use classify::Verdict;
use pace::Paces;
use warm::{Kept, Warm};

pub use classes::Places;
pub use classify::Cause;
pub use error::UpstreamError;
pub use mailbox::Mailbox;
pub use options::{ClassOptions, Options};
pub use pace::{Pacer, Turn};

/// All upstreams: how to reach them, and what is known of them.
#[derive(Debug)]
pub struct Upstreams {
    means: ArcSwap<Means>,
    passages: Passages,
    paces: Paces,
    breaker: Breaker,
    offers: DashMap<(String, Protocol), Vec<String>>,
    names: Names,
    warm: Warm,
    /// Where this process listens itself.
    own: ArcSwap<Vec<SocketAddr>>,
}

/// What holds logins up or back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Logins that wait at a gate.
    pub waiting: usize,
    /// What the breaker holds back, by upstream.
    pub breakers: BTreeMap<String, Held>,
}

/// What the breaker holds back at one upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Mailboxes that clients tried to get into of late and cannot, each counted once for each protocol: the provider refused
    /// what is stored.
    pub dead: usize,
    /// Credentials that wait for a while after another refusal.
    pub paused: usize,
}

/// How they are reached, as of the last reload.
#[derive(Debug)]
struct Means {
    options: Options,
    tls: Arc<ClientConfig>,
}

/// An upstream that is logged in to.
#[derive(Debug)]
pub struct LoggedIn {
    /// The connection.
    pub stream: Stream,
    /// What the dialogue learnt.
    pub ready: UpstreamReady,
    /// The session's places at the gates of its mailbox and its class, given back when dropped.
    pub places: Places,
    /// How fast it may send, where that is bounded.
    pub pacer: Option<Pacer>,
}

impl Upstreams {
    /// Upstreams are verified by `tls`.
    pub fn new(tls: Arc<ClientConfig>, options: Options) -> Self {
        meters::describe();
        let (passages, paces, breaker) = (Passages::default(), Paces::default(), Breaker::default());
        let means = ArcSwap::from_pointee(Means { options, tls });
        let (names, warm, own) = (Names::default(), Warm::default(), ArcSwap::default());
        Self { means, passages, paces, breaker, offers: DashMap::new(), names, warm, own }
    }

    /// From now on they are reached so. Sessions that are open, and what is known of credentials and mailboxes, stay.
    pub fn change(&self, tls: Arc<ClientConfig>, options: Options) {
        self.means.store(Arc::new(Means { options, tls }));
    }

    /// This process listens there: whatever leads to one of these is no upstream.
    pub fn listens_at(&self, own: Vec<SocketAddr>) {
        self.own.store(Arc::new(own));
    }

    /// What was seen of that upstream is true no more: it may be another one by now.
    pub fn forget_offers(&self, upstream: &str) {
        self.offers.retain(|(name, _), _| name != upstream);
    }

    fn means(&self) -> Arc<Means> {
        self.means.load_full()
    }

    /// Logs in with the lease's credential.
    ///
    /// # Errors
    /// The [`UpstreamError`] says in which state, after what time, why, and what to do.
    pub async fn log_in(&self, lease: &Lease) -> Result<LoggedIn, UpstreamError> {
        self.log_in_heard(lease, None).await
    }

    /// The same, with somebody who listens to the dialogue.
    ///
    /// # Errors
    /// As for [`Upstreams::log_in`].
    pub async fn log_in_heard(&self, lease: &Lease, tap: Option<&dyn Tap>) -> Result<LoggedIn, UpstreamError> {
        // Where those within may be waiting for their turns, a place is as long in coming.
        let means = self.means();
        let patience = self.pacer(lease).map_or(Duration::ZERO, |_| means.options.pace_timeout);
        self.log_in_within(lease, means.options.gate_timeout.max(patience), tap).await
    }

    /// The same, for who does not wait longer than that for its places.
    async fn log_in_within(
        &self,
        lease: &Lease,
        patience: Duration,
        tap: Option<&dyn Tap>,
    ) -> Result<LoggedIn, UpstreamError> {
        let span = tracing::debug_span!("upstream", upstream = lease.upstream(), protocol = %lease.protocol());
        let entered = self.enter(lease, patience, tap).instrument(span).await;
        meters::count_login(lease.upstream(), lease.protocol(), entered.as_ref().err());
        entered
    }

    async fn enter(&self, lease: &Lease, patience: Duration, tap: Option<&dyn Tap>) -> Result<LoggedIn, UpstreamError> {
        let (started, means) = (Instant::now(), self.means());
        let attempt = Attempt { tap, ..Attempt::of(lease, started) };
        let endpoint = lease.endpoint();
        let places = self.passages.enter(lease, &attempt, &means.options, started + patience);
        let places = places.instrument(tracing::debug_span!("gate")).await;
        attempt.passed("gate", started);
        let places = places?;
        let trial = match lease.is_on_trial() {
            true => None,
            false => {
                let trial = tokio::time::timeout(means.options.gate_timeout, self.breaker.enter(lease)).await.map_err(
                    |_| {
                        let detail = "other logins with this credential are still under way".to_owned();
                        attempt.failed(error::NOT_TRIED, Cause::Unavailable.into(), detail)
                    },
                )?;
                Some(trial.map_err(|open| attempt.not_tried(open))?)
            }
        };

        let takes = |mechanism: &Mechanism| mechanism.presents() == attempt.kind;
        let mechanisms = endpoint.mechanisms.iter().copied().filter(takes).collect();
        let goal = Goal::LogIn { credentials: lease.credentials().clone(), mechanisms };
        let reached = self.reach_mailbox(&attempt, endpoint, goal).await;
        match (&reached, trial) {
            (Ok(_), Some(trial)) => trial.accepted(),
            (Err(error), Some(trial)) => trial.failed(error.verdict(), error.backoff()),
            (_, None) => {}
        }
        let (stream, ready) = reached?;
        Ok(LoggedIn { stream, ready, places, pacer: self.pacer(lease) })
    }

    /// How fast a session may send: only submission counts messages.
    fn pacer(&self, lease: &Lease) -> Option<Pacer> {
        if lease.protocol() != Protocol::Submission {
            return None;
        }
        let means = self.means();
        let Options { pace_window, pace_timeout, .. } = &means.options;
        let class = lease.terms().class.as_deref();
        let class = class.and_then(|name| Some((name, means.options.classes.get(name)?.messages_per_minute?)));
        let mailbox = lease.endpoint().messages_per_minute;
        let mailbox = mailbox.map(|messages| (lease.upstream(), lease.credentials().identity.as_str(), messages));
        self.paces.pacer(mailbox, class, *pace_window, *pace_timeout)
    }

    /// Says which upstreams are used, for what is counted by them to begin at nothing.
    pub fn expect<'a>(&self, profiles: impl IntoIterator<Item = &'a Profile>) {
        for profile in profiles {
            profile.endpoints.keys().for_each(|protocol| meters::expect(&profile.name, *protocol));
        }
    }

    /// What holds logins up or back now.
    pub fn census(&self) -> Census {
        Census { waiting: self.passages.waiting(), breakers: self.breaker.census(Instant::now()) }
    }

    /// What an upstream offers before login: as last seen, or else as its profile says.
    pub fn offers(&self, profile: &Profile, protocol: Protocol) -> Vec<String> {
        let seen = self.offers.get(&(profile.name.clone(), protocol)).map(|seen| seen.clone());
        seen.or_else(|| profile.endpoints.get(&protocol).map(|endpoint| endpoint.keywords.clone())).unwrap_or_default()
    }

    /// Looks at what an upstream offers before login, without any credential.
    ///
    /// # Errors
    /// As for [`Upstreams::log_in`]; what was known before stays known.
    pub async fn probe(&self, profile: &Profile, protocol: Protocol) -> Result<(), UpstreamError> {
        let Some(endpoint) = profile.endpoints.get(&protocol) else { return Ok(()) };
        // No credential is shown, so its kind does not matter.
        let kind = CredentialKind::AppPassword;
        let attempt =
            Attempt { upstream: &profile.name, protocol, kind, started: Instant::now(), is_login: false, tap: None };
        let (_, ready) = self.reach(&attempt, endpoint, Goal::Probe).await?;
        tracing::debug!(upstream = profile.name, %protocol, offers = ?ready.keywords, "probed");
        self.offers.insert((profile.name.clone(), protocol), ready.keywords);
        Ok(())
    }

    /// Probes these upstreams, all at once.
    pub async fn probe_all(&self, served: &[(Arc<Profile>, Protocol)]) {
        let probes = served.iter().map(|(profile, protocol)| async move {
            if let Err(error) = self.probe(profile, *protocol).await {
                tracing::warn!(%error, "an upstream could not be probed; it is offered as last known");
            }
        });
        futures_util::future::join_all(probes).await;
    }

    /// Probes them again and again until `stop`.
    pub async fn keep_probing(&self, served: &[(Arc<Profile>, Protocol)], stop: CancellationToken) {
        let probing = async {
            loop {
                tokio::time::sleep(self.means().options.probe_interval).await;
                self.probe_all(served).await;
            }
        };
        stop.run_until_cancelled(probing).await.unwrap_or(())
    }

    /// Logs in, and again where the login is taken but no mailbox is opened: with Exchange Online that may pass within
    /// seconds. A trial is one for the breaker, however often it was begun anew.
    async fn reach_mailbox(
        &self,
        attempt: &Attempt<'_>,
        endpoint: &Endpoint,
        goal: Goal,
    ) -> Result<(Stream, UpstreamReady), UpstreamError> {
        let means = self.means();
        let until = Instant::now() + means.options.login_timeout;
        let mut reached = self.reach(attempt, endpoint, goal.clone()).await;
        for wait in means.options.not_connected_waits {
            if !reached.as_ref().is_err_and(|error| error.cause() == Cause::MailboxMap) {
                break;
            }
            let again = async {
                tokio::time::sleep(wait).await;
                self.reach(attempt, endpoint, goal.clone()).await
            };
            match tokio::time::timeout_at(until, again).await {
                Ok(again) => reached = again,
                Err(_) => break,
            }
        }
        reached
    }

    /// Holds the dialogue, on a connection that is there already or on its own.
    async fn reach(
        &self,
        attempt: &Attempt<'_>,
        endpoint: &Endpoint,
        goal: Goal,
    ) -> Result<(Stream, UpstreamReady), UpstreamError> {
        if let Goal::LogIn { .. } = &goal
            && let Some(reached) = self.reach_by_kept(attempt, endpoint, &goal).await
        {
            return reached;
        }
        let (stream, name) = self.approach(attempt, endpoint).await?;
        let mut dialogue = self.dialogue(attempt.protocol, endpoint, goal);
        let began = Instant::now();
        let conversing = self.converse(attempt, dialogue.as_mut(), stream, &name);
        let conversed = conversing.instrument(tracing::debug_span!("upstream-login")).await;
        attempt.passed("upstream-login", began);
        conversed
    }

    /// The same on a connection that is there already. `None` if there is none, or if it broke without a word: providers may
    /// hang up at any time. Whatever they say is an answer, and no credential is shown twice for it.
    async fn reach_by_kept(
        &self,
        attempt: &Attempt<'_>,
        endpoint: &Endpoint,
        goal: &Goal,
    ) -> Option<Result<(Stream, UpstreamReady), UpstreamError>> {
        let Kept { stream, mut dialogue, .. } =
            self.warm.take(attempt.upstream, attempt.protocol, endpoint, &self.means())?;
        attempt.say(|| "a connection is there already".to_owned());
        let (began, name) = (Instant::now(), ServerName::try_from(endpoint.host.clone()).ok()?);
        if !dialogue.go_on(goal.clone()) {
            return None;
        }
        let conversing = self.converse(attempt, dialogue.as_mut(), stream, &name);
        let conversed = conversing.instrument(tracing::debug_span!("upstream-login")).await;
        attempt.passed("upstream-login", began);
        if let Err(error) = &conversed
            && error.is_unanswered()
        {
            tracing::debug!(%error, "a connection that was there already broke; another one is made");
            return None;
        }
        Some(conversed)
    }

    fn dialogue(&self, protocol: Protocol, endpoint: &Endpoint, goal: Goal) -> Box<dyn proto::Client> {
        let options = ClientOptions {
            starttls: endpoint.tls == UpstreamTls::StartTls,
            name: self.means().options.name.clone(),
            limits: ClientLimits::default(),
        };
        proto::client(protocol, goal, options)
    }

    /// Dials, and begins TLS where that comes first.
    async fn approach(
        &self,
        attempt: &Attempt<'_>,
        endpoint: &Endpoint,
    ) -> Result<(Stream, ServerName<'static>), UpstreamError> {
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| {
            attempt.failed("dial", Cause::Unavailable.into(), format!("{}: {error}", endpoint.host))
        })?;
        let (began, means) = (Instant::now(), self.means());
        let own = self.own.load_full();
        let dialling = dial(&self.names, &endpoint.host, endpoint.port, &own, means.options.dial_timeout);
        let dialled = dialling.instrument(tracing::debug_span!("dial")).await;
        attempt.passed("dial", began);
        let socket = dialled.map_err(|error| {
            let verdict = match error {
                DialError::Own { .. } => Verdict::of_a_loop(),
                DialError::Resolve { .. } | DialError::Connect { .. } | DialError::TimedOut { .. } => {
                    Cause::Unavailable.into()
                }
            };
            attempt.failed("dial", verdict, error.to_string())
        })?;
        let stream = Stream::Plain(socket);
        let stream = match endpoint.tls {
            UpstreamTls::Implicit => self.start_tls(attempt, "TLS handshake", stream, &name).await?,
            UpstreamTls::StartTls => stream,
        };
        Ok((stream, name))
    }
}

/// One try at an upstream, for its errors.
struct Attempt<'a> {
    upstream: &'a str,
    protocol: Protocol,
    kind: CredentialKind,
    started: Instant,
    /// Whether a login is tried, and not only a look taken at what is offered.
    is_login: bool,
    /// Who listens.
    tap: Option<&'a dyn Tap>,
}

impl<'a> Attempt<'a> {
    fn of(lease: &'a Lease, started: Instant) -> Self {
        let (upstream, protocol, kind) = (lease.upstream(), lease.protocol(), lease.credential_kind());
        Self { upstream, protocol, kind, started, is_login: true, tap: None }
    }

    /// A part of it is over that began then.
    fn passed(&self, phase: &'static str, began: Instant) {
        self.say(|| format!("{phase}: over after {} ms", began.elapsed().as_millis()));
        if self.is_login {
            meters::count_phase(self.protocol, phase, began);
        }
    }

    fn not_tried(&self, open: Open) -> UpstreamError {
        match open {
            Open::Dead => {
                self.failed(error::NOT_TRIED, Cause::AuthBad.into(), "not tried: it was refused twice".to_owned())
            }
            Open::Paused { verdict, left } => {
                let detail = format!("not tried for another {} s after the last refusal", left.as_secs() + 1);
                self.failed(error::NOT_TRIED, verdict, detail)
            }
        }
    }

    /// Tells whoever listens what happens, in words of ours.
    fn say(&self, text: impl FnOnce() -> String) {
        if let Some(tap) = self.tap {
            tap.hear(Remark { speaker: Speaker::Upstream, text: text().into() });
        }
    }

    fn failed(&self, state: &'static str, verdict: Verdict, detail: String) -> UpstreamError {
        self.say(|| format!("failed in state {state}: {}; the audit has the provider's words", verdict.cause.name()));
        let after: Duration = self.started.elapsed();
        UpstreamError::new(self.upstream, self.protocol, state, after, verdict, detail)
    }
}

//! From an attempt to an upstream that is logged in.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Event, Origin};
use crate::broker::{Lease, Objection, Proven, Reason};
use crate::model::{Attempt, DeviceCertificate, Refusal, SeenUpstream, Slot};
use crate::net::Stream;
use crate::proto::{Tap, UpstreamReady};
use crate::upstream::{Cause, LoggedIn, Places, UpstreamError};
use crate::usage::{Entered, Stay, Use};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::live::Alive;
use super::meters::{Denied, count_phase};
use super::sighting::{Guise, RECOGNISED, upstream_of};
use super::trace::SessionTap;
use super::watched::Watched;
use super::{Listener, Sessions};

/// Logins at the provider for one client's. As many as a rotation can make worth while: with what was current, with what
/// became so meanwhile, with the one before. Providers count, and clients wait.
const TRIES_MAX: usize = 3;

/// Leases for one client's login, with those that the breaker held back, which cost a read of the store each: three places
/// of two kinds, one that was stored meanwhile, and one access token more.
const LEASES_MAX: usize = 8;

/// A login that was let in, with its upstream.
pub(super) struct Login {
    pub(super) login: String,
    pub(super) account: String,
    /// The id of the client secret that proved it.
    pub(super) client_secret: Option<String>,
    /// The id of the credential that the upstream took.
    pub(super) credential: String,
    pub(super) stream: Stream,
    pub(super) ready: UpstreamReady,
    pub(super) alive: Alive,
    /// Who it is, until it is put down that it is there.
    pub(super) guise: Option<(Guise, SeenUpstream)>,
    /// That it is there, from then on.
    pub(super) stay: Option<Stay>,
    /// The look at what is submitted, where there is one.
    pub(super) watched: Option<Box<Watched>>,
    /// Held until the session ends.
    _places: Places,
    /// The same.
    _use: Use,
}

/// A client that is logged in and an upstream that is, too.
pub(super) struct Established {
    pub(super) origin: Origin,
    pub(super) stream: Stream,
    pub(super) early: Vec<u8>,
    /// Boxed: it is a kilobyte, and each hand that it passes through would hold it.
    pub(super) login: Box<Login>,
    /// What is to be told of it to a trace.
    pub(super) tap: Option<Arc<SessionTap>>,
}

impl Sessions {
    /// Decides about the attempt and logs in upstream. What the client is told of a failure is a [`Refusal`]; what the
    /// operator is told stands in the audit and the log. Once `gone` is cancelled nobody waits for the upstream any more. The
    /// decision is never broken off: who hangs up behind each guess must be counted all the same.
    pub(super) async fn authenticate(
        &self,
        attempt: &Attempt,
        origin: &Origin,
        listener: &Listener,
        gone: &CancellationToken,
    ) -> Result<Box<Login>, Denied> {
        let mut proven: Option<Proven> = None;
        let began = Instant::now();
        let deciding = self.broker.decide_telling(attempt, origin, &listener.options.entrance, &mut proven);
        let decided = deciding.instrument(tracing::debug_span!("decide")).await;
        count_phase(origin.protocol, "decide", began);
        let mut entered = match decided {
            Ok(lease) => self.enter_seen(lease, attempt.method, origin, gone).await,
            // Boxed: hardly any session comes by here, and all would have to hold what it takes.
            Err(Reason::Unproven(unproven)) => Box::pin(self.enrol(unproven, attempt, origin, listener, gone)).await,
            Err(reason) => Err(self.deny(&reason, proven, attempt, origin)),
        };
        if let Ok(login) = &mut entered {
            self.see(login, attempt.method, origin);
        }
        entered
    }

    /// The same for a client that sent mail without a login.
    pub(super) async fn recognise(
        &self,
        certificate: Option<&DeviceCertificate>,
        origin: &Origin,
        listener: &Listener,
        gone: &CancellationToken,
    ) -> Result<Box<Login>, Denied> {
        let recognised = self.broker.recognise(certificate, origin, &listener.options.entrance).await;
        let lease = recognised.map_err(|reason| {
            tracing::debug!(%reason, "not recognised");
            Denied::from(&reason)
        })?;
        let mut login = self.enter_seen(lease, RECOGNISED, origin, gone).await?;
        self.see(&mut login, RECOGNISED, origin);
        Ok(login)
    }

    /// What a client is told that is not let in. If it has proven itself, that is put down.
    pub(super) fn deny(&self, reason: &Reason, proven: Option<Proven>, attempt: &Attempt, origin: &Origin) -> Denied {
        tracing::debug!(%reason, "denied");
        self.see_denied(proven, attempt.method, origin, reason.cause());
        reason.into()
    }

    /// Logs in upstream, and puts down whom the provider kept out.
    pub(super) async fn enter_seen(
        &self,
        lease: Lease,
        method: &'static str,
        origin: &Origin,
        gone: &CancellationToken,
    ) -> Result<Box<Login>, Denied> {
        let guise = Guise::of(&lease);
        let entered = self.enter_persistently(lease, origin, gone).await;
        if let Err(denied) = &entered {
            self.see_refused(guise, method, origin, denied.refusal.name());
        }
        entered
    }

    /// Logs in upstream, unless what the client was let in by is withdrawn meanwhile, or the client itself is gone.
    async fn enter_persistently(
        &self,
        lease: Lease,
        origin: &Origin,
        gone: &CancellationToken,
    ) -> Result<Box<Login>, Denied> {
        let alive = self.live.enter(origin, &lease, &self.kill);
        let (over, why) = (alive.over().clone(), alive.why());
        let (login, account) = (lease.login().to_owned(), lease.account().to_owned());
        let client_secret = lease.terms().client_secret.clone();
        let entering = gone.run_until_cancelled(self.try_to_enter(lease, origin, alive));
        if let Some(Some(entered)) = over.run_until_cancelled(entering).await {
            return entered;
        }
        let stopped = if gone.is_cancelled() { "the client hung up" } else { "the process stopped" };
        let reason = why.get().map_or_else(|| stopped.to_owned(), ToString::to_string);
        let reason = format!("{reason}, before the upstream was entered");
        let event = Event::End {
            login,
            account,
            client_secret,
            credential: None,
            reason,
            bytes_up: 0,
            bytes_down: 0,
            messages: None,
            duration_ms: 0,
        };
        self.audit.record(origin, &event);
        Err(if why.get().is_none() && gone.is_cancelled() { Denied::hung_up() } else { Refusal::Unavailable.into() })
    }

    /// Logs in upstream, with another credential where the first was refused and there is one.
    async fn try_to_enter(&self, mut lease: Lease, origin: &Origin, alive: Alive) -> Result<Box<Login>, Denied> {
        let (mut tries, mut leases) = (0, 1);
        loop {
            if let Some(reason) = lease.fell_back().filter(|_| lease.slot() == Slot::Current) {
                let kind = lease.credential_kind();
                tracing::warn!(account = lease.account(), %kind, reason, "fell back to another kind of credential");
            }
            let began = Instant::now();
            let tap = self.traces.tap_of(origin.session);
            let tap = tap.as_deref().map(|tap| tap as &dyn Tap);
            let result = self.upstreams.log_in_heard(&lease, tap).await;
            let took = began.elapsed();
            let error = match result {
                Ok(logged_in) => {
                    self.record_upstream(origin, &lease, None, took);
                    self.overlap.entered(&lease);
                    return Ok(Login::new(&lease, logged_in, alive, self.ledger.entered(entered(&lease))));
                }
                Err(error) => error,
            };
            if error.was_tried() {
                tries += 1;
                if error.cause() == Cause::AuthBad {
                    self.ledger.refused(lease.holder(), lease.credential_kind(), lease.credential_id(), lease.slot());
                }
                self.record_upstream(origin, &lease, Some(&error), took);
            }
            let renewed = match objection(error.cause()) {
                // Perhaps to another login, and this one was not tried: then that one may have asked for the next already.
                Some(objection) if tries < TRIES_MAX && leases < LEASES_MAX => {
                    self.broker.renew(&lease, objection).await
                }
                _ => Ok(None),
            };
            // What the breaker holds back is told where nothing else is tried in its place.
            if !error.was_tried() && !matches!(renewed, Ok(Some(_))) {
                self.record_upstream(origin, &lease, Some(&error), took);
            }
            lease = match renewed {
                Ok(Some(renewed)) => renewed,
                Ok(None) => return Err(Denied::from(&error)),
                Err(reason) => {
                    tracing::warn!(account = lease.account(), %reason, "no other credential can be used");
                    return Err(Denied::from(&reason));
                }
            };
            leases += 1;
        }
    }

    /// A login by that lease, which is in use from now on.
    pub(super) fn entered(&self, lease: &Lease, logged_in: LoggedIn, origin: &Origin) -> Box<Login> {
        let alive = self.live.enter(origin, lease, &self.kill);
        Login::new(lease, logged_in, alive, self.ledger.entered(entered(lease)))
    }

    pub(super) fn record_upstream(
        &self,
        origin: &Origin,
        lease: &Lease,
        failed: Option<&UpstreamError>,
        took: Duration,
    ) {
        if let Some(error) = failed {
            tracing::warn!(account = lease.account(), %error, "the upstream login failed");
        }
        self.audit.record(
            origin,
            &Event::Upstream {
                outcome: if failed.is_none() { "accepted" } else { "failed" },
                reason: failed.map(ToString::to_string),
                login: lease.login().to_owned(),
                account: lease.account().to_owned(),
                upstream: lease.upstream().to_owned(),
                credential: lease.credential_id().to_owned(),
                kind: lease.credential_kind().name(),
                slot: (lease.slot() != Slot::Current).then(|| lease.slot().name()),
                fell_back: lease.fell_back().map(str::to_owned),
                duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            },
        );
    }
}

impl Login {
    fn new(lease: &Lease, logged_in: LoggedIn, alive: Alive, in_use: Use) -> Box<Self> {
        let watched = Watched::of(lease, &logged_in);
        let LoggedIn { stream, ready, places, pacer: _ } = logged_in;
        let (login, account) = (lease.login().to_owned(), lease.account().to_owned());
        let guise = Some((Guise::of(lease), upstream_of(lease)));
        let client_secret = lease.terms().client_secret.clone();
        let credential = lease.credential_id().to_owned();
        alive.entered_with(&credential);
        Box::new(Self {
            login,
            account,
            client_secret,
            credential,
            stream,
            ready,
            watched,
            alive,
            guise,
            stay: None,
            _places: places,
            _use: in_use,
        })
    }
}

/// What a failure says against the credential, if it is about that: then another one might do better.
fn objection(cause: Cause) -> Option<Objection> {
    match cause {
        Cause::AuthBad => Some(Objection::Credential),
        Cause::Token => Some(Objection::Token),
        Cause::AuthPolicy => Some(Objection::Kind),
        Cause::ProtocolOff
        | Cause::MailboxMap
        | Cause::Limited
        | Cause::Refused
        | Cause::Untrusted
        | Cause::Unavailable => None,
    }
}

/// What is used, for the ledger.
fn entered(lease: &Lease) -> Entered {
    Entered {
        holder: lease.holder().clone(),
        kind: lease.credential_kind(),
        credential: lease.credential_id().to_owned(),
        slot: lease.slot(),
        passed_over: lease.passed_over().map(str::to_owned),
        login: lease.login().to_owned(),
        protocol: lease.protocol(),
    }
}

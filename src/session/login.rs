//! From an attempt to an upstream that is logged in.

use crate::audit::{Event, Origin};
use crate::broker::Lease;
use crate::model::{Attempt, Refusal};
use crate::net::Stream;
use crate::proto::UpstreamReady;
use crate::upstream::{Cause, LoggedIn, Place, UpstreamError};
use crate::usage::{Entered, Use};
use tokio::time::Instant;

use super::{Listener, Sessions};

/// A login that was let in, with its upstream.
pub(super) struct Login {
    pub(super) login: String,
    pub(super) account: String,
    pub(super) stream: Stream,
    pub(super) ready: UpstreamReady,
    /// Held until the session ends.
    _place: Place,
    /// The same.
    _use: Use,
}

/// A client that is logged in and an upstream that is, too.
pub(super) struct Established {
    pub(super) origin: Origin,
    pub(super) stream: Stream,
    pub(super) early: Vec<u8>,
    pub(super) login: Login,
}

/// What is used, for the ledger.
fn entered(lease: &Lease) -> Entered {
    Entered {
        holder: lease.holder(),
        kind: lease.credential_kind(),
        credential: lease.credential_id().to_owned(),
        slot: lease.slot(),
        login: lease.login().to_owned(),
        protocol: lease.protocol(),
    }
}

impl Sessions {
    /// Decides about the attempt and logs in upstream. What the client is told of a failure is a [`Refusal`]; what the
    /// operator is told stands in the audit and the log.
    pub(super) async fn authenticate(
        &self,
        attempt: &Attempt,
        origin: &Origin,
        listener: &Listener,
    ) -> Result<Login, Refusal> {
        let lease = self.broker.decide(attempt, origin, &listener.options.upstreams).await.map_err(|reason| {
            tracing::debug!(%reason, "denied");
            reason.refusal()
        })?;
        self.enter_persistently(lease, origin).await
    }

    /// Logs in upstream, with another credential where the first was refused and there is one.
    async fn enter_persistently(&self, mut lease: Lease, origin: &Origin) -> Result<Login, Refusal> {
        /// What the account has and what the store has by now, or another access token; and the kind to fall back to.
        const TRIES_MAX: usize = 3;
        let mut tries = 1;
        loop {
            let error = match self.enter(&lease, origin).await {
                Ok(login) => return Ok(login),
                Err(error) => error,
            };
            if !error.cause().is_about_the_credential() || tries == TRIES_MAX {
                return Err(error.refusal());
            }
            tries += 1;
            // Perhaps to another login, and this one was not tried: then that one may have asked for the next already.
            let token_refused = error.cause() == Cause::Token;
            lease = match self.broker.renew(&lease, token_refused).await {
                Ok(Some(renewed)) => renewed,
                Ok(None) => return Err(error.refusal()),
                Err(reason) => {
                    tracing::warn!(account = lease.account(), %reason, "no other credential can be used");
                    return Err(reason.refusal());
                }
            };
        }
    }

    async fn enter(&self, lease: &Lease, origin: &Origin) -> Result<Login, UpstreamError> {
        if let Some(reason) = lease.fell_back() {
            let kind = lease.credential_kind();
            tracing::warn!(account = lease.account(), %kind, reason, "fell back to another kind of credential");
        }
        let began = Instant::now();
        let result = self.upstreams.log_in(lease).await;
        if let Err(error) = &result {
            tracing::warn!(account = lease.account(), %error, "the upstream login failed");
        }
        self.audit.record(
            origin,
            &Event::Upstream {
                outcome: if result.is_ok() { "accepted" } else { "failed" },
                reason: result.as_ref().err().map(ToString::to_string),
                login: lease.login().to_owned(),
                account: lease.account().to_owned(),
                upstream: lease.upstream().to_owned(),
                credential: lease.credential_id().to_owned(),
                kind: lease.credential_kind().name(),
                fell_back: lease.fell_back().map(str::to_owned),
                duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            },
        );
        if let Err(error) = &result
            && error.cause() == Cause::AuthBad
            && !error.was_held_back()
        {
            self.ledger.refused(&lease.holder(), lease.credential_kind(), lease.credential_id(), lease.slot());
        }
        let LoggedIn { stream, ready, place } = result?;
        let (login, account) = (lease.login().to_owned(), lease.account().to_owned());
        Ok(Login { login, account, stream, ready, _place: place, _use: self.ledger.entered(entered(lease)) })
    }
}

//! What a session tells of its client, for those who ask who comes in and how. It must never tell of a stranger, nor wait.

use super::Sessions;
use super::login::Login;
use crate::audit::Origin;
use crate::broker::{Lease, Proven};
use crate::model::{SecretSource, SeenKey, SeenUpstream};
use crate::usage::{Moved, Visit};

/// The method of a client that cannot log in: it is recognised.
pub(super) const RECOGNISED: &str = "none (recognised)";

/// Front ends that are named of one client: there are no more in a row.
const VIA_MAX: usize = 4;

/// What a lease says of a client.
#[derive(Debug, Clone)]
pub(super) struct Guise {
    login: String,
    account: Option<String>,
    secret: Option<String>,
    source: Option<SecretSource>,
    delegated: bool,
}

impl Guise {
    pub(super) fn of(lease: &Lease) -> Self {
        let terms = lease.terms();
        Self {
            login: lease.login().to_owned(),
            account: Some(lease.account().to_owned()),
            secret: terms.client_secret.clone(),
            source: terms.source,
            delegated: terms.is_delegated,
        }
    }

    /// Of one that got no lease; `None` for a stranger.
    fn of_proven(proven: Proven) -> Option<Self> {
        let Proven { login, client_secret, source, asked } = proven;
        let secret = Some(client_secret?);
        Some(Self { login, account: None, secret, source, delegated: asked.is_some() })
    }

    fn visit(self, method: &str, origin: &Origin) -> Visit {
        let Self { login, account, secret, source, delegated } = self;
        let key = SeenKey {
            login,
            account,
            protocol: origin.protocol,
            listener: origin.listener.to_string(),
            tls: origin.tls_version.map(str::to_owned),
            method: method.to_owned(),
            secret,
        };
        let via = origin.via.iter().copied().take(VIA_MAX).collect();
        Visit { key, source, delegated, peer: origin.peer, via }
    }
}

/// What was used upstream.
pub(super) fn upstream_of(lease: &Lease) -> SeenUpstream {
    SeenUpstream {
        profile: lease.upstream().to_owned(),
        kind: lease.credential_kind(),
        credential: lease.credential_id().to_owned(),
        at: jiff::Timestamp::now(),
    }
}

impl Sessions {
    /// A client is logged in.
    pub(super) fn see(&self, login: &mut Login, method: &str, origin: &Origin) {
        if let Some((guise, upstream)) = login.guise.take() {
            login.stay = Some(self.visitors.entered(guise.visit(method, origin), upstream));
        }
    }

    /// A client that was let in got no further.
    pub(super) fn see_refused(&self, guise: Guise, method: &str, origin: &Origin, cause: &str) {
        self.visitors.refused(guise.visit(method, origin), cause);
    }

    /// A client was not let in, though it may have proven itself.
    pub(super) fn see_denied(&self, proven: Proven, method: &str, origin: &Origin, cause: &str) {
        if let Some(guise) = Guise::of_proven(proven) {
            self.see_refused(guise, method, origin, cause);
        }
    }
}

impl Login {
    /// The session is over.
    pub(super) fn tell(&self, bytes_up: u64, bytes_down: u64, messages: Option<u64>) {
        if let Some(stay) = &self.stay {
            stay.moved(Moved { bytes_up, bytes_down, messages });
        }
    }
}

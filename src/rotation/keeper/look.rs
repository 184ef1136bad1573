//! One login in the background, with what clients of an account would be let in with; of a domain, one token.

use jiff::Timestamp;
use tokio::time::sleep;

use super::{Keeper, subject};
use crate::broker::{Choice, Lease, Reason};
use crate::credential::CredentialError;
use crate::credential::oauth2::{FailureKind, Grant, OAuth2};
use crate::model::{Account, Protocol, Slot, StoredCredential, Tenant};
use crate::rotation::schedule::command;
use crate::rotation::{AlertKind, Subject};
use crate::upstream::Cause;

/// What a login came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Accepted,
    /// For the credential's own sake, in these words.
    Refused(String),
    /// For another reason that does not pass by itself.
    Hindered(String),
    /// Nothing is known.
    NoVerdict(String),
}

impl Seen {
    fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Hindered(_) => "hindered",
            Self::NoVerdict(_) => "no-verdict",
        }
    }
}

impl Keeper {
    /// Logs in with the account's credential. A refusal is looked at twice, some time apart, before it is told: one of a
    /// provider's servers may be wrong for a moment. While it waits it keeps its place among those that log in, so that a
    /// provider which refuses everybody is asked less and less often.
    pub(super) async fn look(&self, account: &Account) {
        let Some((subject, lease)) = self.current(account).await else { return };
        let mut seen = self.try_it(&subject, &lease).await;
        if matches!(seen, Seen::Refused(_) | Seen::Hindered(_)) {
            sleep(self.rotation.options.second_look).await;
            // What was current then may not be any more.
            let Some((_, again)) = self.current(account).await else { return };
            if again.credential_id() != lease.credential_id() {
                return;
            }
            seen = self.try_it(&subject, &again).await;
        }
        match seen {
            Seen::Accepted => {}
            Seen::NoVerdict(why) => tracing::debug!(%subject, why, "a credential could not be looked at"),
            Seen::Hindered(cause) => self.tell_hindered(&subject, lease.credential_id(), &cause),
            Seen::Refused(cause) => self.refused_here(&subject, lease.credential_id(), &cause).await,
        }
    }

    /// Logs in with what is in a place now, and puts down what came of it.
    pub(super) async fn try_slot(&self, subject: &Subject, id: &str, slot: Slot) -> Seen {
        let mut last = Seen::NoVerdict("no protocol takes it".to_owned());
        for protocol in Protocol::ALL {
            let choice = Choice { kind: Some(subject.kind()), slot: Some(slot) };
            match self.rotation.broker.lease_for(subject.name(), protocol, choice).await {
                Ok(lease) if lease.credential_id() == id => return self.try_lease(subject, &lease, slot).await,
                Ok(_) => return Seen::NoVerdict("it is another one by now".to_owned()),
                Err(reason) if is_not_taken(&reason) => {}
                Err(reason) => {
                    last = verdict(&reason);
                    break;
                }
            }
        }
        last
    }

    async fn try_it(&self, subject: &Subject, lease: &Lease) -> Seen {
        self.try_lease(subject, lease, Slot::Current).await
    }

    async fn try_lease(&self, subject: &Subject, lease: &Lease, slot: Slot) -> Seen {
        let (holder, id) = (lease.holder(), lease.credential_id());
        let seen = match self.rotation.upstreams.probe_mailbox(lease).await {
            Ok(_) => {
                self.ledger.accepted(holder, subject.kind(), id, slot);
                Seen::Accepted
            }
            Err(error) => match error.cause() {
                Cause::AuthBad => {
                    // What the breaker holds back says nothing new.
                    if error.was_tried() {
                        self.ledger.refused(holder, subject.kind(), id, slot);
                    }
                    Seen::Refused(error.to_string())
                }
                Cause::Limited | Cause::Unavailable => Seen::NoVerdict(error.to_string()),
                Cause::Token
                | Cause::AuthPolicy
                | Cause::ProtocolOff
                | Cause::MailboxMap
                | Cause::Refused
                | Cause::Untrusted => Seen::Hindered(error.to_string()),
            },
        };
        metrics::counter!("locum_keeper_logins_total", "outcome" => seen.name()).increment(1);
        seen
    }

    /// What clients would log in with, and whose it is. Why there is none is told where it is for an operator.
    async fn current(&self, account: &Account) -> Option<(Subject, Lease)> {
        let choice = Choice { kind: None, slot: Some(Slot::Current) };
        for protocol in Protocol::ALL {
            match self.rotation.broker.lease_for(&account.name, protocol, choice).await {
                Ok(lease) => return Some((subject(lease.holder(), lease.credential_kind()), lease)),
                Err(reason) if is_not_taken(&reason) => {}
                Err(reason) => {
                    match verdict(&reason) {
                        Seen::Refused(cause) => self.no_token(account, protocol, &cause).await,
                        seen => tracing::debug!(account = account.name, ?seen, "a credential could not be looked at"),
                    }
                    return None;
                }
            }
        }
        None
    }

    /// Whether a domain's credential gets a token: nobody but its clients would find out, where no account is of it.
    pub(super) async fn look_at_tenant(&self, tenant: &Tenant) {
        let subject = Subject::Tenant { domain: tenant.domain.clone() };
        let Some(current) = &tenant.oauth2.current else { return };
        let Seen::Refused(cause) = self.try_token(tenant, current).await else { return };
        let mut others = tenant.oauth2.usable(Timestamp::now()).filter(|(slot, _)| *slot != Slot::Current);
        let other = match others.next() {
            Some((slot, stored)) if self.try_token(tenant, stored).await == Seen::Accepted => Some(slot),
            Some(_) | None => None,
        };
        self.tell_no_token(&subject, Some(&current.id), other, &cause);
    }

    async fn try_token(&self, tenant: &Tenant, stored: &StoredCredential) -> Seen {
        // A service account gets one for a mailbox alone, and which ones there are is not known here.
        if OAuth2::from_stored(stored).is_ok_and(|it| it.grant == Grant::ServiceAccount) {
            return Seen::NoVerdict("its token is for one mailbox".to_owned());
        }
        match self.rotation.broker.try_token(stored, &tenant.upstream, "", false).await {
            Ok(()) => Seen::Accepted,
            Err(reason) => verdict(&reason),
        }
    }

    /// An authority gives no token: the account's own credential is dead, or that of its domain.
    async fn no_token(&self, account: &Account, protocol: Protocol, cause: &str) {
        use crate::model::CredentialKind::OAuth2;
        let own = account.credentials.get(&OAuth2).and_then(|slots| slots.current.as_ref());
        let subject = match (own, account.identity(protocol).rsplit_once('@')) {
            (None, Some((_, domain))) => Subject::Tenant { domain: domain.to_owned() },
            _ => Subject::Account { name: account.name.clone(), kind: OAuth2 },
        };
        // Which one it is: if another one is dead, too, that is told by itself.
        let current = self.rotation.slots(&subject).await.ok().and_then(|slots| slots.current);
        let id = current.map(|current| current.id);
        // As a client would come by one.
        let found = self.rotation.broker.lease_for(&account.name, protocol, Choice::default()).await;
        let other = found.ok().map(|lease| lease.slot()).filter(|slot| *slot != Slot::Current);
        self.tell_no_token(&subject, id.as_deref(), other, cause);
    }

    fn tell_no_token(&self, subject: &Subject, id: Option<&str>, other: Option<Slot>, cause: &str) {
        let (kind, what) = match other {
            Some(slot) => (AlertKind::FellBack, format!("clients are let in with the {slot} one")),
            None => (AlertKind::Refused, "clients cannot log in".to_owned()),
        };
        let cause = format!("the {subject}: no access token can be had with the current one, and {what}: {cause}");
        self.say(kind, Some(subject), id, cause, command("run", subject), Timestamp::now());
    }

    fn tell_hindered(&self, subject: &Subject, id: &str, cause: &str) {
        let cause = format!("clients of the {subject} cannot log in: {cause}");
        let remedy = format!("see `locum probe {}`", subject.name());
        self.say(AlertKind::Hindered, Some(subject), Some(id), cause, remedy, Timestamp::now());
    }
}

/// Whether another protocol may do.
fn is_not_taken(reason: &Reason) -> bool {
    match reason {
        Reason::ProtocolNotServed { .. } => true,
        Reason::Credential(error) => error.is_not_taken(),
        _ => false,
    }
}

/// What it means that there is no lease.
fn verdict(reason: &Reason) -> Seen {
    match reason {
        Reason::Credential(CredentialError::Token(failure)) => match failure.kind() {
            FailureKind::Transient => Seen::NoVerdict(failure.to_string()),
            FailureKind::Permanent | FailureKind::NeedsConsent => Seen::Refused(failure.to_string()),
        },
        // An account may be without a credential: no client has one either.
        reason => Seen::NoVerdict(reason.to_string()),
    }
}

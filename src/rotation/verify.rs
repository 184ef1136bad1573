//! A real login with a credential, by each protocol that the account can use it for.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::machine::{self, Actor, Done, StepError};
use super::{Point, Rotation, RotationError, Subject, backoff, listed};
use crate::broker::{Choice, Reason};
use crate::model::{CredentialKind, Next, NextState, Protocol, Slot, Slots};
use crate::upstream::Cause;

/// What logins with a credential came to: at least one protocol took it; or, of a domain's in which no mailbox is known, the
/// authority granted a token for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// By which it logged in.
    pub protocols: Vec<Protocol>,
    /// What by others stands in the way, though not because of the credential.
    pub notes: Vec<String>,
}

/// What one login came to.
pub(super) enum Login {
    Accepted,
    /// For the credential's own sake.
    Refused(String),
    /// It passes.
    NoVerdict(String),
    /// Something else is in the way, for an operator.
    Hindered(String),
}

impl Rotation {
    /// Logs in with the next credential of that id, by these protocols or by all that take it. What passes is tried again
    /// for a while; a definite refusal is looked at twice, some time apart, and after the second one it has failed. What
    /// came of it is in the record.
    ///
    /// # Errors
    /// [`RotationError::Refused`] if the provider refuses it; [`RotationError::Unverified`] if it gives no verdict.
    pub async fn verify(
        &self,
        subject: &Subject,
        id: &str,
        protocols: &[Protocol],
    ) -> Result<Verification, RotationError> {
        let mut refusals = 0;
        loop {
            let slots = self.slots(subject).await?;
            let next = match slots.next {
                Some(next) if next.credential.id == id => next,
                Some(_) => return Err(StepError::Another.into()),
                None => return Err(StepError::NothingStaged.into()),
            };
            match next.state {
                NextState::Failed { cause, .. } => return Err(RotationError::Refused { cause }),
                NextState::Applying { until } if machine::is_at_work(until, Timestamp::now()) => {
                    return Err(StepError::Applying { until }.into());
                }
                NextState::Staged if next.replaces => return Err(StepError::NotSet.into()),
                NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } => {}
            }
            let next_refused = next.refused;
            if let Some(refused) = &next_refused {
                let left = (refused.at + self.options.second_look).duration_since(Timestamp::now());
                // No longer than that, whatever the clock was when it was put down.
                self.rest(Duration::try_from(left).unwrap_or_default().min(self.options.second_look)).await;
            }
            match self.log_in(subject, Slot::Next, protocols).await {
                Ok(verification) => {
                    self.pass(Point::SeenAccepted);
                    self.take(subject, "verified", Some(id), |slots, actor| machine::verified(slots, id, actor))
                        .await?;
                    self.pass(Point::Verified);
                    return Ok(verification);
                }
                Err(RotationError::Refused { cause }) => {
                    self.pass(Point::SeenRefused);
                    let step = |slots: &mut Slots, actor: Actor<'_>| {
                        // Somebody else looked at the same time: two looks at once are not two, some time apart.
                        let is_told = |next: &Next| next.credential.id == id && next.refused != next_refused;
                        if slots.next.as_ref().is_some_and(is_told) {
                            return Ok(Done::Before);
                        }
                        machine::refused(slots, id, &cause, actor)
                    };
                    self.take(subject, "refused", Some(id), step).await?;
                    self.pass(Point::Refused);
                    refusals += 1;
                    // One that a command has set never fails in the record.
                    if refusals >= machine::REFUSALS_MAX {
                        return Err(RotationError::Refused { cause });
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Logs in with what is current.
    ///
    /// # Errors
    /// As for [`Rotation::verify`]; nothing is written.
    pub async fn verify_current(
        &self,
        subject: &Subject,
        protocols: &[Protocol],
    ) -> Result<Verification, RotationError> {
        self.log_in(subject, Slot::Current, protocols).await
    }

    /// Logs in with what was current before.
    ///
    /// # Errors
    /// As for [`Rotation::verify`]; nothing is written.
    pub async fn verify_previous(
        &self,
        subject: &Subject,
        protocols: &[Protocol],
    ) -> Result<Verification, RotationError> {
        self.log_in(subject, Slot::Previous, protocols).await
    }

    /// One login by each protocol. The first definite refusal ends it: the others would be refused, too, and providers
    /// count.
    pub(super) async fn log_in(
        &self,
        subject: &Subject,
        slot: Slot,
        protocols: &[Protocol],
    ) -> Result<Verification, RotationError> {
        let mut meant = self.protocols(subject, protocols).await?;
        let until = Instant::now() + self.options.patience;
        let (mut accepted, mut notes, mut tries) = (Vec::new(), Vec::new(), 0);
        let account = match self.mailbox_of(subject).await? {
            Some(account) => account,
            None => return self.token_alone(subject, slot, until).await,
        };
        if subject.kind() == CredentialKind::OAuth2 {
            self.token(subject, slot, Some(&account), until).await?;
        }
        while !meant.is_empty() {
            let (mut again, mut why) = (Vec::new(), String::new());
            for protocol in meant {
                match self.log_in_by(subject, &account, slot, protocol).await {
                    Login::Accepted => accepted.push(protocol),
                    Login::Refused(cause) => {
                        return Err(RotationError::Refused { cause: format!("{protocol}: {cause}") });
                    }
                    Login::Hindered(cause) => notes.push(format!("{protocol}: {cause}")),
                    Login::NoVerdict(cause) => {
                        again.push(protocol);
                        why = format!("{protocol}: {cause}");
                    }
                }
            }
            meant = again;
            let wait = backoff(tries);
            if !meant.is_empty() && Instant::now() + wait > until {
                return Err(RotationError::Unverified { cause: why, passes: true });
            }
            if !meant.is_empty() {
                self.rest(wait).await;
            }
            tries += 1;
        }
        if accepted.is_empty() {
            return Err(RotationError::Unverified { cause: notes.join("; "), passes: false });
        }
        Ok(Verification { protocols: accepted, notes })
    }

    async fn log_in_by(&self, subject: &Subject, account: &str, slot: Slot, protocol: Protocol) -> Login {
        let choice = Choice { kind: Some(subject.kind()), slot: Some(slot) };
        let lease = match self.broker.lease_for(account, protocol, choice).await {
            Ok(lease) => lease,
            Err(Reason::Directory(error)) if error.is_transient() => return Login::NoVerdict(error.to_string()),
            Err(reason) => return Login::Hindered(reason.to_string()),
        };
        let Err(error) = self.upstreams.probe_mailbox(&lease).await else { return Login::Accepted };
        // What to do is another thing here than for who meets it in a session.
        let cause = format!("{} (at {}: {})", error.plain(), error.state(), error.detail());
        match error.cause() {
            Cause::AuthBad => Login::Refused(cause),
            Cause::Limited | Cause::Unavailable => Login::NoVerdict(cause),
            Cause::Token
            | Cause::AuthPolicy
            | Cause::ProtocolOff
            | Cause::MailboxMap
            | Cause::Refused
            | Cause::Untrusted => Login::Hindered(format!("{cause}; {}", error.remedy())),
        }
    }

    /// Those that are meant and take the kind of credential.
    async fn protocols(&self, subject: &Subject, asked: &[Protocol]) -> Result<Vec<Protocol>, RotationError> {
        let found = subject.read(&self.directory).await?.ok_or_else(|| RotationError::Missing(subject.clone()))?;
        let upstream = found.record.upstream();
        let unknown = || RotationError::Reason(Reason::UpstreamUnknown { upstream: upstream.to_owned() });
        let profile = self.broker.upstream(upstream).ok_or_else(unknown)?;
        let asked = if asked.is_empty() { &Protocol::ALL[..] } else { asked };
        let takes = |protocol: &&Protocol| {
            profile.endpoints.get(protocol).is_some_and(|endpoint| endpoint.takes(subject.kind()))
        };
        let meant: Vec<Protocol> = asked.iter().filter(takes).copied().collect();
        if meant.is_empty() {
            let (upstream, protocols) = (upstream.to_owned(), listed(asked));
            return Err(RotationError::NothingToVerify { upstream, kind: subject.kind().name(), protocols });
        }
        Ok(meant)
    }
}

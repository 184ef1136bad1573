//! Takes the steps of [`machine`] on records in the store: each is one compare-and-set, audited, and repeated from the
//! start where somebody else wrote meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::machine::{self, Actor, Done, Promotion, Staging, StepError};
use super::{Options, Point, Retired, RotationError, Subject, Turn, Witness, upkeep};
use crate::audit::{Audit, Event};
use crate::broker::{Broker, Directory, DirectoryError, KeptTokens};
use crate::credential::oauth2::kept_in;
use crate::model::{CredentialKind, NextState, Protocol, Slot, Slots, StoredCredential};
use crate::upstream::Upstreams;

/// Tries of one step against others who write the same record.
const TRIES_MAX: usize = 8;

/// Rotates credentials.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub(super) directory: Directory,
    pub(super) broker: Arc<Broker>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) options: Options,
    audit: Audit,
    actor: String,
    witness: Arc<dyn Witness>,
    turn: Option<Arc<Turn>>,
    pub(super) mailbox: Option<String>,
}

/// What is to become current.
#[derive(Debug)]
pub enum Given {
    /// This one.
    New(Box<StoredCredential>),
    /// What is staged already.
    Staged,
}

/// What a whole rotation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The id of the credential that is current now.
    pub id: String,
    /// Whether it was current before: nothing had to be done.
    pub was_done: bool,
    /// What by some protocol stands in the way, though not because of the credential.
    pub notes: Vec<String>,
}

impl Rotation {
    /// Rotates these records, in the name of `actor` (`user@host`, or `locum` for a node).
    pub fn new(
        directory: Directory,
        broker: Arc<Broker>,
        upstreams: Arc<Upstreams>,
        audit: Audit,
        actor: &str,
        options: Options,
    ) -> Self {
        let witness = Arc::new(super::Unwatched);
        let actor = actor.to_owned();
        Self { directory, broker, upstreams, options, audit, actor, witness, turn: None, mailbox: None }
    }

    /// The same, with a mailbox by which the credentials of whole domains are verified.
    #[must_use]
    pub fn by_mailbox(mut self, address: Option<String>) -> Self {
        self.mailbox = address;
        self
    }

    /// The same, with somebody who is told of each point that is passed.
    #[must_use]
    pub fn watched_by(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = witness;
        self
    }

    /// The same for one of many: it logs in while it has its turn, and lets others pass while it waits.
    #[must_use]
    pub fn in_turn(&self, turn: Turn) -> Self {
        Self { turn: Some(Arc::new(turn)), ..self.clone() }
    }

    /// Waits, and lets others pass meanwhile.
    pub(super) async fn rest(&self, wait: Duration) {
        match &self.turn {
            Some(turn) => turn.rest(wait).await,
            None => tokio::time::sleep(wait).await,
        }
    }

    pub(super) fn pass(&self, point: Point) {
        self.witness.passed(point);
    }

    /// Puts a credential in the next place. Where that is the one in that place already, or the current one, nothing is
    /// done, and its id is the answer.
    ///
    /// # Errors
    /// [`StepError::UnderWay`] if another rotation is; see [`RotationError`].
    pub async fn stage(&self, subject: &Subject, credential: &StoredCredential) -> Result<String, RotationError> {
        self.pass(Point::Begun);
        let op = credential.id.clone();
        let mut id = credential.id.clone();
        let staged = self
            .take(subject, "staged", Some(&credential.id), |slots, actor| {
                let placed = [Slot::Current, Slot::Next].into_iter().filter_map(|slot| slots.in_slot(slot));
                let same = placed.into_iter().find(|stored| stored.material == credential.material);
                if let Some(same) = same {
                    id.clone_from(&same.id);
                    return Ok(Done::Before);
                }
                machine::stage(
                    slots,
                    Staging { credential: credential.clone(), op: op.clone(), replaces: false },
                    actor,
                )
            })
            .await?;
        if staged == Done::Now {
            self.pass(Point::Staged);
        }
        Ok(id)
    }

    /// Makes the next credential of that id the current one. `unverified`: though nobody logged in with it.
    ///
    /// # Errors
    /// See [`StepError`] and [`RotationError`].
    pub async fn promote(&self, subject: &Subject, id: &str, unverified: bool) -> Result<(), RotationError> {
        let verified_within = (!unverified).then_some(self.options.verified_within);
        let how = Promotion { id, grace: self.options.grace, verified_within };
        self.take(subject, "promoted", Some(id), |slots, actor| machine::promote(slots, how, actor)).await?;
        self.pass(Point::Promoted);
        Ok(())
    }

    /// Makes the previous credential, which has that id, the current one again. Where it is already, nothing is done.
    ///
    /// # Errors
    /// [`StepError::OtherPrevious`] if another one is in its place by now; see [`StepError`] and [`RotationError`].
    pub async fn roll_back(&self, subject: &Subject, to: &str, reason: &str) -> Result<Done, RotationError> {
        let grace = self.options.grace;
        let step = |slots: &mut Slots, actor: Actor<'_>| machine::roll_back(slots, to, reason, grace, actor);
        let done = self.take(subject, "rolled back", Some(to), step).await?;
        self.pass(Point::RolledBack);
        Ok(done)
    }

    /// The same, if it takes the place of that very `current` one: for those who judged by what they saw, and are not to undo
    /// what somebody else did meanwhile.
    ///
    /// # Errors
    /// See [`StepError`] and [`RotationError`].
    pub async fn roll_back_from(
        &self,
        subject: &Subject,
        current: &str,
        previous: &str,
        reason: &str,
    ) -> Result<Done, RotationError> {
        let grace = self.options.grace;
        let step = |slots: &mut Slots, actor: Actor<'_>| {
            let is = |slot, id: &str| slots.in_slot(slot).is_some_and(|stored: &StoredCredential| stored.id == id);
            if !is(Slot::Current, current) || !is(Slot::Previous, previous) {
                return Ok(Done::Before);
            }
            machine::roll_back(slots, previous, reason, grace, actor)
        };
        let done = self.take(subject, "rolled back", Some(previous), step).await?;
        if done == Done::Now {
            self.pass(Point::RolledBack);
        }
        Ok(done)
    }

    /// Takes the previous credential, which has that id, out of use; before its grace is over, and while sessions use it, only
    /// with `now`.
    ///
    /// # Errors
    /// [`RotationError::StillUsed`]; [`StepError::OtherPrevious`] if another one is in its place by now; see [`StepError`] and
    /// [`RotationError`].
    pub async fn retire(&self, subject: &Subject, id: &str, now: bool) -> Result<Retired, RotationError> {
        let note = self.note_use(subject, id, now).await?;
        let step = |slots: &mut Slots, actor: Actor<'_>| machine::retire(slots, id, now, actor);
        let done = self.take(subject, "retired", Some(id), step).await?;
        self.pass(Point::Retired);
        Ok(Retired { done, note })
    }

    /// Gives the next credential, which has that id, up. One that a command may have set in the place of the current one only
    /// once the provider has refused it.
    ///
    /// # Errors
    /// [`StepError::Another`] if another one is in its place by now; see [`StepError`] and [`RotationError`].
    pub async fn discard(&self, subject: &Subject, id: &str, reason: Option<&str>) -> Result<Done, RotationError> {
        let step = |slots: &mut Slots, actor: Actor<'_>| machine::discard(slots, id, reason, actor);
        let done = self.take(subject, "discarded", Some(id), step).await?;
        self.pass(Point::Discarded);
        Ok(done)
    }

    /// Ticks off what was deleted at the provider: the leftover of that id or label.
    ///
    /// # Errors
    /// See [`StepError`] and [`RotationError`].
    pub async fn deleted(&self, subject: &Subject, name: &str) -> Result<(), RotationError> {
        self.take(subject, "deleted", Some(name), |slots, actor| machine::deleted(slots, name, actor)).await?;
        self.pass(Point::Deleted);
        Ok(())
    }

    /// Lets nodes try again what the provider refused.
    ///
    /// # Errors
    /// See [`StepError`] and [`RotationError`].
    pub async fn try_again(&self, subject: &Subject) -> Result<(), RotationError> {
        self.take(subject, "to be tried again", None, machine::try_again).await.map(drop)
    }

    /// Puts down how many exist at the provider in all, as somebody counted them there.
    ///
    /// # Errors
    /// [`StepError::Miscounted`] if there are more of ours alone; see [`RotationError`].
    pub async fn count(&self, subject: &Subject, counted: u32) -> Result<Done, RotationError> {
        self.take(subject, "counted", None, |slots, actor| upkeep::count(slots, counted, actor)).await
    }

    /// Puts down the name that the one in a place bears at the provider.
    ///
    /// # Errors
    /// See [`StepError`] and [`RotationError`].
    pub async fn label(&self, subject: &Subject, slot: Slot, label: &str) -> Result<Done, RotationError> {
        self.take(subject, "labelled", None, |slots, actor| upkeep::label(slots, slot, label, actor)).await
    }

    /// The whole sequence: stage, verify, promote, and a login with what is current then. Whatever was done of it before is
    /// not done again. A new credential that the provider refuses is discarded, or rolled back: clients go on with the
    /// one before.
    ///
    /// # Errors
    /// See [`RotationError`].
    pub async fn run(&self, subject: &Subject, given: Given, protocols: &[Protocol]) -> Result<Rotated, RotationError> {
        let id = match given {
            Given::New(credential) => self.stage(subject, &credential).await?,
            Given::Staged => self.staged(subject).await?,
        };
        self.finish(subject, id, protocols).await
    }

    /// What follows once a credential is in the next place.
    pub(super) async fn finish(
        &self,
        subject: &Subject,
        id: String,
        protocols: &[Protocol],
    ) -> Result<Rotated, RotationError> {
        let before = self.slots(subject).await?;
        if before.current.as_ref().is_some_and(|current| current.id == id) {
            // Whoever made it current may have ended before the look that follows.
            self.look_again(subject, protocols).await?;
            return Ok(Rotated { id, was_done: true, notes: Vec::new() });
        }
        let replaces = before.next.as_ref().is_some_and(|next| next.replaces);
        let failed = before.next.as_ref().and_then(|next| match &next.state {
            NextState::Failed { cause, .. } => Some(cause.clone()),
            NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } => None,
        });
        let verified = match failed {
            Some(cause) => Err(RotationError::Refused { cause }),
            None => self.verify(subject, &id, protocols).await,
        };
        let notes = match verified {
            Ok(verification) => verification.notes,
            // What a command has set may be the only one in force: it stays in reach of logins.
            Err(RotationError::Refused { cause }) if replaces => return Err(RotationError::SetInVain { cause }),
            Err(RotationError::Refused { cause }) => {
                self.discard(subject, &id, Some("refused")).await?;
                return Err(RotationError::Refused { cause });
            }
            Err(error) => return Err(error),
        };
        self.promote(subject, &id, false).await?;
        self.look_again(subject, protocols).await?;
        Ok(Rotated { id, was_done: false, notes })
    }

    /// Logs in with what became current a moment ago, and rolls back if the provider refuses it by now and does not refuse
    /// the one before.
    ///
    /// # Errors
    /// [`RotationError::RolledBack`]; [`RotationError::Broken`] where there is none to go back to.
    pub async fn look_again(&self, subject: &Subject, protocols: &[Protocol]) -> Result<(), RotationError> {
        let seen = self.slots(subject).await?;
        let Some(current) = seen.current else { return Ok(()) };
        let cause = match self.verify_current(subject, protocols).await {
            Err(RotationError::Refused { cause }) => cause,
            // What else is in the way is not about the credential.
            Ok(_) | Err(_) => return Ok(()),
        };
        let now = Timestamp::now();
        let Some(previous) = seen.previous.filter(|previous| previous.usable && now < previous.retire_at) else {
            return Err(RotationError::Broken { cause });
        };
        if let Err(RotationError::Refused { cause: before }) = self.verify_previous(subject, protocols).await {
            return Err(RotationError::Broken { cause: format!("{cause}; and the one before: {before}") });
        }
        self.pass(Point::SeenBroken);
        let to = previous.credential.id.as_str();
        let done = self.roll_back_from(subject, &current.id, to, &cause).await?;
        // A node may have seen to it. Whoever put another one there is not undone.
        let is_back = |slots: Slots| slots.current.is_some_and(|current| current.id == to);
        if done == Done::Before && !is_back(self.slots(subject).await?) {
            return Err(StepError::OtherPrevious.into());
        }
        Err(RotationError::RolledBack { cause })
    }

    /// The id of what is staged.
    ///
    /// # Errors
    /// [`StepError::NothingStaged`]; see [`RotationError`].
    pub async fn staged(&self, subject: &Subject) -> Result<String, RotationError> {
        let next = self.slots(subject).await?.next.ok_or(StepError::NothingStaged)?;
        Ok(next.credential.id)
    }

    /// The places as of the last write anywhere.
    ///
    /// # Errors
    /// See [`RotationError`].
    pub async fn slots(&self, subject: &Subject) -> Result<Slots, RotationError> {
        let found = subject.read(&self.directory).await?.ok_or_else(|| RotationError::Missing(subject.clone()))?;
        Ok(subject.slots(&found.record).cloned().unwrap_or_default())
    }

    /// Takes one step: reads the record, changes it, writes it. Somebody else may have written meanwhile: then the step is
    /// thought over anew, on what is there now.
    pub(super) async fn take(
        &self,
        subject: &Subject,
        step: &'static str,
        id: Option<&str>,
        mut change: impl FnMut(&mut Slots, Actor<'_>) -> Result<Done, StepError>,
    ) -> Result<Done, RotationError> {
        let mut tries = 1;
        let done = loop {
            let found = subject.read(&self.directory).await?.ok_or_else(|| RotationError::Missing(subject.clone()))?;
            let mut record = found.record;
            let needed: BTreeSet<String> = subject.slots(&record).map(kept_in).unwrap_or_default();
            let actor = Actor { by: &self.actor, at: Timestamp::now() };
            let profile = self.broker.upstream(record.upstream());
            let max = profile.and_then(|profile| profile.app_passwords_max);
            let max = max.filter(|_| subject.kind() == CredentialKind::AppPassword);
            let slots = subject.slots_mut(&mut record);
            let before = slots.clone();
            let changed = change(slots, actor).and_then(|done| machine::has_room(&before, slots, max).map(|()| done));
            match changed {
                Ok(Done::Now) => {}
                Ok(Done::Before) => return Ok(Done::Before),
                Err(error) => break Err(error.into()),
            }
            match record.put(&self.directory, found.version).await {
                Ok(_) => {
                    let now = subject.slots(&record).map(kept_in).unwrap_or_default();
                    self.forget_tokens(needed.difference(&now)).await;
                    break Ok(Done::Now);
                }
                Err(DirectoryError::Changed { .. }) if tries < TRIES_MAX => tries += 1,
                Err(error) => break Err(error.into()),
            }
        };
        self.record(subject, step, id, done.as_ref().err().map(RotationError::to_string));
        done
    }

    /// Removes refresh tokens that no version needs any more. The step is taken: what cannot be removed is told.
    async fn forget_tokens(&self, ids: impl Iterator<Item = &String>) {
        let kept = KeptTokens::new(self.directory.clone());
        for id in ids {
            if let Err(error) = kept.forget(id).await {
                tracing::warn!(
                    credential = id,
                    %error,
                    "a refresh token that nobody uses any more is still in the store: revoke it in the provider's portal"
                );
            }
        }
    }

    /// One audit event.
    pub(super) fn record(&self, subject: &Subject, step: &'static str, id: Option<&str>, failed: Option<String>) {
        self.audit.record_step(&Event::Rotation {
            step,
            outcome: if failed.is_none() { "done" } else { "failed" },
            reason: failed,
            actor: self.actor.clone(),
            subject: subject.name().to_owned(),
            kind: subject.kind().name(),
            credential: id.map(str::to_owned),
        });
    }
}

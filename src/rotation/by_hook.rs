//! A rotation whose credential the site's own program makes or sets. What is asked for is in the record before it is asked
//! for, by the label that it is to bear in the portal; and nobody else asks while the program may be at work.

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::hook::{self, Made, Request};
use super::machine::{self, Actor, Done, Staging, StepError, Unstaged};
use super::{Action, HookError, HookOptions, Point, Record, Rotated, Rotation, RotationError, Subject, backoff};
use crate::broker::{Reason, client_secret};
use crate::credential;
use crate::model::{
    AppPasswordFormat, COMMAND_OP as OP, CredentialKind, Leftover, LeftoverReason, Next, NextState, Protocol, Secret,
    Slot, Slots,
};

/// The characters of a secret that is to be set: 190 random bits, and no character that a form, a shell or a URL minds.
const SECRET_CHARS: usize = 32;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What the hook deleted at the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// What is gone there.
    pub deleted: Vec<Leftover>,
    /// What it cannot be asked for: it has no name there, or that of one in use, or is being made.
    pub left: Vec<Leftover>,
}

/// Whom the hook is asked for.
struct Errand {
    account: String,
    identity: String,
    upstream: String,
    format: AppPasswordFormat,
}

impl Errand {
    fn request<'a>(&'a self, action: Action, op: &'a str, label: &'a str, deadline: Timestamp) -> Request<'a> {
        let (account, identity, upstream) = (&self.account, &self.identity, &self.upstream);
        Request { action, op, account, identity, upstream, label, secret: None, id: None, deadline }
    }
}

impl Rotation {
    /// The whole sequence with a credential that the hook makes or sets, whichever it is configured for. Whatever was done of
    /// it before is not done again; but one whose answer was lost is asked for anew, by another label.
    ///
    /// # Errors
    /// [`RotationError::Hook`] if the hook does not do it; see [`RotationError`].
    pub async fn run_by_hook(&self, subject: &Subject, protocols: &[Protocol]) -> Result<Rotated, RotationError> {
        let hook = self.hook()?;
        let errand = self.errand(subject).await?;
        self.pass(Point::Begun);
        let slots = self.slots(subject).await?;
        if let Some(id) = self.promoted_just_now(&slots) {
            match self.look_again(subject, protocols).await {
                Ok(()) => return Ok(Rotated { id, was_done: true, notes: Vec::new() }),
                // Nobody can log in: another one is what helps.
                Err(RotationError::Broken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let id = match slots.next {
            Some(Next { op, by, since, state, .. }) if !op.starts_with(OP) => {
                let state = machine::state_name(&state);
                return Err(StepError::UnderWay { by, since, state }.into());
            }
            Some(next) if next.replaces => self.set(subject, hook, &errand, &next, protocols).await?,
            Some(next) => next.credential.id,
            None if hook.way() == Some(Action::Set) => {
                let next = self.stage_own(subject, &errand).await?;
                self.set(subject, hook, &errand, &next, protocols).await?
            }
            None if hook.way() == Some(Action::Make) => self.make(subject, hook, &errand).await?,
            None => return Err(failed(HookError::NotMeant("make or set"), AS_IT_WAS)),
        };
        self.finish(subject, id, protocols).await
    }

    /// The id of the hook's own that became current a moment ago, if one did: whoever made it so may have ended before the look
    /// that follows, and it is typed again. To have yet another one made needs that the one before it is retired.
    fn promoted_just_now(&self, slots: &Slots) -> Option<String> {
        let (Some(current), Some(previous), None) = (&slots.current, &slots.previous, &slots.next) else { return None };
        let age = Timestamp::now().duration_since(previous.since).unsigned_abs();
        let is_own = previous.gave_way_to_a_command_s(&current.id);
        (is_own && age < self.options.verified_within).then(|| current.id.clone())
    }

    /// Has the hook make one, and stages it. Its id.
    async fn make(&self, subject: &Subject, hook: &HookOptions, errand: &Errand) -> Result<String, RotationError> {
        let now = Timestamp::now();
        let (deadline, until) = (now + hook.timeout, now + hook.claim());
        let op = new_op()?;
        let label = label_of(&op);
        self.take(subject, "asked", Some(&op), |slots, actor| machine::ask(slots, &op, &label, until, actor)).await?;
        self.pass(Point::Asked);
        let made = self.call(subject, hook, &errand.request(Action::Make, &op, &label, deadline)).await;
        let mut called = None;
        let error = match made {
            Ok(Some(made)) => {
                self.pass(Point::Answered);
                called = Some(made.label.clone().unwrap_or_else(|| label.clone()));
                match self.stage_made(subject, errand, &op, made).await {
                    Ok(id) => return Ok(id),
                    Err(error) => error,
                }
            }
            Ok(None) => failed(HookError::MissingSecret { stderr: String::new() }, ASKED),
            Err(error) => {
                let made_none = !error.was_started() || matches!(error, HookError::Refused { .. });
                failed(error, if made_none { AS_IT_WAS } else { ASKED })
            }
        };
        let made = match &called {
            // The portal may have given it a name of its own.
            Some(label) => Unstaged::Called(label),
            None if matches!(&error, RotationError::Hook { left: AS_IT_WAS, .. }) => Unstaged::None,
            None => Unstaged::Perhaps,
        };
        let step = |slots: &mut Slots, actor: Actor<'_>| machine::answered_not(slots, &op, until, made, actor);
        self.take(subject, "not made", Some(&op), step).await?;
        Err(error)
    }

    /// Puts what the hook made in the next place.
    async fn stage_made(
        &self,
        subject: &Subject,
        errand: &Errand,
        op: &str,
        made: Made,
    ) -> Result<String, RotationError> {
        let (id, now) = (id_of(op), Timestamp::now());
        let label = made.label.unwrap_or_else(|| label_of(op));
        let credential = credential::new_app_password(&made.secret, errand.format, id.clone(), &label, now)
            .map_err(|error| failed(error.into(), ASKED))?;
        let staging = Staging { credential, op: op.to_owned(), replaces: false };
        let (until, mut tries) = (Instant::now() + self.options.patience, 0);
        loop {
            let step = |slots: &mut Slots, actor: Actor<'_>| machine::stage(slots, staging.clone(), actor);
            match self.take(subject, "staged", Some(&id), step).await {
                // Nobody else has what was made: a store that is away for a moment must not cost it.
                Err(RotationError::Directory(error))
                    if error.is_transient() && Instant::now() + backoff(tries) < until =>
                {
                    self.rest(backoff(tries)).await;
                    tries += 1;
                }
                done => break done.map(drop)?,
            }
        }
        self.pass(Point::Staged);
        Ok(id)
    }

    /// Puts a new secret of our own in the next place, for the hook to set.
    async fn stage_own(&self, subject: &Subject, errand: &Errand) -> Result<Next, RotationError> {
        let op = new_op()?;
        let (id, label, now) = (id_of(&op), label_of(&op), Timestamp::now());
        let secret = new_secret()?;
        let credential = credential::new_app_password(&secret, errand.format, id.clone(), &label, now)
            .map_err(|error| failed(error.into(), AS_IT_WAS))?;
        let staging = Staging { credential, op: op.clone(), replaces: true };
        self.take(subject, "staged", Some(&id), |slots, actor| machine::stage(slots, staging.clone(), actor)).await?;
        self.pass(Point::Staged);
        let next = self.slots(subject).await?.next.filter(|next| next.op == op);
        next.ok_or_else(|| StepError::Another.into())
    }

    /// Has the hook set what is next, unless the provider has it. Its id.
    async fn set(
        &self,
        subject: &Subject,
        hook: &HookOptions,
        errand: &Errand,
        next: &Next,
        protocols: &[Protocol],
    ) -> Result<String, RotationError> {
        let id = next.credential.id.clone();
        if next.may_be_in_force() && self.is_set(subject, next, protocols).await? {
            return Ok(id);
        }
        let now = Timestamp::now();
        let (deadline, until) = (now + hook.timeout, now + hook.claim());
        let mut was_staged = false;
        let claimed = self
            .take(subject, "applying", Some(&id), |slots, actor| {
                let state = slots.next.as_ref().map(|next| &next.state);
                was_staged = state == Some(&NextState::Staged);
                machine::apply(slots, &id, until, actor)
            })
            .await?;
        if claimed == Done::Before {
            return Ok(id);
        }
        self.pass(Point::Applying);
        let secret = credential::app_password_of(&next.credential).map_err(|error| failed(error.into(), IN_DOUBT))?;
        let request = errand.request(Action::Set, &next.op, &next.credential.label, deadline);
        match self.call(subject, hook, &Request { secret: Some(&secret), ..request }).await {
            Ok(_) => {
                self.pass(Point::Set);
                let step = |slots: &mut Slots, actor: Actor<'_>| machine::applied(slots, &id, until, actor);
                self.take(subject, "applied", Some(&id), step).await?;
                self.pass(Point::Applied);
                Ok(id)
            }
            Err(error) => {
                // Where it was at work, its word alone does not take the secret out of reach of logins.
                let set_none = was_staged && !error.was_started();
                let step =
                    |slots: &mut Slots, actor: Actor<'_>| machine::not_applied(slots, &id, until, set_none, actor);
                self.take(subject, "not set", Some(&id), step).await?;
                Err(failed(error, if set_none { STAGED } else { IN_DOUBT }))
            }
        }
    }

    /// Whether the provider has what a command set, or was setting when its answer was lost: one login tells. To set the same
    /// again is what many providers refuse.
    async fn is_set(&self, subject: &Subject, next: &Next, protocols: &[Protocol]) -> Result<bool, RotationError> {
        let id = &next.credential.id;
        match next.state {
            NextState::Applying { until } if machine::is_at_work(until, Timestamp::now()) => {
                return Err(StepError::Applying { until }.into());
            }
            NextState::Applied { .. } if next.refused.is_none() => return Ok(true),
            NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } | NextState::Failed { .. } => {}
        }
        match self.log_in(subject, Slot::Next, protocols).await {
            Ok(_) => {
                self.pass(Point::SeenAccepted);
                let step = |slots: &mut Slots, actor: Actor<'_>| machine::verified(slots, id, actor);
                self.take(subject, "verified", Some(id), step).await?;
                self.pass(Point::Verified);
                Ok(true)
            }
            Err(RotationError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Retires the previous credential, if there is one, which has that id; and has the hook delete at the provider what is to
    /// be deleted there.
    ///
    /// # Errors
    /// As for [`Rotation::retire`]; [`RotationError::Hook`] if the hook does not do it.
    pub async fn retire_by_hook(
        &self,
        subject: &Subject,
        id: Option<&str>,
        now: bool,
    ) -> Result<Revoked, RotationError> {
        let hook = self.hook()?;
        let errand = self.errand(subject).await?;
        if !hook.actions.contains(&Action::Revoke) {
            return Err(failed(HookError::NotMeant(Action::Revoke.name()), AS_IT_WAS));
        }
        if let Some(id) = id {
            self.retire(subject, id, now).await?;
        }
        let mut revoked = Revoked::default();
        let slots = self.slots(subject).await?;
        for leftover in &slots.leftovers {
            if !may_be_revoked(&slots, leftover) {
                revoked.left.push(leftover.clone());
                continue;
            }
            let op = if leftover.why == LeftoverReason::Asked {
                leftover.id.clone()
            } else {
                format!("{OP}{}", leftover.id)
            };
            let request = errand.request(Action::Revoke, &op, &leftover.label, Timestamp::now() + hook.timeout);
            let request = Request { id: Some(&leftover.id), ..request };
            self.call(subject, hook, &request).await.map_err(|error| failed(error, STILL_THERE))?;
            self.pass(Point::Revoked);
            match self.deleted(subject, &leftover.id).await {
                Ok(()) | Err(RotationError::Step(StepError::NoLeftover(_))) => revoked.deleted.push(leftover.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(revoked)
    }

    /// Asks the hook. One audit event either way.
    async fn call(
        &self,
        subject: &Subject,
        hook: &HookOptions,
        request: &Request<'_>,
    ) -> Result<Option<Made>, HookError> {
        let answer = hook::call(hook, request).await;
        let step = match request.action {
            Action::Make => "made by hook",
            Action::Set => "set by hook",
            Action::Revoke => "revoked by hook",
        };
        self.record(
            subject,
            step,
            Some(request.id.unwrap_or(request.op)),
            answer.as_ref().err().map(ToString::to_string),
        );
        answer
    }

    fn hook(&self) -> Result<&HookOptions, RotationError> {
        self.options.hook.as_ref().ok_or_else(|| failed(HookError::NotConfigured, AS_IT_WAS))
    }

    async fn errand(&self, subject: &Subject) -> Result<Errand, RotationError> {
        let found = subject.read(&self.directory).await?.ok_or_else(|| RotationError::Missing(subject.clone()))?;
        let Record::Account(account) = found.record else { return Err(failed(HookError::WrongKind, AS_IT_WAS)) };
        if subject.kind() != CredentialKind::AppPassword {
            return Err(failed(HookError::WrongKind, AS_IT_WAS));
        }
        let unknown = || RotationError::Reason(Reason::UpstreamUnknown { upstream: account.upstream.clone() });
        let format = self.broker.upstream(&account.upstream).ok_or_else(unknown)?.app_password;
        let identity = account.identity.all.unwrap_or_else(|| account.name.clone());
        Ok(Errand { account: account.name, identity, upstream: account.upstream, format })
    }
}

const AS_IT_WAS: &str = "nothing was changed";
const ASKED: &str = "whether it made one is not known: look for it in the portal, by the label that `locum rotate status` shows, \
                     or have it deleted with `locum rotate retire --by-hook`; run this again to have another one made";
const STAGED: &str = "the new one stays staged: run this again to go on, or discard it";
const IN_DOUBT: &str =
    "whether it was set is not known, and logins may use either: run this again to have the same one set";
const STILL_THERE: &str = "it is still to be deleted at the provider: run this again, or delete it there and tick it off with \
                           `locum rotate deleted`";

fn failed(error: HookError, left: &'static str) -> RotationError {
    RotationError::Hook { error, left }
}

/// Whether it can be told apart at the provider, and nobody is having it made.
fn may_be_revoked(slots: &Slots, leftover: &Leftover) -> bool {
    let is_free = leftover.until.is_none_or(|until| !machine::is_at_work(until, Timestamp::now()));
    let mut used = Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot));
    is_free
        && leftover.upstream.is_none()
        && !leftover.label.is_empty()
        && !used.any(|stored| stored.label == leftover.label)
}

fn new_op() -> Result<String, RotationError> {
    let id = client_secret::random_id().map_err(|_| failed(HookError::NoRandomness, AS_IT_WAS))?;
    Ok(format!("{OP}{id}"))
}

fn id_of(op: &str) -> String {
    op.strip_prefix(OP).unwrap_or(op).to_owned()
}

/// The name that it is to bear in the portal.
fn label_of(op: &str) -> String {
    format!("Locum {}", id_of(op))
}

/// A secret that has capitals, small letters and digits: many providers want three kinds of characters.
fn new_secret() -> Result<Secret, RotationError> {
    /// One that lacks a kind comes up once in 250 times.
    const TRIES_MAX: usize = 64;
    /// Bytes above would make some characters likelier.
    const EVEN: u8 = 248;

    let (random, mut bytes) = (SystemRandom::new(), Zeroizing::new([0; 4 * SECRET_CHARS]));
    for _ in 0..TRIES_MAX {
        random.fill(&mut *bytes).map_err(|_| failed(HookError::NoRandomness, AS_IT_WAS))?;
        let even = bytes.iter().filter(|byte| **byte < EVEN).take(SECRET_CHARS);
        let mut chars = Zeroizing::new(Vec::with_capacity(SECRET_CHARS));
        chars.extend(even.map(|byte| ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        let has = |kind: fn(&u8) -> bool| chars.iter().any(kind);
        let is_mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
        if chars.len() == SECRET_CHARS && is_mixed {
            return Ok(Secret::new(chars.as_slice()));
        }
    }
    Err(failed(HookError::NoRandomness, AS_IT_WAS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_to_be_set_are_long_mixed_and_never_the_same() {
        let secrets: Vec<Secret> = (0..100).map(|_| new_secret().unwrap()).collect();
        for (number, secret) in secrets.iter().enumerate() {
            let text = secret.expose_text().unwrap();
            assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            assert!(!secrets[..number].contains(secret));
        }
    }
}

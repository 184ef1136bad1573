//! `locum rotate promote` and `locum rotate rollback`: which credential logins use.

use anyhow::Result;

use super::{Target, hint, verify};
use crate::cli::desk;
use crate::cli::{output, places};
use crate::management::Desk;
use crate::model::{Slots, StoredCredential};
use crate::rotation::machine::StepError;
use crate::rotation::{RotationError, Subject};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Promote {
    #[command(flatten)]
    target: Target,
    /// Though nobody has logged in with it.
    #[arg(long)]
    no_verify: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Rollback {
    #[command(flatten)]
    target: Target,
    /// The one to go back to, by its label or id. Without it, the one before; but what was rolled back already is not brought
    /// back again.
    #[arg(long, value_name = "LABEL|ID")]
    to: Option<String>,
    /// Why, for those who read the history.
    #[arg(long, value_name = "TEXT", default_value = "by hand")]
    reason: String,
    /// For a domain: log in to this mailbox of it. Without it, to that of an account that uses the domain's credential.
    #[arg(long, value_name = "ADDRESS")]
    mailbox: Option<String>,
    /// Without a login with it before. If the provider does not take it any more, every client is locked out.
    #[arg(long)]
    no_verify: bool,
}

pub(super) async fn promote(desk: &Desk, arguments: Promote) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk::rotation(desk);
    let failed = |error| hint::failed(error, &subject);
    let slots = rotation.slots(&subject).await.map_err(failed)?;
    let Some(id) = slots.next.as_ref().map(|next| next.credential.id.clone()) else {
        return Err(nothing_staged(&slots, &subject));
    };
    rotation.promote(&subject, &id, arguments.no_verify).await.map_err(failed)?;
    let slots = rotation.slots(&subject).await.map_err(failed)?;
    tell_promoted(&slots, &subject);
    if arguments.no_verify {
        output::note("note: nobody has logged in with it; look whether it works before clients find out");
        hint::next(&format!("locum probe {}", hint::quoted(subject.name())));
    } else {
        tell_next(&slots, &subject, "");
    }
    Ok(())
}

/// That there is nothing to go on with, and what logins use: whoever types a promotion again sees that it was made.
pub(super) fn nothing_staged(slots: &Slots, subject: &Subject) -> anyhow::Error {
    let error = StepError::NothingStaged.into();
    match (&slots.current, &slots.previous) {
        (Some(current), Some(previous)) => {
            let what = format!("logins use {}, since {}", places::called(current), output::minute(previous.since));
            hint::failed_with(&error, subject, &what, &hint::command("status", subject, ""))
        }
        _ => hint::failed(error, subject),
    }
}

/// What logins use now, and what there is to go back to.
pub(super) fn tell_promoted(slots: &Slots, subject: &Subject) {
    let name = subject.name();
    let current = slots.current.as_ref().map(places::called).unwrap_or_default();
    output::note(format!("{name}: promoted: logins use {current} from now on; open sessions stay as they are"));
    let Some(previous) = &slots.previous else { return };
    let (called, until) = (places::called(&previous.credential), output::minute(previous.retire_at));
    if previous.usable {
        output::note(format!("{called} may be used until {until}, where the new one is refused"));
        output::note(format!("to go back to it: {}", hint::command("rollback", subject, "")));
    } else {
        output::note(format!("{called} is not taken by the provider any more: there is no way back"));
    }
}

/// When the one before may be retired, and how: `rest` stands behind the verb.
pub(super) fn tell_next(slots: &Slots, subject: &Subject, rest: &str) {
    if let Some(previous) = slots.previous.as_ref().filter(|previous| previous.usable) {
        let until = output::minute(previous.retire_at);
        hint::next(&format!("{}, after {until}", hint::command("retire", subject, rest)));
    }
}

/// What is to be current again.
enum To {
    /// The one before, which has this id.
    Previous(String),
    /// What is current already.
    Current,
}

/// The one that is named; or the one before, unless it is the one that was given up: a rollback that is typed again must not
/// go forward.
fn meant(slots: &Slots, subject: &Subject, named: Option<&str>) -> Result<To> {
    let is_it = |stored: &StoredCredential, name: &str| stored.id == name || stored.label == name;
    let Some(previous) = &slots.previous else {
        return match (&slots.current, named) {
            (Some(current), Some(name)) if is_it(current, name) => Ok(To::Current),
            _ => Err(hint::failed(StepError::NoPrevious.into(), subject)),
        };
    };
    match named {
        None if previous.was_rolled_back() => Ok(To::Current),
        // Of two of one name it is the one that is not current.
        Some(name) if !is_it(&previous.credential, name) => match &slots.current {
            Some(current) if is_it(current, name) => Ok(To::Current),
            _ => Err(hint::failed(StepError::OtherPrevious.into(), subject)),
        },
        None | Some(_) => Ok(To::Previous(previous.credential.id.clone())),
    }
}

/// That nothing is to be done, and what would be.
fn tell_before(slots: &Slots, subject: &Subject) {
    let current = slots.current.as_ref().map(places::called).unwrap_or_default();
    let name = subject.name();
    let Some(previous) = &slots.previous else {
        return output::note(format!("{name}: logins use {current} already; nothing is done"));
    };
    let since = output::minute(previous.since);
    output::note(format!("{name}: logins use {current} already, since {since}; nothing is done"));
    if previous.usable && previous.was_rolled_back() {
        let called = places::called(&previous.credential);
        output::note(format!("to let them use {called} after all: {}", back_to(&previous.credential.id, subject)));
    }
}

/// The command that makes that one current again.
pub(in crate::cli) fn back_to(id: &str, subject: &Subject) -> String {
    hint::command("rollback", subject, &format!("--to {}", hint::quoted(id)))
}

pub(super) async fn roll_back(desk: &Desk, arguments: Rollback) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk::rotation(desk).by_mailbox(arguments.mailbox.clone());
    let failed = |error| hint::failed(error, &subject);
    let before = rotation.slots(&subject).await.map_err(failed)?;
    let to = match meant(&before, &subject, arguments.to.as_deref())? {
        To::Previous(to) => to,
        To::Current => {
            tell_before(&before, &subject);
            return Ok(());
        }
    };
    // Where there is none to go back to, that is said by the step.
    if !arguments.no_verify && before.previous.as_ref().is_some_and(|previous| previous.usable) {
        let verified = {
            let _waiting = verify::waiting_once();
            desk::at_work(desk, rotation.verify_previous(&subject, &[])).await
        };
        match verified {
            Ok(verified) => verify::tell(&verified),
            Err(error @ RotationError::Refused { .. }) => {
                let what = "nothing is rolled back: clients would be locked out; stage another one";
                return Err(hint::failed_with(&error, &subject, what, &hint::command("stage", &subject, "")));
            }
            Err(error @ RotationError::Unverified { .. }) => {
                let what = "nothing is rolled back";
                return Err(hint::failed_with(&error, &subject, what, &hint::command("rollback", &subject, "")));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    rotation.roll_back(&subject, &to, &arguments.reason).await.map_err(failed)?;
    let after = rotation.slots(&subject).await.map_err(failed)?;
    let name = subject.name();
    let current = after.current.as_ref().map(places::called).unwrap_or_default();
    output::note(format!("{name}: rolled back: logins use {current} again; open sessions stay as they are"));
    if let Some(previous) = &after.previous {
        let (called, until) = (places::called(&previous.credential), output::minute(previous.retire_at));
        output::note(format!("{called} may be used until {until}, where the other one is refused"));
        hint::next(&format!("{}, if it is of no use", hint::command("retire", &subject, "--now")));
    }
    Ok(())
}

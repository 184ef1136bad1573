//! `locum rotate promote` and `locum rotate rollback`: which credential logins use.

use anyhow::Result;

use super::{Target, hint, verify};
use crate::cli::{desk, output, places};
use crate::management::rotation::{self, Places, RolledBack, command, of_subject, quoted};
use crate::management::{Desk, ManagementError};
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
    let how = rotation::Promote { id: None, unverified: arguments.no_verify };
    let promoted = match rotation::promote(desk, &subject, &how).await {
        Ok(promoted) => promoted,
        Err(ManagementError::Rotation(RotationError::Step(StepError::NothingStaged))) => {
            return Err(nothing_staged(desk, &subject).await);
        }
        Err(error) => return Err(hint::failed_to_manage(error, &subject)),
    };
    tell_promoted(&promoted.places, &subject);
    if arguments.no_verify {
        output::note("note: nobody has logged in with it; look whether it works before clients find out");
        hint::next(&format!("locum probe {}", quoted(subject.name())));
    } else {
        tell_next(&promoted.places, &subject, "");
    }
    Ok(())
}

/// That there is nothing to go on with, and what logins use: whoever types a promotion again sees that it was made.
pub(super) async fn nothing_staged(desk: &Desk, subject: &Subject) -> anyhow::Error {
    let error = StepError::NothingStaged.into();
    let places = match of_subject(desk, subject).await {
        Ok(found) => found.places,
        Err(error) => return hint::failed_to_manage(error, subject),
    };
    match (&places.current, &places.previous) {
        (Some(current), Some(previous)) => {
            let since = output::minute(previous.replaced);
            let what = format!("logins use {}, since {since}", places::called(current));
            hint::failed_with(&error, subject, &what, &command("status", subject, ""))
        }
        _ => hint::failed(error, subject),
    }
}

/// What logins use now, and what there is to go back to.
pub(super) fn tell_promoted(places: &Places, subject: &Subject) {
    let name = subject.name();
    let current = places.current.as_ref().map(places::called).unwrap_or_default();
    output::note(format!("{name}: promoted: logins use {current} from now on; open sessions stay as they are"));
    let Some(previous) = &places.previous else { return };
    let (called, until) = (places::called(&previous.stored), output::minute(previous.usable_until));
    if previous.usable {
        output::note(format!("{called} may be used until {until}, where the new one is refused"));
        output::note(format!("to go back to it: {}", command("rollback", subject, "")));
    } else {
        output::note(format!("{called} is not taken by the provider any more: there is no way back"));
    }
}

/// When the one before may be retired, and how: `rest` stands behind the verb.
pub(super) fn tell_next(places: &Places, subject: &Subject, rest: &str) {
    if let Some(previous) = places.previous.as_ref().filter(|previous| previous.usable) {
        let until = output::minute(previous.usable_until);
        hint::next(&format!("{}, after {until}", command("retire", subject, rest)));
    }
}

/// That nothing is to be done, and what would be.
fn tell_before(places: &Places, subject: &Subject) {
    let current = places.current.as_ref().map(places::called).unwrap_or_default();
    let name = subject.name();
    let Some(previous) = &places.previous else {
        return output::note(format!("{name}: logins use {current} already; nothing is done"));
    };
    let since = output::minute(previous.replaced);
    output::note(format!("{name}: logins use {current} already, since {since}; nothing is done"));
    if previous.usable && previous.rolled_back {
        let called = places::called(&previous.stored);
        output::note(format!("to let them use {called} after all: {}", back_to(&previous.stored.id, subject)));
    }
}

/// The command that makes the one of that id current again.
pub(in crate::cli) fn back_to(id: &str, subject: &Subject) -> String {
    command("rollback", subject, &format!("--to {}", quoted(id)))
}

pub(super) async fn roll_back(desk: &Desk, arguments: Rollback) -> Result<()> {
    let subject = arguments.target.subject()?;
    let Rollback { target: _, to, reason, mailbox, no_verify: unverified } = arguments;
    let how = rotation::RollBack { to, reason: Some(reason), mailbox, unverified };
    let done = {
        let _waiting = (!unverified).then(verify::waiting_once);
        desk::at_work(desk, rotation::roll_back(desk, &subject, &how)).await
    };
    let RolledBack { was_done, protocols, notes, rotation } = match done {
        Ok(done) => done,
        Err(ManagementError::Rotation(error @ RotationError::Refused { .. })) => {
            let what = "nothing is rolled back: clients would be locked out; stage another one";
            return Err(hint::failed_with(&error, &subject, what, &command("stage", &subject, "")));
        }
        Err(ManagementError::Rotation(error @ RotationError::Unverified { .. })) => {
            let what = "nothing is rolled back";
            return Err(hint::failed_with(&error, &subject, what, &command("rollback", &subject, "")));
        }
        Err(error) => return Err(hint::failed_to_manage(error, &subject)),
    };
    let places = &rotation.places;
    if was_done {
        tell_before(places, &subject);
        return Ok(());
    }
    verify::tell(&protocols, &notes);
    let name = subject.name();
    let current = places.current.as_ref().map(places::called).unwrap_or_default();
    output::note(format!("{name}: rolled back: logins use {current} again; open sessions stay as they are"));
    if let Some(previous) = &places.previous {
        let (called, until) = (places::called(&previous.stored), output::minute(previous.usable_until));
        output::note(format!("{called} may be used until {until}, where the other one is refused"));
        hint::next(&format!("{}, if it is of no use", command("retire", &subject, "--now")));
    }
    Ok(())
}

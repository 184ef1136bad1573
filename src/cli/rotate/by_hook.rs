//! `locum rotate run --by-hook` and `locum rotate retire --by-hook`: the site's own program makes, sets or deletes at the
//! provider.

use anyhow::Result;

use super::{hint, promote, verify};
use crate::cli::desk;
use crate::cli::output;
use crate::management::rotation::command;
use crate::management::{Desk, rotation};
use crate::model::Protocol;
use crate::rotation::{Action, Rotation, RotationError, Subject};

/// Has the hook make or set a new one, and takes it all the way.
pub(super) async fn run(desk: &Desk, subject: &Subject, protocols: &[Protocol]) -> Result<()> {
    let how = rotation::Run { protocols: protocols.to_vec(), mailbox: None, by_hook: true };
    let rotated = {
        let _waiting = verify::waiting(desk);
        let run = desk::at_work(desk, rotation::run(desk, subject, &how)).await;
        run.map_err(|error| hint::failed_to_manage(error, subject))?
    };
    for note in &rotated.notes {
        output::note(format!("note: {note}"));
    }
    let id = rotated.id;
    if rotated.was_done {
        output::note(format!("{}: the hook's {id} became current a moment ago; nothing is done", subject.name()));
        output::note(format!(
            "to have another one at once, give up the one before first: {}",
            command("retire", subject, "--now")
        ));
        return Ok(());
    }
    let places = &rotated.rotation.places;
    promote::tell_promoted(places, subject);
    let revokes = desk.options.hook.as_ref().is_some_and(|hook| hook.actions.contains(&Action::Revoke));
    promote::tell_next(places, subject, if revokes { "--by-hook" } else { "" });
    Ok(())
}

/// Gives up the one before, and has the hook delete what is used no more.
pub(super) async fn retire(
    rotation: &Rotation,
    subject: &Subject,
    id: Option<&str>,
    now: bool,
) -> Result<(), RotationError> {
    let revoked = rotation.retire_by_hook(subject, id, now).await?;
    for deleted in &revoked.deleted {
        output::note(format!("{}: {} is deleted at the provider", subject.name(), deleted.label));
    }
    for left in &revoked.left {
        let name = if left.label.is_empty() { &left.id } else { &left.label };
        output::note(format!(
            "{}: {name} is still to be deleted at the provider: the hook cannot tell it apart there, or may be making it",
            subject.name()
        ));
    }
    if revoked.deleted.is_empty() && revoked.left.is_empty() {
        output::note(format!("{}: there is nothing to delete at the provider", subject.name()));
    }
    Ok(())
}

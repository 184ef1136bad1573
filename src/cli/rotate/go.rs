//! `locum rotate run`: the whole sequence for one account.

use std::io::{self, IsTerminal};

use anyhow::Result;

use super::stage::{New, Staged};
use super::verify::{self, By};
use super::{Target, by_hook, hint, promote};
use crate::cli::desk;
use crate::cli::exit::{self, Failure};
use crate::cli::{output, places};
use crate::management::rotation::{self, Places, RunView, command, deleted_command, of_subject};
use crate::management::{Desk, ManagementError};
use crate::rotation::{RotationError, Subject};

const HOW: &str = "It asks for the new app password, unless something is staged: with that it goes on. One that the provider \
                   refuses is given up, and logins go on with the current one. Whatever ends it half-way, run the same again.";

#[derive(Debug, clap::Args)]
#[command(after_help = HOW)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    by: By,
    /// With an app password that the command in [rotation.hook] makes, or sets at the provider.
    #[arg(long, conflicts_with_all = ["label", "secret_file", "secret_stdin"])]
    by_hook: bool,
    #[command(flatten)]
    new: New,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Result<()> {
    let subject = arguments.target.subject()?;
    if arguments.by_hook {
        return by_hook::run(desk, &subject, &arguments.by.protocol).await;
    }
    let by_mailbox = desk::rotation(desk).by_mailbox(arguments.by.mailbox.clone());
    let failed = |error| hint::failed(error, &subject);
    let managed = |error| hint::failed_to_manage(error, &subject);
    let before = of_subject(desk, &subject).await.map_err(managed)?.places;
    if arguments.new.is_given() || (before.next.is_none() && io::stdin().is_terminal()) {
        match arguments.new.stage(desk, &by_mailbox, &subject).await? {
            Staged::Next if arguments.new.is_to_be_uploaded() => {
                hint::next(&command("run", &subject, ""));
                return Ok(());
            }
            Staged::Next => {}
            Staged::Current => {
                // Whoever made it current may have ended before the look that follows.
                let looked = desk::at_work(desk, by_mailbox.look_again(&subject, &arguments.by.protocol)).await;
                looked.map_err(failed)?;
                output::note(format!("{}: this is the current one already; nothing is done", subject.name()));
                return Ok(());
            }
        }
    } else if let Some(next) = &before.next {
        let called = places::called(&next.stored);
        output::note(format!("{}: goes on with {called}, {}", subject.name(), hint::how_far(next)));
    }
    let staged = of_subject(desk, &subject).await.map_err(managed)?.places;
    if staged.next.is_none() {
        return Err(promote::nothing_staged(desk, &subject).await);
    }
    let By { protocol: protocols, mailbox } = arguments.by;
    let how = rotation::Run { protocols, mailbox, by_hook: false };
    let done = {
        let _waiting = verify::waiting(desk);
        desk::at_work(desk, rotation::run(desk, &subject, &how)).await
    };
    match done {
        Ok(RunView { notes, rotation, .. }) => {
            verify::tell_notes(&notes);
            promote::tell_promoted(&rotation.places, &subject);
            promote::tell_next(&rotation.places, &subject, "");
            Ok(())
        }
        Err(ManagementError::Rotation(error @ RotationError::Refused { .. })) => {
            let what = "it is discarded, and logins go on with the current one; delete it in the provider's portal";
            Err(hint::failed_with(&error, &subject, what, &tick_off(&staged, &subject)))
        }
        Err(ManagementError::Rotation(error @ RotationError::RolledBack { .. })) => {
            let what = "logins go on with the one before";
            Err(hint::failed_with(&error, &subject, what, &command("status", &subject, "")))
        }
        // It goes on from where it is: there is no need for the steps by name.
        Err(ManagementError::Rotation(error @ RotationError::Unverified { passes: true, .. })) => {
            let message = format!("{}: {error}\nnext: {}", subject.name(), command("run", &subject, ""));
            Err(Failure::new(exit::of_rotation(&error), message).into())
        }
        Err(error) => Err(managed(error)),
    }
}

/// The command that ticks off what was staged, once it is deleted in the portal.
fn tick_off(staged: &Places, subject: &Subject) -> String {
    match &staged.next {
        Some(next) => deleted_command(subject, &next.stored.label, &next.stored.id),
        None => command("status", subject, ""),
    }
}

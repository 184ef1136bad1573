//! `locum rotate run`: the whole sequence for one account.

use std::io::{self, IsTerminal};

use anyhow::Result;

use super::stage::{New, Staged};
use super::verify::{self, By};
use super::{Target, by_hook, hint, promote};
use crate::cli::desk;
use crate::cli::exit::{self, Failure};
use crate::cli::{output, places};
use crate::management::Desk;
use crate::model::Slots;
use crate::rotation::{Given, Rotated, RotationError, Subject};

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
    let rotation = desk::rotation(desk).by_mailbox(arguments.by.mailbox.clone());
    let failed = |error| hint::failed(error, &subject);
    let before = rotation.slots(&subject).await.map_err(failed)?;
    if arguments.new.is_given() || (before.next.is_none() && io::stdin().is_terminal()) {
        match arguments.new.stage(desk, &rotation, &subject).await? {
            Staged::Next if arguments.new.is_to_be_uploaded() => {
                hint::next(&hint::command("run", &subject, ""));
                return Ok(());
            }
            Staged::Next => {}
            Staged::Current => {
                // Whoever made it current may have ended before the look that follows.
                let looked = desk::at_work(desk, rotation.look_again(&subject, &arguments.by.protocol)).await;
                looked.map_err(failed)?;
                output::note(format!("{}: this is the current one already; nothing is done", subject.name()));
                return Ok(());
            }
        }
    } else if let Some(next) = &before.next {
        let called = places::called(&next.credential);
        output::note(format!("{}: goes on with {called}, {}", subject.name(), hint::how_far(next)));
    }
    let staged = rotation.slots(&subject).await.map_err(failed)?;
    if staged.next.is_none() {
        return Err(promote::nothing_staged(&staged, &subject));
    }
    let done = {
        let _waiting = verify::waiting(desk);
        desk::at_work(desk, rotation.run(&subject, Given::Staged, &arguments.by.protocol)).await
    };
    match done {
        Ok(Rotated { notes, .. }) => {
            verify::tell_notes(&notes);
            let slots = rotation.slots(&subject).await.map_err(failed)?;
            promote::tell_promoted(&slots, &subject);
            promote::tell_next(&slots, &subject, "");
            Ok(())
        }
        Err(error @ RotationError::Refused { .. }) => {
            let what = "it is discarded, and logins go on with the current one; delete it in the provider's portal";
            Err(hint::failed_with(&error, &subject, what, &tick_off(&staged, &subject)))
        }
        Err(error @ RotationError::RolledBack { .. }) => {
            let what = "logins go on with the one before";
            Err(hint::failed_with(&error, &subject, what, &hint::command("status", &subject, "")))
        }
        // It goes on from where it is: there is no need for the steps by name.
        Err(error @ RotationError::Unverified { passes: true, .. }) => {
            let message = format!("{}: {error}\nnext: {}", subject.name(), hint::command("run", &subject, ""));
            Err(Failure::new(exit::of_rotation(&error), message).into())
        }
        Err(error) => Err(failed(error)),
    }
}

/// The command that ticks off what was staged, once it is deleted in the portal.
fn tick_off(staged: &Slots, subject: &Subject) -> String {
    match &staged.next {
        Some(next) => hint::deleted(subject, &next.credential.label, &next.credential.id),
        None => hint::command("status", subject, ""),
    }
}

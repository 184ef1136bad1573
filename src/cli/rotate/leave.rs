//! `locum rotate discard` and `locum rotate deleted`: what is staged is given up, and what was deleted in the portal is
//! ticked off.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::desk;
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::management::Desk;
use crate::management::rotation::{command, deleted_command, described, in_use, named};
use crate::model::{Leftover, Slot};
use crate::rotation::Subject;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Discard {
    #[command(flatten)]
    target: Target,
    /// Why, for those who read the history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Deleted {
    #[command(flatten)]
    target: Target,
    /// What was deleted: labels as the portal shows them, or ids.
    #[arg(value_name = "LABEL|ID", required_unless_present = "all")]
    names: Vec<String>,
    /// All that were to be deleted.
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

pub(super) async fn discard(desk: &Desk, arguments: Discard) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk::rotation(desk);
    let failed = |error| hint::failed(error, &subject);
    let name = subject.name();
    let Some(next) = rotation.slots(&subject).await.map_err(failed)?.next else {
        output::note(format!("{name}: nothing is staged, so there is nothing to discard"));
        return Ok(());
    };
    rotation.discard(&subject, &next.credential.id, arguments.reason.as_deref()).await.map_err(failed)?;
    let called = named(&next.credential.label, &next.credential.id);
    if next.replaces {
        output::note(format!("{name}: discarded {called}; logins go on with the current one"));
        return Ok(());
    }
    output::note(format!("{name}: discarded {called}; delete it in the provider's portal, then tick it off"));
    hint::next(&deleted_command(&subject, &next.credential.label, &next.credential.id));
    Ok(())
}

pub(super) async fn deleted(desk: &Desk, arguments: Deleted) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk::rotation(desk);
    let failed = |error| hint::failed(error, &subject);
    let slots = rotation.slots(&subject).await.map_err(failed)?;
    let all = slots.leftovers.iter().map(|left| left.id.clone());
    let names = if arguments.all { all.collect() } else { arguments.names };
    for name in &names {
        if let Some(slot) = in_use(&slots, name) {
            let (to_do, next) = match slot {
                Slot::Current => ("replace it", command("run", &subject, "")),
                Slot::Next => ("discard it first", command("discard", &subject, "")),
                Slot::Previous => ("retire it first", command("retire", &subject, "--now")),
            };
            let message = format!(
                "{}: {name} is the {slot} one, and logins may use it: if it was deleted all the same, {to_do}",
                subject.name()
            );
            return Err(Failure::new(exit::DATA, format!("{message}\nnext: {next}")).into());
        }
    }
    for name in &names {
        rotation.deleted(&subject, name).await.map_err(failed)?;
        let left = slots.leftovers.iter().find(|left| left.id == *name || left.label == *name);
        let called = left.map_or_else(|| name.clone(), |left| named(&left.label, &left.id));
        output::note(format!("{}: ticked off {called}", subject.name()));
    }
    tell_left(&rotation.slots(&subject).await.map_err(failed)?.leftovers, &subject);
    Ok(())
}

fn tell_left(left: &[Leftover], subject: &Subject) {
    let name = subject.name();
    let Some(first) = left.first() else {
        output::note(format!("{name}: nothing is left to delete in the provider's portal"));
        return;
    };
    output::note(format!("{name}: still to be deleted in the provider's portal:"));
    left.iter().for_each(|left| output::note(format!("  {}", described(left))));
    hint::next(&deleted_command(subject, &first.label, &first.id));
}

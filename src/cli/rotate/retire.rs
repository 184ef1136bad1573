//! `locum rotate retire`: the one before is used no more, by one account, by several, or by all whose grace is over.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::{by_hook, hint, subject};
use crate::cli::desk;
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::cli::places;
use crate::management::Desk;
use crate::management::rotation::{Held, deleted_command, named};
use crate::model::{CredentialKind, Previous};
use crate::rotation::{Rotation, RotationError, Subject, clear_old_reports};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Retire {
    /// The accounts; or domains with an @ before them.
    #[arg(value_name = "ACCOUNT", required_unless_present = "due")]
    names: Vec<String>,
    /// The kind of credential: app-password or oauth2; with --due all kinds, unless one is named.
    #[arg(long)]
    kind: Option<CredentialKind>,
    /// All whose grace is over.
    #[arg(long, conflicts_with_all = ["names", "now"])]
    due: bool,
    /// With --due: of this domain only.
    #[arg(long, requires = "due")]
    domain: Option<String>,
    /// Before its grace is over.
    #[arg(long)]
    now: bool,
    /// And have the command in [rotation.hook] delete at the provider what is used no more.
    #[arg(long, conflicts_with = "due")]
    by_hook: bool,
    /// Do not ask whether that is meant.
    #[arg(long, requires = "now")]
    yes: bool,
}

/// One that is to be retired.
struct Meant {
    subject: Subject,
    previous: Option<Previous>,
}

pub(super) async fn run(desk: &Desk, arguments: Retire) -> Result<()> {
    let rotation = desk::rotation(desk);
    let (meant, unread) =
        if arguments.due { due(desk, &arguments).await? } else { those_named(&rotation, &arguments).await? };
    if meant.is_empty() && unread == 0 {
        output::note("nothing is due");
        return Ok(());
    }
    let at = Timestamp::now();
    for Meant { subject, previous } in &meant {
        // Where it is refused, nothing is lost.
        if let Some(previous) = previous.as_ref().filter(|it| arguments.now || it.retire_at <= at) {
            let (name, called) = (subject.name(), named(&previous.credential.label, &previous.credential.id));
            output::note(format!("{name}: after this there is no way back to {called}"));
        }
    }
    if arguments.now && !arguments.yes && meant.iter().any(|meant| meant.previous.is_some()) {
        confirm(&meant)?;
    }
    let total = meant.len();
    let mut errors = Vec::new();
    for meant in meant {
        let retired = if arguments.by_hook {
            let id = meant.previous.as_ref().map(|previous| previous.credential.id.as_str());
            by_hook::retire(&rotation, &meant.subject, id, arguments.now).await
        } else {
            retire(&rotation, &meant, arguments.now).await
        };
        if let Err(error) = retired {
            errors.push((meant.subject, error));
        }
    }
    clear_old_reports(&desk.directory, Timestamp::now()).await;
    conclude(errors, total, unread)
}

/// Those that are named.
async fn those_named(rotation: &Rotation, arguments: &Retire) -> Result<(Vec<Meant>, usize)> {
    let mut meant = Vec::new();
    for name in &arguments.names {
        let subject = subject(name, arguments.kind.unwrap_or(CredentialKind::AppPassword))?;
        let slots = rotation.slots(&subject).await.map_err(|error| hint::failed(error, &subject))?;
        meant.push(Meant { subject, previous: slots.previous });
    }
    Ok((meant, 0))
}

/// Those whose grace is over, and how many records cannot be read.
async fn due(desk: &Desk, arguments: &Retire) -> Result<(Vec<Meant>, usize)> {
    let now = Timestamp::now();
    let (held, unread) = places::of_all(&desk.directory, arguments.domain.as_deref()).await?;
    let is_due = |held: &Held| {
        arguments.kind.is_none_or(|kind| kind == held.subject.kind())
            && held.slots.previous.as_ref().is_some_and(|previous| previous.retire_at <= now)
    };
    let due = held.into_iter().filter(is_due);
    Ok((due.map(|held| Meant { subject: held.subject, previous: held.slots.previous }).collect(), unread))
}

/// Asks whether it is meant; where nobody can be asked, it is not.
fn confirm(meant: &[Meant]) -> Result<()> {
    if !io::stdin().is_terminal() {
        let message = "no terminal to ask whether that is meant; say --yes";
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let prompt = match meant {
        [_] => "retire it now?".to_owned(),
        meant => format!("retire these {} now?", meant.len()),
    };
    let asked = dialoguer::Confirm::new().with_prompt(prompt).default(false);
    if asked.interact().context("cannot read from the terminal")? {
        return Ok(());
    }
    Err(Failure::new(exit::USAGE, "nothing is retired").into())
}

async fn retire(rotation: &Rotation, meant: &Meant, now: bool) -> Result<(), RotationError> {
    let Meant { subject, previous } = meant;
    let name = subject.name();
    let Some(previous) = previous else {
        output::note(format!("{name}: there is no previous one, so there is nothing to retire"));
        return Ok(());
    };
    let retired = rotation.retire(subject, &previous.credential.id, now).await?;
    if let Some(note) = retired.note {
        output::note(format!("{name}: {note}"));
    }
    let (label, id) = (&previous.credential.label, &previous.credential.id);
    let called = named(label, id);
    if previous.usable {
        output::note(format!("{name}: retired {called}; delete it in the provider's portal, then tick it off"));
        hint::next(&deleted_command(subject, label, id));
    } else {
        output::note(format!("{name}: retired {called}; the provider does not take it any more"));
    }
    Ok(())
}

/// One error is told as it is; of several, each, and how many there were.
fn conclude(mut errors: Vec<(Subject, RotationError)>, total: usize, unread: usize) -> Result<()> {
    if total == 1
        && let Some((subject, error)) = errors.pop()
    {
        return Err(hint::failed(error, &subject));
    }
    let passes = errors.iter().all(|(_, error)| error.is_transient());
    let failed = errors.len() + unread;
    for (subject, error) in errors {
        output::note(format!("locum: {}", hint::failed(error, &subject)));
    }
    if failed == 0 {
        return Ok(());
    }
    let code = if passes && unread == 0 { exit::TEMPORARY } else { exit::DATA };
    Err(Failure::new(code, format!("{} of {} retired, {failed} failed", total + unread - failed, total + unread))
        .into())
}

//! How a credential leaves: `locum rotate retire`, `discard`, `deleted`; and `retry`, for one that need not.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::desk::Desk;
use crate::cli::output;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Retire {
    #[command(flatten)]
    target: Target,
    /// Before its grace is over.
    #[arg(long)]
    now: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Discard {
    #[command(flatten)]
    target: Target,
    /// Why, for those who read the history.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Deleted {
    #[command(flatten)]
    target: Target,
    /// What was deleted: labels as the portal shows them, or ids.
    #[arg(value_name = "LABEL|ID")]
    names: Vec<String>,
}

pub(super) async fn retire(desk: &Desk, arguments: Retire) -> Result<()> {
    let subject = arguments.target.subject()?;
    desk.rotation().retire(&subject, arguments.now).await.map_err(|error| hint::failed(error, &subject))?;
    output::note(format!("{}: retired", subject.name()));
    Ok(())
}

pub(super) async fn discard(desk: &Desk, arguments: Discard) -> Result<()> {
    let subject = arguments.target.subject()?;
    let reason = arguments.reason.as_deref();
    desk.rotation().discard(&subject, reason).await.map_err(|error| hint::failed(error, &subject))?;
    output::note(format!("{}: discarded", subject.name()));
    Ok(())
}

pub(super) async fn deleted(desk: &Desk, arguments: Deleted) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk.rotation();
    for name in &arguments.names {
        rotation.deleted(&subject, name).await.map_err(|error| hint::failed(error, &subject))?;
    }
    output::note(format!("{}: ticked off", subject.name()));
    Ok(())
}

pub(super) async fn retry(desk: &Desk, target: Target) -> Result<()> {
    let subject = target.subject()?;
    desk.rotation().try_again(&subject).await.map_err(|error| hint::failed(error, &subject))?;
    output::note(format!("{}: nodes try it again", subject.name()));
    Ok(())
}

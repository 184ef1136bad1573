//! `locum rotate promote` and `locum rotate rollback`.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::desk::Desk;
use crate::cli::output;

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
    /// Why, for those who read the history.
    #[arg(long, default_value = "asked for")]
    reason: String,
    /// Without a login with it before.
    #[arg(long)]
    no_verify: bool,
}

pub(super) async fn promote(desk: &Desk, arguments: Promote) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk.rotation();
    let failed = |error| hint::failed(error, &subject);
    let id = rotation.staged(&subject).await.map_err(failed)?;
    rotation.promote(&subject, &id, arguments.no_verify).await.map_err(failed)?;
    output::note(format!("{}: promoted", subject.name()));
    Ok(())
}

pub(super) async fn roll_back(desk: &Desk, arguments: Rollback) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk.rotation();
    let failed = |error| hint::failed(error, &subject);
    rotation.roll_back(&subject, &arguments.reason).await.map_err(failed)?;
    output::note(format!("{}: rolled back", subject.name()));
    Ok(())
}

//! `locum report …`: how things stand, over all accounts. It changes nothing unless asked to forget, and shows no secret.

mod dates;
mod enrolled;
mod inventory;
mod rotation;
mod usage;

use std::path::Path;

use anyhow::Result;

/// How a report is printed; a table without either.
#[derive(Debug, clap::Args)]
pub(super) struct Format {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print CSV, for spreadsheets.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Credentials that are being replaced: who still uses the one before, and when it was last seen.
    Rotation(rotation::Arguments),
    /// What exists of each account at its provider, what is to be deleted there, and what ends on which of the provider's days.
    Inventory(inventory::Arguments),
    /// Every client that was seen: how it comes in, and what is used for it upstream.
    Usage(usage::Arguments),
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    match command {
        Command::Rotation(arguments) => rotation::run(path, arguments).await,
        Command::Inventory(arguments) => inventory::run(path, &arguments).await,
        Command::Usage(arguments) => usage::run(path, &arguments).await,
    }
}

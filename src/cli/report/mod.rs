//! `locum report …`: how things stand, over all accounts. It changes nothing and shows no secret.

mod inventory;
mod rotation;

use std::path::Path;

use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Credentials that are being replaced: who still uses the one before, and when it was last seen.
    Rotation(rotation::Arguments),
    /// What exists of each account at its provider, against what that allows, and what is to be deleted there.
    Inventory(inventory::Arguments),
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    match command {
        Command::Rotation(arguments) => rotation::run(path, arguments).await,
        Command::Inventory(arguments) => inventory::run(path, &arguments).await,
    }
}

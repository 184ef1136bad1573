//! `locum report …`: what is known of many accounts at once.

mod inventory;

use std::path::Path;

use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// What exists of each account at its provider, against what that allows, and what is to be deleted there.
    Inventory(inventory::Arguments),
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    match command {
        Command::Inventory(arguments) => inventory::run(path, &arguments).await,
    }
}

//! `locum report …`: how things stand, over all accounts. It changes nothing and shows no secret.

mod rotation;

use std::path::Path;

use anyhow::Result;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Credentials that are being replaced: who still uses the one before, and when it was last seen.
    Rotation(rotation::Arguments),
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    match command {
        Command::Rotation(arguments) => rotation::run(path, arguments).await,
    }
}

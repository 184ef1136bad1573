//! `locum rotate stage`.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::desk::Desk;
use crate::cli::output;
use crate::cli::secret_input::SecretInput;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The name that the new one bears in the provider's portal, to find it there.
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    secret: SecretInput,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Result<()> {
    let _ = (desk, arguments.target.subject()?, arguments.label, arguments.secret.is_given());
    output::note("not yet");
    hint::next("");
    Ok(())
}

//! `locum rotate run`: the whole sequence for one account.

use anyhow::Result;
use jiff::Timestamp;

use super::{Target, by_hook, hint, verify};
use crate::broker::client_secret;
use crate::cli::desk::Desk;
use crate::cli::output;
use crate::cli::secret_input::SecretInput;
use crate::credential;
use crate::model::{AppPasswordFormat, Protocol};
use crate::rotation::Given;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// By this protocol only: imap, pop3 or submission. May be given more than once; without it, by all that take it.
    #[arg(long)]
    protocol: Vec<Protocol>,
    /// With an app password that the command in [rotation.hook] makes, or sets at the provider.
    #[arg(long, conflicts_with_all = ["label", "secret_file", "secret_stdin"])]
    by_hook: bool,
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    secret: SecretInput,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Result<()> {
    let subject = arguments.target.subject()?;
    if arguments.by_hook {
        return by_hook::run(desk, &subject, &arguments.protocol).await;
    }
    let rotation = desk.rotation();
    let given = if arguments.secret.is_given() {
        let pasted = arguments.secret.read("app password")?;
        let (id, label) = (client_secret::random_id()?, arguments.label.unwrap_or_default());
        let format = AppPasswordFormat::Verbatim;
        Given::New(Box::new(credential::new_app_password(&pasted, format, id, &label, Timestamp::now())?))
    } else {
        Given::Staged
    };
    let _waiting = verify::waiting(desk);
    let run = desk.at_work(rotation.run(&subject, given, &arguments.protocol)).await;
    let rotated = run.map_err(|error| hint::failed(error, &subject))?;
    output::note(format!("{}: rotated to {}", subject.name(), rotated.id));
    Ok(())
}

//! `locum rotate verify`: real logins with what is staged.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::desk::Desk;
use crate::cli::output;
use crate::cli::progress::Waiting;
use crate::model::Protocol;
use crate::rotation::Verification;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// By this protocol only: imap, pop3 or submission. May be given more than once; without it, by all that take it.
    #[arg(long)]
    protocol: Vec<Protocol>,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Result<()> {
    let subject = arguments.target.subject()?;
    let rotation = desk.rotation();
    let failed = |error| hint::failed(error, &subject);
    let id = rotation.staged(&subject).await.map_err(failed)?;
    let verified = {
        let _waiting = waiting(desk);
        desk.at_work(rotation.verify(&subject, &id, &arguments.protocol)).await.map_err(failed)?
    };
    tell(&verified);
    output::note(format!("{}: verified; logins still use the current one", subject.name()));
    hint::next(&hint::command("promote", &subject, ""));
    Ok(())
}

/// Shows that the provider is waited for, and why that may take a while.
pub(super) fn waiting(desk: &Desk) -> Waiting {
    let second = desk.options.second_look.as_secs();
    Waiting::begin(format!("logging in at the provider; a refusal is looked at again after {second} s"))
}

/// A line for each protocol.
pub(super) fn tell(verified: &Verification) {
    for protocol in &verified.protocols {
        output::line(format!("  {:<10}  logged in", protocol.name()));
    }
    for note in &verified.notes {
        output::line(format!("  {note}"));
    }
}

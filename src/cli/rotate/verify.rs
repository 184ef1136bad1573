//! `locum rotate verify`: real logins with what is staged.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::desk;
use crate::cli::output;
use crate::cli::progress::Waiting;
use crate::management::rotation::{self, Logins, command};
use crate::management::{Desk, ManagementError};
use crate::model::Protocol;
use crate::rotation::RotationError;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    by: By,
}

/// By which protocols to log in.
#[derive(Debug, clap::Args)]
pub(super) struct By {
    /// Log in by this protocol only: imap, pop3 or submission. May be given more than once; without it, by all that take
    /// the credential.
    #[arg(long)]
    pub(super) protocol: Vec<Protocol>,
    /// For a domain: log in to this mailbox of it. Without it, to that of an account that uses the domain's credential.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) mailbox: Option<String>,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Result<()> {
    let subject = arguments.target.subject()?;
    let By { protocol: protocols, mailbox } = arguments.by;
    let verified = {
        let _waiting = waiting(desk);
        desk::at_work(desk, rotation::verify(desk, &subject, &Logins { protocols, mailbox })).await
    };
    let verified = match verified {
        // It has failed now: it is of no use any more.
        Err(ManagementError::Rotation(error @ RotationError::Refused { .. })) => {
            let next = command("discard", &subject, "");
            return Err(hint::failed_with(&error, &subject, "logins go on with the current one", &next));
        }
        verified => verified.map_err(|error| hint::failed_to_manage(error, &subject))?,
    };
    tell(&verified.protocols, &verified.notes);
    output::note(format!("{}: verified; logins do not use it before it is promoted", subject.name()));
    hint::next(&command("promote", &subject, ""));
    Ok(())
}

/// Shows that the provider is waited for, and why that may take a while.
pub(super) fn waiting(desk: &Desk) -> Waiting {
    let second = desk.options.second_look.as_secs();
    Waiting::begin(format!("logging in at the provider; what it refuses is tried once more after {second} s"))
}

/// Shows that the provider is waited for, where one look is enough.
pub(super) fn waiting_once() -> Waiting {
    Waiting::begin("logging in at the provider with the one before")
}

/// A line for each protocol.
pub(super) fn tell(protocols: &[Protocol], notes: &[String]) {
    for protocol in protocols {
        output::line(format!("  {:<10}  logged in", protocol.name()));
    }
    tell_notes(notes);
}

/// What stands in the way by some protocol, though not because of the credential.
pub(super) fn tell_notes(notes: &[String]) {
    for note in notes {
        output::line(format!("  not because of it: {note}"));
    }
}

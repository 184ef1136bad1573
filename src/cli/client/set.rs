//! `locum client set`: what a client may do. Its secrets and what it is bound to are for other verbs.

use anyhow::Result;
use jiff::Timestamp;

use super::find;
use super::limits::{Limits, Part};
use crate::broker::{Directory, Versioned};
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// The login name of the client.
    login: String,
    #[command(flatten)]
    limits: Limits,
    /// A part of its policy to be taken away, so that it bounds nothing any more; may be given again.
    #[arg(long, value_name = "PART")]
    clear: Vec<Part>,
}

pub(super) async fn run(config: &Config, directory: &Directory, set: Set) -> Result<()> {
    if set.limits.is_empty() && set.clear.is_empty() {
        let message = "say what to change, such as --network or --expires, or what to take away with --clear";
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let Versioned { record: mut client, version, .. } = find(directory, &set.login).await?;
    let before = client.policy.clone();
    // First: what is named takes the place of what is cleared.
    set.clear.iter().for_each(|part| part.clear(&mut client.policy));
    set.limits.put_into(&mut client.policy, config)?;
    if client.policy == before {
        output::note(format!("{}: it is so already", client.login));
        return Ok(());
    }
    directory.put_client(&client, Some(version)).await?;
    output::note(format!("{}: changed; its sessions that this does not let go on end within 2 s", client.login));
    if client.policy.expires.is_some_and(|end| end <= Timestamp::now()) {
        output::note(format!(
            "{0}: its end has passed: it cannot log in; `locum client set {0} --clear expires` undoes it",
            client.login
        ));
    }
    Ok(())
}

//! `locum client set`: what a client may do. Its secrets and what it is bound to are for other verbs.

use anyhow::Result;

use super::limits::{Limits, Part};
use crate::cli::output;
use crate::management::{Desk, clients};

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

pub(super) async fn run(desk: &Desk, set: Set) -> Result<()> {
    let Set { login, limits, clear } = set;
    let set = clients::Set { policy: limits.into(), clear: clear.into_iter().map(Into::into).collect() };
    let changed = clients::set(desk, &login, set).await?;
    let login = &changed.client.login;
    if !changed.is_changed {
        output::note(format!("{login}: it is so already"));
        return Ok(());
    }
    output::note(format!("{login}: changed; its sessions that this does not let go on end within 2 s"));
    if changed.has_ended {
        output::note(format!(
            "{login}: its end has passed: it cannot log in; `locum client set {login} --clear expires` undoes it"
        ));
    }
    Ok(())
}

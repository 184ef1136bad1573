//! `locum client revoke`.

use anyhow::Result;

use crate::cli::output;
use crate::management::Desk;
use crate::management::clients::{self, OpenWindow};

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Revoked {
    /// The id of the secret, as `locum client show` has it.
    #[arg(long, value_name = "ID")]
    pub(super) secret: Option<String>,
    /// All secrets, and the client itself.
    #[arg(long)]
    pub(super) all: bool,
    /// Remove the record of this id, which cannot be read, as `locum client list` says.
    #[arg(long, value_name = "ID")]
    pub(super) damaged: Option<String>,
}

/// Revokes the secret of that id, or all.
pub(super) async fn run(desk: &Desk, login: &str, id: Option<&str>) -> Result<()> {
    let revoked = match id {
        Some(id) => clients::revoke_secret(desk, login, id).await?,
        None => clients::revoke(desk, login).await?,
    };
    let login = &revoked.login;
    output::note(match id {
        Some(id) => format!("{login}: secret {id} revoked; the sessions that came by it end within 2 s"),
        None if revoked.was_damaged => format!("{login}: removed; its record was damaged"),
        None => format!("{login}: revoked with all its secrets; its sessions end within 2 s"),
    });
    for OpenWindow { listener, until } in &revoked.windows {
        output::note(format!(
            "{login}: warning: listener {listener} has a window of enrolment until {until:.0}, in which this login may enrol \
             again; take it out, or let the client expire in place of revoking it (`locum client set --expires`)"
        ));
    }
    Ok(())
}

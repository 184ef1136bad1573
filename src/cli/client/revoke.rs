//! `locum client revoke`.

use anyhow::Result;
use jiff::Timestamp;

use super::find;
use crate::broker::{Directory, Versioned};
use crate::cli::account::check_name;
use crate::cli::exit::{self, Failure};
use crate::cli::{list, output};
use crate::config::Config;
use crate::model::RecordKind;

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
pub(super) async fn run(config: &Config, directory: &Directory, login: &str, id: Option<&str>) -> Result<()> {
    if id.is_none() && list::was_damaged(directory, RecordKind::Client, check_name(login)?).await? {
        return Ok(());
    }
    let Versioned { record: mut client, version, .. } = find(directory, login).await?;
    let Some(id) = id else {
        directory.remove_client(login, version).await?;
        output::note(format!("{}: revoked with all its secrets; its sessions end within 2 s", client.login));
        warn_of_windows(config, login);
        return Ok(());
    };
    let before = client.secrets.len();
    client.secrets.retain(|secret| secret.id != id);
    if client.secrets.len() == before {
        let message = format!("{login} has no secret {id}; see `locum client show {login}`");
        return Err(Failure::new(exit::NOT_FOUND, message).into());
    }
    directory.put_client(&client, Some(version)).await?;
    output::note(format!("{login}: secret {id} revoked; the sessions that came by it end within 2 s"));
    if client.secrets.is_empty() {
        warn_of_windows(config, login);
    }
    Ok(())
}

/// A login without a secret is one that may enrol: while a window is open, revoking it keeps nobody out.
fn warn_of_windows(config: &Config, login: &str) {
    let now = Timestamp::now();
    for listener in &config.listeners {
        let until = listener.entrance.enrolment.as_ref().map(|enrolment| enrolment.until);
        if let Some(until) = until.filter(|until| *until > now) {
            output::note(format!(
                "{login}: warning: listener {} has a window of enrolment until {until:.0}, in which this login may enrol again; \
                 take it out, or let the client expire in place of revoking it (`locum client set --expires`)",
                listener.name
            ));
        }
    }
}

//! `locum client revoke`.

use anyhow::Result;

use super::find;
use crate::broker::{Directory, Versioned};
use crate::cli::account::check_name;
use crate::cli::exit::{self, Failure};
use crate::cli::{list, output};
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
pub(super) async fn run(directory: &Directory, login: &str, id: Option<&str>) -> Result<()> {
    if id.is_none() && list::was_damaged(directory, RecordKind::Client, check_name(login)?).await? {
        return Ok(());
    }
    let Versioned { record: mut client, version, .. } = find(directory, login).await?;
    let Some(id) = id else {
        directory.remove_client(login, version).await?;
        output::note(format!("{}: revoked with all its secrets; its sessions end within 2 s", client.login));
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
    Ok(())
}

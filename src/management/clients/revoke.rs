//! A client that is out, or one of its secrets that is good for nothing any more.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ClientView, find};
use crate::broker::Versioned;
use crate::management::{Desk, ManagementError, check_name, was_damaged};
use crate::model::RecordKind;

/// What was revoked.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ClientRevoked)]
pub struct Revoked {
    /// The login name.
    pub login: String,
    /// The client as it is now; nothing if there is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientView>,
    /// Whether all there was is a record that could not be read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub was_damaged: bool,
    /// Windows in which this login may enrol again: a login without a secret is one that may, and revoking it keeps nobody
    /// out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<OpenWindow>,
}

/// A window of enrolment that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenWindow {
    /// The listener.
    pub listener: String,
    /// When it closes.
    pub until: Timestamp,
}

/// Revokes a client with all of its secrets. Its sessions end on all nodes.
///
/// # Errors
/// If there is none.
pub async fn revoke(desk: &Desk, login: &str) -> Result<Revoked, ManagementError> {
    let login = check_name(login)?;
    if was_damaged(desk, RecordKind::Client, login).await? {
        return Ok(Revoked { login: login.to_owned(), client: None, was_damaged: true, windows: windows(desk) });
    }
    let Versioned { record: client, version, .. } = find(desk, login).await?;
    desk.directory.remove_client(login, version).await?;
    Ok(Revoked { login: client.login, client: None, was_damaged: false, windows: windows(desk) })
}

/// Revokes one secret. The sessions that came by it end on all nodes.
///
/// # Errors
/// If the client does not have it.
pub async fn revoke_secret(desk: &Desk, login: &str, id: &str) -> Result<Revoked, ManagementError> {
    let Versioned { record: mut client, version, .. } = find(desk, login).await?;
    let before = client.secrets.len();
    client.secrets.retain(|secret| secret.id != id);
    let login = client.login.clone();
    if client.secrets.len() == before {
        let id: String = id.chars().filter(|c| !c.is_control()).collect();
        let message = format!("{login} has no secret {id}; see `locum client show {login}`");
        return Err(ManagementError::missing(message));
    }
    let version = desk.directory.put_client(&client, Some(version)).await?;
    let windows = if client.secrets.is_empty() { windows(desk) } else { Vec::new() };
    let client = ClientView::of(Versioned { record: client, version, changed: None });
    Ok(Revoked { login, client: Some(client), was_damaged: false, windows })
}

fn windows(desk: &Desk) -> Vec<OpenWindow> {
    let now = Timestamp::now();
    let open = desk.windows.iter().filter(|(_, until)| *until > now);
    open.map(|(listener, until)| OpenWindow { listener: listener.clone(), until: *until }).collect()
}
